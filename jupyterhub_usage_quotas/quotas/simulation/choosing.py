"""Choosing a limit: how usage is distributed, and limits that would have denied few.

Since usage is as it was, whatever the limit, what a launch needs the limit to be above is known of
every launch at once, and no limit has to be tried. Adjustments do not count here: a limit is chosen
as if nobody had been given more.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from ..units import SMALLEST_AMOUNT, Unit
from ..verdict import ROUNDING
from .results import PolicyPast

DIGITS = 2
"""Significant digits of limits that are suggested."""
POINTS = 24
"""Of the curve."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """How large some amounts are (base units): of these `count` amounts, half are at most the
    `median`, 95 in 100 at most `p95`, and so on; each is one of the amounts (nearest rank).
    """

    count: int
    median: float
    p95: float
    p99: float
    largest: float

    @classmethod
    def of(cls, amounts: Iterable[float]) -> Distribution | None:
        """That of the amounts above zero; None where there is none."""
        ordered = sorted(one for one in amounts if one > 0)
        if not ordered:
            return None
        return cls(len(ordered), *(nearest_rank(ordered, one) for one in (50, 95, 99, 100)))


def nearest_rank(ordered: Sequence[float], percent: int) -> float:
    """The smallest of some amounts, in order, that is at least as large as `percent` in 100."""
    return ordered[max(-(-percent * len(ordered) // 100), 1) - 1]


@dataclass(frozen=True, slots=True)
class Shares:
    """What share (0 to 1) of the users who were active, and of launches, a limit would have denied
    anything, or would have been denied.
    """

    limit: float
    users: float
    launches: float


@dataclass(frozen=True, slots=True)
class Choice:
    """What limits of one policy would have denied: the one that there is (None where it was not
    used at all), the smallest round one that denies at most the chosen share of users, and a curve.
    """

    at_limit: Shares
    suggested: Shares | None
    curve: Sequence[Shares]


def choice_of(policy: PolicyPast, share: float) -> Choice | None:
    """The choice of a limit for a policy, of which at most this share (0 to 1) of the active users
    is ever denied a launch. None where its limit changes what counts (`limit_matters`), and where
    nobody started a server.
    """
    first = policy.allotment.policies[0]
    if policy.limit_matters or not policy.demands or not math.isfinite(first.limit.base):
        return None
    users = sorted(max(of_user) for of_user in policy.demands.values())
    launches = sorted(one for of_user in policy.demands.values() for one in of_user)

    def shares(limit: float) -> Shares:
        # What is left by rounding only is nothing, as everywhere.
        least = limit * (1 - ROUNDING)
        hit = len(users) - bisect_left(users, least)
        denied = len(launches) - bisect_left(launches, least)
        return Shares(limit, hit / policy.active, denied / len(launches))

    limit = policy.allotment.limit
    may_hit = math.floor(share * policy.active + 1e-9)
    suggested = None
    if may_hit < len(users):
        suggested = shares(above(users[-1 - may_hit], limit.unit))
    top = 1.1 * max(users[-1], limit.base, suggested.limit if suggested else 0.0)
    points = {top * number / POINTS for number in range(1, POINTS + 1)}
    marked = {one.limit for one in (suggested,) if one}
    curve = [shares(one) for one in sorted(points | marked)]
    return Choice(shares(limit.base), suggested, curve)


def above(amount: float, unit: Unit) -> float:
    """The smallest round amount (base units) above this one: two significant digits in the unit;
    one unit above nothing.
    """
    if amount < SMALLEST_AMOUNT:
        return unit.factor
    value = Decimal(amount * (1 + 2 * ROUNDING) / unit.factor)
    step = Decimal(10) ** (value.adjusted() - DIGITS + 1)
    return float(((value / step).to_integral_value(ROUND_FLOOR) + 1) * step) * unit.factor
