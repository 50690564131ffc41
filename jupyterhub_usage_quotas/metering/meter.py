"""The meter: every user's usage at hand.

`Meter.read` is what the rest of the package asks. While the meter is being kept (`Meter.keep`),
a reading is a look-up; before the history is read, and in processes that do not keep it, it is
a query about the users in question. It never raises for anything that Prometheus does and never
takes longer than its deadline; what went wrong is in the reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from ..errors import BadAnswer, PrometheusError, UsageUnknown
from ..quotas.charge import Readings
from ..quotas.subject import REST
from ..quotas.units import STORAGE, show_duration
from ..quotas.usage import Unknown
from .client import promql
from .client.breaker import Breaker
from .client.prometheus import PrometheusClient, all_of
from .client.promql import Users
from .events import NO_EVENTS, MeterEvents, Refresh
from .snapshot import UsageSnapshot
from .sources.base import Source, StepRange, UsageSegment, whole_step
from .sources.home_storage import HomeMeter, HomeStorage
from .sync import SourceSync

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things may take, and how old they may be.

    `deadline` bounds a whole reading, `refresh_deadline` a refresh. `stale_after` is how long ago
    the source may have been scraped for its readings to be decided on. `late` is how long after
    their time samples may still come; `max_gap` the longest gap that is bridged; `interval` the
    seconds between scrapes, None to find out.
    """

    deadline: timedelta = timedelta(seconds=5)
    refresh_deadline: timedelta = timedelta(minutes=2)
    refresh_every: timedelta = timedelta(minutes=1)
    stale_after: timedelta = timedelta(minutes=10)
    late: timedelta = timedelta(minutes=5)
    max_gap: timedelta = timedelta(minutes=10)
    interval: float | None = None


class Meter:
    """Brings usage from sources in one Prometheus: one of what servers ask for, and one for each
    resource that an admin defined; and from the same Prometheus what is in home directories.

    `events` is handed what happens: readings, refreshes, failures.
    """

    def __init__(
        self,
        prometheus: PrometheusClient,
        sources: Sequence[Source],
        timing: Timing = Timing(),
        *,
        events: MeterEvents = NO_EVENTS,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        breaker: Breaker | None = None,
        homes: HomeStorage | None = None,
    ) -> None:
        self.timing = timing
        self._prometheus = prometheus
        self._sources = sources
        self._events = events
        self._clock = clock
        self._breaker = breaker or Breaker()
        stale_after = timing.stale_after
        self.homes = (
            HomeMeter(prometheus, homes, self._guarded, stale_after=stale_after) if homes else None
        )
        """What is in home directories; None where that is not asked for."""
        self._failure: Unknown | None = None
        """Why a query failed last."""
        self._problems: dict[str, Unknown | None] = {}
        """Why the last refresh of a source failed, by its name; None when it did not."""
        self._syncs: Mapping[str, SourceSync] = {}
        self._refreshing = asyncio.Lock()

    async def aclose(self) -> None:
        """Close the connections to Prometheus."""
        await self._prometheus.aclose()

    @property
    def snapshots(self) -> Sequence[UsageSnapshot]:
        """What is known of each source, as of the last refresh; complete and never changed."""
        return [sync.snapshot for sync in self._syncs.values() if sync.snapshot]

    @property
    def users(self) -> Collection[str]:
        """Those who are known to have used anything."""
        return {user for known in self.snapshots for user in known.usage}

    @property
    def complete(self) -> bool:
        """Whether the whole history of every source is known."""
        now = self._clock()
        return bool(self._syncs) and all(one.complete(now) for one in self._syncs.values())

    # --- reading -------------------------------------------------------------------------------

    async def read(
        self, users: Users, resources: Collection[str], over: timedelta, now: datetime
    ) -> Mapping[str, Readings]:
        """Users' readings of these resources over the time before `now`, by username.

        With None for users, those who used anything, and `REST`. A resource that was
        not used is zero where the source is known to have been scraped, else Unknown with the
        reason why. What is in home directories is known of users who are named only.
        """
        known, asked = [], []
        for source, names in self._having(resources):
            if of_source := self._reaching(source, over, now):
                known.append(self._readings(of_source, users, names, over, now))
            else:
                asked.append(self._ask(users, source, names, over, now))
        if self.homes and users and STORAGE.name in resources:
            asked.append(self.homes.readings(users, now, self.timing.deadline))
        return _together([*known, *await all_of(*asked)])

    def peek(
        self, users: Users, resources: Collection[str], over: timedelta, now: datetime
    ) -> Mapping[str, Readings]:
        """The same without asking anybody: Unknown until the history has been read."""
        parts = []
        for source, names in self._having(resources):
            if of_source := self._reaching(source, over, now):
                parts.append(self._readings(of_source, users, names, over, now))
            else:
                not_yet = Unknown("not_read_yet", "the history is still being read")
                why = self._problems.get(source.name) or not_yet
                parts.append(_all_unknown(users, names, why))
        if self.homes and users and STORAGE.name in resources:
            parts.append(self.homes.peek(users, now))
        return _together(parts)

    def _having(self, resources: Collection[str]) -> Iterator[tuple[Source, list[str]]]:
        """The sources that have any of these resources, and which."""
        # What is in home directories is no usage over time, and no source has it.
        defined = {one.resource for one in self._sources if one.resource} | {STORAGE.name}
        for source in self._sources:
            of_source = {source.resource} if source.resource else set(resources) - defined
            if names := [name for name in resources if name in of_source]:
                yield source, names

    def _reaching(self, source: Source, over: timedelta, now: datetime) -> UsageSnapshot | None:
        """What is known of a source, if it goes back far enough."""
        sync = self._syncs.get(source.name)
        known = sync.snapshot if sync else None
        return known if known and known.reaches(over, now) else None

    def _readings(
        self,
        known: UsageSnapshot,
        users: Users,
        resources: Collection[str],
        over: timedelta,
        now: datetime,
    ) -> Mapping[str, Readings]:
        stale_after, problem = self.timing.stale_after, self._problems.get(known.source.name)
        return known.readings(users, resources, over, now, stale_after, problem)

    async def _ask(
        self,
        users: Users,
        source: Source,
        resources: Collection[str],
        over: timedelta,
        now: datetime,
    ) -> Mapping[str, Readings]:
        """Readings by a query about just these users."""
        steps = StepRange(whole_step(now - over), whole_step(now))

        async def of_them() -> UsageSegment:
            read = await source.read(self._prometheus, users, steps)
            if users is not None and not read.usage.keys() <= set(users):
                raise BadAnswer("it is about other users than those who were asked about")
            return read

        part = await self._guarded(of_them, self.timing.deadline)
        if isinstance(part, Unknown):
            return _all_unknown(users, resources, part)
        known = UsageSnapshot.of(source, part)
        self._tell(known, now)
        return known.readings(users, resources, over, now, self.timing.stale_after)

    async def _guarded(self, step: Callable[[], Awaitable[T]], allowed: timedelta) -> T | Unknown:
        """The result of a step that asks Prometheus, or why there is none.

        Where many failed before it, it is not even tried for a while.
        """
        pause = self._breaker.remaining
        if pause and self._failure:
            again = f"it is not asked again for {show_duration(pause)}"
            return replace(self._failure, detail=f"{self._failure.detail}; {again}")
        try:
            async with asyncio.timeout(allowed.total_seconds()):
                result = await step()
        except promql.InvalidText as error:
            return Unknown("bad_username", str(error))
        except UsageUnknown as error:
            asked = "Prometheus: " if isinstance(error, PrometheusError) else ""
            unknown = Unknown(error.reason, f"{asked}{error}")
            if not error.counts_against_prometheus:
                return unknown
            self._failure = unknown
        except TimeoutError:
            detail = f"Prometheus: no answer within {show_duration(allowed)}"
            self._failure = Unknown("timeout", detail)
        else:
            self._breaker.succeeded()
            return result
        self._breaker.failed()
        return self._failure

    def _tell(self, known: UsageSnapshot, now: datetime) -> None:
        """Tell how far usage is known, if it is known well enough to decide on."""
        last = known.coverage.last_scrape
        if last is not None and now.timestamp() - last <= self.timing.stale_after.total_seconds():
            self._events.covered(datetime.fromtimestamp(last, UTC))

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
        while True:
            until = self._clock() + self.timing.refresh_every
            await self.refresh(reach)
            await tell()
            more = True
            while more and self._clock() < until:
                more = await self.extend()
            pause = max(until - self._clock(), self._breaker.remaining)
            await asyncio.sleep(max(pause.total_seconds(), 0.0))

    async def refresh(self, reach: timedelta) -> None:
        """Learn what is new of all sources. Never raises: a failure is told, and is in readings
        once they are stale.
        """
        async with self._refreshing:
            self._syncs = self._syncs or {
                source.name: self._sync_of(source, reach) for source in self._sources
            }
            for sync in self._syncs.values():
                name = sync.source.name
                self._problems[name] = await self._attempt(name, sync.refresh)
                if sync.snapshot:
                    self._tell(sync.snapshot, self._clock())
            if self.homes and self.homes.storage.kept:
                await self._refresh_homes(self.homes)

    async def _refresh_homes(self, homes: HomeMeter) -> None:
        bug: Exception | None = None
        try:
            failure = await homes.refresh(self._clock(), self.timing.refresh_deadline)
        except Exception as error:
            failure, bug = _internal(error), error
        self._events.refreshed(Refresh("home storage", failure, bug, over_time=False))

    async def extend(self) -> bool:
        """Read one more piece of the history; False when there is none to read, or it failed."""
        async with self._refreshing:
            for sync in self._syncs.values():
                if sync.snapshot and not sync.complete(self._clock()):
                    failure = await self._attempt(sync.source.name, sync.extend)
                    return failure is None
        return False

    async def _attempt(
        self, source: str, step: Callable[[datetime], Awaitable[None]]
    ) -> Unknown | None:
        bug: Exception | None = None
        try:
            failure = await self._guarded(lambda: step(self._clock()), self.timing.refresh_deadline)
        except Exception as error:
            # Whatever it is: who keeps the meter must go on keeping it.
            failure, bug = _internal(error), error
        self._events.refreshed(Refresh(source, failure, bug))
        return failure

    def _sync_of(self, source: Source, reach: timedelta) -> SourceSync:
        return SourceSync(
            self._prometheus,
            source,
            reach,
            late=self.timing.late,
            max_gap=self.timing.max_gap,
            interval=self.timing.interval,
        )


def _internal(error: Exception) -> Unknown:
    """What a bug of ours means for readings."""
    return Unknown("internal_error", f"{type(error).__name__}: {error}")


def _all_unknown(users: Users, resources: Collection[str], why: Unknown) -> Mapping[str, Readings]:
    return {user: dict.fromkeys(resources, why) for user in ([REST] if users is None else users)}


def _together(parts: Sequence[Mapping[str, Readings]]) -> Mapping[str, Readings]:
    """Readings of several sources as one; who is not in one of them used nothing of it."""
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
