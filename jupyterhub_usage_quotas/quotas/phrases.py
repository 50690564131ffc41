"""Texts as values: what the rules say of themselves, for others to put into a language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text in English with `{placeholders}`, its plural where it has one, and the number that
    decides between the two, which is the value of `{count}`. A value may be a phrase itself.
    """

    text: str
    plural: str = ""
    count: int = 1
    values: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        """It in English."""
        text = self.plural if self.plural and self.count != 1 else self.text
        return text.format(count=self.count, **self.values)


def mark(text: str) -> str:
    """Mark a text for the catalogues: it is looked up elsewhere."""
    return text


def several(text: str, plural: str) -> tuple[str, str]:
    """Mark a text that has a plural."""
    return text, plural


# By unit of time, for one of it and for several.
IN_THE_LAST: Final[Mapping[str, tuple[str, str]]] = {
    "days": several("in the last day", "in the last {count} days"),
    "hours": several("in the last hour", "in the last {count} hours"),
    "minutes": several("in the last minute", "in the last {count} minutes"),
    "seconds": several("in the last second", "in the last {count} seconds"),
}
PER: Final[Mapping[str, tuple[str, str]]] = {
    "days": several("per day", "per {count} days"),
    "hours": several("per hour", "per {count} hours"),
    "minutes": several("per minute", "per {count} minutes"),
    "seconds": several("per second", "per {count} seconds"),
}
REFILLED: Final[Mapping[str, tuple[str, str]]] = {
    "days": several("refilled every day", "refilled every {count} days"),
    "hours": several("refilled every hour", "refilled every {count} hours"),
    "minutes": several("refilled every minute", "refilled every {count} minutes"),
    "seconds": several("refilled every second", "refilled every {count} seconds"),
}
NEVER_REFILLED: Final = mark("never refilled")
OF_A_FIXED_BALANCE: Final = mark("of a balance that is never refilled")
OF_A_BALANCE: Final[Mapping[str, tuple[str, str]]] = {
    "days": several(
        "of a balance that is refilled every day",
        "of a balance that is refilled every {count} days",
    ),
    "hours": several(
        "of a balance that is refilled every hour",
        "of a balance that is refilled every {count} hours",
    ),
    "minutes": several(
        "of a balance that is refilled every minute",
        "of a balance that is refilled every {count} minutes",
    ),
    "seconds": several(
        "of a balance that is refilled every second",
        "of a balance that is refilled every {count} seconds",
    ),
}

# By period of the calendar.
THIS: Final[Mapping[str, str]] = {
    "hour": mark("this hour"),
    "day": mark("today"),
    "week": mark("this week"),
    "month": mark("this month"),
    "quarter": mark("this quarter"),
    "year": mark("this year"),
}
PER_PERIOD: Final[Mapping[str, str]] = {
    "hour": mark("per hour"),
    "day": mark("per day"),
    "week": mark("per week"),
    "month": mark("per month"),
    "quarter": mark("per quarter"),
    "year": mark("per year"),
}
