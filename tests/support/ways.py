"""The four ways to a reading, which must give the same numbers: a query at launch, a meter that was
started now, one that has been kept while time went on, and one that went on with what another had
kept.
"""

from __future__ import annotations

import asyncio
import math
import random
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_usage_quotas.metering.checkpoint import Checkpoint
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.events import NoEvents, Refresh
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.readers import Timing
from jupyterhub_usage_quotas.metering.sources.base import PrometheusSource
from jupyterhub_usage_quotas.metering.sources.server_metrics import ServerMetrics
from jupyterhub_usage_quotas.quotas.charge import Readings
from jupyterhub_usage_quotas.quotas.subject import REST
from jupyterhub_usage_quotas.quotas.usage import Fresh, Reading, Stale

from .oracle import Oracle, Truth
from .samples import HOUR, MINUTE, NOW, Happened, Target, scraped
from .written import Samples, prometheus_to_write_to, write

RESOURCES = ("memory", "cpu", "gpu", "time")
REACH = 4 * HOUR
SLICE = 10 * MINUTE
"""What was used is compared in each of them."""

GROWS = 43 * MINUTE
"""For how long time goes on."""
RESTARTS = 0.3
"""How often, each time, another meter goes on."""
PIECES = 60
"""More pieces of history than any of these needs."""

AtEach = Callable[[Meter, int], None]
"""Told of a kept meter and the time, at every step of time."""


def instant(unix: float) -> datetime:
    """A UTC datetime of Unix seconds."""
    return datetime.fromtimestamp(unix, UTC)


@dataclass(frozen=True)
class Asking:
    """One Prometheus that samples are written to, and questions asked of."""

    url: str
    client: PrometheusClient
    run: Callable[[Any], Any]
    """Runs a coroutine; all on one event loop, to which the connections belong."""

    def meter(
        self,
        source: PrometheusSource,
        clock: Callable[[], float],
        checkpoint: Checkpoint | None = None,
        **timing: Any,
    ) -> Meter:
        """A meter that fails the test when a refresh fails, or a checkpoint."""
        long = timedelta(minutes=5)
        return Meter(
            self.client,
            [source],
            Timing(deadline=long, refresh_deadline=long, **timing),
            events=Succeeding(),
            checkpoint=checkpoint,
            clock=lambda: instant(clock()),
        )

    def ways(
        self,
        source: PrometheusSource,
        things: Iterable[Happened],
        targets: Iterable[Target],
        **more: Any,
    ) -> Ways:
        """What happened, scraped and written, to be read in every way."""
        samples = scraped(list(things), targets)
        write(self.url, samples)
        return Ways(self, source, samples, **more)


@contextmanager
def asking(directory: Path) -> Iterator[Asking]:
    """A Prometheus of one's own."""
    with prometheus_to_write_to(directory) as url, asyncio.Runner() as runner:
        client = PrometheusClient(url, request_timeout=timedelta(minutes=5))
        yield Asking(url, client, runner.run)
        runner.run(client.aclose())


class Succeeding(NoEvents):
    """Fails the test where something does not succeed."""

    def refreshed(self, refresh: Refresh) -> None:
        assert refresh.failure is None, (refresh.failure, refresh.bug)

    def not_restored(self, why: str) -> None:
        raise AssertionError(why)

    def not_saved(self, path: Path, why: str) -> None:
        raise AssertionError((path, why))


async def read_all(asked: Meter) -> None:
    """Read the whole history."""
    for _ in range(PIECES):
        if not await asked.extend():
            break
    assert asked.complete


@dataclass
class Ways:
    """One source in one Prometheus, read in every way; `samples` are all that it has of it."""

    prometheus: Asking
    source: PrometheusSource
    samples: Samples
    now: int = NOW
    grows: bool = True
    restarts: bool = False
    seed: int = 0

    @cached_property
    def oracle(self) -> Oracle:
        """Who knows the truth."""
        return Oracle(self.samples, self.source.namespace)

    def truth(self, now: int, over: int) -> Truth:
        """The truth about the time before `now`, as the source could tell it."""
        hubs = isinstance(self.source, ServerMetrics)
        return (self.oracle.of_servers if hubs else self.oracle.of_pods)(now - over, now)

    @cached_property
    def whole(self) -> Truth:
        """The truth about the whole window."""
        return self.truth(self.now, REACH)

    @cached_property
    def kept(self) -> Mapping[str, Meter]:
        """The meters that are kept."""
        return self.prometheus.run(self._keep())

    async def _keep(self) -> dict[str, Meter]:
        kept = {"started": await self._started()}
        if self.grows:
            kept["grown"] = await self._grown()
        if not self.restarts:
            return kept
        with tempfile.TemporaryDirectory() as folder:
            return {**kept, "restarted": await self._grown(Path(folder))}

    async def _started(self) -> Meter:
        """A meter that was started now."""
        asked = self.prometheus.meter(self.source, lambda: self.now)
        await asked.refresh(timedelta(seconds=REACH))
        await read_all(asked)
        return asked

    async def _grown(self, folder: Path | None = None) -> Meter:
        """A meter that was started a while ago and refreshed every few minutes since; where there
        is a folder, one after the other, each of which goes on with what the one before knew.
        """
        chance = random.Random(self.seed)
        clock = self.now - GROWS - chance.randrange(MINUTE)

        def another() -> Meter:
            kept_in = Checkpoint(folder, self.prometheus.url, writer=True) if folder else None
            return self.prometheus.meter(self.source, lambda: clock, kept_in)

        asked = another()
        while True:
            await asked.refresh(timedelta(seconds=REACH))
            await asked.extend()
            if folder and chance.random() < RESTARTS:
                await asked.save()
                known, asked = asked.snapshots[0], another()
                await asked.restore()
                await asked.refresh(timedelta(seconds=REACH))
                # Of what was never seen there is nothing to go on with.
                if known.coverage.last_scrape is not None:
                    assert asked.snapshots[0].start <= known.start
            self._is_right_so_far(asked, clock)
            if clock == self.now:
                break
            clock = min(clock + chance.randint(MINUTE, 7 * MINUTE), self.now)
        await read_all(asked)
        return asked

    def readings(
        self, users: Collection[str], resources: Sequence[str] = RESOURCES
    ) -> dict[str, Mapping[str, Readings]]:
        """Users' readings, by way."""
        over, now = timedelta(seconds=REACH), instant(self.now)
        # What a meter that is kept says is at hand: it asks nobody.
        kept = {way: one.peek(users, resources, over, now) for way, one in self.kept.items()}
        direct = self.prometheus.meter(self.source, lambda: self.now)
        return {"direct": self.prometheus.run(direct.read(users, resources, over, now)), **kept}

    def at_hand(self, user: str, resource: str) -> Reading:
        """What the meter says that was kept for some time."""
        over, now = timedelta(seconds=REACH), instant(self.now)
        return self.kept["grown"].peek([user], [resource], over, now)[user][resource]

    def are_right(self, *users: str, resources: Sequence[str] = RESOURCES, kind=Fresh) -> None:
        """Every way says the truth about these users (none: about all), in every ten minutes, to
        much less than one scrape: it is summed of the same minutes.
        """
        # A meter that is kept may know how a gap began that was there as the window began.
        truth, known_more = self.whole, self.truth(self.now, REACH + SLICE)
        everybody = {user for user in truth.used if truth.between(user, "time", 0, self.now)}
        # Somebody may be kept who used something before the window.
        everybody |= {user for one in self.kept.values() for user in one.users}
        chosen = set(users) or everybody
        assert chosen
        for way, of_way in self.readings(chosen, resources).items():
            for user, resource in product(chosen, resources):
                reading = of_way[user][resource]
                assert isinstance(reading, kind), (way, user, reading)
                usage = reading.usage
                assert usage.covered_until == instant(truth.last), way
                assert usage.coverage == pytest.approx(truth.coverage, rel=1e-9), way
                true = [truth.slices(user, resource, SLICE)]
                if way != "started":
                    true.append(known_more.slices(user, resource, SLICE)[1:])
                found = self._slices(reading)
                right = any(found == pytest.approx(one, rel=1e-9, abs=1e-6) for one in true)
                assert right, (way, user, resource, found, true)

    def _slices(self, reading: Fresh | Stale) -> Sequence[float]:
        edges, until = range(self.now - REACH, self.now + 1, SLICE), _until(reading)
        return [
            reading.usage.between(min(begin, until), min(end, until))
            for begin, end in pairwise(edges)
        ]

    def _is_right_so_far(self, asked: Meter, clock: int) -> None:
        """The last 50 minutes are right at every time, as far as they could be known then."""
        over = 50 * MINUTE
        truth = self.truth(clock // MINUTE * MINUTE, over + 15 * MINUTE)
        resources = ["memory", "time"]
        hand = asked.peek(None, resources, timedelta(seconds=over), instant(clock))
        for user, resource in product({*hand, *truth.used}, resources):
            reading = hand.get(user, hand[REST])[resource]
            if isinstance(reading, Fresh | Stale):
                usage = reading.usage
                assert usage.covered_until == instant(truth.last)
                found = usage.between(clock - over, min(_until(reading), clock))
                true = truth.between(user, resource, clock - over, clock)
                assert found == pytest.approx(true, rel=1e-9), (user, resource, clock)


def _until(reading: Fresh | Stale) -> float:
    """Up to when what is said is looked at: of what is fresh, all; nothing may come after."""
    return math.inf if isinstance(reading, Fresh) else reading.usage.covered_until.timestamp()
