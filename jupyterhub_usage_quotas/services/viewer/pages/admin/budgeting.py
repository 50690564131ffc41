"""Budgets: what each user may use by the calendar, in this week (or month, ...) and in the next.

Another budget is an override for everyone whom a policy covers, from now or from the next period's
start, until the end of that period: then the configured one is in force again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Final

from .....ledger.drafts import Proposal
from .....quotas.adjustments import Adjustment, allowance
from .....quotas.policy.policy import Policy, PolicySet
from .....status.language import Language
from ....web.params import NUMBER
from .decided import IN_FORCE, LATER, Entry, entries
from .giving import Fault, Mistyped, no_reason, says_why

THIS, NEXT = "this", "next"
FIELDS: Final = ("policy", "period", "amount", "reason", "key")
NOBODY: Final = ""
"""No user's name: what is in force for everyone is asked for."""


@dataclass(frozen=True, slots=True)
class Period:
    """A period of a policy's calendar, and what each user may use in it; `name` is "this" or
    "next".
    """

    name: str
    start: datetime
    until: datetime
    allowance: str
    is_usual: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """A policy whose usage begins anew by the calendar, and what was decided about it. `number` is
    its place on the page; `role` and `tier` are empty where it is none of the weekly budgets.
    """

    number: int
    role: str
    tier: str
    policy: str
    title: str
    per: str
    unit: str
    usual: str
    periods: tuple[Period, ...]
    decided: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class TierRow:
    """A row of the table of tiers and roles; a tier stands before `roles` of them."""

    budget: Budget
    roles: int


@dataclass(frozen=True, slots=True)
class TypedBudget:
    """What was typed into a budget's form, as it was typed."""

    policy: str = ""
    period: str = THIS
    amount: str = ""
    reason: str = ""
    key: str = ""

    @classmethod
    def of(cls, argument: Callable[[str], str]) -> TypedBudget:
        """It, from the fields of a request."""
        made = {name: argument(name) for name in FIELDS}
        # Browsers end lines as HTTP does.
        return cls(**made | {"reason": made["reason"].replace("\r\n", "\n")})


def budget_policies(policies: PolicySet, at: datetime) -> dict[str, Policy]:
    """By name, the policies that have a budget for each period: of each user, by a calendar, and
    with a name of their own, by which a ledger has its adjustments.
    """
    return {
        one.name: one
        for one in policies
        if one.window.period_at(at) and not one.pooled and one.name not in policies.default_names
    }


def _period(policy: Policy, name: str, at: datetime) -> tuple[datetime, datetime]:
    period = policy.window.period_at(at, after=1 if name == NEXT else 0)
    assert period is not None  # noqa: S101 it has a calendar
    return period


def budgets(
    policies: PolicySet,
    for_everyone: Sequence[Adjustment],
    at: datetime,
    language: Language,
    actor: str,
    roles_and_tiers: Mapping[str, tuple[str, str]],
) -> list[Budget]:
    """All budgets, by what was decided for everyone."""

    def budget(number: int, policy: Policy) -> Budget:
        unit = policy.limit.unit
        decided = [one for one in for_everyone if one.concerns(policy, NOBODY)]
        periods = []
        for name in (THIS, NEXT):
            start, until = _period(policy, name, at)
            amount = allowance(policy, decided, NOBODY, max(start, at))
            shown = language.amount(amount, unit) if amount < inf else ""
            periods.append(Period(name, start, until, shown, amount == policy.limit.base))
        said = entries(
            sorted(decided, key=lambda one: one.id, reverse=True),
            policies,
            at,
            language,
            actor=actor,
            administers=True,
        )
        role, tier = roles_and_tiers.get(policy.name, ("", ""))
        return Budget(
            number,
            role,
            tier,
            policy.name,
            language.gettext(policies.resources[policy.resource].display_name),
            language.say(policy.window.per),
            language.unit(unit.symbol),
            language.amount(policy.limit.base, unit),
            tuple(periods),
            tuple(one for one in said if one.state in (IN_FORCE, LATER)),
        )

    found = budget_policies(policies, at).values()
    return [budget(number, one) for number, one in enumerate(found, 1)]


def tier_rows(budgets: Sequence[Budget]) -> list[TierRow]:
    """The table of tiers and roles: what belongs to a tier stands together."""
    by_tier: dict[str, list[Budget]] = {}
    for one in budgets:
        if one.tier:
            by_tier.setdefault(one.tier, []).append(one)
    return [
        TierRow(one, 0 if place else len(theirs))
        for theirs in by_tier.values()
        for place, one in enumerate(theirs)
    ]


def proposal_of(
    typed: TypedBudget, policies: PolicySet, at: datetime, language: Language, actor: str
) -> Proposal:
    """The override that was meant. Raises `Mistyped` with all that is wrong with it."""
    gettext = language.gettext
    policy = budget_policies(policies, at).get(typed.policy)
    faults = []
    if policy is None:
        faults.append(Fault("", gettext("There is no such budget.")))
    if typed.period not in (THIS, NEXT):
        faults.append(Fault("period", gettext("Select one of the two.")))
    if not NUMBER.fullmatch(typed.amount.strip()):
        text = gettext("Enter a number, 0 or above, for example {example}.", example="20")
        faults.append(Fault("amount", text))
    if not says_why(typed.reason):
        faults.append(Fault("reason", no_reason(language)))
    if policy is None or faults:
        raise Mistyped(faults)
    start, until = _period(policy, typed.period, at)
    return Proposal(
        kind="override",
        policy=policy.name,
        amount=f"{typed.amount.strip()} {policy.limit.unit.symbol}",
        start=start.astimezone(UTC).isoformat() if typed.period == NEXT else "",
        until=until.astimezone(UTC).isoformat(),
        actor=actor,
        reason=typed.reason,
    )
