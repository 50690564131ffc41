"""What is known of all users at an instant, learnt once for however many look.

So is what pools are charged, for all their members at once: they draw on the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..metering.meter import Meter
from ..quotas.adjustments import Adjustments
from ..quotas.charge import PoolAccounts, Readings
from ..quotas.policy.policy import Policy, PolicySet
from ..quotas.subject import REST, Subject
from ..quotas.units import STORAGE
from .inputs import Known
from .members import Members


@dataclass(frozen=True, slots=True)
class Everybody:
    """All users' readings at the instant `now`, and those of the pools.

    `members` are those of every pool, by the pool's name; None for everybody.
    """

    policies: PolicySet
    subjects: Sequence[Subject]
    readings: Mapping[str, Readings]
    pools: PoolAccounts
    adjustments: Adjustments
    members: Members
    now: datetime

    def usage(self, name: str) -> Readings:
        """A user's readings."""
        return self.readings.get(name, self.readings.get(REST, {}))

    def known(self, subject: Subject, decided: Adjustments) -> Known:
        """What a decision about a user is made of."""
        return Known(
            policies=self.policies,
            usage=self.usage(subject.name),
            pools=self.pools,
            adjustments=decided.of(subject),
            now=self.now,
        )

    def drawing_on(self, pool: Policy) -> Sequence[Subject]:
        """The subjects who draw on a pool."""
        whose = self.members[pool.name]
        return [one for one in self.subjects if whose is None or one.name in whose]


async def learn_everybody(
    policies: PolicySet,
    meter: Meter,
    subjects: Sequence[Subject],
    members: Members,
    adjustments: Adjustments,
    now: datetime,
) -> Everybody:
    """Learn what is known of these subjects, by one reading; as `known.learn`, it never raises for
    what Prometheus does.
    """
    resources = policies.all_measured
    readings = await meter.read(None, resources, policies.reach, now) if resources else {}
    unused = readings.get(REST, {})
    of_members = {
        name: {
            member: readings.get(member, unused)
            for member in (readings if whose is None else whose)
        }
        for name, whose in members.items()
    }
    pools = PoolAccounts(policies, of_members, adjustments.everyone)
    # In a thread, for with many members it takes a moment, and others are waiting.
    await asyncio.to_thread(_add_up, pools)
    if STORAGE.name in resources:
        # What is in home directories is known of users by name only.
        names = [one.name for one in subjects]
        stored = await meter.read(names, {STORAGE.name}, timedelta(0), now)
        own = {name: {**readings.get(name, unused), **home} for name, home in stored.items()}
        readings = {**readings, **own}
    return Everybody(policies, subjects, readings, pools, adjustments, members, now)


def _add_up(pools: PoolAccounts) -> None:
    """Work out what every pool is charged, and what those that pay first leave to members."""
    for policy in pools.policies:
        if policy.pooled:
            pools.of_pool(policy)
