"""What the guard must not forget: written into the ledger's database off the event loop, so that a
restart of the Hub neither warns twice nor shortens a grace.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from ...errors import LedgerUnavailable
from ...ledger.sql.guarding import GuardChanges, Remembered, SqlGuard
from ...quotas.stopping.notices import Notice, WatchedServer
from ...quotas.stopping.steps import Watch

AGAIN: Final = 5.0
"""Seconds after which a failed write is tried again."""
SHOWN: Final = timedelta(days=1)
"""For how long notices are shown."""


class Memory:
    """Writes what changed, as soon as it can. Without a database it is in memory only."""

    def __init__(
        self,
        sql: SqlGuard | None,
        log: logging.Logger,
        *,
        enforced: bool = True,
        to_send: bool = False,
        written: Callable[[], None] = lambda: None,
        without_database: Callable[[Notice], None] = lambda _: None,
        again: float = AGAIN,
    ) -> None:
        """`to_send` is whether anybody gets notices; `written` is called when some are there.
        `without_database` gets those for which there is no database.
        """
        self._sql = sql
        self._log = log
        self._to_send = to_send
        self._written = written
        self._without_database = without_database
        self._again = again
        self._changed: dict[WatchedServer, Watch | None] = {}
        self._notices: list[Notice] = []
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        if sql is None and enforced:
            log.warning(
                "The guard of running servers remembers what it did only until the Hub stops: there"
                " is no ledger in a database; set UsageConfig.ledger_url"
            )

    async def load(self, now: datetime) -> Remembered:
        """What was known before this Hub started. Raises `LedgerUnavailable`."""
        if self._sql is None:
            return Remembered({}, ())
        return await self._sql.load(now - SHOWN)

    def keep(self, server: WatchedServer, watch: Watch | None) -> None:
        """Remember a watch; None for one that is over."""
        if self._sql is not None:
            self._changed[server] = watch

    def tell(self, notice: Notice) -> None:
        """Remember what a user is told."""
        if self._sql is not None:
            self._notices.append(notice)
        else:
            self._without_database(notice)
            self._written()

    def write(self) -> None:
        """Begin to write what is new."""
        if (self._changed or self._notices) and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write())
            self._task.add_done_callback(self._done)

    async def settle(self) -> None:
        """Wait until all is written, or cannot be."""
        while self._task is not None and not self._failing:
            await asyncio.wait([self._task], timeout=0.1)

    async def aclose(self) -> None:
        """Stop trying."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _done(self, _task: asyncio.Task[None]) -> None:
        self._task = None

    async def _write(self) -> None:
        while self._changed or self._notices:
            changed, self._changed = self._changed, {}
            notices, self._notices = self._notices, []
            if not await self._written_now(changed, notices):
                self._changed = {**changed, **self._changed}
                self._notices = [*notices, *self._notices]
                await asyncio.sleep(self._again)

    async def _written_now(
        self, changed: dict[WatchedServer, Watch | None], notices: list[Notice]
    ) -> bool:
        assert self._sql is not None  # noqa: S101 nothing is kept without
        changes = GuardChanges(
            {server: watch for server, watch in changed.items() if watch is not None},
            [server for server, watch in changed.items() if watch is None],
            notices,
            self._to_send,
        )
        try:
            await self._sql.write(changes)
        except LedgerUnavailable as error:
            if not self._failing:
                self._log.error(
                    "What the guard of running servers did cannot be written: %s; it is tried again"
                    " every %g s, and a Hub that restarts before may warn users again",
                    error,
                    self._again,
                )
            self._failing = True
            return False
        except Exception:
            self._log.exception("Writing what the guard did failed; it is dropped; report it")
            return True
        self._failing = False
        if notices:
            self._written()
        return True
