"""Where Prometheus cannot be trusted, launches fail over as configured: through the manager's
own entry point, with every failure faked at the transport.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.hub.launch.denial import LaunchDenied
from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from jupyterhub_usage_quotas.quotas.adjustments import Adjustments, Exemption, Grant, Override
from tests.support.fake_prometheus import (
    FAILURES,
    NEVER,
    USER,
    alive,
    counted,
    manager,
    prometheus,
    spawner,
)

__all__ = ["prometheus"]

SOON = 0.3
"""Seconds: of what never answers, the deadline is the whole duration."""


def failing(failure: str, deadline: float = SOON, **options: Any) -> UsageQuotaManager:
    """A manager that does not wait for what never comes, and waits for everything else."""
    return manager(**options, **({"deadline": deadline} if failure == NEVER else {}))


@pytest.mark.parametrize("failure", FAILURES)
async def test_failing_open_allows_and_counts(prometheus, failure):
    prometheus.side_effect, reason = FAILURES[failure]
    before = counted("jupyterhub_usage_quotas_failovers_total", reason=reason)
    asked = failing(failure, failover_open=True)
    await asked.pre_spawn_start(USER, spawner())
    await asked.aclose()
    assert counted("jupyterhub_usage_quotas_failovers_total", reason=reason) == before + 1


@pytest.mark.parametrize("failure", FAILURES)
async def test_failing_closed_denies_with_a_message_of_its_own(prometheus, failure):
    prometheus.side_effect, _ = FAILURES[failure]
    asked = failing(failure, failover_open=False)
    with pytest.raises(LaunchDenied) as denied:
        await asked.pre_spawn_start(USER, spawner())
    await asked.aclose()
    assert denied.value.status_code == 503
    assert "cannot check usage quotas" in denied.value.jupyterhub_message
    assert "alice" not in denied.value.jupyterhub_message


@pytest.mark.parametrize("failure", FAILURES)
async def test_the_cause_is_logged_once(prometheus, failure, caplog):
    prometheus.side_effect, reason = FAILURES[failure]
    # Long enough for the launch amid them to be answered on a machine that is busy.
    asked = failing(failure, deadline=2.0, failover_open=True)
    caplog.set_level(logging.WARNING, logger="httpx")
    with caplog.at_level(logging.INFO):
        for _ in range(2):
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


# --- what people decided ------------------------------------------------------------------------

NOW = datetime.now(UTC)
FROM, UNTIL = NOW - timedelta(days=1), NOW + timedelta(days=1)
NOTHING = {"name": "x", "resource": "cpu", "limit": 0, "window": 7, "scope": {"everyone": True}}
BUG = "a bug of ours"
EXEMPT = Exemption("x", FROM, UNTIL, user="alice")
MORE = [
    Grant("x", FROM, UNTIL, user="alice", amount=3600.0),
    Override("x", FROM, UNTIL, user="alice", limit=3600.0),
    Grant("x", FROM, datetime.max.replace(tzinfo=UTC), amount=3600.0),
]
OF_NO_HELP = [
    Exemption("x", FROM, UNTIL, user="bob"),
    Exemption("x", FROM, NOW - timedelta(hours=1), user="alice"),
]


async def outcome(failure, prometheus, adjustments, **options):
    """The status of the denial of a launch amid a failure; 0 where it starts."""
    prometheus.side_effect = ValueError(BUG) if failure == BUG else FAILURES[failure][0]
    ledger = MemoryLedger(adjustments)
    asked = failing(failure, policy=[NOTHING], ledger=ledger, **options)
    try:
        await asked.pre_spawn_start(USER, spawner())
    except LaunchDenied as denied:
        return denied.status_code
    finally:
        await asked.aclose()
    return 0


@pytest.mark.parametrize("failure", [*FAILURES, BUG])
async def test_who_is_exempt_starts_whatever_fails(prometheus, failure):
    assert await outcome(failure, prometheus, [EXEMPT], failover_open=False) == 0


@pytest.mark.parametrize("failure", [NEVER, "connection refused", BUG])
@pytest.mark.parametrize("adjustment", MORE)
@pytest.mark.parametrize(("failover_open", "status"), [(True, 0), (False, 503)])
async def test_with_more_than_a_limit_of_zero_failover_decides(
    prometheus, failure, adjustment, failover_open, status
):
    found = await outcome(failure, prometheus, [adjustment], failover_open=failover_open)
    assert found == status


@pytest.mark.parametrize("failure", [NEVER, BUG])
@pytest.mark.parametrize("adjustment", OF_NO_HELP)
async def test_a_limit_of_zero_stays_zero_by_what_is_not_in_force(prometheus, failure, adjustment):
    assert await outcome(failure, prometheus, [adjustment], failover_open=True) == 429


async def test_a_launch_that_is_given_up_asks_the_ledger_no_longer(prometheus):
    prometheus.side_effect = alive
    asked, ended = asyncio.Event(), asyncio.Event()

    class Slow(MemoryLedger):
        async def active(self, _subjects, _at):
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    asking = manager(policy=[NOTHING], ledger=Slow([]), deadline=60)
    launch = asyncio.create_task(asking.pre_spawn_start(USER, spawner()))
    await asked.wait()
    launch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await launch
    async with asyncio.timeout(10):
        await ended.wait()
    await asking.aclose()


@pytest.mark.parametrize("failure", [OSError("the disk is gone"), NEVER])
async def test_a_ledger_that_fails_leaves_launches_to_failover(prometheus, failure):
    class Failing(MemoryLedger):
        async def active(self, _subjects, _at):
            if isinstance(failure, Exception):
                raise failure
            await asyncio.Event().wait()
            return Adjustments()

    prometheus.side_effect = alive
    asked = failing(str(failure), failover_open=False, ledger=Failing())
    with pytest.raises(LaunchDenied) as denied:
        await asked.pre_spawn_start(USER, spawner())
    await asked.aclose()
    assert denied.value.status_code == 503
