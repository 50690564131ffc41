"""Where everybody stands: the verdict of every user and policy, made anew after each refresh of
the meter, a few users at a time, and shown as a whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..ledger.base import Ledger
from ..metering.meter import Meter
from ..quotas.adjustments import Adjustment
from ..quotas.charge import Charge, PoolAccounts, PoolReadings, Readings, charges
from ..quotas.policy.policy import Policy, PolicySet
from ..quotas.policy.selector import ALL_SERVERS
from ..quotas.resolve import resolve
from ..quotas.subject import EVERYONE, REST, Subject
from ..quotas.verdict import Request, judge
from .inputs import adjustments_of
from .members import Members

SLICE = 0.005
"""Seconds after which others get the event loop."""

DAY = 86400


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a user (or a pool, whose `username` is empty) stands with a policy, in base units.

    `used` and `remaining` are None where usage is not known. `groups` are those that the policy
    is for, `days` the length of a rolling window in which all servers count.
    """

    username: str
    policy: str
    resource: str
    groups: str
    days: str
    used: float | None
    allowance: float
    remaining: float | None


class Tally:
    """The standings as of the last refresh: always complete."""

    def __init__(self, policies: PolicySet, meter: Meter, ledger: Ledger) -> None:
        self.standings: tuple[Standing, ...] = ()
        self.accounts = PoolAccounts(policies, {}, ())
        """What is charged to pools, as of the last refresh."""
        self._policies = policies
        self._meter = meter
        self._ledger = ledger

    async def take(self, users: Iterable[Subject], members: Members, now: datetime) -> None:
        """Judge all users anew."""
        pace = _Pace()
        pools = await self._pools(members, now, pace)
        decided = await adjustments_of(self._ledger, self._policies, EVERYONE, now)
        accounts = PoolAccounts(self._policies, pools, decided.everyone)
        for pool in self._policies:
            if pool.pooled:
                # Now, and not when somebody opens a page; in a thread, for it may take a moment.
                await asyncio.to_thread(accounts.of_pool, pool)
        standings: list[Standing] = []
        pools_done: set[str] = set()
        for user in users:
            readings = self._readings(user.name, now)
            standings += self._of(user, readings, accounts, pools_done, decided.of(user), now)
            await pace.keep()
        self.standings, self.accounts = tuple(standings), accounts

    def _readings(self, user: str, now: datetime) -> Readings:
        policies = self._policies
        found = self._meter.at_hand([user], policies.all_measured, policies.reach, now)
        return found[user]

    async def _pools(self, members: Members, now: datetime, pace: _Pace) -> PoolReadings:
        """The readings of the members of pools; of everyone's pool, of all who used anything."""
        found: dict[str, Readings] = {}
        everybody = {*self._meter.users, REST}
        wanted = {
            user for whose in members.values() for user in (everybody if whose is None else whose)
        }
        for user in wanted:
            found[user] = self._readings(user, now)
            await pace.keep()
        return {
            name: {user: found[user] for user in (everybody if whose is None else whose)}
            for name, whose in members.items()
        }

    def _of(
        self,
        user: Subject,
        readings: Readings,
        accounts: PoolAccounts,
        pools_done: set[str],
        adjustments: Sequence[Adjustment],
        now: datetime,
    ) -> Sequence[Standing]:
        allotments = resolve(
            self._policies,
            user,
            adjustments=adjustments,
            now=now,
        )
        made: list[Standing] = []
        for charge in charges(allotments, readings, accounts, user.name):
            pool = charge.allotment.pool
            if pool and pool.name in pools_done:
                continue
            if pool:
                pools_done.add(pool.name)
            verdict = judge(charge, self._policies, adjustments, Request(user, rates={}), now)
            made.append(
                Standing(
                    "" if pool else user.name,
                    charge.allotment.name,
                    charge.allotment.resource,
                    _groups(charge),
                    _days(charge),
                    verdict.used,
                    verdict.allowance,
                    verdict.remaining,
                )
            )
        return made


class _Pace:
    """Gives others the event loop now and then."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    async def keep(self) -> None:
        """Let others run, if it is time."""
        if time.monotonic() - self._since > SLICE:
            await asyncio.sleep(0)
            self._since = time.monotonic()


def _groups(charge: Charge) -> str:
    def of(policy: Policy) -> Iterator[str]:
        yield from policy.scope.group.exact
        yield from policy.scope.group.globs

    return ",".join(sorted({name for policy in charge.allotment.policies for name in of(policy)}))


def _days(charge: Charge) -> str:
    length, servers = charge.allotment.window.length, charge.allotment.servers
    return f"{length.total_seconds() / DAY:g}" if length and servers == ALL_SERVERS else ""
