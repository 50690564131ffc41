"""Severity and wording of verdicts, for messages, the pages of the Hub and of the viewer, the
command line and the log. Texts are plain: the code that shows them escapes them.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from ..quotas.decide import Decision, Outcome
from ..quotas.policy.selector import ServerSelector
from ..quotas.resources import RESOURCES, Resource
from ..quotas.units import show, show_more_than, show_part
from ..quotas.usage import NOT_READ_YET, Fresh, Reading, Stale
from ..quotas.verdict import Verdict

LOW = 0.8
"""From this share of an allowance on, little of it is left, and users are warned."""
SOON = timedelta(days=1)
"""Users projected to exhaust a quota within this time are warned as well."""
NOT_KNOWN = "not known"
UNLIMITED = "unlimited"
NOT_ENFORCED = "Quotas are not enforced at the moment."
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
        Severity.EXHAUSTED: "Used up",
        Severity.UNKNOWN: "Not known",
        Severity.LOW: "Nearly used up",
        Severity.OK: "OK",
    }
)
WARNS_ONLY = "Used up, servers may start"
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
    def of(cls, verdict: Verdict) -> VerdictText:
        """Put a verdict into words."""
        unit, allowance = verdict.allotment.limit.unit, verdict.allowance
        used = NOT_KNOWN if verdict.used is None else show(verdict.used, unit)
        remaining = verdict.remaining
        servers = _servers(verdict.allotment.servers)
        if math.isinf(allowance):
            return cls(used, UNLIMITED, UNLIMITED, used, servers)
        if math.isnan(allowance):
            return cls(used, NOT_KNOWN, NOT_KNOWN, used, servers)
        left = NOT_KNOWN if remaining is None else show(max(remaining, 0.0), unit)
        part = used if verdict.used is None else show_part(verdict.used, allowance, unit)
        return cls(used, show(allowance, unit), left, part, servers)


def _servers(servers: ServerSelector) -> str:
    said = []
    if servers.gpu is not None:
        said.append("with a GPU" if servers.gpu else "without a GPU")
    if servers.profile:
        said.append(f"with the profile {' or '.join(servers.profile)}")
    if servers.name:
        said.append(f"with the name {' or '.join(one or '(none)' for one in servers.name)}")
    if servers.kind:
        said.append(f"of the kind {' or '.join(servers.kind)}")
    return f"Only servers {' and '.join(said)} count." if said else ""


def notice(reading: Reading, *, may_start: bool) -> str:
    """What to say where usage is not known, or is out of date."""
    if isinstance(reading, Fresh):
        return ""
    if reading.reason == NOT_READ_YET:
        return "Usage is still being calculated. Check again in a few minutes."
    then = "may start" if may_start else "are not started"
    if isinstance(reading, Stale):
        return f"Usage data is out of date. Until it is refreshed, servers {then}."
    return f"Usage is not known at the moment. Until it is, servers {then}."


# --- why a launch is denied -----------------------------------------------------------------------


def explain(
    verdict: Verdict, resources: Mapping[str, Resource] = RESOURCES, smaller: str = ""
) -> str:
    """A sentence or two about a verdict that denies: which resource, how much of it is used in
    which window, and what helps. `smaller` is a profile that could be started instead.
    """
    allotment, text = verdict.allotment, VerdictText.of(verdict)
    of = "" if allotment.pool is None else f" shared with others (\u201c{allotment.name}\u201d)"
    quota = f"{resources[allotment.resource].in_a_sentence} quota{of}"
    whose = "Your" if allotment.pool is None else "The"
    if not verdict.allowance:
        return f"{whose} {quota} is zero, so this server cannot be started."
    if verdict.never:
        instead = f", for example \u201c{smaller}\u201d" if smaller else ""
        return (
            f"This server asks for more than {whose.lower()} {quota} can ever give: it needs at"
            f" least {show(verdict.need, allotment.limit.unit)}, and the quota is"
            f" {text.allowance} {allotment.window.short}. Choose a smaller server{instead}."
        )
    if verdict.to_free is not None:
        return _to_free(verdict, verdict.to_free, resources[allotment.resource], quota)
    used = f"{text.part} {allotment.window.phrase}"
    if (verdict.remaining or 0.0) > 0:
        return (
            f"Too little of {whose.lower()} {quota} is left: {used} are used, and this server"
            f" needs at least {show(verdict.need, allotment.limit.unit)}."
        )
    if allotment.pool is not None:
        return f"The {quota} is used up: {used}."
    return f"You have used up your {quota}: {used}."


def _to_free(verdict: Verdict, to_free: float, resource: Resource, quota: str) -> str:
    """What is said where waiting does not help, but freeing does."""
    used, allowance = resource.show(verdict.used or 0.0), resource.show(verdict.allowance)
    what = (
        f"You have used up your {quota}: {used} of {allowance}. You cannot start this server until"
        f" you have freed at least {resource.show_more_than(to_free)}."
    )
    return f"{what} {resource.freeing}" if resource.freeing else what


# --- for admins -----------------------------------------------------------------------------------


def for_log(decision: Decision) -> str:
    """One line about a decision that does not allow a launch."""
    request = decision.request
    server = f" server {request.server_name!r}" if request.server_name else ""
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
