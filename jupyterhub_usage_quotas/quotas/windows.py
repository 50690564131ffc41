"""How usage is held against a limit: what counts at an instant, and when it will count less.

A window answers two questions. `used` says how much of a user's usage counts at an instant.
`earliest` says when so little of it counts, if nothing more is used, that a condition holds:
this is where retry times come from. Retry times are whole minutes, because that is what people
are shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .units import show_days
from .usage import Usage

MINUTE = 60


@dataclass(frozen=True, slots=True)
class Rolling:
    """The usage in `(at - length, at]`: every hour used comes back one `length` later."""

    length: timedelta

    def used(self, usage: Usage, at: datetime) -> float:
        """What counts at `at`, in base units."""
        end = at.timestamp()
        return usage.between(end - self.length.total_seconds(), end)

    def earliest(
        self, usage: Usage, enough: Callable[[float], bool], after: datetime
    ) -> datetime | None:
        """The first whole minute from `after` on at which `enough(used)` holds, if nothing more
        is used; None when it never does.

        `enough` must hold for less usage wherever it holds for more.
        """
        first = math.ceil(after.timestamp() / MINUTE)
        # One window after the last usage nothing counts any more.
        gone = usage.end + self.length.total_seconds()
        last = max(first, math.ceil(gone / MINUTE)) if math.isfinite(gone) else first

        def holds(minute: int) -> bool:
            return enough(self.used(usage, datetime.fromtimestamp(minute * MINUTE, UTC)))

        if not holds(last):
            return None
        # From here on no usage is added, so what counts only falls: search by halving.
        while first < last:
            middle = (first + last) // 2
            if holds(middle):
                last = middle
            else:
                first = middle + 1
        return datetime.fromtimestamp(last * MINUTE, UTC)

    def __str__(self) -> str:
        return show_days(self.length)


Window = Rolling
"""Every kind of window; each has `used` and `earliest` as above."""
