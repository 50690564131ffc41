"""Sessions: the servers behind usage, and the course of usage over time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ...quotas.charge import Readings
from ...quotas.policy.policy import PolicySet
from ...quotas.policy.selector import ServerAttributes
from ...quotas.units import Unit
from ...quotas.usage import Bucket, Fresh, Stale, Usage
from ...status.users import STILL_RUNNING

PAUSE = 60.0
"""How long, in seconds, a server may be without usage for it to be the same session still."""


@dataclass(frozen=True, slots=True)
class Session:
    """A server that ran from `start` to `end`, and what it used, by resource, in base units."""

    server: ServerAttributes
    start: datetime
    end: datetime
    used: Mapping[str, float]
    ongoing: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """What servers of one kind used in an interval, in base units."""

    start: datetime
    end: datetime
    amount: float
    server: ServerAttributes


def known_usage(readings: Readings) -> dict[str, Usage]:
    """The usage of all resources with a reading, stale or not."""
    return {
        resource: reading.usage
        for resource, reading in readings.items()
        if isinstance(reading, Fresh | Stale)
    }


def of_servers(readings: Readings, policies: PolicySet) -> Readings:
    """Without the resources whose usage is not kept by server."""
    return {
        resource: reading
        for resource, reading in readings.items()
        if policies.resources[resource].by_server
    }


def sessions(readings: Readings, now: datetime) -> list[Session]:
    """The sessions of a user up to `now`, the latest first."""
    usages = known_usage(readings)
    by_server: dict[ServerAttributes, list[tuple[Bucket, str]]] = {}
    for resource, usage in usages.items():
        for bucket in usage.buckets:
            if bucket.amount > 0 and bucket.start < now.timestamp():
                by_server.setdefault(bucket.server, []).append((bucket, resource))
    until = max((usage.covered_until for usage in usages.values()), default=now)
    found = [
        session
        for server, buckets in by_server.items()
        for session in _sessions_of(server, buckets, until)
    ]
    return sorted(found, key=lambda one: (one.end, one.start, one.server.name), reverse=True)


def _sessions_of(
    server: ServerAttributes, buckets: list[tuple[Bucket, str]], until: datetime
) -> Iterator[Session]:
    buckets = sorted(buckets, key=lambda one: one[0].start)
    group: list[tuple[Bucket, str]] = []
    end = -math.inf
    for bucket, resource in buckets:
        if group and bucket.start > end + PAUSE:
            yield _session(server, group, end, until)
            group = []
        group.append((bucket, resource))
        end = max(end, bucket.end) if len(group) > 1 else bucket.end
    if group:
        yield _session(server, group, end, until)


def _session(
    server: ServerAttributes, group: list[tuple[Bucket, str]], end: float, until: datetime
) -> Session:
    used: dict[str, float] = {}
    for bucket, resource in group:
        used[resource] = used.get(resource, 0.0) + bucket.amount
    start = group[0][0].start
    ongoing = end > (until - STILL_RUNNING).timestamp()
    zone = until.tzinfo
    return Session(
        server,
        datetime.fromtimestamp(start, zone),
        datetime.fromtimestamp(end, zone),
        used,
        ongoing,
    )


def slots(usage: Usage, start: datetime, end: datetime, step: timedelta) -> list[Slot]:
    """The usage in `(start, end]` in intervals of `step` (the first and last may be shorter), in
    time order. Intervals are whole steps of Unix time; without usage there is no slot.
    """
    length, first, last = step.total_seconds(), start.timestamp(), end.timestamp()
    by_server: dict[ServerAttributes, list[Bucket]] = {}
    for bucket in usage.buckets:
        by_server.setdefault(bucket.server, []).append(bucket)
    found = []
    for server, buckets in by_server.items():
        part = Usage(tuple(buckets), usage.covered_until, usage.coverage)
        for number, _ in part.by_interval(length):
            begin, until = max(number * length, first), min((number + 1) * length, last)
            amount = part.between(begin, until) if begin < until else 0.0
            if amount > 0:
                zone = start.tzinfo
                found.append(
                    Slot(
                        datetime.fromtimestamp(begin, zone),
                        datetime.fromtimestamp(until, zone),
                        amount,
                        server,
                    )
                )
    return sorted(found, key=lambda slot: (slot.start, slot.server.name, slot.server.profile))


def unit_of(policies: PolicySet, resource: str) -> Unit:
    """The unit to show a resource in: that of the first policy for it, else a usual one."""
    for policy in policies:
        if policy.resource == resource:
            return policy.limit.unit
    known = policies.resources[resource]
    return known.quantity(known.example).unit
