"""When the guard looks again before the next refresh: when a grace ends, so that what users read of
when their server is stopped is true.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

MARGIN: Final = 0.01
"""Seconds after the instant, so as not to be a little early."""


class Alarm:
    """Calls `ring` at the next of some instants."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, instants: Iterable[datetime], now: datetime) -> None:
        """Ring at the first of these that is not past, and at none of those from before."""
        self.cancel()
        to_come = [one for one in instants if one > now]
        if to_come:
            seconds = (min(to_come) - now).total_seconds() + MARGIN
            self._timer = asyncio.get_running_loop().call_later(seconds, self._ring)

    def cancel(self) -> None:
        """Do not ring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
