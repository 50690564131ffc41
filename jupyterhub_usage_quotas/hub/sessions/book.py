"""What the Hub has in memory of its sessions: those that run, those that ended a while ago, and
which of them are to be written. It has no clock: instants are seconds since the Unix epoch.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ...ledger.sql.sessions import SessionChanges
from ...quotas.sessions import Session, SessionExtract, Watch

MOST_UNWRITTEN: Final = 100_000
"""Sessions that wait to be written; of more those that ended first are dropped."""
REMEMBERED: Final = 3600.0
"""The seconds for which sessions that ended stay in memory."""

Server = tuple[str, str]
"""A server by the names of its user and of itself."""


def new_id() -> str:
    """An id of a session, or a watch."""
    return uuid.uuid4().hex


class SessionBook:
    """The sessions of one Hub. All that ended after `complete_since` are in it, and all that run.

    `dropped` is how many could not be kept until they were written.
    """

    def __init__(self, hub: str, now: float) -> None:
        self.watch = Watch(new_id(), hub, now, now)
        self.complete_since = now
        self.dropped = 0
        self._running: dict[str, dict[str, Session]] = {}
        self._ended: dict[str, list[Session]] = {}
        self._unwritten: dict[str, Session] = {}

    @property
    def hub(self) -> str:
        """The name of the Hub."""
        return self.watch.hub

    @property
    def unwritten(self) -> int:
        """How many sessions are to be written."""
        return len(self._unwritten)

    # --- what happens ----------------------------------------------------------------------------

    def begin(self, session: Session) -> None:
        """A server runs; what it ran before under the same name has ended by then."""
        self.end((session.username, session.server_name), session.started)
        self._running.setdefault(session.username, {})[session.server_name] = session
        self._to_write(session)

    def end(self, server: Server, at: float) -> Session | None:
        """A server does not run any more; returns its session, None where it had none."""
        username, server_name = server
        theirs = self._running.get(username, {})
        session = theirs.pop(server_name, None)
        if not theirs:
            self._running.pop(username, None)
        if session is None:
            return None
        ended = session.ended_at(at)
        self._ended.setdefault(username, []).append(ended)
        self._to_write(ended)
        return ended

    def go_on(self, session: Session) -> None:
        """A server that outlived its Hub still runs: its session, as it was written, goes on."""
        self._running.setdefault(session.username, {})[session.server_name] = session

    def lost(self, session: Session, at: float) -> None:
        """A server that ran on another Hub's watch has ended, at an instant as far as known."""
        ended = session.ended_at(at)
        self._ended.setdefault(session.username, []).append(ended)
        self._to_write(ended)

    def _to_write(self, session: Session) -> None:
        self._unwritten[session.id] = session
        if len(self._unwritten) > MOST_UNWRITTEN:
            first = next(
                (one for one in self._unwritten.values() if one.ended is not None), session
            )
            del self._unwritten[first.id]
            self.dropped += 1

    # --- what is written -------------------------------------------------------------------------

    def changes(self, now: float) -> SessionChanges:
        """What is to be written by now."""
        self.watch = replace(self.watch, seen=max(now, self.watch.seen))
        return SessionChanges(self.watch, tuple(self._unwritten.values()))

    def written(self, changes: SessionChanges) -> None:
        """What was to be written is; what changed meanwhile is still to be."""
        for session in changes.sessions:
            if self._unwritten.get(session.id) is session:
                del self._unwritten[session.id]

    def forget(self, before: float) -> Iterator[None]:
        """Forget what ended before an instant, unless it is still to be written; a user at a time,
        as far as it is iterated.
        """
        self.complete_since = max(self.complete_since, before)
        for username, theirs in list(self._ended.items()):
            kept = [one for one in theirs if one.until >= before or one.id in self._unwritten]
            if kept:
                self._ended[username] = kept
            else:
                del self._ended[username]
            yield

    # --- what is known ---------------------------------------------------------------------------

    def session_of(self, server: Server) -> Session | None:
        """The session of a server that runs."""
        return self._running.get(server[0], {}).get(server[1])

    def running(self) -> Mapping[Server, Session]:
        """All that run."""
        return {
            (username, name): session
            for username, theirs in self._running.items()
            for name, session in theirs.items()
        }

    def of_user(self, username: str) -> tuple[Sequence[Session], Sequence[Session]]:
        """A user's sessions that run, and those that ended a while ago."""
        running = tuple(self._running.get(username, {}).values())
        return running, tuple(self._ended.get(username, ()))

    def parts(self, users: Collection[str] | None) -> Parts:
        """All that is in memory, as it is: of these users, or of all for None. It is only copied
        here, to be looked through elsewhere.
        """
        names = {*self._running, *self._ended} if users is None else users
        parts = [tuple(self._running[name].values()) for name in names if name in self._running]
        return [*parts, *(tuple(self._ended[name]) for name in names if name in self._ended)]


Parts = Sequence[Sequence[Session]]
"""The sessions of several users."""


def as_of(parts: Parts, watches: Sequence[Watch], now: float) -> SessionExtract:
    """What was in memory, seen until an instant. A thread may do it while the Hub goes on."""
    return SessionExtract(
        tuple(one.seen_at(now) for theirs in parts for one in theirs),
        tuple(replace(one, seen=max(one.seen, now)) for one in watches),
    )


def together(stored: SessionExtract, known: SessionExtract) -> SessionExtract:
    """What is stored and what is in memory, which is newer, as one."""
    return SessionExtract(
        tuple(_newest(stored.sessions, known.sessions)),
        tuple({one.id: one for one in (*stored.watches, *known.watches)}.values()),
        stored.unreadable,
    )


def _newest(stored: Iterable[Session], known: Sequence[Session]) -> Iterator[Session]:
    newer = {one.id for one in known}
    yield from (one for one in stored if one.id not in newer)
    yield from known
