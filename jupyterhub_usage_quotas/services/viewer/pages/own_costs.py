"""What a user's page says of what they cost."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from ....costs.monthly import OwnCosts
from ....status.language import Language
from ...web.cost_texts import component_name, money, month_name
from ..costing import KnownMonth


@dataclass(frozen=True, slots=True)
class UserMonth:
    """What a user's page says of a month."""

    name: str
    total: str
    parts: tuple[tuple[str, str], ...]
    estimate: bool
    known: bool
    incomplete: bool


def user_months(
    months: Sequence[KnownMonth], name: str, today: datetime.date, language: Language
) -> tuple[UserMonth, ...]:
    """The months of a user's page, the newest first; none where nothing at all is known."""
    if not any(one.totals for one in months):
        return ()
    return tuple(_user_month(one, name, today, language) for one in months)


def _user_month(
    month: KnownMonth, name: str, today: datetime.date, language: Language
) -> UserMonth:
    costs: Sequence[OwnCosts] = month.users.get(name, ())
    complete = [day for day in month.missing if day < today]
    parts = [
        (component_name(component, language), money(amount, one.currency, language))
        for one in costs
        for component, amount in sorted(one.amounts.items())
    ]
    return UserMonth(
        month_name(month.span.since, language),
        ", ".join(money(one.total, one.currency, language) for one in costs),
        tuple(parts),
        not all(one.final for one in costs),
        bool(month.totals),
        bool(complete),
    )
