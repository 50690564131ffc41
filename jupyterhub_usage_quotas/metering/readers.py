"""Readers: each takes readings of one source, from its snapshot or by a query about some users.

A usage reader knows all users at once, a gauge reader only users who are named; otherwise both are
alike for the meter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ..errors import BadAnswer
from ..quotas.charge import Readings
from ..quotas.subject import REST
from ..quotas.usage import NOT_READ_YET, Fresh, Reading, Stale, Unknown
from ..quotas.windows.gauge import GaugeReading
from .client.breaker import Guard
from .client.prometheus import PrometheusClient
from .client.promql import Users
from .events import NO_EVENTS, MeterEvents
from .snapshot import UsageSnapshot
from .sources.base import GaugeSource, GaugeValue, Source, StepRange, UsageSegment, whole_step
from .sync import SourceSync


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


USUAL = Timing()


class Reader(Protocol):
    """What the meter needs of a source, of either kind."""

    problem: Unknown | None
    """Why the last refresh failed; None when it did not."""

    @property
    def name(self) -> str:
        """What an admin calls the source."""
        ...

    @property
    def resource(self) -> str:
        """The one resource that it has; empty where it has what servers ask for."""
        ...

    @property
    def over_time(self) -> bool:
        """Whether it has usage over time, of everybody; else it is a gauge."""
        ...

    def reaches(self, over: timedelta, now: datetime) -> bool:
        """Whether enough is known for readings without a query."""
        ...

    def peek(
        self, users: Users, resources: Collection[str], over: timedelta, now: datetime
    ) -> Mapping[str, Readings]:
        """Readings of what is known; Unknown where that is not enough."""
        ...

    async def ask(
        self, users: Users, resources: Collection[str], over: timedelta, now: datetime
    ) -> Mapping[str, Readings]:
        """Readings by a query about these users."""
        ...

    async def refresh(self, reach: timedelta, now: datetime) -> None:
        """Read what is new. Raises `UsageUnknown`."""
        ...

    async def extend(self, now: datetime) -> None:
        """Read one more piece of what came before what is known. Raises `UsageUnknown`."""
        ...

    def complete(self, now: datetime) -> bool:
        """Whether there is nothing that came before to read."""
        ...


class UsageReader:
    """A source of usage."""

    over_time = True

    def __init__(
        self,
        prometheus: PrometheusClient,
        source: Source,
        guard: Guard,
        timing: Timing,
        events: MeterEvents = NO_EVENTS,
    ) -> None:
        self.source = source
        self.sync: SourceSync | None = None
        self.problem: Unknown | None = None
        self._prometheus = prometheus
        self._guard = guard
        self._timing = timing
        self._events = events

    @property
    def name(self) -> str:
        """See `Reader.name`."""
        return self.source.name

    @property
    def resource(self) -> str:
        """See `Reader.resource`."""
        return self.source.resource

    @property
    def snapshot(self) -> UsageSnapshot | None:
        """What is known as of the last refresh."""
        return self.sync.snapshot if self.sync else None

    def reaches(self, over: timedelta, now: datetime) -> bool:
        """See `Reader.reaches`."""
        return self.snapshot is not None and self.snapshot.reaches(over, now)

    def peek(
        self, users: Users, resources: Collection[str], over: timedelta, now: datetime
    ) -> Mapping[str, Readings]:
        """See `Reader.peek`."""
        snapshot, stale_after = self.snapshot, self._timing.stale_after
        if snapshot and self.reaches(over, now):
            return snapshot.readings(users, resources, over, now, stale_after, self.problem)
        not_yet = Unknown(NOT_READ_YET, "the history is still being read")
        return all_unknown(users, resources, self.problem or not_yet)

    async def ask(
        self, users: Users, resources: Collection[str], over: timedelta, now: datetime
    ) -> Mapping[str, Readings]:
        """See `Reader.ask`."""
        steps = StepRange(whole_step(now - over), whole_step(now))

        async def of_them() -> UsageSegment:
            read = await self.source.read(self._prometheus, users, steps)
            if users is not None and not read.usage.keys() <= set(users):
                raise BadAnswer("it has users other than those in the query")
            return read

        segment = await self._guard(of_them, self._timing.deadline)
        if isinstance(segment, Unknown):
            return all_unknown(users, resources, segment)
        snapshot = UsageSnapshot.of(self.source, segment)
        self._report(snapshot, now)
        return snapshot.readings(users, resources, over, now, self._timing.stale_after)

    async def refresh(self, reach: timedelta, now: datetime) -> None:
        """See `Reader.refresh`."""
        self.sync = self.sync or SourceSync(
            self._prometheus,
            self.source,
            reach,
            late=self._timing.late,
            max_gap=self._timing.max_gap,
            interval=self._timing.interval,
        )
        try:
            await self.sync.refresh(now)
        finally:
            if self.sync.snapshot:
                self._report(self.sync.snapshot, now)

    async def extend(self, now: datetime) -> None:
        """See `Reader.extend`."""
        if self.sync:
            await self.sync.extend(now)

    def complete(self, now: datetime) -> bool:
        """See `Reader.complete`."""
        return self.sync is not None and self.sync.complete(now)

    def _report(self, snapshot: UsageSnapshot, now: datetime) -> None:
        """Report how far usage is known, if it is known well enough to decide on."""
        last = snapshot.coverage.last_scrape
        if last is not None and now.timestamp() - last <= self._timing.stale_after.total_seconds():
            self._events.covered(datetime.fromtimestamp(last, UTC))


class GaugeReader:
    """A gauge. It is `kept` up to date, or queried when it is needed."""

    over_time = False

    def __init__(
        self,
        prometheus: PrometheusClient,
        source: GaugeSource,
        guard: Guard,
        timing: Timing,
        *,
        kept: bool = True,
    ) -> None:
        self.source = source
        self.problem: Unknown | None = None
        self.values: Mapping[str, GaugeValue] | None = None
        """The last values, by key; None where they were never read."""
        self.kept = kept
        self._prometheus = prometheus
        self._guard = guard
        self._timing = timing

    @property
    def name(self) -> str:
        """See `Reader.name`."""
        return self.source.name

    @property
    def resource(self) -> str:
        """See `Reader.resource`."""
        return self.source.resource

    def unmatched(self, users: Iterable[str]) -> Collection[str]:
        """The keys that match none of these users."""
        left = set(self.values or ())
        for user in users:
            with suppress(UnicodeError):
                left.discard(self.source.key_of(user))
        return left

    def reaches(self, over: timedelta, now: datetime) -> bool:  # noqa: ARG002 it has no history
        """See `Reader.reaches`."""
        return self.values is not None

    def peek(
        self,
        users: Users,
        resources: Collection[str],
        over: timedelta,  # noqa: ARG002 it has no history
        now: datetime,
    ) -> Mapping[str, Readings]:
        """See `Reader.peek`; of users who are named only."""
        if self.values is None:
            not_yet = Unknown(NOT_READ_YET, f"{self.name} is still being read")
            return all_unknown(users or (), resources, self.problem or not_yet)
        return self._readings(self.values, users, now, self.problem)

    async def ask(
        self,
        users: Users,
        resources: Collection[str],
        over: timedelta,  # noqa: ARG002 it has no history
        now: datetime,
    ) -> Mapping[str, Readings]:
        """See `Reader.ask`; of users who are named only."""
        values = await self._guard(lambda: self._read(now), self._timing.deadline)
        if isinstance(values, Unknown):
            return all_unknown(users or (), resources, values)
        return self._readings(values, users, now, None)

    async def refresh(self, reach: timedelta, now: datetime) -> None:  # noqa: ARG002 see `reaches`
        """See `Reader.refresh`; what was known stays known if that fails."""
        values = await self._read(now)
        # What was reported and is not any more is not known, rather than not there.
        self.values = values if values or not self.values else self.values

    async def extend(self, now: datetime) -> None:
        """See `Reader.extend`: nothing came before."""

    def complete(self, now: datetime) -> bool:  # noqa: ARG002 see `extend`
        """See `Reader.complete`."""
        return True

    async def _read(self, now: datetime) -> Mapping[str, GaugeValue]:
        return await self.source.read(self._prometheus, now, self._timing.stale_after)

    def _readings(
        self,
        values: Mapping[str, GaugeValue],
        users: Users,
        now: datetime,
        problem: Unknown | None,
    ) -> Mapping[str, Readings]:
        return {
            user: {self.resource: self._reading(values, user, now, problem)} for user in users or ()
        }

    def _reading(
        self, values: Mapping[str, GaugeValue], user: str, now: datetime, problem: Unknown | None
    ) -> Reading:
        """A user's reading: of a `GaugeReading`, or Unknown.

        A key that is not there is empty where its exporter is known to be scraped, else Unknown.
        `problem` is why nothing newer is known, where that has a reason.
        """
        try:
            key = self.source.key_of(user)
        except UnicodeError:
            return Unknown("bad_username", f"{user!r} is not valid Unicode text")
        if not values:
            return problem or Unknown("not_scraped", self.source.missing)
        value = values.get(key)
        last = max(one.measured for one in values.values())
        measured = datetime.fromtimestamp(value.measured if value else last, UTC)
        there = (
            GaugeReading((), measured, None, amount=value.amount, limit=value.limit)
            if value
            else GaugeReading((), measured, None, there=False)
        )
        if now - measured <= self._timing.stale_after:
            return Fresh(there)
        if problem:
            return Stale(there, problem.reason, problem.detail)
        detail = f"{self.name} was last scraped at {measured:%Y-%m-%d %H:%M} UTC"
        return Stale(there, "stale", detail)


def all_unknown(users: Users, resources: Collection[str], why: Unknown) -> Mapping[str, Readings]:
    """Readings of users (None for those of everybody) that are not known for the same reason."""
    return {user: dict.fromkeys(resources, why) for user in ([REST] if users is None else users)}
