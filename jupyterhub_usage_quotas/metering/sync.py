"""Keeping the usage snapshot of one source up to date: new usage at every refresh, and the history
once.

Pieces begin and end at instants at which the source was seen, so that a server which was there on
both sides of a short gap is seen to have been by one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ..errors import PrometheusTimeout, PrometheusUnavailable, QueryRejected, UsageUnknown
from .client.promql import Users
from .client.worker import free_in_worker, run_in_worker
from .coverage import never_covered
from .snapshot import UsageSnapshot
from .sources.base import STEP, Source, StepRange, UsageSegment, whole_step

SAMPLES = 500_000
"""How many samples an answer should have: some ten megabytes, which take a store and the worker
thread some tenths of a second.
"""

SHORTEST, FIRST, LONGEST = timedelta(minutes=20), timedelta(hours=1), timedelta(hours=160)
"""How long pieces may be; the shortest is longer than any gap that is bridged. Within the longest,
every minute is still looked at for whether the source was seen.
"""

AGAIN = timedelta(days=2)
"""How much of a gap that lasts is read again each time."""

GROWTH_AT_FIRST = 2
"""The factor by which the next piece may be longer than one that was answered."""

GROWTH = 1.05
"""The factor by which pieces may become longer again, each time, after one was too much."""

FORGET_EVERY = timedelta(hours=1)


class SourceSync:
    """Reads one source incrementally: usage over `reach` before now, everybody's or that of some
    users. No piece is longer than `longest`.

    `late` is how long after their time samples may still come; `interval` the distance of scrapes
    in seconds, if it is not to be found out. `snapshot` is replaced as a whole, never changed.
    `restored` is what to go on with: it may be old, so it is brought up to date before it is shown.
    """

    def __init__(
        self,
        source: Source,
        reach: timedelta,
        *,
        late: timedelta,
        max_gap: timedelta,
        interval: float | None = None,
        users: Users = None,
        longest: timedelta = LONGEST,
        restored: UsageSnapshot | None = None,
    ) -> None:
        self.source = source
        self._restored = restored
        self.snapshot: UsageSnapshot | None = None
        self._reach = reach
        self._late = late
        self._max_gap = max_gap
        self._interval = interval
        self._users, self._bound = users, longest
        self._length, self._longest = min(FIRST, longest), longest
        self._forgot: datetime | None = None
        self._unseen = 0
        """How many pieces, one before the other, the source was not seen in at all."""

    def complete(self, now: datetime) -> bool:
        """Whether the whole of the reach is known."""
        return self.snapshot is not None and self.snapshot.reaches(self._reach, now)

    @property
    def longest(self) -> timedelta:
        """How long a piece may be, as far as was found out."""
        return self._longest

    async def read_all(self, now: datetime) -> UsageSnapshot | None:
        """Read the whole of the reach, in as few pieces as the store answers to. Raises
        `UsageUnknown`.
        """
        # A short piece first: what is refused for another reason than its length is refused soon.
        await self.refresh(now)
        while not self.complete(now):
            self._length = self._longest
            await self.extend(now)
        return self.snapshot

    async def refresh(self, now: datetime) -> None:
        """Read what is new, and the end of what was known again. Raises `UsageUnknown`."""
        end = self.source.until(now)
        first = whole_step(end) - self._reach
        snapshot = self.snapshot or self._restored
        if snapshot is None or snapshot.end <= first or snapshot.coverage.last_scrape is None:
            _, segment = await self._read_some(lambda length: StepRange(end - length, end))
            # A source that was never seen may have been there: only its evidence was missing.
            if self.snapshot is None or segment.coverage.last_scrape is not None:
                self._restored = None
                self.snapshot = UsageSnapshot.of(self.source, self._from_seen(segment, first))
            return
        keep = first.timestamp()
        start = self._resume(snapshot, end)
        # After a long outage there is more than one piece to catch up with.
        while start < end:
            steps, read = await self._read_on(start, end)
            newest = steps.end == end
            if new := self._without_lost(snapshot, read, newest=newest):
                snapshot = await run_in_worker(snapshot.updated, new, keep=keep, newest=newest)
            spent: list[object] = [self.snapshot or self._restored, read, new]
            if self._restored is None or newest:
                self.snapshot, self._restored = snapshot, None
            else:
                self._restored = snapshot
            del read, new
            await free_in_worker(spent)
            start = end if newest else self._after(snapshot, steps)
        self._forgot = self._forgot or now
        if now - self._forgot >= FORGET_EVERY:
            self._forgot = now
            self.snapshot = await run_in_worker(snapshot.forgetting, keep)

    async def extend(self, now: datetime) -> None:
        """Read one more piece of what came before what is known. Raises `UsageUnknown`."""
        if self.snapshot is None or self.complete(now):
            return
        end, first = self.snapshot.start, whole_step(now) - self._reach
        segment = None
        if self._unseen == 1:
            missing = self.snapshot.coverage.missing
            segment = await self._nothing_before(StepRange(first, end), missing)
        if segment is None:
            _, segment = await self._read_some(
                lambda length: StepRange(max(end - length, first), end)
            )
        span = segment.coverage.start, segment.coverage.end
        seen = segment.coverage.missed(*span) < span[1] - span[0]
        self._unseen = 0 if seen else self._unseen + 1
        self.snapshot = await run_in_worker(self.snapshot.extended, self._from_seen(segment, first))

    async def _nothing_before(self, steps: StepRange, missing: str) -> UsageSegment | None:
        """All that is left of the history as one piece, if the source was never seen in it: most
        stores are younger than the longest window. None where it was, or where that is not known.
        """
        try:
            if await self.source.was_there(steps):
                return None
        except UsageUnknown:
            return None  # a store may refuse so long a range; in pieces it is read all the same
        return UsageSegment({}, never_covered(*steps.span, missing))

    def _resume(self, snapshot: UsageSnapshot, end: datetime) -> datetime:
        """From where on to read again what may have changed."""
        interval = self._interval or snapshot.coverage.interval or 0.0
        late = max(self._late.total_seconds(), 2 * interval)
        at = max(snapshot.coverage.end - late, snapshot.coverage.start)
        if gap := snapshot.coverage.gap_at(at):
            if gap[1] >= snapshot.coverage.end:
                # All that was missing may come together, once what was broken is well again.
                at = max(gap[0], min((end - AGAIN).timestamp(), snapshot.coverage.end))
            elif at - gap[0] <= self._max_gap.total_seconds():
                at = gap[0]
        return whole_step(datetime.fromtimestamp(at, UTC))

    def _after(self, snapshot: UsageSnapshot, steps: StepRange) -> datetime:
        """From where on to read after this piece."""
        at = steps.end.timestamp()
        gap = snapshot.coverage.gap_at(at)
        if gap and at - gap[0] <= self._max_gap.total_seconds():
            at = max(gap[0], (steps.start + STEP).timestamp())
        return whole_step(datetime.fromtimestamp(at, UTC))

    def _from_seen(self, segment: UsageSegment, first: datetime) -> UsageSegment:
        """The part from the first instant on at which the source was seen, unless it begins with a
        long gap: the piece before it bridges a short one, if there is one, because this does not
        begin at the `first` instant of all. (A gap may also end just where the part begins.)
        """
        step, begin = STEP.total_seconds(), segment.coverage.start
        gap = segment.coverage.gap_at(begin) or (begin, begin)
        last = begin <= first.timestamp() or gap[1] + step >= segment.coverage.end
        if last or gap[1] - gap[0] > self._max_gap.total_seconds():
            return segment
        return segment.since(gap[1] + step)

    @staticmethod
    def _without_lost(
        snapshot: UsageSnapshot, segment: UsageSegment, *, newest: bool
    ) -> UsageSegment | None:
        """The part without the beginning that Prometheus shows no more, though it did: what is
        known of it stays. It may have been restarted without its data, or got only half of it from
        its stores. None where it shows nothing at all yet.
        """
        start, end = segment.coverage.start, snapshot.coverage.end
        gap = segment.coverage.gap_at(start)
        lost = min(gap[1], end) if gap else start
        if snapshot.coverage.missed(start, lost) >= lost - start:
            return segment
        if gap and gap[1] >= segment.coverage.end and newest:
            return None
        return segment.since(lost)

    async def _read_on(self, start: datetime, end: datetime) -> tuple[StepRange, UsageSegment]:
        return await self._read_some(lambda length: StepRange(start, min(end, start + length)))

    async def _read_some(
        self, steps_of: Callable[[timedelta], StepRange]
    ) -> tuple[StepRange, UsageSegment]:
        """Read a piece, and which it was: a shorter one where it may have been too much at once."""
        while True:
            steps = steps_of(self._length)
            try:
                return steps, await self._read(steps)
            except (QueryRejected, PrometheusTimeout, PrometheusUnavailable):
                if steps == steps_of(self._length):
                    raise

    async def _read(self, steps: StepRange) -> UsageSegment:
        length = steps.end - steps.start
        try:
            segment = await self.source.read(self._users, steps)
        except (UsageUnknown, asyncio.CancelledError):
            if length > SHORTEST:
                # It may have been too much. As much is not tried again soon.
                self._length = self._longest = max(whole_length(length / 2), SHORTEST)
            raise
        self._longest = min(whole_length(self._longest * GROWTH), self._bound)
        # A short piece does not show that a longer one is not too much.
        most = GROWTH_AT_FIRST * self._length if 2 * length >= self._length else self._length
        fitting = min(length * (SAMPLES / max(segment.samples, 1)), most)
        self._length = whole_length(min(max(fitting, SHORTEST), self._longest))
        return segment


def whole_length(length: timedelta) -> timedelta:
    """A length in whole steps."""
    return STEP * (length // STEP)
