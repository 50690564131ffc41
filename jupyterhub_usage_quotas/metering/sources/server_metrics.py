"""Sources that have a series for every running server and resource: the Hub's own exporter, for
every spawner, and the series that rules record from kube-state-metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from ... import conventions as names
from ...quotas.policy.selector import ServerAttributes
from ...quotas.resources import BY_RUNNING
from ..client import promql
from ..client.prometheus import PrometheusClient, all_of
from ..client.promql import Users
from ..client.series import Series
from ..client.worker import run_in_worker
from ..coverage import ScrapeCoverage, ScrapeInstants, coverage_in
from ..timelines import Kept, Pieces, Run, brief_runs, runs_of, timelines
from .base import StepRange, UsageSegment, having, scrape_instants


@dataclass(frozen=True)
class ServerMetrics:
    """A metric with a series for every running server and resource: what the Hub's own exporter
    has, for every spawner, or what rules have recorded.

    `requests_metric` is what rules made the series of, if they did. A gap of at most `max_gap` in
    which the metrics were not scraped is bridged for servers that
    were there on both sides. `pod_namespaces` are those besides the Hub's in which rules found
    users' pods, as patterns. `brief_metric` is what rules recorded of servers that were there in
    the minute before and at neither end of it; without one the metric itself says which were.
    """

    namespace: str
    name: str = "the Hub's metrics endpoint"
    metric: str = names.SERVER_REQUESTS
    evidence: str = names.EXPORTER_INFO
    max_gap: timedelta = timedelta(minutes=10)
    requests_metric: str = ""
    pod_namespaces: Sequence[str] = ()
    brief_metric: str = ""
    resource: str = field(default="", init=False)

    @property
    def identity(self) -> str:
        """See `Source.identity`."""
        return repr(self)

    async def read(
        self, prometheus: PrometheusClient, users: Users, steps: StepRange
    ) -> UsageSegment:
        """See `Source.read`."""
        namespaces = tuple(filter(None, (self.namespace, *self.pod_namespaces)))
        rates, brief_rates = self._queries(namespaces, users, steps)
        alive = {self.evidence: promql.seen(self.evidence, promql.in_namespace(self.namespace))}
        by_metric: dict[str, ScrapeInstants]
        series: Sequence[Series]
        brief: Sequence[Series]
        by_metric, series, brief = await all_of(
            scrape_instants(prometheus, alive, steps.earlier),
            prometheus.query_range(rates, steps.start, steps.end, steps.step),
            prometheus.query_range(brief_rates, steps.start, steps.end, steps.step),
        )
        having((*series, *brief), "username", "resource")
        coverage = coverage_in(by_metric, *steps.span, steps.step.total_seconds())
        usage = await run_in_worker(self._usage, series, brief, coverage, steps)
        recorded = {one.labels.get("resource", "") for one in (*series, *brief)}
        unmeasured = (steps.span,) if self.requests_metric and recorded == set(BY_RUNNING) else ()
        return UsageSegment(usage, coverage, unmeasured, sum(len(one.values) for one in series))

    def _queries(
        self, namespaces: Sequence[str], users: Users, steps: StepRange
    ) -> tuple[str, str]:
        """What servers asked for at instants, and what those did that were there between two."""
        rates = promql.server_rates(self.metric, namespaces, users)
        if self.brief_metric:
            recorded = promql.recorded_rates(self.brief_metric, namespaces, users, steps.step)
            return rates, recorded
        return rates, promql.brief_server_rates(self.metric, namespaces, users, steps.step)

    async def was_there(self, prometheus: PrometheusClient, steps: StepRange) -> bool:
        """See `Source.was_there`."""
        matchers = promql.in_namespace(self.namespace)
        return bool(
            await prometheus.query(promql.ever(self.evidence, matchers, over=steps.over), steps.end)
        )

    def _usage(
        self,
        series: Sequence[Series],
        brief: Sequence[Series],
        coverage: ScrapeCoverage,
        steps: StepRange,
    ) -> Mapping[str, Kept[float]]:
        step, longest = steps.step.total_seconds(), self.max_gap.total_seconds()

        def bridge(last: float, following: float) -> bool:
            # A server that stopped and one that was started look the same; so only where nobody
            # was looking.
            return following - step - last <= longest and coverage.in_gap(last, following - step)

        pieces: Pieces = {}
        for one in series:
            _runs_in(pieces, one).extend(runs_of(_samples(one), step, bridge))
        for one in brief:
            runs = _runs_in(pieces, one)
            # What rules recorded of a brief server is besides what others of the user were.
            those = () if self.brief_metric else runs
            runs.extend(brief_runs(those, _samples(one), step))
        return timelines(pieces, *steps.span)


def _runs_in(pieces: Pieces, series: Series) -> list[Run]:
    """The runs of the server and the resource that a series is of."""
    labels = series.labels
    server = ServerAttributes(
        profile=labels.get("profile", ""),
        profile_name=labels.get("profile_name", ""),
        name=labels.get("servername", ""),
        gpu=names.GPU_LABELS.get(labels.get("gpu", "")),
    )
    by_key = pieces.setdefault(labels.get("username", ""), {})
    return by_key.setdefault((labels.get("resource", ""), server), [])


def _samples(series: Series) -> Iterable[tuple[float, float]]:
    return zip(series.instants, series.values, strict=True)
