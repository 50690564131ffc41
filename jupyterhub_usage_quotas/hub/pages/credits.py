"""Credits in the header of the Hub's pages: how many are left, and when the next ones come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...config.credits.options import Credits
from ...quotas.policy.policy import PolicySet
from ...quotas.resources import CREDITS
from ...quotas.verdict import Request, Verdict
from ...status.chip import Instant, instant
from ...status.language import ENGLISH, Language
from ...status.users import UserStatus
from ..credits.balances import CENTS, Balance, Balances, balances_of

HOUR = 3600


@dataclass(frozen=True, slots=True)
class CreditsLine:
    """The words in the header: "90 / 100" of a user's own, and of their project where it has a
    name; `next` is when the next ones come, and `form` how a script says that which comes later.
    """

    own: str
    project: str
    project_name: str
    next: Instant | None
    exhausted: bool
    form: str = ""


def credits_line(
    status: UserStatus, credits_: Credits, language: Language = ENGLISH
) -> CreditsLine | None:
    """A user's credits; None where no policy of theirs is about any, or nothing limits them."""
    found = [one for one in balances_of(status, credits_) if one.own.cap is not None]
    if not found:
        return None
    every = [one for each in found for one in (each.own, each.project) if one]
    following = min((one.next_grant for one in every if one.next_grant), default=None)
    project = found[0].project if len(found) == 1 else None
    return CreditsLine(
        _said(found, language),
        _of_cap(project, language) if project else "",
        project.name if project else "",
        instant(following, status.inputs.now, language) if following else None,
        not any(one.left is None or one.left > 0 for one in every),
        instant(status.inputs.now, status.inputs.now, language).form,
    )


def _said(found: Sequence[Balances], language: Language) -> str:
    """ "90 / 100"; of several, each with its name, "gold 3 / 20, default 90 / 100", and that of
    a project that pays before it.
    """
    if len(found) == 1:
        return _of_cap(found[0].own, language)
    every = ((each.own, each.project) for each in found)
    named = [one for pair in every for one in pair if one is not None]
    return ", ".join(f"{one.name} {_of_cap(one, language)}" for one in named)


def _of_cap(balance: Balance, language: Language) -> str:
    """ "90 / 100"; what is not known is a question mark."""
    unit = CREDITS.usual_unit

    def said(amount: float | None) -> str:
        return "?" if amount is None else language.bare(amount * CENTS, unit)

    return f"{said(balance.left)} / {said(balance.cap)}"


def cost_per_hour(
    request: Request,
    verdicts: Sequence[Verdict],
    policies: PolicySet,
    language: Language = ENGLISH,
) -> str:
    """What a server costs: of what limits the user, and in money wherever there are prices; empty
    where that is nothing, or not known.
    """
    limited = {one.allotment.resource for one in verdicts}
    amounts = [
        language.amount(request.rate(name, policies) * HOUR, resource.usual_unit)
        for name, resource in policies.resources.items()
        if resource.priced_by
        and (name in limited or (resource.money and policies.prices_of(name)))
        and request.knows(name, policies)
    ]
    if not amounts:
        return ""
    return language.gettext("{amount} per hour", amount=", ".join(amounts))
