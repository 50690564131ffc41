"""Promise 3: each user pays for exactly their own pods, whatever their names are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from jupyterhub_usage_quotas.demo.history import Span
from jupyterhub_usage_quotas.metering.sources.base import ServerMetrics
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.quotas.usage import Fresh
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.recorded import NOW, instant, meter

# Pod names as KubeSpawner 7.1 made them for these users (and one long name that it cut).
USERS = {
    "al": ["jupyter-al", "jupyter-al--x"],
    "alice": ["jupyter-alice", "jupyter-alice--x"],
    "alice--x": ["jupyter-alice-x---2bbc534b"],
    "alice-smith": ["jupyter-alice-smith"],
    "o'brien": ["jupyter-o-brien---8d9b1a4c"],
    'a"b\\c': ["jupyter-a-b-c---1c2d3e4f"],
    'x{y="z"}': ["jupyter-x-y-z---5a6b7c8d"],
    "ünïcode": ["jupyter-u-ni-code---9e0f1a2b"],
    "a@b.org": ["jupyter-a-b-org---3c4d5e6f", "jupyter-a-b-org---3c4d5e6f--gpu"],
    "long" * 50: ["jupyter-longlonglonglong---7a8b9c0d--longlonglonglong"],
    "line\nbreak": ["jupyter-line-break---1b2c3d4e"],
    ".*": ["jupyter-x---5f6a7b8c"],
    "<script>alert(1)</script>": ["jupyter-script-alert-1-script---9d0e1f2a"],
    'u",pod=~".*': ["jupyter-u-pod---3b4c5d6e"],
}
NOBODY = ["ali", "alice.smith", "", "*", "alice|al", "AL", "missing"]


def gib_hours(username: str) -> float:
    """The truth: a power of two of GiB for every user, one hour for each of their pods."""
    return 2.0 ** list(USERS).index(username) * len(USERS[username])


def cluster() -> Iterator[Span]:
    yield from hub_pod(NOW - 24 * HOUR, NOW)
    for number, (username, pods) in enumerate(USERS.items()):
        for index, name in enumerate(pods):
            start = NOW - (3 + index) * HOUR
            yield from Pod(
                username,
                start + 60,
                start + HOUR - 60,  # the look-back of a minute adds one sample
                name,
                f"uid-{number}-{index}",
                memory=2.0**number * GIB,
            ).spans


def hub_metrics() -> Iterator[Span]:
    yield Span(
        "jupyterhub_usage_quotas_exporter_info",
        {"namespace": NAMESPACE},
        NOW - 24 * HOUR,
        NOW,
    )
    for number, (username, servers) in enumerate(USERS.items()):
        for index, _ in enumerate(servers):
            start = NOW - (3 + index) * HOUR
            labels = {
                "namespace": NAMESPACE,
                "username": username,
                "servername": "x" * index,
                "profile": "",
                "resource": "memory",
            }
            yield Span(
                "jupyterhub_usage_quotas_server_requests",
                labels,
                start + 60,
                start + HOUR - 60,
                2.0**number * GIB,
            )


SOURCES = {
    "kube-state-metrics": (cluster, KubeStateMetrics(NAMESPACE, ["nvidia.com/gpu"])),
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
