"""The watches of running servers: what is known of each, what follows from what is found about it,
and what pages see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ...quotas.stopping.notices import NoticeKind, WatchedServer
from ...quotas.stopping.states import State
from ...quotas.stopping.steps import (
    Action,
    AskStop,
    BeginGrace,
    EndGrace,
    Exhausted,
    Judgement,
    NotKnown,
    NotRunning,
    NotStopped,
    Remains,
    Rules,
    SayStopped,
    Warn,
    Watch,
    step,
)
from ...quotas.stopping.watching import Found
from ...status.running import RunningServer
from .desk import NoticeDesk
from .judging import Served
from .memory import Memory

WORST: Final = (State.STOPPING, State.GRACE, State.WARNED, State.OK)
NO_RULES: Final = Rules(timedelta(0), ())
"""For what is found whatever the rules."""
SAME: Final = timedelta(seconds=1)
"""Some databases keep whole seconds, and the Hub the exact instant until it restarts."""


class Watches:
    """The watches of the servers of one Hub."""

    def __init__(self, desk: NoticeDesk, memory: Memory, hub: str) -> None:
        self._desk = desk
        self._memory = memory
        self._hub = hub
        self._of_user: dict[str, dict[WatchedServer, Watch]] = {}
        self._view: dict[str, tuple[RunningServer, ...]] = {}

    # --- what is known ---

    def view(self, user: str) -> tuple[RunningServer, ...]:
        """A user's running servers, as they were checked last."""
        return self._view.get(user, ())

    def watch(self, server: WatchedServer) -> Watch:
        """What is known of a server."""
        return self._of_user.get(server.user, {}).get(server, Watch())

    def restless(self, user: str) -> bool:
        """Whether any server of a user is not just running on."""
        return bool(self._of_user.get(user))

    def all(self) -> Iterator[WatchedServer]:
        """All servers that are not just running on, each with the policies that may stop it."""
        return (server for each in list(self._of_user.values()) for server in list(each))

    def graces(self) -> Iterator[tuple[WatchedServer, datetime]]:
        """The servers in their grace, and when it ends."""
        for each in self._of_user.values():
            for server, watch in each.items():
                if watch.state is State.GRACE and watch.grace_until is not None:
                    yield server, watch.grace_until

    def shown(self) -> Collection[str]:
        """The users whose servers are shown."""
        return self._view.keys()

    @staticmethod
    def same(served: Served, server: WatchedServer) -> bool:
        """Whether a running server is the one that is watched, and was not started again."""
        return abs(served.started - server.started) < SAME

    def states(self) -> Mapping[State, int]:
        """How many servers there are in each state."""
        return Counter(one.state for each in self._view.values() for one in each)

    def restore(self, watches: Mapping[WatchedServer, Watch]) -> None:
        """Go on with what was known before this Hub started."""
        for server, watch in watches.items():
            self._of_user.setdefault(server.user, {})[server] = watch.restored()

    # --- what follows ---

    def shift(self, by: timedelta) -> None:
        """The clock was set: what is to come moves with it."""
        for server in self.all():
            watch = self.watch(server)
            self._put(server, watch, watch.shifted(by))

    def apply(
        self, user: str, servers: Sequence[Served], found: Sequence[Found], now: datetime
    ) -> list[WatchedServer]:
        """Take what was found about a user's servers; returns those that are to be stopped."""
        by_name = {one.name: one for one in servers}
        for served in servers:
            self._desk.started(user, served.name, served.started)
        to_stop, seen = [], set()
        findings: dict[str, list[tuple[WatchedServer, Judgement]]] = {}
        for one in found:
            served = by_name[one.server]
            server = WatchedServer(self._hub, user, one.server, one.policy, served.started)
            self._adopt(server)
            seen.add(server)
            findings.setdefault(one.server, []).append((server, one.judgement))
            if served.at_rest and AskStop() in self._step(server, one, now):
                to_stop.append(server)
        self._let_go(user, by_name, seen, now)
        self._view[user] = tuple(
            self._seen(by_name[name], findings.get(name, ())) for name in sorted(by_name)
        )
        return to_stop

    def doubt(self, user: str) -> None:
        """Nothing is known of a user's servers now."""
        for server, watch in list(self._of_user.get(user, {}).items()):
            self._put(server, watch, step(watch, NotKnown(), NO_RULES, datetime.max).watch)
        self._view[user] = tuple(replace(one, certain=False) for one in self.view(user))

    def refuse(self, server: WatchedServer, now: datetime) -> None:
        """The stop of a server did not come about, or was not right any more."""
        watch = self.watch(server)
        if watch.state is State.STOPPING:
            self._put(server, watch, step(watch, NotStopped(), NO_RULES, now).watch)

    def end(self, server: WatchedServer, now: datetime, again: datetime | None) -> None:
        """A server is gone; it can be started `again` then, if that is known."""
        watch = self.watch(server)
        result = step(watch, NotRunning(), NO_RULES, now)
        if SayStopped() in result.actions:
            self._desk.tell(server, NoticeKind.STOPPED, now, until=again, episode=watch.episode)
        self._put(server, watch, None)

    def without(self, user: str) -> None:
        """A user has no running server."""
        self._view.pop(user, None)

    # --- in detail ---

    def _step(self, server: WatchedServer, one: Found, now: datetime) -> tuple[Action, ...]:
        watch = self.watch(server)
        result = step(watch, one.judgement, one.rules, now)
        self._put(server, watch, result.watch)
        for action in result.actions:
            self._say(server, action, one.judgement, result.watch, now)
        return result.actions

    def _say(
        self,
        server: WatchedServer,
        action: Action,
        judgement: Judgement,
        watch: Watch,
        now: datetime,
    ) -> None:
        tell, episode = self._desk.tell, watch.episode
        match action:
            case Warn(before=before, ends_at=at):
                kind = NoticeKind.WARNING
                tell(server, kind, now, until=at, threshold=before, episode=episode)
            case BeginGrace(until=until):
                tell(server, NoticeKind.GRACE, now, until=until, episode=episode)
            case EndGrace():
                at_last = judgement.ends_at if isinstance(judgement, Remains) else None
                tell(server, NoticeKind.CONTINUES, now, until=at_last, episode=episode)
            case _:
                pass

    def _let_go(
        self, user: str, by_name: Mapping[str, Served], seen: set[WatchedServer], now: datetime
    ) -> None:
        """End the watches of servers that no policy of the name may stop any more."""
        for server, watch in list(self._of_user.get(user, {}).items()):
            served = by_name.get(server.server)
            if server in seen or served is None or not self.same(served, server):
                continue
            if watch.state in (State.GRACE, State.STOPPING):
                self._desk.tell(server, NoticeKind.CONTINUES, now, episode=watch.episode + 1)
            self._put(server, watch, None)

    def _adopt(self, server: WatchedServer) -> None:
        """Go on with the watch of the same server, which a database gave a rounded start."""
        of_user = self._of_user.get(server.user, {})
        if server in of_user:
            return
        for other, watch in list(of_user.items()):
            same = (other.server, other.policy) == (server.server, server.policy)
            if same and abs(other.started - server.started) < SAME:
                self._put(other, watch, None)
                self._put(server, Watch(), watch)

    def _put(self, server: WatchedServer, before: Watch, watch: Watch | None) -> None:
        of_user = self._of_user.setdefault(server.user, {})
        if watch is None or watch == replace(Watch(), allowance=watch.allowance):
            # It just runs on: nothing is to be remembered.
            if of_user.pop(server, None) is not None:
                self._memory.keep(server, None)
            if not of_user:
                del self._of_user[server.user]
            return
        of_user[server] = watch
        if watch.restored() != before.restored() or before == Watch():
            self._memory.keep(server, watch)

    def _seen(
        self, served: Served, findings: Sequence[tuple[WatchedServer, Judgement]]
    ) -> RunningServer:
        """A server as pages see it: the worst of what was found, by any policy."""
        watches = [(server.policy, self.watch(server)) for server, _ in findings]
        state = min((one.state for _, one in watches), key=WORST.index, default=State.OK)
        of_state = [(policy, one) for policy, one in watches if one.state is state]
        ends = [one.ends_at for _, one in findings if isinstance(one, Remains) and one.ends_at]
        over = [one.over_since for _, one in watches if one.over_since]
        if any(isinstance(one, Exhausted) for _, one in findings):
            ends += over
        return RunningServer(
            served.name,
            served.started,
            state,
            min(over, default=None),
            min(ends, default=None),
            min((one.grace_until for _, one in watches if one.grace_until), default=None),
            tuple(policy for policy, _ in of_state) if state is not State.OK else (),
            certain=not any(isinstance(one, NotKnown) for _, one in findings),
        )
