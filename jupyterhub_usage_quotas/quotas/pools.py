"""Pools with overflow: the pool pays first, in the order of use, and its members pay the rest.

At every instant the pool pays for what all members use, as long as its allowance is not used up.
After that it pays only as fast as its payments leave its window, shared in proportion to what
each member uses at that instant; the rest falls to the members. Payments of the pool and of the
members add up to the usage.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from .usage import Bucket, Usage, together
from .windows.base import Window, from_unix

SHORTEST = 1e-3
"""Seconds. Events that are nearer to each other than this are taken for one."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the pool paid, and what is left to each member."""

    paid: Usage
    left: Mapping[str, Usage]


def settle(
    window: Window,
    allowance: Callable[[datetime], float],
    changes: Sequence[datetime],
    usages: Mapping[str, Usage],
) -> Settlement:
    """Divide the members' usage between their pool and themselves.

    `allowance` is the pool's at an instant, which changes at `changes` only.
    """
    account, running = window.account(), _Running()
    corners = [instant.timestamp() for instant in changes]
    for begin, end, rate in running.spans(usages):
        at = begin
        while at < end:
            used, falling, steady_until = account.at(at)
            room = allowance(from_unix(at)) - used
            pays, until = _payment(room, rate, falling, at)
            following = bisect_right(corners, at)
            next_change = corners[following] if following < len(corners) else math.inf
            until = min(end, max(min(until, steady_until, next_change), at + SHORTEST))
            account.pay(at, until, pays)
            running.divide(at, pays / rate)
            at = until
    everybody = together(usages.values())
    return Settlement(
        Usage(tuple(running.paid), everybody.covered_until, everybody.coverage),
        {
            member: Usage(tuple(running.left[member]), usage.covered_until, usage.coverage)
            for member, usage in usages.items()
        },
    )


def _payment(room: float, rate: float, falling: float, at: float) -> tuple[float, float]:
    """The rate at which the pool pays from `at` on, and until when that lasts at the longest."""
    if room > 0:
        # Until the allowance is used up.
        lasts = room / (rate - falling) if rate > falling else math.inf
        return rate, at + lasts
    if room < 0 and not math.isclose(room, 0, abs_tol=rate * SHORTEST):
        # Its allowance was made smaller: it pays nothing until enough has left the window.
        return 0.0, at - room / falling if falling > 0 else math.inf
    return min(rate, falling), math.inf


class _Running:
    """What members use at an instant, and the share of it that the pool pays.

    A bucket is cut only where that share changes: as long as the pool has enough, or nothing,
    there is only as much to do as there are buckets.
    """

    def __init__(self) -> None:
        self.paid: list[Bucket] = []
        self.left: defaultdict[str, list[Bucket]] = defaultdict(list)
        self._share = 1.0
        self._uncut: dict[tuple[str, int], tuple[float, Bucket]] = {}
        """What runs, by its member and number, and since when it was not cut."""
        self._rates: Counter[float] = Counter()

    def spans(self, usages: Mapping[str, Usage]) -> Iterator[tuple[float, float, float]]:
        """`(start, end, rate of all)` in time order, for every span in which something is used."""
        edges: defaultdict[float, list[tuple[str, int, Bucket]]] = defaultdict(list)
        for member, usage in usages.items():
            for number, bucket in enumerate(usage.buckets):
                if bucket.amount > 0:
                    edges[bucket.start].append((member, number, bucket))
                    edges[bucket.end].append((member, number, bucket))
        for start, end in pairwise([*sorted(edges), math.inf]):
            for edge in edges[start]:
                self._pass(start, *edge)
            if self._uncut:
                # Summed anew: adding and taking away would leave rounding behind.
                rates = self._rates.items()
                yield start, end, math.fsum(rate * count for rate, count in rates)

    def _pass(self, at: float, member: str, number: int, bucket: Bucket) -> None:
        """Begin a bucket, or end it."""
        if bucket.start == at:
            self._uncut[member, number] = at, bucket
            self._rates[bucket.rate] += 1
            return
        since, _ = self._uncut.pop((member, number))
        self._note(member, since, at, bucket)
        self._rates[bucket.rate] -= 1
        if not self._rates[bucket.rate]:
            del self._rates[bucket.rate]

    def divide(self, at: float, share: float) -> None:
        """From `at` on the pool pays this share of everything."""
        if share == self._share:
            return
        for (member, number), (since, bucket) in self._uncut.items():
            self._note(member, since, at, bucket)
            self._uncut[member, number] = at, bucket
        self._share = share

    def _note(self, member: str, start: float, end: float, bucket: Bucket) -> None:
        """Record who pays for a part of a bucket."""
        if start == end:
            return
        amount = bucket.rate * (end - start)
        if self._share > 0:
            self.paid.append(Bucket(start, end, amount * self._share, bucket.server))
        if self._share < 1:
            left = amount - amount * self._share
            self.left[member].append(Bucket(start, end, left, bucket.server))
