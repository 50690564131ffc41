"""Keeping what is known of one source up to date: what is new, again and again, and once what
came before.

Pieces begin and end at instants at which the source was seen, so that a server which was there on
both sides of a short gap is seen to have been by one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ..errors import PrometheusError, PrometheusTimeout, PrometheusUnavailable, QueryRejected
from .client.prometheus import PrometheusClient
from .client.worker import aside, let_go
from .snapshot import Knowledge
from .sources.base import STEP, Grid, Part, Source, whole_step

SAMPLES = 20_000
"""How many samples an answer should have: few enough to be read in some milliseconds."""

SHORTEST, FIRST, LONGEST = timedelta(minutes=20), timedelta(hours=1), timedelta(days=1)
"""How long pieces may be; the shortest is longer than any gap that is bridged."""

GROWTH = 1.05
"""By how much pieces may become longer again, with each, after one was too much."""

FORGET_EVERY = timedelta(hours=1)


class History:
    """Everybody's usage from one source, over `reach` before now.

    `late` is how long after their time samples may still come; `interval` the distance of scrapes
    in seconds, if it is not to be found out. `known` is replaced as a whole, never changed.
    """

    def __init__(
        self,
        prometheus: PrometheusClient,
        source: Source,
        reach: timedelta,
        *,
        late: timedelta,
        max_gap: timedelta,
        interval: float | None = None,
    ) -> None:
        self.source = source
        self.known: Knowledge | None = None
        self._prometheus = prometheus
        self._reach = reach
        self._late = late
        self._max_gap = max_gap
        self._interval = interval
        self._length, self._longest = FIRST, LONGEST
        self._forgot: datetime | None = None

    def complete(self, now: datetime) -> bool:
        """Whether the whole of the reach is known."""
        return self.known is not None and self.known.reaches(self._reach, now)

    async def refresh(self, now: datetime) -> None:
        """Read what is new, and the end of what was known again. Raises `PrometheusError`."""
        end = whole_step(now)
        first = end - self._reach
        known = self.known
        if known is None or known.end <= first or known.seen.last_scrape is None:
            _, part = await self._read_some(lambda length: Grid(end - length, end))
            # A source that was never seen may have been there: what tells of it was not.
            if known is None or part.seen.last_scrape is not None:
                self.known = Knowledge.of(self.source, self._from_seen(part, first))
            return
        keep = first.timestamp()
        start = self._resume(known, end)
        # After a long outage there is more than one piece to catch up with.
        while start < end:
            grid, read = await self._read_on(start, end)
            newest = grid.end == end
            if new := self._without_lost(known, read, newest=newest):
                known = await aside(known.updated, new, keep=keep, newest=newest)
            spent = [self.known, read, new]
            self.known = known
            del read, new
            await let_go(spent)
            start = end if newest else self._after(known, grid)
        self._forgot = self._forgot or now
        if now - self._forgot >= FORGET_EVERY:
            self._forgot = now
            self.known = await aside(known.forgetting, keep)

    async def extend(self, now: datetime) -> None:
        """Read one more piece of what came before what is known. Raises `PrometheusError`."""
        if self.known is None or self.complete(now):
            return
        end, first = self.known.start, whole_step(now) - self._reach
        _, part = await self._read_some(lambda length: Grid(max(end - length, first), end))
        self.known = await aside(self.known.extended, self._from_seen(part, first))

    def _resume(self, known: Knowledge, end: datetime) -> datetime:
        """From where on to read again what may have changed."""
        interval = self._interval or known.seen.interval or 0.0
        late = max(self._late.total_seconds(), 2 * interval)
        at = max(known.seen.end - late, known.seen.start)
        if gap := known.seen.gap_at(at):
            if gap[1] >= known.seen.end:
                # All that was missing may come together, once what was broken is well again.
                at = max(gap[0], min((end - LONGEST).timestamp(), known.seen.end))
            elif at - gap[0] <= self._max_gap.total_seconds():
                at = gap[0]
        return whole_step(datetime.fromtimestamp(at, UTC))

    def _after(self, known: Knowledge, grid: Grid) -> datetime:
        """From where on to read after this piece."""
        at = grid.end.timestamp()
        gap = known.seen.gap_at(at)
        if gap and at - gap[0] <= self._max_gap.total_seconds():
            at = max(gap[0], (grid.start + STEP).timestamp())
        return whole_step(datetime.fromtimestamp(at, UTC))

    def _from_seen(self, part: Part, first: datetime) -> Part:
        """The part from the first instant on at which the source was seen, unless it begins with a
        long gap: the piece before it bridges a short one, if there is one, because this does not
        begin at the `first` instant of all. (A gap may also end just where the part begins.)
        """
        step, begin = STEP.total_seconds(), part.seen.start
        gap = part.seen.gap_at(begin) or (begin, begin)
        last = begin <= first.timestamp() or gap[1] + step >= part.seen.end
        if last or gap[1] - gap[0] > self._max_gap.total_seconds():
            return part
        return part.since(gap[1] + step)

    @staticmethod
    def _without_lost(known: Knowledge, part: Part, *, newest: bool) -> Part | None:
        """The part without the beginning that Prometheus shows no more, though it did: what is
        known of it stays. It may have been started anew without its data, or be told only half of
        it by its stores. None where it shows nothing at all yet.
        """
        gap, start, end = part.seen.gap_at(part.seen.start), part.seen.start, known.seen.end
        lost = min(gap[1], end) if gap else start
        if known.seen.missed(start, lost) >= lost - start:
            return part
        if gap and gap[1] >= part.seen.end and newest:
            return None
        return part.since(lost)

    async def _read_on(self, start: datetime, end: datetime) -> tuple[Grid, Part]:
        return await self._read_some(lambda length: Grid(start, min(end, start + length)))

    async def _read_some(self, grid_of: Callable[[timedelta], Grid]) -> tuple[Grid, Part]:
        """Read a piece, and which it was: a shorter one where it may have been too much at once."""
        while True:
            grid = grid_of(self._length)
            try:
                return grid, await self._read(grid)
            except (QueryRejected, PrometheusTimeout, PrometheusUnavailable):
                if grid == grid_of(self._length):
                    raise

    async def _read(self, grid: Grid) -> Part:
        length = grid.end - grid.start
        try:
            part = await self.source.read(self._prometheus, None, grid)
        except (PrometheusError, asyncio.CancelledError):
            if length > SHORTEST:
                # It may have been too much. As much is not tried again soon.
                self._length = self._longest = max(whole_length(length / 2), SHORTEST)
            raise
        self._longest = min(whole_length(self._longest * GROWTH), LONGEST)
        # A short piece does not show that a longer one is not too much.
        most = 2 * self._length if 2 * length >= self._length else self._length
        fitting = min(length * (SAMPLES / max(part.samples, 1)), most)
        self._length = whole_length(min(max(fitting, SHORTEST), self._longest))
        return part


def whole_length(length: timedelta) -> timedelta:
    """A length in whole steps."""
    return STEP * (length // STEP)
