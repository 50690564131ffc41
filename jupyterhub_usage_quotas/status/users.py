"""A user's status: the decision on a server that only runs, and what comes next."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType

from ..conventions import Reason
from ..ledger.base import NO_LEDGER, Ledger
from ..metering.meter import Meter
from ..quotas.adjustments import Adjustment, Terms
from ..quotas.charge import Charge, PoolAccounts
from ..quotas.decide import Decision, Outcome
from ..quotas.forecast import Outlook, exhausted_at
from ..quotas.in_flight import InFlight
from ..quotas.policy.policy import PolicySet
from ..quotas.policy.selector import ServerAttributes
from ..quotas.resolve import combine
from ..quotas.resources import with_gpu
from ..quotas.subject import EVERYONE, Subject
from ..quotas.usage import Fresh
from ..quotas.verdict import Request, Verdict, judge
from .inputs import DecisionInputs, adjustments_of, gather, gather_cached
from .members import NO_MEMBERS, Members
from .text import Severity, severity

STILL_RUNNING = timedelta(minutes=2)
"""How long before usage is known to the end a server's usage may have ended for it to run still."""
WORTH_MENTIONING = 0.1
"""The share of an allowance that must come back for its time to be shown."""


@dataclass(frozen=True, slots=True)
class Return:
    """Of what was used, `amount` (base units) counts no more from `at` on."""

    at: datetime
    amount: float


@dataclass(frozen=True)
class UserStatus:
    """Where one user stands at `inputs.now`.

    `decision` is on a server that asks for nothing but to run; `servers` are those of the user that
    run. By the name of a pool, `pool_ends` has when the servers of all its members exhaust it,
    where that was worked out. Where quotas are not `enforced`, every launch is allowed, whatever
    was decided.
    """

    inputs: DecisionInputs
    decision: Decision
    servers: tuple[Request, ...] = ()
    pool_ends: Mapping[str, datetime | None] = field(default_factory=lambda: MappingProxyType({}))
    enforced: bool = True

    @property
    def subject(self) -> Subject:
        """The user."""
        return self.inputs.subject

    @property
    def may_start(self) -> bool:
        """Whether a launch would not be denied."""
        return self.decision.allowed or not self.enforced

    @cached_property
    def outlooks(self) -> tuple[Outlook, ...]:
        """When each verdict's allotment is exhausted, if the servers that run go on."""
        return tuple(Outlook(one, self.exhausted_at(one)) for one in self.decision.verdicts)

    def exhausted_at(self, verdict: Verdict) -> datetime | None:
        """When one verdict's allotment is exhausted, if the servers that run go on."""
        pool, inputs = verdict.allotment.pool, self.inputs
        if pool is not None and pool.name in self.pool_ends:
            return self.pool_ends[pool.name]
        return exhausted_at(verdict, inputs.policies, self.servers, inputs.adjustments, inputs.now)

    @cached_property
    def severity(self) -> Severity | None:
        """How serious the worst of the quotas is; None where there is none."""
        now = self.inputs.now
        each = (severity(one.verdict, one.exhausted_at, now) for one in self.outlooks)
        return Severity.worst(each) if self.outlooks else None

    def severity_of(self, verdict: Verdict) -> Severity:
        """How serious one of the verdicts is."""
        return severity(verdict, self.exhausted_at(verdict), self.inputs.now)

    def gets_back(self, verdict: Verdict) -> Return | None:
        """When a part of the allowance worth mentioning comes back, or all that was used."""
        reading, used = verdict.reading, verdict.used
        if not isinstance(reading, Fresh) or not used or not math.isfinite(verdict.allowance):
            return None
        wanted = min(used, verdict.allowance * WORTH_MENTIONING) or used
        window, now = verdict.allotment.window, self.inputs.now
        at = window.earliest(reading.usage, lambda left: left <= used - wanted, now)
        if at is None or at <= now:
            return None
        return Return(at, used - window.used(reading.usage, at))

    def active(self, verdict: Verdict) -> Sequence[Adjustment]:
        """The grants, overrides and exemptions in force for this verdict's allotment."""
        allotment = verdict.allotment
        return [
            one
            for one in self.inputs.adjustments
            if not isinstance(one, Terms)
            and one.active(self.inputs.now)
            and any(one.concerns(policy, allotment.user) for policy in allotment.candidates)
        ]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The decision on a server if it were started now, and for how long it could run: zero where
    it would be denied, None where that is not known or nothing ends it for a month.
    """

    request: Request
    decision: Decision
    lasts: timedelta | None

    @property
    def fits(self) -> bool:
        """Whether it is known that the server may start."""
        return self.decision.outcome is Outcome.ALLOWED

    @property
    def still_read(self) -> bool:
        """Whether usage is not known only because the history is still being read: a launch would
        ask for itself.
        """
        return self._reason == Reason.NOT_READ_YET

    @property
    def waits_for_usage(self) -> bool:
        """Whether the server may start once usage is known: not where it is known, and what the
        server requests is not.
        """
        return self._reason not in {Reason.NOT_READ_YET, Reason.REQUEST_UNKNOWN}

    @property
    def _reason(self) -> str:
        return getattr(self.decision.failover, "reason", "")

    @property
    def denied(self) -> bool:
        """Whether it is known that the server may not start."""
        return not self.decision.allowed and not self.still_read


def forecast(inputs: DecisionInputs, request: Request) -> Forecast:
    """What would become of a server if it were started now."""
    decision = inputs.decide(request)
    if decision.outcome is not Outcome.ALLOWED:
        denied = decision.outcome is Outcome.DENIED
        return Forecast(request, decision, timedelta(0) if denied else None)
    return Forecast(request, decision, inputs.lasts(request))


class UserStatuses:
    """Works out where users stand, for the Hub, its services and the command line alike."""

    def __init__(
        self,
        policies: PolicySet,
        meter: Meter,
        ledger: Ledger = NO_LEDGER,
        *,
        enforced: bool = True,
        pools: Callable[[], PoolAccounts] | None = None,
    ) -> None:
        """`pools` gives what is charged to pools as of the meter's last refresh, for statuses that
        are not gathered anew.
        """
        self.policies = policies
        self._meter = meter
        self._ledger = ledger
        self._enforced = enforced
        self._pools = pools or (lambda: PoolAccounts(policies, {}, ()))

    @property
    def shown(self) -> Collection[str]:
        """The resources that are read, limited or not, because they are shown."""
        return {one.resource for one in self._meter.gauges}

    async def inputs(
        self, subject: Subject, now: datetime, members: Members = NO_MEMBERS
    ) -> DecisionInputs:
        """What a decision about a user is made of, and whatever else is shown of their usage.

        `members` are those of every pooled policy; of one that is missing, the user is the only
        one.
        """
        gathered = await gather(
            self.policies, self._meter, self._ledger, [subject], now, members, also=self.shown
        )
        return gathered.of(subject)

    async def of(self, subject: Subject, now: datetime) -> UserStatus:
        """Where a user stands, with the servers that the meter saw running last."""
        inputs = await self.inputs(subject, now)
        return self._status(inputs, tuple(servers_seen(inputs)))

    async def cached(self, subject: Subject, now: datetime, in_flight: InFlight) -> UserStatus:
        """A user's quota status from cached usage and the Hub's own servers; it issues no queries,
        and waits for nothing but the ledger.
        """
        decided = await adjustments_of(self._ledger, self.policies, [subject], now)
        gathered = gather_cached(self.policies, self._meter, decided, [subject], now, self._pools())
        inputs = gathered.of(subject).with_in_flight(in_flight)
        return self._status(inputs, tuple(inputs.running))

    async def of_pool(self, name: str, now: datetime) -> tuple[Verdict, Sequence[Adjustment]]:
        """Where a pool stands as of the meter's last refresh, and what people decided about it; the
        policy has this name.
        """
        pool = next(one for one in self.policies if one.name == name)
        decided = (await adjustments_of(self._ledger, self.policies, (), now)).everyone
        allotment = combine([pool], self.policies.intersection, EVERYONE, decided, now)
        charge = Charge(allotment, self._pools().of_pool(pool), None)
        nobody = Request(Subject(EVERYONE), rates={})
        return judge(charge, self.policies, decided, nobody, now), decided

    def _status(
        self,
        inputs: DecisionInputs,
        servers: tuple[Request, ...],
    ) -> UserStatus:
        decision = inputs.decide(Request(inputs.subject))
        return UserStatus(inputs, decision, servers, enforced=self._enforced)


def servers_seen(inputs: DecisionInputs) -> Iterator[Request]:
    """The servers of a user that the meter saw running last, with the rates at which they did."""
    rates: dict[ServerAttributes, dict[str, float]] = {}
    for resource, reading in inputs.usage.items():
        if isinstance(reading, Fresh):
            since = (reading.usage.covered_until - STILL_RUNNING).timestamp()
            recent = [bucket for bucket in reading.usage.buckets if bucket.end > since]
            last = max((bucket.end for bucket in recent), default=0.0)
            for bucket in recent:
                if bucket.end == last:
                    of_server = rates.setdefault(bucket.server, {})
                    of_server[resource] = of_server.get(resource, 0.0) + bucket.rate
    for server, asked in rates.items():
        # Whether a server has a GPU is known even where GPUs are not measured.
        all_rates = with_gpu(asked) if server.gpu else asked
        yield Request(inputs.subject, server.name, server.profile, all_rates, server.profile_name)
