"""The tightest quota of a user in a few words, for the header of every page, and instants to come.

Texts are plain values, which the templates escape.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from ..quotas.resources import Resource
from ..quotas.units import show
from ..quotas.verdict import Verdict
from .text import NOT_ENFORCED, Severity, VerdictText, notice, used_share
from .users import UserStatus

A_WEEKDAY_IS_ENOUGH = timedelta(days=6)
"""Instants up to this far ahead are shown by their weekday alone."""


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant to come: for scripts, and for people, in UTC. If it is `near`, its weekday is
    enough.
    """

    iso: str
    text: str
    near: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """The words in the header. `until` completes `text`, `details` are more about the same."""

    severity: Severity
    text: str
    until: Instant | None
    details: str


Starts = Mapping[str, datetime]
"""By quota, when the first of the servers that a page offers can start which it denies now."""
ANY_SERVER: Starts = MappingProxyType({})
"""Where a page offers none: from when on a server may start that asks for nothing but to run."""


def chip(status: UserStatus, starts: Starts = ANY_SERVER) -> Chip | None:
    """The tightest quota of a user; None where none limits them."""
    limited = [one for one in status.decision.verdicts if not math.isinf(one.allowance)]
    if not limited:
        return None
    verdict = max(limited, key=_tightness)
    how = status.severity_of(verdict)
    resource = status.inputs.policies.resources[verdict.allotment.resource]
    until = None
    denies = verdict.allotment.denies and status.enforced
    if how is Severity.EXHAUSTED and denies and verdict.retry_time:
        until = instant(first_start(verdict.retry_time, verdict, starts), status.inputs.now)
    text, details = _in_short(how, verdict, resource, until), _details(verdict, resource, status)
    if not status.enforced:
        if how is Severity.EXHAUSTED:
            # Not worded as an obstacle.
            how, text = Severity.LOW, f"{text}, not enforced"
        details = f"{details} {NOT_ENFORCED}"
    return Chip(how, text, until, details)


def first_start(retry_time: datetime, verdict: Verdict, starts: Starts) -> datetime:
    """From when on servers may start: on a page that offers some, the first of these."""
    return starts.get(verdict.allotment.name, retry_time)


def _tightness(verdict: Verdict) -> tuple[int, float, float]:
    """What is used up comes first, the latest to be free again at the front; then what is not
    known; then the rest by how much of it is used. What nobody may use at all says little.
    """
    share = used_share(verdict)
    if not verdict.allowance:
        return 0, 0.0, 0.0
    if verdict.fits is False and verdict.allotment.denies:
        free = verdict.retry_time.timestamp() if verdict.retry_time else math.inf
        return 3, free, 0.0
    if share is None:
        return 2, 0.0, 0.0
    return 1, share, 0.0


def _in_short(how: Severity, verdict: Verdict, resource: Resource, until: Instant | None) -> str:
    name = resource.display_name
    if how is Severity.UNKNOWN:
        return "Usage unknown"
    if not verdict.allowance:
        return f"{name} quota is zero"
    if how is Severity.EXHAUSTED:
        return f"{name} used up until" if until else f"{name} used up"
    return f"{_amount_in_short(verdict, name)} left"


def _amount_in_short(verdict: Verdict, name: str) -> str:
    """ "GPU 3 h", "Memory 31 GiB-hours", "20 credits": nothing said twice."""
    unit = verdict.allotment.limit.unit
    shown = show(max(verdict.remaining or 0.0, 0.0), unit)
    number = shown.removesuffix(f" {unit.symbol}")
    if unit.symbol == f"{name}-hours":
        return f"{name} {number} h"
    return shown if unit.symbol.lower() == name.lower() else f"{name} {shown}"


def _details(verdict: Verdict, resource: Resource, status: UserStatus) -> str:
    """A sentence about one verdict."""
    if verdict.used is None:
        return notice(verdict.reading, may_start=status.may_start)
    allotment = verdict.allotment
    part = VerdictText.of(verdict).part
    shared = ", shared with others" if allotment.pool else ""
    warns = "" if allotment.denies else " Servers may start anyway."
    return (
        f"{resource.display_name}: {part} used {allotment.window.phrase}"
        f" ({allotment.name}{shared}).{warns}"
    )


def instant(at: datetime, now: datetime) -> Instant:
    """An instant as it is shown: "Wed 20:26 UTC", or with its date where it is further away."""
    at = at.astimezone(UTC)
    near = at - now < A_WEEKDAY_IS_ENOUGH
    text = f"{at:%a %H:%M} UTC" if near else f"{at.day} {at:%b %H:%M} UTC"
    return Instant(at.strftime("%Y-%m-%dT%H:%M:%SZ"), text, near)
