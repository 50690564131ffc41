"""Costs as a process knows them: what is kept of bills and usage, attributed.

A month by user is added up while it is read, and its sums are kept until something is written: a
year is then the sum of its months.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from .attribute import DayUsage, Rules, attribute
from .condensed import Sums
from .cost_store import CostStore
from .groups import Memberships
from .months import Span, months_of
from .sources.base import DAY, Date, days_between
from .spreading import spread
from .usage_store import UsageStore
from .values import Allocation, CostRow, Kind

KEPT: Final = 4
"""Spans whose allocations are kept: the panels of a dashboard query the same ones."""
MONTHS: Final = 14
"""Months whose sums are kept."""
AT_ONCE: Final = 31
DAYS_BY_USER: Final = 8
"""Days that are read from the database at a time: others wait meanwhile."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """How costs are attributed: the rules, what is spread over users, how groups count."""

    rules: Rules
    spread_idle: bool = False
    spread_shared: bool = False
    primary_groups: Sequence[str] = ()
    group_weights: Mapping[str, int] = field(default_factory=dict)


class Costs:
    """The costs of days that are kept, attributed; of a few spans they are kept."""

    def __init__(
        self,
        costs: CostStore,
        usage: UsageStore,
        sources: Collection[str],
        attribution: Attribution,
    ) -> None:
        self.store, self.usage, self.sources = costs, usage, sources
        self.attribution = attribution
        self._known: dict[object, tuple[Allocation, ...]] = {}
        self._months: dict[Span, Sums] = {}
        self._version: object = None
        self._one = asyncio.Lock()

    async def allocations(
        self, span: Span, *, by_user: bool = True, users: frozenset[str] | None = None
    ) -> Sequence[Allocation]:
        """What became of the bill of these days, by day. Without the names of users unless
        `by_user`, which takes a fraction of the time and memory; or only with those of `users`.
        """
        async with self._one:
            await self._forget_what_changed()
            at = span, by_user, users
            known = self._known.pop(at, None)
            if known is None:
                known = await self._attributed(span, Sums(users=users), by_user=by_user)
            self._known[at] = known
            if len(self._known) > KEPT:
                self._known.pop(next(iter(self._known)))
            return known

    async def totals(self, span: Span) -> Sequence[Allocation]:
        """The same with the names of users and without days: all is as of the first of them."""
        sums = Sums(on=span.since)
        for piece in months_of(span):
            sums.merge(await self._month(piece))
        return await asyncio.to_thread(sums.allocations)

    async def _month(self, piece: Span) -> Sums:
        async with self._one:
            await self._forget_what_changed()
            known = self._months.pop(piece, None)
            if known is None:
                known = Sums(on=piece.since)
                await self._sum_up(piece, known, by_user=True)
            self._months[piece] = known
            if len(self._months) > MONTHS:
                self._months.pop(next(iter(self._months)))
            return known

    async def _forget_what_changed(self) -> None:
        """As of before anything is read: what is written meanwhile makes that out of date."""
        version = await self.store.version(), await self.usage.version()
        if version != self._version:
            self._version = version
            self._known.clear()
            self._months.clear()

    async def _attributed(self, span: Span, sums: Sums, *, by_user: bool) -> tuple[Allocation, ...]:
        await self._sum_up(span, sums, by_user=by_user)
        found = await asyncio.to_thread(sums.allocations)
        return found if by_user else tuple(replace(one, user="") for one in found)

    async def _sum_up(self, span: Span, sums: Sums, *, by_user: bool) -> None:
        for piece in pieces(span, DAYS_BY_USER if by_user else AT_ONCE):
            rows = await self.store.rows(self.sources, piece.since, piece.until)
            usage = await self.usage.usage(piece.since, piece.until, by_user=by_user)
            await asyncio.to_thread(self._attribute, rows, usage, sums)

    def _attribute(
        self, rows: Sequence[CostRow], usage: Mapping[Date, DayUsage], sums: Sums
    ) -> None:
        how = self.attribution
        if not (how.spread_idle or how.spread_shared):
            sums.attribute(rows, usage, how.rules)
            return
        found = attribute(rows, usage, how.rules)
        sums.add(spread(found, idle=how.spread_idle, shared=how.spread_shared))

    async def shares(self, span: Span) -> Sequence[Allocation]:
        """The shares of users in what was used of each component of each hub: each adds up to 1."""
        parts: list[Allocation] = []
        for piece in pieces(span):
            usage = await self.usage.usage(piece.since, piece.until)
            ones = [
                CostRow(day, hub, component, Decimal(1), "")
                for day, of_day in usage.items()
                for hub in of_day.used
                for component in self.attribution.rules.drivers
            ]
            rules = replace(self.attribution.rules, split_untagged=False)
            found = await asyncio.to_thread(lambda: list(attribute(ones, usage, rules)))  # noqa: B023 it is awaited here
            parts += (one for one in found if one.kind is Kind.USER or one.amount < 1)
        return parts

    async def memberships(self, span: Span) -> Memberships:
        """Who is in which groups on the last of these days, and how that counts."""
        how, last = self.attribution, span.until - DAY
        return Memberships(await self.usage.groups(last), how.primary_groups, how.group_weights)

    async def missing(self, span: Span) -> Sequence[Date]:
        """The days that some source did not say all of yet."""
        days = days_between(span.since, span.until)
        missing: set[Date] = set() if self.sources else set(days)
        for source in self.sources:
            missing |= set(days) - (await self.store.days(source, span.since, span.until)).keys()
        return sorted(missing)

    async def known_until(self, source: str, span: Span) -> datetime.datetime | None:
        """The end of the last day of which a source said all; None where it said nothing."""
        days = await self.store.days(source, span.since, span.until)
        if not days:
            return None
        after = max(days) + DAY
        return datetime.datetime(after.year, after.month, after.day, tzinfo=datetime.UTC)


def pieces(span: Span, length: int = AT_ONCE) -> Iterable[Span]:
    """The span in pieces that are read one by one."""
    since = span.since
    while since < span.until:
        until = min(since + length * DAY, span.until)
        yield Span(since, until)
        since = until
