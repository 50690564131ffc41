"""The decision: may this user start this server now, and if not, when?

`decide` is a pure function of plain values. The same inputs give the same answer in every
process: the Hub, the command line, a page.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from .adjustments import Adjustment
from .charge import Charge, PoolAccounts, PoolReadings, Readings, charges
from .in_flight import Running, reserve_sessions
from .policy.policy import PolicySet
from .resolve import resolve
from .usage import Reading
from .verdict import Request, Verdict, earliest, has_room, judge
from .windows.base import whole_minute

NO_POOLS: PoolReadings = MappingProxyType({})


class Outcome(enum.StrEnum):
    """How a decision came about."""

    ALLOWED = "allowed"
    DENIED = "denied"
    FAILOVER_OPEN = "failover_open"
    FAILOVER_CLOSED = "failover_closed"


@dataclass(frozen=True, slots=True)
class Decision:
    """All verdicts of one request, and what follows from them.

    `binding` is the verdict that decides the retry time of a denial. `retry_time` is the
    earliest instant at which all verdicts fit, None when the launch is not denied or can never
    fit by waiting alone; where something must be freed and waited for, `once_freed` is until when.
    `failover` is the reading because of which the backup decided.
    """

    request: Request
    outcome: Outcome
    verdicts: tuple[Verdict, ...]
    binding: Verdict | None = None
    retry_time: datetime | None = None
    failover: Reading | None = None
    once_freed: datetime | None = None

    @property
    def allowed(self) -> bool:
        """Whether the server may start."""
        return self.outcome in (Outcome.ALLOWED, Outcome.FAILOVER_OPEN)

    @property
    def denying(self) -> tuple[Verdict, ...]:
        """The verdicts because of which the launch is denied."""
        groups = alternatives(self.verdicts)
        return tuple(one for group in groups if group_fits(group) is False for one in group)

    @property
    def freeing(self) -> tuple[Verdict, ...]:
        """The verdicts that fit once enough is freed, one for each resource: that with the most to
        free. None of them where that does not help.
        """
        most: dict[str, Verdict] = {}
        for one in self.denying:
            if one.never:
                return ()
            before = most.get(one.allotment.resource)
            if one.to_free is not None and (not before or one.to_free > (before.to_free or 0.0)):
                most[one.allotment.resource] = one
        return tuple(most.values())

    @property
    def warnings(self) -> tuple[Verdict, ...]:
        """The verdicts that do not fit and deny nothing."""
        return tuple(
            one
            for one in self.verdicts
            if one.applies and one.fits is False and not one.allotment.denies
        )


def decide(
    policies: PolicySet,
    usage: Readings,
    request: Request,
    now: datetime,
    *,
    adjustments: Sequence[Adjustment] = (),
    pools: PoolReadings | PoolAccounts = NO_POOLS,
    reserving: Sequence[Running] = (),
) -> Decision:
    """Decide one request at the instant `now`.

    `usage` has the user's reading of every resource that is limited, `pools` those of the members
    of every pooled policy (or what was worked out from them before); what is missing counts as
    unknown. `reserving` are servers that hold a minimum session: launches that were allowed, since
    `now`, and servers that run. A policy that is exhausted denies. Otherwise, where it is not known
    whether one is, the `failover_open` of the policies says whether the launch is allowed.
    """
    verdicts = judge_all(
        policies, usage, request, now, adjustments=adjustments, pools=pools, reserving=reserving
    )
    return concluded(policies, verdicts, request, now, adjustments)


def concluded(
    policies: PolicySet,
    verdicts: tuple[Verdict, ...],
    request: Request,
    now: datetime,
    adjustments: Sequence[Adjustment] = (),
) -> Decision:
    """What follows from the verdicts of all allotments."""
    groups = alternatives(verdicts)
    denying = [group for group in groups if group_fits(group) is False]
    if denying:
        retry_time = joint_retry_time(groups, adjustments, now)
        # Within a group, the earliest verdict decides; across groups, the latest.
        binding = max((min(group, key=_retry_order) for group in denying), key=_retry_order)
        waited_for = [group for group in groups if all(one.to_free is None for one in group)]
        once_freed = None
        if retry_time is None and any(group in waited_for for group in denying):
            once_freed = joint_retry_time(waited_for, adjustments, now)
        return Decision(
            request, Outcome.DENIED, verdicts, binding, retry_time, once_freed=once_freed
        )
    unclear = next((group for group in groups if group_fits(group) is None), None)
    if unclear:
        outcome = Outcome.FAILOVER_OPEN if policies.failover_open else Outcome.FAILOVER_CLOSED
        reading = next(one.reading for one in unclear if one.fits is None)
        return Decision(request, outcome, verdicts, failover=reading)
    return Decision(request, Outcome.ALLOWED, verdicts)


def judge_all(
    policies: PolicySet,
    usage: Readings,
    request: Request,
    now: datetime,
    *,
    adjustments: Sequence[Adjustment] = (),
    pools: PoolReadings | PoolAccounts = NO_POOLS,
    reserving: Sequence[Running] = (),
) -> tuple[Verdict, ...]:
    """The verdict of every allotment, in the order in which the policies are written."""
    held = charges_of(
        policies, usage, request, now, adjustments=adjustments, pools=pools, reserving=reserving
    )
    return tuple(judge(charge, policies, adjustments, request, now) for charge in held)


def charges_of(
    policies: PolicySet,
    usage: Readings,
    request: Request,
    now: datetime,
    *,
    adjustments: Sequence[Adjustment] = (),
    pools: PoolReadings | PoolAccounts = NO_POOLS,
    reserving: Sequence[Running] = (),
) -> tuple[Charge, ...]:
    """The charge of every allotment, before it is judged."""
    allotments = resolve(
        policies,
        request.subject,
        adjustments=adjustments,
        now=now,
    )
    if isinstance(pools, PoolAccounts):
        accounts = pools
    else:
        accounts = PoolAccounts(policies, pools, adjustments)
    held = charges(allotments, usage, accounts, request.subject.name)
    if reserving:
        held = tuple(
            reserve_sessions(charge, reserving, policies, accounts.pools, now) for charge in held
        )
    return held


def alternatives(verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    """The verdicts that count, in groups of which one that fits is enough."""
    groups: dict[object, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.counts:
            groups.setdefault(verdict.alternative, []).append(verdict)
    return list(groups.values())


def group_fits(group: Sequence[Verdict]) -> bool | None:
    """Whether a group has room, None where that is not known.

    A pool's members have allowances of their own besides: all of those must fit together, but
    either they or the pool is enough.
    """
    pools = [one.fits for one in group if one.allotment.pool]
    own = [one.fits for one in group if not one.allotment.pool]
    answers = [*pools]
    if own:
        answers.append(False if False in own else None if None in own else True)
    return True if True in answers else None if None in answers else False


def joint_retry_time(
    groups: Sequence[Sequence[Verdict]], adjustments: Sequence[Adjustment], now: datetime
) -> datetime | None:
    """The earliest whole minute at which all groups that are known fit at once.

    None when there is no such minute. Each step moves to the latest of the groups' own earliest
    minutes, so no group is skipped, until all agree.
    """
    known = [group for group in groups if group_fits(group) is not None]
    # The search begins at the retry times that the verdicts have already found.
    first = [_first_retry(group) for group in known if not group_fits(group)]
    if None in first:
        return None
    at = max((instant for instant in first if instant), default=now)
    while True:
        each = [_group_earliest(group, adjustments, at) for group in known]
        if None in each:
            return None
        latest = max((instant for instant in each if instant), default=at)
        if latest <= at:
            return at
        at = latest


def _first_retry(group: Sequence[Verdict]) -> datetime | None:
    """The earliest retry time of any way in which a group could fit, at the earliest."""
    return min((one.retry_time for one in group if one.retry_time), default=None)


def _group_earliest(
    group: Sequence[Verdict], adjustments: Sequence[Adjustment], after: datetime
) -> datetime | None:
    """The first whole minute from `after` on at which one way to fit a group has room."""
    own = [one for one in group if not one.allotment.pool]
    ways = [[one] for one in group if one.allotment.pool] + ([own] if own else [])
    found = (_all_fit(way, adjustments, after) for way in ways)
    return min((instant for instant in found if instant), default=None)


def _all_fit(
    verdicts: Sequence[Verdict], adjustments: Sequence[Adjustment], after: datetime
) -> datetime | None:
    """The first whole minute from `after` on at which all of some verdicts fit at once."""
    at = whole_minute(after)
    while True:
        latest = at
        for one in verdicts:
            usage = one.certain
            if usage is None:
                return None
            # Mostly it fits, and that is quick to see.
            allowance = one.allotment.allowance(adjustments, at)
            if has_room(allowance, one.allotment.window.used(usage, at), one.need):
                continue
            found = earliest(one.allotment, usage, one.need, adjustments, at)
            if found is None:
                return None
            latest = max(latest, found)
        if latest <= at:
            return at
        at = latest


def _retry_order(verdict: Verdict) -> tuple[bool, float]:
    return (verdict.never, verdict.retry_time.timestamp() if verdict.retry_time else 0.0)
