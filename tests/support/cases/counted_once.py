"""What stands between pods and Prometheus, and pods that do not run: one user for each case."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.cluster import HOUR, Pod, hub_pod
from tests.support.programs import Span
from tests.support.recorded import NOW

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
