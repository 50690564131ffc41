"""Switches of profiles: a server is stopped, waited for, and started again with other options.

The server's own token ends with it, so the Hub does it, by its own REST API. What was requested is
kept in the ledger's database first. A Hub that ends in between goes on when it is started again, or
says that the server was not started.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from ...errors import LedgerUnavailable
from ...ledger.sql.switches import Switch, SwitchState, SwitchTable
from ...quotas.messages import printable
from ...quotas.phrases import mark
from ..launch.kept import server_for_log

LONGEST: Final = timedelta(minutes=15)
"""How long a server may take to stop, or to start; and for how long a Hub may have been away."""
REMEMBERED: Final = timedelta(days=1)
"""How long users are shown that a server was not started."""
ASKED_AGAIN: Final = timedelta(minutes=1)
"""How long after a stop was requested it is requested again."""
PAUSE: Final = 0.25
"""Seconds between two looks at a server; a look is at what is in memory."""
DID_NOT_STOP: Final = mark("The server did not stop in time, so that no other was started.")
DID_NOT_START: Final = mark("The server did not start.")
INTERRUPTED: Final = mark("The Hub was interrupted before the server was started again.")


@dataclass(frozen=True, slots=True)
class ServerNow:
    """A server as it is now: `failure` is why its last start failed."""

    active: bool = False
    ready: bool = False
    pending: str | None = None
    started: datetime | None = None
    failure: str = ""


class Servers(Protocol):
    """What stops and starts servers."""

    def now(self, user: str, server: str) -> ServerNow:
        """A server as it is now."""
        ...

    async def stop(self, user: str, server: str) -> None:
        """Request that a server stops."""
        ...

    async def start(self, switch: Switch) -> str:
        """Request that a server starts as is wanted; returns why it does not, empty if it does.
        Raises `ConnectionError` where nobody answers.
        """
        ...


class Switches:
    """Carries out what users requested, and knows how far it is. Without a `table`, nothing is
    kept beyond the Hub's end.
    """

    def __init__(self, servers: Servers, table: SwitchTable | None, log: logging.Logger) -> None:
        self._servers = servers
        self._table = table
        self._log = log
        self._switches: dict[tuple[str, str], Switch] = {}
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def of(self, user: str) -> Sequence[Switch]:
        """A user's switches that are not done, and those that failed while the server has not been
        started since.
        """
        own = [one for one in self._switches.values() if one.user == user]
        return [one for one in own if not self._is_past(one)]

    def under_way(self, user: str, server: str) -> bool:
        """Whether a server is being switched."""
        return (user, server) in self._tasks

    async def request(self, switch: Switch) -> None:
        """Keep a switch, and begin with it. Raises `LedgerUnavailable` where it cannot be kept:
        nothing is stopped then.
        """
        # Of two requests at once, the second finds this one.
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks[switch.key] = asyncio.ensure_future(self._once(begun, switch))
        try:
            if self._table is not None:
                await self._table.put(switch)
        except BaseException:
            self._tasks.pop(switch.key).cancel()
            raise
        self._switches[switch.key] = switch
        begun.set_result(None)

    async def resume(self) -> None:
        """Go on with what was kept when the Hub ended."""
        for switch in await self._kept():
            if switch.key in self._switches:
                continue
            self._switches[switch.key] = switch
            age = datetime.now(UTC) - switch.requested
            if switch.state is SwitchState.FAILED:
                if age > REMEMBERED:
                    await self._done(switch)
            elif age > LONGEST:
                await self._failed(switch, INTERRUPTED)
            else:
                self._tasks[switch.key] = asyncio.ensure_future(self._carry_out(switch))

    async def _kept(self) -> Sequence[Switch]:
        while self._table is not None:
            try:
                return await self._table.all()
            except LedgerUnavailable:
                # The ledger logs it, and tries it again, too.
                await asyncio.sleep(ASKED_AGAIN.total_seconds() / 10)
        return ()

    def _is_past(self, switch: Switch) -> bool:
        if switch.state is not SwitchState.FAILED:
            return False
        return self._servers.now(switch.user, switch.server).active

    async def _once(self, begun: Awaitable[None], switch: Switch) -> None:
        await begun
        await self._carry_out(switch)

    async def _carry_out(self, switch: Switch) -> None:
        named = server_for_log(switch.user, switch.server)
        try:
            why = await self._stopped(switch) or await self._started(switch)
        except Exception:
            self._log.exception("Switching the profile of %s failed; report it", named)
            why = DID_NOT_START
        finally:
            self._tasks.pop(switch.key, None)
        if why:
            self._log.warning(
                "The profile of %s was not switched: %s; its user is shown this, and can start"
                " either profile",
                named,
                printable(why),
            )
            await self._failed(switch, why)
        else:
            self._log.info("The profile of %s was switched", named)
            await self._done(switch)

    async def _stopped(self, switch: Switch) -> str:
        """Stop the server, and wait until it has: why it did not, else empty."""
        if switch.state is not SwitchState.STOPPING:
            return ""
        asked: datetime | None = None
        while True:
            now, server = datetime.now(UTC), self._servers.now(switch.user, switch.server)
            if not server.active or (server.started and server.started > switch.requested):
                return ""
            # The Hub refuses it while it starts the server, or checks it after its own start.
            if not server.pending and (asked is None or now - asked >= ASKED_AGAIN):
                asked = now
                await self._try_to_stop(switch)
            if now - switch.requested > LONGEST:
                return DID_NOT_STOP
            await asyncio.sleep(PAUSE)

    async def _try_to_stop(self, switch: Switch) -> None:
        try:
            await self._servers.stop(switch.user, switch.server)
        except ConnectionError:
            # The Hub itself may still be starting.
            self._log.debug("The Hub does not answer yet", exc_info=True)

    async def _started(self, switch: Switch) -> str:
        """Start the server, and wait until it has: why it did not, else empty."""
        begun = datetime.now(UTC)
        starting = replace(switch, state=SwitchState.STARTING)
        self._switches[switch.key] = starting
        await self._keep(starting)
        if not self._servers.now(switch.user, switch.server).active:
            why = await self._try_to_start(switch)
            if why:
                return why
        while datetime.now(UTC) - begun < LONGEST:
            server = self._servers.now(switch.user, switch.server)
            if server.ready:
                return ""
            if not server.active and not server.pending:
                return server.failure or DID_NOT_START
            await asyncio.sleep(PAUSE)
        return DID_NOT_START

    async def _try_to_start(self, switch: Switch) -> str:
        until = datetime.now(UTC) + LONGEST
        while datetime.now(UTC) < until:
            try:
                return await self._servers.start(switch)
            except ConnectionError:
                # The Hub itself may still be starting.
                await asyncio.sleep(1)
        return INTERRUPTED

    async def _done(self, switch: Switch) -> None:
        self._switches.pop(switch.key, None)
        if self._table is not None:
            await self._in_spite_of_the_ledger(self._table.remove(switch))

    async def _failed(self, switch: Switch, why: str) -> None:
        failed = replace(switch, state=SwitchState.FAILED, message=why)
        self._switches[switch.key] = failed
        await self._keep(failed)

    async def _keep(self, switch: Switch) -> None:
        if self._table is not None:
            await self._in_spite_of_the_ledger(self._table.put(switch))

    async def _in_spite_of_the_ledger(self, work: Awaitable[None]) -> None:
        """What was begun is gone on with, whether or not it can be kept."""
        try:
            await work
        except LedgerUnavailable as error:
            self._log.warning("How far a switch of profiles is was not kept: %s", error)
