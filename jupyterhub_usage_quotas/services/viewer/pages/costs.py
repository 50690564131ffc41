"""`/costs`: what a month cost, by group and by user, for those who see others' usage."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from tornado.web import HTTPError

from ....costs.monthly import Line, Month, monthly
from ....costs.months import Span, month_of, newest_months, parse_month
from ....quotas.phrases import Phrase, mark
from ...web.cost_texts import (
    NO_GROUP,
    NOBODY_KNOWN,
    component_name,
    money,
    month_as_csv,
    month_name,
    name_of,
)
from ...web.openapi import CSV
from ...web.params import BadParameter, unusable
from ..costing import MONTHS_KEPT, KnownMonth, ShownCosts
from .handlers import ViewerPage

LINES_SHOWN: Final = 500
"""How many users the page lists, those who cost most; the CSV has all."""


@dataclass(frozen=True, slots=True)
class TableLine:
    """A line of the page: texts."""

    name: str
    amounts: tuple[str, ...]
    total: str
    estimate: bool
    nobody: bool


class CostsPage(ViewerPage):
    """`/costs`: what a month cost, as far as the visitor may see it."""

    async def get(self) -> None:
        """The page, or the same for a spreadsheet."""
        shown = self.context.costs
        if shown is None or not self.permissions.sees_others:
            raise HTTPError(404)
        span, form = self._span, self.query.choice("format", ("html", "csv"), "html")
        known, first = await shown.month(span), span.since
        month = await self._month(shown, known)
        if form == "csv":
            self.set_header("Content-Type", CSV)
            name = f"costs-{first:%Y-%m}.csv"
            self.set_header("Content-Disposition", f'attachment; filename="{name}"')
            self.finish(await asyncio.to_thread(month_as_csv, month, first))
            return
        components = month.components
        language, users = self.language, month.users
        self.show(
            "usage-quota-costs.html",
            chip=await self.header(),
            month=month_name(first, language),
            chosen=f"{first:%Y-%m}",
            months=[
                (f"{one.since:%Y-%m}", month_name(one.since, language))
                for one in newest_months(self._today, MONTHS_KEPT)
            ],
            components=[component_name(one, language) for one in components],
            groups=list(self._lines(month.groups, components, NO_GROUP)),
            users=list(self._lines(users[:LINES_SHOWN], components, NOBODY_KNOWN)),
            more=max(len(users) - LINES_SHOWN, 0),
            bill=[money(amount, one, language) for one, amount in month.bill.items()],
            known=bool(known.totals),
            missing=len([day for day in known.missing if day < self._today]),
            estimate=not month.final,
            whole=month.whole,
            gives=self.gives,
            now=self.now,
        )

    head = get

    @property
    def _today(self) -> datetime.date:
        return self.now.date()

    @property
    def _span(self) -> Span:
        given = self.query.text("month")
        if not given:
            return month_of(self._today)
        found = parse_month(given)
        if found is None or found.since > self._today:
            expected = Phrase(mark("a month, for example 2026-10"))
            raise BadParameter("month", unusable(given, expected))
        return found

    async def _month(self, shown: ShownCosts, known: KnownMonth) -> Month:
        """The month as the visitor may see it."""
        subjects = await self.context.hub.subjects()
        memberships = await shown.memberships(known.span, subjects)
        permissions = self.permissions
        visible = {one.name for one in subjects if permissions.may_read(one)}
        return await asyncio.to_thread(
            partial(
                monthly,
                known.totals,
                memberships,
                shown.hub,
                sees_user=visible.__contains__,
                sees_group=lambda name: permissions.sees.groups.have_any([name]),
                whole=permissions.everybody,
            )
        )

    def _lines(
        self, lines: Iterable[Line], components: Sequence[str], nobody: str
    ) -> Iterable[TableLine]:
        language = self.language

        def amount(one: Line, component: str) -> str:
            if component not in one.amounts:
                return ""
            return language.number(f"{one.amounts[component]:,f}")

        for one in lines:
            yield TableLine(
                name_of(one, nobody, language),
                tuple(amount(one, component) for component in components),
                money(one.total, one.currency, language),
                not one.final,
                not one.name,
            )
