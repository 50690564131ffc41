"""The intervals that a plot has bars for: whole days, or shorter or longer, in a time zone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ....quotas.phrases import Phrase, mark, several
from ....status.language import DAY, DAY_IN_SHORT, ENGLISH, NEAR, Language

ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
"""How time zones are named."""
LONGEST_ZONE = 64
UTC_ZONE = ZoneInfo("UTC")
DAYS_AT_MOST = timedelta(days=62)
SHORT_SPANS = (
    (timedelta(hours=2), timedelta(minutes=5)),
    (timedelta(hours=12), timedelta(minutes=30)),
    (timedelta(days=3), timedelta(hours=1)),
)
"""Up to which span intervals of which length are taken."""


HOURLY, DAILY, WEEKLY = Phrase(mark("hour")), Phrase(mark("day")), Phrase(mark("week"))
BY_MINUTES = several("{count} minute", "{count} minutes")
SPAN = mark("{weekday}, {day} {month}, {time} to {end}")
WEEK_FROM = mark("week from {weekday}, {day} {month}")


@dataclass(frozen=True, slots=True)
class Interval:
    """From `start` to `end`; `name` in a sentence, `mark` beside an axis."""

    start: datetime
    end: datetime
    name: str
    mark: str


def zone_of(name: str) -> ZoneInfo:
    """A browser's time zone; UTC where it is none that is known here."""
    if len(name) > LONGEST_ZONE or not ZONE.fullmatch(name):
        return UTC_ZONE
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC_ZONE


def intervals(
    start: datetime, end: datetime, zone: ZoneInfo, language: Language = ENGLISH
) -> tuple[Phrase, list[Interval]]:
    """What the intervals between two instants are called, and they: the first and the last may be
    parts of one.
    """
    span = end - start
    for longest, step in SHORT_SPANS:
        if span <= longest:
            minutes = step.seconds // 60
            name = HOURLY if minutes == 60 else Phrase(*BY_MINUTES, minutes)  # noqa: PLR2004
            return name, list(_short(start, end, step, zone, language))
    if span <= DAYS_AT_MOST:
        return DAILY, [_day(*one, zone, language) for one in _cut(start, end, 1, zone)]
    return WEEKLY, [_week(*one, zone, language) for one in _cut(start, end, 7, zone)]


def _short(
    start: datetime, end: datetime, step: timedelta, zone: ZoneInfo, language: Language
) -> Iterator[Interval]:
    begin, several_days = start, end - start > timedelta(hours=12)
    while begin < end:
        # Whole steps of Unix time: clocks that are changed make no interval longer.
        following = (begin.timestamp() // step.total_seconds() + 1) * step.total_seconds()
        until = min(datetime.fromtimestamp(following, UTC), end)
        first, last = begin.astimezone(zone), until.astimezone(zone)
        beside = language.instant(first, NEAR) if several_days else f"{first:%H:%M}"
        name = language.instant(first, SPAN, end=f"{last:%H:%M}")
        yield Interval(begin, until, name, beside)
        begin = until


def _cut(
    start: datetime, end: datetime, days: int, zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime]]:
    """Cut at midnight of every day, or of every Monday."""
    begin = start
    while begin < end:
        day = begin.astimezone(zone).date()
        following = day + timedelta(days=days - (day.weekday() if days > 1 else 0))
        until = min(_midnight(following, zone), end)
        yield begin, until
        begin = until


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _day(start: datetime, end: datetime, zone: ZoneInfo, language: Language) -> Interval:
    local = start.astimezone(zone)
    return Interval(start, end, language.instant(local, DAY), language.instant(local, DAY_IN_SHORT))


def _week(start: datetime, end: datetime, zone: ZoneInfo, language: Language) -> Interval:
    local = start.astimezone(zone)
    name = language.instant(local, WEEK_FROM)
    return Interval(start, end, name, language.instant(local, DAY_IN_SHORT))
