"""Where Prometheus cannot be trusted, launches fail over as configured: through the manager's
own entry point, with every failure faked at the transport.
"""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import respx
from prometheus_client import REGISTRY

from jupyterhub_usage_quotas.hub.launch.denial import LaunchDenied
from tests.support.fake_prometheus import FAILURES, URL, alive, hang, manager

USER = SimpleNamespace(name="alice", groups=[], spawners={})


def spawner() -> Any:
    return SimpleNamespace(name="", handler=None, user_options={})


def counted(metric: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(metric, labels) or 0.0


@pytest.fixture
def prometheus():
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield router.route(method="POST")


@pytest.mark.parametrize("failure", FAILURES)
async def test_failing_open_allows_and_counts(prometheus, failure):
    prometheus.side_effect, reason = FAILURES[failure]
    before = counted("jupyterhub_usage_quotas_failovers_total", reason=reason)
    asked = manager(failover_open=True)
    await asked.pre_spawn_start(USER, spawner())
    await asked.aclose()
    assert counted("jupyterhub_usage_quotas_failovers_total", reason=reason) == before + 1


@pytest.mark.parametrize("failure", FAILURES)
async def test_failing_closed_denies_with_a_message_of_its_own(prometheus, failure):
    prometheus.side_effect, _ = FAILURES[failure]
    asked = manager(failover_open=False)
    with pytest.raises(LaunchDenied) as denied:
        await asked.pre_spawn_start(USER, spawner())
    await asked.aclose()
    assert denied.value.status_code == 503
    assert "cannot check usage quotas" in denied.value.jupyterhub_message
    assert "alice" not in denied.value.jupyterhub_message


@pytest.mark.parametrize("failure", FAILURES)
async def test_the_cause_is_logged_once(prometheus, failure, caplog):
    prometheus.side_effect, reason = FAILURES[failure]
    asked = manager(failover_open=True)
    caplog.set_level(logging.WARNING, logger="httpx")
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            await asked.pre_spawn_start(USER, spawner())
        assert [reason in record.getMessage() for record in caplog.records] == [True]
        assert caplog.records[0].levelno == logging.WARNING
        # Once it is well again, that is said, and the next failure is news.
        prometheus.side_effect = alive
        await asked.pre_spawn_start(USER, spawner())
        assert "Usage data is available again" in caplog.records[1].getMessage()
        prometheus.side_effect, _ = FAILURES[failure]
        await asked.pre_spawn_start(USER, spawner())
        assert reason in caplog.records[2].getMessage()
    await asked.aclose()


async def test_a_launch_is_never_delayed_past_the_deadline(prometheus):
    """The answer never comes, so whatever ends the wait is the deadline."""
    prometheus.side_effect = hang
    asked = manager(failover_open=True)
    await asyncio.wait_for(asked.pre_spawn_start(USER, spawner()), timeout=30)
    await asked.aclose()


async def test_options_that_never_load_do_not_delay_it_either(prometheus):
    async def load_user_options():
        await asyncio.Event().wait()

    stuck = spawner()
    stuck.load_user_options = load_user_options
    asked = manager(failover_open=False)
    with pytest.raises(LaunchDenied) as denied:
        await asyncio.wait_for(asked.pre_spawn_start(USER, stuck), timeout=30)
    assert denied.value.status_code == 503
    await asked.aclose()


async def test_a_fault_of_ours_is_failover_and_keeps_its_traceback(prometheus, caplog):
    faulty = spawner()
    faulty.extra_resource_limits = {"nvidia.com/gpu": "not a number"}
    asked = manager(failover_open=True)
    await asked.pre_spawn_start(USER, faulty)
    await asked.aclose()
    assert any(record.exc_info for record in caplog.records)
    assert counted("jupyterhub_usage_quotas_failovers_total", reason="internal_error") >= 1


async def test_what_the_spawner_refuses_is_the_spawners_to_say(prometheus, caplog):
    """Options that do not validate: the same error as without quotas, and no failover."""

    async def load_user_options():
        raise ValueError("no such profile")

    faulty = spawner()
    faulty.load_user_options = load_user_options
    asked = manager(failover_open=False)
    with pytest.raises(ValueError, match="no such profile"):
        await asked.pre_spawn_start(USER, faulty)
    await asked.aclose()
    assert caplog.records == []


async def test_off_asks_nobody(prometheus):
    asked = manager(enforcement="off", failover_open=False)
    await asked.pre_spawn_start(USER, spawner())
    assert not prometheus.called
    await asked.aclose()


async def test_shadow_never_denies_even_when_it_fails_closed(prometheus):
    prometheus.side_effect = httpx.ConnectError("refused")
    asked = manager(enforcement="shadow", failover_open=False)
    name = "jupyterhub_usage_quotas_decisions_total"
    before = counted(name, outcome="failover_closed", enforcement="shadow")
    await asked.pre_spawn_start(USER, spawner())
    assert counted(name, outcome="failover_closed", enforcement="shadow") == before + 1
    await asked.aclose()


async def test_statuses_are_configurable(prometheus):
    prometheus.side_effect = httpx.ConnectError("refused")
    asked = manager(failover_open=False, unavailable_status=500)
    with pytest.raises(LaunchDenied) as denied:
        await asked.pre_spawn_start(USER, spawner())
    assert denied.value.status_code == 500
    await asked.aclose()
