"""The tightest quota of a user in a few words, for the header of every page, and instants to come.

Texts are plain values, which the templates escape.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from ..quotas.phrases import mark
from ..quotas.resource import Resource
from ..quotas.verdict import Verdict
from .language import ENGLISH, FAR, NEAR, Language
from .text import NOT_ENFORCED, Severity, VerdictText, notice, used_share
from .users import UserStatus

A_WEEKDAY_IS_ENOUGH = timedelta(days=6)
"""Instants up to this far ahead are shown by their weekday alone."""


@dataclass(frozen=True, slots=True)
class Instant:
    """An instant to come: for people, in UTC, and for scripts, which fill in the `form` in the
    browser's zone, in this language.
    """

    iso: str
    text: str
    form: str
    language: str


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


def chip(
    status: UserStatus,
    starts: Starts = ANY_SERVER,
    language: Language = ENGLISH,
    without: Collection[str] = (),
) -> Chip | None:
    """The tightest quota of a user; None where none limits them. Resources that are shown elsewhere
    are left out: `without`.
    """
    limited = [
        one
        for one in status.decision.verdicts
        if not math.isinf(one.allowance) and one.allotment.resource not in without
    ]
    if not limited:
        return None
    verdict = max(limited, key=_tightness)
    how = status.severity_of(verdict)
    resource = status.inputs.policies.resources[verdict.allotment.resource]
    until = None
    denies = verdict.allotment.denies and status.enforced
    if how is Severity.EXHAUSTED and denies and verdict.retry_time:
        at = first_start(verdict.retry_time, verdict, starts)
        until = instant(at, status.inputs.now, language)
    text = _in_short(how, verdict, resource, until, language)
    details = _details(verdict, resource, status, language)
    if not status.enforced:
        if how is Severity.EXHAUSTED:
            # Not worded as an obstacle.
            how = Severity.LOW
            text = language.gettext("{what}, not enforced", what=text)
        details = f"{details} {language.gettext(NOT_ENFORCED)}"
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


def _in_short(
    how: Severity, verdict: Verdict, resource: Resource, until: Instant | None, language: Language
) -> str:
    gettext, name = language.gettext, language.gettext(resource.display_name)
    if how is Severity.UNKNOWN:
        return gettext("Usage unknown")
    if not verdict.allowance:
        return gettext("{resource} quota is zero", resource=name)
    if how is Severity.EXHAUSTED:
        said = mark("{resource} used up until") if until else mark("{resource} used up")
        return gettext(said, resource=name)
    amount = _amount_in_short(verdict, resource, language)
    return gettext("{amount} left", amount=amount)


def _amount_in_short(verdict: Verdict, resource: Resource, language: Language) -> str:
    """ "GPU 3 h", "Memory 31 GiB-hours", "20 credits": nothing said twice."""
    unit, name = verdict.allotment.limit.unit, resource.display_name
    left = max(verdict.remaining or 0.0, 0.0)
    if unit.symbol == f"{name}-hours":
        return f"{language.gettext(name)} {language.bare(left, unit)} h"
    shown = language.amount(left, unit)
    same = unit.symbol.lower() == name.lower()
    return shown if same else f"{language.gettext(name)} {shown}"


def _details(verdict: Verdict, resource: Resource, status: UserStatus, language: Language) -> str:
    """A sentence about one verdict."""
    if verdict.used is None:
        return notice(verdict.reading, language, may_start=status.may_start)
    allotment, gettext = verdict.allotment, language.gettext
    shared = mark("{resource}: {part} used {window} ({policy}, shared with others).")
    alone = mark("{resource}: {part} used {window} ({policy}).")
    said = gettext(
        shared if allotment.pool else alone,
        resource=gettext(resource.display_name),
        part=VerdictText.of(verdict, language).part,
        window=language.say(allotment.window.said),
        policy=allotment.name,
    )
    if allotment.denies:
        return said
    anyway = gettext("Servers may start anyway.")
    return f"{said} {anyway}"


def instant(at: datetime, now: datetime, language: Language = ENGLISH) -> Instant:
    """An instant as it is shown: "Wed 20:26 UTC", or with its date where it is further away."""
    at = at.astimezone(UTC)
    form = NEAR if at - now < A_WEEKDAY_IS_ENOUGH else FAR
    text = f"{language.instant(at, form)} UTC"
    return Instant(at.strftime("%Y-%m-%dT%H:%M:%SZ"), text, language.gettext(form), language.tag)
