"""The status snapshot: a row for every user and policy, rebuilt after each refresh of the meter, a
few users at a time, and shown as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ..ledger.base import Ledger
from ..metering.meter import Meter
from ..quotas.adjustments import Adjustments
from ..quotas.charge import Charge, PoolAccounts, Readings
from ..quotas.decide import charges_of
from ..quotas.policy.policy import Policy, PolicySet
from ..quotas.policy.selector import ALL_SERVERS
from ..quotas.subject import EVERYONE, REST, Subject
from ..quotas.units import Unit
from ..quotas.verdict import Request, judge
from .inputs import DecisionInputs, add_up, adjustments_of, gather_cached, pool_readings
from .members import Members
from .pace import Pace

DAY = 86400


@dataclass(frozen=True, slots=True)
class PolicyStatus:
    """Where a user (or a pool, whose `username` is empty) stands with a policy, in base units.

    `used` and `remaining` are None where usage is not known. `groups` are those that the policy
    is for, `own_groups` those of them that the user is in, `days` the length of a rolling window in
    which all servers count, and `unit` is what the limit is written in.
    """

    username: str
    policy: str
    resource: str
    groups: str
    days: str
    used: float | None
    allowance: float
    remaining: float | None
    own_groups: tuple[str, ...] = ()
    unit: Unit = Unit("", 1.0)  # noqa: RUF009 it is frozen


class StatusSnapshot:
    """The rows as of the last refresh: always complete."""

    def __init__(self, policies: PolicySet, meter: Meter, ledger: Ledger) -> None:
        self.rows: tuple[PolicyStatus, ...] = ()
        self.pools = PoolAccounts(policies, {}, ())
        """What is charged to pools, as of the last refresh."""
        self._policies = policies
        self._meter = meter
        self._ledger = ledger

    async def rebuild(self, subjects: Iterable[Subject], members: Members, now: datetime) -> None:
        """Judge all users anew; the ledger is queried once for all of them."""
        pace = Pace()
        decided = await adjustments_of(self._ledger, self._policies, EVERYONE, now)
        pools = await self._add_up_pools(members, decided, now, pace)
        rows: list[PolicyStatus] = []
        pools_done: set[str] = set()
        for subject in subjects:
            gathered = gather_cached(
                self._policies, self._meter, decided, [subject], now, pools, everyone=True
            )
            rows += _rows(gathered.of(subject), pools_done)
            await pace.keep()
        self.rows, self.pools = tuple(rows), pools

    async def _add_up_pools(
        self, members: Members, decided: Adjustments, now: datetime, pace: Pace
    ) -> PoolAccounts:
        """Add up pools now, and not when somebody opens a page."""
        policies, readings = self._policies, dict[str, Readings]()
        wanted = {*self._meter.users, REST} if None in members.values() else set[str]()
        for user in wanted.union(*filter(None, members.values())):
            readings |= self._meter.peek([user], policies.all_measured, policies.reach, now)
            await pace.keep()
        return await add_up(policies, pool_readings(readings, members), decided)


def _rows(inputs: DecisionInputs, pools_done: set[str]) -> Iterator[PolicyStatus]:
    """The rows of one user, and of those of their pools that are not done."""
    request = Request(inputs.subject, rates={})
    for charge in charges_of(
        inputs.policies,
        inputs.usage,
        request,
        inputs.now,
        adjustments=inputs.adjustments,
        pools=inputs.pools,
    ):
        pool = charge.allotment.pool
        if pool and pool.name in pools_done:
            continue
        if pool:
            pools_done.add(pool.name)
        verdict = judge(charge, inputs.policies, inputs.adjustments, request, inputs.now)
        yield PolicyStatus(
            "" if pool else inputs.subject.name,
            charge.allotment.name,
            charge.allotment.resource,
            _groups(charge),
            _days(charge),
            verdict.used,
            verdict.allowance,
            verdict.remaining,
            _own_groups(charge, inputs.subject),
            charge.allotment.limit.unit,
        )


def _own_groups(charge: Charge, subject: Subject) -> tuple[str, ...]:
    scopes = [policy.scope.group for policy in charge.allotment.candidates]
    return tuple(sorted(name for name in subject.groups if any(one.has(name) for one in scopes)))


def _groups(charge: Charge) -> str:
    def of(policy: Policy) -> Iterator[str]:
        yield from policy.scope.group.exact
        yield from policy.scope.group.globs

    return ",".join(sorted({name for policy in charge.allotment.policies for name in of(policy)}))


def _days(charge: Charge) -> str:
    length, servers = charge.allotment.window.length, charge.allotment.servers
    return f"{length.total_seconds() / DAY:g}" if length and servers == ALL_SERVERS else ""
