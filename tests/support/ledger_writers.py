"""Clients that write into a ledger until they are killed: run as a program, one for all databases.

Each line that it reads is a URL, and where each client goes on. It forks the clients, says their
process ids, and `done` once all have ended; each client says what was acknowledged, at once. Where
nothing was, it sends the same request again, with the same key, as a client should.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from jupyterhub_usage_quotas.errors import LedgerUnavailable
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from tests.support.ledgers import grant
from tests.support.paths import ROOT

EACH = 250
"""Grants of one client, of four."""


AGAIN = 1200
"""How often a client tries; a server may take seconds to start again."""


def amount_of(client: int, number: int) -> int:
    """Tells the grants of all clients apart."""
    return 1000 * (client + 1) + number


async def write(url: str, client: int, start: int) -> None:
    journal = SqlLedger.at(url)
    for number in range(start, EACH):
        await acknowledged(journal, amount_of(client, number), f"{client}-{number}")
        os.write(1, f"ack {client} {number}\n".encode())
    await journal.aclose()


async def acknowledged(journal: SqlLedger, amount: int, key: str) -> None:
    for _ in range(AGAIN):
        try:
            await journal.record([grant(amount)], key=key)
        except LedgerUnavailable:
            await asyncio.sleep(0.05)
        else:
            return
    raise AssertionError(f"{key} was never acknowledged")


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


class Writers:
    """The program, as a test runs it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def go_on(
        self,
        url: str,
        acknowledged: list[int],
        wanted: int,
        then: Callable[[Sequence[int]], None],
    ) -> None:
        """Let four clients go on until they have ended. Once so many more were acknowledged, their
        process ids are given to `then`.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{url} {' '.join(map(str, acknowledged))}\n")
        self._process.stdin.flush()
        pids: list[int] = []
        while (line := self._process.stdout.readline().split()) != ["done"]:
            if line[0] == "pids":
                pids = [int(one) for one in line[1:]]
            else:
                client, number = map(int, line[1:])
                acknowledged[client] = number + 1
                wanted -= 1
            if wanted <= 0 and pids:
                then(pids)
                pids = []


@contextmanager
def running_writers() -> Iterator[Writers]:
    """The program, until the end of a test."""
    command = [sys.executable, "-m", "tests.support.ledger_writers"]
    pipe = subprocess.PIPE
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True
    ) as process:
        yield Writers(process)
        assert process.stdin
        process.stdin.close()


if __name__ == "__main__":
    main()
