"""What was decided about a user, for pages: who gave what, why, until when, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .....quotas.adjustments import Adjustment, Grant, Override, Voided
from .....quotas.phrases import mark
from .....quotas.policy.policy import PolicySet
from .....quotas.units import Unit
from .....status.language import ENGLISH, Language

VOIDED, OVER, LATER, IN_FORCE = "voided", "over", "later", "in-force"
STATES = {
    VOIDED: mark("Taken back"),
    OVER: mark("Over"),
    LATER: mark("Not yet in force"),
    IN_FORCE: mark("In force"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """An adjustment as a page says it. `may_void` is whether the visitor may take it back."""

    number: int
    user: str
    what: str
    policy: str
    start: datetime
    until: datetime
    made: datetime | None
    actor: str
    reason: str
    state: str
    label: str
    voided: Voided | None
    may_void: bool


def given(adjustment: Adjustment, unit: Unit | None, language: Language = ENGLISH) -> str:
    """How much more, or instead. Without a unit, since the policy is no longer there, the amount
    is in base units.
    """

    def shown(amount: float) -> str:
        return language.amount(amount, unit) if unit else language.number(f"{amount:,.10g}")

    if isinstance(adjustment, Grant):
        return language.gettext("{amount} more", amount=shown(adjustment.amount))
    if isinstance(adjustment, Override):
        return language.gettext("{amount} instead", amount=shown(adjustment.limit))
    return language.gettext("no limit")


def entries(
    adjustments: Sequence[Adjustment],
    policies: PolicySet,
    at: datetime,
    language: Language = ENGLISH,
    *,
    actor: str = "",
    administers: bool = False,
) -> tuple[Entry, ...]:
    """Adjustments for a page that this actor reads, who is nobody where nothing can be taken back;
    which of them they may void is as `Decider.void` has it.
    """
    if not adjustments:
        return ()
    units = {one.name: one.limit.unit for one in policies}

    def entry(one: Adjustment) -> Entry:
        state = _state(one, at)
        own = one.actor == actor and isinstance(one, Grant) and one.user is not None
        return Entry(
            number=one.id,
            user=one.user or "",
            what=given(one, units.get(one.policy), language),
            policy=one.policy,
            start=one.start,
            until=one.until,
            made=one.created,
            actor=one.actor,
            reason=one.reason,
            state=state,
            label=language.gettext(STATES[state]),
            voided=one.voided,
            may_void=bool(actor) and state in (LATER, IN_FORCE) and (administers or own),
        )

    return tuple(map(entry, adjustments))


def _state(one: Adjustment, at: datetime) -> str:
    if one.voided is not None:
        return VOIDED
    if one.until <= at:
        return OVER
    return LATER if one.start > at else IN_FORCE
