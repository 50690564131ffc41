"""The port of windows: how usage is held against a limit.

A window answers three questions. `used` says how much usage counts at an instant. `earliest` says
when so little of it counts, if nothing more is used, that a condition holds: this is where retry
times come from; they are whole minutes, because that is what people are shown. `exhausted` says
when so much counts that nothing remains, if usage goes on at a rate.

Whatever differs from kind to kind is answered here too, so that nothing outside of this folder
needs to know which kinds there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from ..amounts import Amounts
from ..messages import not_among, wrong
from ..phrases import Phrase
from ..units import InvalidQuantity, Unit
from ..usage import Usage

MINUTE = 60
SHORTEST = 1e-3
"""Seconds. Corners of a course that are nearer to each other than this are taken for one."""
Piece = tuple[float, float, float, float]
"""`(begin, end, used, slope)`: from `begin` until `end` (Unix seconds), what counts is `used` (base
units) at first, and changes by `slope` per second. At `end` itself it may have jumped.
"""


class Window(Protocol):
    """A kind of window. Values of one kind are equal when they mean the same.

    All amounts are in base units.
    """

    @property
    def reach(self) -> timedelta:
        """How much history before an instant `used` needs."""
        ...

    def reach_for(self, limit: float) -> timedelta:
        """The same for a limit of so much."""
        ...

    @property
    def length(self) -> timedelta | None:
        """How long usage counts, where that is always the same; None where it is not."""
        ...

    @property
    def comes_back(self) -> bool:
        """Whether what was used counts no more after a while, so that waiting helps."""
        ...

    @property
    def exported(self) -> bool:
        """Whether the limit is the one that the source reports for each user."""
        ...

    def cannot_hold(self, limit: float) -> str:
        """Why a limit of this window makes no sense, for the admin; empty where it does."""
        ...

    @property
    def combination(self) -> object:
        """What two policies must share to be combined into one."""
        ...

    @property
    def measure(self) -> object:
        """What a pool that pays first shares with the allowances that the rest falls to."""
        ...

    @property
    def refilled_by(self) -> tuple[float, timedelta] | None:
        """How much comes back at every step, in base units, and how often; None where it does not
        come back in steps.
        """
        ...

    def refilled(self, amount: float, every: timedelta) -> Window:
        """The same window where so much comes back every so often; itself where nothing comes back
        in steps.
        """
        ...

    def steps_around(self, at: datetime) -> tuple[datetime, datetime] | None:
        """The last step at or before an instant, and the next; None where nothing comes back in
        steps.
        """
        ...

    @property
    def short(self) -> str:
        """In a name: "per 7 days"."""
        ...

    @property
    def said(self) -> Phrase:
        """In a sentence about what was used: "in the last 7 days"."""
        ...

    @property
    def per(self) -> Phrase:
        """After a limit: "per 7 days"."""
        ...

    @property
    def phrase(self) -> str:
        """What is `said`, in English."""
        ...

    def combine(
        self, windows: Sequence[Window], combined: Callable[[Sequence[float]], float]
    ) -> Window:
        """The window of several policies with the same `combination`, this one's among them;
        `combined` makes one of the amounts that each of them gives.
        """
        ...

    def used(self, usage: Amounts, at: datetime) -> float:
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

    def steady_until(self, usage: Amounts, at: datetime, used: float) -> datetime | None:
        """Until when `used`, which is what counts at `at`, stays so, if nothing more is used; it
        may stay longer. None where it stays for ever, `at` where it changes now.
        """
        ...

    def period_at(self, at: datetime, after: int = 0) -> tuple[datetime, datetime] | None:
        """From when and until when usage counts that begins anew by a calendar: the period that an
        instant is in, or so many after it. None where it does not begin anew.
        """
        ...

    def account(self) -> Account:
        """An account of what a pool pays, to be advanced in time."""
        ...

    def plotted_from(self, at: datetime) -> datetime | None:
        """Where a plot begins that shows how it came to what counts at `at`; None where there is
        no such course.
        """
        ...

    def course(self, usage: Usage, instants: Sequence[datetime]) -> list[float]:
        """What of `used` at the last of these instants had been used at each of them. The first
        is `plotted_from`.
        """
        ...

    def __str__(self) -> str:
        """In a table and in JSON, in English: "7 days"."""
        ...


@dataclass(frozen=True, slots=True)
class Notation:
    """How windows of a kind are written as mappings: an `example` for messages, and what reads one
    with the unit of its limit (None where the limit has an error), raising `InvalidQuantity`.
    """

    example: str
    read: Callable[[Mapping[Any, Any], Unit | None], Window]


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

    def walk(self, start: float, end: float, rate: float, longest: float) -> Iterator[Piece]:
        """Advance to `end`, while so much is paid per second: in pieces that are no longer than
        `longest` and in which what counts is a straight line, without a gap.
        """
        ...


class PaidOver:
    """What most accounts do alike."""

    def walk(
        self: Account, start: float, end: float, rate: float, longest: float
    ) -> Iterator[Piece]:
        """See `Account.walk`."""
        at = start
        while at < end:
            used, falling, steady_until = self.at(at)
            stop = end
            if rate or used or falling:
                stop = min(end, at + longest, max(steady_until, at + SHORTEST))
            yield at, stop, used, rate - falling
            if rate:
                self.pay(at, stop, rate)
            at = stop


class OverTime:
    """What most windows over time answer alike."""

    __slots__ = ()

    @property
    def comes_back(self) -> bool:
        """See `Window.comes_back`."""
        return True

    @property
    def refilled_by(self) -> tuple[float, timedelta] | None:
        """See `Window.refilled_by`."""
        return None

    def reach_for(self: Window, limit: float) -> timedelta:  # noqa: ARG002 whatever it is
        """See `Window.reach_for`."""
        return self.reach

    def steps_around(self, at: datetime) -> tuple[datetime, datetime] | None:  # noqa: ARG002
        """See `Window.steps_around`."""
        return None

    def cannot_hold(self, limit: float) -> str:  # noqa: ARG002 any limit is fine
        """See `Window.cannot_hold`."""
        return ""

    @property
    def exported(self) -> bool:
        """See `Window.exported`: no source reports a limit on what is used over time."""
        return False

    def combine(
        self,
        windows: Sequence[Window],
        combined: Callable[[Sequence[float]], float],  # noqa: ARG002 it gives no amounts
    ) -> Window:
        """See `Window.combine`: equal windows are one."""
        return windows[0]

    def period_at(
        self,
        at: datetime,  # noqa: ARG002 no calendar
        after: int = 0,  # noqa: ARG002
    ) -> tuple[datetime, datetime] | None:
        """See `Window.period_at`: most usage counts for a while, whenever it was."""
        return None

    def course(self, usage: Usage, instants: Sequence[datetime]) -> list[float]:
        """See `Window.course`."""
        return added_up(usage, instants)


def added_up(usage: Usage, instants: Sequence[datetime]) -> list[float]:
    """What was used from the first of these instants up to each of them."""
    begin = instants[0].timestamp()
    return [usage.between(begin, one.timestamp()) for one in instants]


def whole_minute(instant: datetime) -> datetime:
    """The first whole minute at or after an instant."""
    return from_unix(math.ceil(instant.timestamp() / MINUTE) * MINUTE)


def from_unix(seconds: float) -> datetime:
    """A UTC datetime of Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def only_keys(value: Mapping[Any, Any], *known: str) -> None:
    """Refuse a mapping that has other keys. Raises `InvalidQuantity`."""
    for key in value:
        if key not in known:
            raise InvalidQuantity(not_among(wrong("unknown key", key), str(key), known))
