"""The sentence at the top of a user's page: whether servers may start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ....quotas.decide import Decision, Outcome
from ....quotas.phrases import mark
from ....quotas.policy.selector import ALL_SERVERS
from ....status.language import ENGLISH, Language
from ....status.text import NOT_ENFORCED, Severity
from ....status.users import UserStatus


@dataclass(frozen=True, slots=True)
class Summary:
    """Whether servers may start, in a sentence; where there is a retry time, a text for the
    catalogue with a place for it.
    """

    severity: Severity
    text: str
    retry_time: datetime | None = None


def summary(status: UserStatus, language: Language = ENGLISH) -> Summary:
    """Whether a server that asks for nothing but to run may start now."""
    if status.enforced:
        return if_enforced(status, language)
    gettext = language.gettext
    fits = [one.fits for one in status.decision.verdicts if one.allotment.denies]
    if False in fits:
        how, said = Severity.LOW, gettext("A quota is used up. Servers may start.")
    elif None in fits:
        how, said = Severity.UNKNOWN, gettext("Usage is not known. Servers may start.")
    else:
        how, said = Severity.OK, gettext("Servers may start.")
    return Summary(how, f"{said} {gettext(NOT_ENFORCED)}")


def if_enforced(status: UserStatus, language: Language = ENGLISH) -> Summary:
    """The summary as if quotas were enforced."""
    gettext, decision = language.gettext, status.decision
    match decision.outcome:
        case Outcome.FAILOVER_OPEN:
            text = gettext("Usage is not known at the moment. Servers may start.")
            return Summary(Severity.UNKNOWN, text)
        case Outcome.FAILOVER_CLOSED:
            text = gettext("Usage is not known at the moment. Until it is, no server is started.")
            return Summary(Severity.UNKNOWN, text)
        case Outcome.ALLOWED:
            others = [one for one in decision.verdicts if one.fits is False]
            denying = any(one.allotment.denies for one in others)
            if denying:
                text = gettext("Servers may start, but not all of them: see below.")
                return Summary(Severity.LOW, text)
            return Summary(Severity.OK, gettext("Servers may start."))
    return _denied(decision, language)


def _denied(decision: Decision, language: Language) -> Summary:
    gettext, how = language.gettext, Severity.EXHAUSTED
    some = any(one.allotment.servers != ALL_SERVERS for one in decision.denying)
    if decision.retry_time is not None:
        some_before = mark("Some servers may not start before {time}.")
        none_before = mark("No server may start before {time}.")
        return Summary(how, some_before if some else none_before, decision.retry_time)
    if any(one.to_free is not None for one in decision.denying):
        some_until = gettext("Some servers may not start until something is deleted.")
        none_until = gettext("No server may start until something is deleted.")
        return Summary(how, some_until if some else none_until)
    some_never = gettext("Some servers may not start, and waiting does not help.")
    none_ever = gettext("No server may start, and waiting does not help.")
    return Summary(how, some_never if some else none_ever)
