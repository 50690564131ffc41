"""What `doctor` says of a ledger in SQL."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jupyterhub_usage_quotas import Grant, SqlLedger
from jupyterhub_usage_quotas.doctor.checks.jupyterhub import ledger as examine
from jupyterhub_usage_quotas.ledger.sql.cached import CachedLedger
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
POLICY = {
    "name": "week",
    "resource": "time",
    "limit": "1 hour",
    "window": 7,
    "scope": {"everyone": True},
}


async def said(file: Path) -> list[tuple[str, str]]:
    """The status and the words of every finding."""
    kept = CachedLedger(SqlLedger.at(f"sqlite:///{file}"))
    manager = SimpleNamespace(ledger=kept, policies=parse_policies([POLICY]))
    deployment: Any = SimpleNamespace(manager=manager, clock=lambda: NOW)
    found = await examine(deployment)
    await kept.aclose()
    return [(one.status, one.says) for one in found]


async def written(file: Path) -> None:
    ledger = SqlLedger.at(f"sqlite:///{file}", upgrade=True)
    until = NOW + timedelta(days=7)
    more = Grant("week", NOW, until, "ada", actor="tutor", reason="late", amount=60.0)
    await ledger.record([more, more])
    await ledger.aclose()


async def test_one_that_nobody_made_or_can_read_is_named(tmp_path: Path):
    ((status, words),) = await said(tmp_path / "ledger.sqlite")
    assert status == "failed"
    assert "is not there: the Hub makes it when it starts" in words


async def test_one_that_is_whole_says_how_many_entries_it_has(tmp_path: Path):
    await written(tmp_path / "ledger.sqlite")
    readable, whole = await said(tmp_path / "ledger.sqlite")
    assert readable == ("ok", "the ledger can be read")
    assert whole[0] == "ok"
    assert whole[1].startswith("all 2 entries are as they were written (head: ")


async def test_an_entry_that_somebody_changed_is_named(tmp_path: Path):
    file = tmp_path / "ledger.sqlite"
    await written(file)
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TRIGGER usage_quotas_no_update")
        connection.execute("UPDATE usage_quotas_entries SET amount = '1' WHERE id = 2")
    _, broken = await said(file)
    assert broken[0] == "failed"
    assert broken[1].startswith("entry 2 of the ledger is not as it was written")
