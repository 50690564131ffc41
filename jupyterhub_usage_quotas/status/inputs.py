"""Gathering the inputs of a decision, for one user, several, or all.

The Hub, the command line and the viewer all gather here, so that they decide on the same inputs.
`gather` calls the meter, which may query Prometheus; `gather_cached` only uses what the meter has
cached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..ledger.base import Ledger
from ..metering.client.promql import Users
from ..metering.meter import Meter
from ..quotas.adjustments import Adjustment, Adjustments
from ..quotas.charge import PoolAccounts, PoolReadings, Readings
from ..quotas.decide import Decision, decide
from ..quotas.forecast import launch_times
from ..quotas.in_flight import InFlight, Running, add_running, add_running_to_pools
from ..quotas.policy.policy import Policy, PolicySet
from ..quotas.resolve import Allotment, resolve
from ..quotas.subject import EVERYONE, REST, Everyone, Subject
from ..quotas.usage import Unknown
from ..quotas.verdict import Request
from .members import NO_MEMBERS, Members, with_assigned


@dataclass(frozen=True, slots=True)
class DecisionInputs:
    """The inputs of a decision about one user, at the instant `now`.

    `running` are the servers of the user that the Hub knows to run, `reserving` those of anybody
    that hold a minimum session.
    """

    subject: Subject
    policies: PolicySet
    usage: Readings
    pools: PoolReadings | PoolAccounts
    adjustments: Sequence[Adjustment]
    now: datetime
    reserving: Sequence[Running] = ()
    running: Sequence[Request] = ()

    @property
    def gauges(self) -> Readings:
        """What the user has now, whether a policy limits it or not."""
        gauges = self.policies.gauges
        return {name: reading for name, reading in self.usage.items() if name in gauges}

    def decide(self, request: Request) -> Decision:
        """The decision on a request of this user."""
        return decide(
            self.policies,
            self.usage,
            request,
            self.now,
            adjustments=self.adjustments,
            pools=self.pools,
            reserving=self.reserving,
        )

    def with_in_flight(self, in_flight: InFlight) -> DecisionInputs:
        """With what only the Hub knows. Servers and launches of the user and of members of their
        pools count; pools that were added up before stay as they were.
        """
        own = in_flight.running.get(self.subject.name, ())
        pools = self.pools
        if not isinstance(pools, PoolAccounts):
            pools = add_running_to_pools(pools, in_flight.used, self.now)
        return replace(
            self,
            usage=add_running(self.usage, in_flight.used_by(self.subject.name), self.now),
            pools=pools,
            reserving=in_flight.reserving(self.now),
            running=[one.request for one in own],
        )

    def lasts(self, request: Request) -> timedelta | None:
        """How long the server could run beside `running`, if nothing else of the user's did: zero
        where it would be denied, None where nothing ends it for a month.
        """
        times = launch_times(
            self.policies,
            self.usage,
            {"": request},
            self.running,
            self.now,
            adjustments=self.adjustments,
            pools=self.pools,
        )
        return times[""]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was gathered about several users at the instant `now`: what each of them needs is `of`.

    `readings` are by username; users who are not in them used nothing (`REST`). `members` are those
    of each pool, None for everyone's.
    """

    policies: PolicySet
    subjects: Sequence[Subject]
    readings: Mapping[str, Readings]
    pools: PoolReadings | PoolAccounts
    adjustments: Adjustments
    members: Members
    now: datetime

    def usage(self, name: str) -> Readings:
        """A user's readings."""
        return self.readings.get(name, self.readings.get(REST, {}))

    def of(self, subject: Subject) -> DecisionInputs:
        """The inputs of a decision about one user."""
        adjustments = self.adjustments.of(subject)
        usage = self.usage(subject.name)
        return DecisionInputs(subject, self.policies, usage, self.pools, adjustments, self.now)

    def drawing_on(self, pool: Policy) -> Sequence[Subject]:
        """The subjects who draw on a pool."""
        members = self.members[pool.name]
        return [one for one in self.subjects if members is None or one.name in members]

    async def with_pools_added_up(self) -> Gathered:
        """With what every pool is charged, worked out once for all its members."""
        if isinstance(self.pools, PoolAccounts):
            return self
        return replace(self, pools=await add_up(self.policies, self.pools, self.adjustments))


async def gather(
    policies: PolicySet,
    meter: Meter,
    ledger: Ledger,
    subjects: Sequence[Subject],
    now: datetime,
    members: Members = NO_MEMBERS,
    *,
    everyone: bool = False,
    also: Collection[str] = (),
    decided: Awaitable[Adjustments] | None = None,
) -> Gathered:
    """Gather what decisions about these subjects need; never raises for what Prometheus does.

    `members` are those of every pooled policy; of one that is missing, only the subjects are.
    That the subjects are `everyone` asks for all usage at once, and not by their names. Resources
    to read whether a policy limits them or not are `also`. `decided` are the adjustments, where the
    ledger was queried before.
    """
    names = {one.name for one in subjects}
    wanted = _Wanted.of_all(policies) if everyone else _Wanted.of(policies, subjects)
    if decided is None:
        decided = adjustments_of(ledger, policies, EVERYONE if everyone else subjects, now)
    adjustments = await decided if any(pool.scope.assigned for pool in wanted.pools) else None
    if adjustments is not None:
        members = with_assigned(members, adjustments)
    drawing = {pool.name: members.get(pool.name, _covered(pool, subjects)) for pool in wanted.pools}
    resources = wanted.resources | set(also)
    users: Users = None
    if not everyone and None not in drawing.values():
        users = names.union(*filter(None, drawing.values()))
    readings: Mapping[str, Readings] = {}
    if resources:
        readings = await meter.read(users, resources, wanted.reach, now, named=names)
    pools = pool_readings(readings, drawing)
    if adjustments is None:
        adjustments = await decided
    return Gathered(policies, subjects, readings, pools, adjustments, drawing, now)


def gather_cached(
    policies: PolicySet,
    meter: Meter,
    decided: Adjustments,
    subjects: Sequence[Subject],
    now: datetime,
    pools: PoolAccounts,
    *,
    everyone: bool = False,
) -> Gathered:
    """The same from what the meter has cached, without a query: for pages, of which there may be
    many. Nothing is known until the meter has read its history; pools are as they were when `pools`
    were added up. That the subjects are some of `everyone` reads all that is limited.
    """
    wanted = _Wanted.of_all(policies) if everyone else _Wanted.of(policies, subjects)
    names = [one.name for one in subjects]
    readings = meter.peek(names, wanted.resources, wanted.reach, now)
    return Gathered(policies, subjects, readings, pools, decided, NO_MEMBERS, now)


def without_usage(
    policies: PolicySet,
    subject: Subject,
    unknown: Unknown,
    adjustments: Sequence[Adjustment],
    now: datetime,
) -> DecisionInputs:
    """The inputs of a decision for which no usage is known."""
    readings = dict.fromkeys(policies.resources, unknown)
    pools = {one.name: {subject.name: readings} for one in policies if one.pooled}
    return DecisionInputs(subject, policies, readings, pools, adjustments, now)


async def adjustments_of(
    ledger: Ledger, policies: PolicySet, subjects: Collection[Subject] | Everyone, now: datetime
) -> Adjustments:
    """The adjustments that matter for these subjects at `now`, by one query of the ledger.

    What was in force within the reach of the policies' windows matters, too: pools paid by it.
    """
    return await ledger.active(subjects, now - policies.reach)


def pool_readings(readings: Mapping[str, Readings], members: Members) -> PoolReadings:
    """The readings of the members of pools; of everyone's pool, of all who used anything."""
    unused = readings.get(REST, {})
    return {
        name: {one: readings.get(one, unused) for one in (readings if whose is None else whose)}
        for name, whose in members.items()
    }


async def add_up(
    policies: PolicySet, pools: PoolReadings, adjustments: Adjustments
) -> PoolAccounts:
    """Work out what every pool is charged, and what those that pay first leave to members.

    In a thread, for with many members it takes a moment, and others are waiting.
    """
    accounts = PoolAccounts(policies, pools, adjustments.everyone)

    def work() -> None:
        for policy in policies:
            if policy.pooled:
                accounts.of_pool(policy)

    await asyncio.to_thread(work)
    return accounts


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which resources have to be measured, over how long, and of which pools."""

    resources: frozenset[str]
    reach: timedelta
    pools: Sequence[Policy]

    @classmethod
    def of_all(cls, policies: PolicySet) -> _Wanted:
        """For everyone."""
        return cls(policies.all_measured, policies.reach, [one for one in policies if one.pooled])

    @classmethod
    def of(cls, policies: PolicySet, subjects: Sequence[Subject]) -> _Wanted:
        """For some subjects: of their allotments alone."""
        allotments = [one for subject in subjects for one in resolve(policies, subject)]
        resources = (policies.measured(one.resource) for one in allotments)
        theirs = (policy for one in allotments for policy in one.policies)
        reach = max((policy.reach for policy in theirs), default=timedelta(0))
        return cls(frozenset().union(*resources), reach, _pools_for(policies, allotments))


def _pools_for(policies: PolicySet, allotments: Sequence[Allotment]) -> Sequence[Policy]:
    """The pools that must be known for these allotments: those among them, and those that may
    have paid before for members of those.
    """
    names = {policy.name for allotment in allotments for policy in allotment.candidates}
    measures = {allotment.policies[0].measure for allotment in allotments}
    return [
        one
        for one in policies
        if one.pooled and (one.name in names or (one.overflow and one.measure in measures))
    ]


def _covered(pool: Policy, subjects: Sequence[Subject]) -> Collection[str]:
    return {one.name for one in subjects if pool.covers(one)}
