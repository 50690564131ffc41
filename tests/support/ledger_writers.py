"""Clients that write into a ledger until they are killed: run as a program, one for all databases.

Each line that it reads is a URL, and where each client goes on. It forks the clients, says their
process ids, and `done` once all have ended; each client says what was acknowledged, at once.
"""

from __future__ import annotations

import asyncio
import os
import sys

from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from tests.support.ledgers import grant

EACH = 250
"""Grants of one client, of four."""


def amount_of(client: int, number: int) -> int:
    """Tells the grants of all clients apart."""
    return 1000 * (client + 1) + number


async def write(url: str, client: int, start: int) -> None:
    journal = SqlLedger.at(url)
    for number in range(start, EACH):
        await journal.record([grant(amount_of(client, number))], key=f"{client}-{number}")
        os.write(1, f"ack {client} {number}\n".encode())
    await journal.aclose()


def main() -> None:
    for line in sys.stdin:
        url, *starts = line.split()
        children = []
        for client, start in enumerate(map(int, starts)):
            if (child := os.fork()) == 0:
                asyncio.run(write(url, client, start))
                os._exit(0)
            children.append(child)
        os.write(1, f"pids {' '.join(map(str, children))}\n".encode())
        for child in children:
            os.waitpid(child, 0)
        os.write(1, b"done\n")


if __name__ == "__main__":
    main()
