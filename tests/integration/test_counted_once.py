"""Promise 4: whatever stands between the pods and Prometheus, usage is the same; and pods that
do not run use nothing. One Prometheus holds all cases, one user each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from jupyterhub_usage_quotas.demo.history import Span
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.quotas.usage import Fresh
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.recorded import NOW, instant, meter

START, END = NOW - 5 * HOUR + 60, NOW - 4 * HOUR - 60
"""With the look-back of a minute this is exactly one hour of one-minute samples."""


def pod(username: str, **options: object) -> Pod:
    settings = {"start": START, "end": END, "name": f"jupyter-{username}", "uid": username}
    return Pod(username, **(settings | options))


CASES: dict[str, tuple[list[Pod], dict[str, float]]] = {
    "one pod": ([pod("one", cpu=2, gpus=3)], {"memory": 1, "cpu": 2, "gpu": 3, "time": 1}),
    "two replicas of kube-state-metrics": (
        [pod("twice"), pod("twice", instance="ksm-1")],
        {"memory": 1, "time": 1},
    ),
    "kube-state-metrics rolled with an overlap": (
        [pod("rolled", end=END - 1800), pod("rolled", start=END - 2400, instance="ksm-1")],
        {"memory": 1, "time": 1},
    ),
    "two replicas of Prometheus behind one endpoint": (
        [pod("replica", extra={"replica": "a"}), pod("replica", extra={"replica": "b"})],
        {"memory": 1, "time": 1},
    ),
    "several containers": (
        [pod("sidecar", containers=("notebook", "sidecar"))],
        {"memory": 2, "time": 1},
    ),
    "two servers at once": (
        [pod("both"), pod("both", name="jupyter-both--x", uid="both-x")],
        {"memory": 2, "time": 2},
    ),
    "a name used again by another user's pod": (
        [
            pod("reused"),
            pod("other", name="jupyter-reused", uid="other", start=END + 600, end=END + 4000),
        ],
        {"memory": 1, "time": 1},
    ),
    "pending": ([pod("pending", phase="Pending")], {"memory": 0, "time": 0}),
    "completed": ([pod("completed", phase="Succeeded")], {"memory": 0, "time": 0}),
    "failed": ([pod("failed", phase="Failed")], {"memory": 0, "time": 0}),
    "another Hub's pod": ([pod("elsewhere", namespace="other-hub")], {"memory": 0, "time": 0}),
}


def history() -> Iterator[Span]:
    yield from hub_pod(NOW - 24 * HOUR, NOW)
    for pods, _ in CASES.values():
        for one in pods:
            yield from one.spans


@pytest.fixture(scope="module")
def url(serve_history: Callable[..., str]) -> str:
    return serve_history(history())


@pytest.mark.parametrize("case", CASES)
async def test_usage_is_what_the_pods_ran(url, case):
    pods, truth = CASES[case]
    asked = meter(url, KubeStateMetrics(NAMESPACE, ["nvidia.com/gpu"]))
    username = pods[0].username
    readings = await asked.read([username], list(truth), timedelta(days=1), instant(NOW))
    await asked.aclose()
    for resource, expected in truth.items():
        reading = readings[username][resource]
        assert isinstance(reading, Fresh), reading
        unit = GIB * HOUR if resource == "memory" else HOUR
        used = reading.usage.between(NOW - 86400, NOW) / unit
        assert used == pytest.approx(expected, rel=1e-9), resource


async def test_a_month_is_put_together_from_several_requests(serve_history):
    """One server that ran for thirty days is one bucket of thirty days, not three or none."""
    month = 30 * 24 * HOUR
    spans = [*hub_pod(NOW - month, NOW), *pod("month", start=NOW - month, end=NOW).spans]
    asked = meter(serve_history(spans), KubeStateMetrics(NAMESPACE, []))
    readings = await asked.read(["month"], ["memory"], timedelta(days=30), instant(NOW))
    await asked.aclose()
    usage = readings["month"]["memory"].usage
    assert usage.between(NOW - month, NOW) == pytest.approx(720 * GIB * HOUR, rel=1e-9)
    assert len(usage.buckets) == 1
    assert usage.coverage == pytest.approx(1, abs=0.01)
