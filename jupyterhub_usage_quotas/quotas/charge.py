"""Which usage every allotment is held against: a user's own, a pool's, or what a pool left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from .adjustments import Adjustment
from .policy import Intersection, Policy, PolicySet
from .pools import settle
from .resolve import Allotment, combine
from .usage import Fresh, Reading, Unknown, Usage, priced, together
from .windows import from_unix

Readings = Mapping[str, Reading]
"""One user's readings, by resource."""

PoolReadings = Mapping[str, Mapping[str, Readings]]
"""By the name of a pooled policy, the readings of its members, by username."""

NOT_MEASURED = Unknown("not_measured", "usage was not measured")


@dataclass(frozen=True, slots=True)
class Charge:
    """An allotment and the usage that it is held against.

    Of charges with the same `alternative` one that fits is enough: a pool that pays first, and
    the allowances that what it left falls to.
    """

    allotment: Allotment
    reading: Reading
    alternative: object


def charges(
    allotments: Sequence[Allotment],
    policies: PolicySet,
    readings: Readings,
    pools: PoolReadings,
    adjustments: Sequence[Adjustment],
    user: str,
) -> tuple[Charge, ...]:
    """The charge of every allotment, in their order."""
    paying_first = {
        allotment.pool.measure
        for allotment in allotments
        if allotment.pool and allotment.pool.overflow
    }
    made = []
    for index, allotment in enumerate(allotments):
        policy = allotment.policies[0]
        if policy.measure not in paying_first or (policy.pooled and not policy.overflow):
            reading = _reading_of(allotment, policies, readings, pools)
            made.append(Charge(allotment, reading, index))
        else:
            reading = _after_pools(allotment, policies, readings, pools, adjustments, user)
            made.append(Charge(allotment, reading, policy.measure))
    return tuple(made)


def reading_of(policies: PolicySet, resource: str, readings: Readings) -> Reading:
    """A user's reading of a resource; that of credits is made of what they are the price of."""
    if resource != "credits":
        return readings.get(resource, NOT_MEASURED)
    usages = {}
    for name in sorted(policies.measured(resource)):
        reading = readings.get(name, NOT_MEASURED)
        if not isinstance(reading, Fresh):
            return reading
        usages[name] = reading.usage
    return Fresh(priced(usages, policies.prices)) if usages else NOT_MEASURED


def _reading_of(
    allotment: Allotment, policies: PolicySet, readings: Readings, pools: PoolReadings
) -> Reading:
    if allotment.pool:
        members = _members(allotment.pool, policies, pools)
        if isinstance(members, dict):
            return Fresh(together(members.values()))
        return members
    reading = reading_of(policies, allotment.resource, readings)
    return Fresh(reading.usage.of(allotment.servers)) if isinstance(reading, Fresh) else reading


def _members(pool: Policy, policies: PolicySet, pools: PoolReadings) -> dict[str, Usage] | Reading:
    """The usage of all members that counts in a pool, or a reading that is not Fresh."""
    usages = {}
    for member, readings in pools.get(pool.name, {}).items():
        reading = reading_of(policies, pool.resource, readings)
        if not isinstance(reading, Fresh):
            return reading
        usages[member] = reading.usage.of(pool.servers)
    return usages or NOT_MEASURED


def _after_pools(
    allotment: Allotment,
    policies: PolicySet,
    readings: Readings,
    pools: PoolReadings,
    adjustments: Sequence[Adjustment],
    user: str,
) -> Reading:
    """What a pool paid, or what all pools left to the user.

    Pools for the same measure pay one after the other, in the order of their names.
    """
    measure = allotment.policies[0].measure
    chain = [one for one in policies if one.overflow and one.measure == measure]
    left: dict[str, Usage] = {}
    for pool in sorted(chain, key=lambda one: one.name):
        members = _members(pool, policies, pools)
        if not isinstance(members, dict):
            if allotment.pool == pool:
                return members
            continue
        owed = {member: left.get(member, usage) for member, usage in members.items()}
        account = combine([pool], Intersection.MIN, user)
        settlement = settle(
            account.window,
            partial(account.allowance, adjustments),
            account.changes(adjustments, from_unix(0)),
            owed,
        )
        if allotment.pool == pool:
            return Fresh(settlement.paid)
        left |= settlement.left
    if user in left:
        return Fresh(left[user])
    return _reading_of(allotment, policies, readings, pools)
