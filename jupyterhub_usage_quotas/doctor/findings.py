"""What a check found."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta

from ..quotas.units import show_days


class Status(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """Quotas work, but not as the admin may think."""
    FAILED = "failed"
    """Quotas do not work, or not for everybody."""
    SKIPPED = "skipped"
    """It could not be checked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, in a sentence, and what to do about it."""

    status: Status
    says: str
    cure: str = ""


def ok(says: str) -> Finding:
    """All is well."""
    return Finding(Status.OK, says)


def warning(says: str, cure: str) -> Finding:
    """Something to check."""
    return Finding(Status.WARNING, says, cure)


def failed(says: str, cure: str) -> Finding:
    """Something to fix."""
    return Finding(Status.FAILED, says, cure)


def skipped(says: str) -> Finding:
    """Not checked."""
    return Finding(Status.SKIPPED, says)


SHOWN = 5
"""How many names are listed before it says how many more there are."""


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Names for a sentence, the first few of many."""
    some = ", ".join(f'"{name}"' for name in names[:SHOWN])
    return some if len(names) <= SHOWN else f"{some} and {len(names) - SHOWN} more"


def counted(number: int, one: str, several: str = "") -> str:
    """A number of things."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def roughly(length: timedelta) -> str:
    """A length of time for a sentence, in the largest unit of which there are two: "3 days"."""
    for unit in (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)):
        if length >= 2 * unit:
            return show_days(round(length / unit) * unit)
    return show_days(timedelta(seconds=max(round(length.total_seconds()), 1)))
