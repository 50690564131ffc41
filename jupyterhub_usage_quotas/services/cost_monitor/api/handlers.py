"""The cost monitor's own API, under `/api/v1/`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final

from ....costs.months import Span
from ....costs.report import FIELDS, Field, Report, Row, report
from ....quotas.messages import not_among
from ...web import openapi
from ...web.openapi import CSV, JSON, Operation, Parameter
from ...web.params import BadParameter
from ...web.spreadsheet import as_csv
from ..handler import CostHandler
from ..params import MOST_DECIMALS, MOST_USERS
from . import models

TITLE: Final = "What a cluster of JupyterHubs cost"
DESCRIPTION: Final = """
What each hub, component, group and user cost. Rows and rest always add up to the bill.

Amounts are exact, as texts of decimal digits. Days are of UTC; both `from` and `to` are included.
Several names are written `{a,b}`, or in several parameters; `All` means all of them.
"""
TEXT: Final = {"type": "string"}
SPAN: Final = (
    Parameter("from", "the first day; 30 days before `to` if it is not given", TEXT),
    Parameter("to", "the last day; yesterday if it is not given", TEXT),
)
BY: Final = Parameter(
    "by", f"what costs are summed up by: some of {', '.join(FIELDS)}, with commas between", TEXT
)
NAMES: Final = tuple(
    Parameter(name, f"only these {what}", TEXT)
    for name, what in (
        ("hub", "hubs"),
        ("component", "components"),
        ("user", "users"),
        ("usergroup", "groups"),
    )
)
LIMIT: Final = Parameter(
    "limit",
    "how many users are shown one by one, those who cost most",
    {"type": "integer", "minimum": 0, "maximum": MOST_USERS},
)
DECIMALS: Final = Parameter(
    "decimals",
    "how many decimals amounts are rounded to, so that they add up to the rounded bill",
    {"type": "integer", "minimum": 0, "maximum": MOST_DECIMALS},
)
FORMAT: Final = Parameter("format", "how to answer", {"type": "string", "enum": ["json", "csv"]})


class CostsOverTime(CostHandler):
    """Costs, summed up and filtered."""

    endpoint = "/api/v1/costs"
    operation = Operation(
        "costs",
        "/costs",
        "Costs by whatever they are summed up by",
        models.CostReport,
        (*SPAN, BY, *NAMES, LIMIT, DECIMALS, FORMAT),
        csv=True,
    )

    async def get(self) -> None:
        """Answer with the report."""
        by, span, most, decimals = self._by, self.span, self.most_users, self.decimals
        selection = self.selection
        form = self.query.choice("format", ("json", "csv"), "json")
        costs = self.context.costs
        missing = await costs.missing(span)
        by_user = self.names_users or not {"user", "group"}.isdisjoint(by)
        memberships = None
        if "group" in by or selection.groups is not None:
            memberships = await costs.memberships(span)
        if not by_user:
            allocations = await costs.allocations(span, by_user=False)
        elif "day" in by:
            users = await self.users_shown(memberships)
            allocations = await costs.allocations(span, users=users)
        else:
            allocations = await costs.totals(span)
        made = await asyncio.to_thread(
            partial(
                report,
                allocations,
                by,
                selection,
                memberships=memberships,
                most_users=most,
                decimals=decimals,
            )
        )
        self.say_what_is_missing(missing, any_rows=bool(allocations))
        if form == "csv":
            self.set_header("Content-Disposition", 'attachment; filename="costs.csv"')
            self.answer_text(_csv(made, by), CSV)
            return
        text = await asyncio.to_thread(_json, made, span, missing)
        self.answer_text(text, JSON)

    @property
    def _by(self) -> Sequence[Field]:
        given = [one for one in self.text("by").split(",") if one]
        for name in given:
            if name not in FIELDS:
                raise BadParameter("by", not_among("nothing to sum up by", name, FIELDS))
        return [one for one in FIELDS if one in given]


def _texts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {currency: f"{amount:f}" for currency, amount in amounts.items()}


def _json(made: Report, span: Span, missing: Sequence[Any]) -> str:
    """The report as JSON; names are whatever they are."""
    found = models.CostReport(
        since=span.since,
        until=span.until,
        bill=_texts(made.bill),
        rest=_texts(made.rest),
        missing=list(missing),
        rows=[_row(one) for one in made.rows],
    )
    return found.model_dump_json()


def _row(one: Row) -> models.CostRow:
    return models.CostRow(
        amount=f"{one.amount:f}",
        currency=one.currency,
        final=one.final,
        day=one.day,
        hub=one.hub,
        component=one.component,
        kind=None if one.kind is None else one.kind.value,
        user=one.user,
        group=one.group,
    )


def _csv(made: Report, by: Sequence[Field]) -> str:
    """The report as a table. What is hidden, and the bill, are its last lines."""
    rows: list[list[Any]] = []
    for one in made.rows:
        values = [getattr(one, name) for name in by]
        texts = ["" if value is None else str(value) for value in values]
        rows.append([*texts, float(one.amount), one.currency, "" if one.final else "estimate"])
    for label, amounts in (("(not shown)", made.rest), ("(bill)", made.bill)):
        for currency, amount in amounts.items():
            if amount or label == "(bill)":
                names = [label, *[""] * (len(by) - 1)] if by else []
                rows.append([*names, float(amount), currency, label if not by else ""])
    return as_csv([*by, "amount", "currency", "remark"], rows)


class SourceStates(CostHandler):
    """How it is with the sources of costs."""

    endpoint = "/api/v1/sources"
    operation = Operation(
        "sources", "/sources", "How it is with the sources of costs", models.Sources
    )

    async def get(self) -> None:
        """Answer with their states."""
        costs = self.context.costs
        since = self.today.replace(year=self.today.year - 1, day=1)
        found = [
            models.Source(
                name=name,
                state=status.state.value,
                detail=status.detail,
                asked=status.asked_at,
                known_until=await costs.known_until(name, Span(since, self.today)),
                restated=list(status.restated),
            )
            for name, status in self.context.keeping.states.items()
        ]
        self.answer(models.Sources(sources=found))


class OpenApi(CostHandler):
    """The description of this API."""

    endpoint, public = "/api/v1/openapi.json", True

    async def get(self) -> None:
        """Answer with it."""
        self.answer(document())


def document() -> dict[str, Any]:
    """The API as OpenAPI."""
    described = [one.operation for one in (CostsOverTime, SourceStates) if one.operation]
    return openapi.document(described, title=TITLE, description=DESCRIPTION, address="/api/v1")


OPERATIONS: Final = (
    ("/costs", CostsOverTime),
    ("/sources", SourceStates),
    ("/openapi.json", OpenApi),
)
"""The addresses of its handlers, below that of the API."""
