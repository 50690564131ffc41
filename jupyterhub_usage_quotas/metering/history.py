"""Keeping what is known of one source up to date: what is new, again and again, and once what
came before.

Pieces begin and end at instants at which the source was seen, so that a server which was there on
both sides of a short gap is seen to have been by one of them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ..errors import PrometheusError
from .aside import aside
from .knowledge import Knowledge
from .prometheus import PrometheusClient
from .sources import STEP, Grid, Part, Source, whole_step

SAMPLES = 20_000
"""How many samples an answer should have: few enough to be read in some milliseconds."""

SHORTEST, FIRST, LONGEST = timedelta(minutes=20), timedelta(hours=1), timedelta(days=1)
"""How long pieces may be; the shortest is longer than any gap that is bridged."""

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
        self._length = FIRST

    def complete(self, now: datetime) -> bool:
        """Whether the whole of the reach is known."""
        return self.known is not None and self.known.reaches(self._reach, now)

    async def refresh(self, now: datetime) -> None:
        """Read what is new, and the end of what was known again. Raises `PrometheusError`."""
        end = whole_step(now)
        if self.known is None:
            part = await self._read(Grid(end - self._length, end))
            self.known = Knowledge.of(self.source, self._from_seen(part))
            return
        keep = (end - self._reach).timestamp()
        while (start := self._resume(self.known)) < end:
            grid = Grid(start, min(end, start + LONGEST))
            part = await self._read(grid)
            self.known = await aside(self.known.updated, part, keep=keep, newest=grid.end == end)
            if grid.end == end:
                break
        if self.known.seen.start < keep - FORGET_EVERY.total_seconds():
            self.known = await aside(self.known.forgetting, keep)

    async def extend(self, now: datetime) -> None:
        """Read one more piece of what came before what is known. Raises `PrometheusError`."""
        if self.known is None or self.complete(now):
            return
        end = self.known.start
        start = max(end - self._length, whole_step(now) - self._reach)
        part = await self._read(Grid(start, end))
        self.known = await aside(self.known.extended, self._from_seen(part))

    def _resume(self, known: Knowledge) -> datetime:
        """From where on to read again what may have changed."""
        interval = self._interval or known.seen.interval or 0.0
        late = max(self._late.total_seconds(), 2 * interval)
        at = max(known.seen.end - late, known.seen.start)
        gap = known.seen.gap_at(at)
        if gap and at - gap[0] <= self._max_gap.total_seconds():
            at = gap[0]
        return whole_step(datetime.fromtimestamp(at, UTC))

    def _from_seen(self, part: Part) -> Part:
        """The part without a short gap that it begins with: the piece before it bridges that."""
        step = STEP.total_seconds()
        gap = part.seen.gap_at(part.seen.start)
        if gap is None or gap[1] - gap[0] > self._max_gap.total_seconds():
            return part
        return part.since(gap[1] + step)

    async def _read(self, grid: Grid) -> Part:
        try:
            part = await self.source.read(self._prometheus, None, grid)
        except PrometheusError:
            self._length = max(self._length / 2, SHORTEST)
            raise
        share = max(part.samples, 1) / SAMPLES
        length = (grid.end - grid.start) * min(max(1 / share, 0.5), 2.0)
        self._length = whole_length(min(max(length, SHORTEST), LONGEST))
        return part


def whole_length(length: timedelta) -> timedelta:
    """A length in whole steps."""
    return STEP * (length // STEP)
