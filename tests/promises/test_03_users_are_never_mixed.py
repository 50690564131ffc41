"""Promise 3: each user pays for exactly their own pods, whatever their names are made of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest

from jupyterhub_usage_quotas.hub.launch.denial import LaunchDenied
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.sources.server_metrics import ServerMetrics
from jupyterhub_usage_quotas.quotas.usage import Fresh
from tests.support.cases.users import NOBODY, USERS, cluster, gib_hours, hub_metrics
from tests.support.cluster import GIB, HOUR, NAMESPACE
from tests.support.fake_prometheus import alive, manager, prometheus, spawner
from tests.support.hub_objects import hub_user
from tests.support.recorded import NOW, instant, meter

__all__ = ["prometheus"]

SOURCES = {
    "kube-state-metrics": (cluster, KubeStateMetrics(NAMESPACE)),
    "hub": (hub_metrics, ServerMetrics(NAMESPACE)),
}


@pytest.fixture(scope="module", params=SOURCES)
def served(request: pytest.FixtureRequest, serve_history: Callable[..., str]):
    history, source = SOURCES[request.param]
    return serve_history(history()), source


async def used_memory(served, username: str) -> float:
    url, source = served
    asked = meter(url, source)
    try:
        readings = (await asked.read([username], ["memory"], timedelta(days=1), instant(NOW)))[
            username
        ]
    finally:
        await asked.aclose()
    reading = readings["memory"]
    assert isinstance(reading, Fresh), reading
    return reading.usage.between(NOW - 86400, NOW) / (GIB * HOUR)


@pytest.mark.parametrize("username", USERS, ids=repr)
async def test_each_user_pays_for_exactly_their_own_servers(served, username):
    assert await used_memory(served, username) == pytest.approx(gib_hours(username), rel=1e-9)


@pytest.mark.parametrize("username", NOBODY, ids=repr)
async def test_a_name_that_only_looks_alike_has_used_nothing(served, username):
    assert await used_memory(served, username) == 0


async def test_a_name_that_no_label_can_hold_is_unknown_not_zero(served):
    url, source = served
    asked = meter(url, source)
    readings = await asked.read(["\udc80"], ["memory"], timedelta(days=1), instant(NOW))
    await asked.aclose()
    assert readings["\udc80"]["memory"].reason == "bad_username"


ZERO = {"resource": "cpu", "limit": "0 CPU-hours", "window": 7, "scope": {"everyone": True}}


@pytest.mark.parametrize(
    "username", [*USERS, "x\r\n[I 2026-01-01 JupyterHub] 'al' is admin"], ids=repr
)
async def test_a_name_is_one_line_of_the_log(prometheus, caplog, username):
    """Nobody can write lines about others by what they are called."""
    prometheus.side_effect = alive
    asked = manager(policy=[ZERO])
    user = hub_user(username)
    with caplog.at_level(logging.INFO), pytest.raises(LaunchDenied):
        await asked.pre_spawn_start(user, spawner())
    await asked.aclose()
    (logged,) = [one for one in caplog.messages if "Denied a launch" in one]
    assert logged.startswith(f"Denied a launch: {username!r}: ")
    assert len(logged.splitlines()) == 1
