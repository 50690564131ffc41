"""Reports: allocations filtered and summed up, with all that a filter hides as the rest.

The rows and the rest add up to the bill, exactly or rounded.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from operator import attrgetter
from typing import Final, Literal

from .groups import Memberships, in_groups
from .money import EXACT, ZERO, rounded
from .values import Allocation, Kind

Field = Literal["day", "hub", "component", "kind", "user", "group"]
Names = frozenset[str] | None
"""Some names; None for all."""
FIELDS: Final[Sequence[Field]] = ("day", "hub", "component", "kind", "user", "group")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which costs are shown. Of users and groups only what is theirs is; of hubs and components
    also what is idle, shared or not attributed there.
    """

    hubs: Names = None
    components: Names = None
    users: Names = None
    groups: Names = None

    def has(self, one: Allocation) -> bool:
        """Whether it is shown."""
        of_users = self.users is not None or self.groups is not None
        return (
            (self.hubs is None or one.hub in self.hubs)
            and (self.components is None or one.component in self.components)
            and not (of_users and one.kind is not Kind.USER)
            and (self.users is None or one.user in self.users)
            and (self.groups is None or one.group in self.groups)
        )


EVERYTHING: Final = Selection()


@dataclass(frozen=True, slots=True)
class Row:
    """A sum of costs. A field that they were not summed up by is None."""

    amount: Decimal
    currency: str
    final: bool
    day: datetime.date | None = None
    hub: str | None = None
    component: str | None = None
    kind: Kind | None = None
    user: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Rows, and what was hidden, by currency. Together they are the `bill`."""

    rows: Sequence[Row]
    rest: Mapping[str, Decimal]
    bill: Mapping[str, Decimal]


def report(
    allocations: Iterable[Allocation],
    by: Sequence[Field],
    selection: Selection = EVERYTHING,
    *,
    memberships: Memberships | None = None,
    most_users: int | None = None,
    decimals: int | None = None,
) -> Report:
    """The selected costs, summed up by some fields.

    Users are in groups where there are `memberships`. Of the users only so many are shown one by
    one: those who cost most in all; the others together. Amounts are exact, or rounded to some
    decimals so that they and the rest add up to the rounded bill.
    """
    known: Iterable[Allocation] = allocations
    if memberships is not None:
        known = in_groups(known, memberships)
    rest: dict[str, Decimal] = defaultdict(lambda: ZERO)
    bill: dict[str, Decimal] = defaultdict(lambda: ZERO)
    shown: Iterable[Allocation] = _kept(known, selection, rest, bill)
    if most_users is not None:
        shown = _most(list(shown), most_users)
    rows = _summed(shown, by)
    for currency in bill:
        rest.setdefault(currency, ZERO)
    if decimals is not None:
        rows, rest = _rounded(rows, rest, decimals)
        bill = {
            one: amount.quantize(_step(decimals), context=EXACT) for one, amount in bill.items()
        }
    return Report(rows, dict(rest), dict(bill))


def _kept(
    allocations: Iterable[Allocation],
    selection: Selection,
    rest: dict[str, Decimal],
    bill: dict[str, Decimal],
) -> Iterator[Allocation]:
    for one in allocations:
        bill[one.currency] = EXACT.add(bill[one.currency], one.amount)
        if selection.has(one):
            yield one
        else:
            rest[one.currency] = EXACT.add(rest[one.currency], one.amount)


def _most(allocations: Sequence[Allocation], number: int) -> Iterator[Allocation]:
    """The same with all but those users who cost most as others."""
    costs: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    for one in allocations:
        if one.kind is Kind.USER:
            at = one.currency, one.user
            costs[at] = EXACT.add(costs[at], one.amount)
    most = set(sorted(costs, key=lambda at: (-costs[at], at))[:number])
    for one in allocations:
        if one.kind is Kind.USER and (one.currency, one.user) not in most:
            yield replace(one, kind=Kind.OTHERS, user="", group="")
        else:
            yield one


def _summed(allocations: Iterable[Allocation], by: Sequence[Field]) -> list[Row]:
    """Their sums, in the order of the fields; what has no hub comes last."""
    fields = (*by, "currency")
    key: Callable[[Allocation], tuple[object, ...]]
    key = attrgetter(*fields) if len(fields) > 1 else lambda one: (one.currency,)
    sums: dict[tuple[object, ...], Decimal] = {}
    estimated = set()
    for one in allocations:
        at = key(one)
        sums[at] = EXACT.add(sums.get(at, ZERO), one.amount)
        if not one.final:
            estimated.add(at)
    ordered = sorted(sums, key=lambda at: [(one is None, "" if one is None else one) for one in at])
    return [
        Row(
            sums[at],
            str(at[-1]),
            at not in estimated,
            **dict(zip(by, at, strict=False)),  # type: ignore[arg-type] # by their names
        )
        for at in ordered
    ]


def _rounded(
    rows: Sequence[Row], rest: Mapping[str, Decimal], decimals: int
) -> tuple[list[Row], dict[str, Decimal]]:
    """Rows and rest, rounded together in each currency."""
    made = list(rows)
    left = {}
    for currency, hidden in rest.items():
        parts: dict[int | None, Decimal] = {
            index: row.amount for index, row in enumerate(rows) if row.currency == currency
        }
        shown = rounded({**parts, None: hidden}, decimals)
        left[currency] = shown.pop(None)
        for index, amount in shown.items():
            assert index is not None  # noqa: S101 that one was taken out
            made[index] = replace(made[index], amount=amount)
    return made, left


def _step(decimals: int) -> Decimal:
    return Decimal(1).scaleb(-decimals)
