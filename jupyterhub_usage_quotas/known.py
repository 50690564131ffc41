"""Everything that a decision about a user is made of, brought together for the rules.

The Hub, the command line and the viewer all ask here, so that they decide on the same things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from .ledger import Ledger
from .metering.meter import EVERYBODY_ELSE, Meter
from .metering.promql import Users
from .quotas.adjustments import Adjustment
from .quotas.charge import PoolReadings, Readings
from .quotas.decide import Decision, decide
from .quotas.forecast import launch_times
from .quotas.lately import Running, pools_with_running, with_running
from .quotas.policy import PolicySet
from .quotas.resolve import Allotment, resolve
from .quotas.verdict import Request

Members = Mapping[str, Users]
"""By the name of a pooled policy, whose usage counts in it; None for everybody's."""

NO_MEMBERS: Members = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about one user at the instant `now`."""

    policies: PolicySet
    usage: Readings
    pools: PoolReadings
    adjustments: Sequence[Adjustment]
    now: datetime
    pending: Sequence[Request] = ()

    def decide(self, request: Request, *, failover_open: bool) -> Decision:
        """The decision on a request of this user."""
        return decide(
            self.policies,
            self.usage,
            request,
            self.now,
            failover_open=failover_open,
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
        were allowed and are still pending. Those of the user and of members of their pools count.
        """
        usage = with_running(self.usage, running.get(user, ()), self.now)
        pools = pools_with_running(self.pools, running, self.now)
        return replace(self, usage=usage, pools=pools, pending=pending)

    def lasts(self, request: Request) -> timedelta | None:
        """How long the server could run, if nothing else of the user's did: zero where it would
        be denied, None where nothing ends it for a month.
        """
        times = launch_times(
            self.policies,
            self.usage,
            {"": request},
            [],
            self.now,
            adjustments=self.adjustments,
            pools=self.pools,
        )
        return times[""]


async def learn(
    policies: PolicySet,
    meter: Meter,
    ledger: Ledger | None,
    request: Request,
    now: datetime,
    members: Members = NO_MEMBERS,
) -> Known:
    """Learn what a decision about the request's user needs; never raises for what Prometheus does.

    `members` are those of every pooled policy; of one that is missing, the user is the only one.
    """
    user = request.user
    adjustments = await ledger.adjustments(user, {one.name for one in policies}) if ledger else ()
    allotments = resolve(policies, user, request.groups, admin=request.admin)
    if not allotments:
        return Known(policies, {}, {}, adjustments, now)
    pools = {one: members.get(one, {user}) for one in _pools(policies, allotments)}
    users: Users = {user}
    for whose in pools.values():
        users = None if users is None or whose is None else {*users, *whose}
    resources = {measured for one in allotments for measured in policies.measured(one.resource)}
    longest = max(allotment.window.reach for allotment in allotments)
    readings = await meter.read(users, resources, longest, now)
    unused = readings.get(EVERYBODY_ELSE, {})
    return Known(
        policies,
        readings.get(user, unused),
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
