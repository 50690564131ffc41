"""Promise 7: doubt never stops a server. Only Fresh readings, several in a row, can; and it is
looked once more right before.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from jupyterhub_usage_quotas.conventions import Reason
from jupyterhub_usage_quotas.errors import LedgerUnavailable
from jupyterhub_usage_quotas.quotas.usage import Unknown
from tests.support.guarding import MadeUpHub

HOURS = 2


async def prometheus_is_away(hub, _ledger, _minute, _monkeypatch):
    hub.meter.unknown = Unknown(Reason.UNREACHABLE, "away")


async def prometheus_answers_every_other_minute(hub, _ledger, minute, _monkeypatch):
    hub.meter.unknown = None if minute % 2 else Unknown(Reason.TIMEOUT, "slow")


async def prometheus_is_an_hour_behind(hub, _ledger, _minute, _monkeypatch):
    hub.read = lambda: None
    hub.meter.covered_until = hub.now - timedelta(hours=1)


async def the_ledger_is_locked(_hub, ledger, _minute, monkeypatch):
    def away(*_args, **_more):
        raise LedgerUnavailable("the database is locked")

    monkeypatch.setattr(ledger.journal.database, "read", away)
    monkeypatch.setattr(ledger.journal.database, "write", away)


async def the_hub_is_killed_again_and_again(hub, ledger, minute, _monkeypatch):
    if minute % 2 == 0:
        await hub.guard.aclose()
        ledger.on_change.clear()
        hub.watch(ledger)


async def the_clock_is_set_back_and_forth(hub, _ledger, minute, _monkeypatch):
    if minute % 2 == 0:
        hub.now += timedelta(hours=2 if minute % 4 else -2)


FAULTS = [
    prometheus_is_away,
    prometheus_answers_every_other_minute,
    prometheus_is_an_hour_behind,
    the_ledger_is_locked,
    the_hub_is_killed_again_and_again,
    the_clock_is_set_back_and_forth,
]


@pytest.mark.parametrize("over", [61, 64, 66])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_server_over_its_quota_runs_on(fault, over, tmp_path, monkeypatch):
    hub = MadeUpHub()
    ledger = hub.ledger(tmp_path)
    hub.start(hub.user("ada"))
    hub.watch(ledger)
    await hub.minutes(over)
    for minute in range(HOURS * 60):
        await fault(hub, ledger, minute, monkeypatch)
        await hub.minutes(1)
    assert hub.deleted == []
    await hub.guard.aclose()
    await ledger.aclose()


async def test_without_a_fault_it_is_stopped():
    hub = MadeUpHub()
    hub.start(hub.user("ada"))
    hub.watch()
    await hub.minutes(70)
    assert len(hub.deleted) == 1
    await hub.guard.aclose()
