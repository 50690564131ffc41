"""Rolling windows: the usage in the last days or hours, at every instant anew."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..amounts import Amounts
from ..messages import wrong
from ..phrases import IN_THE_LAST, PER, Phrase
from ..units import (
    LONGEST_DURATION,
    InvalidQuantity,
    bounded_duration,
    parse_duration,
    show_days,
    whole_times,
)
from ..usage import Usage
from .base import MINUTE, Account, OverTime, PaidOver, from_unix

SHORTEST = timedelta(minutes=1)
EXAMPLES = 'a number of days, a duration, for example "36h"'


def read_rolling(value: float | str) -> Rolling:
    """Read a number of days, or a duration, for example "36h". Raises `InvalidQuantity`."""
    length = parse_duration(value) if isinstance(value, str) else _days(value)
    if length < SHORTEST:
        raise InvalidQuantity(wrong("too short", value, "at least a minute"))
    return Rolling(length)


def _days(value: float) -> timedelta:
    # Compared before it is multiplied: an integer may be beyond all floats.
    sensible = 0 <= value <= LONGEST_DURATION.days
    return bounded_duration(value * 86400 if sensible else math.inf, value)


@dataclass(frozen=True, slots=True)
class Rolling(OverTime):
    """The usage in `(at - length, at]`: every hour used comes back one `length` later."""

    length: timedelta

    @property
    def reach(self) -> timedelta:
        """See `Window.reach`."""
        return self.length

    @property
    def combination(self) -> object:
        """See `Window.combination`."""
        return self

    @property
    def measure(self) -> object:
        """See `Window.measure`: the same window."""
        return self

    def refilled(self, amount: float, every: timedelta) -> Rolling:  # noqa: ARG002 see below
        """See `Window.refilled`: nothing comes back in steps."""
        return self

    @property
    def short(self) -> str:
        """See `Window.short`."""
        return f"per {self}"

    @property
    def said(self) -> Phrase:
        """See `Window.said`."""
        count, unit = whole_times(self.length)
        return Phrase(*IN_THE_LAST[unit], count)

    @property
    def per(self) -> Phrase:
        """See `Window.per`."""
        count, unit = whole_times(self.length)
        return Phrase(*PER[unit], count)

    @property
    def phrase(self) -> str:
        """See `Window.phrase`."""
        return str(self.said)

    def used(self, usage: Amounts, at: datetime) -> float:
        """What counts at `at`, in base units."""
        end = at.timestamp()
        return usage.between(end - self.length.total_seconds(), end)

    def earliest(
        self, usage: Usage, enough: Callable[[float], bool], after: datetime
    ) -> datetime | None:
        """See `Window.earliest`."""
        first = math.ceil(after.timestamp() / MINUTE)
        # One window after the last usage nothing counts any more.
        length = self.length.total_seconds()
        gone = usage.end + length
        last = max(first, math.ceil(gone / MINUTE)) if math.isfinite(gone) else first

        def holds(minute: int) -> bool:
            end = minute * MINUTE
            return enough(usage.between(end - length, end))

        if not holds(last):
            return None
        # From here on no usage is added, so what counts only falls: search by halving.
        while first < last:
            middle = (first + last) // 2
            if holds(middle):
                last = middle
            else:
                first = middle + 1
        return from_unix(last * MINUTE)

    def exhausted(
        self, usage: Usage, rate: float, allowance: float, start: datetime, until: datetime
    ) -> datetime | None:
        """See `Window.exhausted`: what counts is a broken line with corners where usage begins or
        ends to leave the window, so it is checked from corner to corner. It rises by `rate` at
        most: corners before it can have reached the allowance are passed over.
        """
        length = self.length.total_seconds()
        begin, end = start.timestamp(), until.timestamp()
        going_on = usage.running(start, until, rate)
        edges = {edge + length for segment in usage.segments() for edge in segment[:2]}
        within = {edge for edge in (end, begin + length, *edges) if begin < edge <= end}
        corners = [begin, *sorted(within)]
        known_until = max(begin, usage.end)
        at, used_before = 0, self.used(going_on, start)
        if used_before >= allowance:
            return start
        while at + 1 < len(corners):
            reached = corners[at] + (allowance - used_before) / rate if rate > 0 else math.inf
            next_ = at + 1
            if corners[at] >= known_until:
                next_ = max(bisect_right(corners, reached) - 1, next_)
            used = self.used(going_on, from_unix(corners[next_]))
            if used >= allowance:
                share = (allowance - used_before) / (used - used_before)
                return from_unix(corners[at] + share * (corners[next_] - corners[at]))
            at, used_before = next_, used
        return None

    def steady_until(
        self,
        usage: Amounts,
        at: datetime,
        used: float,  # noqa: ARG002 when it was is what matters
    ) -> datetime | None:
        """See `Window.steady_until`: until usage begins to leave the window, if it does not yet."""
        if usage.end > at.timestamp():
            return at
        length = self.length.total_seconds()
        leaves = usage.used_next(at.timestamp() - length) + length
        return from_unix(leaves) if math.isfinite(leaves) else None

    def account(self) -> Account:
        """See `Window.account`."""
        return _RollingAccount(self.length.total_seconds())

    def plotted_from(self, at: datetime) -> datetime:
        """See `Window.plotted_from`."""
        return at - self.length

    def __str__(self) -> str:
        return show_days(self.length)


class _RollingAccount(PaidOver):
    """What was paid in the last `length` seconds: a queue of payments that leave one by one."""

    def __init__(self, length: float) -> None:
        self._length = length
        self._payments: list[tuple[float, float, float]] = []
        self._gone = 0
        """How many payments have left the window as a whole."""
        self._inside = 0.0
        """What the others amount to, including the part of the oldest that has left."""

    def at(self, instant: float) -> tuple[float, float, float]:
        """See `Account.at`."""
        edge = instant - self._length
        while self._gone < len(self._payments) and self._payments[self._gone][1] <= edge:
            start, end, rate = self._payments[self._gone]
            self._inside -= rate * (end - start)
            self._gone += 1
        if self._gone == len(self._payments):
            self._inside = 0.0
            return 0.0, 0.0, math.inf
        start, end, rate = self._payments[self._gone]
        if start > edge:
            return self._inside, 0.0, start + self._length
        return self._inside - rate * (edge - start), rate, end + self._length

    def pay(self, start: float, end: float, rate: float) -> None:
        """See `Account.pay`."""
        if rate <= 0:
            return
        self._inside += rate * (end - start)
        if self._payments and self._payments[-1][1:] == (start, rate):
            # One payment that goes on leaves the window as one.
            start, _, _ = self._payments.pop()
        self._payments.append((start, end, rate))
