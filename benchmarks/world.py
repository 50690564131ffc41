"""A made-up hub: N users over D days, two sessions a day each, always the same."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

DAY = 86400
MINUTE = 60
GIB = 1024**3
NAMESPACE = "hub-ns"
LONGEST = 6 * 3600


@dataclass(frozen=True, slots=True)
class Session:
    """One server: a pod that requested memory and CPU from `start` to `end` (Unix seconds)."""

    user: int
    number: int
    start: int
    end: int
    memory: float
    cpu: float

    @property
    def uid(self) -> str:
        return f"{self.user:08x}-0000-4000-8000-{self.number:012x}"

    @property
    def pod(self) -> str:
        return f"jupyter-{self.username}"

    @property
    def username(self) -> str:
        return f"user-{self.user}"


class World:
    """All sessions that began in the `days` before `now` (Unix seconds), by their start."""

    def __init__(self, users: int, days: int, now: int) -> None:
        self.users, self.days, self.now = users, days, now
        chance = random.Random(20261122)
        sessions = []
        for user in range(users):
            for number in range(2 * days):
                # Half a day for each, so that a user's sessions do not overlap.
                begin = now - (number + 1) * DAY // 2
                length = chance.randrange(10 * MINUTE, LONGEST, MINUTE)
                start = begin + chance.randrange(0, DAY // 2 - length + MINUTE, MINUTE)
                memory, cpu = chance.choice((1, 2, 4, 8)) * GIB, chance.choice((0.5, 1.0, 2.0))
                end = min(start + length, now)
                sessions.append(Session(user, number, start, end, float(memory), cpu))
        self._sessions = sorted(sessions, key=lambda one: one.start)
        self._starts = [one.start for one in self._sessions]

    def between(self, start: float, end: float) -> Iterator[Session]:
        """The sessions that ran at any instant of a span."""
        first = bisect_left(self._starts, start - LONGEST)
        for session in self._sessions[first:]:
            if session.start > end:
                return
            if session.end >= start:
                yield session

    def of(self, user: int) -> list[Session]:
        return [one for one in self._sessions if one.user == user]
