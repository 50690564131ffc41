"""A made-up history, sample by sample: what exporters exported of what is said to have happened, as
Prometheus would have scraped it, with offsets, outages, replicas and staleness markers.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from operator import is_

from jupyterhub_usage_quotas.conventions import EXPORTER_INFO, SERVER_REQUESTS

from .written import Labels, Sample

GIB = 1024.0**3
MINUTE, HOUR = 60, 3600
NOW = 1_759_924_800
"""Wednesday, 8 October 2025, 12:00 UTC: always the same, so that what fails once fails again."""

Asked = Mapping[str, Mapping[str, float]]
"""What is requested: by container, then by resource as kube-state-metrics calls it."""

Span = tuple[float, float]

ALWAYS = 0.0
NOTHING: Mapping[Labels, float] = {}
RUNNING, GONE = "Running", "Gone"
PHASES = ("Pending", RUNNING, "Succeeded", "Failed", "Unknown")


def series(metric: str, **labels: str) -> Labels:
    """A series; labels that are empty are not there."""
    return frozenset({"__name__": metric, **labels}.items())


def asks(memory: float = 1, cpu: float = 0.5, gpu: float = 0) -> Asked:
    """One container that asks for so many GiB, cores and GPUs."""
    return {"notebook": {"memory": memory * GIB, "cpu": cpu, "nvidia_com_gpu": gpu}}


@dataclass(frozen=True, eq=False)
class Life:
    """What became of one pod. `stages` say from when on (Unix seconds) it was in which phase;
    "Scheduled" is Pending, on a node; "Gone" is deleted. `asked` says from when on it asked for
    what; `beside` are those init containers that run as long as it does. `deleted` says from when
    on it was to be gone at which instant, its grace period included.
    """

    username: str
    stages: Mapping[float, str]
    asked: Mapping[float, Asked] = field(default_factory=lambda: {ALWAYS: asks()})
    name: str = ""
    uid: str = ""
    namespace: str = "hub-ns"
    annotations: Mapping[str, str] = field(default_factory=dict)
    init: Asked = field(default_factory=dict)
    beside: Asked = field(default_factory=dict)
    restarts: Sequence[float] = ()
    deleted: Mapping[float, float] = field(default_factory=dict)

    def exported(self, at: float) -> Mapping[Labels, float]:
        """What kube-state-metrics exports of it at an instant."""
        asked = [since for since in self.asked if since <= at]
        restarted = sum(since <= at for since in self.restarts)
        deleted = [until for since, until in self.deleted.items() if since <= at]
        return self._exported(self._stage(at), asked[-1], restarted, *deleted[-1:])

    def _stage(self, at: float) -> str:
        begun = [stage for since, stage in self.stages.items() if since <= at]
        return begun[-1] if begun else GONE

    @property
    def sessions(self) -> Iterator[Span]:
        """From when to when it ran."""
        edges = [*self.stages, math.inf]
        last = min(self.deleted.values(), default=math.inf)
        for (since, stage), until in zip(self.stages.items(), edges[1:], strict=True):
            if stage == RUNNING:
                yield since, min(until, last)

    def rate(self, resource: str, at: float) -> float:
        """What it asks for at an instant, of a resource as the meter calls it."""
        if resource == "time":
            return 1.0
        asked = self.asked[[since for since in self.asked if since <= at][-1]]
        return sum(
            amount
            for amounts in (*asked.values(), *self.beside.values())
            for label, amount in amounts.items()
            if label == resource or (resource == "gpu" and label.startswith("nvidia_com_"))
        )

    @cache  # noqa: B019 there are few, and they are needed until the end
    def _exported(
        self, stage: str, asked: float, restarted: int, deleted: float = 0
    ) -> Mapping[Labels, float]:
        if stage == GONE:
            return NOTHING
        pod = {
            "namespace": self.namespace,
            "pod": self.name or f"jupyter-{self.username}",
            "uid": self.uid or f"uid-{self.username}",
        }
        named = {"annotation_hub_jupyter_org_username": self.username} if self.username else {}
        found = {series("kube_pod_annotations", **pod, **named, **self.annotations): 1.0}
        phase = "Pending" if stage == "Scheduled" else stage
        for one in PHASES:
            found[series("kube_pod_status_phase", **pod, phase=one)] = float(one == phase)
        node = "" if stage == "Pending" else "n1"
        requests = "container_resource_requests", self.asked[asked]
        begun = {**self.init, **self.beside}
        for container in begun:
            policy = {"restart_policy": "Always"} if container in self.beside else {}
            more = {"container": container, "image": "quay.io/x", **policy}
            found[series("kube_pod_init_container_info", **pod, **more)] = 1.0
        for what, containers in (requests, ("init_container_resource_requests", begun)):
            for container, resources in containers.items():
                for resource, amount in resources.items():
                    if amount:
                        more = {"container": container, "resource": resource, "node": node}
                        found[series(f"kube_pod_{what}", **pod, **more)] = amount
        if deleted:
            found[series("kube_pod_deletion_timestamp", **pod)] = float(deleted)
        if restarted:
            more = {"container": "notebook"}
            restarts = series("kube_pod_container_status_restarts_total", **pod, **more)
            found[restarts] = float(restarted)
        return found


def runs(username: str, start: float, end: float, *resized: tuple[float, Asked], **more) -> Life:
    """A pod that runs from one instant to another; `resized` as it goes on."""
    asked = {ALWAYS: more.pop("ask", asks()), **dict(resized)}
    return Life(username, {start: RUNNING, end: GONE}, asked, **more)


def lived(lives: Iterable[Life], resource: str, start: float, end: float) -> tuple[float, float]:
    """What pods used by what became of them, whoever looked; and the sum of the most that each of
    their sessions used at a time.
    """
    total = most = 0.0
    for life in lives:
        for since, till in life.sessions:
            edges = [max(since, start), *(at for at in life.asked if since < at < till), till]
            rates = [(life.rate(resource, at), at, min(to, end)) for at, to in pairwise(edges)]
            total += sum(rate * (to - at) for rate, at, to in rates if to > at)
            most += sum(rate for rate, _, _ in rates)
    return total, most


def hub_pod(start: float, end: float, namespace: str = "hub-ns", pod: str = "x2x4z") -> Life:
    """The Hub's own pod, which has no user's annotation and asks for something."""
    name = f"hub-6d5f8c9b7d-{pod}"
    return runs("", start, end, name=name, uid=f"uid-{name}", namespace=namespace)


@dataclass(frozen=True, eq=False)
class Served:
    """A server as the Hub's own exporter has it, from one instant to another."""

    username: str
    start: float
    end: float
    memory: float = GIB
    cpu: float = 0.5
    servername: str = ""
    namespace: str = "hub-ns"

    def exported(self, at: float) -> Mapping[Labels, float]:
        """What the Hub exports of it at an instant."""
        return self._series if self.start <= at < self.end else NOTHING

    def rate(self, resource: str) -> float:
        """What it asks for."""
        return {"memory": self.memory, "cpu": self.cpu, "time": 1.0}[resource]

    @property
    @cache  # noqa: B019 as above
    def _series(self) -> Mapping[Labels, float]:
        labels = {
            "namespace": self.namespace,
            "username": self.username,
            "servername": self.servername,
            "gpu": "false",
        }
        return {
            series(SERVER_REQUESTS, **labels, resource=resource): amount
            for resource in ("memory", "cpu", "time")
            if (amount := self.rate(resource))
        }


@dataclass(frozen=True, eq=False)
class Alive:
    """What the Hub exports of itself, always."""

    namespace: str = "hub-ns"

    def exported(self, at: float) -> Mapping[Labels, float]:
        """See `Life.exported`."""
        return self._series

    @property
    @cache  # noqa: B019 as above
    def _series(self) -> Mapping[Labels, float]:
        return {series(EXPORTER_INFO, namespace=self.namespace): 1.0}


Happened = Life | Served | Alive


@dataclass(frozen=True, eq=False)
class Target:
    """One exporter, as one Prometheus scrapes it: `every` so many seconds, from `start` to `end`.

    While it is `failing`, Prometheus marks its series as ended; while Prometheus is `away`, nobody
    marks anything. `removed` targets have their series marked when they end. `has` says which
    things it exports (a shard). Without `honors`, its own labels make way for `own`. `drops` are
    metrics that are not kept.
    """

    start: float
    end: float
    every: float = 15
    offset: float = 7.3
    labels: Mapping[str, str] = field(default_factory=lambda: {"instance": "ksm-0"})
    failing: Sequence[Span] = ()
    away: Sequence[Span] = ()
    removed: bool = False
    has: Callable[[Happened], bool] = lambda _: True
    honors: bool = True
    own: Mapping[str, str] = field(
        default_factory=lambda: {"namespace": "monitoring", "pod": "ksm-0", "container": "ksm"}
    )
    drops: Sequence[str] = ()
    jitter: Callable[[], float] = lambda: 0.0

    @property
    def instants(self) -> Iterator[float]:
        """When it is scraped."""
        first = math.ceil((self.start - self.offset) / self.every)
        for number in range(first, math.floor((self.end - self.offset) / self.every) + 1):
            yield round(number * self.every + self.offset + self.jitter(), 3)

    @cache  # noqa: B019 as above
    def stored(self, exported: Labels) -> Labels:
        """The labels of a series as they are stored."""
        labels = {name: value for name, value in exported if value}
        own = {**self.labels, **({} if self.honors else self.own)}
        if self.honors:
            return frozenset({**own, **labels}.items())
        moved = {f"exported_{name}" if name in own else name: labels[name] for name in labels}
        return frozenset({**own, **moved}.items())

    def scrape(self, exported: Iterable[Mapping[Labels, float]]) -> Mapping[Labels, float]:
        """What is stored of what things export."""
        return {
            self.stored(labels): value
            for of_thing in exported
            for labels, value in of_thing.items()
            if not any(("__name__", metric) in labels for metric in self.drops)
        }


def scraped(
    things: Iterable[Happened], targets: Iterable[Target]
) -> dict[Labels, Sequence[Sample]]:
    """All samples that Prometheus has of these things."""
    samples: dict[Labels, list[Sample]] = {}
    for target in targets:
        of_target = [thing for thing in things if target.has(thing)]
        before: Mapping[Labels, float] = {}
        found: Mapping[Labels, float] = {}
        exported: Sequence[Mapping[Labels, float]] = ()
        for at in target.instants:
            if _inside(at, target.away):
                before = {}
                continue
            last, exported = exported, [thing.exported(at) for thing in of_target]
            if not all(map(is_, last, exported)) or not last:
                found = target.scrape(exported)
            now = {} if _inside(at, target.failing) else found
            for labels in before.keys() - now.keys() if before is not now else ():
                samples[labels].append((at, None))
            for labels, value in now.items():
                samples.setdefault(labels, []).append((at, value))
            before = now
        for labels in before if target.removed else ():
            samples[labels].append((target.end, None))
    return {labels: sorted(of_series, key=_time) for labels, of_series in samples.items()}


def until(samples: Mapping[Labels, Sequence[Sample]], at: float) -> dict[Labels, Sequence[Sample]]:
    """Those samples that were there at an instant."""
    return {
        labels: of_series[: bisect_right(of_series, at, key=_time)]
        for labels, of_series in samples.items()
    }


def _time(sample: Sample) -> float:
    return sample[0]


def _inside(at: float, spans: Iterable[Span]) -> bool:
    return any(start <= at < end for start, end in spans)
