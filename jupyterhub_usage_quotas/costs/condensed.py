"""Condensed costs: allocations added up as they are made, so that no day of them has to be kept.

The sums are exact: amounts are whole numbers of the smallest part that an amount of a bill has.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Final

from .attribute import DayUsage, Rules, portions
from .money import DECIMALS, EXACT, PART_DECIMALS, split_units
from .values import Allocation, CostRow, Kind

PART: Final = 10 ** (DECIMALS - PART_DECIMALS)
Key = tuple[datetime.date, str | None, str, Kind, str, str]
"""A day, hub, component, kind, user, and currency."""


class Sums:
    """Allocations, added up: by day, or those of all days as of one.

    Where only some `users` are told apart, the others are `OTHERS` together; None for everybody.
    """

    def __init__(
        self, *, on: datetime.date | None = None, users: Collection[str] | None = None
    ) -> None:
        self._on, self._users = on, users
        self._amounts: dict[Key, int] = {}
        self._estimated: set[Key] = set()

    def attribute(
        self, rows: Iterable[CostRow], usage: Mapping[datetime.date, DayUsage], rules: Rules
    ) -> None:
        """Add what became of these rows; the same as of what `attribute` makes of them."""
        for one in portions(rows, usage, rules):
            if len(one.parts) == 1:
                units, rest, at = [0], one.amount, 0
            else:
                units, rest, at = split_units(one.amount, one.weights)
            for number, ((hub, kind, user), unit) in enumerate(zip(one.parts, units, strict=True)):
                amount = unit * PART + (_whole(rest) if number == at and rest else 0)
                key = self._key(one.day, hub, one.component, kind, user, one.currency)
                self._add(key, amount, final=one.final)

    def add(self, allocations: Iterable[Allocation]) -> None:
        """Add allocations."""
        for one in allocations:
            key = self._key(one.day, one.hub, one.component, one.kind, one.user, one.currency)
            self._add(key, _whole(one.amount), final=one.final)

    def merge(self, others: Sums) -> None:
        """Add what others have."""
        for (day, *rest), amount in others._amounts.items():
            key: Key = (self._on or day, *rest)  # type: ignore[assignment] # without its first
            self._amounts[key] = self._amounts.get(key, 0) + amount
        self._estimated |= {(self._on or day, *rest) for day, *rest in others._estimated}  # type: ignore[misc] # as above

    def _key(
        self,
        day: datetime.date,
        hub: str | None,
        component: str,
        kind: Kind,
        user: str,
        currency: str,
    ) -> Key:
        if user and self._users is not None and user not in self._users:
            kind, user = Kind.OTHERS, ""
        return self._on or day, hub, component, kind, user, currency

    def _add(self, key: Key, amount: int, *, final: bool) -> None:
        self._amounts[key] = self._amounts.get(key, 0) + amount
        if not final:
            self._estimated.add(key)

    def allocations(self) -> tuple[Allocation, ...]:
        """The sums."""
        return tuple(
            Allocation(
                *key[:5],
                EXACT.scaleb(Decimal(amount), -DECIMALS),
                key[5],
                key not in self._estimated,
            )
            for key, amount in self._amounts.items()
        )


def _whole(amount: Decimal) -> int:
    return int(EXACT.scaleb(amount, DECIMALS))
