"""Daily usage and memberships in the ledger's database: what is kept, replaced, and pruned.

Prometheus forgets after weeks, and bills are looked at after a year.
"""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Table, case, delete, func, insert, select, update

from ..ledger.sql.daily import DAILY_USAGE, LONGEST_NAME, MEMBERSHIPS, USAGE_DAYS
from ..ledger.sql.database import Database
from .attribute import DayUsage
from .groups import Groups
from .values import NOBODY

MILLION: Final = 1_000_000
EVERYBODY: Final = "everybody"
"""All users of a hub together, where they are not told apart."""
LARGEST: Final = 2**63 - 1
AT_ONCE: Final = 1000
"""Rows of one statement."""

Date = datetime.date
At = tuple[Date, str]
"""A day, and a hub."""


@dataclass(frozen=True, slots=True, order=True)
class Used:
    """What a user used on a day in servers of a kind, in whole units."""

    user: str
    kind: str
    resource: str
    amount: int


@dataclass(frozen=True, slots=True)
class UsageDay:
    """A day of a hub that is kept: which share of it its source was seen in, when that was read,
    and how often it was replaced by something else.
    """

    coverage: float
    read_at: datetime.datetime
    restated: int


class UsageStore:
    """Daily usage and memberships, in a database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.written = 0
        """How often it was written to by this: what was read before is out of date."""

    async def write(
        self, day: Date, hub: str, used: Iterable[Used], coverage: float, now: datetime.datetime
    ) -> bool:
        """Keep a day of a hub in place of what was kept of it; returns whether that was
        something else.
        """
        rows = _storable(used)
        other = await self.database.write(
            partial(_write, day=day, hub=hub, used=rows, coverage=coverage, now=now)
        )
        self.written += 1
        return other

    async def days(self, since: Date, until: Date) -> Mapping[At, UsageDay]:
        """The days that are kept, from `since` to before `until`, by day and hub."""
        return await self.database.read(partial(_days, since=since, until=until))

    async def usage(
        self, since: Date, until: Date, *, by_user: bool = True
    ) -> Mapping[Date, DayUsage]:
        """What users used on the days that are kept, from `since` to before `until`; all of them
        together as `EVERYBODY` unless `by_user`.
        """
        read = partial(_usage, since=since, until=until, by_user=by_user)
        return await self.database.read(read)

    async def version(self) -> object:
        """Another whenever usage was written, by whichever process."""
        return self.written, await self.database.read(partial(version_of, table=USAGE_DAYS))

    async def users(self, hub: str) -> Collection[str]:
        """The users of a hub of whom anything is kept."""
        name = DAILY_USAGE.c.username
        of_hub = select(name).where(DAILY_USAGE.c.hub == hub, name != NOBODY).distinct()
        return await self.database.read(lambda one: set(one.execute(of_hub).scalars()))

    async def note_groups(self, day: Date, hub: str, groups: Mapping[str, Sequence[str]]) -> None:
        """Keep who is in which groups of a hub from a day on, where that is not what it was."""
        await self.database.write(partial(_note_groups, day=day, hub=hub, groups=groups))

    async def groups(self, day: Date) -> Groups:
        """The groups of users as of a day; of those who were seen later only, their first."""
        return await self.database.read(partial(_groups, day=day))

    async def prune(self, before: Date) -> int:
        """Delete the days before this one; returns how many days of hubs there were."""
        return await self.database.write(partial(_prune, before=before))


def _write(
    connection: Connection,
    *,
    day: Date,
    hub: str,
    used: Sequence[Used],
    coverage: float,
    now: datetime.datetime,
) -> bool:
    days, rows = USAGE_DAYS.c, DAILY_USAGE.c
    at = (days.day == day) & (days.hub == hub)
    theirs = (rows.day == day) & (rows.hub == hub)
    kept = connection.execute(select(days.restated).where(at)).scalar()
    columns = (rows.username, rows.kind, rows.resource, rows.amount)
    found = connection.execute(select(*columns).where(theirs)).all() if kept is not None else []
    other = kept is not None and sorted(Used(*one) for one in found) != list(used)
    marked = {
        "coverage": min(max(round(coverage * MILLION), 0), MILLION),
        "read_at": round(now.timestamp() * MILLION),
        "restated": (kept or 0) + other,
    }
    if kept is None:
        connection.execute(insert(USAGE_DAYS).values(day=day, hub=hub, **marked))
    else:
        connection.execute(update(USAGE_DAYS).where(at).values(**marked))
    if kept is None or other:
        connection.execute(delete(DAILY_USAGE).where(theirs))
        values = [
            {"day": day, "hub": hub, "username": one.user, "kind": one.kind}
            | {"resource": one.resource, "amount": one.amount}
            for one in used
        ]
        insert_all(connection, DAILY_USAGE, values)
    return other


def version_of(connection: Connection, *, table: Table) -> tuple[int, ...]:
    """What changes with everything that is written into a table of days."""
    c = table.c
    last = select(func.count(), func.max(c.read_at), func.sum(c.restated)).select_from(table)
    return tuple(int(one or 0) for one in connection.execute(last).one())


def insert_all(connection: Connection, table: Table, values: Sequence[Mapping[str, Any]]) -> None:
    """Insert many rows, some at a time."""
    for start in range(0, len(values), AT_ONCE):
        connection.execute(insert(table), [dict(one) for one in values[start : start + AT_ONCE]])


def _days(connection: Connection, *, since: Date, until: Date) -> dict[At, UsageDay]:
    c = USAGE_DAYS.c
    found = connection.execute(
        select(c.day, c.hub, c.coverage, c.read_at, c.restated).where(c.day >= since, c.day < until)
    )
    return {
        (day, hub): UsageDay(
            coverage / MILLION,
            datetime.datetime.fromtimestamp(read_at / MILLION, datetime.UTC),
            restated,
        )
        for day, hub, coverage, read_at, restated in found
    }


def _usage(
    connection: Connection, *, since: Date, until: Date, by_user: bool
) -> dict[Date, DayUsage]:
    c = DAILY_USAGE.c
    everybody = case((c.username == NOBODY, NOBODY), else_=EVERYBODY)
    user_of = c.username if by_user else everybody
    used: dict[Date, dict[str, dict[str, dict[str, int]]]] = defaultdict(dict)
    for day, hub in _days(connection, since=since, until=until):
        used[day][hub] = {}
    summed = (
        select(c.day, c.hub, user_of.label("whose"), c.resource, func.sum(c.amount))
        .where(c.day >= since, c.day < until)
        .group_by(c.day, c.hub, "whose", c.resource)
    )
    for day, hub, user, resource, amount in connection.execute(summed):
        of_hub = used[day].setdefault(hub, {})
        of_hub.setdefault(user, {})[resource] = int(amount)
    return {day: DayUsage(of_day) for day, of_day in used.items()}


def _note_groups(
    connection: Connection, *, day: Date, hub: str, groups: Mapping[str, Sequence[str]]
) -> None:
    c = MEMBERSHIPS.c
    known: dict[str, str] = {}
    of_hub = select(c.username, c.groups).where(c.hub == hub, c.since <= day).order_by(c.since)
    for user, names in connection.execute(of_hub):
        known[user] = names
    # Who is seen no more is in no group any more.
    now: dict[str, Sequence[str]] = {user: [] for user, names in known.items() if names != "[]"}
    now |= groups
    new = []
    for user, names in now.items():
        text = json.dumps(sorted(set(names)))
        if is_storable(user) and known.get(user) != text:
            new.append({"hub": hub, "username": user, "since": day, "groups": text})
    if new:
        names = [one["username"] for one in new]
        for start in range(0, len(names), AT_ONCE):
            some = c.username.in_(names[start : start + AT_ONCE])
            connection.execute(delete(MEMBERSHIPS).where(c.hub == hub, c.since == day, some))
        insert_all(connection, MEMBERSHIPS, new)


def _groups(connection: Connection, *, day: Date) -> Groups:
    c = MEMBERSHIPS.c
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    rows = connection.execute(select(c.hub, c.username, c.since, c.groups).order_by(c.since))
    for hub, user, since, names in rows:
        if since <= day or (hub, user) not in found:
            found[hub, user] = tuple(json.loads(names))
    return found


def _prune(connection: Connection, *, before: Date) -> int:
    connection.execute(delete(DAILY_USAGE).where(DAILY_USAGE.c.day < before))
    return connection.execute(delete(USAGE_DAYS).where(USAGE_DAYS.c.day < before)).rowcount


def is_storable(name: str) -> bool:
    """Whether a name can be written into every database."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return len(name) <= LONGEST_NAME and "\0" not in name


def _storable(used: Iterable[Used]) -> list[Used]:
    """The rows in order, each of them once, with names that every database takes.

    What a name that cannot be written used counts for `NOBODY`: the sums keep it.
    """
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    for one in used:
        user = one.user if is_storable(one.user) else NOBODY
        kind = one.kind if is_storable(one.kind) else ""
        sums[user, kind, one.resource] += one.amount
    return sorted(Used(*at, min(amount, LARGEST)) for at, amount in sums.items() if amount > 0)
