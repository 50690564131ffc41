"""How usage is held against a limit: what counts at an instant, and when it will count less.

A window answers three questions. `used` says how much usage counts at an instant. `earliest` says
when so little of it counts, if nothing more is used, that a condition holds: this is where retry
times come from; they are whole minutes, because that is what people are shown. `exhausted` says
when so much counts that nothing remains, if usage goes on at a rate.

Calendar periods are in `calendars.py`, refilled balances in `refill.py`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ..units import show_days
from ..usage import Usage

MINUTE = 60


class Window(Protocol):
    """A kind of window. Values of one kind are equal when they mean the same.

    All amounts are in base units.
    """

    @property
    def reach(self) -> timedelta:
        """How much history before an instant `used` needs."""
        ...

    @property
    def combination(self) -> object:
        """What two policies must share to be combined into one."""
        ...

    @property
    def short(self) -> str:
        """In a name: "per 7 days"."""
        ...

    @property
    def phrase(self) -> str:
        """In a sentence about what was used: "in the last 7 days"."""
        ...

    def used(self, usage: Usage, at: datetime) -> float:
        """What counts at `at`."""
        ...

    def earliest(
        self, usage: Usage, enough: Callable[[float], bool], after: datetime
    ) -> datetime | None:
        """The first whole minute from `after` on at which `enough(used)` holds, if nothing more
        is used; None when it never does. `enough` must hold for less usage where it does for more.
        """
        ...

    def exhausted(
        self, usage: Usage, rate: float, allowance: float, start: datetime, until: datetime
    ) -> datetime | None:
        """The first instant in `[start, until]` at which `used` reaches the allowance, if from
        `start` on `rate` is used per second on top of `usage`; None when it does not.
        """
        ...

    def account(self) -> Account:
        """An account of what a pool pays, to be advanced in time."""
        ...


class Account(Protocol):
    """What a pool has paid, as far as it counts, while time goes on."""

    def at(self, instant: float) -> tuple[float, float, float]:
        """Advance to an instant (Unix seconds, never back): what counts then, the rate at which
        it falls by itself, and until when that rate holds.
        """
        ...

    def pay(self, start: float, end: float, rate: float) -> None:
        """Note a payment of so much per second."""
        ...


def whole_minute(instant: datetime) -> datetime:
    """The first whole minute at or after an instant."""
    return from_unix(math.ceil(instant.timestamp() / MINUTE) * MINUTE)


def from_unix(seconds: float) -> datetime:
    """A UTC datetime of Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True, slots=True)
class Rolling:
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
    def short(self) -> str:
        """See `Window.short`."""
        return f"per {self}"

    @property
    def phrase(self) -> str:
        """See `Window.phrase`."""
        return f"in the last {str(self).removeprefix('1 ')}"

    def used(self, usage: Usage, at: datetime) -> float:
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
        ends to leave the window, so it is looked at from corner to corner. It rises by `rate` at
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

    def account(self) -> Account:
        """See `Window.account`."""
        return _RollingAccount(self.length.total_seconds())

    def __str__(self) -> str:
        return show_days(self.length)


class _RollingAccount:
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
        if rate > 0:
            self._payments.append((start, end, rate))
            self._inside += rate * (end - start)
