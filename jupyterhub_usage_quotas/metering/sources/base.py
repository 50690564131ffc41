"""The ports of sources: what a source answers, and the evidence that it is scraped.

A source of usage reads a span of time: what users' servers asked for, and when the source was
scraped. A source of a gauge reads what is there now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ...errors import BadAnswer
from ..client import promql
from ..client.prometheus import PrometheusClient, all_of
from ..client.promql import Users
from ..client.series import Series
from ..coverage import (
    ScrapeCoverage,
    ScrapeInstants,
    Span,
    clipped,
)
from ..timelines import Kept, within

STEP = timedelta(minutes=1)
"""The distance of the samples that usage is summed from."""

LOOK_BACK = timedelta(minutes=5)
"""How old a sample may be for Prometheus to show it at an instant, unless configured otherwise."""

BEFORE = timedelta(minutes=30)
"""How long before a span scrapes are read to find their interval."""

AT_ONCE = 720
"""Steps of evidence in one request: `timestamp` takes Prometheus the square of their number."""
EVERY = 9_900
"""The most steps of a span at each of which evidence is queried."""
LOOKS = 3_000
"""The most instants of a longer span at which evidence is queried."""


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


class DescribedSource(Protocol):
    """What is known of a source of usage before it is read."""

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

    @property
    def identity(self) -> str:
        """Everything that its usage depends on, as a text that is the same in every process: what
        was read of a source with another identity is not what this would read.
        """
        ...


class Source(DescribedSource, Protocol):
    """A source of usage that can be read, wherever it is."""

    def until(self, now: datetime) -> datetime:
        """The last instant up to which it can be read at `now`."""
        ...

    async def read(self, users: Users, steps: StepRange) -> UsageSegment:
        """What users' servers asked for over the time of the steps; users without usage may be left
        out. Raises `UsageUnknown`.
        """
        ...

    async def was_there(self, steps: StepRange) -> bool:
        """Whether anything of it was there in this time, by a query that is cheap however long the
        time is. Raises `UsageUnknown`.
        """
        ...


class PrometheusSource(DescribedSource, Protocol):
    """One exporter of usage, in any Prometheus."""

    async def read(
        self, prometheus: PrometheusClient, users: Users, steps: StepRange
    ) -> UsageSegment:
        """See `Source.read`. Raises `PrometheusError`."""
        ...

    async def was_there(self, prometheus: PrometheusClient, steps: StepRange) -> bool:
        """See `Source.was_there`. Raises `PrometheusError`."""
        ...


@dataclass(frozen=True)
class InPrometheus:
    """A source in one Prometheus."""

    prometheus: PrometheusClient
    source: PrometheusSource

    @property
    def name(self) -> str:
        """See `DescribedSource.name`."""
        return self.source.name

    @property
    def namespace(self) -> str:
        """See `DescribedSource.namespace`."""
        return self.source.namespace

    @property
    def requests_metric(self) -> str:
        """See `DescribedSource.requests_metric`."""
        return self.source.requests_metric

    @property
    def resource(self) -> str:
        """See `DescribedSource.resource`."""
        return self.source.resource

    @property
    def identity(self) -> str:
        """See `DescribedSource.identity`."""
        return self.source.identity

    def until(self, now: datetime) -> datetime:
        """See `Source.until`; so that a later reading sees the same samples."""
        return whole_step(now)

    async def read(self, users: Users, steps: StepRange) -> UsageSegment:
        """See `Source.read`."""
        return await self.source.read(self.prometheus, users, steps)

    async def was_there(self, steps: StepRange) -> bool:
        """See `Source.was_there`."""
        return await self.source.was_there(self.prometheus, steps)


@dataclass(frozen=True, slots=True)
class GaugeValue:
    """An amount in base units that is there, its limit (infinite for none, None where that is not
    reported), and when that was scraped (Unix seconds).
    """

    amount: float
    limit: float | None
    measured: float


class GaugeSource(Protocol):
    """One exporter of something that is there now, with a series for each key: a directory, a
    bucket. Each user's key is worked out from the username; a user is never derived from a key.
    """

    @property
    def name(self) -> str:
        """What an admin calls it."""
        ...

    @property
    def resource(self) -> str:
        """The resource that it has."""
        ...

    @property
    def keys(self) -> str:
        """What keys are, in a sentence: "home directories"."""
        ...

    @property
    def hint(self) -> str:
        """What an admin should check where keys match no user."""
        ...

    @property
    def missing(self) -> str:
        """What is missing where it reports nothing at all."""
        ...

    def key_of(self, user: str) -> str:
        """A user's key. Raises UnicodeError for names that are not valid Unicode."""
        ...

    async def read(
        self, prometheus: PrometheusClient, now: datetime, stale_after: timedelta
    ) -> Mapping[str, GaugeValue]:
        """The values by key; one that is no longer reported stays for a while, at least for
        `stale_after`. Raises `PrometheusError`.
        """
        ...


async def scrape_instants(
    prometheus: PrometheusClient, expressions: Mapping[str, str], steps: StepRange
) -> dict[str, ScrapeInstants]:
    """When the newest sample was scraped that each expression saw, at every instant."""
    query, step = promql.labelled(expressions), steps.step
    starts = [steps.start]
    while step == STEP and steps.end - starts[-1] >= AT_ONCE * step:
        starts.append(starts[-1] + AT_ONCE * step)
    ends = [*(one - step for one in starts[1:]), steps.end]
    answers = await all_of(
        *(prometheus.query_range(query, *span, step) for span in zip(starts, ends, strict=True))
    )
    by_name: dict[str, list[tuple[float, float]]] = {name: [] for name in expressions}
    for series in (one for found in answers for one in found):
        by_name[part_of(series, expressions)].extend(series.samples)
    return dict(by_name)


def evidence_ranges(steps: StepRange) -> list[StepRange]:
    """The ranges in which evidence is queried: at every step; if those are too many, at few, and at
    every step only of the last part.
    """
    number = (steps.end - steps.start) // steps.step
    if number <= EVERY:
        return [steps.earlier]
    coarse = steps.step * (number // LOOKS + 1)
    lately = StepRange(steps.end, steps.end, steps.step).earlier
    # VictoriaMetrics moves instants that are not multiples of their distance.
    last = whole_step(lately.start, coarse)
    first = last - coarse * ((last - steps.start) // coarse)
    return [StepRange(first, last, coarse), lately]


_KEEP_UID = (
    "; keep uid where Prometheus scrapes kube-state-metrics: without it pods of the same name, one"
    " after the other, cannot be told apart"
)


def having(found: Sequence[Series], *labels: str) -> Sequence[Series]:
    """The series, which must have these labels: otherwise they answer another query, or a label
    that distinguishes pods was dropped. Raises `BadAnswer`.
    """
    for series in found:
        if missing := [label for label in labels if label not in series.labels]:
            cure = _KEEP_UID if missing[0] == "uid" else ""
            raise BadAnswer(f"a series has no label {missing[0]}: {dict(series.labels)}{cure}")
    return found


def part_of(series: Series, parts: Collection[str]) -> str:
    """Which of these parts of a query a series answers (see `promql.labelled`). Raises `BadAnswer`
    where it is none of them.
    """
    (one,) = having([series], "part")
    part = one.labels["part"]
    if part not in parts:
        raise BadAnswer(f"a series is no part of the query: {dict(one.labels)}")
    return part


def whole_step(instant: datetime, step: timedelta = STEP) -> datetime:
    """The last whole step at or before an instant.

    The same steps for every reading, so that a later one sees the same samples.
    """
    seconds = step.total_seconds()
    return datetime.fromtimestamp(instant.timestamp() // seconds * seconds, UTC)
