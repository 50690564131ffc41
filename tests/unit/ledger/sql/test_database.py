"""What a ledger does when its database cannot be used; what SQLite is set to."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.errors import LedgerUnavailable
from jupyterhub_usage_quotas.ledger.entries import DECIMALS, LARGEST
from jupyterhub_usage_quotas.ledger.sql import database, sqlite
from jupyterhub_usage_quotas.ledger.sql.rows import stored_amount
from jupyterhub_usage_quotas.ledger.sql.schema import REVISIONS, VERSION_TABLE
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.quotas.adjustments import Grant
from jupyterhub_usage_quotas.quotas.subject import EVERYONE, Subject

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def grant(**more: object) -> Grant:
    week = timedelta(days=7)
    common = {"user": "ada", "actor": "tutor", "reason": "a deadline", "amount": 1.0}
    return Grant("week", NOW, NOW + week, **(common | more))  # type: ignore[arg-type]


async def failure(journal: SqlLedger) -> str:
    """What every method says; the same, and not what is behind it."""
    calls = [
        journal.active(EVERYONE, NOW),
        journal.active([Subject("ada")], NOW),
        journal.history(EVERYONE),
        journal.verify(),
        journal.record([grant()]),
        journal.void(1, actor="head", reason="a slip"),
    ]
    failed = await asyncio.gather(*calls, return_exceptions=True)
    for one in failed:
        assert isinstance(one, LedgerUnavailable), one
        assert one.__cause__ is None
        assert one.__suppress_context__ or one.__context__ is None
    return str(failed[0])


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
async def test_a_server_that_is_not_there_is_named_without_the_password(scheme: str):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        journal = SqlLedger.at(f"{scheme}://u:s3cr%2Fet@127.0.0.1:{port}/quotas", upgrade=True)
        said = await failure(journal)
    assert f"the ledger at {scheme}://u:***@127.0.0.1:{port}/quotas cannot be used" in said
    assert "refused" in said
    assert "s3cr" not in said
    await journal.aclose()


async def test_a_file_that_is_not_there_is_made_by_the_hub_alone(tmp_path: Path):
    file = tmp_path / "ledger.sqlite"
    other = SqlLedger.at(f"sqlite:///{file}")
    assert "is not there: the Hub makes it when it starts" in await failure(other)
    assert not file.exists()
    hub = SqlLedger.at(f"sqlite:///{file}", upgrade=True)
    await hub.record([grant()])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # And whoever could not read it can now.
    assert len(await other.history(EVERYONE)) == 1
    await hub.aclose()
    await other.aclose()


async def test_who_makes_tables_makes_them_where_there_are_none_and_changes_none(tmp_path: Path):
    """A command may be the first to write. To bring older tables up to date is the Hub's."""
    file = tmp_path / "ledger.sqlite"
    command = SqlLedger.at(f"sqlite:///{file}")
    command.database.makes_tables = True
    await command.record([grant()])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await command.aclose()
    with sqlite3.connect(file) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = 'older'")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(database, "REVISIONS", ("older", "newest"))
        again = SqlLedger.at(f"sqlite:///{file}")
        again.database.makes_tables = True
        with pytest.raises(LedgerUnavailable, match=r"has older tables \(revision older\)"):
            await again.record([grant()])
        await again.aclose()


@pytest.mark.parametrize("content", [b"no database at all" * 100, None])
async def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes | None):
    file = tmp_path / "ledger.sqlite"
    file.write_bytes(content) if content else file.mkdir()
    journal = SqlLedger.at(f"sqlite:///{file}", upgrade=True)
    assert "cannot be used" in await failure(journal)
    assert file.is_dir() if content is None else file.read_bytes() == content
    await journal.aclose()


async def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path):
    journal = SqlLedger.at(f"sqlite:///{tmp_path}/none/ledger.sqlite", upgrade=True)
    assert "No such file or directory" in await failure(journal)
    assert not (tmp_path / "none").exists()
    await journal.aclose()


async def test_what_an_error_is_about_is_not_in_it(tmp_path: Path):
    """Names and reasons are not for every log."""
    file = tmp_path / "ledger.sqlite"
    journal = SqlLedger.at(f"sqlite:///{file}", upgrade=True)
    await journal.record([grant()])
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE usage_quotas_entries")
    with pytest.raises(LedgerUnavailable) as failed:
        await journal.record([grant(reason="a private matter")], key="confidential")
    assert "no such table" in str(failed.value)
    assert not any(one in str(failed.value) for one in ("private", "confidential", "INSERT"))
    await journal.aclose()


async def test_a_closed_ledger_says_so_and_closes_again(tmp_path: Path):
    journal = SqlLedger.at(f"sqlite:///{tmp_path}/ledger.sqlite", upgrade=True)
    await journal.record([grant()])
    await journal.aclose()
    assert "was closed" in await failure(journal)
    await journal.aclose()


async def test_a_name_that_no_ledger_has_finds_nothing(tmp_path: Path):
    """Names come from addresses of pages, too."""
    journal = SqlLedger.at(f"sqlite:///{tmp_path}/ledger.sqlite", upgrade=True)
    await journal.record([grant()])
    for name in ("\ud800", "\x00", "a\nb", "", "x" * 9999):
        assert await journal.history([Subject(name)]) == []
        assert (await journal.active([Subject(name)], NOW)).by_user == {}
    await journal.aclose()


async def test_sqlite_has_what_it_needs_to_keep_what_it_acknowledged(tmp_path: Path):
    journal = SqlLedger.at(f"sqlite:///{tmp_path}/ledger.sqlite", upgrade=True)
    names = ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers")
    found = await journal.database.read(
        lambda connection: [connection.exec_driver_sql(f"PRAGMA {one}").scalar() for one in names]
    )
    assert found == ["wal", 2, 1, 1]  # 2 is FULL
    await journal.aclose()


@pytest.mark.parametrize("networked", [True, False])
def test_where_a_log_of_shared_memory_cannot_work_there_is_a_rollback_journal(
    tmp_path: Path, networked: bool
):
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    assert sqlite.set_journal(connection, networked=networked) == ["wal", "delete"][networked]
    # Also of a database that was elsewhere before.
    assert sqlite.set_journal(connection, networked=True) == "delete"
    connection.close()


MOUNTED = """\
rootfs / ext4 rw 0 0
server:/homes {0} nfs4 rw 0 0
//server/share {0}/with\\040space cifs rw 0 0
tmpfs {0}/near tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("hub/ledger.sqlite", "nfs4"),
        ("with space/ledger.sqlite", "cifs"),
        ("near/ledger.sqlite", "tmpfs"),
        ("nearby/ledger.sqlite", "nfs4"),
        ("../ledger.sqlite", "ext4"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(tmp_path: Path, file: str, kind: str):
    mounts, homes = tmp_path / "mounts", tmp_path.resolve() / "homes"
    mounts.write_text(MOUNTED.format(homes))
    assert sqlite.filesystem_of(homes / file, mounts) == kind
    assert sqlite.filesystem_of(homes / file, tmp_path / "none") == ""


def test_the_revisions_we_know_are_those_that_there_are():
    from alembic.config import Config  # noqa: PLC0415 only here
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    from jupyterhub_usage_quotas.ledger.sql.database import MIGRATIONS  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", os.fspath(MIGRATIONS))
    found = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(found)) == REVISIONS


@given(st.floats(10**-DECIMALS, LARGEST))
def test_an_amount_is_stored_as_a_whole_number_that_gives_it_back(amount: float):
    rounded = round(amount, DECIMALS)
    stored = stored_amount(rounded)
    assert stored.isdecimal()
    assert len(stored) <= 40
    assert int(stored) / 10**DECIMALS == rounded
