"""The status snapshot: where every user stands with every policy, brought up to date after each
refresh of the meter, a few users at a time, and shown as a whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime

from ..ledger.base import Ledger
from ..metering.meter import Meter
from ..metering.totals import News, Totals
from ..quotas.adjustments import Adjustment, Adjustments
from ..quotas.charge import PoolAccounts, Readings
from ..quotas.policy.policy import PolicySet
from ..quotas.subject import EVERYONE, REST, Subject
from .inputs import add_up, adjustments_of, pool_readings
from .members import Members, with_assigned
from .pace import Pace
from .plans import Plans
from .standings import Judging, PolicyStatus, Standing, pool_row


class StatusSnapshot:
    """Where everybody stood as of the last refresh: always complete.

    A user is judged again where something was used, the edge of a window moves over what was, or
    somebody decided something: that is so of few in a minute. Of whom only usage grows, nothing but
    what is new is added.
    """

    def __init__(self, policies: PolicySet, meter: Meter, ledger: Ledger) -> None:
        self.standings: Sequence[Standing] = ()
        """Those of all users."""
        self.pool_rows: tuple[PolicyStatus, ...] = ()
        """Those of the pools that any of them is in."""
        self.pools = PoolAccounts(policies, {}, ())
        """What is charged to pools, as of the last refresh."""
        self.at: datetime | None = None
        """The instant of the last refresh."""
        self._policies = policies
        self._reach = policies.reach
        self._meter = meter
        self._ledger = ledger
        self._plans = Plans(policies)
        self._totals = Totals(meter, policies)
        self._rebuilding = asyncio.Lock()
        self._everyone: tuple[Adjustment, ...] = ()
        self._known: dict[str, Standing] = {}

    async def rebuild(self, subjects: Iterable[Subject], members: Members, now: datetime) -> None:
        """Bring all users up to date; the ledger is queried once for all of them."""
        # What is new is new for one of several at a time.
        async with self._rebuilding:
            await self._rebuild(subjects, members, now)

    async def _rebuild(self, subjects: Iterable[Subject], members: Members, now: datetime) -> None:
        pace = Pace()
        decided = await adjustments_of(self._ledger, self._policies, EVERYONE, now)
        members = with_assigned(members, decided)
        pools = await self._add_up_pools(members, decided, now, pace)
        known: dict[str, Standing] = {}
        try:
            news = self._news(decided, now)
            judging = Judging(
                self._policies, self._meter, self._totals, self._plans, news, decided, pools, now
            )
            for subject in subjects:
                known[subject.name] = judging.standing(subject, self._known.get(subject.name))
                await pace.keep()
            of_pools = self._pool_rows(known.values(), pools, decided, now)
        except BaseException:
            # What was new is told once: all are judged anew the next time.
            self._known = {}
            raise
        self.standings, self.pool_rows, self.pools = tuple(known.values()), of_pools, pools
        self._known, self.at = known, now

    def _news(self, decided: Adjustments, now: datetime) -> News:
        news = self._totals.news(now)
        if news.everybody or decided.everyone != self._everyone:
            self._everyone = decided.everyone
            self._plans.forget()
            return News(everybody=True, until=news.until)
        return news

    def _pool_rows(
        self,
        standings: Iterable[Standing],
        pools: PoolAccounts,
        decided: Adjustments,
        now: datetime,
    ) -> tuple[PolicyStatus, ...]:
        """The rows of the pools that any of these users is in."""
        pooled = [one for one in self._policies if one.pooled]
        if not pooled:
            return ()
        names = {name for one in standings for name in one.plan.pools}
        return tuple(
            pool_row(one, pools, decided.everyone, now) for one in pooled if one.name in names
        )

    async def _add_up_pools(
        self, members: Members, decided: Adjustments, now: datetime, pace: Pace
    ) -> PoolAccounts:
        """Add up pools now, and not when somebody opens a page."""
        policies, measured = self._policies, self._policies.all_measured
        readings = dict[str, Readings]()
        wanted = {*self._meter.users, REST} if None in members.values() else set[str]()
        for user in wanted.union(*filter(None, members.values())):
            readings |= self._meter.peek([user], measured, self._reach, now)
            await pace.keep()
        return await add_up(policies, pool_readings(readings, members), decided)
