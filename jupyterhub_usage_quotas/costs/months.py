"""Spans of days, and calendar months, of which bills are made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .sources.base import DAY, Date

MONTH: Final = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """Days, from `since` to before `until`."""

    since: Date
    until: Date


def month_of(day: Date) -> Span:
    """The month that a day is in."""
    first = day.replace(day=1)
    return Span(first, (first + 31 * DAY).replace(day=1))


def month_before(day: Date) -> Span:
    """The month before the one that a day is in: the last that is over on that day."""
    return month_of(day.replace(day=1) - DAY)


def newest_months(day: Date, number: int) -> list[Span]:
    """So many months, the newest first; that of this day is the first."""
    found = [month_of(day)]
    while len(found) < number:
        found.append(month_before(found[-1].since))
    return found


def parse_month(text: str) -> Span | None:
    """A month as people write it, for example 2026-10; None for anything else."""
    found = MONTH.fullmatch(text)
    return month_of(Date(int(found[1]), int(found[2]), 1)) if found else None


def months_of(span: Span) -> Iterator[Span]:
    """A span by calendar months, of which the first and last may be parts."""
    since = span.since
    while since < span.until:
        until = min(month_of(since).until, span.until)
        yield Span(since, until)
        since = until
