"""Readers: each takes readings of one source, from its snapshot or by a query about some users.

A usage reader knows all users at once, a gauge reader (`gauge_reader`) only users who are named;
otherwise both are alike for the meter.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ..conventions import Reason
from ..errors import BadAnswer, QueryRejected
from ..quotas.charge import Readings
from ..quotas.subject import REST
from ..quotas.usage import Fresh, Stale, Unknown
from .client.breaker import Guard
from .client.promql import InvalidText, Users, quote
from .client.worker import run_in_worker
from .events import NO_EVENTS, MeterEvents
from .snapshot import UsageSnapshot
from .sources.base import Source, StepRange, whole_step
from .sync import LONGEST, SourceSync, whole_length
from .together import Together


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

CONFIRMED_OVER = timedelta(minutes=30)
"""How much of what was known before this process is compared with what the source says now."""


class Reader(Protocol):
    """What the meter needs of a source, of either kind."""

    problem: Unknown | None
    """Why the last refresh failed; None when it did not."""
    guard: Guard
    """Runs every step that reads the source."""

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

    def is_fresh(self, over: timedelta, now: datetime) -> bool:
        """Whether enough is known, and it is new enough to decide on."""
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
        source: Source,
        guard: Guard,
        timing: Timing,
        events: MeterEvents = NO_EVENTS,
    ) -> None:
        self.source = source
        self.sync: SourceSync | None = None
        self.problem: Unknown | None = None
        self.restored: UsageSnapshot | None = None
        """What was known before this process, until the first refresh."""
        self.guard = guard
        self._timing = timing
        self._events = events
        self._together = Together(self._ask)
        self._at_once: timedelta | None = None
        """The longest time that the store answers about at once; None where none was too long."""

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

    def is_fresh(self, over: timedelta, now: datetime) -> bool:
        """See `Reader.is_fresh`."""
        last = self.snapshot.coverage.last_scrape if self.snapshot else None
        if last is None or not self.reaches(over, now):
            return False
        age = timedelta(seconds=now.timestamp() - last)
        return age <= self._timing.stale_after and age < over

    def kind_of_readings(self, over: timedelta, now: datetime) -> object:
        """Of which kind readings are, to be compared; those of single users may be unknown."""
        snapshot = self.snapshot
        if snapshot is None or not self.reaches(over, now):
            return None
        last = snapshot.coverage.last_scrape
        if last is None or last <= max(
            now.timestamp() - over.total_seconds(), snapshot.coverage.start
        ):
            return False
        stale_after = self._timing.stale_after.total_seconds()
        return Fresh if now.timestamp() - last <= stale_after else Stale

    def peek(
        self, users: Users, resources: Collection[str], over: timedelta, now: datetime
    ) -> Mapping[str, Readings]:
        """See `Reader.peek`."""
        snapshot, stale_after = self.snapshot, self._timing.stale_after
        if snapshot and self.reaches(over, now):
            return snapshot.readings(users, resources, over, now, stale_after, self.problem)
        not_yet = Unknown(Reason.NOT_READ_YET, "the history is still being read")
        return all_unknown(users, resources, self.problem or not_yet)

    async def ask(
        self, users: Users, resources: Collection[str], over: timedelta, now: datetime
    ) -> Mapping[str, Readings]:
        """See `Reader.ask`; together with all who ask while another query is under way."""
        wrong = {user: why for user in users or () if (why := _not_to_be_asked(user))}
        if users is None:
            snapshot = await self._ask(None, over, now)
        elif asked := frozenset(users) - wrong.keys():
            snapshot = await self._together(asked, over, now)
        else:
            return {user: dict.fromkeys(resources, why) for user, why in wrong.items()}
        those: Users = None if users is None else [one for one in users if one not in wrong]
        if isinstance(snapshot, Unknown):
            readings = all_unknown(those, resources, snapshot)
        else:
            self._report(snapshot, now)
            stale_after = self._timing.stale_after
            readings = snapshot.readings(those, resources, over, now, stale_after)
        return {**readings, **{user: dict.fromkeys(resources, why) for user, why in wrong.items()}}

    async def _ask(self, users: Users, over: timedelta, now: datetime) -> UsageSnapshot | Unknown:
        async def of_them() -> UsageSnapshot:
            read = await self._read(users, over, now)
            if users is not None and not read.usage.keys() <= set(users):
                raise BadAnswer("it has users other than those in the query")
            return read

        return await self.guard(of_them, self._timing.deadline)

    async def _read(self, users: Users, over: timedelta, now: datetime) -> UsageSnapshot:
        """Read usage at once, or in pieces where the store refuses to answer about so long a time:
        how long they may be is found out once.
        """
        refused: QueryRejected | None = None
        if self._at_once is None or over <= self._at_once:
            steps = StepRange(whole_step(now - over), self.source.until(now))
            try:
                read = await self.source.read(users, steps)
                return UsageSnapshot.of(self.source, read)
            except QueryRejected as error:
                refused = error
        longest = min(self._at_once or over, over)
        sync = self._make_sync(over, users, whole_length(longest / 2) if refused else longest)
        snapshot = await sync.read_all(now)
        if snapshot is None:
            raise refused or QueryRejected("no piece of the history was answered")
        self._at_once = sync.longest
        return snapshot

    def _make_sync(
        self,
        reach: timedelta,
        users: Users = None,
        longest: timedelta = LONGEST,
        restored: UsageSnapshot | None = None,
    ) -> SourceSync:
        return SourceSync(
            self.source,
            reach,
            late=self._timing.late,
            max_gap=self._timing.max_gap,
            interval=self._timing.interval,
            users=users,
            longest=longest,
            restored=restored,
        )

    async def refresh(self, reach: timedelta, now: datetime) -> None:
        """See `Reader.refresh`."""
        if self.sync is None:
            self.sync = self._make_sync(reach, restored=await self._still_valid(now))
            self.restored = None
        try:
            await self.sync.refresh(now)
        finally:
            if self.sync.snapshot:
                self._report(self.sync.snapshot, now)

    def take(self, snapshot: UsageSnapshot, reach: timedelta, now: datetime) -> None:
        """Know what another process knows, who keeps it up to date."""
        self.sync = self._make_sync(reach)
        self.sync.snapshot = snapshot
        self.restored = self.problem = None
        self._report(snapshot, now)

    async def _still_valid(self, now: datetime) -> UsageSnapshot | None:
        """What was known before this process, if that can be gone on with."""
        if self.restored is None:
            return None
        if self.restored.end > now:
            self._events.not_restored("it knows of a time to come: was the clock put back?")
            return None
        if not await self._is_confirmed(self.restored):
            self._events.not_restored(f"{self.name} says otherwise now")
            return None
        return self.restored

    async def _is_confirmed(self, restored: UsageSnapshot) -> bool:
        """Whether the source still says of some of the time what it said before this process: of
        the last in which anything was used and that is not read again anyway. Where it was not seen
        it says nothing.
        """
        gap = self._timing.max_gap
        until = whole_step(restored.end - self._timing.late)
        if last_used := await run_in_worker(restored.last_used):
            until = min(until, whole_step(last_used + gap))
        read = await self._make_sync(CONFIRMED_OVER + 2 * gap).read_all(until)
        if read is None:
            return True
        # At either end gaps may be bridged by what is not part of the answer.
        start, end = ((one - gap).timestamp() for one in (until - CONFIRMED_OVER, read.end))
        if start >= end or any(one.coverage.missed(start, end) for one in (read, restored)):
            return True
        now, before = [await run_in_worker(one.amounts, start, end) for one in (read, restored)]
        return all(
            math.isclose(now.get(at, 0.0), before.get(at, 0.0), rel_tol=1e-6)
            for at in {**now, **before}
        )

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


def all_unknown(users: Users, resources: Collection[str], why: Unknown) -> Mapping[str, Readings]:
    """Readings of users (None for those of everybody) that are not known for the same reason."""
    return {user: dict.fromkeys(resources, why) for user in ([REST] if users is None else users)}


def _not_to_be_asked(user: str) -> Unknown | None:
    """Why nothing can be asked about a user: the name is nothing that a label can hold."""
    try:
        quote(user)
    except InvalidText as error:
        return Unknown(Reason.BAD_USERNAME, str(error))
    return None
