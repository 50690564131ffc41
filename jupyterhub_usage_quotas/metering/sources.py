"""Where usage comes from, and how a source is seen to be alive.

A source gives the rates at which a user's servers asked for resources, sample by sample, and
names the series whose presence proves that it was being scraped.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from .. import conventions as names
from . import promql
from .prometheus import PrometheusClient, Series

Rates = dict[str, tuple[tuple[float, float], ...]]
"""By resource: `(Unix seconds, base amount)` in time order; no sample where nothing ran."""


class MetricMissing(Exception):
    """Servers ran, but the metric that says what they asked for has no series."""


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
    def landmark(self) -> Sequence[str]:
        """Matchers that narrow the evidence to a few series which were always there, so that it
        can be looked for throughout a long window.
        """
        ...

    async def rates(
        self,
        prometheus: PrometheusClient,
        username: str,
        start: datetime,
        end: datetime,
        step: timedelta,
    ) -> Rates:
        """What the user's servers asked for at every step.

        Raises `PrometheusError`, or `MetricMissing` where zero would be a lie.
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
    landmark: Sequence[str] = (f'pod=~"{names.HUB_POD}"',)

    async def rates(
        self,
        prometheus: PrometheusClient,
        username: str,
        start: datetime,
        end: datetime,
        step: timedelta,
    ) -> Rates:
        """See `Source.rates`."""
        found = await prometheus.query(promql.user_pods(self.namespace, username, end - start), end)
        pods = {series.labels["pod"] for series in found if "pod" in series.labels}
        if not pods:
            return {}
        series = await prometheus.query_range(
            promql.pod_rates(self.namespace, username, pods), start, end, step
        )
        rates = by_resource(series, self.resource)
        if set(rates) == {"time"}:
            raise MetricMissing(f"{names.KSM_REQUESTS} has no series for the pods that ran")
        return rates

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
    landmark: Sequence[str] = ()

    async def rates(
        self,
        prometheus: PrometheusClient,
        username: str,
        start: datetime,
        end: datetime,
        step: timedelta,
    ) -> Rates:
        """See `Source.rates`."""
        series = await prometheus.query_range(
            promql.server_rates(self.namespace, username), start, end, step
        )
        return by_resource(series, lambda label: label)


def by_resource(series: Sequence[Series], resource: Callable[[str], str]) -> Rates:
    """Sum the series that count as the same resource, instant by instant."""
    sums: dict[str, dict[float, float]] = {}
    for one in series:
        name = resource(one.labels.get("resource", ""))
        if not name:
            continue
        amounts = sums.setdefault(name, {})
        for instant, value in one.samples:
            amounts[instant] = amounts.get(instant, 0.0) + value
    return {name: tuple(sorted(amounts.items())) for name, amounts in sums.items()}
