"""Parameters as Grafana sends them: instants of any kind, several names in one, "All"."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Final

from ...costs.months import Span
from ...costs.report import Names
from ...costs.sources.base import DAY, Date
from ...quotas.messages import wrong
from ..web.params import LONGEST_TEXT, BadParameter

USUAL: Final = 30
"""Days."""
LONGEST: Final = 3660
ALL: Final = "all"
MOST_NAMES: Final = 1000
LONGEST_LIST: Final = 20_000
DATE_EXPECTED: Final = "a date or an instant in ISO 8601, for example 2026-11-24"
MOST_USERS: Final = 100_000
MOST_DECIMALS: Final = 10


def day_of(name: str, text: str) -> Date:
    """The day (of UTC) of a date or an instant."""
    try:
        # A "+" that was not encoded arrives as a space.
        found = datetime.datetime.fromisoformat(text[:LONGEST_TEXT].strip().replace(" ", "+"))
        aware = found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
        return aware.astimezone(datetime.UTC).date()
    except (ValueError, OverflowError):
        raise BadParameter(name, wrong(got=text, expected=DATE_EXPECTED)) from None


def span_of(since: str, until: str, today: Date) -> Span:
    """The days of `from` and `to`, both included; the last is the last complete one at most."""
    last = day_of("to", until) if until else today
    end = min(last + DAY, today) if last < Date.max else today
    start = day_of("from", since) if since else end - USUAL * DAY
    if since and until and start > last:
        raise BadParameter("from", wrong(got=since, expected=f"at most to, which is {last}"))
    if (end - start).days > LONGEST:
        raise BadParameter("from", wrong(got=since, expected=f"at most {LONGEST} days before to"))
    return Span(min(start, end), end)


def names_of(name: str, given: Sequence[str]) -> Names:
    """The names in a parameter: None for all of them.

    Grafana writes several as `{a,b}`, and all as "All"; it may also be given several times.
    """
    found: list[str] = []
    for text in given:
        if len(text) > LONGEST_LIST:
            expected = f"at most {LONGEST_LIST} characters"
            raise BadParameter(name, wrong(f"{len(text)} characters", expected=expected))
        if text.startswith("{") and text.endswith("}"):
            found += text[1:-1].split(",")
        else:
            found.append(text)
    wanted = [one for one in found if one]
    if not wanted or any(one.lower() == ALL for one in wanted):
        return None
    if len(wanted) > MOST_NAMES:
        expected = f"at most {MOST_NAMES} names"
        raise BadParameter(name, wrong(f"{len(wanted)} names", expected=expected))
    return frozenset(wanted)


def number_of(name: str, text: str, most: int) -> int | None:
    """A whole number; None where it is empty, or "All"."""
    if not text.strip() or text.strip().lower() == ALL:
        return None
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= len(str(most))):
        raise BadParameter(name, wrong(got=text, expected=f"a whole number from 0 to {most}"))
    if int(digits) > most:
        raise BadParameter(name, wrong(got=text, expected=f"a whole number from 0 to {most}"))
    return int(digits)


def as_hubs(names: Names, support: str) -> Names:
    """Names of hubs as they are kept: what is no one hub's has a name only for people."""
    if names is None:
        return None
    return frozenset("" if name == support else name for name in names)


def one_of_each(rows: Iterable[str]) -> list[str]:
    """Names in order, each of them once."""
    return sorted(set(rows))
