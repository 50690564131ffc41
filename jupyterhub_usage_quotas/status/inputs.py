"""Everything that a decision about a user is made of, brought together for the rules.

The Hub, the command line and the viewer all ask here, so that they decide on the same things.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ..ledger.base import Ledger
from ..metering.client.promql import Users
from ..metering.meter import Meter
from ..quotas.adjustments import Adjustment, Adjustments
from ..quotas.charge import PoolAccounts, PoolReadings, Readings
from ..quotas.decide import Decision, decide
from ..quotas.forecast import launch_times
from ..quotas.in_flight import Running, add_running, add_running_to_pools
from ..quotas.policy.policy import PolicySet
from ..quotas.resolve import Allotment, resolve
from ..quotas.subject import REST, Everyone, Subject
from ..quotas.units import STORAGE
from ..quotas.verdict import Request
from .members import NO_MEMBERS, Members


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about one user at the instant `now`.

    `running` are the servers of the user that the Hub knows to run, `pending` launches of anybody
    that were allowed and do not run yet.
    """

    policies: PolicySet
    usage: Readings
    pools: PoolReadings | PoolAccounts
    adjustments: Sequence[Adjustment]
    now: datetime
    pending: Sequence[Request] = ()
    running: Sequence[Request] = ()

    def decide(self, request: Request) -> Decision:
        """The decision on a request of this user."""
        return decide(
            self.policies,
            self.usage,
            request,
            self.now,
            adjustments=self.adjustments,
            pools=self.pools,
            pending=self.pending,
        )

    def and_lately(
        self,
        user: str,
        running: Mapping[str, Sequence[Running]],
        pending: Sequence[Request],
    ) -> Known:
        """With what only the Hub knows: the servers that run, by username, and the launches that
        were allowed and are still pending. Those of the user and of members of their pools count;
        pools that were added up before stay as they were.
        """
        own = running.get(user, ())
        usage = add_running(self.usage, own, self.now)
        pools = self.pools
        if not isinstance(pools, PoolAccounts):
            pools = add_running_to_pools(pools, running, self.now)
        servers = [one.request for one in own]
        return replace(self, usage=usage, pools=pools, pending=pending, running=servers)

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


async def adjustments_of(
    ledger: Ledger, policies: PolicySet, subjects: Collection[Subject] | Everyone, now: datetime
) -> Adjustments:
    """What people decided that matters for these subjects at `now`, by one query of the ledger.

    What was in force within the reach of the policies' windows matters, too: pools paid by it.
    """
    return await ledger.active(subjects, now - policies.reach)


async def learn(
    policies: PolicySet,
    meter: Meter,
    ledger: Ledger,
    request: Request,
    now: datetime,
    members: Members = NO_MEMBERS,
) -> Known:
    """Learn what a decision about the request's user needs; never raises for what Prometheus does.

    `members` are those of every pooled policy; of one that is missing, the user is the only one.
    """
    user = request.subject.name
    decided = await adjustments_of(ledger, policies, [request.subject], now)
    adjustments = decided.of(request.subject)
    allotments = resolve(policies, request.subject)
    if not allotments:
        return Known(policies, {}, {}, adjustments, now)
    pools = {one: members.get(one, {user}) for one in _pools(policies, allotments)}
    users: Users = {user}
    for whose in pools.values():
        users = None if users is None or whose is None else {*users, *whose}
    resources, longest = _asked(policies, allotments)
    readings = await meter.read(users, resources, longest, now)
    unused = readings.get(REST, {})
    own = readings.get(user, unused)
    if users is None and STORAGE.name in resources:
        # What is in home directories is known of users by name only.
        stored = await meter.read({user}, {STORAGE.name}, timedelta(0), now)
        own = {**own, **stored.get(user, {})}
    return Known(
        policies,
        own,
        {
            name: {
                member: readings.get(member, unused)
                for member in (readings if whose is None else whose)
            }
            for name, whose in pools.items()
        },
        adjustments,
        now,
    )


def recall(
    policies: PolicySet,
    meter: Meter,
    adjustments: Sequence[Adjustment],
    request: Request,
    now: datetime,
    pools: PoolAccounts,
) -> Known:
    """The same from what is at hand, without asking anybody: for pages, of which there may be
    many. Nothing is known until the meter has read its history; pools are as they were when
    `pools` were added up.
    """
    allotments = resolve(policies, request.subject)
    if not allotments:
        return Known(policies, {}, {}, adjustments, now)
    readings = meter.at_hand([request.subject.name], *_asked(policies, allotments), now)
    return Known(policies, readings.get(request.subject.name, {}), pools, adjustments, now)


def _asked(
    policies: PolicySet, allotments: Sequence[Allotment]
) -> tuple[Collection[str], timedelta]:
    """Which resources have to be measured for these allotments, and over how long."""
    resources = {measured for one in allotments for measured in policies.measured(one.resource)}
    return resources, max(allotment.window.reach for allotment in allotments)


def _pools(policies: PolicySet, allotments: Sequence[Allotment]) -> list[str]:
    """The pools that must be known for these allotments: those among them, and those that may
    have paid before for members of those.
    """
    names = {policy.name for allotment in allotments for policy in allotment.candidates}
    measures = {allotment.policies[0].measure for allotment in allotments}
    return [
        one.name
        for one in policies
        if one.pooled and (one.name in names or (one.overflow and one.measure in measures))
    ]
