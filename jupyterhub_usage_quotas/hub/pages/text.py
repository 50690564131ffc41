"""Texts about quotas for the Hub's pages: plain values, which the templates escape."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ...quotas.decide import Outcome
from ...quotas.policy.policy import PolicySet
from ...quotas.usage import Fresh
from ...quotas.verdict import Verdict
from ...status.chip import Instant, Starts, first_start, instant
from ...status.inputs import DecisionInputs
from ...status.language import ENGLISH, Language
from ...status.text import (
    NOT_ENFORCED,
    NOT_KNOWN,
    WARNS_ONLY,
    Severity,
    VerdictText,
    notice,
)
from ...status.users import Forecast, UserStatus, forecast
from ..launch.request import Launch, Offer
from .credits import cost_per_hour


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
    cost: str = ""
    """What it costs, where that is known."""


@dataclass(frozen=True, slots=True)
class Banner:
    """What a page on which servers are started says."""

    policies: tuple[PolicyRow, ...]
    profiles: tuple[ProfileRow, ...]
    notice: str
    starts: Starts


def banner(
    status: UserStatus, offers: Sequence[Offer], language: Language = ENGLISH
) -> Banner | None:
    """All quotas of a user, and what could be started; None where no quota limits them."""
    return filled_in(
        status, [forecast(status.inputs, one.request) for one in offers], offers, language
    )


def filled_in(
    status: UserStatus,
    forecasts: Sequence[Forecast],
    offers: Sequence[Offer],
    language: Language = ENGLISH,
) -> Banner | None:
    """The same with the forecast of each offer, where these were worked out before.

    Where quotas are not enforced, it says so, and not that anything would be denied.
    """
    policies, verdicts = status.inputs.policies, status.decision.verdicts
    limited = limited_in(verdicts)
    if not limited:
        return None
    unknown = [one.reading for one in verdicts if not isinstance(one.reading, Fresh)]
    said = notice(unknown[0], language, may_start=status.may_start) if unknown else ""
    if not status.enforced:
        said = f"{language.gettext(NOT_ENFORCED)} {said}".strip()
    inputs = status.inputs
    starts = _starts(forecasts)
    rows = [_row(one, policies, status, starts, language) for one in limited]
    profiles = [
        replace(
            _profile(offer, one, inputs.now, language),
            cost=cost_per_hour(offer.request, limited, policies, language),
        )
        for offer, one in zip(offers, forecasts, strict=True)
    ]
    return Banner(tuple(rows), tuple(profiles), said, starts)


def limited_in(verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
    """The verdicts that a banner has a row of, in the order of its rows."""
    return [one for one in verdicts if not math.isinf(one.allowance)]


def _starts(forecasts: Sequence[Forecast]) -> Starts:
    starts: dict[str, datetime] = {}
    for one in forecasts:
        for verdict in one.decision.denying:
            name, at = verdict.allotment.name, verdict.retry_time
            if at is not None:
                starts[name] = min(at, starts.get(name, at))
    return starts


def _row(
    verdict: Verdict,
    policies: PolicySet,
    status: UserStatus,
    starts: Starts,
    language: Language,
) -> PolicyRow:
    allotment, now = verdict.allotment, status.inputs.now
    how, text = status.severity_of(verdict), VerdictText.of(verdict, language)
    denies = allotment.denies and status.enforced
    over = how is Severity.EXHAUSTED and denies and verdict.retry_time
    return PolicyRow(
        how,
        language.gettext(how.label if denies or how is not Severity.EXHAUSTED else WARNS_ONLY),
        language.gettext(policies.resources[allotment.resource].display_name),
        allotment.name,
        language.say(allotment.window.said),
        text.servers,
        allotment.pool is not None,
        text.remaining,
        text.allowance,
        instant(first_start(verdict.retry_time, verdict, starts), now, language)
        if over and verdict.retry_time
        else None,
    )


def _profile(offer: Offer, forecast: Forecast, now: datetime, language: Language) -> ProfileRow:
    decision, request = forecast.decision, offer.request
    until = instant(decision.retry_time, now, language) if decision.retry_time else None
    return ProfileRow(
        request.profile,
        request.profile_name,
        forecast.denied,
        could_run(forecast, language),
        until,
        json.dumps(offer.choices) if offer.choices else "",
        offer.words,
        offer.selected,
    )


def could_run(forecast: Forecast, language: Language = ENGLISH) -> str:
    """For how long a server could run; where it would be denied, a text that the retry time
    completes, if there is one.
    """
    gettext, decision = language.gettext, forecast.decision
    match decision.outcome:
        case Outcome.ALLOWED:
            if forecast.lasts is None:
                return gettext("over a month")
            return language.duration(forecast.lasts)
        case Outcome.DENIED:
            if decision.retry_time:
                return gettext("Not before")
            return gettext("Not within your quotas")
        case Outcome.FAILOVER_CLOSED if forecast.waits_for_usage:
            return gettext("Not before usage is known")
        case _:
            return gettext(NOT_KNOWN)


def alternatives(
    inputs: DecisionInputs, launch: Launch, language: Language = ENGLISH
) -> tuple[ProfileRow, ...]:
    """The other profiles that could be started instead of a launch that is denied, with what their
    forms have selected.
    """
    denied = launch.request.profile
    others = [one for one in launch.offers if one.selected and one.request.profile != denied]
    forecasts = [(one, forecast(inputs, one.request)) for one in others]
    return tuple(_profile(*one, inputs.now, language) for one in forecasts if one[1].fits)
