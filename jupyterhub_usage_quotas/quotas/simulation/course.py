"""Courses: how what counts in a window went up and down over time, exactly.

An account of the window is advanced from corner to corner, as the settlement of pools does. What
counts between two corners is a straight line, so the instants at which it crosses an allowance are
worked out and not searched for.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain, islice

from ..usage import Usage
from ..verdict import rest
from ..windows.base import Piece, Window, from_unix

Span = tuple[float, float]
"""`[start, end)`, in seconds since the Unix epoch."""


class Course:
    """What counted in `[start, end)`, in base units: pieces in time order, without a gap."""

    __slots__ = ("_amounts", "_begins", "_slopes", "end", "most", "start")

    def __init__(self, window: Window, usage: Usage, start: float, end: float) -> None:
        """The course of a window's `used`, from all usage there is before `end`."""
        self.start, self.end = start, end
        self.most = 0.0
        """The most that counted at any instant."""
        self._begins, self._amounts, self._slopes = array("d"), array("d"), array("d")
        begins, amounts, slopes = self._begins.append, self._amounts.append, self._slopes.append
        most = 0.0
        # There may be thousands, so that every call counts.
        for begin, until, used, slope in _pieces(window, usage, start, end):
            if until <= start:
                continue
            cut, amount = begin, used
            if begin < start:
                cut, amount = start, used + slope * (start - begin)
            if amount < 0.0:  # noqa: PLR1730 a call takes longer
                amount = 0.0
            begins(cut)
            amounts(amount)
            slopes(slope)
            at_end = amount + slope * (until - cut) if slope > 0.0 else amount
            if at_end > most:  # noqa: PLR1730 the same
                most = at_end
        self.most = most

    def __iter__(self) -> Iterator[Piece]:
        return zip(
            self._begins,
            chain(islice(self._begins, 1, None), (self.end,)),
            self._amounts,
            self._slopes,
            strict=True,
        )

    def at(self, instant: float) -> float:
        """What counted at an instant of `[start, end]`."""
        index = bisect_right(self._begins, instant) - 1
        if index < 0:
            return 0.0
        since = instant - self._begins[index]
        return max(self._amounts[index] + self._slopes[index] * since, 0.0)

    def by_period(self, window: Window) -> list[tuple[datetime, datetime, float]]:
        """The most that counted in each period of a calendar in which anything did, with when the
        period begins and ends; empty where the window has no periods.
        """
        found: list[tuple[datetime, datetime, float]] = []
        if window.period_at(from_unix(self.start)) is None:
            return found
        until = -math.inf
        for begin, end, used, slope in self:
            most = max(used, used + slope * (end - begin))
            if most <= 0:
                continue
            if begin >= until and (period := window.period_at(from_unix(begin))):
                until = period[1].timestamp()
                found.append((*period, 0.0))
            if most > found[-1][2]:
                found[-1] = (*found[-1][:2], most)
        return found

    def over(self, allowances: Sequence[tuple[float, float]]) -> list[Span]:
        """The spans in which nothing remained. `allowances` are base units, each with since when it
        is in force; the first is in force at the start.
        """
        spans: list[Span] = []
        if rest(min(allowance for _, allowance in allowances), self.most) > 0:
            return spans
        until = [begin for begin, _ in allowances[1:]] + [math.inf]
        at = 0
        for begin, end, used, slope in self:
            start = begin
            while start < end:
                while until[at] <= start:
                    at += 1
                stop = min(end, until[at])
                part = start, stop, used + slope * (start - begin), slope
                if found := _over(part, allowances[at][1]):
                    if spans and found[0] <= spans[-1][1]:
                        spans[-1] = spans[-1][0], found[1]
                    else:
                        spans.append(found)
                start = stop
        return spans


def _over(piece: Piece, allowance: float) -> Span | None:
    """When nothing remains of an allowance; None where something always does."""
    begin, end, used, slope = piece
    if rest(allowance, used) <= 0:
        if slope < 0:
            end = min(end, begin + (allowance - used) / slope)
    elif slope > 0:
        begin += (allowance - used) / slope
    else:
        return None
    return (begin, end) if begin < end else None


def _pieces(window: Window, usage: Usage, start: float, end: float) -> Iterator[Piece]:
    account = window.account()
    # What is used now begins to leave the window after its length, at the earliest.
    longest = window.length.total_seconds() if window.length else math.inf
    for begin, until, rate in _runs(usage, start, end):
        yield from account.walk(begin, until, rate, longest)
    yield end, end, account.at(end)[0], 0.0


def _runs(usage: Usage, start: float, end: float) -> Iterator[tuple[float, float, float]]:
    """What was used, as `(start, end, rate)`, with the pauses before, between and after it, up to
    `end`.
    """
    edges = [start]
    for begin, until, rate in usage.segments():
        if begin >= end:
            break
        if start < begin and edges == [start]:
            yield start, begin, 0.0
        yield begin, min(until, end), rate
        edges = [until]
    if edges[0] < end:
        yield edges[0], end, 0.0


def in_both(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """The time that is in spans of both, each in time order and without overlap."""
    found, at = [], 0
    for begin, end in some:
        while at < len(others) and others[at][1] <= begin:
            at += 1
        index = at
        while index < len(others) and others[index][0] < end:
            found.append((max(begin, others[index][0]), min(end, others[index][1])))
            index += 1
    return found


def in_any(spans: Sequence[Sequence[Span]]) -> list[Span]:
    """The time that is in any of several lists of spans, without overlap."""
    joined: list[Span] = []
    for begin, end in sorted(one for some in spans for one in some):
        if joined and begin <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((begin, end))
    return joined


def seconds(spans: Sequence[Span]) -> float:
    """How long spans are together."""
    return math.fsum(end - begin for begin, end in spans)
