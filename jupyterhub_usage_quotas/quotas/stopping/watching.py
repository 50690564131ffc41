"""Which running servers the policies may stop, and what is found about each of them.

A policy with `when_exhausted: stop` may stop the servers that it selects and that use its
resource: no budget of GPUs stops a server without one. Of a user's servers, and of all that draw on
a pool, the fewest are stopped without which the others can go on: first those that use most of the
resource, of equal ones the one that was started last.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from ..adjustments import Adjustment
from ..charge import Charge, PoolAccounts, PoolReadings, Readings
from ..decide import NO_POOLS, alternatives, charges_of, group_fits
from ..forecast import exhausted_at, group_end
from ..in_flight import Running
from ..policy.policy import Policy, PolicySet
from ..resolve import combine
from ..subject import EVERYONE, Subject
from ..usage import Fresh
from ..verdict import Request, Verdict, has_room, rest
from .steps import Exhausted, Judgement, NotKnown, Remains, Rules

COMES_BACK: Final = timedelta(minutes=10)
"""Where something remains again within this time although servers run on, they are not stopped."""

Key = tuple[str, str]
"""The user and the name of a server."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found about a running server, by its name, and the policies of the name `policy`.

    Where something remains or nothing does, `ends_at` is when that is so from.
    """

    server: str
    policy: str
    rules: Rules
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class PoolFound:
    """What was found about a pool, once for all who draw on it; `needed` are the servers that
    have to stop where nothing remains.
    """

    verdict: Verdict
    ends_at: datetime | None
    needed: Collection[Key] = ()


NO_FINDINGS: Final[Mapping[str, PoolFound]] = MappingProxyType({})


def watch_servers(
    policies: PolicySet,
    usage: Readings,
    who: Subject,
    servers: Sequence[Running],
    now: datetime,
    usual: Rules,
    *,
    adjustments: Sequence[Adjustment] = (),
    pools: PoolReadings | PoolAccounts = NO_POOLS,
    found: Mapping[str, PoolFound] = NO_FINDINGS,
) -> tuple[Found, ...]:
    """What is found about each of a user's running servers, and all policies that may stop it.

    `usage` includes what the servers used until now; `usual` are the rules where policies say
    nothing else; `found` has by name what was found about pools before.
    """
    request = Request(who, rates={})
    held = charges_of(policies, usage, request, now, adjustments=adjustments, pools=pools)
    verdicts = [_verdict(one, adjustments, now, found) for one in held if one.allotment.denies]
    groups = [group for group in alternatives(verdicts) if _stops(group)]
    return tuple(
        one
        for group in groups
        for one in _found_in(group, policies, servers, adjustments, now, usual, found)
    )


def find_pool(
    pool: Policy,
    accounts: PoolAccounts,
    servers: Sequence[Running],
    adjustments: Sequence[Adjustment],
    now: datetime,
) -> PoolFound:
    """What is found about a pool on which these servers draw."""
    policies = accounts.policies
    allotment = combine([pool], policies.intersection, EVERYONE, adjustments, now)
    charge = Charge(allotment, accounts.of_pool(pool), None)
    verdict = _verdict(charge, adjustments, now, NO_FINDINGS)
    requests = [one.request for one in servers]
    ends_at = exhausted_at(verdict, policies, requests, adjustments, now)
    if verdict.fits is not False:
        return PoolFound(verdict, ends_at)
    using = [one for one in servers if _may_use(one.request, [verdict], policies)]
    return PoolFound(verdict, ends_at, _fewest(verdict, using, policies, adjustments, now))


def _verdict(
    charge: Charge,
    adjustments: Sequence[Adjustment],
    now: datetime,
    found: Mapping[str, PoolFound],
) -> Verdict:
    """A verdict on what runs already: it needs no session, and only a Fresh reading decides."""
    allotment, reading = charge.allotment, charge.reading
    used = remaining = None
    if allotment.pool and allotment.pool.name in found:
        known = found[allotment.pool.name].verdict
        allowance, reading, used = known.allowance, known.reading, known.used
        remaining, fits = known.remaining, known.fits
    else:
        allowance = allotment.allowance(adjustments, now)
        fits = True if math.isinf(allowance) else None
        if isinstance(reading, Fresh):
            used = allotment.window.used(reading.usage, now)
            remaining, fits = rest(allowance, used), has_room(allowance, used, 0.0)
    return Verdict(
        allotment, reading, 0.0, used, remaining, fits, None, allowance, True, charge.alternative
    )


def _stops(group: Sequence[Verdict]) -> bool:
    return any(policy.stops for one in group for policy in one.allotment.policies)


def _found_in(
    group: Sequence[Verdict],
    policies: PolicySet,
    servers: Sequence[Running],
    adjustments: Sequence[Adjustment],
    now: datetime,
    usual: Rules,
    found: Mapping[str, PoolFound],
) -> Iterator[Found]:
    using = [one for one in servers if _may_use(one.request, group, policies)]
    if not using:
        return
    rules, name, allowance = _rules(group, usual), _name(group), _allowance(group)
    fits, as_of = group_fits(group), _as_of(group)
    judgement: Judgement = NotKnown()
    needed: Collection[Key] = ()
    if fits:
        ends = {pool: finding.ends_at for pool, finding in found.items()}
        requests = [one.request for one in servers]
        at = group_end(group, policies, requests, adjustments, now, ends)
        judgement = Remains(at, allowance)
    elif fits is False:
        needed = _needed(group, using, policies, adjustments, now, found)
    for one in using:
        server = one.request.server_name
        if fits is False and as_of and _is_known(one.request, group, policies):
            yield Found(
                server, name, rules, Exhausted(as_of, allowance, needed=_key(one) in needed)
            )
        else:
            yield Found(server, name, rules, judgement)


def _may_use(request: Request, group: Sequence[Verdict], policies: PolicySet) -> bool:
    """Whether a server may be one that the policies are about, and use what they limit."""
    allotment = group[0].allotment
    if not allotment.servers.selects(request.server, request.unknown_attributes):
        return False
    uses = request.rate(allotment.resource, policies) > 0
    return uses or not request.unknown.isdisjoint(policies.measured(allotment.resource))


def _is_known(request: Request, group: Sequence[Verdict], policies: PolicySet) -> bool:
    """Whether it surely is one, and surely does."""
    allotment = group[0].allotment
    if allotment.servers.depends_on(request.unknown_attributes):
        return False
    return request.rate(allotment.resource, policies) > 0


def _needed(
    group: Sequence[Verdict],
    servers: Sequence[Running],
    policies: PolicySet,
    adjustments: Sequence[Adjustment],
    now: datetime,
    found: Mapping[str, PoolFound],
) -> Collection[Key]:
    """The fewest of a user's servers without which the others can go on."""
    verdict = group[0]
    pool = verdict.allotment.pool
    if len(group) == 1 and pool and pool.name in found:
        return found[pool.name].needed
    if len(group) > 1 or pool:
        return frozenset(map(_key, servers))
    return _fewest(verdict, servers, policies, adjustments, now)


def _fewest(
    verdict: Verdict,
    servers: Sequence[Running],
    policies: PolicySet,
    adjustments: Sequence[Adjustment],
    now: datetime,
) -> frozenset[Key]:
    """The fewest servers without which the others can go on."""
    resource, reading = verdict.allotment.resource, verdict.reading
    if not isinstance(reading, Fresh):
        return frozenset(map(_key, servers))
    at = now + COMES_BACK
    allowance = verdict.allotment.allowance(adjustments, at)
    ordered = sorted(
        servers,
        key=lambda one: (
            -one.request.rate(resource, policies),
            -one.since.timestamp(),
            _key(one),
        ),
    )

    def go_on_without(number: int) -> bool:
        rate = math.fsum(one.request.rate(resource, policies) for one in ordered[number:])
        then = verdict.allotment.window.used(reading.usage.running(now, at, rate), at)
        return rest(allowance, then) > 0

    # The more of them stop, the less is used: where none helps, all of them stop.
    number = bisect_left(range(len(ordered)), True, key=go_on_without)
    return frozenset(map(_key, ordered[:number]))


def _key(server: Running) -> Key:
    return server.request.subject.name, server.request.server_name


def _as_of(group: Sequence[Verdict]) -> datetime | None:
    """How far all that says that nothing remains reaches; None where not all of it is Fresh."""
    instants = []
    for one in group:
        if not isinstance(one.reading, Fresh):
            return None
        instants.append(one.reading.usage.covered_until)
    return min(instants)


def _allowance(group: Sequence[Verdict]) -> float:
    return math.fsum(one.allowance for one in group)


def _rules(group: Sequence[Verdict], usual: Rules) -> Rules:
    """Of several policies, the longest grace and all warnings."""
    stopping = [policy for one in group for policy in one.allotment.policies if policy.stops]
    graces = [usual.grace if one.grace is None else one.grace for one in stopping]
    warnings = {
        before
        for one in stopping
        for before in (usual.warn_before if one.warn_before is None else one.warn_before)
    }
    return Rules(max(graces), tuple(sorted(warnings, reverse=True)), usual.readings)


def _name(group: Sequence[Verdict]) -> str:
    """The name of the allotments that may stop servers."""
    return " + ".join(one.allotment.name for one in group if _stops([one]))
