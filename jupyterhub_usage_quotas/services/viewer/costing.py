"""Costs for the viewer's pages: months from the cost monitor's tables, kept for a while."""

from __future__ import annotations

import asyncio
import datetime
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ...config.costs import CostMonitor
from ...costs.cost_store import CostStore
from ...costs.groups import Memberships
from ...costs.known import Costs
from ...costs.monthly import OwnCosts, by_user
from ...costs.months import Span, newest_months
from ...costs.sources.base import Date
from ...costs.usage_store import UsageStore
from ...costs.values import Allocation
from ...errors import LedgerUnavailable
from ...ledger.sql.database import Database
from ...ledger.sql.url import parse_ledger_url
from ...quotas.subject import Subject

MONTHS_SHOWN: Final = 3
MONTHS_KEPT: Final = 13
"""As many as the page of costs offers."""
KEPT: Final = 60.0
"""Seconds for which it is not looked whether anything was written."""
AHEAD: Final = 60.0
"""Seconds between two times that the months which users see are worked out before they ask."""
PATIENCE: Final = 3.0
"""Seconds that a user's page waits for costs; it is shown without them then."""
LOG: Final = logging.getLogger("usage_viewer")


@dataclass(frozen=True, slots=True)
class KnownMonth:
    """What is known of a month: what became of the bill, what users cost, days not known."""

    span: Span
    totals: Sequence[Allocation]
    users: Mapping[str, Sequence[OwnCosts]]
    missing: Sequence[Date]


class ShownCosts:
    """Costs as the cost monitor keeps them, read and attributed as it does."""

    def __init__(self, monitor: CostMonitor, clock: Callable[[], float] = time.monotonic) -> None:
        self.hub = monitor.own_hub
        self._database = Database(parse_ledger_url(monitor.ledger_url))
        self._usage = UsageStore(self._database)
        sources, how = list(monitor.sources), monitor.attribution
        self._costs = Costs(CostStore(self._database), self._usage, sources, how)
        self._clock = clock
        self._months: dict[Span, tuple[float, KnownMonth]] = {}
        self._one = asyncio.Lock()

    async def month(self, span: Span) -> KnownMonth:
        """What is known of a month. Raises `LedgerUnavailable`."""
        async with self._one:
            kept = self._months.get(span)
            if kept and self._clock() - kept[0] < KEPT:
                self._keep(span, kept)
                return kept[1]
            # Before it is read: what is written meanwhile is found the next time.
            missing = await self._costs.missing(span)
            totals = await self._costs.totals(span)
            users = await asyncio.to_thread(by_user, totals, self.hub)
            found = KnownMonth(span, totals, users, missing)
            self._keep(span, (self._clock(), found))
            return found

    def _keep(self, span: Span, known: tuple[float, KnownMonth]) -> None:
        """Keep a month as the one used last, in place of the one that was not used for longest."""
        self._months.pop(span, None)
        self._months[span] = known
        if len(self._months) > MONTHS_KEPT:
            self._months.pop(next(iter(self._months)))

    async def memberships(self, month: Span, subjects: Sequence[Subject]) -> Memberships:
        """Who was in which groups at the end of a month; of users of whom that was not noted, who
        is now.
        """
        noted = await self._costs.memberships(month)
        now = {(self.hub, one.name): tuple(sorted(one.groups)) for one in subjects}
        return Memberships({**now, **noted.groups}, noted.primary, noted.weights)

    async def of_user(self, name: str, today: Date) -> Sequence[KnownMonth] | None:
        """The last months, for a user's page; None where they cannot be read in time, or at all.

        Those that are kept are not looked at again: `keep` does that, and no page waits for it, or
        for the month that somebody else opens.
        """
        spans = newest_months(today, MONTHS_SHOWN)
        kept = [self._months[one][1] for one in spans if one in self._months]
        if len(kept) == len(spans):
            return kept
        reading = asyncio.gather(*map(self.month, spans))
        try:
            return await asyncio.wait_for(asyncio.shield(reading), PATIENCE)
        except TimeoutError:
            reading.add_done_callback(_forgotten)
            return None
        except LedgerUnavailable as error:
            LOG.warning("Costs cannot be read: %s; %r sees none", error, name)
            return None
        except Exception:
            LOG.exception("Costs cannot be worked out; %r sees none; report it", name)
            return None

    async def keep(self) -> None:
        """Work out the months that users see before they ask, until cancelled."""
        while True:
            today = datetime.datetime.now(datetime.UTC).date()
            for one in newest_months(today, MONTHS_SHOWN):
                try:
                    await self.month(one)
                except LedgerUnavailable as error:
                    LOG.warning("Costs cannot be read: %s; it is tried again", error)
                except Exception:
                    LOG.exception("Costs cannot be worked out; report it; it is tried again")
            await asyncio.sleep(AHEAD)

    async def aclose(self) -> None:
        """Close the database."""
        await self._database.aclose()


def _forgotten(reading: asyncio.Future[list[KnownMonth]]) -> None:
    """Nobody waits for it any more; why it failed is in the log of who keeps months."""
    if not reading.cancelled():
        reading.exception()
