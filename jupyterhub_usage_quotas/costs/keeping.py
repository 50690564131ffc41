"""Keeping daily costs up to date: each source is asked for what is missing or an estimate.

What went wrong with one source is its state, and never reaches another.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..quotas.messages import said_by
from .cost_store import CostStore
from .sources.base import DAY, CostSource, CostsUnknown, Date, SourceState, days_between

AT_ONCE: Final = 92 * DAY
"""How many days a source is asked for at a time."""
LATELY: Final = 62 * DAY
AGAIN: Final = DAY
AGAIN_LATER: Final = 30 * DAY
"""How often final days are asked for again: those of the last two months, and older ones. Credits
and corrections come late.
"""
MOST_RESTATED: Final = 31
"""Restated days that are shown."""
LOG: Final = logging.getLogger("cost_monitor")


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How it is with a source: its state, why, since when it is asked, and which days it restated
    that were final.
    """

    state: SourceState = SourceState.NOT_ASKED
    detail: str = ""
    asked_at: datetime.datetime | None = None
    restated: Sequence[Date] = field(default_factory=tuple)


class CostKeeping:
    """Keeps the daily costs of sources, over so much time before now."""

    def __init__(
        self,
        store: CostStore,
        sources: Sequence[CostSource],
        *,
        reach: datetime.timedelta,
        every: datetime.timedelta,
        clock: Callable[[], datetime.datetime],
    ) -> None:
        self._store, self._reach, self._every, self._clock = store, reach, every, clock
        self.sources = sources
        self._states = {one.name: SourceStatus() for one in sources}

    @property
    def states(self) -> Mapping[str, SourceStatus]:
        """How it is with each source."""
        return dict(self._states)

    async def refresh(self) -> None:
        """Ask every source for what is due. Never raises: what failed is in `states`."""
        for source in self.sources:
            before = self._states[source.name]
            try:
                now = await self._refresh(source)
            except CostsUnknown as error:
                now = SourceStatus(error.state, str(error), self._clock(), before.restated)
            except Exception as error:
                # Whatever is wrong with one source, or with the database: the others are asked.
                what = said_by(error)
                now = SourceStatus(SourceState.FAILED, what, self._clock(), before.restated)
            if (now.state, now.detail) != (before.state, before.detail):
                _log(source.name, now)
            self._states[source.name] = now

    async def _refresh(self, source: CostSource) -> SourceStatus:
        before, now = self._states[source.name], self._clock()
        due = await self._due(source, now)
        if not due:
            return before if before.asked_at else SourceStatus(SourceState.OK, "", now)
        first, until = min(due), max(due) + DAY
        restated: list[Date] = []
        worst = SourceStatus(SourceState.OK)
        while until > first:
            # The newest days first: what was read is kept, whatever becomes of the rest.
            since = max(first, until - AT_ONCE)
            bill = await source.days(since, until)
            # Each at an instant of its own, by which others see that something was written.
            read_at = self._clock()
            restated += await self._store.write(source.name, bill.rows, bill.days, read_at)
            if worst.state is SourceState.OK:
                worst = SourceStatus(bill.state, bill.detail)
            until = since
        if restated:
            days = ", ".join(map(str, sorted(restated)))
            LOG.warning("Costs of final days were restated: %s: %s", source.name, days)
        known = (*before.restated, *sorted(restated))[-MOST_RESTATED:]
        return SourceStatus(worst.state, worst.detail, now, known)

    async def _due(self, source: CostSource, now: datetime.datetime) -> list[Date]:
        """The days to ask for: complete ones, in UTC as clouds count."""
        today = now.astimezone(datetime.UTC).date()
        days = days_between(today - self._reach, today)
        if not source.asks_little:
            return days
        kept = await self._store.days(source.name, days[0], today)

        def is_due(day: Date) -> bool:
            if day not in kept:
                return True
            again = AGAIN if day >= today - LATELY else AGAIN_LATER
            return kept[day].read_at <= now - (again if kept[day].final else self._every)

        return [day for day in days if is_due(day)]


def _log(name: str, status: SourceStatus) -> None:
    if status.state is SourceState.OK:
        LOG.info("Costs are known: %s", name)
    else:
        LOG.warning(
            "Costs are not known, or not all: %s: %s: %s", name, status.state, status.detail
        )
