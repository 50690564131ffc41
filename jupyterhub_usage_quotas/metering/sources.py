"""Where usage comes from, and how a source is seen to be alive.

A source gives the rates at which a user's servers asked for resources, sample by sample, and
names the series whose presence proves that it was being scraped.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from .. import conventions as names
from ..quotas.servers import ServerAttributes
from . import promql
from .prometheus import PrometheusClient, Series
from .promql import Users

Samples = tuple[tuple[float, float], ...]
"""`(Unix seconds, base amount)` in time order; no sample where nothing ran."""

Rates = Mapping[str, Mapping[ServerAttributes, Samples]]
"""What one user's servers asked for, by resource and server."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The instants to sample at: every `step` from `start` to `end`, both included."""

    start: datetime
    end: datetime
    step: timedelta


class Source(Protocol):
    """One exporter of usage."""

    @property
    def name(self) -> str:
        """What an admin calls it."""
        ...

    @property
    def namespace(self) -> str:
        """The Hub's namespace; empty for all."""
        ...

    @property
    def evidence(self) -> Sequence[str]:
        """Metrics that are all there whenever the source is scraped, whoever runs a server."""
        ...

    @property
    def requests_metric(self) -> str:
        """The metric that says what servers asked for, where it can be missing although it is
        known that they ran; else empty.
        """
        ...

    @property
    def landmark(self) -> Sequence[str]:
        """Matchers that narrow the evidence to a few series which were always there, so that it
        can be looked for throughout a long window.
        """
        ...

    async def rates(
        self, prometheus: PrometheusClient, users: Users, grid: Grid
    ) -> Mapping[str, Rates]:
        """What users' servers asked for at every instant of the grid, by username.

        Users without usage may be left out. Raises `PrometheusError`.
        """
        ...


@dataclass(frozen=True)
class KubeStateMetrics:
    """kube-state-metrics, for KubeSpawner.

    `gpu_resources` are patterns (as for file names) of the Kubernetes resources that count as
    GPUs, such as "nvidia.com/gpu".
    """

    namespace: str
    gpu_resources: Sequence[str]
    name: str = "kube-state-metrics"
    # Every pod has these two, the Hub's own included, so they are there without any user.
    evidence: Sequence[str] = (names.KSM_PHASE, names.KSM_ANNOTATIONS)
    requests_metric: str = names.KSM_REQUESTS
    landmark: Sequence[str] = (f'pod=~"{names.HUB_POD}"',)

    async def rates(
        self, prometheus: PrometheusClient, users: Users, grid: Grid
    ) -> Mapping[str, Rates]:
        """See `Source.rates`."""
        found = await prometheus.query(
            promql.pods_of(self.namespace, users, grid.end - grid.start), grid.end
        )
        pods = _pods(found)
        if not pods:
            return {}
        series = await prometheus.query_range(
            promql.pod_rates(self.namespace, users, {pod.name for pod in pods.values()}),
            grid.start,
            grid.end,
            grid.step,
        )
        named = [
            (one.labels.get("uid", ""), self.resource(one.labels.get("resource", "")), one)
            for one in series
        ]
        with_gpu = {uid for uid, resource, _ in named if resource == "gpu"}
        parts = [
            _Part(pods[uid].user, resource, replace(pods[uid].server, gpu=uid in with_gpu), one)
            for uid, resource, one in named
            if uid in pods and resource
        ]
        return _summed(parts)

    def resource(self, label: str) -> str:
        """The resource that a value of the label `resource` counts as; empty for none.

        kube-state-metrics writes "nvidia.com/mig-1g.5gb" as "nvidia_com_mig_1g_5gb".
        """
        if label in ("memory", "cpu", "time"):
            return label
        patterns = (re.sub(r"[^\w*?]", "_", pattern) for pattern in self.gpu_resources)
        return "gpu" if any(fnmatch.fnmatchcase(label, pattern) for pattern in patterns) else ""


@dataclass(frozen=True)
class HubExporter:
    """The Hub's own exporter, for every other spawner."""

    namespace: str
    name: str = "the Hub's metrics endpoint"
    evidence: Sequence[str] = (names.EXPORTER_INFO,)
    requests_metric: str = ""
    landmark: Sequence[str] = ()

    async def rates(
        self, prometheus: PrometheusClient, users: Users, grid: Grid
    ) -> Mapping[str, Rates]:
        """See `Source.rates`."""
        series = await prometheus.query_range(
            promql.server_rates(self.namespace, users), grid.start, grid.end, grid.step
        )
        return _summed(
            _Part(
                one.labels.get("username", ""),
                one.labels.get("resource", ""),
                ServerAttributes(
                    profile=one.labels.get("profile", ""),
                    profile_name=one.labels.get("profile_name", ""),
                    name=one.labels.get("servername", ""),
                    gpu=one.labels.get("gpu") == "true",
                ),
                one,
            )
            for one in series
        )


@dataclass(frozen=True, slots=True)
class _Pod:
    user: str
    name: str
    server: ServerAttributes


@dataclass(frozen=True, slots=True)
class _Part:
    """One series, and what it is a part of."""

    user: str
    resource: str
    server: ServerAttributes
    series: Series


def _pods(found: Iterable[Series]) -> dict[str, _Pod]:
    """The pods that were found, by uid.

    A pod may have been exported with fewer annotations at another time: what is there counts.
    """
    labels: dict[str, dict[str, str]] = {}
    for series in found:
        known = labels.setdefault(series.labels.get("uid", ""), {})
        known.update({label: value for label, value in series.labels.items() if value})
    return {
        uid: _Pod(
            known[names.KSM_USERNAME_LABEL],
            known.get("pod", ""),
            ServerAttributes(
                profile=known.get(names.KSM_PROFILE_LABEL, ""),
                profile_name=known.get(names.KSM_PROFILE_NAME_LABEL, ""),
                name=known.get(names.KSM_SERVERNAME_LABEL, ""),
            ),
        )
        for uid, known in labels.items()
    }


def _summed(parts: Iterable[_Part]) -> dict[str, Rates]:
    """Sum the series that are the same resource of the same kind of server, instant by instant."""
    sums: dict[str, dict[str, dict[ServerAttributes, dict[float, float]]]] = {}
    for part in parts:
        servers = sums.setdefault(part.user, {}).setdefault(part.resource, {})
        amounts = servers.setdefault(part.server, {})
        for instant, value in part.series.samples:
            amounts[instant] = amounts.get(instant, 0.0) + value
    return {
        user: {
            resource: {server: tuple(sorted(at.items())) for server, at in servers.items()}
            for resource, servers in by_resource.items()
        }
        for user, by_resource in sums.items()
    }
