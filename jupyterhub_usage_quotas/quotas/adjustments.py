"""What people decided along the way: grants, overrides and exemptions, and what they make of a
limit at an instant.

Allowance at an instant = the override in force, else the limit, plus active grants; an exemption
makes it infinite. Adjustments are active in `[start, until)`; voided ones never are. Usage is
never adjusted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from .policy.policy import Intersection, Policy


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What all kinds have: which policy, whom (None for all that it covers), and when.

    `number` orders adjustments as they were made; of several overrides the newest is in force,
    one for the user before one for all.
    """

    policy: str
    start: datetime
    until: datetime
    user: str | None = None
    number: int = 0
    voided: bool = False

    def concerns(self, policy: Policy, user: str) -> bool:
        """Whether it is about this policy and user, at whatever time."""
        return (
            not self.voided
            and self.policy == policy.name
            and self.start < self.until
            and self.user in (None, user)
        )

    def active(self, at: datetime) -> bool:
        """Whether it is in force at an instant."""
        return self.start <= at < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(Adjustment):
    """So much more, in base units."""

    amount: float

    def __post_init__(self) -> None:
        if not 0 <= self.amount < math.inf:
            raise ValueError(f"a grant must not be negative or infinite; given {self.amount!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Override(Adjustment):
    """Another limit, in base units."""

    limit: float

    def __post_init__(self) -> None:
        if not 0 <= self.limit < math.inf:
            raise ValueError(f"a limit must not be negative or infinite; given {self.limit!r}")


@dataclass(frozen=True, slots=True)
class Exemption(Adjustment):
    """No limit at all."""


def allowance(policy: Policy, adjustments: Iterable[Adjustment], user: str, at: datetime) -> float:
    """What a user may use by one policy at an instant, in base units."""
    active = [one for one in adjustments if one.concerns(policy, user) and one.active(at)]
    if any(isinstance(one, Exemption) for one in active):
        return math.inf
    overrides = [one for one in active if isinstance(one, Override)]
    newest = max(overrides, key=lambda one: (one.user is not None, one.number), default=None)
    limit = policy.limit.base if newest is None else newest.limit
    return limit + math.fsum(one.amount for one in active if isinstance(one, Grant))


def combined(allowances: Sequence[float], intersection: Intersection) -> float:
    """One allowance of those of several policies for the same combination; NaN where that depends
    on one that is not known.
    """
    if any(map(math.isnan, allowances)):
        unlimited = intersection is not Intersection.MIN and math.inf in allowances
        return math.inf if unlimited else math.nan
    if intersection is Intersection.SUM:
        return math.fsum(allowances)
    return min(allowances) if intersection is Intersection.MIN else max(allowances)


def changes(
    policies: Iterable[Policy], adjustments: Iterable[Adjustment], user: str, after: datetime
) -> list[datetime]:
    """The instants after `after` at which an allowance by these policies may change, in order."""
    policies = tuple(policies)
    return sorted(
        {
            instant
            for one in adjustments
            if any(one.concerns(policy, user) for policy in policies)
            for instant in (one.start, one.until)
            if instant > after
        }
    )
