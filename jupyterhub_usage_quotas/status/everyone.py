"""The status of all users, worked out once for each instant, for any number of visitors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ..ledger.base import NO_LEDGER, Ledger
from ..metering.meter import Meter
from ..quotas.forecast import exhausted_at
from ..quotas.policy.policy import Policy, PolicySet
from ..quotas.subject import EVERYONE, Subject
from ..quotas.verdict import Request, Verdict
from .inputs import DecisionInputs, Gathered, gather
from .members import NO_MEMBERS, Directory, Members, members_of_pools
from .pace import Pace
from .users import UserStatus, UserStatuses, servers_seen


class EveryoneStatuses(UserStatuses):
    """Works out where users stand, also all of them, and those who share pools with them.

    The `directory` lists who there is. All visitors at the same instant get the same values.
    """

    def __init__(
        self,
        policies: PolicySet,
        meter: Meter,
        directory: Directory,
        ledger: Ledger = NO_LEDGER,
        *,
        enforced: bool = True,
    ) -> None:
        super().__init__(policies, meter, ledger, enforced=enforced)
        self._directory = directory
        self._pooled = any(policy.pooled for policy in policies)
        self._gathered: Gathered | None = None
        self._pool_ends: dict[tuple[str, str], datetime | None] = {}
        """When pools are exhausted, and by whose servers, as of what was gathered."""
        self._statuses: tuple[datetime, Sequence[UserStatus]] | None = None
        self._gathering = asyncio.Lock()
        self._working = asyncio.Lock()

    async def keep(self) -> None:
        """Keep the usage of everyone up to date, until cancelled."""
        if self.policies.all_measured or self.shown:
            await self._meter.keep(self.policies.reach)

    async def inputs(
        self, subject: Subject, now: datetime, members: Members = NO_MEMBERS
    ) -> DecisionInputs:
        """As of a `UserStatuses`; the members of pools come from the directory. May
        raise `HubUnavailable`.
        """
        if not self._pooled:
            return await super().inputs(subject, now, members)
        return (await self._everyone(now)).of(subject)

    async def of(self, subject: Subject, now: datetime) -> UserStatus:
        """Where a user stands. Raises `HubUnavailable` where it depends on other users."""
        if not self._pooled:
            return await super().of(subject, now)
        return await self._of(subject, await self._everyone(now))

    async def of_everyone(self, now: datetime) -> Sequence[UserStatus]:
        """Where all users stand, in the order of their names. Raises `HubUnavailable`."""
        async with self._working:
            if self._statuses is None or self._statuses[0] != now:
                self._statuses = (now, await self._all(await self._everyone(now)))
            return self._statuses[1]

    def forget(self) -> None:
        """Work everything out anew for the next visitor, since something was decided."""
        self._gathered = self._statuses = None

    async def _all(self, gathered: Gathered) -> Sequence[UserStatus]:
        statuses, pace = [], Pace()
        for subject in gathered.subjects:
            status = await self._of(subject, gathered)
            # Here, where others get their turn, and not when the table is sorted by it.
            _ = status.severity
            statuses.append(status)
            await pace.keep()
        return statuses

    async def _everyone(self, now: datetime) -> Gathered:
        async with self._gathering:
            if self._gathered is None or self._gathered.now != now:
                subjects = await self._directory.subjects()
                gathered = await gather(
                    self.policies,
                    self._meter,
                    self._ledger,
                    subjects,
                    now,
                    members_of_pools(self.policies, subjects),
                    everyone=True,
                    also=self.shown,
                )
                self._gathered = await gathered.with_pools_added_up()
                self._pool_ends = {}
            return self._gathered

    async def _of(self, subject: Subject, gathered: Gathered) -> UserStatus:
        inputs = gathered.of(subject)
        status = self._status(inputs, tuple(servers_seen(inputs)))
        ends: Mapping[str, datetime | None] = {
            pool.name: await self._pool_end(pool, verdict, status, gathered)
            for verdict in status.decision.verdicts
            if (pool := verdict.allotment.pool)
        }
        return replace(status, pool_ends=ends) if ends else status

    async def _pool_end(
        self, pool: Policy, verdict: Verdict, status: UserStatus, gathered: Gathered
    ) -> datetime | None:
        """When a pool is exhausted, if the servers of all its members go on."""
        servers, inputs = status.servers, status.inputs
        chain = [one for one in self.policies if one.overflow and one.measure == pool.measure]
        after_others = pool.overflow and len(chain) > 1
        # Which servers a pool pays for depends on what those before it have left: of a chain of
        # pools, it is worked out for the user's own servers; users without any share one entry.
        key = (pool.name, status.subject.name if after_others and servers else EVERYONE)
        if key not in self._pool_ends:
            theirs = servers if after_others else _servers_drawing_on(pool, gathered)
            self._pool_ends[key] = await asyncio.to_thread(
                exhausted_at, verdict, self.policies, theirs, inputs.adjustments, inputs.now
            )
        return self._pool_ends[key]


def _servers_drawing_on(pool: Policy, gathered: Gathered) -> list[Request]:
    """The servers that run of all members of a pool."""
    return [
        server
        for subject in gathered.drawing_on(pool)
        for server in servers_seen(gathered.of(subject))
    ]
