"""In flight: what the Hub knows about the last minute, and Prometheus does not yet.

Servers that run have used something since usage was last known. Launches that were allowed and
are still pending have used nothing, but what they need is spoken for: else five at once would pass
on an allowance for one. So is what is left of the minimum session of servers that run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from .charge import Charge, PoolReadings, Readings
from .policy.policy import PolicySet
from .subject import REST
from .usage import Bucket, Fresh, Usage
from .verdict import Request

MOMENT = timedelta(milliseconds=1)
"""As short as can be: a period that began since would not see what came before it."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs since an instant, or ran until another, and what it asked for."""

    request: Request
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class InFlight:
    """What only the Hub knows: the servers that run, by username, and the launches that were
    allowed and do not run yet. `reserved` are those of the servers that keep what is left of the
    session that they were let in for. `ended` are those that have only used something: they may
    have ended before usage was known again.
    """

    running: Mapping[str, Sequence[Running]] = field(default_factory=lambda: MappingProxyType({}))
    pending: Sequence[Request] = ()
    reserved: Sequence[Running] = ()
    ended: Mapping[str, Sequence[Running]] = field(default_factory=lambda: MappingProxyType({}))

    def used_by(self, user: str) -> Sequence[Running]:
        """A user's servers that may have used something since usage was known."""
        return [*self.running.get(user, ()), *self.ended.get(user, ())]

    @property
    def used(self) -> Mapping[str, Sequence[Running]]:
        """The same of everybody, by username."""
        return {user: self.used_by(user) for user in {**self.running, **self.ended}}

    def reserving(self, now: datetime) -> Sequence[Running]:
        """All that hold a session, as if what is pending began now."""
        return [*(Running(one, now) for one in self.pending), *self.reserved]


def add_running(readings: Readings, servers: Sequence[Running], now: datetime) -> Readings:
    """One user's readings, and what these servers of theirs used since usage was known."""
    if not servers:
        return readings
    more = dict(readings)
    for resource, reading in readings.items():
        if isinstance(reading, Fresh):
            usage = reading.usage
            for server in servers:
                asked = server.request
                begin = max(server.since, usage.covered_until)
                end = now if server.until is None else min(server.until, now)
                usage = usage.running(begin, end, asked.rates.get(resource, 0.0), asked.server)
            more[resource] = Fresh(usage)
    return more


def add_running_to_pools(
    pools: PoolReadings, servers: Mapping[str, Sequence[Running]], now: datetime
) -> PoolReadings:
    """The same for the members of pools, whose servers are given by username."""
    more = {}
    for name, members in pools.items():
        unused = members.get(REST)
        those = {user for user in servers if user in members or unused is not None}
        more[name] = dict(members) | {
            user: add_running(members.get(user, unused or {}), servers[user], now) for user in those
        }
    return more


def reserve_sessions(
    charge: Charge,
    servers: Sequence[Running],
    policies: PolicySet,
    pools: PoolReadings,
    now: datetime,
) -> Charge:
    """A charge, and what is left of the minimum session of the servers among its users', as if
    they had used it just now.
    """
    allotment, reading = charge.allotment, charge.reading
    if not isinstance(reading, Fresh):
        return charge
    members = pools.get(allotment.pool.name, {}) if allotment.pool else {allotment.user: {}}
    session = allotment.minimum_session.total_seconds()
    begin, end = (now - MOMENT).timestamp(), now.timestamp()
    spoken_for = []
    for server in servers:
        request = server.request
        left = session - max((now - server.since).total_seconds(), 0.0)
        selected = allotment.servers.selects(request.server, request.unknown_attributes)
        if left > 0 and selected and (request.subject.name in members or REST in members):
            amount = request.rate(allotment.resource, policies) * left
            if amount > 0:
                spoken_for.append(Bucket(begin, end, amount, request.server))
    usage = reading.usage
    more = Usage((*usage.buckets, *spoken_for), usage.covered_until, usage.coverage)
    return replace(charge, reading=Fresh(more)) if spoken_for else charge
