"""Calendar windows: usage since the hour, day, week, month, quarter or year began.

Periods are counted from an anchor, never from the previous boundary, so a reset on the 31st comes
back to the 31st after a shorter month. Boundaries are local times of an IANA time zone: one that
does not exist (clocks went forward over it) is moved forward as far as the clocks were, one that
exists twice is the first of the two (PEP 495, `fold=0`). Hours are counted without regard to the
clock, from the anchor's own instant.
"""

from __future__ import annotations

import enum
import math
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from ..amounts import Amounts
from ..messages import one_of, wrong
from ..phrases import PER_PERIOD, THIS, Phrase
from ..units import InvalidQuantity, Unit
from ..usage import Usage
from .base import Account, Notation, OverTime, PaidOver, from_unix, only_keys, whole_minute

ANCHOR = date(2001, 1, 1)
"""A Monday, and the first day of a year."""


class Period(enum.StrEnum):
    """How long a calendar window lasts."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


MONTHS = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}
LONGEST = {
    Period.HOUR: timedelta(hours=1),
    # A local day can be 25 hours long, or 48 where a country crossed the date line.
    Period.DAY: timedelta(days=2),
    Period.WEEK: timedelta(days=8),
    Period.MONTH: timedelta(days=32),
    Period.QUARTER: timedelta(days=93),
    Period.YEAR: timedelta(days=367),
}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTH_NAMES = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Calendar(OverTime):
    """The usage since a period of the calendar began; periods are half-open, `[start, end)`.

    `weekday` (0 is Monday) is when a week begins; `day` (1 to 31, the month's last where it is
    shorter) when a month, quarter or year does; `month` (1 to 12) in which month a year, or every
    third month, does; `hour` (0 to 23) at what time of a day.
    """

    period: Period
    timezone: str = "UTC"
    weekday: int = 0
    day: int = 1
    month: int = 1
    hour: int = 0

    def __post_init__(self) -> None:
        if self.period is Period.QUARTER:
            # Quarters from October are quarters from January: equal, so that they are combined.
            object.__setattr__(self, "month", (self.month - 1) % 3 + 1)

    @property
    def reach(self) -> timedelta:
        """See `Window.reach`."""
        return LONGEST[self.period]

    @property
    def length(self) -> None:
        """See `Window.length`: usage counts until the period ends."""
        return

    @property
    def combination(self) -> object:
        """See `Window.combination`."""
        return self

    @property
    def measure(self) -> object:
        """See `Window.measure`: the same window."""
        return self

    def refilled(self, amount: float, every: timedelta) -> Calendar:  # noqa: ARG002 see below
        """See `Window.refilled`: nothing comes back in steps."""
        return self

    @property
    def short(self) -> str:
        """See `Window.short`."""
        return f"per {self}"

    @property
    def said(self) -> Phrase:
        """See `Window.said`."""
        return Phrase(THIS[self.period])

    @property
    def per(self) -> Phrase:
        """See `Window.per`."""
        return Phrase(PER_PERIOD[self.period])

    @property
    def phrase(self) -> str:
        """See `Window.phrase`."""
        return str(self.said)

    def boundary(self, number: int) -> datetime:
        """When the period of this number begins; number 0 is the anchor's own."""
        if self.period is Period.HOUR:
            return self._instant(ANCHOR, 0) + timedelta(hours=number)
        if self.period in MONTHS:
            months = number * MONTHS[self.period] + self.month - 1
            if self.period is Period.MONTH:
                months = number
            year, month = ANCHOR.year + months // 12, months % 12 + 1
            day = min(self.day, monthrange(year, month)[1])
            return self._instant(date(year, month, day), self.hour)
        days = number if self.period is Period.DAY else 7 * number + self.weekday
        return self._instant(ANCHOR + timedelta(days=days), self.hour)

    def number(self, at: datetime) -> int:
        """The number of the period that an instant is in."""
        since = at - self._instant(ANCHOR, 0)
        guess = math.floor(since / LONGEST[self.period]) if since > timedelta(0) else 0
        if self.period in (Period.DAY, Period.WEEK):
            days = (at.astimezone(ZoneInfo(self.timezone)).date() - ANCHOR).days
            guess = days if self.period is Period.DAY else days // 7
        elif self.period in MONTHS:
            local = at.astimezone(ZoneInfo(self.timezone))
            months = (local.year - ANCHOR.year) * 12 + local.month - 1
            guess = months // MONTHS[self.period]
        else:
            guess = math.floor(since / timedelta(hours=1))
        # The guess is right but for the hour, the day and the clock: step to the period.
        while self.boundary(guess) > at:
            guess -= 1
        while self.boundary(guess + 1) <= at:
            guess += 1
        return guess

    def start(self, at: datetime) -> datetime:
        """When the period began that an instant is in."""
        return _start(self, at)

    def next_start(self, at: datetime) -> datetime:
        """When the next period begins."""
        return self.boundary(self.number(at) + 1)

    def period_at(self, at: datetime, after: int = 0) -> tuple[datetime, datetime]:
        """See `Window.period_at`."""
        number = self.number(at) + after
        return self.boundary(number), self.boundary(number + 1)

    def used(self, usage: Amounts, at: datetime) -> float:
        """What counts at `at`, in base units."""
        return usage.between(self.start(at).timestamp(), at.timestamp())

    def earliest(
        self, usage: Usage, enough: Callable[[float], bool], after: datetime
    ) -> datetime | None:
        """See `Window.earliest`: now, or when the next period begins."""
        for instant in (after, self.next_start(whole_minute(after))):
            minute = whole_minute(instant)
            if enough(self.used(usage, minute)):
                return minute
        return None

    def exhausted(
        self, usage: Usage, rate: float, allowance: float, start: datetime, until: datetime
    ) -> datetime | None:
        """See `Window.exhausted`."""
        used, begin = self.used(usage, start), start
        while begin <= until:
            if used >= allowance:
                return begin
            end = self.next_start(begin)
            if rate > 0:
                reached = begin.timestamp() + (allowance - used) / rate
                # At the boundary itself a new period has begun.
                if reached < end.timestamp():
                    return from_unix(reached) if reached <= until.timestamp() else None
            used, begin = 0.0, end
        return None

    def steady_until(
        self,
        usage: Amounts,
        at: datetime,
        used: float,  # noqa: ARG002 when it was is what matters
    ) -> datetime | None:
        """See `Window.steady_until`: until the next period, if anything counts in this one."""
        if usage.end > at.timestamp():
            return at
        counts = math.isfinite(usage.used_next(self.start(at).timestamp()))
        return self.next_start(at) if counts else None

    def account(self) -> Account:
        """See `Window.account`."""
        return _CalendarAccount(self)

    def plotted_from(self, at: datetime) -> datetime:
        """See `Window.plotted_from`."""
        return self.start(at)

    def _instant(self, day: date, hour: int) -> datetime:
        local = datetime.combine(day, time(hour), ZoneInfo(self.timezone))
        return local.astimezone(UTC)

    def __str__(self) -> str:
        parts = [f"calendar {self.period}"]
        if self.period is Period.WEEK:
            parts.append(f"from {WEEKDAYS[self.weekday].title()}")
        day = f"{self.day} " if self.day != 1 else ""
        if self.period is Period.MONTH and day:
            parts.append(f"from day {self.day}")
        if self.period in (Period.QUARTER, Period.YEAR) and (day or self.month != 1):
            parts.append(f"from {day}{MONTH_NAMES[self.month - 1].title()}")
        if self.hour:
            parts.append(f"at {self.hour:02}:00")
        return " ".join(parts) + f" ({self.timezone})"


@lru_cache(256)
def _start(window: Calendar, at: datetime) -> datetime:
    """It is asked for the same instant of all users."""
    return window.boundary(window.number(at))


class _CalendarAccount(PaidOver):
    """What was paid since the period began."""

    def __init__(self, window: Calendar) -> None:
        self._window = window
        self._end = -math.inf
        self._paid = 0.0

    def at(self, instant: float) -> tuple[float, float, float]:
        """See `Account.at`."""
        if instant >= self._end:
            self._end = self._window.next_start(from_unix(instant)).timestamp()
            self._paid = 0.0
        return self._paid, 0.0, self._end

    def pay(self, start: float, end: float, rate: float) -> None:
        """See `Account.pay`."""
        self._paid += rate * (end - start)


def read_calendar(value: Mapping[Any, Any], _unit: Unit | None) -> Calendar:
    """Read {calendar: week, starts: monday, timezone: UTC}. Raises `InvalidQuantity`."""
    only_keys(value, "calendar", "starts", "weekday", "day", "month", "hour", "timezone")
    try:
        period = Period(value["calendar"])
    except ValueError:
        raise InvalidQuantity(wrong("calendar", value["calendar"], one_of(Period))) from None
    keys = ("weekday", "day", "month", "hour")
    given: _Given = {key: (key, value[key]) for key in keys if key in value}
    if "starts" in value:
        given |= _starts(period, value["starts"], given)
    return Calendar(
        period,
        timezone=_timezone(value.get("timezone", "UTC")),
        weekday=_named(given, "weekday", WEEKDAYS, period is Period.WEEK),
        day=_number(given, "day", 1, 31, period in MONTHS),
        month=_named(given, "month", MONTH_NAMES, period in (Period.QUARTER, Period.YEAR)) + 1,
        hour=_number(given, "hour", 0, 23, period is not Period.HOUR),
    )


CALENDAR = Notation("{calendar: week, starts: monday, timezone: UTC}", read_calendar)


_Given = dict[str, tuple[str, object]]
"""By key, as what it is written, and its value."""


def _starts(period: Period, starts: object, given: _Given) -> _Given:
    """`starts` is the weekday of a week, the day of a month, the month of a quarter or year."""
    key = {
        Period.WEEK: "weekday",
        Period.MONTH: "day",
        Period.QUARTER: "month",
        Period.YEAR: "month",
    }.get(period)
    if key is None:
        raise InvalidQuantity(f"starts does not go with calendar: {period}; expected hour")
    if key in given:
        raise InvalidQuantity(f"starts and {key} mean the same; leave one out")
    return {key: ("starts", starts)}


def _timezone(name: object) -> str:
    try:
        if not isinstance(name, str):
            raise TypeError
        ZoneInfo(name)
    except (OSError, TypeError, ValueError, KeyError):
        raise InvalidQuantity(
            wrong("timezone: not known", name, "for example 'Europe/Zurich'")
        ) from None
    return name


def _number(given: _Given, key: str, low: int, high: int, fits: bool) -> int:  # noqa: FBT001
    written, value = given.get(key, (key, low))
    _fits(given, key, fits)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidQuantity(wrong(written, value, f"a number from {low} to {high}"))
    return value


def _named(given: _Given, key: str, names: tuple[str, ...], fits: bool) -> int:  # noqa: FBT001
    """The index of a name; its first three letters are enough."""
    written, value = given.get(key, (key, names[0]))
    _fits(given, key, fits)
    short = [name[:3] for name in names]
    if isinstance(value, str) and (value.lower() in names or value.lower() in short):
        return short.index(value.lower()[:3])
    raise InvalidQuantity(wrong(written, value, one_of(names)))


def _fits(given: _Given, key: str, fits: bool) -> None:  # noqa: FBT001
    if key in given and not fits:
        raise InvalidQuantity(f"{key} does not go with this calendar period; leave it out")
