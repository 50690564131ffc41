"""Tables of costs: rows that add up to the bill, what a filter hides included."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from ...costs.groups import Memberships
from ...costs.money import EXACT, ZERO, rounded
from ...costs.report import Field, Row, Selection, report
from ...costs.sources.base import Date
from ...costs.values import Allocation, Kind

REST: Final = "rest"
"""The kind of a row of what a filter hides."""
KINDS: Final[Mapping[Kind, str]] = {
    Kind.IDLE: "(idle)",
    Kind.SHARED: "(shared)",
    Kind.UNATTRIBUTED: "(not attributed)",
    Kind.OTHERS: "(other users)",
}
"""In place of a name where there is none. No group or user of a JupyterHub is called so by chance;
the key `kind` says it for certain.
"""
NO_GROUP: Final = "(no group)"
NOT_ATTRIBUTED: Final = KINDS[Kind.UNATTRIBUTED]
HIDDEN: Final = "(not shown)"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, and a row for each day of what is hidden."""

    rows: Sequence[Row]
    hidden: Sequence[Row]

    def rounded(self, decimals: int) -> Table:
        """The same rounded, so that all of them add up to the rounded bill."""
        parts = [*self.rows, *self.hidden]
        by_currency: dict[str, dict[int, Decimal]] = defaultdict(dict)
        for index, row in enumerate(parts):
            by_currency[row.currency][index] = row.amount
        amounts = {
            index: amount
            for of_currency in by_currency.values()
            for index, amount in rounded(of_currency, decimals).items()
        }
        made = [replace(row, amount=amounts[index]) for index, row in enumerate(parts)]
        return Table(made[: len(self.rows)], made[len(self.rows) :])

    @property
    def rest(self) -> Mapping[str, Decimal]:
        """All that is hidden, by currency."""
        found: dict[str, Decimal] = {row.currency: ZERO for row in self.rows}
        for row in self.hidden:
            found[row.currency] = EXACT.add(found.get(row.currency, ZERO), row.amount)
        return found


def table(
    allocations: Sequence[Allocation],
    by: Sequence[Field],
    selection: Selection,
    *,
    memberships: Memberships | None = None,
    most_users: int | None = None,
) -> Table:
    """The table of what is selected, by day and whatever else."""
    shown = report(allocations, by, selection, memberships=memberships, most_users=most_users)
    sums: dict[tuple[Date, str], Decimal] = {}
    final: dict[tuple[Date, str], bool] = {}
    for row in report(allocations, ["day"]).rows:
        assert row.day is not None  # noqa: S101 they are summed up by it
        sums[row.day, row.currency] = row.amount
        final[row.day, row.currency] = row.final
    for row in shown.rows:
        assert row.day is not None  # noqa: S101 they are summed up by it
        at = row.day, row.currency
        sums[at] = EXACT.subtract(sums[at], row.amount)
    hidden = [
        Row(amount, currency, final[day, currency], day=day)
        for (day, currency), amount in sums.items()
        if amount
    ]
    return Table(shown.rows, hidden)


def name_of(kind: Kind | None, name: str | None, nothing: str) -> str:
    """A name, or what there is in place of one."""
    return name or (nothing if kind in (Kind.USER, None) else KINDS[kind])


def number(amount: Decimal) -> Decimal:
    """An amount without zeros at its end."""
    return amount.normalize(EXACT) if amount else ZERO


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as JSON: amounts are numbers with all their digits, which no float has."""
    lines = ", ".join(
        "{" + ", ".join(f"{json.dumps(key)}: {_value(one)}" for key, one in row.items()) + "}"
        for row in rows
    )
    return f"[{lines}]"


def _value(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else json.dumps(value)
