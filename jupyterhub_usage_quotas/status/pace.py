"""Sharing the event loop while there is much to work out."""

from __future__ import annotations

import asyncio
import time

SLICE = 0.005
"""Seconds after which others get the event loop."""


class Pace:
    """Gives others the event loop now and then."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    async def keep(self) -> None:
        """Let others run, if it is time."""
        if time.monotonic() - self._since > SLICE:
            await asyncio.sleep(0)
            self._since = time.monotonic()
