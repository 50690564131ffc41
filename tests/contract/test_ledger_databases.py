"""What a ledger in SQL keeps to besides, in SQLite, PostgreSQL and MariaDB: nobody changes what is
in it, whatever they do to the database; writers wait for each other.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from jupyterhub_usage_quotas.errors import AdjustmentRefused, InvalidAdjustment, LedgerUnavailable
from jupyterhub_usage_quotas.ledger.audit import AuditedJournal, AuditLog
from jupyterhub_usage_quotas.ledger.base import Held
from jupyterhub_usage_quotas.ledger.sql import statements
from jupyterhub_usage_quotas.ledger.sql.schema import (
    ENTRIES,
    LOCK,
    METADATA,
    REVISIONS,
    VERSION_TABLE,
)
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.ledger.sql.switches import Switch, SwitchState, SwitchTable
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from jupyterhub_usage_quotas.ledger.transfer import line_of, read_entries
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import EVERYONE
from tests.support.databases import Databases
from tests.support.ledgers import ADA, grant

TABLE = ENTRIES.name
COLUMNS = ", ".join(column.name for column in ENTRIES.columns)


def run(engine: sa.Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)


async def opened(url: str, number: int = 1) -> list[SqlLedger]:
    return [SqlLedger.at(url) for _ in range(number)]


async def close(journals: Sequence[SqlLedger]) -> None:
    await asyncio.gather(*(one.aclose() for one in journals))


# --- switches of profiles -----------------------------------------------------------------------


async def test_switches_are_kept_whatever_their_texts_are(url: str):
    (journal,) = await opened(url)
    await journal.history(EVERYONE)
    table = SwitchTable(journal.database)
    hostile = "Ada \U0001f9ee'; DROP TABLE usage_quotas_switches; -- %s <b>"
    one = Switch(
        hostile,
        "",
        None,
        {"profile": hostile},
        hostile,
        {},
        "",
        datetime(2026, 3, 4, 12, 0, 0, 123456, tzinfo=UTC),
    )
    other = replace(one, user=f"{hostile} ", user_created=one.requested)
    await table.put(one)
    await table.put(other)
    failed = replace(one, state=SwitchState.FAILED, message="x" * 5000)
    await table.put(failed)
    kept = sorted(await table.all(), key=lambda found: found.user)
    assert kept == [replace(failed, message="x" * 1000), other]
    await table.remove(one)
    assert await table.all() == [other]
    await table.remove(other)
    await close([journal])


# --- moving ------------------------------------------------------------------------------------


async def test_entries_are_taken_over_as_they_are(url: str, tmp_path: Path, databases: Databases):
    file = shutil.copy(databases.sqlite, tmp_path / "old.sqlite")
    old, new = SqlLedger.at(f"sqlite:///{file}"), SqlLedger.at(url)
    await old.record([grant(0.1), grant(1e30, None)], key="once")
    await old.record([grant(user=f"u-{number}") for number in range(2500)])
    await old.void(2, actor="me", reason="too much")
    lines = [line_of(row) for row in [*await old.entries(), *await old.entries(1000, limit=5000)]]
    rows = read_entries(lines)
    assert len(rows) == 2503
    with pytest.raises(InvalidAdjustment):
        read_entries(reversed(lines))
    assert await new.copy(rows[:1500]) == 1500
    assert await new.copy(rows) == 1003
    assert await new.copy(rows) == 0
    assert await new.verify() == await old.verify()
    newest = await old.history(EVERYONE, limit=5000)
    assert await new.history(EVERYONE, limit=5000) == newest
    (next_one,) = await new.record([grant()])
    assert next_one.id == 2504
    with pytest.raises(InvalidAdjustment, match="the ledger has other entries"):
        await old.copy([*rows[:-1], {**rows[-1], "hash": "another"}])
    await close([old, new])


# --- append-only ---------------------------------------------------------------------------------

SAME = f"SELECT {COLUMNS} FROM {TABLE} WHERE id = 1".replace("reason", "'another'")
AT_ONE_VOIDING = (
    f"SELECT {COLUMNS.replace(' voids', ' 1').replace('id,', '77,', 1)} FROM {TABLE} WHERE id = 3"
)
CHANGES = {
    "sqlite": [
        f"INSERT OR REPLACE INTO {TABLE} ({COLUMNS}) {SAME}",
        f"REPLACE INTO {TABLE} ({COLUMNS}) {SAME}",
        f"REPLACE INTO {TABLE} ({COLUMNS}) {AT_ONE_VOIDING}",
        f"UPDATE OR REPLACE {TABLE} SET id = 1 WHERE id = 2",
        f"UPDATE OR IGNORE {TABLE} SET reason = 'another'",
        f"INSERT INTO {TABLE} ({COLUMNS}) {SAME} ON CONFLICT (id) DO UPDATE SET reason = 'another'",
    ],
    "postgresql": [
        f"TRUNCATE {TABLE} CASCADE",
        f"INSERT INTO {TABLE} ({COLUMNS}) {SAME} ON CONFLICT (id) DO UPDATE SET reason = 'another'",
        f"WITH gone AS (DELETE FROM {TABLE} RETURNING id) SELECT id FROM gone",
    ],
    "mariadb": [
        f"TRUNCATE TABLE {TABLE}",
        f"REPLACE INTO {TABLE} ({COLUMNS}) {SAME}",
        f"REPLACE INTO {TABLE} ({COLUMNS}) {AT_ONE_VOIDING}",
        f"INSERT INTO {TABLE} ({COLUMNS}) {SAME} ON DUPLICATE KEY UPDATE reason = 'another'",
        f"UPDATE IGNORE {TABLE} SET reason = 'another'",
        f"DELETE IGNORE FROM {TABLE}",
    ],
}
EVERYWHERE = [
    f"UPDATE {TABLE} SET reason = 'another'",
    f"UPDATE {TABLE} SET amount = '1' WHERE id = 2",
    f"DELETE FROM {TABLE} WHERE id = 3",
    f"DELETE FROM {TABLE}",
]


async def test_whatever_is_done_to_an_entry_is_refused(url: str, raw: sa.Engine):
    (journal,) = await opened(url)
    first, _ = await journal.record([grant(1), grant(2)], key="k")
    await journal.void(first.id, actor="head", reason="a slip")
    before = await journal.history(EVERYONE)
    for statement in EVERYWHERE + CHANGES[parse_ledger_url(url).database]:
        with pytest.raises(sa.exc.DBAPIError):
            run(raw, statement)
        assert await journal.history(EVERYONE) == before, statement
    found = await journal.verify()
    assert (found.entries, found.broken_at) == (3, None)
    # What is only added can be.
    await journal.record([grant(3)])
    await close([journal])


# --- the chain -----------------------------------------------------------------------------------

TAMPERED = {
    "policy": "'other'",
    "username": "NULL",
    "user_created": "1",
    "starts": "starts - 1",
    "ends": "ends + 1",
    "amount": "'1'",
    "actor": "'nobody'",
    "reason": "'another'",
    "created": "created + 1",
    "request_key": "'other'",
    "hash": "'0'",
}


@pytest.fixture
def unguarded(tmp_path: Path, databases: Databases) -> Path:
    """Somebody has dropped the triggers."""
    file = Path(shutil.copy(databases.sqlite, tmp_path / "ledger.sqlite"))
    with sqlite3.connect(file) as connection:
        for name in ("update", "delete", "replace"):
            connection.execute(f"DROP TRIGGER usage_quotas_no_{name}")
    return file


async def chain_after(file: Path, statement: str) -> int | None:
    """Where the chain of five entries is broken once somebody has run a statement."""
    journal = SqlLedger.at(f"sqlite:///{file}")
    for number in range(1, 6):
        await journal.record([grant(number)], key=f"{number}")
    with sqlite3.connect(file) as connection:
        connection.execute(statement)
    found = await journal.verify()
    await journal.aclose()
    return found.broken_at


@pytest.mark.parametrize(("column", "value"), TAMPERED.items(), ids=TAMPERED)
async def test_an_entry_that_somebody_changed_is_named(unguarded: Path, column: str, value: str):
    assert await chain_after(unguarded, f"UPDATE {TABLE} SET {column} = {value} WHERE id = 3") == 3


async def test_an_entry_that_is_missing_is_named_by_the_next(unguarded: Path):
    assert await chain_after(unguarded, f"DELETE FROM {TABLE} WHERE id = 3") == 4


async def test_entries_that_were_exchanged_are_named(unguarded: Path):
    exchange = (
        f"UPDATE {TABLE} SET amount = (SELECT amount FROM {TABLE} o WHERE o.id = 5 - {TABLE}.id)"
        " WHERE id IN (2, 3)"
    )
    assert await chain_after(unguarded, exchange) == 2


async def test_a_chain_that_nobody_touched_is_whole_and_its_head_says_how_far(unguarded: Path):
    assert await chain_after(unguarded, "SELECT 1") is None
    journal = SqlLedger.at(f"sqlite:///{unguarded}")
    before = await journal.verify()
    with sqlite3.connect(unguarded) as connection:
        connection.execute(f"DELETE FROM {TABLE} WHERE id = 5")
    after = await journal.verify()
    assert (before.entries, after.entries) == (5, 4)
    assert before.head != after.head
    await journal.aclose()


# --- several writers -----------------------------------------------------------------------------


def at_most(most: int) -> Any:
    def check(held: Held) -> None:
        if len(held()) >= most:
            raise AdjustmentRefused(f"no more than {most}")

    return check


async def test_of_several_processes_no_two_pass_a_check_together(url: str):
    """Each journal has a thread and a connection of its own, as another process has."""
    journals = await opened(url, 4)
    calls = (one.record([grant(1)], check=at_most(3)) for one in journals for _ in range(4))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(one, AdjustmentRefused) for one in answers) == 13
    assert len(await journals[0].history([ADA])) == 3
    await close(journals)


async def test_one_key_in_several_processes_is_one_request(url: str):
    journals = await opened(url, 4)
    answers = await asyncio.gather(*(one.record([grant(1)], key="k") for one in journals))
    assert answers == [answers[0]] * 4
    (written,) = await journals[0].history(EVERYONE)
    voidings = (one.void(written.id, actor="head", reason="slip", key="v") for one in journals)
    voided = await asyncio.gather(*voidings)
    assert len({one.voided.at for one in voided}) == 1
    assert (await journals[0].verify()).entries == 2
    await close(journals)


async def test_a_number_is_given_once_the_one_before_is_committed(url: str, raw: sa.Engine):
    """So nobody who has read up to a number has missed one below it."""
    if parse_ledger_url(url).file is not None:
        lock = "BEGIN IMMEDIATE"
    else:
        lock = f"SELECT id FROM {LOCK.name} WHERE id = 1 FOR UPDATE"
    (journal,) = await opened(url)
    await journal.record([grant(1)])
    with raw.connect() as other:
        other.exec_driver_sql(lock)
        values = "2, 'exemption', 'week', '', 'slow', 'reason', 0, 0, '0'"
        columns = "id, kind, policy, username, actor, reason, created, request_position, hash"
        other.exec_driver_sql(f"INSERT INTO {TABLE} ({columns}) VALUES ({values})")
        writing = asyncio.ensure_future(journal.record([grant(3)]))
        done, _ = await asyncio.wait([writing], timeout=0.2)
        assert not done
        other.commit()
    (written,) = await writing
    assert written.id == 3
    await close([journal])


async def test_what_was_given_before_is_read_only_by_who_looks(
    url: str, monkeypatch: pytest.MonkeyPatch
):
    """Also where decisions are noted in the audit log: a user may have thousands."""
    log = AuditLog("dashboard", lambda _line: None, lambda _line: None)
    ledger = SqlLedger.at(url)
    journal = AuditedJournal(ledger, log, parse_policies([]))
    await journal.record([grant(1)])
    read = []
    monkeypatch.setattr(statements, "held_by", lambda *_: read.append("all") or [])
    await journal.record([grant(2)], key="k")
    assert read == []
    await journal.record([grant(3)], check=at_most(3))
    assert read == ["all"]
    await close([ledger])


# --- on the disk -------------------------------------------------------------------------------


async def test_a_server_that_acknowledges_too_early_is_found_out(url: str, raw: sa.Engine):
    """Those of the tests do, to be faster; what a connection can set it sets for itself."""
    kind = parse_ledger_url(url).database
    (journal,) = await opened(url)
    expected = {
        "sqlite": {},
        "postgresql": {"fsync": "off"},
        "mariadb": {"innodb_flush_log_at_trx_commit": "0"},
    }
    assert await journal.late_writes() == expected[kind]
    await close([journal])
    if kind != "postgresql":
        return
    name = parse_ledger_url(url).url.database
    run(raw, f"ALTER DATABASE {name} SET synchronous_commit = off")
    (journal,) = await opened(url)
    setting = "SHOW synchronous_commit"
    assert await journal.database.read(lambda one: one.exec_driver_sql(setting).scalar()) == "on"
    run(raw, f"ALTER DATABASE {name} RESET synchronous_commit")
    await close([journal])


# --- the tables ----------------------------------------------------------------------------------


def drop_tables(url: str, raw: sa.Engine) -> None:
    for table in (*reversed(METADATA.sorted_tables), VERSION_TABLE):
        run(raw, f"DROP TABLE {table}")


async def test_the_migrations_make_the_tables_that_the_code_knows(url: str, raw: sa.Engine):
    ours = {"version_table": VERSION_TABLE, "compare_type": True}
    with raw.connect() as connection:
        context = MigrationContext.configure(connection, opts=ours)
        assert compare_metadata(context, METADATA) == []


async def test_of_several_hubs_that_start_at_once_one_makes_the_tables(url: str, raw: sa.Engine):
    drop_tables(url, raw)
    hubs = [SqlLedger.at(url, upgrade=True) for _ in range(3)]
    await asyncio.gather(*(one.record([grant(1)]) for one in hubs))
    assert (await hubs[0].verify()).entries == 3
    await close(hubs)


async def test_who_waits_for_the_tables_finds_them_with_their_revision(url: str, raw: sa.Engine):
    """Once the lock is given back, another Hub goes on at once: all must be committed by then."""
    drop_tables(url, raw)
    seen = []

    def look(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if "RELEASE_LOCK" in statement:
            with raw.connect() as other:
                seen.append(other.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").all())

    sa.event.listen(sa.Engine, "before_cursor_execute", look)
    try:
        hub = SqlLedger.at(url, upgrade=True)
        await hub.record([grant(1)])
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", look)
    # The others' locks are the transactions' own.
    released = parse_ledger_url(url).database == "mariadb"
    assert seen == ([[(REVISIONS[-1],)]] if released else [])
    await close([hub])


async def test_an_upgrade_that_was_interrupted_is_made_again(url: str, raw: sa.Engine):
    run(raw, f"DROP TABLE {VERSION_TABLE}")
    journal = SqlLedger.at(url, upgrade=True)
    await journal.record([grant(1)])
    await close([journal])
    with pytest.raises(sa.exc.DBAPIError):
        run(raw, f"DELETE FROM {TABLE}")


async def test_without_its_tables_only_the_hub_makes_them(url: str, raw: sa.Engine):
    drop_tables(url, raw)
    other = SqlLedger.at(url)
    with pytest.raises(LedgerUnavailable, match="no tables yet: the Hub of this version"):
        await other.verify()
    hub = SqlLedger.at(url, upgrade=True)
    await hub.record([grant(1)])
    assert (await other.verify()).entries == 1
    await close([hub, other])


@pytest.mark.parametrize("upgrade", [True, False])
async def test_tables_of_a_newer_version_are_refused(url: str, raw: sa.Engine, upgrade: bool):
    run(raw, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    journal = SqlLedger.at(url, upgrade=upgrade)
    with pytest.raises(
        LedgerUnavailable, match=f"got revision 9999; expected {REVISIONS[-1]} or older"
    ):
        await journal.record([grant(1)])
    run(raw, f"UPDATE {VERSION_TABLE} SET version_num = '{REVISIONS[-1]}'")
    assert replace((await journal.record([grant(1)]))[0], id=0, created=None) == grant(1)
    await close([journal])
