"""Daily costs in the ledger's database: what sources said, day by day."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from ..ledger.sql.daily import COST_DAYS, DAILY_COSTS, LONGEST_NAME
from ..ledger.sql.database import Database
from .usage_store import MILLION, insert_all, is_storable, version_of
from .values import CostRow

Date = datetime.date
NOT_NAMED: Final = "other"
"""In place of what cannot be written."""


@dataclass(frozen=True, slots=True)
class CostDay:
    """A day of a source that is kept: whether it is final, when it was read, and how often it was
    replaced by something else.
    """

    final: bool
    read_at: datetime.datetime
    restated: int


class CostStore:
    """Daily costs, in a database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.written = 0
        """How often it was written to by this: what was read before is out of date."""

    async def write(
        self,
        source: str,
        rows: Sequence[CostRow],
        days: Mapping[Date, bool],
        now: datetime.datetime,
    ) -> Sequence[Date]:
        """Keep what a source says of these days (and whether that is final) in place of what it
        said; returns the days of which it had said something else as final.
        """
        restated = await self.database.write(
            partial(_write, source=source, rows=rows, days=days, now=now)
        )
        self.written += 1
        return restated

    async def days(self, source: str, since: Date, until: Date) -> Mapping[Date, CostDay]:
        """The days that are kept of a source, from `since` to before `until`."""
        return await self.database.read(partial(_days, source=source, since=since, until=until))

    async def rows(self, sources: Collection[str], since: Date, until: Date) -> Sequence[CostRow]:
        """What these sources said, from `since` to before `until`."""
        return await self.database.read(partial(_rows, sources=sources, since=since, until=until))

    async def version(self) -> object:
        """Another whenever anything was written, by whichever process."""
        return self.written, await self.database.read(partial(version_of, table=COST_DAYS))

    async def prune(self, before: Date) -> int:
        """Delete the days before this one; returns how many days of sources there were."""
        return await self.database.write(partial(_prune, before=before))


def _write(
    connection: Connection,
    *,
    source: str,
    rows: Sequence[CostRow],
    days: Mapping[Date, bool],
    now: datetime.datetime,
) -> list[Date]:
    if not days:
        return []
    since, until = min(days), max(days) + datetime.timedelta(days=1)
    kept = _days(connection, source=source, since=since, until=until)
    before = _by_day(_rows(connection, sources=[source], since=since, until=until))
    new = _by_day(map(_storable, rows))
    restated = []
    for day, final in sorted(days.items()):
        known, of_day = kept.get(day), new.get(day, [])
        other = known is None or _content(before.get(day, [])) != _content(of_day)
        if known is not None and known.final and other:
            restated.append(day)
        times = (known.restated if known else 0) + (day in restated)
        values = {"final": int(final), "read_at": round(now.timestamp() * MILLION)}
        _mark(connection, source, day, {**values, "restated": times}, new=known is None)
        if other:
            _replace(connection, source, day, of_day)
    return restated


def _mark(
    connection: Connection, source: str, day: Date, values: Mapping[str, int], *, new: bool
) -> None:
    if new:
        connection.execute(insert(COST_DAYS).values(source=source, day=day, **values))
    else:
        of_day = (COST_DAYS.c.source == source) & (COST_DAYS.c.day == day)
        connection.execute(update(COST_DAYS).where(of_day).values(**values))


def _replace(connection: Connection, source: str, day: Date, rows: Sequence[CostRow]) -> None:
    c = DAILY_COSTS.c
    connection.execute(delete(DAILY_COSTS).where(c.source == source, c.day == day))
    values = [
        {"source": source, "day": day, "hub": one.hub, "component": one.component}
        | {"service": one.service, "amount": f"{one.amount:f}", "currency": one.currency}
        | {"final": int(one.final)}
        for one in rows
    ]
    insert_all(connection, DAILY_COSTS, values)


def _days(connection: Connection, *, source: str, since: Date, until: Date) -> dict[Date, CostDay]:
    c = COST_DAYS.c
    found = connection.execute(
        select(c.day, c.final, c.read_at, c.restated).where(
            c.source == source, c.day >= since, c.day < until
        )
    )
    return {
        day: CostDay(
            bool(final),
            datetime.datetime.fromtimestamp(read_at / MILLION, datetime.UTC),
            restated,
        )
        for day, final, read_at, restated in found
    }


def _rows(
    connection: Connection, *, sources: Collection[str], since: Date, until: Date
) -> list[CostRow]:
    c = DAILY_COSTS.c
    columns = (c.day, c.hub, c.component, c.amount, c.currency, c.final, c.service)
    found = connection.execute(
        select(*columns).where(c.source.in_(sources), c.day >= since, c.day < until).order_by(c.id)
    )
    return [
        CostRow(day, hub, component, Decimal(amount), currency, bool(final), service)
        for day, hub, component, amount, currency, final, service in found
    ]


def _prune(connection: Connection, *, before: Date) -> int:
    connection.execute(delete(DAILY_COSTS).where(DAILY_COSTS.c.day < before))
    return connection.execute(delete(COST_DAYS).where(COST_DAYS.c.day < before)).rowcount


def _by_day(rows: Iterable[CostRow]) -> dict[Date, list[CostRow]]:
    found: dict[Date, list[CostRow]] = defaultdict(list)
    for row in rows:
        found[row.day].append(row)
    return found


def _content(rows: Sequence[CostRow]) -> list[tuple[str, ...]]:
    """What rows say, to be compared, in any order."""

    def texts(one: CostRow) -> tuple[str, ...]:
        amount = str(one.amount.normalize())
        return (repr(one.hub), one.component, one.service, amount, one.currency, str(one.final))

    return sorted(map(texts, rows))


def _storable(row: CostRow) -> CostRow:
    """The row with names that every database takes; what it costs is not lost."""
    hub = row.hub if row.hub is None or is_storable(row.hub) else None
    component = row.component if is_storable(row.component) else NOT_NAMED
    service = row.service[:LONGEST_NAME] if is_storable(row.service[:LONGEST_NAME]) else NOT_NAMED
    return CostRow(row.day, hub, component, row.amount, row.currency, row.final, service)
