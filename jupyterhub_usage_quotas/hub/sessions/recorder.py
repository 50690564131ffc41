"""The recorder: it keeps the session log of a Hub, and answers what is in it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ...ledger.sql.sessions import DELETED_AT_ONCE, SessionChanges, SqlSessions
from ...metering.client.worker import run_in_worker
from ...quotas.in_flight import Running
from ...quotas.sessions import Session, SessionExtract
from ...quotas.subject import Subject
from ...status.pace import Pace
from ..launch.kept import kept_of
from ..launch.servers import running_spawners, started_at
from ..types import HubSpawner, HubUser
from .book import REMEMBERED, Server, SessionBook, as_of, together
from .described import running_of, server_of, session_of
from .spawners import note_start_and_end

LOOK_AGAIN: Final = 1.0
"""Seconds after which it is looked again whether the Hub has found its servers, after a restart."""
LONGEST_WAIT: Final = 1.0
"""Seconds for which a reading waits for that."""
LONGEST_SEARCH: Final = 600.0
"""Seconds after which a server that the Hub has not found is taken to be gone."""
FORGET_EVERY: Final = 600.0
PRUNE_EVERY: Final = 3600.0


class RecorderEvents(Protocol):
    """Gets what comes of writing the log."""

    def wrote(self, unwritten: int) -> None:
        """All was written, but for what came meanwhile."""
        ...

    def failed(self, error: Exception, unwritten: int, dropped: int) -> None:
        """It could not be written; it is kept in memory, but for what was dropped."""
        ...


@dataclass(frozen=True, slots=True)
class HubServers:
    """The servers of a Hub: those in memory that run or are checked, by its users; and those that
    are running as far as its database knows, with when they were launched.
    """

    users: Callable[[], Iterable[HubUser]]
    stored: Callable[[], Mapping[Server, float | None]]


class SessionRecorder:
    """Records the sessions of a Hub, and is their `SessionRecords`.

    What happens is in memory at once, and written a moment later; `keep` does that, with a
    heartbeat. While the database is away it goes on in memory.
    """

    def __init__(
        self,
        store: SqlSessions,
        hub: str,
        servers: HubServers,
        events: RecorderEvents,
        log: logging.Logger,
        *,
        heartbeat: float,
        kept: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.book = SessionBook(hub, clock())
        self._store = store
        self._servers = servers
        self._events = events
        self._log = log
        self._heartbeat = heartbeat
        self._kept = kept
        self._clock = clock
        self._born = clock()
        self._pruned = 0.0
        self._forgot = clock()
        self._happened = asyncio.Event()
        self._found = asyncio.Event()
        self._spawners: dict[Server, HubSpawner] = {}
        self._known_in_flight: dict[str, tuple[object, tuple[list[Running], list[Running]]]] = {}
        """By username, what is in flight, and what it was made of."""
        self._ended_before_found: dict[Server, float] = {}
        """When servers that outlived the Hub before ended, while the log could not be read."""

    @property
    def found(self) -> bool:
        """Whether it is known which servers outlived the Hub that ran before."""
        return self._found.is_set()

    @property
    def shown(self) -> str:
        """See `SessionRecords.shown`."""
        return self._store.shown

    # --- what happens ----------------------------------------------------------------------------

    def watch(self, spawner: HubSpawner) -> None:
        """Note when this spawner's server starts, and ends."""
        note_start_and_end(spawner, self._started, self._ended)

    def _started(self, spawner: HubSpawner) -> None:
        self._begin(spawner, self._clock())

    def _begin(self, spawner: HubSpawner, at: float) -> None:
        server = server_of(spawner)
        if server is None:
            return
        self._spawners[server] = spawner
        if self.book.session_of(server) is None:
            self.book.begin(session_of(spawner, server, self.book.hub, at))
            self._happened.set()

    def _ended(self, spawner: HubSpawner) -> None:
        server = server_of(spawner)
        if server is not None and self._spawners.get(server) is spawner:
            self._end(server)

    def _end(self, server: Server) -> None:
        self._spawners.pop(server, None)
        if self.book.end(server, self._clock()):
            self._happened.set()
        elif not self.found:
            self._ended_before_found.setdefault(server, self._clock())

    # --- keeping it ------------------------------------------------------------------------------

    async def keep(self) -> None:
        """Write what happens, and a heartbeat, until cancelled."""
        while True:
            self._happened.clear()
            try:
                await self.beat()
                pause = self._heartbeat if self.found else LOOK_AGAIN
            except Exception as error:
                self._events.failed(error, self.book.unwritten, self.book.dropped)
                pause = min(self._heartbeat, 10 * LOOK_AGAIN)
                # What happens meanwhile is written then; the database is not asked more often.
                await asyncio.sleep(LOOK_AGAIN)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._happened.wait(), pause)

    async def beat(self) -> None:
        """Look at the servers that run, and write. Raises `LedgerUnavailable`."""
        if not self.found:
            await self._find()
        if not self.found:
            return
        await self._compare()
        changes = self.book.changes(self._clock())
        await self._store.write(changes)
        self._wrote(changes)
        await self._forget()
        await self._prune()

    async def _forget(self) -> None:
        """Forget now and then what ended long ago: that is in the database."""
        now = self._clock()
        if now - self._forgot >= FORGET_EVERY:
            self._forgot = now
            self._known_in_flight.clear()
            pace = Pace()
            for _ in self.book.forget(now - REMEMBERED):
                await pace.keep()

    def _wrote(self, changes: SessionChanges) -> None:
        self.book.written(changes)
        self._events.wrote(self.book.unwritten)

    async def _find(self) -> None:
        """Find the servers whose sessions had not ended when the Hub did: they go on where those
        still run, and else ended when they were seen last. Nothing is found before the Hub has
        looked for all of them. What the Hub before knew and did not write is lost, so the time in
        between stays a gap.
        """
        for server, spawner in self._active().items():
            if spawner.pending not in ("check", "spawn"):
                self._spawners.setdefault(server, spawner)
                self.watch(spawner)
        unfinished = await self._store.unfinished(self.book.hub)
        stored, active = self._servers.stored(), self._active()
        going_on, gone = [], []
        for session in unfinished.sessions:
            server = session.username, session.server_name
            launched, found = stored.get(server), active.get(server)
            if server not in stored or (launched is not None and session.started < launched):
                # Another was launched since.
                gone.append(session)
            elif found is not None and found.pending != "check":
                going_on.append((session, found))
            elif self._clock() < self._born + LONGEST_SEARCH:
                return
            else:
                gone.append(session)
        for session, spawner in going_on:
            self._spawners[session.username, session.server_name] = spawner
            self.book.go_on(session)
            self.watch(spawner)
        for session in gone:
            server = session.username, session.server_name
            self.book.lost(session, self._ended_before_found.get(server, session.seen))
        self._found.set()
        if unfinished.sessions:
            self._log.info(
                "The session log goes on: servers that outlived the Hub: %d; that did not: %d",
                len(going_on),
                len(gone),
            )

    def _active(self) -> Mapping[Server, HubSpawner]:
        spawners = (one for _, one in running_spawners(list(self._servers.users())))
        return {server: one for one in spawners if (server := server_of(one)) is not None}

    async def _compare(self) -> None:
        """Begin and end what was not noted, for example where a hook of ours was replaced."""
        pace = Pace()
        for server, spawner in list(self._spawners.items()):
            gone = not spawner.active or server_of(spawner) != server
            if gone and self._spawners.get(server) is spawner:
                self._end(server)
            await pace.keep()
        for user in list(self._servers.users()):
            for _, spawner in running_spawners([user]):
                found = server_of(spawner)
                if found is not None and self.book.session_of(found) is None:
                    self.watch(spawner)
                    since = started_at(spawner)
                    self._begin(spawner, since.timestamp() if since else self._clock())
            await pace.keep()

    async def _prune(self) -> None:
        now = self._clock()
        if now - self._pruned < PRUNE_EVERY:
            return
        if await self._store.prune(self.book.hub, now - self._kept) < DELETED_AT_ONCE:
            self._pruned = now

    # --- what is in it ---------------------------------------------------------------------------

    async def between(
        self, hub: str, users: Collection[str] | None, start: float, end: float
    ) -> SessionExtract:
        """See `SessionRecords.between`. What is recent is in memory, and needs no database."""
        if not self.found:
            # Mostly it is a moment after the Hub's start.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._found.wait(), LONGEST_WAIT)
        now = self._clock()
        watches = (self.book.watch,) if self.found else ()
        known = await run_in_worker(as_of, self.book.parts(users), watches, now)
        if self.found and start >= self.book.complete_since:
            return known
        return together(await self._store.between(hub, users, start, end), known)

    def in_flight(
        self, users: Iterable[HubUser], subject_of: Callable[[HubUser], Subject]
    ) -> tuple[Mapping[str, Sequence[Running]], Mapping[str, Sequence[Running]]]:
        """The servers of users that run, and that ended a while ago, by username."""
        running: dict[str, Sequence[Running]] = {}
        ended: dict[str, Sequence[Running]] = {}
        for user in users:
            run, over = self.book.of_user(user.name)
            if run or over:
                runs, past = self._in_flight_of(user.name, run, over, subject_of(user))
                if runs:
                    running[user.name] = runs
                if past:
                    ended[user.name] = past
        return running, ended

    def _in_flight_of(
        self, name: str, run: Sequence[Session], over: Sequence[Session], subject: Subject
    ) -> tuple[Sequence[Running], Sequence[Running]]:
        """What is in flight of a user. It is the same for as long as nothing happens to their
        servers, and there may be ten thousand.
        """
        spawners = [self._spawners.get((one.username, one.server_name)) for one in run]
        starting = [one is not None and one.pending == "spawn" for one in spawners]
        kept = [None if one is None else kept_of(one) for one in spawners]
        made_of = (run, over, starting, kept, subject)
        known = self._known_in_flight.get(name)
        if known is None or known[0] != made_of:
            # What a launch needs is spoken for until it is complete.
            runs = [one for one, starts in zip(run, starting, strict=True) if not starts]
            past = [*over, *(one for one in run if one not in runs)]
            both = (
                list(running_of(runs, subject, self._needs_of)),
                list(running_of(past, subject, self._needs_of)),
            )
            known = self._known_in_flight[name] = made_of, both
        return known[1]

    def _needs_of(self, session: Session) -> Mapping[str, float]:
        """What had to remain for the launch of a server, which keeps it until it ran so long."""
        spawner = self._spawners.get((session.username, session.server_name))
        return kept.needs if spawner is not None and (kept := kept_of(spawner)) else {}
