"""The commands of the page about the ledger, run one after the other as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from jupyterhub_usage_quotas.errors import LedgerUnavailable
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.rows import ChainReport, Noted
from jupyterhub_usage_quotas.ledger.sql.schema import ENTRIES, LOCK, VERSION_TABLE
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from jupyterhub_usage_quotas.quotas.adjustments import Adjustment
from tests.support.adjusting import config_in, hub_with, run
from tests.support.databases import DATABASE, Databases
from tests.support.ledgers import DAY, grant
from tests.support.paths import ROOT

PAGE = ROOT / "docs/how-to/ledger.md"
MORE = """
c.UsageConfig.credit_prices = {"gpu": 10}
c.UsageQuotaManager.policy += [
    {"name": "homes", "resource": "storage", "limit": "exported", "scope": {"everyone": True}},
    {"name": "budget", "resource": "credits", "limit": "100 credits", "window": 7,
     "scope": {"everyone": True}},
]
"""
COMMAND = re.compile(r"^ {4,6}jupyterhub-usage-quotas (.*)$", re.MULTILINE)


LONG_AGO = datetime(2026, 1, 2, tzinfo=UTC)
OF_CARL = grant(user="carl", policy="memory-week", start=LONG_AGO, until=LONG_AGO + DAY)


async def write(url: str, *drafts: Adjustment) -> None:
    ledger = SqlLedger.at(url, upgrade=True, clock=lambda: LONG_AGO)
    await ledger.record(drafts)
    await ledger.aclose()


def test_every_command_does_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, databases: Databases
):
    """The ledger is moved from SQLite to PostgreSQL; without carl, it is a SQLite file again."""
    hub_with(tmp_path, {"ada": ["course"]}, LONG_AGO)
    config = Path(config_in(tmp_path))
    config.write_text(
        config.read_text().replace('"memory", "resource"', '"memory-week", "resource"') + MORE
    )
    monkeypatch.chdir(tmp_path)
    databases["postgresql"].empty()
    urls = [
        f"sqlite:///{tmp_path / 'ledger.sqlite'}",
        databases["postgresql"].url,
        f"sqlite:///{tmp_path / 'new.sqlite'}",
    ]
    outputs = []
    for line in COMMAND.findall(PAGE.read_text()):
        command, _, file = line.partition(" > ")
        if "import" in command:
            config.write_text(config.read_text().replace(urls[0], urls[1]))
            del urls[0]
            if len(urls) == 1:
                assert run("ledger", "list", "--config", str(config)).code == 4, "it is not there"
        elif len(urls) == 2 and "export" in command:
            asyncio.run(write(urls[0], OF_CARL))
        said = run(*shlex.split(command))
        assert said.code == 0, (command, said.err)
        outputs.append(said.out)
        if file:
            Path(file).write_text(said.out)
    assert len(outputs) == 16
    assert outputs[8] == outputs[11], "verify says the same after the ledger was moved"
    assert outputs[11].startswith("6 entries, all as they were written")
    assert outputs[15].startswith("7 entries, all as they were written")
    assert "carl" in outputs[12]
    assert "carl" not in run("ledger", "export", "--config", str(config)).out


def shell_of(section: str, database: str) -> list[str]:
    """The commands for a database in a section of the page."""
    of_section = PAGE.read_text().partition(f"# {section}\n")[2].partition("\n#")[0]
    of_database = of_section.partition(f"**{database}")[2].partition("\n**")[0]
    return re.findall(r"^    (.*)$", of_database, re.MULTILINE)


def execute(commands: Sequence[str], folder: Path, **environment: str) -> None:
    assert commands
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            check=False,
            cwd=folder,
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (command, done.stderr)


@contextmanager
def being_written(url: str) -> Iterator[None]:
    """A ledger into which somebody writes all the time."""
    started, enough = threading.Event(), threading.Event()

    async def keep_writing() -> None:
        ledger = SqlLedger.at(url)
        while not enough.is_set():
            await ledger.record([grant()])
            started.set()
        await ledger.aclose()

    with ThreadPoolExecutor(1) as other:
        writing = other.submit(asyncio.run, keep_writing())
        assert started.wait(60)
        try:
            yield
        finally:
            enough.set()
        writing.result()


async def report_of(url: str, noted: Noted | None = None) -> ChainReport:
    ledger = SqlLedger.at(url)
    try:
        return await ledger.verify(noted)
    finally:
        await ledger.aclose()


@dataclass
class Kept:
    """A ledger in use, how it is lost, and where it is restored."""

    name: str
    url: str
    environment: dict[str, str]
    lose: Callable[[], object]
    restored: str
    environment_then: dict[str, str]


def of_sqlite(folder: Path, _databases: Databases) -> Kept:
    file = folder / "usage-quotas.sqlite"
    url = f"sqlite:///{file}"
    # Its write-ahead log stays, of another ledger than the restored one.
    return Kept("SQLite", url, {}, lambda: file.write_bytes(b""), url, {})


def of_postgresql(_folder: Path, databases: Databases) -> Kept:
    server = databases["postgresql"]
    new = server.url.replace(f"/{DATABASE}", "/restored")
    server.run("DROP DATABASE IF EXISTS restored", "CREATE DATABASE restored")
    then = {"LEDGER": new}
    return Kept("PostgreSQL", server.url, {"LEDGER": server.url}, server.empty, new, then)


def of_mariadb(folder: Path, databases: Databases) -> Kept:
    server = databases["mariadb"]
    url = make_url(server.url)
    client = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
    lines = "".join(f'{name} = "{value}"\n' for name, value in client.items())
    (folder / "quotas.cnf").write_text(f"[client]\n{lines}")

    def lose() -> None:
        drops = [f"DROP TABLE {one}" for one in (LOCK.name, ENTRIES.name, VERSION_TABLE)]
        server.run(*drops)

    return Kept("MariaDB", server.url, {}, lose, server.url, {})


@pytest.mark.parametrize("made", [of_sqlite, of_postgresql, of_mariadb])
def test_a_backup_of_a_ledger_in_use_is_whole_and_restored(
    tmp_path: Path, databases: Databases, made: Callable[[Path, Databases], Kept]
):
    kept = made(tmp_path, databases)
    if kept.name != "SQLite":
        databases[kept.name.lower()].empty()
    asyncio.run(write(kept.url, *[grant()] * 20))
    before = asyncio.run(report_of(kept.url))
    with being_written(kept.url):
        execute(shell_of("Back it up", kept.name), tmp_path, **kept.environment)
    after = asyncio.run(report_of(kept.url))
    kept.lose()
    execute(shell_of("Restore it", kept.name), tmp_path, **kept.environment_then)
    found = asyncio.run(report_of(kept.restored, Noted(before.entries, before.head)))
    assert (found.broken_at, found.why) == (None, "")
    assert before.entries < found.entries <= after.entries
    # It is a ledger again: it takes more, and is append-only.
    asyncio.run(write(kept.restored, grant()))
    ledger = Database(parse_ledger_url(kept.restored))
    with pytest.raises(LedgerUnavailable, match="append-only"):
        asyncio.run(ledger.write(lambda one: one.execute(ENTRIES.update().values(reason="x"))))
    asyncio.run(ledger.aclose())
