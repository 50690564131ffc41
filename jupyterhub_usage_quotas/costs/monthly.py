"""A month's costs for people: by group, by user, and what belongs to nobody; all of it adds up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from .groups import Memberships, in_groups
from .money import EXACT, ZERO, rounded
from .values import Allocation, Kind

Key = tuple[Kind, str]
"""What became of a cost, and the name of the group or user; empty for none."""
DECIMALS: Final = 2
"""Of amounts that people see."""
ORDER: Final = (Kind.USER, Kind.OTHERS, Kind.IDLE, Kind.SHARED, Kind.UNATTRIBUTED)


@dataclass(frozen=True, slots=True)
class Line:
    """What a group or a user cost, or what became of the rest, by component."""

    kind: Kind
    name: str
    amounts: Mapping[str, Decimal]
    total: Decimal
    currency: str
    final: bool


@dataclass(frozen=True, slots=True)
class Month:
    """The lines of a month, by group and by user. Where they are `whole`, each list adds up to the
    bill, which is by currency.
    """

    groups: Sequence[Line]
    users: Sequence[Line]
    bill: Mapping[str, Decimal]
    whole: bool

    @property
    def components(self) -> Sequence[str]:
        """The components in any line, those that cost most first."""
        sums: dict[str, Decimal] = defaultdict(lambda: ZERO)
        for one in self.users or self.groups:
            for name, amount in one.amounts.items():
                sums[name] = EXACT.add(sums[name], amount)
        return sorted(sums, key=lambda name: (-sums[name], name))

    @property
    def final(self) -> bool:
        """Whether none of it is an estimate."""
        return all(one.final for one in (*self.groups, *self.users))


def monthly(
    allocations: Iterable[Allocation],
    memberships: Memberships,
    hub: str,
    *,
    sees_user: Callable[[str], bool],
    sees_group: Callable[[str], bool],
    whole: bool,
) -> Month:
    """The month as somebody may see it: the groups and users of a hub that they may, and all else
    where they may see the `whole`. What other hubs' users cost is never by name.
    """
    known = [_of_hub(one, hub) for one in allocations]
    by_group = _lines(in_groups(known, memberships), lambda one: one.group)
    by_user = _lines(known, lambda one: one.user)
    bill: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for one in by_user:
        bill[one.currency] = EXACT.add(bill[one.currency], one.total)
    if whole:
        return Month(by_group, by_user, dict(bill), whole=True)
    return Month(
        [one for one in by_group if one.kind is Kind.USER and one.name and sees_group(one.name)],
        [one for one in by_user if one.kind is Kind.USER and sees_user(one.name)],
        {},
        whole=False,
    )


def _of_hub(one: Allocation, hub: str) -> Allocation:
    if one.kind is Kind.USER and one.hub != hub:
        return replace(one, kind=Kind.OTHERS, user="")
    return one


def _lines(allocations: Iterable[Allocation], name_of: Callable[[Allocation], str]) -> list[Line]:
    """All lines, rounded so that they add up to the rounded bill; in the order of what they cost,
    and those of nobody last.
    """
    cells: dict[str, dict[tuple[Key, str], Decimal]] = defaultdict(
        lambda: defaultdict(lambda: ZERO)
    )
    estimated = set()
    for one in allocations:
        key = one.kind, name_of(one)
        component = one.component if one.hub is not None else ""
        of = cells[one.currency]
        of[key, component] = EXACT.add(of[key, component], one.amount)
        if not one.final:
            estimated.add((one.currency, key))
    made = []
    for currency, of_currency in cells.items():
        lines: dict[Key, dict[str, Decimal]] = defaultdict(dict)
        for (key, component), amount in rounded(of_currency, DECIMALS).items():
            lines[key][component] = amount
        for key, amounts in lines.items():
            summed = sum(amounts.values(), ZERO)
            final = (currency, key) not in estimated
            made.append(Line(*key, amounts, summed, currency, final))
    return sorted(made, key=lambda one: (ORDER.index(one.kind), -one.total, one.name))


@dataclass(frozen=True, slots=True)
class OwnCosts:
    """What one user cost in a month, by component."""

    amounts: Mapping[str, Decimal]
    total: Decimal
    currency: str
    final: bool


def by_user(allocations: Iterable[Allocation], hub: str) -> Mapping[str, Sequence[OwnCosts]]:
    """What each user of a hub cost, in each currency; rounded so that the components add up to the
    rounded total.
    """
    sums: dict[tuple[str, str], dict[str, Decimal]] = defaultdict(lambda: defaultdict(lambda: ZERO))
    estimated = set()
    for one in allocations:
        if one.kind is Kind.USER and one.hub == hub:
            at = one.user, one.currency
            sums[at][one.component] = EXACT.add(sums[at][one.component], one.amount)
            if not one.final:
                estimated.add(at)
    found: dict[str, list[OwnCosts]] = defaultdict(list)
    for (user, currency), amounts in sums.items():
        shown = rounded(amounts, DECIMALS)
        final = (user, currency) not in estimated
        found[user].append(OwnCosts(shown, sum(shown.values(), ZERO), currency, final))
    return dict(found)
