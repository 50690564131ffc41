"""The session log in SQL: rows that are updated for as long as a server runs."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Select, Table, and_, bindparam, or_, select

from ...quotas.sessions import Session, SessionExtract, Watch
from .database import Database
from .rows import Row
from .schema import SESSIONS, WATCHES

One = TypeVar("One")

AT_ONCE: Final = 500
"""Of ids and names in a statement: databases have limits."""
DELETED_AT_ONCE: Final = 5_000
"""Rows that one transaction deletes: others want to write, too."""
MICROSECONDS: Final = 1_000_000
"""Of what is stored, in a second."""


@dataclass(frozen=True, slots=True)
class SessionChanges:
    """What is written at once: sessions as they are now, and the `watch` of the Hub, whose other
    sessions that have not ended are seen when that is.
    """

    watch: Watch
    sessions: Sequence[Session] = ()


class SqlSessions:
    """The sessions and watches of Hubs. Everything raises `LedgerUnavailable`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @property
    def shown(self) -> str:
        """Where they are, without the password."""
        return self.database.where.shown

    async def between(
        self, hub: str, users: Collection[str] | None, start: float, end: float
    ) -> SessionExtract:
        """What there is of a Hub in `(start, end]`, whole: of these users, or of all for None."""
        return await self.database.read(
            partial(_between, hub=hub, users=users, start=start, end=end)
        )

    async def unfinished(self, hub: str) -> SessionExtract:
        """The sessions of a Hub that have not ended."""
        return await self.database.read(partial(_unfinished, hub=hub))

    async def write(self, changes: SessionChanges) -> None:
        """Write all of it, or nothing; what was written before is written over."""
        await self.database.write(partial(_write, changes=changes))

    async def prune(self, hub: str, before: float) -> int:
        """Delete what of a Hub ended before an instant, at most `DELETED_AT_ONCE` sessions; returns
        how many.
        """
        return await self.database.write(partial(_prune, hub=hub, before=before))


def _between(
    connection: Connection,
    hub: str,
    users: Collection[str] | None,
    start: float,
    end: float,
) -> SessionExtract:
    begin, until = stored(start), stored(end)
    of_hub = and_(
        SESSIONS.c.hub == hub,
        SESSIONS.c.started < until,
        or_(SESSIONS.c.ended.is_(None), SESSIONS.c.ended > begin),
    )
    found = select(SESSIONS).where(of_hub)
    wanted = None if users is None else set(users)
    if wanted is not None and len(wanted) <= AT_ONCE:
        found = found.where(SESSIONS.c.username.in_(sorted(wanted)))
    rows = (row for row in _rows(connection, found) if wanted is None or row["username"] in wanted)
    watched = select(WATCHES).where(
        WATCHES.c.hub == hub, WATCHES.c.started < until, WATCHES.c.seen > begin
    )
    return _extract(rows, _rows(connection, watched))


def _unfinished(connection: Connection, hub: str) -> SessionExtract:
    going_on = select(SESSIONS).where(SESSIONS.c.hub == hub, SESSIONS.c.ended.is_(None))
    return _extract(_rows(connection, going_on), ())


def _write(connection: Connection, changes: SessionChanges) -> None:
    watch = changes.watch
    _put(connection, SESSIONS, [row_of_session(one) for one in changes.sessions])
    _put(connection, WATCHES, [row_of_watch(watch)])
    # One statement, however many servers run. What ended has its end by now.
    seen = stored(watch.seen)
    running = and_(SESSIONS.c.hub == watch.hub, SESSIONS.c.ended.is_(None), SESSIONS.c.seen < seen)
    connection.execute(SESSIONS.update().where(running).values(seen=seen))


def _put(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, and update those that are there: in words that all three databases have."""
    for some in _in_parts(rows):
        ids = [row["id"] for row in some]
        there = set(connection.scalars(select(table.c.id).where(table.c.id.in_(ids))))
        if new := [row for row in some if row["id"] not in there]:
            connection.execute(table.insert(), new)
        if old := [row | {"of": row["id"]} for row in some if row["id"] in there]:
            connection.execute(table.update().where(table.c.id == bindparam("of")), old)


def _prune(connection: Connection, hub: str, before: float) -> int:
    until = stored(before)
    old = select(SESSIONS.c.id).where(SESSIONS.c.hub == hub, SESSIONS.c.ended < until)
    ids = connection.scalars(old.limit(DELETED_AT_ONCE)).all()
    for some in _in_parts(ids):
        connection.execute(SESSIONS.delete().where(SESSIONS.c.id.in_(some)))
    connection.execute(WATCHES.delete().where(WATCHES.c.hub == hub, WATCHES.c.seen < until))
    return len(ids)


def _in_parts(many: Sequence[One]) -> Iterator[Sequence[One]]:
    return (many[at : at + AT_ONCE] for at in range(0, len(many), AT_ONCE))


def _rows(connection: Connection, statement: Select[Any]) -> Iterator[Row]:
    return iter(connection.execute(statement).mappings())


def _extract(rows: Iterable[Row], watches: Iterable[Row]) -> SessionExtract:
    sessions, unreadable = [], 0
    for row in rows:
        try:
            sessions.append(session_of(row))
        except (ValueError, TypeError, AttributeError):
            # Somebody else's hand: it must not take the other sessions with it.
            unreadable += 1
    return SessionExtract(tuple(sessions), tuple(map(watch_of, watches)), unreadable)


def row_of_session(session: Session) -> dict[str, Any]:
    """What is stored of a session."""
    created, ended = session.user_created, session.ended
    return {
        "id": session.id,
        "hub": session.hub,
        "username": session.username,
        "user_created": None if created is None else stored(created),
        "server_name": session.server_name,
        "profile": session.profile,
        "profile_name": session.profile_name,
        "choices": json.dumps(list(session.choices)),
        "rates": json.dumps(dict(session.rates), allow_nan=False),
        "unknown": json.dumps(sorted(session.unknown)),
        "started": stored(session.started),
        "seen": stored(session.seen),
        "ended": None if ended is None else stored(ended),
    }


def session_of(row: Row) -> Session:
    """The session of a row. Raises ValueError, TypeError or AttributeError where it is none."""
    rates = {str(name): float(rate) for name, rate in json.loads(row["rates"]).items()}
    if not all(0 <= rate < math.inf for rate in rates.values()):
        raise ValueError("a rate is negative or not finite")
    created, ended = row["user_created"], row["ended"]
    return Session(
        id=row["id"],
        hub=row["hub"],
        username=row["username"],
        server_name=row["server_name"],
        started=instant(row["started"]),
        seen=instant(row["seen"]),
        ended=None if ended is None else instant(ended),
        rates=rates,
        unknown=frozenset(map(str, json.loads(row["unknown"]))),
        profile=row["profile"],
        profile_name=row["profile_name"],
        choices=tuple(map(str, json.loads(row["choices"]))),
        user_created=None if created is None else instant(created),
    )


def row_of_watch(watch: Watch) -> dict[str, Any]:
    """What is stored of a watch."""
    return {
        "id": watch.id,
        "hub": watch.hub,
        "started": stored(watch.started),
        "seen": stored(watch.seen),
    }


def watch_of(row: Row) -> Watch:
    """The watch of a row."""
    return Watch(row["id"], row["hub"], instant(row["started"]), instant(row["seen"]))


def stored(instant: float) -> int:
    """An instant as it is stored: in microseconds."""
    return round(instant * MICROSECONDS)


def instant(stored: int) -> float:
    """What was stored, in seconds."""
    return stored / MICROSECONDS
