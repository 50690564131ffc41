"""What was acknowledged is there, once, whoever is killed: a ledger's clients, or its server."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Sequence

import pytest

from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.quotas.subject import EVERYONE
from tests.support.databases import MADE, upgraded
from tests.support.ledger_writers import EACH, Writers, amount_of, running_writers

CLIENTS = 4


@pytest.fixture(scope="module")
def writers() -> Iterator[Writers]:
    with running_writers() as running:
        yield running


async def there(journal: SqlLedger, acknowledged: Sequence[int]) -> int:
    """How many grants are there: each that was acknowledged, none twice, in a chain without a
    break, and of each client at most one more, whose acknowledgement was lost.
    """
    kept = [int(one.amount) for one in await journal.history(EVERYONE, limit=10**6)]
    assert len(kept) == len(set(kept))
    said = {amount_of(one, n) for one, most in enumerate(acknowledged) for n in range(most)}
    assert said <= set(kept)
    assert len(kept) <= len(said) + CLIENTS
    found = await journal.verify()
    assert (found.entries, found.broken_at) == (len(kept), None)
    return len(kept)


def kill(pids: Sequence[int]) -> None:
    for pid in pids:
        # Databases let clients in as they like: one may have ended before.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def test_of_clients_that_are_killed_nothing_is_lost_and_nothing_is_twice(
    url: str, writers: Writers
):
    acknowledged = [0] * CLIENTS
    journal = SqlLedger.at(url)
    for wanted in (150, 230, 310, 10**9):
        writers.go_on(url, acknowledged, wanted, kill)
        written = await there(journal, acknowledged)
    assert written == CLIENTS * EACH
    await journal.aclose()


@pytest.mark.parametrize("name", MADE)
async def test_of_a_server_that_is_killed_nothing_is_lost_and_nothing_is_twice(
    name: str, writers: Writers
):
    """One that is set up as the database's own defaults are; clients send again what was not
    acknowledged, which may have been written all the same.
    """
    server = MADE[name](durable=True)
    try:
        upgraded(server.url)
        journal = SqlLedger.at(server.url)
        assert await journal.late_writes() == {}
        acknowledged = [0] * CLIENTS
        lost = 0

        def kill_it(_clients: Sequence[int]) -> None:
            nonlocal lost
            server.kill_and_start_again()
            lost += 1

        for _ in range(3):
            # Each time some of them are killed in the middle of it.
            writers.go_on(server.url, acknowledged, 100, lambda pids: (kill_it(pids), kill(pids)))
            await there(journal, acknowledged)
        writers.go_on(server.url, acknowledged, 50, kill_it)
        assert await there(journal, acknowledged) == CLIENTS * EACH
        assert lost == 4
        await journal.aclose()
    finally:
        server.stop()
