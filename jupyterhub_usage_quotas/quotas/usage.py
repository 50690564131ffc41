"""What was used: amounts in time buckets, how far that is known, and how completely.

Missing is not zero: a `Reading` is Fresh, Stale or Unknown, and only a Fresh one may be held
against a limit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Bucket:
    """`amount` (base units) used evenly over `(start, end]` (seconds since the Unix epoch)."""

    start: float
    end: float
    amount: float


@dataclass(frozen=True, slots=True)
class Usage:
    """One user's usage of one resource.

    `buckets` are disjoint and in time order. `covered_until` is the instant up to which the
    source was seen; `coverage` is the share of the asked time (0 to 1) in which it was, None where
    that cannot be told.
    """

    buckets: tuple[Bucket, ...]
    covered_until: datetime
    coverage: float | None = 1.0
    _starts: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _before: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for bucket in self.buckets:
            if not (bucket.start < bucket.end and bucket.amount >= 0):
                raise ValueError(f"{bucket} is empty, runs backwards or is negative")
        for earlier, later in zip(self.buckets, self.buckets[1:], strict=False):
            if later.start < earlier.end:
                raise ValueError(f"{earlier} and {later} overlap or are out of order")
        object.__setattr__(self, "_starts", tuple(bucket.start for bucket in self.buckets))
        amounts = accumulate((bucket.amount for bucket in self.buckets), initial=0.0)
        object.__setattr__(self, "_before", tuple(amounts))

    @property
    def end(self) -> float:
        """When the last usage ended (seconds since the Unix epoch); minus infinity if none."""
        return self.buckets[-1].end if self.buckets else float("-inf")

    def until(self, at: float) -> float:
        """Everything used up to `at` (seconds since the Unix epoch), in base units."""
        index = bisect_right(self._starts, at) - 1
        if index < 0:
            return 0.0
        bucket = self.buckets[index]
        # By rate, not by share: whole rates times whole seconds are exact.
        rate = bucket.amount / (bucket.end - bucket.start)
        return self._before[index] + rate * (min(at, bucket.end) - bucket.start)

    def between(self, start: float, end: float) -> float:
        """What was used in `(start, end]` (seconds since the Unix epoch), in base units."""
        return max(self.until(end) - self.until(start), 0.0)


def buckets_from_rates(samples: Iterable[tuple[float, float]], step: float) -> tuple[Bucket, ...]:
    """Make buckets of samples `(instant, rate)`, each standing for the `step` seconds before it.

    Neighbours with the same rate become one bucket, so a session is one bucket however long it
    lasts. Samples must be in time order, at least `step` apart; rates are base units per second.
    """
    buckets: list[Bucket] = []
    rate_before = 0.0
    for instant, rate in samples:
        start = instant - step
        if rate <= 0:
            rate_before = 0.0
            continue
        if buckets and buckets[-1].end == start and rate == rate_before:
            start = buckets.pop().start
        buckets.append(Bucket(start, instant, rate * (instant - start)))
        rate_before = rate
    return tuple(buckets)


@dataclass(frozen=True, slots=True)
class Fresh:
    """Usage that is known up to now."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Stale:
    """Usage that was known up to `usage.covered_until`, too long ago to decide on.

    `reason` is one of a bounded set of words, `detail` a sentence for an admin.
    """

    usage: Usage
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Usage that could not be learnt, and why (`reason` and `detail` as in `Stale`)."""

    reason: str
    detail: str


Reading = Fresh | Stale | Unknown
