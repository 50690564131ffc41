"""The meter: every user's usage, cached.

The rest of the package calls `Meter.read`. While the meter is being kept (`Meter.keep`),
a reading is a look-up; before the history is read, and in processes that do not keep it, it is
a query about the users in question. It never raises for anything that Prometheus does and never
takes longer than its deadline; what went wrong is in the reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from ..conventions import Reason
from ..quotas.charge import Readings
from ..quotas.messages import said_by
from ..quotas.subject import REST
from ..quotas.usage import Unknown
from .checkpoint import Checkpoint, CheckpointNotUsable
from .client.breaker import Breaker, Guard
from .client.prometheus import PrometheusClient, all_of
from .client.promql import Users
from .client.worker import run_in_worker
from .events import NO_EVENTS, MeterEvents, Refresh
from .followed import Followed
from .gauge_reader import GaugeReader
from .readers import USUAL, Reader, Timing, UsageReader
from .snapshot import UsageSnapshot
from .sources.base import GaugeSource, InPrometheus, PrometheusSource, Source


class Meter:
    """Brings usage from its sources: one of what servers ask for, one for each resource that an
    admin defined, and gauges.

    `sources` and gauges are in one Prometheus; `others` are elsewhere, and know where.

    `events` gets what happens: readings, refreshes, failures. Gauges of the resources that are
    `kept` are kept up to date, all for None; others are queried when they are needed. What is kept
    begins with what the `checkpoint` has, and is written into it.
    """

    def __init__(
        self,
        prometheus: PrometheusClient,
        sources: Sequence[PrometheusSource],
        timing: Timing = USUAL,
        *,
        others: Sequence[Source] = (),
        gauges: Sequence[GaugeSource] = (),
        kept: Collection[str] | None = None,
        events: MeterEvents = NO_EVENTS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        breaker: Breaker | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.timing = timing
        self._prometheus = prometheus
        self._events = events
        self._clock = clock
        self._checkpoint = checkpoint
        self._followed = (
            Followed(checkpoint, events) if checkpoint and not checkpoint.writer else None
        )
        self._guard = Guard(breaker or Breaker())
        read_from: list[tuple[Source, Guard]] = [
            # One that is out of order is left alone for a while, and no other with it.
            *((one, Guard(Breaker(), one.name)) for one in others),
            *((InPrometheus(prometheus, one), self._guard) for one in sources),
        ]
        self._usage = [UsageReader(one, guard, timing, events) for one, guard in read_from]
        self.gauges: Sequence[GaugeReader] = [
            GaugeReader(
                prometheus, one, self._guard, timing, kept=kept is None or one.resource in kept
            )
            for one in gauges
        ]
        """What is there now, whether a policy limits it or not."""
        self._readers: Sequence[Reader] = (*self._usage, *self.gauges)
        self._kept: Sequence[Reader] = (*self._usage, *(one for one in self.gauges if one.kept))
        self._refreshing = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections to Prometheus."""
        await self._prometheus.aclose()

    @property
    def snapshots(self) -> Sequence[UsageSnapshot]:
        """What is known of each source, as of the last refresh; complete and never changed."""
        return [one.snapshot for one in self._usage if one.snapshot]

    @property
    def problems(self) -> Sequence[Unknown]:
        """Why the last refresh of sources failed, of each that did."""
        return [one.problem for one in self._usage if one.problem]

    @property
    def users(self) -> Collection[str]:
        """Users who are known to have used anything."""
        return {user for snapshot in self.snapshots for user in snapshot.usage}

    @property
    def complete(self) -> bool:
        """Whether the whole history of every source has been read."""
        now = self._clock()
        return bool(self._usage) and all(one.complete(now) for one in self._usage)

    def is_fresh(self, over: timedelta, now: datetime) -> bool:
        """Whether all that is kept is known well enough to decide on, over the time before `now`.

        Single users' readings may be unknown all the same.
        """
        return all(one.is_fresh(over, now) for one in self._kept)

    def is_usage_fresh(self, over: timedelta, now: datetime) -> bool:
        """The same of usage over time alone."""
        return all(one.is_fresh(over, now) for one in self._usage)

    def kinds_of_readings(self, over: timedelta, now: datetime) -> object:
        """Which kinds of readings there are of usage over the time before `now`, to be compared:
        Fresh, Stale or Unknown, of each source. Single users' may be unknown all the same.
        """
        return [(one.source, one.kind_of_readings(over, now)) for one in self._usage]

    def gauges_of(self, user: str, now: datetime) -> object:
        """What gauges show of a user, to be compared."""
        return [one.known_of(user, now) for one in self.gauges]

    # --- reading -------------------------------------------------------------------------------

    async def read(
        self,
        users: Users,
        resources: Collection[str],
        over: timedelta,
        now: datetime,
        *,
        named: Collection[str] = (),
    ) -> Mapping[str, Readings]:
        """Users' readings of these resources over the time before `now`, by username.

        With None for users, those who used anything, and `REST`; and of gauges, which are known of
        users by name only, those of the users who are `named`. A resource that was not used is
        zero where the source is known to have been scraped, else Unknown with the reason why.
        """
        known, asked = [], []
        for reader, names, whose in self._having(resources, users, named):
            if reader.reaches(over, now):
                known.append(reader.peek(whose, names, over, now))
            else:
                asked.append(reader.ask(whose, names, over, now))
        return merged([*known, *await all_of(*asked)])

    def peek(
        self,
        users: Users,
        resources: Collection[str],
        over: timedelta,
        now: datetime,
        *,
        named: Collection[str] = (),
    ) -> Mapping[str, Readings]:
        """The same without a query: Unknown until the history has been read."""
        having = self._having(resources, users, named)
        return merged([one.peek(whose, names, over, now) for one, names, whose in having])

    def _having(
        self, resources: Collection[str], users: Users, named: Collection[str]
    ) -> Iterator[tuple[Reader, list[str], Users]]:
        """The sources that have any of these resources, which, and whose are read."""
        with_source = {one.resource for one in self._readers if one.resource}
        for reader in self._readers:
            of_source = {reader.resource} if reader.resource else set(resources) - with_source
            whose = users if reader.over_time or users is not None else named
            if names := [name for name in resources if name in of_source]:
                yield reader, names, whose

    # --- keeping -------------------------------------------------------------------------------

    async def keep(
        self, reach: timedelta, refreshed: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Keep everybody's usage over `reach` up to date, until cancelled.

        `refreshed` is awaited before the first refresh and after every one, whether it succeeded
        or not.
        """

        async def tell() -> None:
            try:
                if refreshed:
                    await refreshed()
            except Exception as error:
                failure = _internal(error)
                self._events.refreshed(Refresh("what follows a refresh", failure, error))

        await tell()
        if not await self.follow(reach):
            await self.restore()
        while True:
            until = self._clock() + self.timing.refresh_every
            followed = await self.follow(reach)
            await self.refresh(reach, gauges_only=followed)
            await tell()
            more = not followed
            while more and self._clock() < until:
                more = await self.extend()
            await self.save()
            pause = max(until - self._clock(), self._guard.breaker.remaining)
            await asyncio.sleep(max(pause.total_seconds(), 0.0))

    async def follow(self, reach: timedelta) -> bool:
        """Know what the Hub knows, where it is another process that shares its checkpoint; whether
        it wrote that lately. Never raises.
        """
        if self._followed is None:
            return False
        async with self._refreshing:
            return await self._followed.take(self._usage, reach, self._clock())

    async def refresh(self, reach: timedelta, *, gauges_only: bool = False) -> None:
        """Read what is new from all sources. Never raises: a failure is reported, and is in
        readings once they are stale.
        """
        async with self._refreshing:
            for one in self._kept:
                if gauges_only and one.over_time:
                    continue
                one.problem = await self._attempt(one, partial(one.refresh, reach))

    async def extend(self) -> bool:
        """Read one more piece of the history; False when there is none to read, or it failed."""
        async with self._refreshing:
            for one in self._usage:
                if one.snapshot and not one.complete(self._clock()):
                    return await self._attempt(one, one.extend) is None
        return False

    async def read_history(self, reach: timedelta) -> None:
        """Read everybody's usage over `reach` in pieces, as `keep` does: for stores that refuse to
        answer about all of it at once. Never raises: what failed is in readings.
        """
        await self.refresh(reach)
        while await self.extend():
            pass

    async def restore(self) -> None:
        """Begin with what was known before this process. Never raises."""
        if self._checkpoint is None:
            return
        sources = [one.source for one in self._usage]
        try:
            restored = await run_in_worker(self._checkpoint.load, sources)
        except CheckpointNotUsable as error:
            self._events.not_restored(str(error))
            return
        except Exception as error:
            # The history can be read without it, whatever is wrong.
            self._events.not_restored(said_by(error))
            return
        if restored is None:
            return
        for one in self._usage:
            one.restored = restored.snapshots.get(one.name)
            if one.restored:
                self._events.restored(one.name, restored.written)

    async def save(self) -> None:
        """Write what is known for the next process, where it is time to. Never raises."""
        now, complete = self._clock(), self.complete
        if self._checkpoint is None or not self._checkpoint.due(now, complete=complete):
            return
        save, snapshots = self._checkpoint.save, self.snapshots
        try:
            await run_in_worker(save, snapshots, now, complete=complete)
        except OSError as error:
            self._events.not_saved(self._checkpoint.path, error.strerror or str(error))
        except Exception as error:
            # Usage must be kept up to date, whatever is wrong.
            self._events.not_saved(self._checkpoint.path, said_by(error))

    async def _attempt(
        self, reader: Reader, step: Callable[[datetime], Awaitable[None]]
    ) -> Unknown | None:
        bug: Exception | None = None
        try:
            failure = await reader.guard(lambda: step(self._clock()), self.timing.refresh_deadline)
        except Exception as error:
            # Whatever the failure: the meter must be kept up to date.
            failure, bug = _internal(error), error
        self._events.refreshed(Refresh(reader.name, failure, bug, over_time=reader.over_time))
        return failure


def _internal(error: Exception) -> Unknown:
    """What a bug of ours means for readings."""
    return Unknown(Reason.INTERNAL_ERROR, said_by(error))


def merged(parts: Sequence[Mapping[str, Readings]]) -> Mapping[str, Readings]:
    """Readings of several sources as one; a user missing in one of them used nothing of it."""
    if len(parts) == 1:
        return parts[0]
    everybody = {user for part in parts for user in part}
    return {
        user: {
            resource: reading
            for part in parts
            for resource, reading in part.get(user, part.get(REST, {})).items()
        }
        for user in everybody
    }
