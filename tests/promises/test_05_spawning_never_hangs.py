"""Promise 5: our part of a launch has its own deadline, whatever Prometheus or the ledger does."""

from __future__ import annotations

import asyncio

import pytest

from jupyterhub_usage_quotas.config.usage import UsageConfig
from jupyterhub_usage_quotas.hub.launch.denial import LaunchDenied
from tests.support.fake_prometheus import USER, alive, counted, hang, manager, prometheus, spawner

__all__ = ["prometheus"]

FAILOVERS = "jupyterhub_usage_quotas_failovers_total"
DEADLINE = 0.3
FOR_EVER = 60.0
"""What does not end by itself; well below any deadline of the tests."""


class SilentLedger:
    """One whose database does not answer."""

    async def active(self, *_):
        await asyncio.Event().wait()

    async def aclose(self):
        pass


async def test_a_launch_ends_with_the_deadline_when_prometheus_never_answers(prometheus):
    prometheus.side_effect = hang
    before = counted(FAILOVERS, reason="timeout")
    asked = manager(failover_open=True, deadline=DEADLINE)
    await asyncio.wait_for(asked.pre_spawn_start(USER, spawner()), FOR_EVER)
    assert counted(FAILOVERS, reason="timeout") == before + 1
    await asked.aclose()


async def test_and_when_the_ledger_never_answers(prometheus):
    prometheus.side_effect = alive
    asked = manager(ledger=SilentLedger(), failover_open=False, deadline=DEADLINE)
    with pytest.raises(LaunchDenied) as denied:
        await asyncio.wait_for(asked.pre_spawn_start(USER, spawner()), FOR_EVER)
    assert denied.value.status_code == 503
    await asked.aclose()


async def test_and_when_the_options_of_the_server_never_load(prometheus):
    async def load_user_options():
        await asyncio.Event().wait()

    stuck = spawner()
    stuck.load_user_options = load_user_options
    asked = manager(failover_open=False, deadline=DEADLINE)
    with pytest.raises(LaunchDenied) as denied:
        await asyncio.wait_for(asked.pre_spawn_start(USER, stuck), FOR_EVER)
    assert denied.value.status_code == 503
    await asked.aclose()


def test_without_any_setting_it_is_five_seconds():
    assert UsageConfig().deadline == 5.0
