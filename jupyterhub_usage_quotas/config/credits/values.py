"""What an admin's functions may return: checked, since a wrong number would give credits away."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from ...errors import UsageQuotasError
from ...quotas.messages import wrong
from ...quotas.resources import CREDITS
from ...quotas.units import LARGEST_AMOUNT, LONGEST_DURATION

USUAL_NAME: Final = "default"
"""The credits that a user has by the first generation's options."""
LONGEST_NAME: Final = 150
"""Characters of the name of credits or of a project, which is part of that of a policy."""
SHORTEST: Final = 60
"""Seconds between two grants: shorter intervals are taken together."""
KEYS: Final = ("cap", "grant_value", "grant_interval")
AN_ENTRY: Final = "a dict with name, cap, grant_value and grant_interval"


class InvalidCredits(UsageQuotasError, ValueError):
    """Something is no number of credits or seconds, or no credits at all; the message says what."""


@dataclass(frozen=True, slots=True)
class Refilled:
    """Credits with a `cap` that get `amount` back `every` so often."""

    cap: float
    amount: float
    every: timedelta
    at: str = ""
    """A time of the day (UTC) from which steps are counted."""

    def entry(self) -> dict[str, Any]:
        """Limit and window, as an admin writes them in a policy."""
        return {
            "limit": {"value": self.cap, "unit": CREDITS.usual_unit.symbol},
            "window": {"refill": self.amount, "every": f"{self.every.total_seconds():.0f} seconds"}
            | ({"at": self.at} if self.at else {}),
        }


def number(value: object, what: str) -> float:
    """A number that is not negative. Raises `InvalidCredits`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= LARGEST_AMOUNT:  # type: ignore[operator]
        raise InvalidCredits(wrong(what, value, "a number, 0 or more, and not infinite"))
    return float(value)  # type: ignore[arg-type]


def seconds(value: object, what: str) -> float:
    """A length of time. Raises `InvalidCredits`."""
    found = number(value, what)
    if not 0 < found <= LONGEST_DURATION.total_seconds():
        expected = f"seconds: above 0, and at most {LONGEST_DURATION.days} days"
        raise InvalidCredits(wrong(what, value, expected))
    return found


def refilled(cap: object, value: object, interval: object, prefix: str = "") -> Refilled:
    """Credits of these numbers. Raises `InvalidCredits`.

    An interval below a minute, or of no whole seconds, becomes one that is not, in which as much
    comes back.
    """
    most = number(cap, f"{prefix}cap")
    amount = number(value, f"{prefix}grant_value")
    length = seconds(interval, f"{prefix}grant_interval")
    times = math.ceil(SHORTEST / length) if length < SHORTEST else 1
    whole = math.ceil(length * times)
    made = Refilled(most, amount * whole / length, timedelta(seconds=whole))
    if made.amount and most / made.amount * whole > LONGEST_DURATION.total_seconds():
        expected = f"enough to fill the cap within {LONGEST_DURATION.days} days"
        raise InvalidCredits(wrong(f"{prefix}grant_value", value, expected))
    return made


def named(value: object, what: str) -> str:
    """The name of credits or of a project. Raises `InvalidCredits`."""
    fits = isinstance(value, str) and value.strip() == value and value.isprintable()
    if not fits or not value or len(str(value)) > LONGEST_NAME:
        expected = f"one printable line of at most {LONGEST_NAME} characters"
        raise InvalidCredits(wrong(what, value, expected))
    return str(value)


def refilled_of(
    entry: object, what: str, *, optional: tuple[str, ...] = ()
) -> tuple[str, Refilled]:
    """The name and the numbers of an entry. Raises `InvalidCredits`."""
    if not isinstance(entry, Mapping):
        raise InvalidCredits(wrong(what, entry, AN_ENTRY))
    missing = [key for key in ("name", *KEYS) if key not in entry]
    if missing:
        raise InvalidCredits(wrong(f"{what} has no {missing[0]}", dict(entry), AN_ENTRY))
    unknown = [str(key) for key in entry if key not in ("name", *KEYS, *optional)]
    if unknown:
        raise InvalidCredits(wrong(f"{what} has an unknown key", unknown[0], AN_ENTRY))
    name = named(entry["name"], f"{what}.name")
    cap, value, interval = (entry[key] for key in KEYS)
    return name, refilled(cap, value, interval, f"{what}.")
