"""Which users' servers need not be judged again yet: those whose quotas last for long."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from ...quotas.stopping.steps import Remains
from ...quotas.stopping.watching import Found

LONGEST: Final = timedelta(hours=1)
"""Who moves to a group with less is noticed within this time, too."""
SHORTEST: Final = timedelta(minutes=2)
"""What is judged again sooner is judged every time."""


class Quiet:
    """Keeps until when users' servers need not be judged, unless something changes.

    That is after half of the time in which the first warning is due at the rates at which the
    servers use resources, so also where they use twice as much.
    """

    def __init__(self) -> None:
        self._until: dict[str, tuple[object, datetime]] = {}

    def holds(self, user: str, sign: object, now: datetime) -> bool:
        """Whether a user's servers, by a sign of them, need not be judged now."""
        kept = self._until.get(user)
        return kept is not None and kept[0] == sign and now < kept[1]

    def note(self, user: str, sign: object, found: Sequence[Found], now: datetime) -> None:
        """Note what was found about a user's servers, none of which was warned of."""
        spare = LONGEST
        for one in found:
            if not isinstance(one.judgement, Remains):
                self.end(user)
                return
            if one.judgement.ends_at is not None:
                first = max(one.rules.warn_before, default=timedelta(0))
                spare = min(spare, (one.judgement.ends_at - first - now) / 2)
        if spare < SHORTEST:
            self.end(user)
            return
        # Not all at once, for they began at once when the Hub started.
        share = 0.3 + 0.7 * (zlib.crc32(user.encode()) % 1000) / 1000
        self._until[user] = (sign, now + spare * share)

    def end(self, user: str | None = None) -> None:
        """Judge a user's servers again, or everybody's."""
        if user is None:
            self._until.clear()
        else:
            self._until.pop(user, None)
