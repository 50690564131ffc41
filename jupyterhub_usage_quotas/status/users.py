"""Where a user of the Hub stands, from what the Hub has at hand: nobody is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..ledger.base import Ledger
from ..metering.meter import Meter
from ..quotas.charge import PoolAccounts
from ..quotas.decide import Decision, Outcome
from ..quotas.forecast import exhausted_at
from ..quotas.in_flight import Running
from ..quotas.policy.policy import PolicySet
from ..quotas.subject import Subject
from ..quotas.usage import NOT_READ_YET
from ..quotas.verdict import Request, Verdict
from .inputs import Known, adjustments_of, recall


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a user stands with a server that asks for nothing but to run. Where quotas are not
    `enforced`, it may start whatever was decided.
    """

    known: Known
    decision: Decision
    enforced: bool = True

    @property
    def may_start(self) -> bool:
        """Whether a launch would not be denied."""
        return self.decision.allowed or not self.enforced

    def ends(self, verdict: Verdict) -> datetime | None:
        """When an allotment of the user is exhausted if the servers that run go on."""
        known = self.known
        return exhausted_at(verdict, known.policies, known.running, known.adjustments, known.now)


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
        return getattr(self.decision.failover, "reason", "") == NOT_READ_YET

    @property
    def denied(self) -> bool:
        """Whether it is known that the server may not start."""
        return not self.decision.allowed and not self.still_read


class AtHand:
    """Knows where users stand without asking Prometheus or reading everybody's usage.

    `pools` gives what is charged to pools as of the meter's last refresh.
    """

    def __init__(
        self,
        policies: PolicySet,
        meter: Meter,
        ledger: Ledger,
        pools: Callable[[], PoolAccounts],
        *,
        enforced: bool = True,
    ) -> None:
        self.enforced = enforced
        self._policies = policies
        self._meter = meter
        self._ledger = ledger
        self._pools = pools

    async def standing(
        self,
        subject: Subject,
        running: Mapping[str, Sequence[Running]],
        pending: Sequence[Request],
        now: datetime,
    ) -> Standing:
        """Where a user of the Hub stands, whose servers are `running` (by username) while these
        launches are `pending`.
        """
        request = Request(subject)
        decided = await adjustments_of(self._ledger, self._policies, [subject], now)
        adjustments = decided.of(subject)
        known = recall(self._policies, self._meter, adjustments, request, now, self._pools())
        known = known.and_lately(subject.name, running, pending)
        decision = known.decide(request)
        return Standing(known, decision, self.enforced)


def forecast(known: Known, request: Request) -> Forecast:
    """What would become of a server if it were started now."""
    decision = known.decide(request)
    if decision.outcome is not Outcome.ALLOWED:
        return Forecast(request, decision, timedelta(0) if not decision.allowed else None)
    return Forecast(request, decision, known.lasts(request))
