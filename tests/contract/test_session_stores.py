"""What every store of sessions keeps to: SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from jupyterhub_usage_quotas.errors import LedgerUnavailable
from jupyterhub_usage_quotas.ledger.sql import sessions
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.sessions import SessionChanges, SqlSessions
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from jupyterhub_usage_quotas.quotas.sessions import Session, Watch
from tests.contract.test_ledgers import HOSTILE

NOW = 1_795_867_200.25
RATES = {"memory": 2.0 * 2**30, "cpu": 0.1, "gpu": 1.0, "time": 1.0, "credits": 10 / 600}
WATCH = Watch("w" * 32, "", NOW - 3600, NOW)


def ran(number: int, start: float, end: float | None, **more: Any) -> Session:
    """A session that was seen until it ended, or until now."""
    values = {"hub": "", "username": "ada", "server_name": "", "rates": RATES} | more
    until = NOW if end is None else end
    return Session(f"{number:032x}", started=start, seen=until, ended=end, **values)


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlSessions]:
    made = SqlSessions(Database(parse_ledger_url(url)))
    yield made
    await made.database.aclose()


async def all_of(store: SqlSessions, hub: str = "", users: Any = None) -> Sequence[Session]:
    found = (await store.between(hub, users, NOW - 1e6, NOW + 1e6)).sessions
    return sorted(found, key=lambda one: one.id)


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_is_written_comes_back(store: SqlSessions, text: str):
    asked = {
        "profile": text,
        "profile_name": text,
        "choices": (text,),
    }
    written = ran(
        1,
        NOW - 600.000001,
        NOW - 0.5,
        username=text,
        server_name=text,
        rates=RATES | {text: 1 / 3},
        user_created=NOW - 9999.75,
        unknown=frozenset([text]),
        **asked,
    )
    await store.write(SessionChanges(WATCH, [written]))
    (found,) = await all_of(store, users=[text])
    assert replace(found, started=written.started) == written
    assert found.started == pytest.approx(written.started, abs=1e-6)
    assert await all_of(store, users=[f"{text}x", "x"]) == []


async def test_names_that_differ_a_little_are_different_users(store: SqlSessions):
    names = ["ada", "Ada", "áda", "ada ", "ａda", "a\u0301da", "ad_", "ad%"]
    some = [ran(number, NOW - 60, None, username=name) for number, name in enumerate(names)]
    await store.write(SessionChanges(WATCH, some))
    for number, name in enumerate(names):
        assert [one.id for one in await all_of(store, users=[name])] == [f"{number:032x}"]


async def test_a_session_written_again_is_the_same_one(store: SqlSessions):
    running = ran(1, NOW - 60, None)
    for _ in range(2):
        await store.write(SessionChanges(WATCH, [running]))
    ended = running.ended_at(NOW + 30)
    await store.write(SessionChanges(replace(WATCH, seen=NOW + 60), [ended]))
    extract = await store.between("", None, NOW - 1e6, NOW + 1e6)
    assert extract.sessions == (ended,)
    assert extract.watches == (replace(WATCH, seen=NOW + 60),)


async def test_a_heartbeat_is_of_what_runs_on_this_hub(store: SqlSessions):
    running, over = ran(1, NOW - 60, None), ran(2, NOW - 60, NOW - 30)
    elsewhere = ran(3, NOW - 60, None, hub="other")
    other = replace(WATCH, id="o" * 32, hub="other")
    await store.write(SessionChanges(other, [elsewhere]))
    await store.write(SessionChanges(WATCH, [running, over]))
    await store.write(SessionChanges(replace(WATCH, seen=NOW + 60)))
    assert await all_of(store) == [running.seen_at(NOW + 60), over]
    assert await all_of(store, "other") == [elsewhere]
    assert (await store.unfinished("")).sessions == (running.seen_at(NOW + 60),)


async def test_what_overlaps_a_span_is_found_whole(store: SqlSessions):
    some = [ran(number, NOW - 100 + 10 * number, NOW - 90 + 10 * number) for number in range(8)]
    running = ran(9, NOW - 500, None)
    await store.write(SessionChanges(WATCH, [*some, running]))
    found = await store.between("", ["ada"], NOW - 75, NOW - 50)
    assert {one.id for one in found.sessions} == {one.id for one in (*some[2:5], running)}
    assert (await store.between("", ["ada"], NOW - 1e6, NOW - 3600)).watches == ()


async def test_more_than_a_statement_takes(store: SqlSessions):
    number = 2 * sessions.AT_ONCE + 1
    some = [ran(one, NOW - 60, None, username=f"user-{one}") for one in range(number)]
    await store.write(SessionChanges(WATCH, some[: sessions.AT_ONCE + 1]))
    await store.write(SessionChanges(WATCH, some))
    assert len(await all_of(store)) == number
    names = [one.username for one in some[1:]]
    assert len(await all_of(store, users=names)) == number - 1


async def test_what_is_old_is_pruned(store: SqlSessions, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sessions, "DELETED_AT_ONCE", 2)
    old = [ran(one, NOW - 9000, NOW - 5000 - one) for one in range(3)]
    kept = [ran(8, NOW - 9000, NOW - 100), ran(9, NOW - 9000, None)]
    elsewhere = ran(10, NOW - 9000, NOW - 8000, hub="other")
    long_ago = replace(WATCH, id="a" * 32, started=NOW - 9000, seen=NOW - 8000)
    other = replace(long_ago, id="b" * 32, hub="other")
    for watch, some in ((long_ago, old), (other, [elsewhere]), (WATCH, kept)):
        await store.write(SessionChanges(watch, some))
    assert [await store.prune("", NOW - 4000) for _ in range(3)] == [2, 1, 0]
    extract = await store.between("", None, 0, NOW + 1e6)
    assert {one.id for one in extract.sessions} == {one.id for one in kept}
    assert extract.watches == (WATCH,)
    assert await all_of(store, "other") == [elsewhere]


@pytest.mark.parametrize(
    "rates", ["", "[]", "{", '{"memory": -1}', '{"memory": NaN}', '{"a": "b"}']
)
async def test_a_row_that_cannot_be_read_leaves_the_others(
    store: SqlSessions, raw: sa.Engine, rates: str
):
    broken, whole = ran(1, NOW - 60, None), ran(2, NOW - 60, None)
    await store.write(SessionChanges(WATCH, [broken, whole]))
    with raw.begin() as connection:
        changed = sa.text("UPDATE usage_quotas_sessions SET rates = :rates WHERE id = :id")
        connection.execute(changed, {"rates": rates, "id": broken.id})
    extract = await store.between("", None, NOW - 60, NOW)
    assert (extract.sessions, extract.unreadable) == ((whole,), 1)


async def test_a_write_is_all_or_nothing(store: SqlSessions):
    # SQLite does not bound texts; no database takes half of a character.
    name = "x" * 300 if store.database.where.file is None else "\ud800"
    refused = ran(2, NOW - 60, None, username=name)
    with pytest.raises(LedgerUnavailable):
        await store.write(SessionChanges(WATCH, [ran(1, NOW - 60, None), refused]))
    assert await all_of(store) == []
