"""What the guard of running servers must not forget, and its notices, in SQL."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, delete, select, update

from ...quotas.stopping.notices import Notice, NoticeKind, WatchedServer
from ...quotas.stopping.states import State
from ...quotas.stopping.steps import Watch
from .database import Database
from .rows import Row, instant, stored_instant
from .schema import GUARD, NOTICES

AT_ONCE: Final = 500
"""Of ids in a statement: databases have limits."""


@dataclass(frozen=True, slots=True)
class GuardChanges:
    """What is written at once: watches as they are now, those that are over, by id, and what users
    are told. What is not to be sent has nobody to send it to.
    """

    watches: Mapping[WatchedServer, Watch]
    over: Collection[WatchedServer] = ()
    notices: Sequence[Notice] = ()
    sent: bool = False


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a Hub's guard knew, and what it told users."""

    watches: Mapping[WatchedServer, Watch]
    notices: Sequence[Notice]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A notice that is to be sent; `taken_by` are the targets that have it."""

    notice: Notice
    taken_by: frozenset[str]
    attempts: int


class SqlGuard:
    """The tables of one Hub's guard. Everything raises `LedgerUnavailable`."""

    def __init__(self, database: Database, hub: str) -> None:
        self._database = database
        self._hub = hub

    async def load(self, since: datetime) -> Remembered:
        """What it knew, and what it told users since an instant."""
        return await self._database.read(partial(_load, hub=self._hub, since=since))

    async def write(self, changes: GuardChanges) -> None:
        """Write all of it, or nothing. A notice that is there already is not written again."""
        await self._database.write(partial(_write, hub=self._hub, changes=changes))

    async def outgoing(self, now: datetime, limit: int) -> Sequence[Outgoing]:
        """Notices whose time to be sent has come, the oldest first."""
        return await self._database.read(partial(_outgoing, hub=self._hub, now=now, limit=limit))

    async def sent(self, tried: Sequence[tuple[Outgoing, datetime | None]]) -> None:
        """Note who took notices, and when they are sent to the others; None for never."""
        await self._database.write(partial(_note, tried=tried))

    async def forget(self, before: datetime) -> None:
        """Delete notices that are older, sent or not."""
        await self._database.write(partial(_forget, hub=self._hub, before=before))


def _load(connection: Connection, hub: str, since: datetime) -> Remembered:
    watches = connection.execute(select(GUARD).where(GUARD.c.hub == hub)).mappings()
    notices = connection.execute(
        select(NOTICES)
        .where(NOTICES.c.hub == hub, NOTICES.c.created >= stored_instant(since))
        .where(NOTICES.c.kind != NoticeKind.SUMMARY.value)
        .order_by(NOTICES.c.created)
    ).mappings()
    return Remembered(
        {_watched(row): _watch(row) for row in watches}, [_notice(row) for row in notices]
    )


def _write(connection: Connection, hub: str, changes: GuardChanges) -> None:
    gone = [one.id for one in (*changes.over, *changes.watches)]
    for some in _in_slices(gone):
        connection.execute(delete(GUARD).where(GUARD.c.id.in_(some)))
    _insert(connection, GUARD, [_row(one, watch) for one, watch in changes.watches.items()])
    there: set[str] = set()
    for some in _in_slices([one.id for one in changes.notices]):
        there.update(connection.scalars(select(NOTICES.c.id).where(NOTICES.c.id.in_(some))))
    new = {one.id: one for one in changes.notices if one.id not in there}
    rows = [_row_of_notice(one, hub, to_send=changes.sent) for one in new.values()]
    _insert(connection, NOTICES, rows)


def _insert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(table.insert(), rows)


def _in_slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[at : at + AT_ONCE] for at in range(0, len(ids), AT_ONCE))


def _outgoing(connection: Connection, hub: str, now: datetime, limit: int) -> list[Outgoing]:
    rows = connection.execute(
        select(NOTICES)
        .where(NOTICES.c.hub == hub, NOTICES.c.next_attempt <= stored_instant(now))
        .order_by(NOTICES.c.next_attempt, NOTICES.c.created)
        .limit(limit)
    ).mappings()
    return [
        Outgoing(_notice(row), frozenset(json.loads(row["taken_by"])), row["attempts"])
        for row in rows
    ]


def _note(connection: Connection, tried: Iterable[tuple[Outgoing, datetime | None]]) -> None:
    rows = [
        {
            "of": one.notice.id,
            "taken_by": json.dumps(sorted(one.taken_by)),
            "next_attempt": _stored(again),
            "attempts": one.attempts,
        }
        for one, again in tried
    ]
    if rows:
        connection.execute(update(NOTICES).where(NOTICES.c.id == bindparam("of")), rows)


def _forget(connection: Connection, hub: str, before: datetime) -> None:
    old = NOTICES.c.created < stored_instant(before)
    connection.execute(delete(NOTICES).where(NOTICES.c.hub == hub, old))


def _watched(row: Row) -> WatchedServer:
    return WatchedServer(
        row["hub"], row["username"], row["server_name"], row["policy"], instant(row["started"])
    )


def _watch(row: Row) -> Watch:
    return Watch(
        State(row["state"]),
        _read(row["over_since"]),
        frozenset(timedelta(seconds=one) for one in json.loads(row["warned"])),
        _read(row["grace_until"]),
        _read(row["asked_at"]),
        row["episode"],
    )


def _row(one: WatchedServer, watch: Watch) -> dict[str, Any]:
    return {
        "id": one.id,
        "hub": one.hub,
        "username": one.user,
        "server_name": one.server,
        "policy": one.policy,
        "started": stored_instant(one.started),
        "state": watch.state.value,
        "over_since": _stored(watch.over_since),
        "warned": json.dumps(sorted(before.total_seconds() for before in watch.warned)),
        "grace_until": _stored(watch.grace_until),
        "asked_at": _stored(watch.asked_at),
        "episode": watch.episode,
    }


def _notice(row: Row) -> Notice:
    return Notice(
        row["id"],
        row["username"],
        row["server_name"],
        row["policy"],
        NoticeKind(row["kind"]),
        timedelta(seconds=row["threshold"]),
        _read(row["until"]),
        row["text"],
        instant(row["created"]),
    )


def _row_of_notice(one: Notice, hub: str, *, to_send: bool) -> dict[str, Any]:
    return {
        "id": one.id,
        "hub": hub,
        "username": one.user,
        "server_name": one.server,
        "policy": one.policy,
        "kind": one.kind.value,
        "threshold": round(one.threshold.total_seconds()),
        "until": _stored(one.until),
        "text": one.text,
        "created": stored_instant(one.at),
        "taken_by": "[]",
        "next_attempt": stored_instant(one.at) if to_send else None,
        "attempts": 0,
    }


def _stored(at: datetime | None) -> int | None:
    return None if at is None else stored_instant(at)


def _read(at: int | None) -> datetime | None:
    return None if at is None else instant(at)
