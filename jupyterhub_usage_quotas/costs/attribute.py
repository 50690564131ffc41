"""Attributing a day's bill: each row to users by what they used, or to nobody, with the reason.

    allocations = attribute(rows, usage, rules)

They add up to the rows exactly. Nothing is left out: what no user caused is idle, shared, or not
attributed.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from .money import EXACT, ZERO, split
from .values import (
    CLUSTER,
    IDLE_COMPONENT,
    NOBODY,
    Allocation,
    CostRow,
    Kind,
    UsageByHub,
)

Weights = Mapping[str, int]
"""How much a unit of each resource weighs."""
NOTHING: Mapping[str, Weights] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rules:
    """How costs are attributed.

    `drivers` are the resources that a component is used by, with what a unit of each weighs: its
    price, for what is used of each counts by that. A component without drivers is shared.
    Where `split_untagged`, what is the cluster's and no one hub's is split by the usage in all hubs
    where the component has drivers, as in a cluster with one hub and no tags.
    """

    drivers: Mapping[str, Weights]
    split_untagged: bool = False


@dataclass(frozen=True, slots=True)
class DayUsage:
    """What was used on a day. `capacity` is what there was in each hub, by resource, as far as that
    is known: what is more than was used is idle.
    """

    used: UsageByHub
    capacity: Mapping[str, Weights] = field(default_factory=lambda: NOTHING)


Part = tuple[str | None, Kind, str]
"""A hub, what became of it, and the user."""
Whole = tuple[datetime.date, str | None, str, str]
"""A day, hub, component and currency."""


@dataclass(frozen=True, slots=True)
class Portion:
    """A sum of rows, and the parts that it is split into, in proportion to the weights."""

    day: datetime.date
    component: str
    amount: Decimal
    currency: str
    final: bool
    parts: Sequence[Part]
    weights: Sequence[int]


def attribute(
    rows: Iterable[CostRow], usage: Mapping[datetime.date, DayUsage], rules: Rules
) -> Iterator[Allocation]:
    """The allocations of these rows. A day or hub that has no usage here is not known."""
    for one in portions(rows, usage, rules):
        amounts = [one.amount] if len(one.parts) == 1 else split(one.amount, one.weights)
        for (hub, kind, user), part in zip(one.parts, amounts, strict=True):
            yield Allocation(one.day, hub, one.component, kind, user, part, one.currency, one.final)


def portions(
    rows: Iterable[CostRow], usage: Mapping[datetime.date, DayUsage], rules: Rules
) -> Iterator[Portion]:
    """What `attribute` splits."""
    sums: dict[Whole, tuple[Decimal, bool]] = {}
    for row in rows:
        at = row.day, row.hub, row.component, row.currency
        before, final = sums.get(at, (ZERO, True))
        sums[at] = EXACT.add(before, row.amount), final and row.final
    for (day, hub, component, currency), (amount, final) in sums.items():
        parts, weights = _parts(rules, usage.get(day), hub, component)
        yield Portion(day, component, amount, currency, final, parts, weights)


def _parts(
    rules: Rules, usage: DayUsage | None, hub: str | None, component: str
) -> tuple[Sequence[Part], Sequence[int]]:
    """Whom a cost belongs to, and in which proportion."""
    drivers = rules.drivers.get(component)
    if hub is None:
        return _one(hub, Kind.UNATTRIBUTED)
    if component == IDLE_COMPONENT:
        return _one(hub, Kind.IDLE)
    if not drivers or (hub == CLUSTER and not rules.split_untagged):
        return _one(hub, Kind.SHARED)
    known = usage.used if usage else {}
    hubs = sorted(known) if hub == CLUSTER else [hub] if hub in known else []
    if usage is None or not hubs:
        return _one(hub, Kind.UNATTRIBUTED)
    weighed = {
        part: weight for one in hubs for part, weight in _weighed(usage, one, drivers) if weight > 0
    }
    return (list(weighed), list(weighed.values())) if weighed else _one(hub, Kind.IDLE)


def _one(hub: str | None, kind: Kind) -> tuple[Sequence[Part], Sequence[int]]:
    return [(hub, kind, "")], [1]


def _weighed(usage: DayUsage, hub: str, drivers: Weights) -> Iterator[tuple[Part, int]]:
    """The users of a hub and nobody, with what they used weighed by the drivers."""
    used = usage.used[hub]
    of_all = dict.fromkeys(drivers, 0)
    unused = 0
    for user in sorted(used):
        amounts = used[user]
        weight = sum(amounts.get(resource, 0) * price for resource, price in drivers.items())
        for resource in drivers:
            of_all[resource] += amounts.get(resource, 0)
        if user == NOBODY:
            unused += weight
        else:
            yield (hub, Kind.USER, user), weight
    capacity = usage.capacity.get(hub, {})
    for resource, price in drivers.items():
        unused += max(capacity.get(resource, 0) - of_all[resource], 0) * price
    yield (hub, Kind.IDLE, ""), unused
