"""A pool that pays first, and its member's own allowances, added up: what the one has left pays for
a part of what a launch needs, and the others for the rest.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime

from .adjustments import Adjustment
from .units import LONGEST_DURATION
from .verdict import Verdict, has_room, rest
from .windows.base import MINUTE, from_unix, whole_minute


def fit_added_up(group: Sequence[Verdict]) -> bool:
    """Whether what pools have left and each of the user's own allowances are enough together: where
    all of it is known.
    """
    own = [one for one in group if not one.allotment.pool]
    if len(own) == len(group) or not own or any(one.remaining is None for one in group):
        return False
    left = math.fsum(max(one.remaining or 0.0, 0.0) for one in group if one.allotment.pool)
    return all(has_room(one.allowance, (one.used or 0.0) - left, one.need) for one in own)


def earliest_added_up(
    group: Sequence[Verdict], adjustments: Sequence[Adjustment], after: datetime
) -> datetime | None:
    """The first whole minute from `after` on at which they are; None for never, or where it is not
    known.
    """
    own = [one for one in group if not one.allotment.pool]
    if len(own) == len(group) or not own or any(one.certain is None for one in group):
        return None
    begin, horizon = whole_minute(after), after + LONGEST_DURATION
    changes = {one for each in group for one in each.allotment.changes(adjustments, after)}
    # As long as no allowance changes, more and more comes back.
    for end in [*sorted(one for one in changes if one <= horizon), horizon]:
        first = int(begin.timestamp()) // MINUTE
        minutes = range(first, math.ceil(end.timestamp() / MINUTE))

        def enough(minute: int) -> bool:
            return _enough_at(group, adjustments, from_unix(minute * MINUTE))

        found = bisect_left(minutes, x=True, key=enough)
        if found < len(minutes):
            return from_unix(minutes[found] * MINUTE)
        begin = max(begin, whole_minute(end))
    return None


def _enough_at(group: Sequence[Verdict], adjustments: Sequence[Adjustment], at: datetime) -> bool:
    left, fits = 0.0, []
    for one in sorted(group, key=lambda verdict: verdict.allotment.pool is None):
        allotment = one.allotment
        allowance = allotment.allowance(adjustments, at)
        used = allotment.window.used(one.certain, at) if one.certain is not None else math.inf
        if allotment.pool:
            left += max(rest(allowance, used), 0.0)
        else:
            fits.append(has_room(allowance, used - left, one.need))
    return all(fits)
