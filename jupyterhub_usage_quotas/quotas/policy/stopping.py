"""Reading how much grace servers get before they are stopped, and when their users are warned."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from ..messages import wrong
from ..units import InvalidQuantity, parse_duration

LONGEST_GRACE: Final = timedelta(days=7)
"""Who wants to give more raises the limit, or only denies launches."""
MOST_WARNINGS: Final = 10
A_GRACE: Final = 'a duration of at most 7 days, for example "5 minutes"'
WARNINGS: Final = 'a list of at most 10 durations, for example ["30 minutes", "10 minutes"]'


def parse_grace(value: object) -> timedelta:
    """How long servers run on when nothing remains. Raises ValueError."""
    grace = _duration(value)
    if grace is None or grace > LONGEST_GRACE:
        raise ValueError(wrong(got=value, expected=A_GRACE))
    return grace


def parse_warnings(value: object) -> tuple[timedelta, ...]:
    """How long before nothing remains users are warned, the longest first. Raises ValueError."""
    given = value if isinstance(value, list | tuple) and len(value) <= MOST_WARNINGS else None
    if given is None:
        raise ValueError(wrong(got=value, expected=WARNINGS))
    found = set()
    for one in given:
        before = _duration(one)
        if not before or before > LONGEST_GRACE:
            raise ValueError(wrong(got=one, expected='durations, for example "30 minutes"'))
        found.add(before)
    return tuple(sorted(found, reverse=True))


def _duration(value: object) -> timedelta | None:
    """A duration; one that was read before stays as it is. None for what is none."""
    if isinstance(value, timedelta):
        return value if value >= timedelta(0) else None
    if not isinstance(value, str):
        return None
    try:
        return parse_duration(value)
    except InvalidQuantity:
        return None
