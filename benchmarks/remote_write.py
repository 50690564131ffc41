"""A made-up Hub's history in a real Prometheus, by remote write: what kube-state-metrics exports of
its pods, with all phases, scraped once a minute, and the markers of series that ended.

Samples of one value have the same bytes in an hour whatever their series: so it takes seconds.
With two replicas, gaps, pods whose requests change and recorded series, where `Scrapes` says so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import httpx

from benchmarks.world import DAY, NAMESPACE, Session, World
from jupyterhub_usage_quotas import conventions as names
from tests.support.written import STALE, _field, _snappy, _varint

MINUTE, PIECE = 60, 3600
OFFSET = 17.25
"""Seconds after a whole minute at which scrapes are."""
PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
OF_A_SCRAPE = {"job": "kube-state-metrics", "service": "ksm"}
SEEN, RECORDED = names.RECORDED_SEEN, names.RECORDED_REQUESTS
WIDTH = 18
"""Bytes of a sample."""
LARGEST = 8_000_000
"""Bytes in one request."""


@dataclass(frozen=True)
class Scrapes:
    """How a made-up Hub was scraped: replicas of kube-state-metrics; `gaps` (from, until; whole
    minutes) in which nothing was; one in how many pods requested twice as much memory from the
    middle of its time on (0: none); whether what the recording rules record is there as well.
    """

    replicas: int = 1
    gaps: tuple[tuple[int, int], ...] = ()
    resized: int = 0
    recorded: bool = False

    def runs(self, begin: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """The parts of a time outside gaps, and whether a gap follows on each."""
        for gap, until in self.gaps:
            if begin < until and gap < end:
                if begin < gap:
                    yield begin, gap, True
                begin = min(until, end)
        if begin < end:
            yield begin, end, False

    def rates(self, one: Session) -> list[tuple[int, int, float]]:
        """What memory a server requested, and when."""
        middle = (one.start + one.end) // 2 // MINUTE * MINUTE
        if not self.resized or (one.user + one.number) % self.resized:
            return [(one.start, one.end, one.memory)]
        return [(one.start, middle, one.memory), (middle, one.end, 2 * one.memory)]


USUAL = Scrapes()


def write_world(
    url: str,
    world: World,
    end: int | None = None,
    begin: int | None = None,
    scrapes: Scrapes = USUAL,
) -> int:
    """Write a world up to an instant, or from one to another; returns how many samples there
    are.
    """
    written, end = 0, end or world.now
    with httpx.Client(trust_env=False, timeout=120) as http:
        for at in range(begin or world.now - round(world.days * DAY), end, PIECE):
            body: list[bytes] = []
            size = 0
            for run in scrapes.runs(at, min(at + PIECE, end)):
                for series, count in _series_in(world, *run, scrapes):
                    body.append(series)
                    size += len(series)
                    written += count
                    if size > LARGEST:
                        _send(http, url, body)
                        body, size = [], 0
            if body:
                _send(http, url, body)
    return written


def _send(http: httpx.Client, url: str, body: list[bytes]) -> None:
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    reply = http.post(f"{url}/api/v1/write", content=_snappy(b"".join(body)), headers=headers)
    assert reply.status_code == 204, reply.text


def _series_in(
    world: World,
    begin: int,
    end: int,
    broken: bool,  # noqa: FBT001 see `runs`
    scrapes: Scrapes,
) -> Iterator[tuple[bytes, int]]:
    """The series that have samples in `[begin, end)`, and how many. Where the scrapes are `broken`
    after it, every series ends there.
    """
    last = _ended(end) if broken else b""
    hub = {"namespace": NAMESPACE, "pod": "hub-6d5f8c9b7d-x2x4z", "uid": "hub"}
    always = range(begin, end, MINUTE)
    for instance in range(scrapes.replicas):
        for labels, value in _of_pod(hub, "", 0.0, instance):
            some = _part(begin, value, begin, end)
            yield _field(1, labels + some + last), len(always)
    if scrapes.recorded:
        seen = {"__name__": SEEN, "namespace": NAMESPACE}
        yield _field(1, _plain(seen) + _part(begin, 1.0, begin, end) + last), len(always)
    for one in world.between(begin - MINUTE, end):
        # A pod is scraped at each offset while it is there, and once more to see that it is gone.
        first, until = max(one.start, begin), min(one.end, end)
        count = max(until - first, 0) // MINUTE
        ended = _ended(one.end) if begin <= one.end < end else last if count else b""
        if count or ended:
            yield from _of_session(one, (begin, first, until, count, ended), scrapes)


def _of_session(
    one: Session, within: tuple[int, int, int, int, bytes], scrapes: Scrapes
) -> Iterator[tuple[bytes, int]]:
    begin, first, until, count, ended = within
    pod = {"namespace": NAMESPACE, "pod": one.pod, "uid": one.uid}
    rates = scrapes.rates(one)
    changed = b"".join(
        _part(begin, amount, max(first, start), min(until, end)) for start, end, amount in rates
    )
    for instance in range(scrapes.replicas):
        for labels, value in _of_pod(pod, one.username, one.cpu, instance):
            yield _field(1, labels + _part(begin, value, first, until) + ended), count
        yield _field(1, _requests(pod, "memory", "byte", instance) + changed + ended), count
    if scrapes.recorded:
        amounts = {"memory": changed, "cpu": one.cpu, "time": 1.0}
        for resource, amount in amounts.items():
            some = amount if isinstance(amount, bytes) else _part(begin, amount, first, until)
            named = {"__name__": RECORDED, "namespace": NAMESPACE, "username": one.username}
            labels = _plain(named | {"gpu": "false", "resource": resource})
            yield _field(1, labels + some + ended), count


def _ended(at: int) -> bytes:
    stamp = _varint(round((at + OFFSET) * 1000))
    return _field(2, b"\x09" + STALE + b"\x10" + stamp)


def _part(begin: int, value: float, first: int, until: int) -> bytes:
    """The samples of a value in `[first, until)`, of the hour that begins then."""
    count = max(until - first, 0) // MINUTE
    at = (first - begin) // MINUTE
    return _samples(begin, value)[WIDTH * at : WIDTH * (at + count)]


@lru_cache(200)
def _samples(begin: int, value: float) -> bytes:
    """The fields `samples` of an hour, `WIDTH` bytes each."""
    number = struct.pack("<d", value)
    return b"".join(
        _field(2, b"\x09" + number + b"\x10" + _varint(round((at + OFFSET) * 1000)))
        for at in range(begin, begin + PIECE, MINUTE)
    )


@lru_cache(20_000)
def _cached(pod: tuple[tuple[str, str], ...], user: str, cpu: float, instance: int):
    return list(_made(dict(pod), user, cpu, instance))


def _of_pod(pod: dict[str, str], user: str, cpu: float, instance: int):
    return _cached(tuple(pod.items()), user, cpu, instance)


def _made(
    pod: dict[str, str], user: str, cpu: float, instance: int
) -> Iterator[tuple[bytes, float]]:
    """The series of a pod as fields of a message, each with its value; without its memory, which
    may change.
    """
    said = {names.KSM_USERNAME_LABEL: user} if user else {}
    yield _labels(names.KSM_ANNOTATIONS, pod | said, instance), 1.0
    for phase in PHASES:
        named = pod | {"phase": phase}
        yield _labels(names.KSM_PHASE, named, instance), float(phase == "Running")
    if cpu:
        yield _requests(pod, "cpu", "core", instance), cpu


def _requests(pod: dict[str, str], resource: str, unit: str, instance: int) -> bytes:
    named = {"container": "notebook", "node": "n-1", "resource": resource, "unit": unit}
    return _labels(names.KSM_REQUESTS, pod | named, instance)


def _labels(metric: str, labels: dict[str, str], instance: int) -> bytes:
    scraped = {"instance": f"10.0.3.{17 + instance}:8080"}
    return _plain({"__name__": metric, **OF_A_SCRAPE, **scraped, **labels})


def _plain(labels: dict[str, str]) -> bytes:
    return b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode()))
        for name, value in sorted(labels.items())
    )
