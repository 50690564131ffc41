"""Where usage comes from, and how a source is seen to be alive.

A source reads a span of time: what users' servers asked for, and when the source was scraped.
kube-state-metrics has a file of its own; the others are here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ... import conventions as names
from ...errors import BadAnswer
from ...quotas.policy.selector import ServerAttributes
from ...quotas.usage import ANY_SERVER
from ..client import promql
from ..client.prometheus import PrometheusClient, all_of
from ..client.promql import Users
from ..client.response import Series
from ..client.worker import run_in_worker
from ..coverage import (
    ScrapeCoverage,
    ScrapeInstants,
    Span,
    clipped,
    coverage_in,
    covered_everywhere,
    never_covered,
)
from ..timelines import Kept, Pieces, runs_of, timelines, within

STEP = timedelta(minutes=1)
"""The distance of the samples that usage is summed from."""

LOOK_BACK = timedelta(minutes=5)
"""How old a sample may be for Prometheus to show it at an instant, unless configured otherwise."""

BEFORE = timedelta(minutes=30)
"""How long before a span scrapes are looked at to find their interval."""


LOOKS = 2_000
"""At how many instants of a long span evidence is looked for, at most."""


@dataclass(frozen=True, slots=True)
class StepRange:
    """Whole steps from `start` to `end`. What is sampled at `start` belongs to the time before."""

    start: datetime
    end: datetime
    step: timedelta = STEP

    @property
    def span(self) -> Span:
        """`(start, end]` in seconds since the Unix epoch."""
        return self.start.timestamp(), self.end.timestamp()

    @property
    def over(self) -> timedelta:
        """Its length, and the look-back of its first instant."""
        return self.end - self.start + LOOK_BACK

    @property
    def earlier(self) -> StepRange:
        """The same, begun early enough to find the interval of scrapes."""
        return StepRange(self.start - BEFORE, self.end, self.step)


@dataclass(frozen=True, slots=True)
class UsageSegment:
    """What a source says of a span of time: `coverage` has which, and how completely.

    `unmeasured` are spans in which servers ran and the metric that says what they asked for was
    not there, so that only their `time` is known.
    """

    usage: Mapping[str, Kept[float]]
    coverage: ScrapeCoverage
    unmeasured: tuple[Span, ...] = ()
    samples: int = 0
    """How many samples were read: what it costs."""

    def since(self, start: float) -> UsageSegment:
        """The part of it after an instant."""
        end = self.coverage.end
        usage = {user: within(kept, start, end) for user, kept in self.usage.items()}
        return UsageSegment(
            {user: kept for user, kept in usage.items() if kept},
            self.coverage.within(start, end),
            clipped(self.unmeasured, start, end),
            self.samples,
        )


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
    def requests_metric(self) -> str:
        """The metric that says what servers asked for, where it can be missing although it is
        known that they ran; else empty.
        """
        ...

    @property
    def resource(self) -> str:
        """The one resource that it has; empty where it has what servers ask for."""
        ...

    async def read(
        self, prometheus: PrometheusClient, users: Users, steps: StepRange
    ) -> UsageSegment:
        """What users' servers asked for over the time of the steps; users without usage may be left
        out. Raises `PrometheusError`.
        """
        ...


async def scrape_instants(
    prometheus: PrometheusClient, expressions: Mapping[str, str], steps: StepRange
) -> dict[str, ScrapeInstants]:
    """When the newest sample was scraped that each expression saw, at every instant."""
    found = await prometheus.query_range(
        promql.labelled(expressions), steps.start, steps.end, steps.step
    )
    by_name: dict[str, ScrapeInstants] = dict.fromkeys(expressions, ())
    for series in having(found, "part"):
        by_name[series.labels["part"]] = series.samples
    return by_name


def evidence_ranges(steps: StepRange) -> list[StepRange]:
    """Where evidence is looked for: at every step; if there are too many, at few, and at every step
    of the last of that time only.
    """
    number = (steps.end - steps.start) // steps.step
    if number <= LOOKS:
        return [steps.earlier]
    coarse = steps.step * (number // LOOKS + 1)
    lately = StepRange(steps.end, steps.end, steps.step).earlier
    # VictoriaMetrics moves instants that are not multiples of their distance.
    last = whole_step(lately.start, coarse)
    first = last - coarse * ((last - steps.start) // coarse)
    return [StepRange(first, last, coarse), lately]


def having(found: Sequence[Series], *labels: str) -> Sequence[Series]:
    """The series, which must have these labels: otherwise they answer another query, or somebody
    has dropped a label that tells pods apart. Raises `BadAnswer`.
    """
    for series in found:
        if missing := [label for label in labels if label not in series.labels]:
            raise BadAnswer(f"a series has no label {missing[0]}: {dict(series.labels)}")
    return found


@dataclass(frozen=True)
class ServerMetrics:
    """A metric with a series for every running server and resource: what the Hub's own exporter
    has, for every spawner, or what rules have recorded.

    `requests_metric` is what rules made the series of, if they did. A gap of at most `max_gap` in
    which the metrics were not scraped is bridged for servers that
    were there on both sides. `pod_namespaces` are those besides the Hub's in which rules found
    users' pods, as patterns.
    """

    namespace: str
    name: str = "the Hub's metrics endpoint"
    metric: str = names.SERVER_REQUESTS
    evidence: str = names.EXPORTER_INFO
    max_gap: timedelta = timedelta(minutes=10)
    requests_metric: str = ""
    pod_namespaces: Sequence[str] = ()
    resource: str = field(default="", init=False)

    async def read(
        self, prometheus: PrometheusClient, users: Users, steps: StepRange
    ) -> UsageSegment:
        """See `Source.read`."""
        namespaces = tuple(filter(None, (self.namespace, *self.pod_namespaces)))
        rates = promql.server_rates(self.metric, namespaces, users)
        alive = {self.evidence: promql.seen(self.evidence, promql.in_namespace(self.namespace))}
        by_metric: dict[str, ScrapeInstants]
        series: Sequence[Series]
        by_metric, series = await all_of(
            scrape_instants(prometheus, alive, steps.earlier),
            prometheus.query_range(rates, steps.start, steps.end, steps.step),
        )
        series = having(series, "username", "resource")
        coverage = coverage_in(by_metric, *steps.span, steps.step.total_seconds())
        usage = await run_in_worker(self._usage, series, coverage, steps)
        recorded = {one.labels.get("resource", "") for one in series}
        unmeasured = (steps.span,) if self.requests_metric and recorded == {"time"} else ()
        return UsageSegment(usage, coverage, unmeasured, sum(len(one.values) for one in series))

    def _usage(
        self, series: Sequence[Series], coverage: ScrapeCoverage, steps: StepRange
    ) -> Mapping[str, Kept[float]]:
        step, longest = steps.step.total_seconds(), self.max_gap.total_seconds()

        def bridge(last: float, following: float) -> bool:
            # A server that stopped and one that was started look the same; so only where nobody
            # was looking.
            return following - step - last <= longest and coverage.in_gap(last, following - step)

        pieces: Pieces = {}
        for one in series:
            server = ServerAttributes(
                profile=one.labels.get("profile", ""),
                profile_name=one.labels.get("profile_name", ""),
                name=one.labels.get("servername", ""),
                gpu=one.labels.get("gpu") == "true",
            )
            by_key = pieces.setdefault(one.labels.get("username", ""), {})
            runs = by_key.setdefault((one.labels.get("resource", ""), server), [])
            runs += runs_of(zip(one.instants, one.values, strict=True), step, bridge)
        return timelines(pieces, *steps.span)


@dataclass(frozen=True)
class Expression:
    """A resource that an admin defined by PromQL, with the label `username`.

    It counts as seen when it had any series at all within `reach`: nothing tells whether an
    expression of somebody else is without series because nobody uses anything.
    """

    resource: str
    expression: str
    reach: timedelta = timedelta(days=30)
    namespace: str = field(default="", init=False)
    requests_metric: str = field(default="", init=False)

    LOOKS = 500
    """At how many instants it is looked for."""

    @property
    def name(self) -> str:
        """See `Source.name`."""
        return f"the expression of {self.resource}"

    async def read(
        self, prometheus: PrometheusClient, users: Users, steps: StepRange
    ) -> UsageSegment:
        """See `Source.read`."""
        over = max(self.reach, steps.over)
        rates = promql.defined_rates(self.expression, users)
        there = promql.ever_there(self.expression, over, max(over / self.LOOKS, STEP))
        series: Sequence[Series]
        ever, series = await all_of(
            prometheus.query(there, steps.end),
            prometheus.query_range(rates, steps.start, steps.end, steps.step),
        )
        step = steps.step.total_seconds()
        key = (self.resource, ANY_SERVER)
        pieces: Pieces = {
            one.labels.get("username", ""): {key: runs_of(one.samples, step)} for one in series
        }
        coverage = (
            covered_everywhere(*steps.span) if ever else never_covered(*steps.span, self.expression)
        )
        usage = await run_in_worker(timelines, pieces, *steps.span)
        return UsageSegment(usage, coverage, samples=sum(len(one.values) for one in series))


def whole_step(instant: datetime, step: timedelta = STEP) -> datetime:
    """The last whole step at or before an instant.

    The same steps for every reading, so that a later one sees the same samples.
    """
    seconds = step.total_seconds()
    return datetime.fromtimestamp(instant.timestamp() // seconds * seconds, UTC)
