"""Texts about quotas for the Hub's pages: plain values, which the templates escape."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ...quotas.decide import Outcome
from ...quotas.policy.policy import PolicySet
from ...quotas.resources import Resource
from ...quotas.units import show, show_duration
from ...quotas.usage import Fresh
from ...quotas.verdict import Verdict
from ...status.inputs import DecisionInputs
from ...status.text import (
    NOT_ENFORCED,
    WARNS_ONLY,
    Severity,
    VerdictText,
    notice,
    used_share,
)
from ...status.users import Forecast, UserStatus, forecast
from ..launch.request import Launch, Offer

A_WEEKDAY_IS_ENOUGH = timedelta(days=6)
"""Instants up to this far ahead are shown by their weekday alone."""


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant to come: for scripts, and for people, in UTC."""

    iso: str
    text: str


@dataclass(frozen=True, slots=True)
class Chip:
    """The words in the header. `until` completes `text`, `details` are more about the same."""

    severity: Severity
    text: str
    until: Instant | None
    details: str


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """What is left of one quota."""

    severity: Severity
    label: str
    resource: str
    policy: str
    window: str
    servers: str
    shared: bool
    remaining: str
    total: str
    until: Instant | None
    """From when on servers may start again, where it is used up."""


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """How long one profile could run now: `text`, completed by `until` where it is `denied`.

    `choices` are those in the profile that it is for, as JSON and in `words`; empty where there is
    nothing to choose. The form has them at first if they are `selected`.
    """

    slug: str
    name: str
    denied: bool
    text: str
    until: Instant | None
    choices: str = ""
    words: str = ""
    selected: bool = True


@dataclass(frozen=True, slots=True)
class Banner:
    """What a page on which servers are started says."""

    policies: tuple[PolicyRow, ...]
    profiles: tuple[ProfileRow, ...]
    notice: str


def chip(status: UserStatus) -> Chip | None:
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
        until = instant(verdict.retry_time, status.inputs.now)
    text, details = _in_short(how, verdict, resource, until), _details(verdict, resource, status)
    if not status.enforced:
        if how is Severity.EXHAUSTED:
            # Not worded as an obstacle.
            how, text = Severity.LOW, f"{text}, not enforced"
        details = f"{details} {NOT_ENFORCED}"
    return Chip(how, text, until, details)


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


def banner(status: UserStatus, offers: Sequence[Offer]) -> Banner | None:
    """All quotas of a user, and what could be started; None where no quota limits them.

    Where they are not enforced, it says so, and not that anything would be denied.
    """
    policies, verdicts = status.inputs.policies, status.decision.verdicts
    rows = [_row(one, policies, status) for one in verdicts if not math.isinf(one.allowance)]
    if not rows:
        return None
    unknown = [one.reading for one in verdicts if not isinstance(one.reading, Fresh)]
    said = notice(unknown[0], may_start=status.may_start) if unknown else ""
    if not status.enforced:
        said = f"{NOT_ENFORCED} {said}".strip()
    inputs = status.inputs
    profiles = [_profile(one, forecast(inputs, one.request), inputs.now) for one in offers]
    return Banner(tuple(rows), tuple(profiles), said)


def _row(verdict: Verdict, policies: PolicySet, status: UserStatus) -> PolicyRow:
    allotment, now = verdict.allotment, status.inputs.now
    how, text = status.severity_of(verdict), VerdictText.of(verdict)
    denies = allotment.denies and status.enforced
    over = how is Severity.EXHAUSTED and denies and verdict.retry_time
    return PolicyRow(
        how,
        how.label if denies or how is not Severity.EXHAUSTED else WARNS_ONLY,
        policies.resources[allotment.resource].display_name,
        allotment.name,
        allotment.window.phrase,
        text.servers,
        allotment.pool is not None,
        text.remaining,
        text.allowance,
        instant(verdict.retry_time, now) if over and verdict.retry_time else None,
    )


def _profile(offer: Offer, forecast: Forecast, now: datetime) -> ProfileRow:
    decision, request = forecast.decision, offer.request
    until = instant(decision.retry_time, now) if decision.retry_time else None
    return ProfileRow(
        request.profile,
        request.profile_name,
        forecast.denied,
        could_run(forecast),
        until,
        json.dumps(offer.choices) if offer.choices else "",
        offer.words,
        offer.selected,
    )


def could_run(forecast: Forecast) -> str:
    """For how long a server could run; where it would be denied, a text that the retry time
    completes, if there is one.
    """
    decision = forecast.decision
    match decision.outcome:
        case Outcome.ALLOWED:
            return "over a month" if forecast.lasts is None else show_duration(forecast.lasts)
        case Outcome.DENIED:
            return "Not before" if decision.retry_time else "Not within your quotas"
        case Outcome.FAILOVER_CLOSED if not forecast.still_read:
            return "Not before usage is known"
        case _:
            return "not known"


def alternatives(inputs: DecisionInputs, launch: Launch) -> tuple[ProfileRow, ...]:
    """The other profiles that could be started instead of a launch that is denied, with what their
    forms have selected.
    """
    denied = launch.request.profile
    others = [one for one in launch.offers if one.selected and one.request.profile != denied]
    forecasts = [(one, forecast(inputs, one.request)) for one in others]
    return tuple(_profile(*one, inputs.now) for one in forecasts if one[1].fits)


def instant(at: datetime, now: datetime) -> Instant:
    """An instant as it is shown: "Wed 20:26 UTC", or with its date where it is further away."""
    at = at.astimezone(UTC)
    near = at - now < A_WEEKDAY_IS_ENOUGH
    text = f"{at:%a %H:%M} UTC" if near else f"{at.day} {at:%b %H:%M} UTC"
    return Instant(at.strftime("%Y-%m-%dT%H:%M:%SZ"), text)
