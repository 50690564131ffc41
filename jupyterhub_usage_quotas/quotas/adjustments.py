"""Adjustments: people's grants, overrides and exemptions, and the allowance that they make of a
limit at an instant.

Allowance at an instant = the override in force, else the limit, plus active grants; an exemption
makes it infinite. Adjustments are active in `[start, until)`; voided ones never are. Usage is
never adjusted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from .messages import wrong
from .policy.policy import Intersection, Policy
from .subject import Subject
from .units import InvalidQuantity

WHOLE_SECOND = timedelta(seconds=1)
ALWAYS, FOREVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
AT_LEAST_NOTHING = "0, or more than that, and not infinite"


@dataclass(frozen=True, slots=True)
class Voided:
    """Who voided an adjustment, when, and why."""

    actor: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What all kinds have: which policy, for which user, when, and who decided it and why.

    Without a `user` it is for everyone the policy covers; of a pooled policy only such ones
    count. A ledger gives the `id`, which is not 0 and grows in the order in which adjustments are
    made: of several overrides the newest is in force, one for the user before one for everyone.
    `user_created` is when the Hub made the user (`Subject.created`), `created` when the adjustment
    was made. All instants have a time zone.
    """

    policy: str
    start: datetime
    until: datetime
    user: str | None = None
    id: int = 0
    user_created: datetime | None = None
    actor: str = ""
    reason: str = ""
    created: datetime | None = None
    voided: Voided | None = None

    def is_for(self, subject: Subject) -> bool:
        """Whether it is for this user: not for another who had the name before.

        Where the Hub's `created` was not known when it was made, it is for the user who had the
        name then; where it is not known of the subject, the name decides.
        """
        if self.user is None:
            return True
        if self.user != subject.name:
            return False
        if subject.created is None:
            return True
        if self.user_created is None:
            return self.created is None or self.created >= subject.created
        return _same_instant(self.user_created, subject.created)

    def concerns(self, policy: Policy, user: str) -> bool:
        """Whether it is about this policy and user, at whatever time."""
        return (
            self.voided is None
            and self.policy == policy.name
            and self.start < self.until
            and self.user in (None, user)
        )

    def active(self, at: datetime) -> bool:
        """Whether it is in force at an instant."""
        return self.start <= at < self.until


def _same_instant(one: datetime, other: datetime) -> bool:
    """MySQL and MariaDB keep whole seconds, and the Hub the exact instant until it restarts."""
    if one.microsecond and other.microsecond:
        return one == other
    return abs(one - other) < WHOLE_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant(Adjustment):
    """A grant of more: `amount`, in base units. One below 0 or infinite is an `InvalidQuantity`."""

    amount: float

    def __post_init__(self) -> None:
        if not 0 <= self.amount < math.inf:
            raise InvalidQuantity(wrong("amount of a grant", self.amount, AT_LEAST_NOTHING))


@dataclass(frozen=True, slots=True, kw_only=True)
class Override(Adjustment):
    """Another limit: `limit`, in base units. One below 0 or infinite is an `InvalidQuantity`."""

    limit: float

    def __post_init__(self) -> None:
        if not 0 <= self.limit < math.inf:
            raise InvalidQuantity(wrong("limit of an override", self.limit, AT_LEAST_NOTHING))


@dataclass(frozen=True, slots=True)
class Exemption(Adjustment):
    """No limit at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms(Adjustment):
    """What functions of the admin's gave for a user, in place of what the policy says: its `limit`
    in base units, and what comes back in steps (how much, how often). One that is `assigned` covers
    the user because of it; one that is not, does not.

    It is no decision of a person: what people decide comes on top of it.
    """

    limit: float | None = None
    refill: tuple[float, timedelta] | None = None
    assigned: bool = True

    @classmethod
    def of_user(
        cls,
        policy: str,
        user: str,
        user_created: datetime | None,
        limit: float | None = None,
        refill: tuple[float, timedelta] | None = None,
        *,
        assigned: bool = True,
    ) -> Terms:
        """A user's terms, which are in force until there are others."""
        return cls(
            policy,
            ALWAYS,
            FOREVER,
            user,
            user_created=user_created,
            limit=limit,
            refill=refill,
            assigned=assigned,
        )


@dataclass(frozen=True, slots=True)
class Adjustments:
    """The adjustments of many users, as a ledger answers.

    `everyone` are the adjustments without a user, `by_user` those of single users, by username. By
    the name of a policy, `assigned` are the names of all users to whom a function assigns it,
    whoever was asked about.
    """

    everyone: tuple[Adjustment, ...] = ()
    by_user: Mapping[str, tuple[Adjustment, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    assigned: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))

    def of(self, subject: Subject) -> tuple[Adjustment, ...]:
        """The adjustments for a subject: everyone's, and the user's own."""
        own = (one for one in self.by_user.get(subject.name, ()) if one.is_for(subject))
        return (*self.everyone, *own)


def group_by_user(adjustments: Iterable[Adjustment]) -> Adjustments:
    """The same adjustments, for look-ups by user."""
    everyone: list[Adjustment] = []
    by_user: dict[str, list[Adjustment]] = {}
    for one in adjustments:
        (everyone if one.user is None else by_user.setdefault(one.user, [])).append(one)
    return Adjustments(tuple(everyone), {name: tuple(own) for name, own in by_user.items()})


def terms_of(adjustments: Iterable[Adjustment], user: str) -> Mapping[str, Terms]:
    """By the name of a policy, the terms of a user."""
    return {one.policy: one for one in adjustments if isinstance(one, Terms) and one.user == user}


def allowance(policy: Policy, adjustments: Iterable[Adjustment], user: str, at: datetime) -> float:
    """What a user may use by one policy at an instant, in base units."""
    active = [one for one in adjustments if one.concerns(policy, user) and one.active(at)]
    if any(isinstance(one, Exemption) for one in active):
        return math.inf
    overrides = [one for one in active if isinstance(one, Override)]
    newest = max(overrides, key=lambda one: (one.user is not None, one.id), default=None)
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
            if not isinstance(one, Terms) and any(one.concerns(policy, user) for policy in policies)
            for instant in (one.start, one.until)
            if instant > after
        }
    )
