"""What the Hub does with a ledger in SQL: when it starts, and while its database is away."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from jupyterhub_usage_quotas import Exemption, Grant, LaunchDenied, Override, SqlLedger
from jupyterhub_usage_quotas.errors import ConfigurationError, LedgerUnavailable
from jupyterhub_usage_quotas.hub.ledger import open_ledger
from jupyterhub_usage_quotas.hub.metrics.ledger import LedgerMetrics
from jupyterhub_usage_quotas.ledger.sql.cached import CachedLedger, Numbers
from jupyterhub_usage_quotas.quotas.subject import EVERYONE
from tests.support.fake_prometheus import USER, alive, manager, prometheus, spawner

__all__ = ["prometheus"]

PREFIX = "jupyterhub_usage_quotas_"
LOG = logging.getLogger("test_ledger")
NOW = datetime.now(UTC)
MORE = Grant("week", NOW, NOW + timedelta(days=7), "ada", actor="t", reason="late", amount=7200.0)


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(PREFIX + name, labels) or 0.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def ledger_at(file: Path) -> CachedLedger:
    return CachedLedger(SqlLedger.at(f"sqlite:///{file}"))


def run(file: Path, statement: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute(statement)


AWAY = "ALTER TABLE usage_quotas_entries RENAME TO away"


async def test_it_makes_the_tables_and_reads_them_before_it_serves(file: Path):
    hub = ledger_at(file)
    open_ledger(hub, LOG)
    assert metric("ledger_age_seconds") < 60
    await hub.record([MORE])
    again = ledger_at(file)
    open_ledger(again, LOG)
    run(file, AWAY)
    assert [one.amount for one in (await again.active(EVERYONE, NOW)).by_user["ada"]] == [7200]
    await hub.aclose()
    await again.aclose()


class Counting(LedgerMetrics):
    """Says when adjustments were counted."""

    def __init__(self, log: logging.Logger) -> None:
        super().__init__(log)
        self.done = asyncio.Event()

    def counted(self, numbers: Numbers) -> None:
        super().counted(numbers)
        self.done.set()


async def test_what_was_decided_is_counted_by_kind_whoever_wrote_it(file: Path):
    hub = ledger_at(file)
    open_ledger(hub, LOG)
    assert metric("ledger_entries_total", kind="grant") == 0
    other = SqlLedger.at(f"sqlite:///{file}")
    common = {"actor": "t", "reason": "late"}
    week, later = NOW + timedelta(days=7), NOW + timedelta(days=1)
    await other.record(
        [
            MORE,
            replace(MORE, start=later),
            replace(MORE, user="bob"),
            Override("week", NOW, week, "ada", limit=1.0, **common),
            Exemption("week", NOW, week, None, **common),
        ]
    )
    await other.void(3, **common)

    def numbers(name: str) -> dict[str, float]:
        kinds = ("grant", "override", "exemption", "void")
        found = {kind: REGISTRY.get_sample_value(PREFIX + name, {"kind": kind}) for kind in kinds}
        return {kind: number for kind, number in found.items() if number is not None}

    hub.events = counting = Counting(LOG)
    keeping = asyncio.create_task(hub.keep())
    async with asyncio.timeout(20):
        await counting.done.wait()
    keeping.cancel()
    in_force = {"grant": 1, "override": 1, "exemption": 1}
    written = {"grant": 3, "override": 1, "exemption": 1, "void": 1}
    assert (numbers("adjustments"), numbers("ledger_entries_total")) == (in_force, written)
    again = ledger_at(file)
    open_ledger(again, LOG)
    assert (numbers("adjustments"), numbers("ledger_entries_total")) == (in_force, written)
    for one in (hub, other, again):
        await one.aclose()


async def test_tables_of_a_newer_version_stop_it_with_a_line(file: Path):
    first = ledger_at(file)
    open_ledger(first, LOG)
    await first.aclose()
    run(file, "UPDATE usage_quotas_alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError) as refused:
        open_ledger(ledger_at(file), LOG)
    (line,) = refused.value.errors
    assert line.startswith("UsageConfig.ledger_url: the ledger at sqlite:///")
    assert "newer version of jupyterhub-usage-quotas: got revision 9999" in line


async def test_a_database_that_is_away_is_logged_once_and_counted_each_time(file: Path, caplog):
    caplog.set_level(logging.INFO)
    ledger, before = (
        ledger_at(file.parent / "none" / "ledger.sqlite"),
        metric("ledger_failures_total"),
    )
    open_ledger(ledger, LOG)
    for _ in range(2):
        with pytest.raises(LedgerUnavailable):
            await ledger.refresh()
    assert metric("ledger_failures_total") == before + 3
    (file.parent / "none").mkdir()
    await ledger.refresh()
    first, last = [one.getMessage() for one in caplog.records if one.name == LOG.name]
    assert first.startswith("The ledger cannot be read: the ledger at sqlite:///")
    assert "go on counting" in first
    assert last == "The ledger can be read again"
    assert [one.exc_info for one in caplog.records if one.name == LOG.name] == [None, None]
    await ledger.aclose()


@pytest.mark.parametrize("failover_open", [True, False])
async def test_a_launch_before_it_was_read_is_left_to_failover_with_the_reason(
    prometheus, file: Path, caplog, failover_open: bool
):
    prometheus.side_effect = alive
    deciding = manager(ledger=ledger_at(file), failover_open=failover_open)
    before = metric("failovers_total", reason="ledger_unavailable")
    if failover_open:
        await deciding.pre_spawn_start(USER, spawner())
    else:
        with pytest.raises(LaunchDenied) as denied:
            await deciding.pre_spawn_start(USER, spawner())
        assert denied.value.status_code == 503
    assert metric("failovers_total", reason="ledger_unavailable") == before + 1
    # It is no bug of ours, and says where to look.
    (line,) = [one for one in caplog.records if "ledger_unavailable" in one.getMessage()]
    assert "is not there: the Hub makes it when it starts" in line.getMessage()
    assert not any(one.exc_info for one in caplog.records)
    await deciding.aclose()


async def test_a_launch_counts_what_was_read_before_its_database_went_away(prometheus, file: Path):
    prometheus.side_effect = alive
    nothing = {"name": "week", "resource": "cpu", "limit": 0, "window": 7}
    ledger = ledger_at(file)
    open_ledger(ledger, LOG)
    deciding = manager(policy=[nothing | {"scope": {"everyone": True}}], ledger=ledger)
    with pytest.raises(LaunchDenied):
        await deciding.pre_spawn_start(USER, spawner())
    await ledger.record([replace(MORE, user=USER.name)])
    run(file, AWAY)
    with pytest.raises(LedgerUnavailable):
        await ledger.refresh()
    await deciding.pre_spawn_start(USER, spawner())
    await deciding.aclose()
