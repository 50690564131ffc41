"""What commands and the API say of adjustments, with amounts in the unit of their policy."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import Field

from ..quotas.adjustments import Adjustment, Grant, Override
from ..quotas.policy.policy import PolicySet
from ..quotas.serialize import Instant, Model, NotNegative
from .drafts import Kind


class AdjustmentReport(Model):
    """An adjustment of the user, or of everyone, that is in force or to come."""

    id: int = Field(description="its number in the ledger")
    kind: Kind = Field(description="whether it adds to the limit, takes its place, or lifts it")
    policy: str = Field(description="the name of the policy that it is about")
    user: str | None = Field(description="whom it is for; null for everyone")
    amount: NotNegative | None = Field(
        description="how much more, or the limit instead; null for an exemption"
    )
    unit: str | None = Field(
        description="the unit of `amount`, which is that of the policy's limit; null where there is"
        " no such policy, and the amount is in base units (byte-seconds, seconds)"
    )
    start: Instant = Field(description="when it begins")
    until: Instant = Field(description="when it ends")
    actor: str = Field(description="who decided it")
    reason: str = Field(description="why")


class VoidingReport(Model):
    """Who voided an adjustment, when, and why."""

    actor: str = Field(description="who voided it")
    at: Instant = Field(description="when")
    reason: str = Field(description="why")


class RecordedReport(AdjustmentReport):
    """An adjustment as the ledger has it, whether it is in force, past or voided."""

    created: Instant | None = Field(description="when it was decided")
    voided: VoidingReport | None = Field(
        description="who voided it, when and why; null where it was not"
    )


def adjustment_reports(
    adjustments: Iterable[Adjustment], policies: PolicySet, now: datetime
) -> tuple[AdjustmentReport, ...]:
    """The adjustments that are not over, in the order in which they were made."""
    in_order = sorted(adjustments, key=lambda one: one.id)
    return tuple(AdjustmentReport(**_said(one, policies)) for one in in_order if one.until > now)


def recorded_report(one: Adjustment, policies: PolicySet) -> RecordedReport:
    """An adjustment as the ledger has it."""
    by = one.voided
    voided = None if by is None else VoidingReport(actor=by.actor, at=by.at, reason=by.reason)
    return RecordedReport(**_said(one, policies), created=one.created, voided=voided)


def _said(one: Adjustment, policies: PolicySet) -> dict[str, Any]:
    """The fields of `AdjustmentReport`."""
    kind, amount = _kind_and_amount(one)
    unit = next((policy.limit.unit for policy in policies if policy.name == one.policy), None)
    return {
        "id": one.id,
        "kind": kind,
        "policy": one.policy,
        "user": one.user,
        "amount": amount / unit.factor if amount is not None and unit else amount,
        "unit": unit.symbol if unit else None,
        "start": one.start,
        "until": one.until,
        "actor": one.actor,
        "reason": one.reason,
    }


def _kind_and_amount(one: Adjustment) -> tuple[Kind, float | None]:
    match one:
        case Grant(amount=amount):
            return "grant", amount
        case Override(limit=limit):
            return "override", limit
        case _:
            return "exemption", None
