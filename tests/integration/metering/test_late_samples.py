"""Samples that come late: through remote write they lag by minutes, and after an outage they come
all at once. They are counted when they are there, and never twice.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.quotas.usage import Reading
from tests.support.oracle import Oracle, Truth
from tests.support.samples import (
    GONE,
    HOUR,
    MINUTE,
    NOW,
    RUNNING,
    Life,
    Target,
    asks,
    hub_pod,
    runs,
    scraped,
)
from tests.support.ways import Asking, asking, instant, read_all
from tests.support.written import Labels, Samples, write

BEGIN, END = NOW - 2 * HOUR, NOW + 20 * MINUTE
OVER = 50 * MINUTE
REACH = timedelta(minutes=80)

LIVES = [
    hub_pod(BEGIN, END),
    runs("steady", BEGIN, END, ask=asks(2)),
    runs("ends", BEGIN, NOW - 15 * MINUTE + 5),
    runs("comes", NOW - 22 * MINUTE + 4, END),
    runs("resized", BEGIN, END, (NOW - 18 * MINUTE, asks(4))),
    Life("cycle", {BEGIN: "Pending", NOW - 25 * MINUTE: RUNNING, NOW - 10 * MINUTE: "Succeeded"}),
    runs("again", BEGIN, NOW - 20 * MINUTE, uid="again-1"),
    runs("again", NOW - 20 * MINUTE + 5, END, uid="again-2"),
    *(runs("often", NOW - n * 300, NOW - n * 300 + 130, uid=f"o-{n}") for n in range(-5, 10)),
    Life("left behind", {BEGIN: RUNNING, NOW - 12 * MINUTE: "Failed", NOW + 8 * MINUTE: GONE}),
]
SAMPLES = scraped(LIVES, [Target(BEGIN, END, 30)])
USERS = {life.username for life in LIVES} - {""}
WHOLE = Oracle(SAMPLES, "hub-ns")
SOURCE = KubeStateMetrics("hub-ns")

Lag = Callable[[Labels, float], float]
"""How many seconds after its time a sample of a series arrives."""


def on_time(_labels: Labels, _at: float) -> float:
    return 0.0


def three_minutes(_labels: Labels, _at: float) -> float:
    return 180.0


def each_its_own(labels: Labels, _at: float) -> float:
    """Up to four and a half minutes, by series."""
    return zlib.crc32(repr(sorted(labels)).encode()) % 271


def after_an_outage(_labels: Labels, at: float) -> float:
    """What was scraped in 16 minutes comes afterwards, all in order, ten times as fast."""
    start, end = NOW - 25 * MINUTE, NOW - 9 * MINUTE
    return max(end + (at - start) / 10 - at, 0.0) if start <= at else 0.0


def users_after_an_outage(labels: Labels, at: float) -> float:
    """The same, but what is scraped meanwhile comes at once: other series are on time."""
    return after_an_outage(labels, at) if ("pod", "jupyter-steady") in labels else 0.0


class Arriving:
    """Samples that arrive in Prometheus as time goes on."""

    def __init__(self, url: str, lag: Lag) -> None:
        self._url = url
        waiting = (
            (at + lag(labels, at), at, value, labels)
            for labels, of_series in SAMPLES.items()
            for at, value in of_series
        )
        self._waiting = sorted(waiting, key=lambda one: one[:2])
        self.there: dict[Labels, list] = {}

    def until(self, clock: float) -> None:
        """Time goes on."""
        new: dict[Labels, list] = {}
        come = bisect_right(self._waiting, clock, key=lambda one: one[0])
        for _, at, value, labels in self._waiting[:come]:
            new.setdefault(labels, []).append((at, value))
            self.there.setdefault(labels, []).append((at, value))
        del self._waiting[:come]
        write(self._url, new)


@pytest.fixture
def prometheus(tmp_path) -> Iterator[Asking]:
    with asking(tmp_path) as prometheus:
        yield prometheus


def readings(asked: Meter, clock: int) -> dict[str, dict[str, Reading]]:
    found = asked.peek(USERS, ["memory", "time"], timedelta(seconds=OVER), instant(clock))
    return {user: dict(of_user) for user, of_user in found.items()}


def true_by_now(samples: Samples, clock: int) -> Truth:
    now = clock // MINUTE * MINUTE
    return Oracle(samples, "hub-ns").of_pods(now - OVER - 15 * MINUTE, now)


def go_on(
    prometheus: Asking, lag: Lag, check: Callable[[Meter, int, Samples], None], late: int = 5
) -> None:
    """Keep a meter for half an hour and more while samples arrive."""
    arriving, clock = Arriving(prometheus.url, lag), NOW - 30 * MINUTE
    asked = prometheus.meter(SOURCE, lambda: clock, late=timedelta(minutes=late))
    while clock < NOW + 10 * MINUTE:
        arriving.until(clock)
        prometheus.run(read(asked))
        check(asked, clock, arriving.there)
        clock += 97


async def read(asked: Meter) -> None:
    await asked.refresh(REACH)
    await read_all(asked)


@pytest.mark.parametrize("lag", [on_time, three_minutes, after_an_outage])
def test_all_that_is_there_is_counted(prometheus, lag):
    """Where all samples come in their order, it is always known how far they came."""

    def check(asked: Meter, clock: int, there: Samples) -> None:
        truth = true_by_now(there, clock)
        for user, of_user in readings(asked, clock).items():
            for resource, reading in of_user.items():
                usage = reading.usage
                assert usage.covered_until == instant(truth.last)
                found = usage.between(clock - OVER, truth.last)
                true = truth.between(user, resource, clock - OVER, truth.last)
                assert found == pytest.approx(true, rel=1e-9), (user, resource, clock - NOW)

    go_on(prometheus, lag, check)


@pytest.mark.parametrize(
    ("lag", "late"), [(each_its_own, 5), (users_after_an_outage, 20), (after_an_outage, 5)]
)
def test_what_comes_within_the_lateness_is_as_if_it_had_been_on_time(prometheus, lag, late):
    """Before that it is always known as it will ever be; in the end, all is."""

    def check(asked: Meter, clock: int, _there: Samples) -> None:
        if lag is after_an_outage and NOW - 25 * MINUTE <= clock <= NOW - 5 * MINUTE:
            return
        now = clock // MINUTE * MINUTE
        start, surely = now - OVER, now - late * MINUTE
        truth = WHOLE.of_pods(start - 15 * MINUTE, now)
        for user, of_user in readings(asked, clock).items():
            for resource, reading in of_user.items():
                found = reading.usage.between(start, surely)
                true = truth.between(user, resource, start, surely)
                assert found == pytest.approx(true, rel=1e-9), (user, resource, clock - NOW)

    go_on(prometheus, lag, check, late)


def test_what_was_read_again_is_not_counted_again(prometheus):
    """Many refreshes at the same time, and with nothing new."""
    clock = NOW
    Arriving(prometheus.url, on_time).until(NOW)
    asked = prometheus.meter(SOURCE, lambda: clock)
    truth = true_by_now(SAMPLES, NOW)
    for more in (0, 0, 0, 1, 29, 30, 0, 60, 180):
        clock += more
        prometheus.run(read(asked))
        for user, of_user in readings(asked, NOW).items():
            found = of_user["memory"].usage.between(NOW - OVER, clock)
            true = truth.between(user, "memory", NOW - OVER, clock)
            assert found == pytest.approx(true, rel=1e-9), (user, clock - NOW)
