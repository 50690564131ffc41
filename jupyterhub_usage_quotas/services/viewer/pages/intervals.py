"""The intervals that a plot has bars for: whole days, or shorter or longer, in a time zone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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


def intervals(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[str, list[Interval]]:
    """What the intervals between two instants are called, and they: the first and the last may be
    parts of one.
    """
    span = end - start
    for longest, step in SHORT_SPANS:
        if span <= longest:
            name = "hour" if step == timedelta(hours=1) else f"{step.seconds // 60} minutes"
            return name, list(_short(start, end, step, zone))
    if span <= DAYS_AT_MOST:
        return "day", [_day(*one, zone) for one in _cut(start, end, 1, zone)]
    return "week", [_week(*one, zone) for one in _cut(start, end, 7, zone)]


def _short(start: datetime, end: datetime, step: timedelta, zone: ZoneInfo) -> Iterator[Interval]:
    begin, several_days = start, end - start > timedelta(hours=12)
    while begin < end:
        # Whole steps of Unix time: clocks that are changed make no interval longer.
        following = (begin.timestamp() // step.total_seconds() + 1) * step.total_seconds()
        until = min(datetime.fromtimestamp(following, UTC), end)
        first, last = begin.astimezone(zone), until.astimezone(zone)
        mark = f"{first:%a %H:%M}" if several_days else f"{first:%H:%M}"
        yield Interval(begin, until, f"{_date(first)}, {first:%H:%M} to {last:%H:%M}", mark)
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


def _day(start: datetime, end: datetime, zone: ZoneInfo) -> Interval:
    local = start.astimezone(zone)
    return Interval(start, end, _date(local), f"{local.day} {local:%b}")


def _week(start: datetime, end: datetime, zone: ZoneInfo) -> Interval:
    local = start.astimezone(zone)
    return Interval(start, end, f"week from {_date(local)}", f"{local.day} {local:%b}")


def _date(local: datetime) -> str:
    return f"{local:%A}, {local.day} {local:%B}"
