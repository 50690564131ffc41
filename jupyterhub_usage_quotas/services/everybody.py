"""What is known of all users at an instant, learnt once for however many look.

A pool is added up once, too, not for each of its members: all of them draw on the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..known import Known, Members
from ..metering.meter import EVERYBODY_ELSE, Meter
from ..quotas.adjustments import Adjustment
from ..quotas.charge import NOT_MEASURED, PoolReadings, Readings
from ..quotas.policy import Policy, PolicySet
from ..quotas.units import STORAGE
from ..quotas.usage import Fresh, Reading, together
from .hub import Person


@dataclass(frozen=True, slots=True)
class Everybody:
    """All users' readings at the instant `now`, and those of the pools.

    `members` are those of every pool, by the pool's name; None for everybody.
    """

    policies: PolicySet
    people: Sequence[Person]
    readings: Mapping[str, Readings]
    pools: PoolReadings
    members: Members
    now: datetime

    def usage(self, name: str) -> Readings:
        """A user's readings."""
        return self.readings.get(name, self.readings.get(EVERYBODY_ELSE, {}))

    def known(self, name: str, adjustments: Sequence[Adjustment]) -> Known:
        """What a decision about a user is made of."""
        return Known(
            policies=self.policies,
            usage=self.usage(name),
            pools=self.pools,
            adjustments=adjustments,
            now=self.now,
        )

    def drawing_on(self, pool: Policy) -> Sequence[Person]:
        """The people who draw on a pool."""
        whose = self.members[pool.name]
        return [one for one in self.people if whose is None or one.name in whose]


async def learn_everybody(
    policies: PolicySet, meter: Meter, people: Sequence[Person], members: Members, now: datetime
) -> Everybody:
    """Learn what is known of these people, by one reading; as `known.learn`, it never raises for
    what Prometheus does.
    """
    resources = policies.all_measured
    readings = await meter.read(None, resources, policies.reach, now) if resources else {}
    unused = readings.get(EVERYBODY_ELSE, {})
    pools = {
        name: {
            member: readings.get(member, unused)
            for member in (readings if whose is None else whose)
        }
        for name, whose in members.items()
    }
    # In a thread, for with many members it takes a moment, and others are waiting.
    added_up = await asyncio.to_thread(_added_up, policies, pools)
    if STORAGE.name in resources:
        # What is in home directories is known of users by name only.
        names = [one.name for one in people]
        stored = await meter.read(names, {STORAGE.name}, timedelta(0), now)
        own = {name: {**readings.get(name, unused), **home} for name, home in stored.items()}
        readings = {**readings, **own}
    return Everybody(policies, people, readings, added_up, members, now)


def _added_up(policies: PolicySet, pools: PoolReadings) -> PoolReadings:
    """The pools, each as if one member had used it all.

    But for chains of pools that overflow: there it matters who used what.
    """
    chained = {policy.measure for policy in policies if policy.overflow}
    pooled = {policy.name: policy for policy in policies if policy.pooled}
    return {
        name: members
        if pooled[name].measure in chained or not members
        else {
            EVERYBODY_ELSE: {
                resource: _sum([one.get(resource, NOT_MEASURED) for one in members.values()])
                for resource in policies.measured(pooled[name].resource)
            }
        }
        for name, members in pools.items()
    }


def _sum(readings: Sequence[Reading]) -> Reading:
    """All readings as one; what is not known of one member is not known of all."""
    usages = []
    for reading in readings:
        if not isinstance(reading, Fresh):
            return reading
        usages.append(reading.usage)
    return Fresh(together(usages))
