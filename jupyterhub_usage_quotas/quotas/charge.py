"""Charges: the usage that each allotment is held against, which is a user's own, a pool's, or what
a pool left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..conventions import Reason
from .adjustments import Adjustment
from .policy.policy import Intersection, Policy, PolicySet
from .policy.selector import ALL_SERVERS
from .pools import settle
from .resolve import Allotment, combine
from .subject import EVERYONE
from .usage import Fresh, Reading, Stale, Unknown, Usage, priced, together
from .windows.base import from_unix
from .windows.gauge import GaugeReading

Readings = Mapping[str, Reading]
"""One user's readings, by resource."""

PoolReadings = Mapping[str, Mapping[str, Readings]]
"""By the name of a pooled policy, the readings of its members, by username."""

NOT_MEASURED = Unknown(Reason.NOT_MEASURED, "usage was not measured")


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
    allotments: Sequence[Allotment], readings: Readings, accounts: PoolAccounts, user: str
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
        paid_first = policy.measure in paying_first
        alternative = policy.measure if paid_first and not _plain_pool(policy) else index
        reading = None
        if policy.pooled:
            reading = accounts.of_pool(policy)
        elif paid_first:
            reading = accounts.left_to(user, policy.measure)
        if reading is None:
            reading = reading_of(accounts.policies, allotment.resource, readings)
            if not isinstance(reading, Unknown) and allotment.servers != ALL_SERVERS:
                reading = replace(reading, usage=reading.usage.of(allotment.servers))
        charge = Charge(allotment, reading, alternative)
        made.append(_with_exported_limit(charge, accounts.policies))
    return tuple(made)


def _with_exported_limit(charge: Charge, policies: PolicySet) -> Charge:
    """The charge with the limit that the source reports, where the policy uses that limit."""
    reading = charge.reading
    if not charge.allotment.window.exported or isinstance(reading, Unknown):
        return charge
    there = reading.usage
    if not isinstance(there, GaugeReading) or not there.there:
        # Where there is nothing, any limit is enough.
        return replace(charge, allotment=charge.allotment.with_exported(math.inf))
    if there.limit is None:
        what = policies.resources[charge.allotment.resource].display_name
        detail = f"{what} is exported for the user, but without a hard limit"
        return replace(charge, reading=Unknown(Reason.METRIC_MISSING, detail))
    return replace(charge, allotment=charge.allotment.with_exported(there.limit))


def _plain_pool(policy: Policy) -> bool:
    return policy.pooled and not policy.overflow


class PoolAccounts:
    """What is charged to pools, and what those that pay first leave to their members.

    It is the same for all members, and worked out once, when it is first needed.
    """

    def __init__(
        self, policies: PolicySet, pools: PoolReadings, adjustments: Sequence[Adjustment]
    ) -> None:
        self.policies = policies
        self.pools = pools
        self._adjustments = adjustments
        self._readings: dict[str, Reading] = {}
        self._left: dict[object, dict[str, Fresh | Stale]] = {}

    def of_pool(self, pool: Policy) -> Reading:
        """What is charged to a pool: what it paid if it pays first, else all its members used."""
        if pool.overflow:
            self._settle(pool.measure)
        elif pool.name not in self._readings:
            members = self._members(pool)
            self._readings[pool.name] = of_all(members, lambda usages: together(usages.values()))
        return self._readings[pool.name]

    def left_to(self, user: str, measure: object) -> Reading | None:
        """What pools that pay first left to a user, None where they do not pay for the user."""
        return self._settle(measure).get(user)

    def _settle(self, measure: object) -> dict[str, Fresh | Stale]:
        """Let the pools for a measure pay, one after the other, in the order of their names;
        returns what is left to their members.
        """
        if measure in self._left:
            return self._left[measure]
        left: dict[str, Fresh | Stale] = {}
        chain = [one for one in self.policies if one.overflow and one.measure == measure]
        for pool in sorted(chain, key=lambda one: one.name):
            # What an earlier pool left to a member, in place of all that the member used.
            unsettled = self._members(pool)
            members = {name: left.get(name, reading) for name, reading in unsettled.items()}
            whole = self._readings[pool.name] = of_all(
                members, lambda usages: together(usages.values())
            )
            if isinstance(whole, Unknown):
                continue
            account = combine([pool], Intersection.MIN, EVERYONE)
            settlement = settle(
                account.window,
                partial(account.allowance, self._adjustments),
                account.changes(self._adjustments, from_unix(0)),
                {
                    member: reading.usage
                    for member, reading in members.items()
                    if not isinstance(reading, Unknown)
                },
            )
            # Who used what decides who pays: all of it is as old as the oldest reading.
            self._readings[pool.name] = replace(whole, usage=settlement.paid)
            left |= {
                member: replace(whole, usage=usage) for member, usage in settlement.left.items()
            }
        self._left[measure] = left
        return left

    def _members(self, pool: Policy) -> dict[str, Reading]:
        """The readings of all members, as far as they count in a pool."""
        found = {}
        for member, readings in self.pools.get(pool.name, {}).items():
            reading = reading_of(self.policies, pool.resource, readings)
            if not isinstance(reading, Unknown):
                reading = replace(reading, usage=reading.usage.of(pool.servers))
            found[member] = reading
        return found


def reading_of(policies: PolicySet, resource: str, readings: Readings) -> Reading:
    """A user's reading of a resource; of one that is bought, made of what it is the price of."""
    if not policies.bought(resource):
        return readings.get(resource, NOT_MEASURED)
    measured = sorted(policies.measured(resource))
    parts = {name: readings.get(name, NOT_MEASURED) for name in measured}
    return of_all(parts, lambda usages: priced(usages, policies.prices_of(resource)))


def of_all(
    parts: Mapping[str, Reading], together_: Callable[[Mapping[str, Usage]], Usage]
) -> Reading:
    """One reading of several: Unknown where one of them is, Stale where one of them is.

    `together_` makes one usage of theirs. That of a Stale one is the least that it can be.
    """
    usages: dict[str, Usage] = {}
    stale: Stale | None = None
    for name, reading in parts.items():
        if isinstance(reading, Unknown):
            return reading
        usages[name] = reading.usage
        if isinstance(reading, Stale):
            stale = stale or reading
    if not usages:
        return NOT_MEASURED
    usage = together_(usages)
    return replace(stale, usage=usage) if stale else Fresh(usage)
