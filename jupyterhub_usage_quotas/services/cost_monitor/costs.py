"""Costs as this service knows them: what is kept of bills and usage, attributed."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from ...costs.attribute import DayUsage, Rules, attribute
from ...costs.cost_store import CostStore
from ...costs.groups import Memberships
from ...costs.sources.base import DAY, Date, days_between
from ...costs.spreading import spread
from ...costs.usage_store import UsageStore
from ...costs.values import Allocation, CostRow, Kind

KEPT: Final = 4
"""Spans whose allocations are kept: the panels of a dashboard query the same ones."""
AT_ONCE: Final = 31
"""Days that are read from the database at a time: others wait meanwhile."""


@dataclass(frozen=True, slots=True)
class Span:
    """Days, from `since` to before `until`."""

    since: Date
    until: Date


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
        self._known: dict[tuple[Span, bool], tuple[Allocation, ...]] = {}
        self._version = 0, 0
        self._one = asyncio.Lock()

    async def allocations(self, span: Span, *, by_user: bool = True) -> Sequence[Allocation]:
        """What became of the bill of these days; without the names of users unless `by_user`, which
        takes a fraction of the time and memory.
        """
        async with self._one:
            # As of before it is read: what is written meanwhile makes it out of date.
            version = self.store.written, self.usage.written
            if version != self._version:
                self._version = version
                self._known.clear()
            at = span, by_user
            known = self._known.pop(at, None)
            if known is None:
                known = await self._attributed(span, by_user=by_user)
            self._known[at] = known
            if len(self._known) > KEPT:
                self._known.pop(next(iter(self._known)))
            return known

    async def _attributed(self, span: Span, *, by_user: bool) -> tuple[Allocation, ...]:
        parts: list[Allocation] = []
        for piece in pieces(span):
            rows = await self.store.rows(self.sources, piece.since, piece.until)
            usage = await self.usage.usage(piece.since, piece.until, by_user=by_user)
            parts += await asyncio.to_thread(self._attribute, rows, usage)
        return tuple(parts if by_user else (replace(one, user="") for one in parts))

    def _attribute(
        self, rows: Sequence[CostRow], usage: Mapping[Date, DayUsage]
    ) -> list[Allocation]:
        how = self.attribution
        found = attribute(rows, usage, how.rules)
        return list(spread(found, idle=how.spread_idle, shared=how.spread_shared))

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

    async def memberships(self, on: Date) -> Memberships:
        """Who is in which groups on a day, and how that counts."""
        how = self.attribution
        return Memberships(await self.usage.groups(on), how.primary_groups, how.group_weights)

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


def pieces(span: Span) -> Iterable[Span]:
    """The span in pieces that are read one by one."""
    since = span.since
    while since < span.until:
        until = min(since + AT_ONCE * DAY, span.until)
        yield Span(since, until)
        since = until
