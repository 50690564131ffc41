"""Standings: where one user stands with every policy, which is judged again where it may be
another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..conventions import Reason
from ..metering.meter import Meter
from ..metering.totals import News, Totals, UserTotals
from ..quotas.adjustments import Adjustment, Adjustments
from ..quotas.charge import Charge, PoolAccounts
from ..quotas.decide import charges_of
from ..quotas.policy.policy import Policy, PolicySet
from ..quotas.resolve import combine
from ..quotas.subject import EVERYONE, Subject
from ..quotas.units import Unit
from ..quotas.usage import Fresh, Unknown
from ..quotas.verdict import Request, judge, rest
from .inputs import gather_cached
from .plans import Line, Plan, Plans, days_of, groups_of, own_groups_of


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

    @property
    def share(self) -> float:
        """The share of the allowance that is used; 0 where nothing is allowed, or all is."""
        if not self.used or not 0 < self.allowance < math.inf:
            return 0.0
        return self.used / self.allowance


Rows = tuple[PolicyStatus, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """The rows of a user, and what they were made of. From the same they are made again until the
    instant `until`, at the latest; None for ever.

    `used_at` is when the user used anything last (Unix seconds; minus infinity for never), and
    `share` the largest share of an allowance that is used.
    """

    subject: Subject
    rows: Rows
    plan: Plan
    own: tuple[Adjustment, ...]
    gauges: object
    until: datetime | None
    used_at: float
    share: float


@dataclass(frozen=True, slots=True)
class Judging:
    """Judges users at the instant `now`: those of whom there is news, or time has changed it."""

    policies: PolicySet
    meter: Meter
    totals: Totals
    plans: Plans
    news: News
    decided: Adjustments
    pools: PoolAccounts
    now: datetime

    def standing(self, subject: Subject, known: Standing | None) -> Standing:
        """Where a user stands, by where they are known to have stood before."""
        name, now = subject.name, self.now
        own = self.decided.by_user.get(name, ())
        gauges = self.meter.gauges_of(name, now) if self.meter.gauges else None
        if self.news.everybody or known is None or (known.subject, known.own) != (subject, own):
            return self._judged(subject, None, own, gauges)
        if name not in self.news.of and known.gauges == gauges and not _is_past(known.until, now):
            return known
        return self._judged(subject, known, own, gauges)

    def _judged(
        self,
        subject: Subject,
        known: Standing | None,
        own: tuple[Adjustment, ...],
        gauges: object,
    ) -> Standing:
        name, now = subject.name, self.now
        goes_on = name in self.news.of and not self.news.everybody
        totals = self.totals.of(name, keep=goes_on)
        if known is None or _is_past(known.plan.until, now):
            theirs = tuple(one for one in own if one.is_for(subject))
            plan, before = self.plans.of(subject, self.decided.everyone, theirs, now), None
        else:
            plan, before = known.plan, known.rows if known.gauges == gauges else None
        fresh, used_at = self.news.until, totals.end
        earlier = {one.policy: one for one in before or ()}
        until: datetime | None
        if (
            fresh is None
            or used_at > fresh
            or plan.shared
            or not all(one.plain or one.policy in earlier for one in plan.lines)
            or not self.totals.is_measured(name, now)
        ):
            rows, until = self._by_readings(subject, plan)
        else:
            rows = tuple(
                self._row(name, line, totals) if line.plain else earlier[line.policy]
                for line in plan.lines
            )
            # Whose usage grows is looked at again in the next minute anyway.
            until = now if goes_on else self._steady_until(plan, totals, rows)
        until = min((one for one in (until, plan.until) if one), default=None)
        share = max((one.share for one in rows), default=0.0)
        return Standing(subject, rows, plan, own, gauges, until, used_at, share)

    def _row(self, name: str, line: Line, totals: UserTotals) -> PolicyStatus:
        amounts = totals.amounts(line.resource, line.servers, self.policies)
        used = line.window.used(amounts, self.now)
        return PolicyStatus(
            name,
            line.policy,
            line.resource,
            line.groups,
            line.days,
            used,
            line.allowance,
            rest(line.allowance, used),
            line.own_groups,
            line.unit,
        )

    def _steady_until(self, plan: Plan, totals: UserTotals, rows: Rows) -> datetime | None:
        """Until when what counts stays the same, if nothing more is used."""
        each = (
            line.window.steady_until(
                totals.amounts(line.resource, line.servers, self.policies), self.now, row.used
            )
            for line, row in zip(plan.lines, rows, strict=True)
            if line.plain and row.used is not None
        )
        return min((one for one in each if one), default=None)

    def _by_readings(self, subject: Subject, plan: Plan) -> tuple[Rows, datetime | None]:
        """The rows as a decision has them, and until when they stay so."""
        gathered = gather_cached(
            self.policies,
            self.meter,
            self.decided,
            [subject],
            self.now,
            self.pools,
            everyone=True,
        )
        inputs, request = gathered.of(subject), Request(subject, rates={})
        charges = charges_of(
            self.policies,
            inputs.usage,
            request,
            self.now,
            adjustments=inputs.adjustments,
            pools=self.pools,
        )
        own = [one for one in charges if not one.allotment.pool]
        rows = tuple(
            _row_of(one, self.policies, request, inputs.adjustments, self.now) for one in own
        )
        if plan.shared:
            return rows, self.now
        changes = [self._changes(*one) for one in zip(own, rows, strict=True)]
        return rows, min((one for one in changes if one), default=None)

    def _changes(self, charge: Charge, row: PolicyStatus) -> datetime | None:
        """When what counts of a charge may be another, although nothing was used."""
        reading = charge.reading
        if isinstance(reading, Unknown):
            # Of other reasons it is seen when they end; what is not measured leaves the window.
            return self.now if reading.reason is Reason.METRIC_MISSING else None
        window, used = charge.allotment.window, row.used
        if used is None or not isinstance(reading, Fresh):
            # It is not shown, or what is shown is not all.
            used = window.used(reading.usage, self.now)
        return window.steady_until(reading.usage, self.now, used)


def _is_past(instant: datetime | None, now: datetime) -> bool:
    return instant is not None and instant <= now


def pool_row(
    pool: Policy, accounts: PoolAccounts, everyone: Sequence[Adjustment], now: datetime
) -> PolicyStatus:
    """The row of a pool."""
    allotment = combine([pool], accounts.policies.intersection, EVERYONE, everyone, now)
    charge = Charge(allotment, accounts.of_pool(pool), None)
    request = Request(Subject(EVERYONE), rates={})
    return _row_of(charge, accounts.policies, request, everyone, now)


def _row_of(
    charge: Charge,
    policies: PolicySet,
    request: Request,
    adjustments: Sequence[Adjustment],
    now: datetime,
) -> PolicyStatus:
    allotment = charge.allotment
    verdict = judge(charge, policies, adjustments, request, now)
    return PolicyStatus(
        request.subject.name,
        allotment.name,
        allotment.resource,
        groups_of(allotment),
        days_of(allotment),
        verdict.used,
        verdict.allowance,
        verdict.remaining,
        own_groups_of(allotment, request.subject),
        allotment.limit.unit,
    )
