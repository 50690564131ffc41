"""What is found about running servers, from what is in memory: usage as of the last refresh, the
ledger, and the Hub's own servers.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from ...ledger.base import Ledger
from ...metering.meter import Meter
from ...quotas.adjustments import Adjustments
from ...quotas.charge import PoolAccounts
from ...quotas.in_flight import InFlight, Running
from ...quotas.policy.policy import PolicySet
from ...quotas.stopping.steps import Rules
from ...quotas.stopping.watching import Found, PoolFound, find_pool, watch_servers
from ...quotas.subject import Subject
from ...quotas.verdict import Request
from ...status.inputs import DecisionInputs, adjustments_of, gather_cached
from ...status.pace import Pace
from ...status.snapshot import StatusSnapshot
from ..launch.kept import kept_of
from ..launch.request import subject_of_user
from ..launch.servers import running_spawners, started_at
from ..types import HubSpawner, HubUser


@dataclass(frozen=True, slots=True)
class Served:
    """A running server of the Hub's."""

    user: HubUser
    spawner: HubSpawner
    started: datetime

    @property
    def name(self) -> str:
        """The server's name, empty for the default one."""
        return self.spawner.name

    @property
    def at_rest(self) -> bool:
        """Whether nothing happens to it now: it does not stop, and is not checked."""
        return not self.spawner.pending

    @property
    def sign(self) -> tuple[str, datetime, bool]:
        """It is equal for as long as the server is the same."""
        return self.name, self.started, self.at_rest


Servers = Mapping[str, Sequence[Served]]
"""The running servers of users, by username."""


def servers_of(users: Iterable[HubUser]) -> Servers:
    """The servers that run now; not those that start."""
    found: defaultdict[str, list[Served]] = defaultdict(list)
    for user, spawner in running_spawners(users):
        if started := started_at(spawner):
            found[user.name].append(Served(user, spawner, started))
    return found


class Judge:
    """Says what is found about running servers. What it raises is of the ledger."""

    def __init__(
        self,
        policies: PolicySet,
        meter: Meter,
        ledger: Ledger,
        snapshot: StatusSnapshot,
        rules: Rules,
    ) -> None:
        self.policies = policies
        self._meter = meter
        self._ledger = ledger
        self._snapshot = snapshot
        self._rules = rules
        self._stopping = [one for one in policies if one.stops]
        self._pools = [one for one in self._stopping if one.pooled]

    def is_fresh(self, now: datetime) -> bool:
        """Whether usage is known well enough to decide anything."""
        return self._meter.is_fresh(self.policies.reach, now)

    def concerns(self, subject: Subject) -> bool:
        """Whether any policy may stop servers of a user."""
        return any(one.covers(subject) for one in self._stopping)

    async def prepare(
        self, subjects: Sequence[Subject], all_servers: Servers, now: datetime
    ) -> Judging:
        """What is needed to judge the servers of these users at an instant."""
        decided = await adjustments_of(self._ledger, self.policies, subjects, now)
        accounts = self._snapshot.pools
        found: dict[str, PoolFound] = {}
        if self._pools:
            pace, running = Pace(), []
            for one in chain.from_iterable(all_servers.values()):
                running.append(self._running(one))
                await pace.keep()
            found = await asyncio.to_thread(self._find_pools, accounts, running, decided, now)
        return Judging(self, decided, accounts, found, now)

    def _find_pools(
        self,
        accounts: PoolAccounts,
        running: Sequence[Running],
        decided: Adjustments,
        now: datetime,
    ) -> dict[str, PoolFound]:
        found = {}
        for pool in self._pools:
            theirs = [one for one in running if pool.covers(one.request.subject)]
            if theirs and not pool.overflow:
                found[pool.name] = find_pool(pool, accounts, theirs, decided.everyone, now)
        return found

    def judge(
        self, subject: Subject, servers: Sequence[Served], judging: Judging
    ) -> tuple[Found, ...]:
        """What is found about each server of a user."""
        running = [self._running(one, subject) for one in servers]
        inputs = self._inputs(subject, running, judging)
        return watch_servers(
            self.policies,
            inputs.usage,
            subject,
            running,
            judging.now,
            self._rules,
            adjustments=inputs.adjustments,
            pools=inputs.pools,
            found=judging.found,
        )

    def retry_time(
        self, subject: Subject, name: str, servers: Sequence[Served], judging: Judging
    ) -> datetime | None:
        """When one of a user's servers can start again, if all of them end now."""
        running = [self._running(one, subject) for one in servers]
        inputs = self._inputs(subject, running, judging)
        request = next(one.request for one in running if one.request.server_name == name)
        return inputs.decide(request).retry_time

    def _inputs(
        self, subject: Subject, running: Sequence[Running], judging: Judging
    ) -> DecisionInputs:
        gathered = gather_cached(
            self.policies, self._meter, judging.decided, [subject], judging.now, judging.accounts
        )
        in_flight = InFlight({subject.name: running})
        return gathered.of(subject).with_in_flight(in_flight)

    def _running(self, served: Served, subject: Subject | None = None) -> Running:
        subject = subject or subject_of_user(served.user)
        kept = kept_of(served.spawner)
        if kept is not None:
            return Running(kept.as_decided(subject, served.name), served.started)
        # It is not known what it asks for, nor which profile it is of.
        unknown = frozenset(one.name for one in self.policies.resources.values() if one.asked)
        request = Request(subject, served.name, unknown=unknown, profile_known=False)
        return Running(request, served.started)


@dataclass(frozen=True, slots=True)
class Judging:
    """What servers are judged by at the instant `now`."""

    judge: Judge
    decided: Adjustments
    accounts: PoolAccounts
    found: Mapping[str, PoolFound]
    now: datetime
