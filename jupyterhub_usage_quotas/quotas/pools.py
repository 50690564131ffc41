"""Pools whose members pay the rest themselves: who pays for what, in the order of its use.

At every instant the pool pays for what all members use, as long as its allowance is not used up.
After that it pays only as fast as its payments leave its window, shared in proportion to what
each member uses at that instant; the rest falls to the members. Payments of the pool and of the
members add up to the usage.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from .usage import Bucket, Usage, together
from .windows import Window, from_unix

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
    account = window.account()
    paid: list[Bucket] = []
    left: defaultdict[str, list[Bucket]] = defaultdict(list)
    corners = [instant.timestamp() for instant in changes]
    for begin, end, buckets in _spans(usages):
        rate = math.fsum(bucket.rate for _, bucket in buckets)
        at = begin
        while at < end:
            used, falling, steady_until = account.at(at)
            room = allowance(from_unix(at)) - used
            pays, until = _payment(room, rate, falling, at)
            following = bisect_right(corners, at)
            next_change = corners[following] if following < len(corners) else math.inf
            until = min(end, max(min(until, steady_until, next_change), at + SHORTEST))
            account.pay(at, until, pays)
            _divide(at, until, pays / rate, buckets, paid, left)
            at = until
    everybody = together(usages.values())
    return Settlement(
        Usage(tuple(paid), everybody.covered_until, everybody.coverage),
        {
            member: Usage(tuple(left[member]), usage.covered_until, usage.coverage)
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


def _divide(
    start: float,
    end: float,
    share: float,
    buckets: Sequence[tuple[str, Bucket]],
    paid: list[Bucket],
    left: Mapping[str, list[Bucket]],
) -> None:
    for member, bucket in buckets:
        amount = bucket.rate * (end - start)
        if share > 0:
            paid.append(Bucket(start, end, amount * share, bucket.server))
        if share < 1:
            left[member].append(Bucket(start, end, amount - amount * share, bucket.server))


def _spans(
    usages: Mapping[str, Usage],
) -> list[tuple[float, float, list[tuple[str, Bucket]]]]:
    """`(start, end, who uses what)` in time order, for every span in which something is used."""
    begin_or_end: defaultdict[float, list[tuple[int, str, Bucket]]] = defaultdict(list)
    for member, usage in usages.items():
        for number, bucket in enumerate(usage.buckets):
            if bucket.amount > 0:
                begin_or_end[bucket.start].append((number, member, bucket))
                begin_or_end[bucket.end].append((number, member, bucket))
    edges = sorted(begin_or_end)
    running: dict[tuple[str, int], Bucket] = {}
    spans = []
    for start, end in pairwise(edges):
        for number, member, bucket in begin_or_end[start]:
            if bucket.start == start:
                running[member, number] = bucket
            else:
                del running[member, number]
        if running:
            using = sorted((member, number) for member, number in running)
            spans.append((start, end, [(one[0], running[one]) for one in using]))
    return spans
