"""What a user's page says of what they cost, and how pages write money, months and components."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from babel.dates import get_month_names

from ....costs.components import COMPUTE, CORE, HOME, NETWORKING, OBJECTS
from ....costs.monthly import OwnCosts
from ....costs.values import IDLE_COMPONENT
from ....quotas.phrases import mark
from ....status.language import Language
from ..costing import KnownMonth

CENT: Final = Decimal("0.01")
COMPONENTS: Final[Mapping[str, str]] = {
    COMPUTE: mark("Servers"),
    HOME: mark("Home storage"),
    CORE: mark("Core of the cluster"),
    NETWORKING: mark("Networking"),
    OBJECTS: mark("Object storage"),
    IDLE_COMPONENT: mark("Idle"),
    "": mark("Outside of the cluster"),
}


@dataclass(frozen=True, slots=True)
class UserMonth:
    """What a user's page says of a month."""

    name: str
    total: str
    parts: tuple[tuple[str, str], ...]
    estimate: bool
    known: bool
    incomplete: bool


def money(amount: Decimal, currency: str, language: Language) -> str:
    """An amount for people: "1,234.50 USD"."""
    return f"{language.number(f'{amount.quantize(CENT):,f}')} {currency}"


def component_name(name: str, language: Language) -> str:
    """What people call a component; one of an admin's own as they call it."""
    return language.gettext(COMPONENTS[name]) if name in COMPONENTS else name


def month_name(first: datetime.date, language: Language) -> str:
    """A month in words: "October 2026"."""
    names = get_month_names("wide", "stand-alone", language.locale)
    return f"{names[first.month]} {first.year}"


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
