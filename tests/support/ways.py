"""The three ways to a reading, which must give the same numbers: a query at launch, a meter that
was started now, and one that has been kept while time went on.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from jupyterhub_usage_quotas.metering.knowledge import EVERYBODY_ELSE
from jupyterhub_usage_quotas.metering.meter import Meter, Timing
from jupyterhub_usage_quotas.metering.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.sources import ServerMetrics, Source
from jupyterhub_usage_quotas.quotas.usage import Fresh, Reading, Stale, Unknown

from .oracle import Oracle, Truth
from .samples import HOUR, MINUTE, NOW
from .written import Samples

RESOURCES = ("memory", "cpu", "gpu", "time")
REACH = 4 * HOUR
SLICE = 10 * MINUTE
"""What was used is compared in each of them."""

GROWS = 47 * MINUTE
"""For how long time goes on."""
PIECES = 60
"""More pieces of history than any of these needs."""

AtEach = Callable[[Meter, int], None]
"""Told of a kept meter and the time, at every step of time."""


def instant(unix: float) -> datetime:
    """A UTC datetime of Unix seconds."""
    return datetime.fromtimestamp(unix, UTC)


@asynccontextmanager
async def meter(
    url: str, source: Source, clock: Callable[[], float], **timing: Any
) -> Iterator[Meter]:
    """A meter that fails the test when a refresh fails."""
    long = timedelta(minutes=5)
    asked = Meter(
        PrometheusClient(url, request_timeout=long),
        [source],
        Timing(deadline=long, refresh_deadline=long, **timing),
        on_refresh=_succeeds,
        clock=lambda: instant(clock()),
    )
    try:
        yield asked
    finally:
        await asked.aclose()


def _succeeds(why: Unknown | None, error: Exception | None) -> None:
    assert why is None, (why, error)


async def read_all(asked: Meter) -> None:
    """Read the whole history."""
    for _ in range(PIECES):
        if not await asked.extend():
            break
    assert asked.complete


async def started(url: str, source: Source, now: int = NOW, reach: int = REACH) -> Meter:
    """A meter that was started now, and asks nobody any more."""
    async with meter(url, source, lambda: now) as asked:
        await asked.refresh(timedelta(seconds=reach))
        await read_all(asked)
    return asked


async def grown(
    url: str,
    source: Source,
    now: int = NOW,
    reach: int = REACH,
    at_each: AtEach = lambda _meter, _clock: None,
    seed: int = 0,
) -> Meter:
    """A meter that was started a while ago and refreshed every few minutes since."""
    chance = random.Random(seed)
    clock = now - GROWS - chance.randrange(MINUTE)
    async with meter(url, source, lambda: clock) as asked:
        while True:
            await asked.refresh(timedelta(seconds=reach))
            await asked.extend()
            at_each(asked, clock)
            if clock == now:
                break
            clock = min(clock + chance.randint(MINUTE, 7 * MINUTE), now)
        await read_all(asked)
    return asked


@dataclass
class Ways:
    """One source in one Prometheus, read in every way; `samples` are all that it has."""

    url: str
    source: Source
    samples: Samples
    now: int = NOW
    reach: int = REACH
    grows: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        self.oracle = Oracle(self.samples, self.source.namespace)
        self._kept: dict[str, Meter] = {}
        self.whole = self.truth(self.now, self.now - self.reach)

    def truth(self, now: int, start: int) -> Truth:
        """The truth as the source could tell it."""
        hubs = isinstance(self.source, ServerMetrics)
        return (self.oracle.of_servers if hubs else self.oracle.of_pods)(start, now)

    @property
    def kept(self) -> Mapping[str, Meter]:
        """The meters that are kept."""
        if not self._kept:
            of = self.url, self.source, self.now, self.reach
            self._kept["started"] = asyncio.run(started(*of))
            if self.grows:
                self._kept["grown"] = asyncio.run(grown(*of, self._right_all_along, self.seed))
        return self._kept

    def readings(
        self, user: str, resources: Sequence[str] = RESOURCES
    ) -> Mapping[str, Mapping[str, Reading]]:
        """A user's readings, by way."""
        over, now = timedelta(seconds=self.reach), instant(self.now)
        # Those that are kept have nobody to ask any more: what they say is at hand.
        readings = {
            way: asyncio.run(kept.read([user], resources, over, now))[user]
            for way, kept in self.kept.items()
        }
        return {"direct": asyncio.run(self._direct(user, resources, over)), **readings}

    def at_hand(self, user: str, resource: str) -> Reading:
        """What the meter that was kept for some time says."""
        over = timedelta(seconds=self.reach)
        return self.kept["grown"].at_hand([user], [resource], over, instant(self.now))[user][
            resource
        ]

    async def _direct(self, user: str, resources: Sequence[str], over: timedelta):
        async with meter(self.url, self.source, lambda: self.now) as asked:
            return (await asked.read([user], resources, over, instant(self.now)))[user]

    def are_right(self, *users: str, resources: Sequence[str] = RESOURCES, kind=Fresh) -> None:
        """Every way says the truth about these users (none: about all), in every ten minutes, to
        much less than one scrape: it is summed of the same minutes.
        """
        kept, truth = self.kept, self.whole
        # A meter that is kept may know how a gap began that was there as the window began.
        known_more = self.truth(self.now, self.now - self.reach - SLICE)
        everybody = {user for user in truth.used if truth.between(user, "time", 0, self.now)}
        # Somebody may be kept who used something before the window.
        everybody |= {user for one in kept.values() for user in one.users}
        for user in users or everybody:
            for way, of_way in self.readings(user, resources).items():
                for resource, reading in of_way.items():
                    assert isinstance(reading, kind), (way, reading)
                    usage = reading.usage
                    assert usage.covered_until == instant(truth.last), way
                    assert usage.coverage == pytest.approx(truth.coverage, rel=1e-9), way
                    true = [truth.slices(user, resource, SLICE)]
                    if way == "grown":
                        true.append(known_more.slices(user, resource, SLICE)[1:])
                    found = self._slices(reading)
                    assert any(found == pytest.approx(one, rel=1e-9, abs=1e-6) for one in true), (
                        way,
                        user,
                        resource,
                        found,
                        true,
                    )

    def _slices(self, reading: Fresh | Stale) -> Sequence[float]:
        edges, until = range(self.now - self.reach, self.now + 1, SLICE), _until(reading)
        return [
            reading.usage.between(min(begin, until), min(end, until))
            for begin, end in pairwise(edges)
        ]

    def _right_all_along(self, asked: Meter, clock: int) -> None:
        """The last 50 minutes are right at every time, as far as they could be known then."""
        now, over = clock // MINUTE * MINUTE, 50 * MINUTE
        truth = self.truth(now, now - over - 15 * MINUTE)
        at = instant(clock)
        hand = asked.at_hand(None, ["memory", "time"], timedelta(seconds=over), at)
        for user, readings in hand.items():
            for resource, reading in readings.items():
                if isinstance(reading, Fresh | Stale) and user != EVERYBODY_ELSE:
                    usage = reading.usage
                    assert usage.covered_until == instant(truth.last)
                    found = usage.between(clock - over, min(_until(reading), clock))
                    true = truth.between(user, resource, clock - over, clock)
                    assert found == pytest.approx(true, rel=1e-9), (user, resource, clock)


def _until(reading: Fresh | Stale) -> float:
    """Up to when what is said is looked at: of what is fresh, all; nothing may come after."""
    return math.inf if isinstance(reading, Fresh) else reading.usage.covered_until.timestamp()
