"""What `check` says of the adjustments of a user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

from pydantic import Field

from ..config.loading import printable
from ..quotas.adjustments import Adjustment, Grant, Override
from ..quotas.policy.policy import PolicySet
from ..quotas.serialize import Instant, Model, NotNegative


class AdjustmentReport(Model):
    """An adjustment of the user, or of everyone, that is in force or to come."""

    id: int = Field(description="its number in the ledger")
    kind: Literal["grant", "override", "exemption"] = Field(
        description="whether it adds to the limit, takes its place, or lifts it"
    )
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


def adjustment_reports(
    adjustments: Iterable[Adjustment], policies: PolicySet, now: datetime
) -> tuple[AdjustmentReport, ...]:
    """The adjustments that are not over, in the order in which they were made."""
    units = {policy.name: policy.limit.unit for policy in policies}
    found = []
    for one in sorted(adjustments, key=lambda one: one.id):
        if one.until > now:
            kind, amount = _kind_and_amount(one)
            unit = units.get(one.policy)
            found.append(
                AdjustmentReport(
                    id=one.id,
                    kind=kind,
                    policy=one.policy,
                    user=one.user,
                    amount=amount / unit.factor if amount is not None and unit else amount,
                    unit=unit.symbol if unit else None,
                    start=one.start,
                    until=one.until,
                    actor=one.actor,
                    reason=one.reason,
                )
            )
    return tuple(found)


def _kind_and_amount(
    one: Adjustment,
) -> tuple[Literal["grant", "override", "exemption"], float | None]:
    match one:
        case Grant(amount=amount):
            return "grant", amount
        case Override(limit=limit):
            return "override", limit
        case _:
            return "exemption", None


def adjustment_lines(reports: Iterable[AdjustmentReport]) -> Iterator[str]:
    """A line for each, for people."""
    for one in reports:
        amount = "" if one.amount is None else f" of {one.amount:g} {one.unit or 'base units'}"
        whose = f" for {printable(one.user)}" if one.user is not None else " for everyone"
        yield (
            f"adjustment {one.id}: {one.kind}{amount}{whose}, policy {printable(one.policy)}, from"
            f" {one.start:%Y-%m-%d %H:%M} to {one.until:%Y-%m-%d %H:%M} UTC, by"
            f" {printable(one.actor)}: {printable(one.reason)}"
        )
