"""The answers that dashboards read, under the addresses of 2i2c's service before it.

Each is a list of rows. To what that service answers, ours adds `kind`, `currency` and `final`.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ...costs.report import Field, Row
from ...costs.values import Allocation, Kind
from . import names
from .handler import SPAN, CostHandler
from .tables import HIDDEN, NO_GROUP, NOT_ATTRIBUTED, REST, Table, name_of, number, table

FILTERS = ("hub", "component", "user", "usergroup")
SHAPE = ("decimals", "rest")
ACCOUNT, ATTRIBUTABLE = "account", "attributable"
Json = dict[str, Any]


class CostTable(CostHandler):
    """Rows of costs."""

    by: Sequence[Field] = ("day",)
    in_groups = False
    value = "cost"
    """The key of the amount."""

    async def get(self) -> None:
        """Answer with the rows."""
        span, selection, most = self.span, self.selection, self.most_users
        _ = self.decimals, self.wants_rest  # what is wrong is said before anything is read
        missing = await self.context.costs.missing(span)
        # Long ranges are fine where users are not told apart.
        by_user = self.in_groups or "user" in self.by or self.names_users
        memberships = None
        if self.in_groups or selection.groups is not None:
            memberships = await self.context.costs.memberships(span)
        users = await self.users_shown(memberships) if by_user else None
        allocations = await self.context.costs.allocations(span, by_user=by_user, users=users)
        made = await asyncio.to_thread(
            partial(
                table,
                self.prepared(allocations),
                self.by,
                selection,
                memberships=memberships,
                most_users=most,
            )
        )
        self.say_what_is_missing(missing, any_rows=bool(allocations))
        made = self.finished(made)
        rows = list(self.rows(made))
        if self.wants_rest:
            rows += [self.row(one, self.hidden()) for one in made.hidden]
        rows.sort(key=lambda row: row["date"])
        self.answer_rows(rows)

    def prepared(self, allocations: Sequence[Allocation]) -> Sequence[Allocation]:
        """What is summed up."""
        return allocations

    def rows(self, made: Table) -> Iterator[Json]:
        """The rows as dashboards read them."""
        for one in made.rows:
            yield self.row(one, self.named(one))

    def row(self, one: Row, names: Mapping[str, Any]) -> Json:
        """One of them."""
        amount = {self.value: number(one.amount)}
        return {
            "date": str(one.day),
            **amount,
            **names,
            "currency": one.currency,
            "final": one.final,
        }

    def named(self, one: Row) -> Mapping[str, Any]:  # noqa: ARG002 those of subclasses
        """What a row is about, beside its day; nothing where there is one row a day."""
        return {}

    @abstractmethod
    def hidden(self) -> Mapping[str, Any]:
        """What a row of hidden costs is about."""

    def hub_name(self, one: Row) -> str:
        """What a hub is called."""
        return NOT_ATTRIBUTED if one.hub is None else one.hub or self.context.support_name


class TotalCosts(CostTable):
    """What the account cost, and what of it is the cluster's."""

    endpoint, takes = "/total-costs", (*SPAN, *SHAPE)
    by = ("day", "hub")

    def rows(self, made: Table) -> Iterator[Json]:
        """For each day, two."""
        sums: dict[tuple[Any, str], dict[str, Row]] = {}
        for one in made.rows:
            at = sums.setdefault((one.day, one.currency), {})
            names = (ACCOUNT, ATTRIBUTABLE) if one.hub is not None else (ACCOUNT,)
            for name in names:
                before = at.get(name)
                at[name] = (
                    replace(
                        before, amount=before.amount + one.amount, final=before.final and one.final
                    )
                    if before
                    else one
                )
        for of_day in sums.values():
            none = replace(of_day[ACCOUNT], amount=of_day[ACCOUNT].amount * 0)
            for name in (ACCOUNT, ATTRIBUTABLE):
                yield self.row(of_day.get(name, none), {"name": name})

    def hidden(self) -> Mapping[str, Any]:
        """See `CostTable`."""
        return {"name": HIDDEN}


class CostsPerHub(CostTable):
    """What each hub cost, and what is no hub's."""

    endpoint, takes = "/total-costs-per-hub", (*SPAN, "hub", "component", *SHAPE)
    by = ("day", "hub")

    def named(self, one: Row) -> Mapping[str, Any]:
        """See `CostTable`."""
        kind = Kind.UNATTRIBUTED.value if one.hub is None else "hub" if one.hub else "shared"
        return {"name": self.hub_name(one), "kind": kind}

    def hidden(self) -> Mapping[str, Any]:
        """See `CostTable`."""
        return {"name": HIDDEN, "kind": REST}


class CostsPerComponent(CostTable):
    """What each component cost."""

    endpoint, takes = "/total-costs-per-component", (*SPAN, "hub", "component", *SHAPE)
    by = ("day", "component")

    def prepared(self, allocations: Sequence[Allocation]) -> Sequence[Allocation]:
        """What is not the cluster's is no component of it."""
        return [
            replace(one, component=NOT_ATTRIBUTED) if one.hub is None else one
            for one in allocations
        ]

    def named(self, one: Row) -> Mapping[str, Any]:
        """See `CostTable`."""
        none = one.component == NOT_ATTRIBUTED
        return {"component": one.component, "kind": "unattributed" if none else "component"}

    def hidden(self) -> Mapping[str, Any]:
        """See `CostTable`."""
        return {"component": HIDDEN, "kind": REST}


class CostsPerGroup(CostTable):
    """What the users of each group cost; each of them counts once."""

    endpoint, takes = "/total-costs-per-group", (*SPAN, *FILTERS, *SHAPE)
    by = ("day", "kind", "group")
    in_groups = True

    def named(self, one: Row) -> Mapping[str, Any]:
        """See `CostTable`."""
        return {"usergroup": name_of(one.kind, one.group, NO_GROUP), "kind": str(one.kind)}

    def hidden(self) -> Mapping[str, Any]:
        """See `CostTable`."""
        return {"usergroup": HIDDEN, "kind": REST}


class CostsPerUser(CostTable):
    """What each user cost, by hub, component and group."""

    endpoint, takes = "/costs-per-user", (*SPAN, *FILTERS, "limit", *SHAPE)
    by = ("day", "hub", "component", "kind", "user", "group")
    in_groups = True
    value = "value"

    def named(self, one: Row) -> Mapping[str, Any]:
        """See `CostTable`."""
        group = name_of(one.kind, one.group, NO_GROUP) if one.kind is Kind.USER else ""
        return {
            "hub": self.hub_name(one),
            "component": one.component,
            "user": name_of(one.kind, one.user, ""),
            "usergroup": group,
            "kind": str(one.kind),
        }

    def hidden(self) -> Mapping[str, Any]:
        """See `CostTable`."""
        return {"hub": "", "component": "", "user": HIDDEN, "usergroup": "", "kind": REST}


class TotalUsage(CostHandler):
    """The share of each user in what was used of each component of a hub, on each day."""

    endpoint, takes = "/total-usage", (*SPAN, "hub", "component", "user")

    async def get(self) -> None:
        """Answer with the shares; those of a hub, component and day add up to 1."""
        selection = self.selection
        shares = await self.context.costs.shares(self.span)
        rows = [
            {
                "date": str(one.day),
                "hub": one.hub,
                "component": one.component,
                "user": name_of(one.kind, one.user, ""),
                "value": number(one.amount),
                "kind": str(one.kind),
            }
            for one in shares
            if selection.has(one)
        ]
        rows.sort(key=lambda row: (row["date"], row["component"], row["hub"], row["user"]))
        self.answer_rows(rows)


ANSWERS = (
    *(TotalCosts, CostsPerHub, CostsPerComponent, CostsPerGroup, CostsPerUser, TotalUsage),
    *(names.HubNames, names.ComponentNames, names.UserGroups),
    *(names.UsersWithMultipleGroups, names.UsersWithNoGroups, names.Ready, names.MetricsPage),
)
"""Those that have an address of their own."""
