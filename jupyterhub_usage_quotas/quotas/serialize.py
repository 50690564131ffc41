"""Decisions and home storage as models for JSON, for `check --json` and services.

Each key has its meaning once, in the description of its field; the references are made from that.
Amounts are in the unit of each verdict's limit; times are ISO 8601 in UTC. Keys are only ever
added.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PlainSerializer, WithJsonSchema

from ..conventions import Reason
from .decide import Decision, Outcome
from .resource import Resource
from .usage import Fresh, Reading, Stale, Unknown, Usage
from .verdict import Verdict
from .windows.gauge import GaugeReading


def iso(instant: datetime | None) -> str | None:
    """ISO 8601 in UTC, for example "2026-11-24T10:05:00Z"."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if instant else None


Instant = Annotated[
    datetime,
    PlainSerializer(iso, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
# Described and not enforced: no answer fails because of a rounding.
Share = Annotated[FiniteFloat, WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
NotNegative = Annotated[FiniteFloat, WithJsonSchema({"type": "number", "minimum": 0})]


class Model(BaseModel):
    """An object of JSON with exactly these keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=True)


class ReadingState(Model):
    """Whether usage is known."""

    state: Literal["fresh", "stale", "unknown"] = Field(
        description="`stale`: known up to a while ago"
    )
    reason: str | None = Field(description="why current usage is not known, in one word")


class Coverage(Model):
    """How far usage is known, and how completely."""

    covered_until: Instant | None = Field(description="until when usage is known")
    coverage: Share | None = Field(
        description="the share of the longest window in which the usage source was scraped"
    )


class VerdictSummary(Model):
    """What one verdict comes to."""

    policy: str = Field(
        description="the policy whose limit counts; where limits are summed, all of them, joined"
        " by ` + `"
    )
    resource: str = Field(description="for example `memory`")
    window: str = Field(description="for example `7 days`; `now` for what is not used over time")
    used: FiniteFloat | None = Field(description="null where usage is not known")
    allowance: FiniteFloat | None = Field(
        description="the limit after adjustments; null where there is none, or it is not known"
    )
    remaining: FiniteFloat | None = Field(
        description="null where usage is not known, or there is no limit"
    )
    unit: str = Field(description="the unit of the limit, in which all amounts are")
    fits: bool | None = Field(
        description="whether `remaining` is above zero and at least `need`; null where usage is"
        " not known"
    )

    @classmethod
    def of(cls, verdict: Verdict, **more: Any) -> Self:
        """The model of a verdict, with the values of whatever fields a subclass adds."""
        allotment = verdict.allotment
        return cls(
            policy=allotment.name,
            resource=allotment.resource,
            window=str(allotment.window),
            used=_in_unit(verdict, verdict.used),
            allowance=_in_unit(verdict, verdict.allowance),
            remaining=_in_unit(verdict, verdict.remaining),
            unit=allotment.limit.unit.symbol,
            fits=verdict.fits,
            **more,
        )


class VerdictReport(Coverage, VerdictSummary):
    """One verdict: what was used of one allotment, and whether the launch fits."""

    limit: FiniteFloat | None = Field(
        description="null where there is none, or it is `exported` and not known"
    )
    applies: bool = Field(
        description="false where the policy is about other servers: it denies nothing then"
    )
    when_exhausted: str = Field(description="`deny`, `stop` or `warn`")
    shared: bool = Field(description="whether `used` is what all members of a pool used")
    need: FiniteFloat = Field(
        description="what must remain for this launch: what it asks for times the policy's"
        " `minimum_session`"
    )
    never: bool = Field(
        description="true when nothing but another limit can help: it is zero or below `need`"
    )
    to_free: FiniteFloat | None = Field(
        description="for what is not used over time: more than this must be freed, since waiting"
        " does not help; else null"
    )
    retry_time: Instant | None = Field(
        description="when this verdict alone fits, if nothing more is used"
    )

    @classmethod
    def of(cls, verdict: Verdict, **more: Any) -> Self:
        """See `VerdictSummary.of`."""
        allotment, reading = verdict.allotment, verdict.reading
        limit = allotment.limit.value
        usage = reading.usage if isinstance(reading, Fresh | Stale) else None
        return super().of(
            verdict,
            **vars(coverage_of(usage)),
            limit=limit if math.isfinite(limit) else None,
            applies=verdict.applies,
            when_exhausted=allotment.policies[0].when_exhausted.value,
            shared=allotment.pool is not None,
            need=_in_unit(verdict, verdict.need),
            never=verdict.never,
            to_free=_in_unit(verdict, verdict.to_free),
            retry_time=verdict.retry_time,
            **more,
        )


class DecisionSummary(Model):
    """What a decision on a launch comes to."""

    user: str = Field(description="the user's name")
    groups: tuple[str, ...] = Field(description="the user's groups, sorted")
    allow_server_launch: bool = Field(description="whether the server may start")
    outcome: Outcome = Field(description="how the decision came about")
    retry_time: Instant | None = Field(
        description="when all verdicts fit, if nothing more is used; null when not denied, or never"
    )
    failover: str | None = Field(
        description="why usage is not known, in one word; null where it is known"
    )

    @classmethod
    def of(cls, decision: Decision, **more: Any) -> Self:
        """The model of a decision, with the values of whatever fields a subclass adds."""
        subject, failover = decision.request.subject, decision.failover
        return cls(
            user=subject.name,
            groups=tuple(sorted(subject.groups)),
            allow_server_launch=decision.allowed,
            outcome=decision.outcome,
            retry_time=decision.retry_time,
            failover=failover.reason if isinstance(failover, Stale | Unknown) else None,
            **more,
        )


class DecisionReport(DecisionSummary):
    """A decision on a launch, but for what only admins may read."""

    verdicts: tuple[VerdictReport, ...] = Field(
        description="one for each combination of resource, window and servers; empty where no"
        " policy covers the user"
    )

    @classmethod
    def of(cls, decision: Decision, **more: Any) -> Self:
        """See `DecisionSummary.of`."""
        verdicts = tuple(VerdictReport.of(verdict) for verdict in decision.verdicts)
        return super().of(decision, verdicts=verdicts, **more)


class GaugeReport(ReadingState):
    """What a user has now of a resource, with or without a policy that limits it."""

    display_name: str = Field(description="the name of the resource on pages")
    there: bool | None = Field(description="whether the user has any; null where that is not known")
    used: FiniteFloat | None = Field(
        description="how much is there, 0 where there is none; null where that is not known"
    )
    limit: FiniteFloat | None = Field(
        description="its hard limit; null for none, or where the exporter reports no limits"
    )
    unit: str
    measured_at: Instant | None = Field(description="when it was scraped last")


class HomeStorage(ReadingState):
    """The content of a home directory, with or without a policy that limits it."""

    there: bool | None = Field(
        description="whether the user has a home directory; null where that is not known"
    )
    used_bytes: FiniteFloat | None = Field(
        description="bytes in it, 0 where there is none; null where that is not known"
    )
    limit_bytes: FiniteFloat | None = Field(
        description="its hard limit; null for none, or where the exporter reports no limits"
    )
    measured_at: Instant | None = Field(description="when it was scraped last")


def coverage_of(usage: Usage | None) -> Coverage:
    """How far usage is known; nulls where it is not."""
    return Coverage(
        covered_until=usage.covered_until if usage else None,
        coverage=usage.coverage if usage else None,
    )


def state_of(reading: Reading) -> ReadingState:
    """Whether usage is known, and why not."""
    match reading:
        case Fresh():
            return ReadingState(state="fresh", reason=None)
        case Stale(reason=reason):
            return ReadingState(state="stale", reason=reason)
        case Unknown(reason=reason):
            return ReadingState(state="unknown", reason=reason)


@dataclass(frozen=True, slots=True)
class There:
    """What is there: base units, its hard limit (None for none, or where that is not reported), and
    when that was measured.
    """

    amount: float
    limit: float | None
    covered_until: datetime


def there_of(reading: Reading | None) -> There | None:
    """What is there by a reading of a gauge, stale or fresh; None if there is nothing."""
    level = reading.usage if isinstance(reading, Fresh | Stale) else None
    if not isinstance(level, GaugeReading) or not level.there:
        return None
    limited = level.limit is not None and math.isfinite(level.limit)
    return There(level.amount, level.limit if limited else None, level.covered_until)


def report_gauge(reading: Reading, resource: Resource) -> GaugeReport | None:
    """What a user has now; None where nothing exports it."""
    if isinstance(reading, Unknown) and reading.reason == Reason.NOT_SCRAPED:
        return None
    there = there_of(reading)
    known = reading.usage if isinstance(reading, Fresh | Stale) else None
    unit = resource.fitting_unit(0.0)
    return GaugeReport(
        **vars(state_of(reading)),
        display_name=resource.display_name,
        there=there is not None if known else None,
        used=known.amount / unit.factor if isinstance(known, GaugeReading) else None,
        limit=there.limit / unit.factor if there and there.limit is not None else None,
        unit=unit.symbol,
        measured_at=known.covered_until if known else None,
    )


def report_gauges(
    readings: Mapping[str, Reading], resources: Mapping[str, Resource]
) -> dict[str, GaugeReport]:
    """What a user has now, by resource; without resources that nothing exports."""
    reports = ((name, report_gauge(readings[name], resources[name])) for name in sorted(readings))
    return {name: report for name, report in reports if report}


def report_home(gauge: GaugeReport | None) -> HomeStorage | None:
    """The same for home storage, with its earlier keys."""
    if gauge is None:
        return None
    return HomeStorage(
        state=gauge.state,
        reason=gauge.reason,
        there=gauge.there,
        used_bytes=gauge.used,
        limit_bytes=gauge.limit,
        measured_at=gauge.measured_at,
    )


def _in_unit(verdict: Verdict, amount: float | None) -> float | None:
    factor = verdict.allotment.limit.unit.factor
    return None if amount is None or not math.isfinite(amount) else amount / factor
