"""The past: what was used, by whom, and how far back it is known."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from ..adjustments import Adjustments
from ..charge import PoolReadings, Readings
from ..decide import NO_POOLS
from ..subject import REST, Subject
from ..windows.base import Window, from_unix
from .course import Span, seconds

SEEN_AGAIN = 60.0
"""Seconds. What begins so shortly after a gap may have begun within it."""


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of `[start, end)`: the readings of all subjects, by username, which go back to
    `known_from`; users who are not in them used nothing (`REST`). `gaps` are the spans (Unix
    seconds) after `known_from` in which a source was not seen, in time order. `asked_from` is where
    it should have begun, None for `start`; `problem` says why no more is known, where that has
    another reason than that there is no more.
    """

    subjects: Sequence[Subject]
    readings: Mapping[str, Readings]
    start: datetime
    end: datetime
    known_from: datetime
    gaps: Sequence[Span] = ()
    pools: PoolReadings = field(default_factory=lambda: NO_POOLS)
    adjustments: Adjustments = field(default_factory=Adjustments)
    asked_from: datetime | None = None
    problem: str = ""

    @property
    def seconds_missing(self) -> float:
        """For how long after `known_from` a source was not seen."""
        return seconds(self.gaps)

    @property
    def strangers(self) -> int:
        """How many users used anything and are none of the subjects: the Hub has them no more."""
        return len(self.readings.keys() - {one.name for one in self.subjects} - {REST})

    def of(self, subject: Subject) -> Readings:
        """A user's readings."""
        nothing: Readings = MappingProxyType({})
        return self.readings.get(subject.name, self.readings.get(REST, nothing))

    def saw_begin(self, instant: float) -> bool:
        """Whether what was seen from an instant on is known not to have been there before."""
        if instant <= self.known_from.timestamp() + SEEN_AGAIN:
            return False
        after = bisect_left(self.gaps, instant - SEEN_AGAIN, key=lambda gap: gap[1])
        return after == len(self.gaps) or self.gaps[after][0] > instant

    def knows_all(self, window: Window, at: float) -> bool:
        """Whether all that counts in a window at an instant goes back no farther than is known."""
        instant = from_unix(at)
        period = window.period_at(instant)
        begin = period[0] if period else instant - window.reach
        return begin >= self.known_from
