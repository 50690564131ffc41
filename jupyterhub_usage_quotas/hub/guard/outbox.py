"""The outbox: sends notices to targets off the event loop's path, each until the target has it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from ...errors import LedgerUnavailable
from ...ledger.sql.guarding import Outgoing
from ...quotas.messages import printable
from ...quotas.stopping.notices import Notice
from ..metrics import guard as metrics
from .targets import NoticeTarget, Targets

EVERY: Final = 5.0
"""Seconds between two looks for what is to be sent."""
AT_ONCE: Final = 50
SIDE_BY_SIDE: Final = 8
"""Notices that are being sent at the same time."""
FIRST: Final = timedelta(seconds=30)
LONGEST: Final = timedelta(hours=1)
"""After a failure it is tried again after this time, and then after twice as long, up to that."""
GIVEN_UP: Final = timedelta(days=1)
KEPT: Final = timedelta(days=30)
"""For how long notices are in the database, sent or not."""
HOUSEKEEPING: Final = timedelta(hours=6)


class Notices(Protocol):
    """Where notices wait; see `SqlGuard`."""

    async def outgoing(self, now: datetime, limit: int) -> Sequence[Outgoing]: ...
    async def sent(self, tried: Sequence[tuple[Outgoing, datetime | None]]) -> None: ...
    async def forget(self, before: datetime) -> None: ...


class NoticesInMemory:
    """Notices that wait where there is no database."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Outgoing, datetime]] = {}

    def add(self, notice: Notice) -> None:
        """Have a notice sent."""
        self._waiting.setdefault(notice.id, (Outgoing(notice, frozenset(), 0), notice.at))

    async def outgoing(self, now: datetime, limit: int) -> Sequence[Outgoing]:
        """See `Notices`."""
        return [one for one, at in self._waiting.values() if at <= now][:limit]

    async def sent(self, tried: Sequence[tuple[Outgoing, datetime | None]]) -> None:
        """See `Notices`."""
        for one, again in tried:
            if again is None:
                self._waiting.pop(one.notice.id, None)
            else:
                self._waiting[one.notice.id] = (one, again)

    async def forget(self, before: datetime) -> None:
        """See `Notices`."""


class Outbox:
    """Sends what waits to every target that has not taken it yet, at least once."""

    def __init__(
        self, notices: Notices, targets: Targets, log: logging.Logger, *, every: float = EVERY
    ) -> None:
        self._notices = notices
        self._targets = targets
        self._log = log
        self._every = every
        self._wake = asyncio.Event()
        self._failing: set[str] = set()
        self._cleaned: datetime | None = None

    def wake(self) -> None:
        """Send what is new at once."""
        self._wake.set()

    async def run(self) -> None:
        """Send, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.send(datetime.now(UTC))
            except LedgerUnavailable:
                # Its own log and metrics have why; what waits goes on waiting.
                metrics.deliveries.labels(outcome="failure").inc()
            except Exception:
                self._log.exception("Sending notices failed; it is tried again; report it")
            try:
                await asyncio.wait_for(self._wake.wait(), self._every)
            except TimeoutError:
                continue

    async def send(self, now: datetime) -> None:
        """Send all whose time has come."""
        waiting = await self._notices.outgoing(now, AT_ONCE)
        if waiting:
            slots = asyncio.Semaphore(SIDE_BY_SIDE)
            tried = await asyncio.gather(*(self._one(one, now, slots) for one in waiting))
            await self._notices.sent(tried)
            metrics.waiting.set(sum(again is not None for _, again in tried))
        if self._cleaned is None or now - self._cleaned > HOUSEKEEPING:
            self._cleaned = now
            await self._notices.forget(now - KEPT)

    async def _one(
        self, one: Outgoing, now: datetime, slots: asyncio.Semaphore
    ) -> tuple[Outgoing, datetime | None]:
        """What became of one notice, and when it is tried again."""
        left = [target for target in self._targets if target.name not in one.taken_by]
        async with slots:
            took = await asyncio.gather(*(self._taken(target, one.notice) for target in left))
        taken = {target.name for target, done in zip(left, took, strict=True) if done}
        tried = replace(one, taken_by=one.taken_by | taken, attempts=one.attempts + 1)
        if all(took):
            return tried, None
        if now - one.notice.at > GIVEN_UP:
            metrics.deliveries.labels(outcome="given_up").inc()
            return tried, None
        return tried, now + min(FIRST * 2 ** min(one.attempts, 10), LONGEST)

    async def _taken(self, target: NoticeTarget, notice: Notice) -> bool:
        try:
            await target.send(notice)
        except Exception as error:
            metrics.deliveries.labels(outcome="failure").inc()
            if target.name not in self._failing:
                self._failing.add(target.name)
                self._log.error(
                    "Notices cannot be sent to %s: %s; they are tried again for a day; check"
                    " c.UsageQuotaManager.notice_webhooks, notice_urls and on_notice",
                    target.name,
                    # Not its text: an address may be in it.
                    printable(type(error).__name__),
                )
            return False
        metrics.deliveries.labels(outcome="success").inc()
        if target.name in self._failing:
            self._failing.discard(target.name)
            self._log.info("Notices can be sent to %s again", target.name)
        return True
