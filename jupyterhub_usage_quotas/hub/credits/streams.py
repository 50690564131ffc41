"""Streams of events: what is shown stays up to date without being asked for.

A stream ends with its connection, and after an hour at the latest, so that a session that has ended
is looked at no longer; browsers then connect again by themselves.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from jupyterhub.apihandlers.base import APIHandler
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError

KEEP_ALIVE: Final = 8.0
"""Seconds after which something is sent, so that no proxy thinks that nobody is there."""
LONGEST: Final = 3600.0
MOST: Final = 20
"""Streams of one user: as many tabs."""

Event = dict[str, Any] | list[dict[str, Any]]


class Ticks:
    """Wakes all streams after each refresh."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()
        self.open: Counter[str] = Counter()
        """The number of streams, by user."""

    async def refreshed(self, now: datetime) -> None:  # noqa: ARG002 the listeners'
        """See `RefreshListener`."""
        for one in self._waiting:
            one.set()

    async def wait(self, closed: asyncio.Event, seconds: float) -> bool:
        """Wait for the next refresh, or so long; returns whether there was one."""
        tick = asyncio.Event()
        self._waiting.add(tick)
        tasks = [asyncio.ensure_future(one.wait()) for one in (tick, closed)]
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return tick.is_set()
        finally:
            self._waiting.discard(tick)
            for task in tasks:
                task.cancel()


class Streaming(APIHandler):  # type: ignore[misc] # the Hub's class, which has no types
    """A handler that answers with a stream."""

    _closed: asyncio.Event | None = None

    def on_connection_close(self) -> None:
        """The visitor has gone."""
        if self._closed is not None:
            self._closed.set()

    def get_content_type(self) -> str:
        """See `APIHandler`."""
        return "text/event-stream"

    async def stream(
        self, ticks: Ticks, who: str, make: Callable[[], Awaitable[tuple[Event, bool]]]
    ) -> None:
        """Send what `make` gives now and after each refresh, until the connection closes or it says
        that this was the last.
        """
        if ticks.open[who] >= MOST:
            raise HTTPError(429, f"too many streams: got {MOST}; close some pages")
        self._closed = asyncio.Event()
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        ticks.open[who] += 1
        try:
            await self._send(ticks, make, self._closed)
        except StreamClosedError:
            return
        finally:
            ticks.open[who] -= 1
            if not ticks.open[who]:
                del ticks.open[who]

    async def _send(
        self,
        ticks: Ticks,
        make: Callable[[], Awaitable[tuple[Event, bool]]],
        closed: asyncio.Event,
    ) -> None:
        until, is_new = time.monotonic() + LONGEST, True
        while not closed.is_set() and time.monotonic() < until:
            if is_new:
                event, last = await make()
                self.write(f"data: {json.dumps(event)}\n\n")
                if last:
                    return
            else:
                self.write("\n\n")
            await self.flush()
            is_new = await ticks.wait(closed, KEEP_ALIVE)
