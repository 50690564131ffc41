"""Severity and wording of verdicts, for messages, the pages of the Hub and of the viewer, the
command line and the log. Texts are plain: the code that shows them escapes them.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from ..conventions import Reason
from ..quotas.decide import Decision, Outcome
from ..quotas.phrases import mark
from ..quotas.policy.selector import ServerSelector, bounded_name
from ..quotas.resource import Resource
from ..quotas.resources import RESOURCES
from ..quotas.units import show_more_than
from ..quotas.usage import Fresh, Reading, Stale
from ..quotas.verdict import Verdict
from .language import ENGLISH, Language

_EITHER_CASE = re.compile(r"\[(\w)(?!\1)(?i:\1)\]")
"""A letter of either case in a pattern."""
LOW = 0.8
"""From this share of an allowance on, little of it is left, and users are warned."""
SOON = timedelta(days=1)
"""Users projected to exhaust a quota within this time are warned as well."""
NOT_KNOWN = mark("not known")
UNLIMITED = mark("unlimited")
NOT_ENFORCED = mark("Quotas are not enforced at the moment.")
"""The note beside every quota where no launch is denied."""


class Severity(enum.StrEnum):
    """How a quota stands, the most serious first."""

    EXHAUSTED = "exhausted"
    """Nothing is left, or too little for a server that only runs."""
    UNKNOWN = "unknown"
    """How much is left is not known."""
    LOW = "low"
    """Most of it is used, or will be soon with the servers that run."""
    OK = "ok"

    @property
    def label(self) -> str:
        """Its name on pages."""
        return LABELS[self]

    @classmethod
    def worst(cls, several: Iterable[Severity]) -> Severity:
        """The most serious of several; all is well where there is none."""
        return min(several, key=list(cls).index, default=cls.OK)


LABELS: Mapping[Severity, str] = MappingProxyType(
    {
        Severity.EXHAUSTED: mark("Used up"),
        Severity.UNKNOWN: mark("Not known"),
        Severity.LOW: mark("Nearly used up"),
        Severity.OK: mark("OK"),
    }
)
WARNS_ONLY = mark("Used up, servers may start")
"""The name of `exhausted` where it denies nothing."""


def severity(verdict: Verdict, exhausted_at: datetime | None, now: datetime) -> Severity:
    """How serious a verdict is at `now`, if servers exhaust its allotment at `exhausted_at`."""
    if verdict.fits is False:
        return Severity.EXHAUSTED
    if verdict.fits is None:
        return Severity.UNKNOWN
    if exhausted_at is not None and exhausted_at <= now + SOON:
        return Severity.LOW
    return severity_of_share(used_share(verdict))


def severity_of_share(share: float | None) -> Severity:
    """How serious it is that so much of a limit is used; None where nothing is limited."""
    if share is None or share < LOW:
        return Severity.OK
    return Severity.LOW if share < 1 else Severity.EXHAUSTED


def used_share(verdict: Verdict) -> float | None:
    """Which share of an allowance is used; None where that is not known or there is no limit."""
    if verdict.used is None or math.isinf(verdict.allowance):
        return None
    if verdict.allowance <= 0:
        return 1.0
    return verdict.used / verdict.allowance


@dataclass(frozen=True, slots=True)
class VerdictText:
    """The amounts of a verdict in words: `part` is "8 of 8 GPU-hours", `servers` which of them
    count where not all do, else empty.
    """

    used: str
    allowance: str
    remaining: str
    part: str
    servers: str

    @classmethod
    def of(cls, verdict: Verdict, language: Language = ENGLISH) -> VerdictText:
        """Put a verdict into words."""
        unit, allowance = verdict.allotment.limit.unit, verdict.allowance
        not_known, unlimited = language.gettext(NOT_KNOWN), language.gettext(UNLIMITED)
        used = not_known if verdict.used is None else language.amount(verdict.used, unit)
        remaining = verdict.remaining
        servers = _servers(verdict.allotment.servers, language)
        if math.isinf(allowance):
            return cls(used, unlimited, unlimited, used, servers)
        if math.isnan(allowance):
            return cls(used, not_known, not_known, used, servers)
        left = not_known if remaining is None else language.amount(max(remaining, 0.0), unit)
        part = used if verdict.used is None else language.part(verdict.used, allowance, unit)
        return cls(used, language.amount(allowance, unit), left, part, servers)


def _servers(servers: ServerSelector, language: Language) -> str:
    gettext, either = language.gettext, language.gettext(" or ")
    said = []
    if servers.gpu is not None:
        said.append(gettext("with a GPU") if servers.gpu else gettext("without a GPU"))
    if servers.profile:
        profiles = either.join(map(_in_lower_case, servers.profile))
        said.append(gettext("with the profile {profiles}", profiles=profiles))
    if servers.except_profile:
        profiles = either.join(map(_in_lower_case, servers.except_profile))
        said.append(gettext("without the profile {profiles}", profiles=profiles))
    if servers.name:
        names = either.join(one or gettext("(none)") for one in servers.name)
        said.append(gettext("with the name {names}", names=names))
    if servers.kind:
        said.append(gettext("of the kind {kinds}", kinds=either.join(servers.kind)))
    if not said:
        return ""
    return gettext("Only servers {which} count.", which=gettext(" and ").join(said))


def _in_lower_case(pattern: str) -> str:
    """A pattern with letters of either case, as "*[Gg][Pp][Uu]*", as people read it: "*gpu*"."""
    return _EITHER_CASE.sub(lambda found: found[1].lower(), pattern)


def notice(reading: Reading, language: Language = ENGLISH, *, may_start: bool) -> str:
    """What to say where usage is not known, or is out of date."""
    gettext = language.gettext
    if isinstance(reading, Fresh):
        return ""
    if reading.reason == Reason.NOT_READ_YET:
        return gettext("Usage is still being calculated. Check again in a few minutes.")
    if isinstance(reading, Stale):
        if may_start:
            return gettext("Usage data is out of date. Until it is refreshed, servers may start.")
        return gettext("Usage data is out of date. Until it is refreshed, servers are not started.")
    if may_start:
        return gettext("Usage is not known at the moment. Until it is, servers may start.")
    return gettext("Usage is not known at the moment. Until it is, servers are not started.")


# --- why a launch is denied -----------------------------------------------------------------------


def explain(
    verdict: Verdict,
    resources: Mapping[str, Resource] = RESOURCES,
    smaller: str = "",
    language: Language = ENGLISH,
) -> str:
    """A sentence or two about a verdict that denies: which resource, how much of it is used in
    which window, and what helps. `smaller` is a profile that could be started instead.
    """
    gettext, allotment = language.gettext, verdict.allotment
    text, unit = VerdictText.of(verdict, language), allotment.limit.unit
    quota = _quota(verdict, resources, language)
    if not verdict.allowance:
        return gettext("{quota} is zero, so this server cannot be started.", quota=quota.first)
    if verdict.never:
        return _never(verdict, quota, smaller, language)
    if verdict.to_free is not None:
        return _to_free(verdict, verdict.to_free, resources[allotment.resource], language)
    window = language.say(allotment.window.said)
    if (verdict.remaining or 0.0) > 0:
        need = language.amount(verdict.need, unit)
        return gettext(
            "Too little of {quota} is left: {used} were used {window}, and this server needs at"
            " least {need}.",
            quota=quota.within,
            used=text.part,
            window=window,
            need=need,
        )
    used = f"{text.part} {window}"
    if allotment.pool is not None:
        return gettext("{quota} is used up: {used}.", quota=quota.first, used=used)
    resource = language.gettext(resources[allotment.resource].in_a_sentence)
    return gettext("You have used up your {resource} quota: {used}.", resource=resource, used=used)


@dataclass(frozen=True, slots=True)
class _Quota:
    """What a quota is called at the beginning of a sentence, and within one."""

    first: str
    within: str


def _quota(verdict: Verdict, resources: Mapping[str, Resource], language: Language) -> _Quota:
    allotment, gettext = verdict.allotment, language.gettext
    resource = gettext(resources[allotment.resource].in_a_sentence)
    if allotment.pool is None:
        return _Quota(
            gettext("Your {resource} quota", resource=resource),
            gettext("your {resource} quota", resource=resource),
        )
    return _Quota(
        gettext(
            "The {resource} quota shared with others (“{name}”)",
            resource=resource,
            name=allotment.name,
        ),
        gettext(
            "the {resource} quota shared with others (“{name}”)",
            resource=resource,
            name=allotment.name,
        ),
    )


def _never(verdict: Verdict, quota: _Quota, smaller: str, language: Language) -> str:
    """What is said where not even a quota of which nothing is used would be enough."""
    allotment, gettext = verdict.allotment, language.gettext
    unit = allotment.limit.unit
    what = gettext(
        "This server asks for more than {quota} can ever give: it needs at least {need}, and the"
        " quota is {allowance} {per}.",
        quota=quota.within,
        need=language.amount(verdict.need, unit),
        allowance=language.amount(verdict.allowance, unit),
        per=language.say(allotment.window.per),
    )
    if smaller:
        helps = gettext("Choose a smaller server, for example “{server}”.", server=smaller)
    else:
        helps = gettext("Choose a smaller server.")
    return f"{what} {helps}"


def _to_free(verdict: Verdict, to_free: float, resource: Resource, language: Language) -> str:
    """What is said where waiting does not help, but freeing does."""
    used, allowance = verdict.used or 0.0, verdict.allowance
    what = language.gettext(
        "You have used up your {resource} quota: {used} of {allowance}. You cannot start this"
        " server until you have freed at least {amount}.",
        resource=language.gettext(resource.in_a_sentence),
        used=language.amount(used, resource.fitting_unit(used)),
        allowance=language.amount(allowance, resource.fitting_unit(allowance)),
        amount=language.more_than(to_free, resource.fitting_unit(to_free)),
    )
    return f"{what} {language.gettext(resource.freeing)}" if resource.freeing else what


# --- for admins -----------------------------------------------------------------------------------


def for_log(decision: Decision) -> str:
    """One line about a decision that does not allow a launch."""
    request = decision.request
    server = f" server {bounded_name(request.server_name)!r}" if request.server_name else ""
    about = f"{request.subject.name!r}{server}"
    if decision.outcome is not Outcome.DENIED:
        reading = decision.failover
        return f"{about}: usage is not known ({getattr(reading, 'reason', 'unknown')})"
    parts = "; ".join(verdict_for_log(verdict) for verdict in decision.denying)
    until = f"{decision.retry_time:%Y-%m-%d %H:%M} UTC" if decision.retry_time else "never"
    if decision.freeing:
        until = f"when {' and '.join(map(_freed_for_log, decision.freeing))} is freed"
    return f"{about}: {parts}; retry: {until}"


def _freed_for_log(verdict: Verdict) -> str:
    amount = show_more_than(verdict.to_free or 0.0, verdict.allotment.limit.unit)
    return f"at least {amount} of {verdict.allotment.resource}"


def verdict_for_log(verdict: Verdict) -> str:
    """A verdict in a line of the log."""
    return f"{verdict.allotment.name!r} used {VerdictText.of(verdict).part}"
