"""Spreading what is idle and shared over the users, in proportion to their own costs.

Without it, both are shown beside the users' costs. Either way the sum is the same.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from .money import EXACT, PART_DECIMALS, ZERO, split
from .values import CLUSTER, Allocation, Kind

Users = Mapping[tuple[str | None, str], Decimal]
"""What users of hubs cost."""


def spread(
    allocations: Iterable[Allocation], *, idle: bool = False, shared: bool = False
) -> Iterator[Allocation]:
    """The same allocations, with what is idle, or shared, in the costs of users.

    What is a hub's goes to its users, what is the cluster's to those of all hubs, by what they cost
    on that day; what nobody can bear, since nobody cost anything, stays what it is.
    """
    wanted = {kind for kind, asked in ((Kind.IDLE, idle), (Kind.SHARED, shared)) if asked}
    if not wanted:
        yield from allocations
        return
    known = list(allocations)
    costs = _costs(known)
    for one in known:
        of_day = costs.get((one.day, one.currency), {})
        if one.kind not in wanted:
            yield one
            continue
        bearing = {
            at: cost
            for at, cost in of_day.items()
            if cost > 0 and (one.hub == CLUSTER or at[0] == one.hub)
        }
        if not bearing:
            yield one
            continue
        weights = [int(EXACT.scaleb(cost, PART_DECIMALS)) for cost in bearing.values()]
        if not sum(weights):
            weights = [1] * len(weights)  # less than can be weighed, each of them
        for (hub, user), part in zip(bearing, split(one.amount, weights), strict=True):
            yield replace(one, hub=hub, user=user, kind=Kind.USER, amount=part)


def _costs(allocations: Iterable[Allocation]) -> dict[tuple[datetime.date, str], Users]:
    """What users cost on each day, in each currency."""
    found: dict[tuple[datetime.date, str], dict[tuple[str | None, str], Decimal]] = defaultdict(
        lambda: defaultdict(lambda: ZERO)
    )
    for one in allocations:
        if one.kind is Kind.USER:
            of_day = found[one.day, one.currency]
            at = one.hub, one.user
            of_day[at] = EXACT.add(of_day[at], one.amount)
    return dict(found)
