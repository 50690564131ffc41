"""What is said about a home directory, with or without a policy that limits it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .serialize import iso
from .usage import Fresh, Reading, Stale, Unknown
from .windows.gauge import GaugeReading

NOWHERE = "not_scraped"
"""Why nothing is known where nobody exports home storage: then there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Home:
    """A home directory that is there: bytes in it, its hard limit (None for none, or where that is
    not told), and when that was measured.
    """

    amount: float
    limit: float | None
    covered_until: datetime


def home_of(reading: Reading | None) -> Home | None:
    """The home directory that a reading tells of, be it as it was; None where it tells of none."""
    level = reading.usage if isinstance(reading, Fresh | Stale) else None
    if not isinstance(level, GaugeReading) or not level.there:
        return None
    limited = level.limit is not None and math.isfinite(level.limit)
    return Home(level.amount, level.limit if limited else None, level.covered_until)


def report_home(reading: Reading | None) -> dict[str, Any] | None:
    """The same as plain values, for JSON: documented in `docs/reference/check.md`. None where
    nobody exports home storage.
    """
    if reading is None or (isinstance(reading, Unknown) and reading.reason == NOWHERE):
        return None
    home = home_of(reading)
    level = reading.usage if isinstance(reading, Fresh | Stale) else None
    return {
        "state": type(reading).__name__.lower(),
        "reason": None if isinstance(reading, Fresh) else reading.reason,
        "used_bytes": level.amount if isinstance(level, GaugeReading) else None,
        "limit_bytes": home.limit if home else None,
        "there": home is not None if level else None,
        "measured_at": iso(level.covered_until) if level else None,
    }
