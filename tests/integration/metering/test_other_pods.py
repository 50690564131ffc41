"""Pods that have a username and run no server, as dask-gateway starts them: what they count for,
and what selects them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.quotas.policy.selector import ServerSelector
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.programs import Span
from tests.support.recorded import NOW, instant, meter

DAY = 24 * HOUR
TWO_HOURS = (NOW - 5 * HOUR + 60, NOW - 3 * HOUR - 60)
ONE_HOUR = (NOW - 5 * HOUR + 60, NOW - 4 * HOUR - 60)
"""With the look-back of a minute these are exactly two hours and one of one-minute samples."""
RESOURCES = ("memory", "cpu", "gpu", "time")


def container_info(pod: Pod, *containers: str) -> Iterator[Span]:
    labels = {"namespace": pod.namespace, "pod": pod.name, "uid": pod.uid, "instance": "ksm-0"}
    for container in containers:
        more = {"container": container, "image": "quay.io/x"}
        yield Span("kube_pod_container_info", labels | more, pod.start, pod.end, 1)


def dask(number: int, **more: object) -> Pod:
    what = {"containers": ("dask-worker",), "memory": 2.0 * GIB, "cpu": 0.5, **more}
    return Pod("dora", *ONE_HOUR, f"dask-worker-{number}", f"w{number}", **what)


def cluster() -> Iterator[Span]:
    yield from hub_pod(NOW - DAY, NOW)
    yield from Pod("dora", *TWO_HOURS, "jupyter-dora", "d", cpu=1).spans
    for number in range(20):
        yield from dask(number).spans
    yield from dask(20, containers=("dask-scheduler", "istio-proxy"), gpus=1).spans
    # A server that requests nothing, beside a container that does.
    mesh = Pod("mesh", *ONE_HOUR, "jupyter-mesh", "m", containers=("istio-proxy",))
    yield from mesh.spans
    yield from container_info(mesh, "notebook", "istio-proxy")
    # What requests nothing at all, with containers known and not known.
    idle = Pod("idle", *ONE_HOUR, "jupyter-idle", "i", memory=0)
    yield from idle.spans
    batch = Pod("batch", *ONE_HOUR, "batch-0", "b", memory=0)
    yield from batch.spans
    yield from container_info(batch, "batch")
    # An image of one's own, with another container's name.
    own = Pod("own", *ONE_HOUR, "jupyter-own--x", "o", containers=("lab",), server="x")
    yield from own.spans


@pytest.fixture(scope="module")
def url(serve_history) -> str:
    return serve_history(cluster())


async def read(url: str, user: str, **options: object):
    asked = meter(url, KubeStateMetrics(NAMESPACE, **options))
    found = await asked.read([user], RESOURCES, timedelta(days=1), instant(NOW))
    await asked.aclose()
    return found[user]


def hours(reading, servers: dict | None = None) -> float:
    usage = reading.usage
    if servers:
        usage = usage.of(ServerSelector.model_validate(servers))
    return usage.between(NOW - DAY, NOW) / HOUR


async def test_memory_and_cpu_and_gpus_count_and_time_does_not(url):
    found = await read(url, "dora")
    assert hours(found["memory"]) / GIB == pytest.approx(1 * 2 + 20 * 2 + 2 * 2)
    assert hours(found["cpu"]) == pytest.approx(1 * 2 + 20 * 0.5 + 2 * 0.5)
    assert hours(found["gpu"]) == pytest.approx(2)
    assert hours(found["time"]) == pytest.approx(2)


@pytest.mark.parametrize(
    ("servers", "gib_hours"),
    [
        ({"name": [""]}, 2),
        ({"name": ["*"]}, 2),
        ({"kind": ["server"]}, 2),
        ({"kind": ["dask-worker"]}, 40),
        ({"kind": ["dask-*"]}, 44),
        ({"kind": ["*"]}, 46),
        ({"kind": ["server", "dask-scheduler"]}, 6),
        ({"kind": ["dask-*"], "gpu": True}, 4),
        ({"kind": ["dask-*"], "name": [""]}, 0),
        ({"profile": ["*"]}, 0),
    ],
)
async def test_what_selects_them(url, servers, gib_hours):
    memory = (await read(url, "dora"))["memory"]
    assert hours(memory, servers) / GIB == pytest.approx(gib_hours)


@pytest.mark.parametrize(
    ("counts", "gib_hours", "server_hours"),
    [(["memory", "time"], 46, 23), (["time"], 2, 23), ([], 2, 2)],
)
async def test_what_they_count_for_can_be_said(url, counts, gib_hours, server_hours):
    found = await read(url, "dora", others_count=counts)
    assert hours(found["memory"]) / GIB == pytest.approx(gib_hours)
    assert hours(found["time"]) == pytest.approx(server_hours)


@pytest.mark.parametrize(
    ("user", "server_hours"), [("mesh", 1), ("idle", 1), ("batch", 0), ("own", 1)]
)
async def test_what_is_a_server(url, user, server_hours):
    assert hours((await read(url, user))["time"]) == pytest.approx(server_hours)


def test_the_option_is_the_sources():
    manager = UsageQuotaManager(other_pods_count=["cpu", "time"])
    assert manager.make_source().others_count == ["cpu", "time"]
    assert UsageQuotaManager().make_source().others_count == ["memory", "cpu", "gpu"]
