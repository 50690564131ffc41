"""Following a checkpoint: a process beside the Hub that shares its disk takes what the Hub knows of
usage, in place of reading it from Prometheus a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from ..quotas.messages import said_by
from .checkpoint import SAVE_EVERY, Checkpoint, CheckpointNotUsable
from .client.worker import run_in_worker
from .events import MeterEvents
from .readers import UsageReader

LATE = timedelta(minutes=2)
"""How much later than it should be a checkpoint may be written: it takes a while, and comes after a
refresh.
"""


class Followed:
    """The checkpoint that the Hub writes, as far as it is new."""

    def __init__(self, checkpoint: Checkpoint, events: MeterEvents) -> None:
        self._checkpoint = checkpoint
        self._events = events
        self._written: datetime | None = None
        self._refused = ""

    async def take(self, readers: Sequence[UsageReader], reach: timedelta, now: datetime) -> bool:
        """Have readers know what the Hub knows, if it wrote that lately; whether it did. Never
        raises.
        """
        try:
            sources = [one.source for one in readers]
            after = self._written
            found = await run_in_worker(self._checkpoint.load, sources, after=after)
        except CheckpointNotUsable as error:
            return self._refuse(str(error))
        except Exception as error:
            # Usage can be read without it, whatever is wrong.
            return self._refuse(said_by(error))
        written = found.written if found else self._written
        if written is None or not -LATE <= now - written <= SAVE_EVERY + LATE:
            self._written = None
            return False
        if found is None:
            return True
        if any(one.name not in found.snapshots for one in readers):
            return self._refuse("it has not all that is shown")
        for one in readers:
            one.take(found.snapshots[one.name], reach, now)
        if self._written is None:
            self._events.followed(written)
        self._written, self._refused = written, ""
        return True

    def _refuse(self, why: str) -> bool:
        self._written = None
        if why != self._refused:
            self._events.not_restored(why)
        self._refused = why
        return False
