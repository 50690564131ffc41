"""Stopping servers: a few at once, each looked at once more right before."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from ...conventions import StopOutcome
from ...quotas.stopping.notices import WatchedServer
from ..launch.kept import server_for_log
from ..metrics import guard as metrics
from .hub_api import HubApi, HubApiFailed

AT_ONCE: Final = 10
"""Requests to stop a server that are under way; the others wait for their turn."""
LOOKED_AGAIN: Final = 1.0
"""Seconds between two looks at a server that is being stopped."""
SLOW: Final = timedelta(minutes=5)
"""After that a stop is shown as slow."""
GIVEN_UP: Final = timedelta(hours=1)
"""After that it is requested again, if the server is there."""
SAME: Final = timedelta(seconds=1)
"""Some databases keep whole seconds, and the Hub the exact instant until it restarts."""

LookAgain = Callable[[WatchedServer], Awaitable[bool]]
Report = Callable[[WatchedServer, StopOutcome], None]


class Stops:
    """Stops servers by the Hub's API. `look_again` says whether a server is still to be stopped,
    from what is known right then, and `report` gets what came of it.

    The servers of one user are stopped one after the other: with one stopped the others may run on.
    """

    def __init__(
        self,
        open_api: Callable[[], HubApi],
        look_again: LookAgain,
        report: Report,
        log: logging.Logger,
        *,
        every: float = LOOKED_AGAIN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_api = open_api
        self._api: HubApi | None = None
        self._look_again = look_again
        self._report = report
        self._log = log
        self._every = every
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._of_user: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._since: dict[tuple[str, str], float] = {}

    def ask(self, server: WatchedServer) -> None:
        """Stop a server, unless that is under way."""
        key = (server.user, server.server)
        if key in self._tasks:
            return
        task = asyncio.get_running_loop().create_task(self._stop(server))
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    def stopping(self, user: str, server: str) -> bool:
        """Whether a stop is under way."""
        return (user, server) in self._tasks

    def show(self) -> None:
        """Show how many stops are under way, and for long."""
        now = self._clock()
        metrics.pending.set(len(self._since))
        long = sum(now - since > SLOW.total_seconds() for since in self._since.values())
        metrics.slow.set(long)

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def aclose(self) -> None:
        """End what is under way, and close the connections."""
        for task in list(self._tasks.values()):
            task.cancel()
        await self.settle()
        if self._api is not None:
            await self._api.aclose()

    async def _stop(self, server: WatchedServer) -> None:
        named = server_for_log(server.user, server.server)
        outcome = StopOutcome.FAILED
        try:
            outcome = await self._outcome(server)
        except HubApiFailed as error:
            self._log.error("Stopping %s failed: %s; it is tried again", named, error)
        except Exception:
            # A failure of one user's must not reach another's.
            self._log.exception("Stopping %s failed; report it; it is tried again", named)
        metrics.stops.labels(outcome=outcome).inc()
        self._report(server, outcome)

    async def _outcome(self, server: WatchedServer) -> StopOutcome:
        async with self._of_user[server.user], self._slots:
            if not await self._look_again(server):
                return StopOutcome.CHANGED_MIND
            api = self._api = self._api or self._open_api()
            if not await self._is_it(api, server):
                return StopOutcome.ANOTHER
            self._log.info(
                "Stopping %s: nothing is left of %s, and its grace is over",
                server_for_log(server.user, server.server),
                server.policy,
            )
            if await api.stop(server.user, server.server):
                return StopOutcome.STOPPED
        return await self._wait_for(api, server)

    async def _is_it(self, api: HubApi, server: WatchedServer) -> bool:
        """Whether the server that runs is the one that was judged, and nothing happens to it."""
        now = await api.server(server.user, server.server)
        return (
            now is not None
            and now.ready
            and not now.pending
            and now.started is not None
            and abs(now.started - server.started) < SAME
        )

    async def _wait_for(self, api: HubApi, server: WatchedServer) -> StopOutcome:
        key, begun = (server.user, server.server), self._clock()
        self._since[key] = begun
        try:
            while self._clock() - begun < GIVEN_UP.total_seconds():
                now = await api.server(server.user, server.server)
                if now is None or now.started is None:
                    return StopOutcome.SLOW
                if abs(now.started - server.started) >= SAME:
                    return StopOutcome.SLOW
                if not now.pending:
                    return StopOutcome.NOT_STOPPED
                await asyncio.sleep(self._every)
            return StopOutcome.NOT_STOPPED
        finally:
            self._since.pop(key, None)
