"""The guard: after each refresh of usage, whenever somebody decided something, and when a grace
ends, it finds what becomes of running servers.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from ...conventions import StopOutcome
from ...errors import LedgerUnavailable
from ...ledger.base import Ledger
from ...ledger.sql.cached import CachedLedger
from ...quotas.stopping.notices import Notice, WatchedServer
from ...quotas.stopping.states import State
from ...quotas.stopping.steps import Exhausted
from ...quotas.subject import Subject
from ...status.hub_database import servers_that_run
from ...status.pace import Pace
from ...status.running import RunningServer
from ..launch.kept import server_for_log
from ..launch.logged_once import LoggedOnce
from ..launch.request import subject_of_user
from ..metrics import guard as metrics
from ..types import HubApp, HubUser
from ..users import users_of
from .alarm import Alarm
from .desk import NoticeDesk
from .judging import Judge, Judging, Served, Servers, servers_of
from .memory import Memory
from .quiet import Quiet
from .stops import SAME, Stops
from .watches import Watches

JUMP: Final = timedelta(seconds=30)
"""Of the clock, against one that only goes forward: smaller ones are how clocks are kept right."""


class Guard:
    """Watches the running servers of a Hub; see `RefreshListener` and `GuardView`.

    Where it is not `enforced`, it logs and counts what it would do. A user whose servers cannot be
    judged is logged, and keeps nobody else's from being judged.
    """

    def __init__(
        self,
        app: HubApp,
        judge: Judge,
        ledger: Ledger,
        memory: Memory,
        desk: NoticeDesk,
        make_stops: Callable[[Guard], Stops],
        *,
        hub: str = "",
        enforced: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.enforced = enforced
        self._app = app
        self._log: logging.Logger = app.log
        self._judge = judge
        self._ledger = ledger
        self._memory = memory
        self._desk = desk
        self._watches = Watches(desk, memory, hub)
        self._stops = make_stops(self)
        self._quiet = Quiet()
        self._clock = clock
        self._monotonic = monotonic
        self._loaded = False
        self._last: tuple[datetime, float] | None = None
        self._looking = asyncio.Lock()
        self._wanted: set[str | None] = set()
        self._task: asyncio.Task[None] | None = None
        self._alarm = Alarm(self._grace_ended)
        self._shadowed: set[WatchedServer] = set()
        self._again: dict[WatchedServer, datetime | None] = {}
        """When servers that are being stopped can be started again."""
        self._once = LoggedOnce()

    # --- the view ---

    def servers_of(self, user: str) -> Sequence[RunningServer]:
        """See `GuardView`."""
        return self._watches.view(user)

    def notices_of(self, user: str) -> Sequence[Notice]:
        """See `GuardView`."""
        return self._desk.notices_of(user)

    # --- what makes it look ---

    async def refreshed(self, now: datetime) -> None:  # noqa: ARG002 it reads the clock itself
        """Look at all running servers; see `RefreshListener`."""
        begun = self._monotonic()
        outcome = "failure"
        try:
            await self._look(None)
            outcome = "success"
        finally:
            metrics.rounds.labels(outcome=outcome).inc()
            metrics.seconds.observe(self._monotonic() - begun)
            metrics.show_states(self._watches.states())
            self._stops.show()

    def ledger_changed(self, users: Collection[str | None]) -> None:
        """Look at the servers of users about whom something was decided at once; None for all."""
        self._wanted.update(users)
        if self._wanted and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._catch_up())

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._task is not None:
            await asyncio.wait([self._task])
        await self._stops.settle()
        await self._memory.settle()

    async def aclose(self) -> None:
        """End what is under way."""
        self._alarm.cancel()
        if self._task is not None:
            self._task.cancel()
        await self._stops.aclose()
        await self._memory.aclose()

    async def _catch_up(self) -> None:
        try:
            while self._wanted:
                wanted, self._wanted = self._wanted, set()
                for name in wanted:
                    self._quiet.end(name)
                await self._look(None if None in wanted else {str(name) for name in wanted})
        except Exception:
            self._log.exception(
                "Looking at running servers between two refreshes failed; they are looked at again"
                " after the next; report it"
            )
        finally:
            self._task = None

    # --- looking ---

    async def _look(self, names: Collection[str] | None) -> None:
        """Find what becomes of the servers of these users, or of all."""
        async with self._looking:
            now = self._clock()
            users = users_of(self._app)
            if not await self._load(now):
                return
            self._mind_the_clock(now)
            there = servers_of(users)
            await self._judge_all(there, names, now)
            self._note_gone(there, names, now)
            self._desk.forget(now)
            self._memory.write()
            self._alarm.set((until for _, until in self._watches.graces()), now)

    def _grace_ended(self) -> None:
        now = self._clock()
        graces = list(self._watches.graces())
        if ended := {server.user for server, until in graces if until <= now}:
            self.ledger_changed(ended)
        else:
            # The clock was set back, or goes slower than that of the event loop.
            self._alarm.set((until for _, until in graces), now)

    async def _load(self, now: datetime) -> bool:
        """Whether what was known before this Hub started is known: before, nothing follows."""
        if self._loaded:
            return True
        try:
            remembered = await self._memory.load(now)
        except LedgerUnavailable as error:
            if self._once.is_new("load", type(error).__name__):
                self._log.error(
                    "The guard of running servers does nothing yet: %s; it looks again after every"
                    " refresh",
                    error,
                )
            return False
        self._watches.restore(remembered.watches)
        self._desk.restore(remembered.notices)
        self._loaded = True
        return True

    def _mind_the_clock(self, now: datetime) -> None:
        """Where the clock was set, move what is to come with it: no grace is shorter for it."""
        ticks = self._monotonic()
        if self._last is not None:
            at, then = self._last
            jump = now - at - timedelta(seconds=ticks - then)
            if abs(jump) > JUMP:
                self._log.warning(
                    "The clock was set by %g s: graces of running servers end that much later;"
                    " check how this machine keeps its time",
                    jump.total_seconds(),
                )
                self._watches.shift(jump)
                self._quiet.end()
        self._last = (now, ticks)

    async def _judge_all(
        self, there: Servers, names: Collection[str] | None, now: datetime
    ) -> None:
        pace = Pace()
        due: list[tuple[Subject, Sequence[Served]]] = []
        for name, servers in there.items():
            if names is not None and name not in names:
                continue
            if names is None and self._quiet.holds(name, _sign(servers), now):
                continue
            subject = self._subject(servers[0].user)
            if subject is not None and self._judge.concerns(subject):
                due.append((subject, servers))
            elif subject is not None:
                self._watches.apply(name, servers, (), now)
                self._quiet.note(name, _sign(servers), (), now)
            await pace.keep()
        if not due:
            return
        try:
            judging = await self._judge.prepare([subject for subject, _ in due], there, now)
        except LedgerUnavailable:
            # Its own metrics and log have why.
            for subject, _ in due:
                self._watches.doubt(subject.name)
            return
        for subject, servers in due:
            self._judge_one(subject, servers, judging)
            await pace.keep()

    def _subject(self, user: HubUser) -> Subject | None:
        try:
            return subject_of_user(user)
        except Exception:
            self._failed(user.name)
            return None

    def _judge_one(self, subject: Subject, servers: Sequence[Served], judging: Judging) -> None:
        try:
            found = self._judge.judge(subject, servers, judging)
            to_stop = self._watches.apply(subject.name, servers, found, judging.now)
        except Exception:
            self._watches.doubt(subject.name)
            self._failed(subject.name)
            return
        if self._watches.restless(subject.name):
            self._quiet.end(subject.name)
        else:
            self._quiet.note(subject.name, _sign(servers), found, judging.now)
        for server in to_stop:
            self._stop(server)

    def _failed(self, user: str) -> None:
        self._once.exception(
            self._log, f"Judging the running servers of {user!r} failed; they run on; report it"
        )

    def _note_gone(self, there: Servers, names: Collection[str] | None, now: datetime) -> None:
        """End the watches of servers that are gone, or were started again."""
        for name in set(self._watches.shown()) - set(there):
            if names is None or name in names:
                self._watches.without(name)
        running = {(one.user.name, one.name): one for each in there.values() for one in each}
        here = [one for one in self._watches.all() if names is None or one.user in names]
        unseen = [one for one in here if (one.user, one.server) not in running]
        # While the Hub starts, it has not looked at all servers yet.
        stored = servers_that_run(self._app.db, {one.user for one in unseen}) if unseen else {}
        for server in here:
            where = server.user, server.server
            if where in running:
                runs_on = self._watches.same(running[where], server)
            else:
                launched = stored.get(where)
                runs_on = launched is not None and abs(launched - server.started) < SAME
            if not runs_on:
                self._watches.end(server, now, self._again.pop(server, None))
                self._shadowed.discard(server)

    def _user(self, name: str) -> HubUser | None:
        return next((one for one in users_of(self._app) if one.name == name), None)

    # --- stopping ---

    def _stop(self, server: WatchedServer) -> None:
        if self.enforced:
            self._stops.ask(server)
        elif server not in self._shadowed:
            self._shadowed.add(server)
            metrics.stops.labels(outcome=StopOutcome.SHADOW).inc()
            self._log.warning(
                "%s would be stopped now: nothing is left of %s; guard is shadow, so it runs on",
                server_for_log(server.user, server.server).capitalize(),
                server.policy,
            )

    async def is_still_over(self, server: WatchedServer) -> bool:
        """Whether a server is to be stopped by all that is known right now, the ledger included."""
        try:
            if isinstance(self._ledger, CachedLedger):
                await self._ledger.refresh()
            user, now = self._user(server.user), self._clock()
            if user is None:
                return False
            there = servers_of(users_of(self._app))
            servers = there.get(server.user, ())
            subject = subject_of_user(user)
            judging = await self._judge.prepare([subject], there, now)
        except LedgerUnavailable:
            return False
        found = self._judge.judge(subject, servers, judging)
        over = any(
            isinstance(one.judgement, Exhausted)
            and one.judgement.needed
            and (one.server, one.policy) == (server.server, server.policy)
            for one in found
        )
        watch = self._watches.watch(server)
        past = watch.grace_until is not None and watch.grace_until <= now
        if not (over and past and watch.state is State.STOPPING):
            return False
        self._again[server] = self._judge.retry_time(subject, server.server, servers, judging)
        return True

    def stop_ended(self, server: WatchedServer, outcome: StopOutcome) -> None:
        """Take what came of stopping a server."""
        if outcome in (StopOutcome.STOPPED, StopOutcome.SLOW):
            self.ledger_changed({server.user})
        else:
            self._again.pop(server, None)
            self._watches.refuse(server, self._clock())
            self._memory.write()


def _sign(servers: Sequence[Served]) -> tuple[object, ...]:
    return tuple(one.sign for one in servers)
