"""Resolving the policies that cover a user, combined by the backup strategy.

Policies for the same combination (resource, window, servers) become one `Allotment`: user-scoped
ones replace the others, and what is left is combined by the intersection strategy. Different
combinations are kept apart; a launch must fit all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from .adjustments import Adjustment, Terms, allowance, changes, combined, terms_of
from .policy.policy import Intersection, Policy, PolicySet
from .policy.selector import ServerSelector
from .subject import EVERYONE, Subject
from .units import Quantity
from .windows.base import Window


@dataclass(frozen=True, slots=True)
class Allotment:
    """A user's share of one resource over one window, and the policies that set it.

    `policies` are those whose limits decide now, `candidates` all that were combined. `limit` is
    without adjustments; its value is NaN where it is exported and not known.
    """

    policies: tuple[Policy, ...]
    candidates: tuple[Policy, ...]
    intersection: Intersection
    user: str
    limit: Quantity
    window: Window
    minimum_session: timedelta

    @property
    def name(self) -> str:
        """The names of the policies that decide the limit."""
        return " + ".join(policy.name for policy in self.policies)

    @property
    def resource(self) -> str:
        """The resource that is limited."""
        return self.policies[0].resource

    @property
    def servers(self) -> ServerSelector:
        """The servers that count, and that are denied."""
        return self.policies[0].servers

    @property
    def pool(self) -> Policy | None:
        """The policy, if all users it covers draw on one allowance."""
        return self.policies[0] if self.policies[0].pooled else None

    @property
    def denies(self) -> bool:
        """Whether launches are denied when nothing remains."""
        return self.policies[0].denies

    def allowance(self, adjustments: Sequence[Adjustment], at: datetime) -> float:
        """The limit after adjustments at an instant, in base units."""
        each = [allowance(policy, adjustments, self.user, at) for policy in self.candidates]
        return combined(each, self.intersection)

    def with_exported(self, limit: float) -> Allotment:
        """The same with the limit that was exported for the user, in base units.

        All its policies mean that one limit, so it is not summed.
        """

        def known(policies: Sequence[Policy]) -> tuple[Policy, ...]:
            return tuple(one.model_copy(update={"limit": quantity}) for one in policies)

        unit = self.limit.unit
        quantity = Quantity(limit / unit.factor, unit)
        summed = self.intersection is Intersection.SUM
        return replace(
            self,
            policies=known(self.policies),
            candidates=known(self.candidates),
            limit=quantity,
            intersection=Intersection.MAX if summed else self.intersection,
        )

    def changes(self, adjustments: Sequence[Adjustment], after: datetime) -> list[datetime]:
        """The instants at which the allowance may change."""
        return changes(self.candidates, adjustments, self.user, after)


def resolve(
    policies: PolicySet,
    subject: Subject,
    *,
    adjustments: Sequence[Adjustment] = (),
    now: datetime | None = None,
) -> tuple[Allotment, ...]:
    """A subject's allotments, in the order in which the policies are written.

    An exempt user still counts as covered, so `empty` does not apply to them. Adjustments are
    those in force `now`. Terms among them are the subject's own whatever the time.
    """
    terms = terms_of(adjustments, subject.name)

    def exempt(policy: Policy) -> bool:
        return policy.exempt.exempts(subject)

    in_scope = [one for one in policies.policies if _covers(one, subject, terms.get(one.name))]
    combinations: dict[object, list[Policy]] = {}
    for written in in_scope or policies.empty:
        policy = _on_terms(written, terms.get(written.name))
        if not exempt(policy):
            combinations.setdefault(policy.combination, []).append(policy)
    return tuple(
        combine(
            most_specific(candidates, subject.name),
            policies.intersection,
            subject.name,
            adjustments if now else (),
            now or datetime.max,
        )
        for candidates in combinations.values()
    )


def _covers(policy: Policy, subject: Subject, terms: Terms | None) -> bool:
    assigned = policy.scope.assigned and terms is not None and terms.assigned
    return assigned or policy.scope.covers(subject)


def _on_terms(policy: Policy, terms: Terms | None) -> Policy:
    """The policy as it is for a user who has terms. A pool is its members' alike.

    Terms of a policy that assigns nothing are those of a function that it had before.
    """
    if terms is None or terms.limit is None or policy.pooled or not policy.scope.assigned:
        return policy
    return policy.on_terms(terms.limit, terms.refill)


def most_specific(candidates: list[Policy], user: str) -> list[Policy]:
    """The policies that name the user; where none does, all of them."""
    return [policy for policy in candidates if policy.scope.user.has(user)] or candidates


def combine(
    candidates: Sequence[Policy],
    intersection: Intersection,
    user: str,
    adjustments: Sequence[Adjustment] = (),
    now: datetime = datetime.max,
) -> Allotment:
    """One allotment of several policies for the same combination."""
    who = EVERYONE if candidates[0].pooled else user

    def order(policy: Policy) -> tuple[float, str]:
        allowed = allowance(policy, adjustments, who, now)
        return (math.inf if math.isnan(allowed) else allowed, policy.name)

    in_order = sorted(candidates, key=order)
    deciding = {
        Intersection.MIN: in_order[:1],
        Intersection.MAX: in_order[-1:],
        Intersection.SUM: sorted(candidates, key=lambda policy: policy.name),
    }[intersection]
    return Allotment(
        tuple(deciding),
        tuple(candidates),
        intersection,
        who,
        _total(deciding),
        _window(candidates, intersection),
        _minimum_session(candidates, intersection),
    )


def _total(deciding: Sequence[Policy]) -> Quantity:
    if len(deciding) == 1:
        return deciding[0].limit
    # A sum is shown in the largest of the units it is made of.
    unit = max((policy.limit.unit for policy in deciding), key=lambda unit: unit.factor)
    return Quantity(math.fsum(policy.limit.base for policy in deciding) / unit.factor, unit)


def _window(candidates: Sequence[Policy], intersection: Intersection) -> Window:
    """Their window; what it gives back is the smallest, largest or total amount of theirs."""
    windows = [policy.window for policy in candidates]
    return windows[0].combine(windows, partial(combined, intersection=intersection))


def _minimum_session(candidates: Sequence[Policy], intersection: Intersection) -> timedelta:
    """The shortest where the most generous counts, else the longest."""
    sessions = [policy.minimum_session for policy in candidates]
    return min(sessions) if intersection is Intersection.MAX else max(sessions)
