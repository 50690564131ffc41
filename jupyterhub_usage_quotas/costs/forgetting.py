"""Forgetting a person: daily usage and costs without their name, for a new database.

What they used stays under a pseudonym, so that bills go on adding up. Their groups are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Table, func, select

from ..errors import InvalidAdjustment
from ..ledger.sql.daily import COST_DAYS, DAILY_COSTS, DAILY_USAGE, MEMBERSHIPS, USAGE_DAYS
from ..ledger.sql.database import Database
from ..quotas.messages import wrong
from .usage_store import AT_ONCE, insert_all

TABLES: Final = (USAGE_DAYS, DAILY_USAGE, COST_DAYS, DAILY_COSTS, MEMBERSHIPS)


async def users_in(database: Database) -> Collection[str]:
    """Everybody of whom there is daily usage, or groups. Raises `LedgerUnavailable`."""

    def read(connection: Connection) -> set[str]:
        tables = (DAILY_USAGE, MEMBERSHIPS)
        found = (connection.execute(select(one.c.username).distinct()) for one in tables)
        return {name for rows in found for name in rows.scalars()}

    return await database.read(read)


async def copy_without(source: Database, target: Database, names: Mapping[str, str]) -> int:
    """Copy daily usage and costs into a database that has none, with these names in place of
    people's; returns how many rows that were. Raises `InvalidAdjustment`, `LedgerUnavailable`.
    """
    for table in TABLES:
        there = await target.read(partial(_number_of, table=table))
        if there:
            raise InvalidAdjustment(
                [wrong(f"the new database has daily usage or costs ({table.name})", there, "none")]
            )
    copied = 0
    for table in TABLES:
        last = 0
        while rows := await source.read(partial(_some, table=table, after=last)):
            kept = [
                _without(row, names)
                for row in rows
                if not (table is MEMBERSHIPS and row["username"] in names)
            ]
            await target.write(partial(insert_all, table=table, values=kept))
            copied += len(kept)
            last = int(rows[-1].get("id", last + len(rows)))
    return copied


def _without(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A row with another name in place of somebody's; its number is made anew."""
    made = {name: value for name, value in row.items() if name != "id"}
    if "username" in made:
        made["username"] = names.get(made["username"], made["username"])
    return made


def _number_of(connection: Connection, *, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar() or 0)


def _some(connection: Connection, *, table: Table, after: int) -> list[dict[str, Any]]:
    """Some rows: those after a number, or after so many where they have none."""
    every = select(table).order_by(*table.primary_key.columns).limit(AT_ONCE)
    every = every.where(table.c.id > after) if "id" in table.c else every.offset(after)
    return [dict(row) for row in connection.execute(every).mappings()]
