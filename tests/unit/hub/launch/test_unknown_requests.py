"""Launches of which it is not known what the server requests, or what selectors would call it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from jupyterhub_usage_quotas.hub.launch.denial import LaunchDenied
from jupyterhub_usage_quotas.hub.launch.kept import kept_of
from tests.support.fake_prometheus import USER, alive, counted, manager, prometheus
from tests.support.hub_objects import hub_spawner

__all__ = ["prometheus"]

GIB = 1024**3
ALL_GPUS = {"device_requests": [{"Driver": "nvidia", "Capabilities": [["gpu"]], "Count": -1}]}


def gpu(limit: Any, **more: Any) -> dict[str, Any]:
    return {"resource": "gpu", "limit": limit, "window": 7, "scope": {"everyone": True}} | more


def hours(limit: Any, **servers: Any) -> dict[str, Any]:
    return gpu(limit, resource="time", servers=servers)


async def launch(
    policy: list[dict[str, Any]],
    spawner: SimpleNamespace,
    *,
    failover_open: bool,
    **options: Any,
) -> int:
    """The status of the denial of a launch; 0 where it starts."""
    asked = manager(policy=policy, failover_open=failover_open, **options)
    try:
        await asked.pre_spawn_start(USER, spawner)
    except LaunchDenied as denied:
        return denied.status_code
    finally:
        await asked.aclose()
    return 0


@pytest.mark.parametrize("config", [ALL_GPUS, {"runtime": "nvidia"}, lambda spawner: {}])
@pytest.mark.parametrize(("failover_open", "status"), [(True, 0), (False, 503)])
async def test_how_many_gpus_is_not_known(prometheus, config, failover_open, status):
    prometheus.side_effect = alive
    before = counted("jupyterhub_usage_quotas_failovers_total", reason="request_unknown")
    spawner = hub_spawner(extra_host_config=config)
    assert await launch([gpu("10 GPU-hours")], spawner, failover_open=failover_open) == status
    after = counted("jupyterhub_usage_quotas_failovers_total", reason="request_unknown")
    assert after == before + 1


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        (gpu(0), 429),
        (hours(0, gpu=True), 429),
        (hours("10 hours", gpu=True), 0),
        # It has one, however many.
        (hours(0, gpu=False), 0),
        (gpu("10 CPU-hours", resource="cpu"), 0),
    ],
)
async def test_a_server_with_all_gpus_has_one(prometheus, policy, status):
    prometheus.side_effect = alive
    spawner = hub_spawner(extra_host_config=ALL_GPUS)
    assert await launch([policy], spawner, failover_open=False) == status
    if not status:
        assert kept_of(spawner).rates["gpu"] == 1


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        # It may have one, or none.
        (hours(0, gpu=True), 429),
        (hours(0, gpu=False), 429),
        (hours("10 hours", gpu=True), 503),
        (hours("10 hours", gpu=False), 503),
        (gpu("10 CPU-hours", resource="cpu"), 0),
    ],
)
async def test_whether_it_has_a_gpu_is_not_known(prometheus, policy, status):
    prometheus.side_effect = alive
    spawner = hub_spawner(extra_host_config={"runtime": "nvidia"})
    assert await launch([policy], spawner, failover_open=False) == status


@pytest.mark.parametrize(
    "options",
    [
        {"mem_limit": 8 * GIB, "extra_host_config": {"cpu_quota": -1}},
        {"mem_limit": 8 * GIB, "cpu_limit": float("inf")},
        {"mem_limit": 8 * GIB, "req_nprocs": "-4"},
        {"mem_limit": 8 * GIB, "cpu_guarantee": float("nan")},
    ],
)
async def test_an_amount_that_cannot_be_is_not_known_and_the_others_are_kept(prometheus, options):
    prometheus.side_effect = alive
    spawner = hub_spawner(**options)
    assert await launch([gpu("10 GPU-hours")], spawner, failover_open=False) == 0
    assert kept_of(spawner).rates["memory"] == 8 * GIB


def of_options(spawner: Any) -> str:
    return {"yes": "gpu", "no": "cpu"}[spawner.user_options["gpu"]]


@pytest.mark.parametrize(
    ("written", "policy", "status"),
    [
        ("yes", hours(0, profile=["gpu"]), 429),
        ("no", hours(0, profile=["gpu"]), 0),
        ("no", hours("10 hours", profile=["gpu"]), 0),
        ("junk", hours(0, profile=["gpu"]), 429),
        ("junk", hours("10 hours", profile=["gpu"]), 503),
        ("junk", hours("10 hours", gpu=False), 0),
    ],
)
async def test_a_profile_that_is_not_known(prometheus, written, policy, status):
    prometheus.side_effect = alive
    spawner = hub_spawner(user_options={"gpu": written})
    found = await launch([policy], spawner, failover_open=False, profile_of_server=of_options)
    assert found == status


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        (hours(0, gpu=True), 429),
        (hours(0, profile=["large"]), 429),
        (hours(0, name=["x"]), 429),
        (hours(0, name=["y"]), 0),
        (hours("10 hours", gpu=True), 0),
        (gpu(0), 429),
    ],
)
async def test_a_launch_that_was_not_read_in_time(prometheus, policy, status):
    """What cannot be told apart from a server that a policy selects is one."""
    prometheus.side_effect = alive
    never = asyncio.Event()

    async def profiles(_spawner: Any) -> list[Any]:
        await never.wait()
        return []

    spawner = hub_spawner("x", profile_list=profiles)
    assert await launch([policy], spawner, failover_open=True, deadline=0.3) == status
