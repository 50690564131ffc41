"""Usage: amounts in time buckets, and how far and how completely they are known.

Missing is not zero: a `Reading` is Fresh, Stale or Unknown, and only a Fresh one may be held
against a limit.
"""

from __future__ import annotations

import copy
import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

from ..conventions import Reason
from .policy.selector import ALL_SERVERS, ServerAttributes, ServerSelector

ANY_SERVER = ServerAttributes()


@dataclass(frozen=True, slots=True)
class Bucket:
    """`amount` (base units) used evenly over `(start, end]` (seconds since the Unix epoch) by a
    server with these attributes.
    """

    start: float
    end: float
    amount: float
    server: ServerAttributes = ANY_SERVER

    @property
    def rate(self) -> float:
        """Base units per second."""
        return self.amount / (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of one resource, by one user or by the members of a pool.

    Buckets of different servers may overlap. `covered_until` is the instant up to which the
    source was seen; `coverage` is the share of the requested time (0 to 1) in which it was, None
    where that is not known.
    """

    buckets: tuple[Bucket, ...]
    covered_until: datetime
    coverage: float | None = 1.0
    _times: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _before: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _rates: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _selected: dict[ServerSelector, Usage] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        for bucket in self.buckets:
            if not (bucket.start < bucket.end and bucket.amount >= 0):
                raise ValueError(f"{bucket} is empty, runs backwards or is negative")
        segments = list(
            sum_of_runs((bucket.start, bucket.end, bucket.rate) for bucket in self.buckets)
        )
        times, before, rates = [], [], []
        total = 0.0
        for start, end, rate in segments:
            times.append(start)
            before.append(total)
            rates.append(rate)
            total += rate * (end - start)
        # Written around the freezing: these are only the same usage, prepared for look-ups.
        object.__setattr__(self, "_times", (*times, segments[-1][1] if segments else 0.0))
        object.__setattr__(self, "_before", (*before, total))
        object.__setattr__(self, "_rates", (*rates, 0.0))

    @property
    def end(self) -> float:
        """When the last usage ended (seconds since the Unix epoch); minus infinity if none."""
        return self._times[-1] if self.buckets else float("-inf")

    def until(self, at: float) -> float:
        """Everything used up to `at` (seconds since the Unix epoch), in base units."""
        index = bisect_right(self._times, at) - 1
        if index < 0 or not self.buckets:
            return 0.0
        # By rate, not by share: whole rates times whole seconds are exact.
        return self._before[index] + self._rates[index] * (at - self._times[index])

    def between(self, start: float, end: float) -> float:
        """What was used in `(start, end]` (seconds since the Unix epoch), in base units."""
        return max(self.until(end) - self.until(start), 0.0)

    def used_next(self, after: float) -> float:
        """The first instant at or after this one right after which anything was used (seconds since
        the Unix epoch); infinite where nothing was.
        """
        first = max(bisect_right(self._times, after) - 1, 0)
        for index in range(first, len(self._rates) - 1):
            if self._rates[index] > 0 and self._times[index + 1] > after:
                return max(self._times[index], after)
        return math.inf

    def segments(self) -> Iterator[tuple[float, float, float]]:
        """`(start, end, rate)` in time order, without overlap; the rate may be zero."""
        for index, rate in enumerate(self._rates[:-1]):
            yield self._times[index], self._times[index + 1], rate

    def by_interval(self, length: float) -> tuple[tuple[int, float], ...]:
        """What was used in each interval `(n * length, (n + 1) * length]` of Unix time in which
        anything was: `(n, amount)` in time order.

        Each amount is summed for itself, so it is the same whatever was used before.
        """
        amounts: dict[int, float] = {}
        for start, end, rate in self.segments():
            number = math.floor(start / length)
            while rate > 0 and number * length < end:
                part = min(end, (number + 1) * length) - max(start, number * length)
                if part > 0:
                    amounts[number] = amounts.get(number, 0.0) + rate * part
                number += 1
        return tuple(sorted(amounts.items()))

    def of(self, servers: ServerSelector) -> Usage:
        """The part that the selected servers used."""
        if servers == ALL_SERVERS:
            return self
        if servers not in self._selected:
            chosen = tuple(bucket for bucket in self.buckets if servers.selects(bucket.server))
            self._selected[servers] = Usage(chosen, self.covered_until, self.coverage)
        return self._selected[servers].known(self.covered_until, self.coverage)

    def known(self, until: datetime, coverage: float | None) -> Usage:
        """The same usage, known so far and so completely."""
        if (until, coverage) == (self.covered_until, self.coverage):
            return self
        same = copy.copy(self)
        object.__setattr__(same, "covered_until", until)
        object.__setattr__(same, "coverage", coverage)
        return same

    def before(self, at: float) -> Usage:
        """The part up to an instant (seconds since the Unix epoch), as it was known then.

        What was prepared for look-ups is cut, and not worked out anew: this is quick.
        """
        if at >= self.end:
            return self
        last = bisect_right(self._times, at) - 1
        cut = copy.copy(self)
        kept = tuple(
            one if one.end <= at else Bucket(one.start, at, one.rate * (at - one.start), one.server)
            for one in self.buckets
            if one.start < at
        )
        values = {
            "buckets": kept,
            "covered_until": datetime.fromtimestamp(at, UTC),
            "_times": (*self._times[: last + 1], at),
            "_before": (*self._before[: last + 1], self.until(at)),
            "_rates": (*self._rates[: last + 1], 0.0),
            "_selected": {},
        }
        for name, value in values.items():
            object.__setattr__(cut, name, value)
        return cut

    def running(
        self,
        start: datetime,
        end: datetime,
        rate: float,
        server: ServerAttributes = ANY_SERVER,
    ) -> Usage:
        """This usage, and `rate` base units per second from `start` to `end` by a server."""
        begin, until = start.timestamp(), end.timestamp()
        if rate <= 0 or begin >= until:
            return self
        more = Bucket(begin, until, rate * (until - begin), server)
        return Usage((*self.buckets, more), self.covered_until, self.coverage)


def sum_of_runs(
    runs: Iterable[tuple[float, float, float]],
) -> Iterator[tuple[float, float, float]]:
    """Sum overlapping `(start, end, rate)` into ones without overlap, in time order; between
    them the rate is zero.
    """
    ordered = sorted(runs)
    if all(before[1] <= after[0] for before, after in pairwise(ordered)):
        yield from _with_pauses(ordered)
        return
    changes: defaultdict[float, list[float]] = defaultdict(list)
    for start, end, rate in ordered:
        changes[start].append(rate)
        changes[end].append(-rate)
    running: Counter[float] = Counter()
    for start, end in pairwise(sorted(changes)):
        for rate in changes[start]:
            running[abs(rate)] += 1 if rate > 0 else -1
            if not running[abs(rate)]:
                del running[abs(rate)]
        # Summed anew at every edge: adding and taking away would leave rounding behind.
        yield start, end, math.fsum(rate * count for rate, count in running.items())


def _with_pauses(
    runs: Iterable[tuple[float, float, float]],
) -> Iterator[tuple[float, float, float]]:
    until = None
    for start, end, rate in runs:
        if until is not None and until < start:
            yield until, start, 0.0
        yield start, end, rate
        until = end


def together(usages: Iterable[Usage]) -> Usage:
    """The usage of several users as one: covered as far, and as completely, as the least is.

    Raises ValueError when there is none.
    """
    parts = tuple(usages)
    if len(parts) == 1:
        return parts[0]
    shares = [part.coverage for part in parts if part.coverage is not None]
    return Usage(
        tuple(bucket for part in parts for bucket in part.buckets),
        min(part.covered_until for part in parts),
        min(shares) if shares else None,
    )


def priced(usages: Mapping[str, Usage], prices: Mapping[str, float]) -> Usage:
    """What usage costs: `prices` are those of a base unit, by resource."""
    bought = together(usages[resource] for resource in prices)
    costs = tuple(
        Bucket(bucket.start, bucket.end, bucket.amount * price, bucket.server)
        for resource, price in prices.items()
        for bucket in usages[resource].buckets
    )
    return Usage(costs, bought.covered_until, bought.coverage)


def buckets_from_rates(
    samples: Iterable[tuple[float, float]], step: float, server: ServerAttributes = ANY_SERVER
) -> tuple[Bucket, ...]:
    """Make buckets of samples `(instant, rate)`, each standing for the `step` seconds before it.

    Neighbours with the same rate become one bucket, so a session is one bucket however long it
    lasts. Samples must be in time order, at least `step` apart; rates are base units per second.
    """
    buckets: list[Bucket] = []
    rate_before = 0.0
    for instant, rate in samples:
        if rate <= 0:
            continue
        start = instant - step
        if buckets and buckets[-1].end == start and rate == rate_before:
            start = buckets.pop().start
        buckets.append(Bucket(start, instant, rate * (instant - start), server))
        rate_before = rate
    return tuple(buckets)


@dataclass(frozen=True, slots=True)
class Fresh:
    """Usage that is known up to now."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Stale:
    """Usage that was known up to `usage.covered_until`, too long ago to decide on.

    `reason` is for metrics and pages, `detail` a sentence for an admin.
    """

    usage: Usage
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Usage that could not be read, and why (`reason` and `detail` as in `Stale`)."""

    reason: Reason
    detail: str


Reading = Fresh | Stale | Unknown
