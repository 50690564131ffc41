"""Forecasts: how long servers can go on, and how long each profile could run if started now.

The same allowances, windows and rules as for a decision, applied to the future: usage goes on at
the rate at which the servers ask for resources.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from .adjustments import Adjustment
from .charge import PoolAccounts, PoolReadings, Readings
from .decide import NO_POOLS, Outcome, alternatives, decide, judge_all
from .policy.policy import PolicySet
from .usage import Fresh, Usage
from .verdict import Request, Verdict, rest

HORIZON = timedelta(days=31)
"""How far forecasts look. What lasts longer lasts long enough for everybody."""
NO_ENDS: Mapping[str, datetime | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Outlook:
    """When nothing remains of an allotment: None if not within the horizon, or not known."""

    verdict: Verdict
    exhausted_at: datetime | None


def outlooks(
    policies: PolicySet,
    usage: Readings,
    who: Request,
    servers: Sequence[Request],
    now: datetime,
    *,
    adjustments: Sequence[Adjustment] = (),
    pools: PoolReadings | PoolAccounts = NO_POOLS,
) -> tuple[Outlook, ...]:
    """When each allotment of `who` is exhausted if these servers of theirs run from now on.

    An allotment that is exhausted already is so now.
    """
    verdicts = judge_all(policies, usage, who, now, adjustments=adjustments, pools=pools)
    return tuple(
        Outlook(verdict, exhausted_at(verdict, policies, servers, adjustments, now))
        for verdict in verdicts
    )


def exhausted_at(
    verdict: Verdict,
    policies: PolicySet,
    servers: Sequence[Request],
    adjustments: Sequence[Adjustment],
    now: datetime,
    last: datetime | None = None,
) -> datetime | None:
    """When nothing remains of one verdict's allotment if these servers run from now on.

    Looked for under each allowance that is going to be in force, as long as it is, up to `last`
    (a horizon from `now`, if not given).
    """
    allotment, reading = verdict.allotment, verdict.reading
    if not isinstance(reading, Fresh):
        return None
    rate = math.fsum(
        server.rate(allotment.resource, policies)
        for server in servers
        if allotment.servers.selects(server.server)
    )
    usage, begin, last = reading.usage, now, last or now + HORIZON
    for end in [*allotment.changes(adjustments, now), last]:
        until = min(end, last)
        allowance = allotment.allowance(adjustments, begin)
        if math.isfinite(allowance) and begin < until:
            # What the servers used between now and `begin` counts like what is known.
            known = usage.running(now, begin, rate)
            if rest(allowance, allotment.window.used(known, begin)) <= 0:
                return begin
            found = allotment.window.exhausted(known, rate, allowance, begin, until)
            if found is not None and (found < end or end == last):
                return found
        begin = until
    return None


def launch_times(
    policies: PolicySet,
    usage: Readings,
    profiles: Mapping[str, Request],
    running: Sequence[Request],
    now: datetime,
    *,
    adjustments: Sequence[Adjustment] = (),
    pools: PoolReadings | PoolAccounts = NO_POOLS,
) -> dict[str, timedelta | None]:
    """How long each of several requests could run if it were started now, beside what runs.

    Zero where it would be denied; None where nothing ends it within the horizon, or where usage
    is not known.
    """
    return {
        name: _launch_time(policies, usage, request, running, now, adjustments, pools)
        for name, request in profiles.items()
    }


def _launch_time(
    policies: PolicySet,
    usage: Readings,
    request: Request,
    running: Sequence[Request],
    now: datetime,
    adjustments: Sequence[Adjustment],
    pools: PoolReadings | PoolAccounts,
) -> timedelta | None:
    decision = decide(policies, usage, request, now, adjustments=adjustments, pools=pools)
    if decision.outcome is Outcome.DENIED:
        return timedelta(0)
    servers = [*running, request]
    ends = [
        group_end(group, policies, servers, adjustments, now)
        for group in alternatives(decision.verdicts)
    ]
    known = [instant for instant in ends if instant]
    return min(known) - now if known else None


def group_end(
    group: Sequence[Verdict],
    policies: PolicySet,
    servers: Sequence[Request],
    adjustments: Sequence[Adjustment],
    now: datetime,
    pool_ends: Mapping[str, datetime | None] = NO_ENDS,
) -> datetime | None:
    """When nothing remains of a group: its pools pay first, one after the other, and what they
    cannot pay falls to the user's own allowances. `pool_ends` has, by name, when pools are
    exhausted whose members' servers were all taken into account.
    """
    begin, last = now, now + HORIZON
    pools = [one for one in group if one.allotment.pool]
    for pool in sorted(pools, key=lambda one: one.allotment.name):
        if pool.allotment.name in pool_ends:
            end = pool_ends[pool.allotment.name]
        else:
            end = exhausted_at(pool, policies, servers, adjustments, begin, last)
        if end is None:
            return None
        begin = max(begin, end)
    own = [one for one in group if not one.allotment.pool]
    if not own:
        return begin
    ends = [exhausted_at(one, policies, servers, adjustments, begin, last) for one in own]
    return min((instant for instant in ends if instant), default=None)


def largest_that_fits(
    policies: PolicySet, profiles: Mapping[str, Request], by: str, now: datetime
) -> str | None:
    """The profile that asks for most of the resource `by` and could be started with nothing used.

    For a launch whose need can never fit; None where no other profile fits either.
    """
    nothing = Fresh(Usage((), now))
    unused = dict.fromkeys(policies.resources, nothing)
    fitting = []
    for name, request in profiles.items():
        empty_pools = {one.name: {request.subject.name: unused} for one in policies if one.pooled}
        decision = decide(policies, unused, request, now, pools=empty_pools)
        if decision.outcome is not Outcome.DENIED:
            fitting.append((request.rate(by, policies), name))
    return max(fitting)[1] if fitting else None
