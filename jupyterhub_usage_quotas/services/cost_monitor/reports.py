"""Monthly reports: once the bill of a month is final, whoever is to get it gets what it was, in the
way that notices are sent: the Hub sends what waits in its database.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

from ...config.costs import CostMonitor
from ...costs.groups import Memberships
from ...costs.known import Costs
from ...costs.monthly import Month, monthly
from ...costs.months import Span, month_before
from ...costs.sources.base import Date
from ...costs.values import Allocation
from ...ledger.sql.guarding import GuardChanges, SqlGuard
from ...quotas.stopping.notices import Notice, NoticeKind, report_id
from ..web.cost_texts import month_as_text

LOG: Final = logging.getLogger("cost_monitor")


class Reports:
    """Sends the reports of the last month once, when all of its days are known and final. `hub` is
    what the Hub that sends them is called in its database.
    """

    def __init__(self, monitor: CostMonitor, costs: Costs, hub: str) -> None:
        self._monitor, self._costs = monitor, costs
        self._store = SqlGuard(costs.store.database, hub)
        self._hub = hub
        self._sent: Date | None = None

    async def look(self, now: datetime.datetime) -> int:
        """Send them if it is time; returns how many. Raises `LedgerUnavailable`."""
        today = now.astimezone(datetime.UTC).date()
        span = month_before(today)
        first = span.since
        if not self._monitor.report_to or self._sent == first or not await self._is_final(span):
            return 0
        totals = await self._costs.totals(span)
        memberships = await self._costs.memberships(span)
        notices = [
            self._notice(user, await self._month(totals, memberships, groups), first, now)
            for user, groups in self._monitor.report_to.items()
        ]
        # Those that are there already, for example from before a restart, are not sent again.
        await self._store.write(GuardChanges({}, (), notices, sent=True))
        self._sent = first
        LOG.info("Reports of %s: %d are to be sent", f"{first:%Y-%m}", len(notices))
        return len(notices)

    async def _is_final(self, span: Span) -> bool:
        for source in self._costs.sources:
            days = await self._costs.store.days(source, span.since, span.until)
            if len(days) < (span.until - span.since).days:
                return False
            if not all(one.final for one in days.values()):
                return False
        return True

    async def _month(
        self, totals: Sequence[Allocation], memberships: Memberships, groups: object
    ) -> Month:
        """The month as somebody is to see it: the whole bill for True, else these groups."""
        theirs = frozenset(groups) if isinstance(groups, list | tuple) else frozenset()
        return await asyncio.to_thread(
            partial(
                monthly,
                totals,
                memberships,
                self._monitor.own_hub,
                sees_user=lambda _: False,
                sees_group=theirs.__contains__,
                whole=groups is True,
            )
        )

    def _notice(self, user: str, month: Month, first: Date, now: datetime.datetime) -> Notice:
        return Notice(
            id=report_id(self._hub, user, f"{first:%Y-%m}"),
            user=user,
            server="",
            policy="",
            kind=NoticeKind.SUMMARY,
            threshold=datetime.timedelta(0),
            until=None,
            text=month_as_text(month, first, self._monitor.texts),
            at=now,
        )
