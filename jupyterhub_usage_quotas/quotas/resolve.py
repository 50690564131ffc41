"""Which policies cover a user, combined by the backup strategy.

Policies for the same combination (resource and window) become one `Allotment`: user-scoped
ones replace the others, and what is left is combined by the intersection strategy. Different
combinations are kept apart; a launch must fit all of them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from .policy import Intersection, Policy, PolicySet
from .units import Quantity
from .windows import Window


@dataclass(frozen=True, slots=True)
class Allotment:
    """What a user is given of one resource over one window, and the policies that say so."""

    policies: tuple[Policy, ...]
    limit: Quantity
    minimum_session: timedelta

    @property
    def resource(self) -> str:
        """The resource that is limited."""
        return self.policies[0].resource

    @property
    def window(self) -> Window:
        """The window over which it is limited."""
        return self.policies[0].window

    @property
    def name(self) -> str:
        """The names of the policies that decide the limit."""
        return " + ".join(policy.name for policy in self.policies)


def resolve(policies: PolicySet, user: str, groups: Collection[str]) -> tuple[Allotment, ...]:
    """What a user in these groups is given, in the order in which the policies are written."""
    covering = [policy for policy in policies.policies if covers(policy, user, groups)]
    combinations: dict[object, list[Policy]] = {}
    for policy in covering or policies.empty:
        combinations.setdefault(policy.combination, []).append(policy)
    return tuple(
        combine(most_specific(candidates, user), policies.intersection)
        for candidates in combinations.values()
    )


def covers(policy: Policy, user: str, groups: Collection[str]) -> bool:
    """Whether a policy is for this user."""
    scope = policy.scope
    return scope.everyone or user in scope.user or not set(groups).isdisjoint(scope.group)


def most_specific(candidates: list[Policy], user: str) -> list[Policy]:
    """The policies that name the user; where none does, all of them."""
    return [policy for policy in candidates if user in policy.scope.user] or candidates


def combine(candidates: list[Policy], intersection: Intersection) -> Allotment:
    """One allotment of several policies for the same combination."""
    if intersection is Intersection.SUM:
        deciding = candidates
    else:
        pick = min if intersection is Intersection.MIN else max
        deciding = [pick(candidates, key=_generosity)]
    total = sum(policy.limit.base for policy in deciding)
    # A sum is shown in the largest of the units it is made of.
    unit = max((policy.limit.unit for policy in deciding), key=lambda unit: unit.factor)
    limit = deciding[0].limit if len(deciding) == 1 else Quantity(total / unit.factor, unit)
    return Allotment(tuple(deciding), limit, max(policy.minimum_session for policy in deciding))


def _generosity(policy: Policy) -> tuple[float, float, str]:
    """Orders policies for min and max; of equal limits, a shorter session is more generous."""
    return (policy.limit.base, -policy.minimum_session.total_seconds(), policy.name)
