"""Sessions: which servers ran, from usage itself. A launch is where one begins.

A server's session begins where its use by running begins, after none, and ends where that ends.
What lasted shorter than the source sees, and a restart within it, is not seen here either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..charge import Readings
from ..policy.selector import SERVER, ServerAttributes
from ..resources import BY_RUNNING, with_gpu
from ..subject import Subject
from ..usage import Bucket, Fresh, Stale, Unknown, Usage
from ..verdict import Request

RUNNING = next(iter(BY_RUNNING))
"""The resource that every server uses just by running: where it does, the server runs."""


@dataclass(frozen=True, slots=True)
class Session:
    """A server that ran from `start` until `end` (Unix seconds), and its rates by resource at
    first, in base units per second.
    """

    server: ServerAttributes
    start: float
    end: float
    rates: Mapping[str, float]

    def request(self, subject: Subject) -> Request:
        """What was requested when it was started."""
        server = self.server
        rates = with_gpu(self.rates) if server.gpu else self.rates
        return Request(subject, server.name, server.profile, rates, server.profile_name)


def sessions_of(readings: Readings) -> list[Session]:
    """The sessions of a user's servers in time order, from readings of everything that is limited,
    and of what is used by running.
    """
    known = {name: usage for name, reading in readings.items() if (usage := usage_of(reading))}
    running = known.pop(RUNNING, None)
    if running is None:
        return []
    by_server: dict[ServerAttributes, dict[str, list[Bucket]]] = {}
    for name, usage in known.items():
        for bucket in usage.buckets:
            by_server.setdefault(bucket.server, {}).setdefault(name, []).append(bucket)
    found = [
        Session(server, start, end, _rates_at(start, rate, by_server.get(server, {})))
        for server, start, end, rate in _runs_of_servers(running)
    ]
    return sorted(found, key=lambda one: (one.start, one.server.name, one.server.profile))


def without(readings: Readings, session: Session) -> Readings:
    """A user's readings without what a session used."""
    left = {}
    for name, reading in readings.items():
        left[name] = reading
        if not isinstance(reading, Unknown):
            usage = reading.usage
            kept = tuple(part for one in usage.buckets for part in _outside(one, session))
            less = Usage(kept, usage.covered_until, usage.coverage)
            left[name] = replace(reading, usage=less)
    return left


def _outside(bucket: Bucket, session: Session) -> Iterator[Bucket]:
    start, end, server = bucket.start, bucket.end, bucket.server
    if server != session.server or end <= session.start or start >= session.end:
        yield bucket
        return
    for begin, until in ((start, session.start), (session.end, end)):
        if begin < until:
            yield Bucket(begin, until, bucket.rate * (until - begin), server)


def usage_of(reading: object) -> Usage | None:
    """The usage in a reading, as far as it is known; None where it is not."""
    return reading.usage if isinstance(reading, Fresh | Stale) else None


def _runs_of_servers(
    running: Usage,
) -> Iterator[tuple[ServerAttributes, float, float, float]]:
    """`(server, start, end, rate at first)` of every session."""
    by_server: dict[ServerAttributes, list[Bucket]] = {}
    for bucket in running.buckets:
        if bucket.server.kind == SERVER and bucket.amount > 0:
            by_server.setdefault(bucket.server, []).append(bucket)
    for server, buckets in by_server.items():
        buckets.sort(key=lambda one: one.start)
        start, end, rate = buckets[0].start, buckets[0].end, buckets[0].rate
        for bucket in buckets[1:]:
            if bucket.start <= end:
                end = max(end, bucket.end)
                continue
            yield server, start, end, rate
            start, end, rate = bucket.start, bucket.end, bucket.rate
        yield server, start, end, rate


def _rates_at(
    start: float, running: float, buckets: Mapping[str, list[Bucket]]
) -> dict[str, float]:
    rates = {
        name: math.fsum(one.rate for one in of_server if one.start <= start < one.end)
        for name, of_server in buckets.items()
    }
    return {**rates, RUNNING: running}
