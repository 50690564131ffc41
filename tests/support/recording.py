"""A machine whose Hub records its sessions: servers start and stop, the Hub is killed and boots,
its database is away and comes back. What really ran is written down second by second: the oracle.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st

from jupyterhub_usage_quotas.errors import LedgerUnavailable
from jupyterhub_usage_quotas.hub.launch.kept import keep
from jupyterhub_usage_quotas.hub.sessions.recorder import HubServers, SessionRecorder
from jupyterhub_usage_quotas.ledger.sql.sessions import SessionChanges
from jupyterhub_usage_quotas.metering.sources.base import StepRange
from jupyterhub_usage_quotas.metering.sources.session_log import SessionLog
from jupyterhub_usage_quotas.metering.timelines import buckets
from jupyterhub_usage_quotas.quotas.sessions import Session, SessionExtract, Watch
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request
from tests.support.hub_objects import hub_spawner, hub_user

BEGIN = 1_795_867_200
BEAT = 60
SERVERS = [("ada", ""), ("ada", "gpu"), ("bob", "")]
RATES = {"": {"memory": 2.0**30, "time": 1.0}, "gpu": {"memory": 2.0**31, "gpu": 1.0, "time": 1.0}}


@dataclass
class Stored:
    """A database: rows, and what comes of every write; `away` while it does not answer."""

    rows: dict[str, Session] = field(default_factory=dict)
    watches: dict[str, Watch] = field(default_factory=dict)
    away: bool = False
    reads: int = 0
    shown: str = "sqlite:///log"

    def _answer(self) -> None:
        if self.away:
            raise LedgerUnavailable("the database is away")

    async def between(
        self, hub: str, users: Collection[str] | None, start: float, end: float
    ) -> SessionExtract:
        self._answer()
        self.reads += 1
        sessions = [one for one in self.rows.values() if users is None or one.username in users]
        return SessionExtract(sessions, list(self.watches.values()))

    async def unfinished(self, hub: str) -> SessionExtract:
        self._answer()
        going_on = [one for one in self.rows.values() if one.ended is None]
        return SessionExtract(going_on)

    async def write(self, changes: SessionChanges) -> None:
        self._answer()
        self.rows |= {one.id: one for one in changes.sessions}
        self.watches[changes.watch.id] = changes.watch
        seen = changes.watch.seen
        self.rows = {key: one.seen_at(seen) for key, one in self.rows.items()}

    async def prune(self, hub: str, before: float) -> int:
        self._answer()
        old = [key for key, one in self.rows.items() if one.ended and one.ended < before]
        for key in old:
            del self.rows[key]
        return len(old)


@dataclass
class Run:
    """A server, and the seconds that it really ran, each by its end."""

    server: tuple[str, str]
    started: int
    spawner: Any
    seconds: list[int] = field(default_factory=list)
    by: Any = None
    """The recorder of the Hub that started it."""
    ended: bool = False
    written: bool = False
    """Whether its start is in the database."""
    final: bool = False
    """Whether its end is in the database."""


class Events:
    """Counts what the recorder says."""

    def __init__(self) -> None:
        self.failures = self.written = 0

    def wrote(self, unwritten: int) -> None:
        self.written += 1
        assert unwritten == 0

    def failed(self, error: Exception, unwritten: int, dropped: int) -> None:
        self.failures += 1


class World:
    """A machine, its Hub, and its database, second by second."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.database = Stored()
        self.runs: list[Run] = []
        self.running: dict[tuple[str, str], Run] = {}
        self.recorder: SessionRecorder | None = None
        self.last_write = -1
        self.last_beat = BEGIN
        self.lost = False

    # --- what happens ----------------------------------------------------------------------------

    async def boot(self) -> None:
        """The Hub starts, and finds its servers; those that died are gone from its database."""
        if self.recorder:
            return
        users = {name: hub_user(name) for name, _ in SERVERS}
        for (name, server), run in self.running.items():
            run.spawner = self.spawner(users[name], server, run.started)
            users[name].spawners[server] = run.spawner
        self.users = users
        self.recorder = SessionRecorder(
            self.database,
            "",
            HubServers(lambda: list(users.values()), self._stored),
            Events(),
            logging.getLogger("test"),
            heartbeat=BEAT,
            kept=1e9,
            clock=lambda: float(self.now),
        )
        await self.beat()

    def crash(self) -> None:
        """The Hub is killed: of what is not written, what it knew is lost."""
        self.recorder = None
        for run in self.runs:
            if run.ended and not run.final:
                self._only_written(run)
                run.final = True

    async def start(self, server: tuple[str, str]) -> None:
        if self.recorder is None or server in self.running:
            return
        user = self.users[server[0]]
        spawner = self.spawner(user, server[1], self.now)
        user.spawners[server[1]] = spawner
        run = Run(server, self.now, spawner, by=self.recorder)
        self.running[server] = run
        self.runs.append(run)
        self.recorder.watch(spawner)
        spawner.start_polling()
        await self.beat()

    async def end(self, server: tuple[str, str]) -> None:
        """A server stops; where no Hub sees that, it is known until it was written last."""
        if server not in self.running:
            return
        run = self.running.pop(server)
        run.ended = True
        if self.recorder is None:
            self._only_written(run)
            run.final = True
            return
        if not (self.recorder.found or run.written or run.by is self.recorder):
            # It was launched and it ended while the log was away, on the watch of two Hubs.
            run.seconds, self.lost = [], True
        run.spawner.active = False
        run.spawner.run_post_stop_hook()
        run.spawner.clear_state()
        del self.users[server[0]].spawners[server[1]]
        await self.beat()

    async def passes(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            for run in self.running.values():
                run.seconds.append(self.now)
            if self.now >= self.last_beat + BEAT:
                await self.beat()

    async def beat(self) -> None:
        if self.recorder is None:
            return
        self.last_beat = self.now
        try:
            await self.recorder.beat()
        except LedgerUnavailable:
            return
        self.last_write = self.now
        for run in self.runs:
            run.final |= run.ended
            run.written = True

    def _only_written(self, run: Run) -> None:
        kept = [one for one in run.seconds if run.written and one <= self.last_write]
        self.lost |= len(kept) < len(run.seconds)
        run.seconds = kept

    def spawner(self, user: SimpleNamespace, name: str, started: int) -> SimpleNamespace:
        at = datetime.fromtimestamp(started, UTC)
        made = hub_spawner(name, user=user, active=True)
        made.orm_spawner = SimpleNamespace(started=at.replace(tzinfo=None), state=None)
        keep(made, Request(Subject(user.name), name, "p", RATES[name], "P"), at)
        return made

    def _stored(self) -> dict[tuple[str, str], float | None]:
        return {server: float(run.started) for server, run in self.running.items()}

    # --- what is known ---------------------------------------------------------------------------

    def truth(self, user: str, resource: str, start: int, end: int) -> float:
        """What was used, added up second by second."""
        return sum(
            RATES[run.server[1]].get(resource, 0.0)
            for run in self.runs
            for second in run.seconds
            if run.server[0] == user and start < second <= end
        )

    async def known(self, records: Any, user: str, resource: str, start: int, end: int) -> float:
        span = (datetime.fromtimestamp(one, UTC) for one in (start, end))
        segment = await SessionLog("", records).read([user], StepRange(*span))
        kept = segment.usage.get(user)
        return sum(one.amount for one in buckets(kept, resource)) if kept else 0.0


WHAT = [
    "start",
    "start",
    "start",
    "end",
    "end",
    "crash",
    "boot",
    "boot",
    "away",
    "back",
    "back",
    "waits",
]
STEPS = st.lists(
    st.tuples(st.sampled_from(WHAT), st.sampled_from(SERVERS), st.integers(0, 100)),
    min_size=6,
    max_size=30,
)
"""What happens, to which server, and the seconds that pass then."""


async def live(world: World, steps: list[tuple[str, tuple[str, str], int]]) -> None:
    """Let all that happen; in the end the Hub and its database are there."""
    await world.boot()
    for what, server, seconds in steps:
        match what:
            case "away" | "back":
                world.database.away = what == "away"
            case "waits":
                # Longer than what a meter reads again anyway.
                await world.passes(700)
            case "crash":
                world.crash()
            case "boot":
                await world.boot()
            case _:
                await getattr(world, what)(server)
        await world.passes(seconds)
    world.database.away = False
    await world.boot()
    await world.beat()
