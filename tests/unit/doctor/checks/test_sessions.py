"""What `doctor` says of the session log: is it written, and does Prometheus say the same?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyterhub_usage_quotas.doctor.checks.sessions import session_log
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.ledger.sql.cached import CachedLedger
from jupyterhub_usage_quotas.ledger.sql.sessions import SessionChanges, SqlSessions
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.quotas.sessions import Session, Watch
from tests.support.made_up import MadeUp
from tests.support.made_up import Session as Ran

NOW = 1_795_867_200.0
HOUR = 3600.0
WATCH = Watch("w" * 32, "", NOW - 10 * HOUR, NOW - 5)
SESSION = Session("s" * 32, "", "ada", "", NOW - 6 * HOUR, NOW - 5 * HOUR, NOW - 5 * HOUR)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[CachedLedger]:
    made = CachedLedger(SqlLedger.at(f"sqlite:///{tmp_path / 'log.sqlite'}", upgrade=True))
    await made.journal.verify()
    yield made
    await made.aclose()


def deployment(ledger: Any, source: MadeUp | None = None, **more: Any) -> Any:
    options = {"hub_namespace": "", "session_heartbeat": 60.0, "counts_sessions": source is None}
    manager = SimpleNamespace(ledger=ledger, has_prometheus=bool(source), **(options | more))
    clock = lambda: datetime.fromtimestamp(NOW, UTC)  # noqa: E731
    return SimpleNamespace(manager=manager, source=source, prometheus=None, clock=clock)


async def written(ledger: CachedLedger, watch: Watch = WATCH, *sessions: Session) -> None:
    await SqlSessions(ledger.journal.database).write(SessionChanges(watch, sessions))


async def said(*arguments: Any, **more: Any) -> list[tuple[str, str]]:
    return [(one.status, one.says) for one in await session_log(deployment(*arguments, **more))]


async def test_without_a_ledger_there_is_none():
    ((status, _),) = await said(NO_LEDGER, counts_sessions=False)
    assert status == "skipped"
    ((status, words),) = await said(NO_LEDGER)
    assert (status, "set UsageConfig.ledger_url" in words) == ("failed", True)


async def test_a_hub_that_never_wrote_is_named(ledger: CachedLedger):
    ((status, words),) = await said(ledger)
    assert (status, "has not written" in words) == ("failed", True)
    ((status, _),) = await said(ledger, counts_sessions=False)
    assert status == "warning"


async def test_one_that_writes_is_well_and_one_that_stopped_is_not(ledger: CachedLedger):
    await written(ledger, WATCH, SESSION)
    ((status, words),) = await said(ledger)
    assert status == "ok"
    assert "1 session, of which 0 run" in words
    ((status, words),) = await said(ledger, session_heartbeat=1.0)
    assert status == "failed"


async def test_a_database_that_is_away_is_not_a_crash(tmp_path: Path):
    away = CachedLedger(SqlLedger.at(f"sqlite:///{tmp_path / 'none.sqlite'}"))
    ((status, words),) = await said(away)
    assert (status, "cannot be read" in words) == ("failed", True)
    await away.aclose()


@pytest.mark.parametrize(
    ("hours", "status", "figures"),
    [
        (1.0, "ok", "the Hub saw 1.0 server-hours, Prometheus 1.0"),
        (0.98, "ok", "the Hub saw 1.0 server-hours, Prometheus 1.0"),
        (0.5, "warning", "the Hub saw 1.0 server-hours, Prometheus 0.5"),
        (3.0, "warning", "the Hub saw 1.0 server-hours, Prometheus 3.0"),
        (0.0, "warning", "the Hub saw 1.0 server-hours, Prometheus 0.0"),
    ],
)
async def test_it_is_compared_with_prometheus(ledger: CachedLedger, hours, status, figures):
    await written(ledger, WATCH, SESSION)
    ran = Ran(NOW - 6 * HOUR, NOW - (6 - hours) * HOUR, {"time": 1.0, "memory": 2.0})
    # What ran while the Hub did not watch is no difference.
    before = Ran(NOW - 20 * HOUR, NOW - 12 * HOUR, {"time": 1.0})
    found = await said(ledger, MadeUp({"ada": [ran, before]}))
    assert [one for one, _ in found] == ["ok", status]
    assert figures in found[1][1]


async def test_a_prometheus_that_never_saw_anything_is_not_compared(ledger: CachedLedger):
    await written(ledger, WATCH, SESSION)
    found = await said(ledger, MadeUp({}, alive=False))
    assert found[1] == ("skipped", "the session log and Prometheus have no time in common yet")
