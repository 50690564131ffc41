"""A made-up Hub's history in a real Prometheus, by remote write: what kube-state-metrics exports of
its pods, with all phases, scraped once a minute, and the markers of series that ended.

Samples of one value have the same bytes in an hour whatever their series: so it takes seconds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache

import httpx

from benchmarks.world import DAY, NAMESPACE, World
from jupyterhub_usage_quotas import conventions as names
from tests.support.written import STALE, _field, _snappy, _varint

MINUTE, PIECE = 60, 3600
OFFSET = 17.25
"""Seconds after a whole minute at which scrapes are."""
PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
OF_A_SCRAPE = {"instance": "10.0.3.17:8080", "job": "kube-state-metrics", "service": "ksm"}
WIDTH = 18
"""Bytes of a sample."""
LARGEST = 8_000_000
"""Bytes in one request."""


def write_world(url: str, world: World, end: int | None = None) -> int:
    """Write all of a world up to an instant; returns how many samples there are."""
    written, end = 0, end or world.now
    with httpx.Client(trust_env=False, timeout=120) as http:
        for begin in range(world.now - round(world.days * DAY), end, PIECE):
            body: list[bytes] = []
            size = 0
            for series, count in _series_in(world, begin, min(begin + PIECE, end)):
                body.append(series)
                size += len(series)
                written += count
                if size > LARGEST:
                    _send(http, url, body)
                    body, size = [], 0
            _send(http, url, body)
    return written


def _send(http: httpx.Client, url: str, body: list[bytes]) -> None:
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    reply = http.post(f"{url}/api/v1/write", content=_snappy(b"".join(body)), headers=headers)
    assert reply.status_code == 204, reply.text


def _series_in(world: World, begin: int, end: int) -> Iterator[tuple[bytes, int]]:
    """The series that have samples in `[begin, end)`, and how many."""
    hub = {"namespace": NAMESPACE, "pod": "hub-6d5f8c9b7d-x2x4z", "uid": "hub"}
    always = range(begin, end, MINUTE)
    for labels, value in _of_pod(hub, "", 0.0, 0.0):
        yield _field(1, labels + _samples(begin, value)[: WIDTH * len(always)]), len(always)
    for one in world.between(begin - MINUTE, end):
        # A pod is scraped at each offset while it is there, and once more to see that it is gone.
        first, last = max(one.start, begin), min(one.end, end)
        pod = {"namespace": NAMESPACE, "pod": one.pod, "uid": one.uid}
        count = max(last - first, 0) // MINUTE
        ended = b""
        if begin <= one.end < end:
            stamp = _varint(round((one.end + OFFSET) * 1000))
            ended = _field(2, b"\x09" + STALE + b"\x10" + stamp)
        if count or ended:
            at = WIDTH * ((first - begin) // MINUTE)
            for labels, value in _of_pod(pod, one.username, one.memory, one.cpu):
                samples = _samples(begin, value)[at : at + WIDTH * count]
                yield _field(1, labels + samples + ended), count


@lru_cache(200)
def _samples(begin: int, value: float) -> bytes:
    """The fields `samples` of an hour, `WIDTH` bytes each."""
    number = struct.pack("<d", value)
    return b"".join(
        _field(2, b"\x09" + number + b"\x10" + _varint(round((at + OFFSET) * 1000)))
        for at in range(begin, begin + PIECE, MINUTE)
    )


@lru_cache(20_000)
def _cached(pod: tuple[tuple[str, str], ...], user: str, memory: float, cpu: float):
    return list(_made(dict(pod), user, memory, cpu))


def _of_pod(pod: dict[str, str], user: str, memory: float, cpu: float):
    return _cached(tuple(pod.items()), user, memory, cpu)


def _made(
    pod: dict[str, str], user: str, memory: float, cpu: float
) -> Iterator[tuple[bytes, float]]:
    """The series of a pod as fields of a message, each with its value."""
    said = {names.KSM_USERNAME_LABEL: user} if user else {}
    yield _labels(names.KSM_ANNOTATIONS, pod | said), 1.0
    for phase in PHASES:
        yield _labels(names.KSM_PHASE, pod | {"phase": phase}), float(phase == "Running")
    for resource, unit, amount in (("memory", "byte", memory), ("cpu", "core", cpu)):
        labels = {"container": "notebook", "node": "n-1", "resource": resource, "unit": unit}
        if amount:
            yield _labels(names.KSM_REQUESTS, pod | labels), amount


def _labels(metric: str, labels: dict[str, str]) -> bytes:
    named = {"__name__": metric, **OF_A_SCRAPE, **labels}
    return b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode()))
        for name, value in sorted(named.items())
    )
