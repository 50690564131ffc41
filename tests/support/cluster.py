"""A made-up cluster: pods whose history kube-state-metrics would have exported.

The truth is what the test says a pod did; the series follow kube-state-metrics' own format
(https://github.com/kubernetes/kube-state-metrics/tree/main/docs/metrics/workload).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.support.programs import Span

GIB = 1024**3
HOUR = 3600
NAMESPACE = "hub-ns"


@dataclass(frozen=True)
class Pod:
    """One pod of a user, from `start` to `end` (Unix seconds)."""

    username: str
    start: int
    end: int
    name: str
    uid: str
    memory: float = 1.0 * GIB
    cpu: float = 0.0
    gpus: int = 0
    phase: str = "Running"
    namespace: str = NAMESPACE
    containers: tuple[str, ...] = ("notebook",)
    instance: str = "ksm-0"
    annotated: bool = True
    server: str = ""
    profile: str = ""
    profile_name: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def spans(self) -> Iterator[Span]:
        """All the series of this pod."""
        pod = {
            "namespace": self.namespace,
            "pod": self.name,
            "uid": self.uid,
            "instance": self.instance,
            "job": "kube-state-metrics",
        } | dict(self.extra)
        annotations = {
            "annotation_hub_jupyter_org_username": self.username,
            "annotation_hub_jupyter_org_servername": self.server,
            "annotation_hub_jupyter_org_profile": self.profile,
            "annotation_hub_jupyter_org_profile_name": self.profile_name,
        }
        given = {label: value for label, value in annotations.items() if value}
        yield self._span("kube_pod_annotations", pod | (given if self.annotated else {}), 1)
        for phase in ("Pending", "Succeeded", "Failed", "Unknown", "Running"):
            value = float(phase == self.phase)
            yield self._span("kube_pod_status_phase", pod | {"phase": phase}, value)
        asked = {
            ("memory", "byte"): self.memory,
            ("cpu", "core"): self.cpu,
            ("nvidia_com_gpu", "integer"): float(self.gpus),
        }
        for container in self.containers:
            for (resource, unit), amount in asked.items():
                if amount:
                    labels = {"container": container, "resource": resource, "unit": unit}
                    yield self._span(
                        "kube_pod_container_resource_requests",
                        pod | labels | {"node": "n1"},
                        amount,
                    )

    def _span(self, metric: str, labels: dict[str, str], value: float) -> Span:
        return Span(metric, labels, self.start, self.end, float(value))


def hub_pod(start: int, end: int, namespace: str = NAMESPACE) -> Iterator[Span]:
    """The Hub's own pod: always there, without an annotation of a user, asking for nothing."""
    pod = Pod(
        "",
        start,
        end,
        "hub-6d5f8c9b7d-x2x4z",
        "hub-uid",
        memory=0,
        namespace=namespace,
        annotated=False,
    )
    yield from pod.spans
