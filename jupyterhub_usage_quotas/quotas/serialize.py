"""A decision, and home storage, as plain values, for JSON. The form is documented in
`docs/reference/check.md`.

Amounts are in the unit of each verdict's limit; times are ISO 8601 in UTC. Keys are only ever
added.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .decide import Decision
from .usage import Fresh, Reading, Stale, Unknown
from .verdict import Verdict
from .windows.gauge import GaugeReading

NOWHERE = "not_scraped"
"""Why nothing is known where nobody exports home storage: then there is nothing to say."""


def report(decision: Decision) -> dict[str, Any]:
    """The whole decision."""
    failover = decision.failover if isinstance(decision.failover, Stale | Unknown) else None
    return {
        "user": decision.request.subject.name,
        "groups": sorted(decision.request.subject.groups),
        "allow_server_launch": decision.allowed,
        "outcome": decision.outcome.value,
        "retry_time": iso(decision.retry_time),
        "failover": failover.reason if failover else None,
        "failover_detail": failover.detail if failover else None,
        "verdicts": [report_verdict(verdict) for verdict in decision.verdicts],
    }


def report_verdict(verdict: Verdict) -> dict[str, Any]:
    """One verdict; `used`, `remaining` and `fits` are null where usage is not known."""
    limit = verdict.allotment.limit
    unit = limit.unit

    def in_unit(amount: float | None) -> float | None:
        return None if amount is None or not math.isfinite(amount) else amount / unit.factor

    reading = verdict.reading
    usage = reading.usage if isinstance(reading, Fresh | Stale) else None
    return {
        "policy": verdict.allotment.name,
        "resource": verdict.allotment.resource,
        "window": str(verdict.allotment.window),
        "used": in_unit(verdict.used),
        "limit": limit.value if math.isfinite(limit.value) else None,
        "allowance": in_unit(verdict.allowance),
        "remaining": in_unit(verdict.remaining),
        "applies": verdict.applies,
        "when_exhausted": verdict.allotment.policies[0].when_exhausted.value,
        "shared": verdict.allotment.pool is not None,
        "need": in_unit(verdict.need),
        "unit": unit.symbol,
        "fits": verdict.fits,
        "never": verdict.never,
        "to_free": in_unit(verdict.to_free),
        "retry_time": iso(verdict.retry_time),
        "covered_until": iso(usage.covered_until) if usage else None,
        "coverage": usage.coverage if usage else None,
    }


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


def iso(instant: datetime | None) -> str | None:
    """ISO 8601 in UTC, such as "2026-11-24T10:05:00Z"."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if instant else None
