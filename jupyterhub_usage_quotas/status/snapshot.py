"""The status snapshot: a row for every user and policy, rebuilt after each refresh of the meter, a
few users at a time, and shown as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ..ledger.base import Ledger
from ..metering.meter import Meter
from ..quotas.adjustments import Adjustments
from ..quotas.charge import Charge, PoolAccounts, Readings
from ..quotas.decide import charges_of
from ..quotas.policy.policy import Policy, PolicySet
from ..quotas.policy.selector import ALL_SERVERS
from ..quotas.subject import EVERYONE, REST, Subject
from ..quotas.units import Unit
from ..quotas.usage import Fresh
from ..quotas.verdict import Request, judge
from .inputs import DecisionInputs, add_up, adjustments_of, gather_cached, pool_readings
from .members import Members, with_assigned
from .pace import Pace

DAY = 86400


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


@dataclass(frozen=True, slots=True)
class _Judged:
    """The rows of a user, and what they were made of. From the same they are made again until the
    instant `steady_until`, at the latest; None for ever.
    """

    rows: tuple[PolicyStatus, ...]
    made_of: object
    steady_until: datetime | None


class StatusSnapshot:
    """The rows as of the last refresh: always complete.

    A user is judged again where something was used, the edge of a window moves over what was, or
    somebody decided something: that is so of few in a minute.
    """

    def __init__(self, policies: PolicySet, meter: Meter, ledger: Ledger) -> None:
        self.rows: tuple[PolicyStatus, ...] = ()
        self.pools = PoolAccounts(policies, {}, ())
        """What is charged to pools, as of the last refresh."""
        self._policies = policies
        self._meter = meter
        self._ledger = ledger
        self._judged: dict[str, _Judged] = {}
        """By username; of those whose rows depend on nobody else, and are known well enough."""
        self._pooled = any(one.pooled for one in policies)

    async def rebuild(self, subjects: Iterable[Subject], members: Members, now: datetime) -> None:
        """Bring the rows of all users up to date; the ledger is queried once for all of them."""
        pace = Pace()
        decided = await adjustments_of(self._ledger, self._policies, EVERYONE, now)
        members = with_assigned(members, decided)
        pools = await self._add_up_pools(members, decided, now, pace)
        rows: list[PolicyStatus] = []
        pools_done: set[str] = set()
        judged: dict[str, _Judged] = {}
        lasting = not self._pooled and self._meter.is_fresh(self._policies.reach, now)
        for subject in subjects:
            made_of = subject, decided.of(subject), self._meter.known_of(subject.name, now)
            one = self._judged.get(subject.name) if lasting else None
            if one is None or one.made_of != made_of or not _holds(one, now):
                gathered = gather_cached(
                    self._policies, self._meter, decided, [subject], now, pools, everyone=True
                )
                one = _judge(gathered.of(subject), made_of, pools_done)
            rows += one.rows
            if lasting:
                judged[subject.name] = one
            await pace.keep()
        self.rows, self.pools, self._judged = tuple(rows), pools, judged

    async def _add_up_pools(
        self, members: Members, decided: Adjustments, now: datetime, pace: Pace
    ) -> PoolAccounts:
        """Add up pools now, and not when somebody opens a page."""
        policies, readings = self._policies, dict[str, Readings]()
        wanted = {*self._meter.users, REST} if None in members.values() else set[str]()
        for user in wanted.union(*filter(None, members.values())):
            readings |= self._meter.peek([user], policies.all_measured, policies.reach, now)
            await pace.keep()
        return await add_up(policies, pool_readings(readings, members), decided)


def _holds(judged: _Judged, now: datetime) -> bool:
    return judged.steady_until is None or now < judged.steady_until


def _judge(inputs: DecisionInputs, made_of: object, pools_done: set[str]) -> _Judged:
    """The rows of one user, and of those of their pools that are not done."""
    request = Request(inputs.subject, rates={})
    rows, changes = [], [*_changes_of_allowances(inputs)]
    for charge in charges_of(
        inputs.policies,
        inputs.usage,
        request,
        inputs.now,
        adjustments=inputs.adjustments,
        pools=inputs.pools,
    ):
        changes += _changes_of_usage(charge, inputs.now)
        pool = charge.allotment.pool
        if pool and pool.name in pools_done:
            continue
        if pool:
            pools_done.add(pool.name)
        rows.append(_row(charge, inputs, request))
    return _Judged(tuple(rows), made_of, min(changes, default=None))


def _changes_of_allowances(inputs: DecisionInputs) -> Iterator[datetime]:
    """When what people decided about the user begins or ends."""
    for one in inputs.adjustments:
        yield from (instant for instant in (one.start, one.until) if instant > inputs.now)


def _changes_of_usage(charge: Charge, now: datetime) -> Iterator[datetime]:
    """When what counts of a charge may be another, although nothing was used."""
    if not isinstance(charge.reading, Fresh):
        yield now
    elif until := charge.allotment.window.steady_until(charge.reading.usage, now):
        yield until


def _row(charge: Charge, inputs: DecisionInputs, request: Request) -> PolicyStatus:
    verdict = judge(charge, inputs.policies, inputs.adjustments, request, inputs.now)
    return PolicyStatus(
        "" if charge.allotment.pool else inputs.subject.name,
        charge.allotment.name,
        charge.allotment.resource,
        _groups(charge),
        _days(charge),
        verdict.used,
        verdict.allowance,
        verdict.remaining,
        _own_groups(charge, inputs.subject),
        charge.allotment.limit.unit,
    )


def _own_groups(charge: Charge, subject: Subject) -> tuple[str, ...]:
    scopes = [policy.scope.group for policy in charge.allotment.candidates]
    return tuple(sorted(name for name in subject.groups if any(one.has(name) for one in scopes)))


def _groups(charge: Charge) -> str:
    def of(policy: Policy) -> Iterator[str]:
        yield from policy.scope.group.exact
        yield from policy.scope.group.globs

    return ",".join(sorted({name for policy in charge.allotment.policies for name in of(policy)}))


def _days(charge: Charge) -> str:
    length, servers = charge.allotment.window.length, charge.allotment.servers
    return f"{length.total_seconds() / DAY:g}" if length and servers == ALL_SERVERS else ""
