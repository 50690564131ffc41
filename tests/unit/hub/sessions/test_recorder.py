"""The recorder of sessions against a ledger of every second: whatever starts, stops, is killed, or
is away. The oracle writes down second by second what ran.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.errors import LedgerUnavailable
from jupyterhub_usage_quotas.hub.launch.kept import keep
from jupyterhub_usage_quotas.hub.sessions import book
from jupyterhub_usage_quotas.hub.sessions.recorder import HubServers, SessionRecorder
from jupyterhub_usage_quotas.ledger.sql.sessions import SessionChanges
from jupyterhub_usage_quotas.metering.sources.base import StepRange
from jupyterhub_usage_quotas.metering.sources.session_log import SessionLog
from jupyterhub_usage_quotas.metering.timelines import buckets
from jupyterhub_usage_quotas.quotas.sessions import Session, SessionExtract, Watch, unwatched
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
            run.spawner = self._spawner(users[name], server, run.started)
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
        spawner = self._spawner(user, server[1], self.now)
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

    def _spawner(self, user: SimpleNamespace, name: str, started: int) -> SimpleNamespace:
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
    await world.boot()
    for what, server, seconds in steps:
        match what:
            case "away" | "back":
                world.database.away = what == "away"
            case "waits":
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


@given(steps=STEPS, edges=st.tuples(st.integers(0, 3000), st.integers(1, 3000)))
def test_usage_is_that_of_a_ledger_of_every_second(steps, edges):
    async def run() -> None:
        world = World()
        await live(world, steps)
        start = BEGIN + edges[0] - 10
        for user in ("ada", "bob"):
            for resource in ("memory", "gpu", "time"):
                for begin, end in ((BEGIN - 10, world.now), (start, start + edges[1])):
                    until = min(end, world.now)
                    if begin >= until:
                        continue
                    true = world.truth(user, resource, begin, until)
                    for records in (world.recorder, world.database):
                        found = await world.known(records, user, resource, begin, until)
                        assert found == pytest.approx(true, rel=1e-12), (user, resource, steps)

    asyncio.run(run())


@given(steps=STEPS)
def test_where_something_was_lost_it_is_not_called_known(steps):
    async def run() -> None:
        world = World()
        await live(world, steps)
        gaps = unwatched(world.database.watches.values(), BEGIN, world.now)
        assert bool(gaps) or not world.lost

    asyncio.run(run())


async def test_a_kill_loses_no_more_than_a_heartbeat():
    world = World()
    await world.boot()
    await world.start(("ada", ""))
    await world.passes(3 * BEAT + 59)
    world.crash()
    await world.end(("ada", ""))
    await world.passes(1000)
    await world.boot()
    assert world.truth("ada", "time", BEGIN, world.now) == 3 * BEAT
    assert await world.known(world.recorder, "ada", "time", BEGIN, world.now) == 3 * BEAT


async def test_a_server_that_outlives_its_hub_goes_on_counting():
    world = World()
    await world.boot()
    await world.start(("ada", ""))
    await world.passes(100)
    world.crash()
    await world.passes(5000)
    await world.boot()
    await world.passes(30)
    assert await world.known(world.recorder, "ada", "time", BEGIN, world.now) == 5130
    # Whoever ran at neither end of the gap is not known.
    assert unwatched(world.database.watches.values(), BEGIN, BEGIN + 5100) == (
        (BEGIN + 60, BEGIN + 5100),
    )
    assert len(world.database.rows) == 1


async def test_what_is_recent_is_known_while_the_database_is_away():
    world = World()
    await world.boot()
    await world.start(("ada", ""))
    await world.passes(100)
    world.database.away = True
    reads = world.database.reads
    await world.passes(500)
    await world.end(("ada", ""))
    await world.passes(500)
    assert await world.known(world.recorder, "ada", "time", BEGIN, world.now) == 600
    assert world.database.reads == reads
    world.database.away = False
    await world.beat()
    assert await world.known(world.database, "ada", "time", BEGIN, world.now) == 600


async def test_it_waits_until_the_hub_has_looked_for_its_servers():
    """A server that is still checked may be gone."""
    world = World()
    await world.boot()
    await world.start(("ada", ""))
    await world.passes(100)
    world.crash()
    await world.passes(100)
    world.running["ada", ""].spawner.pending = "check"
    spawner = world._spawner
    world._spawner = lambda *a: SimpleNamespace(**vars(spawner(*a)) | {"pending": "check"})
    await world.boot()
    assert not world.recorder.found
    await world.passes(5)
    world.users["ada"].spawners[""].pending = None
    await world.beat()
    assert world.recorder.found
    assert await world.known(world.recorder, "ada", "time", BEGIN, world.now) == 205


async def test_a_server_that_was_launched_anew_meanwhile_is_another():
    world = World()
    await world.boot()
    await world.start(("ada", ""))
    await world.passes(BEAT)
    world.database.away = True
    await world.end(("ada", ""))
    await world.passes(100)
    await world.start(("ada", ""))
    await world.passes(100)
    world.crash()
    world.database.away = False
    await world.boot()
    assert await world.known(world.recorder, "ada", "time", BEGIN, world.now) == BEAT + 100


async def test_a_start_that_nobody_noted_is_found_by_the_next_heartbeat():
    world = World()
    await world.boot()
    user = world.users["bob"]
    user.spawners[""] = world._spawner(user, "", world.now)
    world.running["bob", ""] = run = Run(("bob", ""), world.now, user.spawners[""])
    world.runs.append(run)
    await world.passes(90)
    assert await world.known(world.recorder, "bob", "time", BEGIN, world.now) == 90
    # A spawner of which no end was noted.
    user.spawners[""].active = False
    await world.passes(BEAT)
    known = await world.known(world.recorder, "bob", "time", BEGIN, world.now)
    assert 90 <= known <= 90 + BEAT


def sessions(number: int, **more: Any) -> Iterator[Session]:
    for one in range(number):
        yield Session(f"{one}", "", f"user-{one}", "", BEGIN, BEGIN, **more)


def test_of_too_many_that_cannot_be_written_those_that_ended_are_dropped(monkeypatch):
    monkeypatch.setattr(book, "MOST_UNWRITTEN", 3)
    kept = book.SessionBook("", BEGIN)
    for one in sessions(4):
        kept.begin(one)
        kept.end((one.username, ""), BEGIN + 10)
    kept.begin(replace(next(sessions(1)), id="last"))
    assert (kept.unwritten, kept.dropped) == (3, 2)
    assert {one.id for one in kept.changes(BEGIN).sessions} == {"2", "3", "last"}


def test_an_end_is_not_before_what_was_seen():
    """The clock may be set back."""
    (session,) = sessions(1)
    seen = session.seen_at(BEGIN + 100)
    assert seen.ended_at(BEGIN + 50).ended == BEGIN + 100
    assert seen.seen_at(BEGIN + 50) == seen
    assert seen.ended_at(BEGIN + 200).seen_at(BEGIN + 300).until == BEGIN + 200


async def test_in_flight_is_what_runs_and_what_has_ended():
    world = World()
    await world.boot()
    await world.start(("ada", ""))
    await world.start(("ada", "gpu"))
    await world.passes(10)
    await world.end(("ada", ""))
    await world.passes(10)
    users = [world.users["ada"], world.users["bob"]]
    running, ended = world.recorder.in_flight(users, lambda user: Subject(user.name))
    (gpu,), (other,) = running["ada"], ended["ada"]
    assert (running.keys(), ended.keys()) == ({"ada"}, {"ada"})
    assert (gpu.request.rates, gpu.since.timestamp(), gpu.until) == (RATES["gpu"], BEGIN, None)
    assert (other.since.timestamp(), other.until.timestamp()) == (BEGIN, BEGIN + 10)
    # A launch that is not complete holds what it needs already.
    world.running["ada", "gpu"].spawner.pending = "spawn"
    running, ended = world.recorder.in_flight(users, lambda user: Subject(user.name))
    assert not running
    assert len(ended["ada"]) == 2
