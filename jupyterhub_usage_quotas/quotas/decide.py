"""The decision: may this user start this server now, and if not, when?

`decide` is a pure function of plain values. The same inputs give the same answer in every
process: the Hub, the command line, a page.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from .policy import PolicySet
from .resolve import Allotment, resolve
from .usage import Fresh, Reading, Unknown

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Request:
    """The server about to start, and for whom.

    `rates` is what it asks for, by resource, in base amounts: bytes of memory, cores, GPUs,
    and 1 for `time`.
    """

    user: str
    groups: frozenset[str] = frozenset()
    server_name: str = ""
    profile: str = ""
    rates: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({"time": 1.0}))


@dataclass(frozen=True, slots=True)
class Verdict:
    """One allotment's answer.

    `used`, `remaining` and `fits` are None where usage is not known well enough to say. All
    amounts are in base units. `retry_time` is the earliest instant at which this verdict alone
    would fit, if nothing more is used: None when it fits now, when it never will (`never`), or
    when usage is not known.
    """

    allotment: Allotment
    reading: Reading
    need: float
    used: float | None
    remaining: float | None
    fits: bool | None
    retry_time: datetime | None

    @property
    def never(self) -> bool:
        """Whether this launch can never fit: the limit is zero, or less than it needs."""
        return self.fits is False and self.retry_time is None


class Outcome(enum.StrEnum):
    """How a decision came about."""

    ALLOWED = "allowed"
    DENIED = "denied"
    FAILOVER_OPEN = "failover_open"
    FAILOVER_CLOSED = "failover_closed"


@dataclass(frozen=True, slots=True)
class Decision:
    """All verdicts of one request, and what follows from them.

    `binding` is the verdict that decides the retry time of a denial. `retry_time` is the
    earliest instant at which all verdicts fit, None when the launch is not denied or can never
    fit. `failover` is the reading because of which the backup decided.
    """

    request: Request
    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    binding: Verdict | None = None
    retry_time: datetime | None = None
    failover: Reading | None = None

    @property
    def allowed(self) -> bool:
        """Whether the server may start."""
        return self.outcome in (Outcome.ALLOWED, Outcome.FAILOVER_OPEN)


def decide(
    policies: PolicySet,
    usage: Mapping[str, Reading],
    request: Request,
    now: datetime,
    *,
    failover_open: bool,
) -> Decision:
    """Decide one request at the instant `now`.

    `usage` has the user's reading of every resource that is limited; one that is missing counts
    as unknown. A policy that is exhausted denies. Otherwise, where a reading is not Fresh,
    `failover_open` says whether the launch is allowed.
    """
    verdicts = tuple(
        judge(
            allotment,
            usage.get(allotment.resource, Unknown("not_measured", "not measured")),
            request,
            now,
        )
        for allotment in resolve(policies, request.user, request.groups)
    )
    denying = [verdict for verdict in verdicts if verdict.fits is False]
    if denying:
        binding = max(denying, key=_retry_order)
        retry_time = None if binding.never else joint_retry_time(verdicts, now)
        return Decision(request, Outcome.DENIED, verdicts, binding, retry_time)
    unclear = next((verdict for verdict in verdicts if verdict.fits is None), None)
    if unclear:
        outcome = Outcome.FAILOVER_OPEN if failover_open else Outcome.FAILOVER_CLOSED
        return Decision(request, outcome, verdicts, failover=unclear.reading)
    return Decision(request, Outcome.ALLOWED, verdicts)


def judge(allotment: Allotment, reading: Reading, request: Request, now: datetime) -> Verdict:
    """One allotment's verdict on a request at the instant `now`."""
    rate = request.rates.get(allotment.resource, 0.0)
    need = rate * allotment.minimum_session.total_seconds()
    if not isinstance(reading, Fresh):
        return Verdict(allotment, reading, need, None, None, None, None)
    used = allotment.window.used(reading.usage, now)
    fits = has_room(allotment, used, need)
    retry_time = None if fits else _earliest(allotment, reading, need, now)
    return Verdict(allotment, reading, need, used, allotment.limit.base - used, fits, retry_time)


def has_room(allotment: Allotment, used: float, need: float) -> bool:
    """The rule: something must remain, and at least what the launch needs.

    A difference below `ROUNDING` of the limit is none: it comes from adding fractions, and must
    not make the same usage fit in one process and not in another.
    """
    remaining = allotment.limit.base - used
    nothing = allotment.limit.base * ROUNDING
    return remaining > nothing and remaining >= need - nothing


def joint_retry_time(verdicts: tuple[Verdict, ...], now: datetime) -> datetime | None:
    """The earliest whole minute at which all verdicts that are known fit at once.

    None when there is no such minute. Each step moves to the latest of the verdicts' own
    earliest minutes, so no verdict is skipped, until all agree.
    """
    at = now
    while True:
        earliest = [
            _earliest(verdict.allotment, verdict.reading, verdict.need, at)
            for verdict in verdicts
            if isinstance(verdict.reading, Fresh)
        ]
        if None in earliest:
            return None
        latest = max((instant for instant in earliest if instant), default=at)
        if latest <= at:
            return at
        at = latest


def _earliest(
    allotment: Allotment, reading: Fresh, need: float, after: datetime
) -> datetime | None:
    return allotment.window.earliest(
        reading.usage, lambda used: has_room(allotment, used, need), after
    )


def _retry_order(verdict: Verdict) -> tuple[bool, float]:
    return (verdict.never, verdict.retry_time.timestamp() if verdict.retry_time else 0.0)
