"""What the guard must not forget, and its notices, in SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.guarding import GuardChanges, SqlGuard
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from jupyterhub_usage_quotas.quotas.stopping.notices import Notice, NoticeKind, WatchedServer
from jupyterhub_usage_quotas.quotas.stopping.states import State
from jupyterhub_usage_quotas.quotas.stopping.steps import Watch
from tests.contract.test_ledgers import HOSTILE

NOW = datetime(2026, 11, 28, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ADA = WatchedServer("hub/", "ada", "", "gpu-week", NOW - 90 * MINUTE)
WATCH = Watch(
    State.GRACE, NOW, frozenset([30 * MINUTE, 2 * MINUTE]), NOW + 5 * MINUTE, NOW + MINUTE, 3
)


def notice(server: WatchedServer = ADA, episode: int = 0, at: datetime = NOW) -> Notice:
    kind = NoticeKind.WARNING
    return Notice(
        server.notice_id(kind, MINUTE, episode),
        server.user,
        server.server,
        server.policy,
        kind,
        MINUTE,
        NOW + MINUTE,
        f"Your server {server.server} runs out",
        at,
    )


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    made = Database(parse_ledger_url(url))
    yield made
    await made.aclose()


@pytest.fixture
def guard(database: Database) -> SqlGuard:
    return SqlGuard(database, "hub/")


@pytest.mark.parametrize("text", [*HOSTILE, "x" * 255])
async def test_what_is_written_comes_back(guard: SqlGuard, text: str):
    server = replace(ADA, user=text, server=text, policy=f"{text} + {text}")
    told = notice(server)
    await guard.write(GuardChanges({server: WATCH}, (), [told], sent=True))
    found = await guard.load(NOW - MINUTE)
    assert found.watches == {server: WATCH}
    assert list(found.notices) == [told]


async def test_a_watch_is_written_over_and_ends(guard: SqlGuard):
    other = replace(ADA, server="b")
    await guard.write(GuardChanges({ADA: WATCH, other: WATCH}))
    again = replace(WATCH, state=State.STOPPING, warned=frozenset())
    await guard.write(GuardChanges({ADA: again}, [other]))
    assert (await guard.load(NOW)).watches == {ADA: again}


async def test_hubs_that_share_a_ledger_do_not_see_each_other(database: Database, guard: SqlGuard):
    elsewhere = SqlGuard(database, "other/")
    await elsewhere.write(GuardChanges({replace(ADA, hub="other/"): WATCH}, (), [notice()]))
    assert await guard.load(NOW - MINUTE) == await guard.load(NOW - MINUTE)
    assert (await guard.load(NOW - MINUTE)).watches == {}
    assert (await guard.load(NOW - MINUTE)).notices == []


async def test_a_notice_is_there_once(guard: SqlGuard):
    twice = [notice(), notice(), notice(episode=1)]
    await guard.write(GuardChanges({}, (), twice, sent=True))
    await guard.write(GuardChanges({}, (), twice, sent=True))
    assert len((await guard.load(NOW - MINUTE)).notices) == 2


async def test_notices_are_sent_until_all_targets_have_them(guard: SqlGuard):
    first, second = notice(), notice(episode=1, at=NOW + MINUTE)
    await guard.write(GuardChanges({}, (), [second, first], sent=True))
    assert [one.notice for one in await guard.outgoing(NOW, 10)] == [first]
    one, other = await guard.outgoing(NOW + MINUTE, 10)
    assert [one.notice, other.notice] == [first, second]
    assert (one.taken_by, one.attempts) == (frozenset(), 0)
    tried = replace(one, taken_by=frozenset({"chat"}), attempts=1)
    await guard.sent([(tried, NOW + 5 * MINUTE), (other, None)])
    assert await guard.outgoing(NOW + 4 * MINUTE, 10) == []
    assert await guard.outgoing(NOW + 5 * MINUTE, 10) == [tried]


async def test_what_nobody_gets_is_kept_and_not_sent(guard: SqlGuard):
    await guard.write(GuardChanges({}, (), [notice()]))
    assert await guard.outgoing(NOW + 99 * MINUTE, 10) == []
    assert len((await guard.load(NOW - MINUTE)).notices) == 1


async def test_what_is_old_is_forgotten(guard: SqlGuard):
    await guard.write(GuardChanges({}, (), [notice(), notice(episode=1, at=NOW + MINUTE)]))
    await guard.forget(NOW + MINUTE)
    (left,) = (await guard.load(NOW - MINUTE)).notices
    assert left.at == NOW + MINUTE


async def test_many_at_once(guard: SqlGuard):
    watches = {replace(ADA, user=f"user-{number}"): WATCH for number in range(1200)}
    notices = [notice(server) for server in watches]
    await guard.write(GuardChanges(watches, (), notices))
    found = await guard.load(NOW - MINUTE)
    assert found.watches == watches
    assert len(found.notices) == 1200
    await guard.write(GuardChanges({}, list(watches)))
    assert (await guard.load(NOW)).watches == {}
