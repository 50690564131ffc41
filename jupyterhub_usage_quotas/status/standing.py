"""Where a user stands: what a page or an API answer about them is made of, before it is put into
words or JSON. Decided by the same rules on the same data as the Hub's own decisions.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..ledger.base import Ledger
from ..metering.meter import Meter
from ..quotas.adjustments import Adjustment
from ..quotas.charge import Readings
from ..quotas.decide import Decision
from ..quotas.forecast import Outlook, exhausted_at
from ..quotas.policy.policy import Policy, PolicySet
from ..quotas.policy.selector import ServerAttributes
from ..quotas.subject import EVERYONE, Subject
from ..quotas.units import STORAGE
from ..quotas.usage import Fresh, Reading
from ..quotas.verdict import Request, Verdict
from .everybody import Everybody, learn_everybody
from .inputs import Known, adjustments_of, learn
from .members import Directory, members_of_pools

STILL_RUNNING = timedelta(minutes=2)
"""How long before usage is known to the end a server's usage may have ended for it to run still."""
WORTH_MENTIONING = 0.1
"""Which share of an allowance has to come back for the time to be told."""
AT_A_TIME = 20
"""Of how many users the standing is worked out before others get their turn."""


@dataclass(frozen=True, slots=True)
class Return:
    """Of what was used, `amount` (base units) counts no more from `at` on."""

    at: datetime
    amount: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one user stands at `known.now`.

    `decision` is on a server that asks for nothing but to run. The outlooks are of the same
    verdicts, if `servers` (what the meter saw running last) go on.
    """

    subject: Subject
    known: Known
    decision: Decision
    outlooks: tuple[Outlook, ...]
    servers: tuple[Request, ...]
    home: Reading | None = None
    """What is in the user's home directory; None where that is not looked at."""
    enforced: bool = True
    """Whether what was decided is what happens: otherwise every launch is allowed."""

    @property
    def may_start(self) -> bool:
        """Whether a launch would not be denied."""
        return self.decision.allowed or not self.enforced

    def gets_back(self, verdict: Verdict) -> Return | None:
        """When a part of the allowance worth mentioning comes back, or all that was used."""
        reading, used = verdict.reading, verdict.used
        if not isinstance(reading, Fresh) or not used or not math.isfinite(verdict.allowance):
            return None
        wanted = min(used, verdict.allowance * WORTH_MENTIONING) or used
        window, now = verdict.allotment.window, self.known.now
        at = window.earliest(reading.usage, lambda left: left <= used - wanted, now)
        if at is None or at <= now:
            return None
        return Return(at, used - window.used(reading.usage, at))

    def active(self, verdict: Verdict) -> Sequence[Adjustment]:
        """The grants, overrides and exemptions in force for this verdict's allotment."""
        allotment = verdict.allotment
        return [
            one
            for one in self.known.adjustments
            if one.active(self.known.now)
            and any(one.concerns(policy, allotment.user) for policy in allotment.candidates)
        ]


class Standings:
    """Works out where users stand, from the policies, the meter, the ledger and the Hub."""

    def __init__(
        self,
        policies: PolicySet,
        meter: Meter,
        hub: Directory,
        ledger: Ledger,
        *,
        enforced: bool = True,
    ) -> None:
        self.policies = policies
        self._meter = meter
        self._hub = hub
        self._ledger = ledger
        self._enforced = enforced
        self._known: Everybody | None = None
        self._ends: dict[tuple[str, str], datetime | None] = {}
        """When pools are exhausted by whose servers, as of what is known of everybody."""
        self._standings: tuple[datetime, Sequence[Standing]] | None = None
        self._learning = asyncio.Lock()
        self._working = asyncio.Lock()

    async def keep(self) -> None:
        """Keep the usage of everybody up to date, until cancelled."""
        if self.policies.all_measured or self._meter.homes:
            await self._meter.keep(self.policies.reach)

    async def learn(self, request: Request, now: datetime) -> Known:
        """What a decision on this request is made of. Raises `HubUnavailable`."""
        if any(policy.pooled for policy in self.policies):
            decided = await adjustments_of(self._ledger, self.policies, [request.subject], now)
            return (await self._everybody(now)).known(request.subject, decided)
        return await learn(self.policies, self._meter, self._ledger, request, now)

    async def of(self, subject: Subject, now: datetime) -> Standing:
        """Where a user stands. Raises `HubUnavailable` where it depends on who else there is."""
        known = await self.learn(request_of(subject), now)
        stored = await self._stored([subject], now)
        return await self._standing(subject, known, stored)

    async def of_everybody(self, now: datetime) -> Sequence[Standing]:
        """Where all users stand, in the order of their names. Raises `HubUnavailable`.

        Worked out once for each `now`, however many ask.
        """
        async with self._working:
            if self._standings is None or self._standings[0] != now:
                self._standings = (now, await self._all(await self._everybody(now)))
            return self._standings[1]

    async def _all(self, everybody: Everybody) -> Sequence[Standing]:
        standings = []
        stored = await self._stored(everybody.subjects, everybody.now)
        for number, subject in enumerate(everybody.subjects):
            if number % AT_A_TIME == 0:
                await asyncio.sleep(0)
            standings.append(
                await self._standing(
                    subject, everybody.known(subject, everybody.adjustments), stored
                )
            )
        return standings

    async def _stored(self, subjects: Sequence[Subject], now: datetime) -> Mapping[str, Readings]:
        """What is in subjects's home directories; empty where that is not looked at."""
        if self._meter.homes is None:
            return {}
        names = [one.name for one in subjects]
        return await self._meter.read(names, {STORAGE.name}, timedelta(0), now)

    async def _everybody(self, now: datetime) -> Everybody:
        async with self._learning:
            if self._known is None or self._known.now != now:
                subjects = await self._hub.subjects()
                members = members_of_pools(self.policies, subjects)
                decided = await adjustments_of(self._ledger, self.policies, EVERYONE, now)
                self._known = await learn_everybody(
                    self.policies, self._meter, subjects, members, decided, now
                )
                self._ends = {}
            return self._known

    async def _standing(
        self, subject: Subject, known: Known, stored: Mapping[str, Readings]
    ) -> Standing:
        request = request_of(subject)
        servers = tuple(running_servers(request, known.usage))
        decision = known.decide(request)
        outlooks = [
            Outlook(verdict, await self._end(verdict, known, servers))
            for verdict in decision.verdicts
        ]
        # Where it is part of the decision, it is the same that is shown.
        homes = (known.usage, stored.get(subject.name, {}))
        home = next((one[STORAGE.name] for one in homes if STORAGE.name in one), None)
        return Standing(
            subject, known, decision, tuple(outlooks), servers, home, enforced=self._enforced
        )

    async def _end(
        self, verdict: Verdict, known: Known, servers: Sequence[Request]
    ) -> datetime | None:
        """When an allotment is exhausted if these servers go on; a pool, if its members' do."""
        pool, everybody = verdict.allotment.pool, self._known
        if pool is None or everybody is None or everybody.now != known.now:
            return exhausted_at(verdict, self.policies, servers, known.adjustments, known.now)
        chain = [one for one in self.policies if one.overflow and one.measure == pool.measure]
        after_others = pool.overflow and len(chain) > 1
        # Which servers a pool pays for depends on what those before it have left: of a chain of
        # pools it is told for the user's own. Who has none need not be told apart.
        key = (pool.name, servers[0].subject.name if after_others and servers else EVERYONE)
        if key not in self._ends:
            theirs = servers if after_others else _servers_drawing_on(pool, everybody)
            self._ends[key] = await asyncio.to_thread(
                exhausted_at, verdict, self.policies, theirs, known.adjustments, known.now
            )
        return self._ends[key]


def _servers_drawing_on(pool: Policy, everybody: Everybody) -> list[Request]:
    """The servers that run of all members of a pool."""
    return [
        server
        for one in everybody.drawing_on(pool)
        for server in running_servers(request_of(one), everybody.usage(one.name))
    ]


def request_of(subject: Subject) -> Request:
    """The request of a server that asks for nothing but to run."""
    return Request(subject)


def running_servers(who: Request, usage: Readings) -> Iterable[Request]:
    """The servers of a user that the meter saw running last, with the rates at which they did."""
    rates: dict[ServerAttributes, dict[str, float]] = {}
    for resource, reading in usage.items():
        if isinstance(reading, Fresh):
            since = (reading.usage.covered_until - STILL_RUNNING).timestamp()
            recent = [bucket for bucket in reading.usage.buckets if bucket.end > since]
            last = max((bucket.end for bucket in recent), default=0.0)
            for bucket in recent:
                if bucket.end == last:
                    of_server = rates.setdefault(bucket.server, {})
                    of_server[resource] = of_server.get(resource, 0.0) + bucket.rate
    for server, asked in rates.items():
        yield Request(
            who.subject, server.name, server.profile, _with_gpu(asked, server), server.profile_name
        )


def _with_gpu(asked: Mapping[str, float], server: ServerAttributes) -> Mapping[str, float]:
    """Whether a server has a GPU is known even where GPUs are not measured."""
    return {"gpu": 1.0, **asked} if server.gpu else asked
