"""Timelines: usage as runs of a constant rate, packed, so that a month of ten thousand users fits
in memory.

A run `(start, end, rate)` says that `rate` base units per second were used over `(start, end]`
(seconds since the Unix epoch). A server that ran for a week is one run.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..quotas.policy.selector import ServerAttributes
from ..quotas.usage import Bucket, sum_of_runs

Run = tuple[float, float, float]

FIELDS = 3

Bridge = Callable[[float, float], bool]
"""Whether a server that was seen until one instant and again from another ran in between."""


class Timeline:
    """Runs in time order, without overlap. Immutable."""

    __slots__ = ("_packed",)

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        """Neighbours that touch and have the same rate become one."""
        packed = array("d")
        for start, end, rate in runs:
            if end <= start or rate <= 0:
                continue
            if packed and packed[-2] == start and packed[-1] == rate:
                packed[-2] = end
            else:
                packed.extend((start, end, rate))
        self._packed = packed

    @classmethod
    def of_packed(cls, packed: array[float]) -> Timeline:
        """The timeline that was packed so."""
        timeline = cls()
        timeline._packed = packed
        return timeline

    @property
    def packed(self) -> array[float]:
        """Its runs as one array, three values each; not to be changed."""
        return self._packed

    def __bool__(self) -> bool:
        return bool(self._packed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timeline) and self._packed == other._packed

    __hash__ = None  # type: ignore[assignment]  # compared by what is in it, which may be much

    def __repr__(self) -> str:
        return f"Timeline({list(self)})"

    def __iter__(self) -> Iterator[Run]:
        packed = self._packed
        for index in range(0, len(packed), FIELDS):
            yield packed[index], packed[index + 1], packed[index + 2]

    @property
    def end(self) -> float:
        """When the last run ends; minus infinity where there is none."""
        return self._packed[-2] if self._packed else float("-inf")

    def within(self, start: float, end: float) -> Timeline:
        """The part in `(start, end]`."""
        packed = self._packed
        if not packed or (packed[0] >= start and packed[-2] <= end):
            return self
        if start >= end:
            return NOTHING
        # Mostly little is cut off, at either end: what is between is copied as it is.
        first, last = 0, len(packed)
        while first < last and packed[first + 1] <= start:
            first += FIELDS
        while first < last and packed[last - FIELDS] >= end:
            last -= FIELDS
        part = packed[first:last]
        if part:
            part[0] = max(part[0], start)
            part[-2] = min(part[-2], end)
        return Timeline.of_packed(part)

    def then(self, later: Timeline) -> Timeline:
        """This, and runs that all come after it."""
        if not self or not later:
            return self or later
        joined = Timeline()
        joined._packed.extend(self._packed)
        first, *rest = later
        # Only where they meet can two runs become one.
        if joined._packed[-2] == first[0] and joined._packed[-1] == first[2]:
            joined._packed[-2] = first[1]
        else:
            joined._packed.extend(first)
        joined._packed.extend(value for run in rest for value in run)
        return joined


NOTHING = Timeline()

Key = tuple[str, ServerAttributes]
"""A resource and a server."""

_keys: list[Key] = []
_numbers: dict[Key, int] = {}
"""Every key that there is, by number; there are few, of which all users have the same."""
_numbering = threading.Lock()


Kept = array
"""One user's usage, by resource and server, not to be changed: of each key its number, how many
values follow, and its runs.

Of plain arrays Python's garbage collector takes no notice. With ten thousand users' usage in
objects it would stop everything for a third of a second, now and then.
"""

Pieces = dict[str, dict[Key, list[Run]]]
"""By user, resource and server, runs in any order; those of several pods may overlap."""


def keep(parts: Iterable[tuple[Key, Timeline]]) -> Kept[float]:
    """Pack timelines, without the empty ones."""
    kept: Kept[float] = array("d")
    for key, timeline in parts:
        if timeline:
            kept.extend((number_of(key), len(timeline.packed)))
            kept.extend(timeline.packed)
    return kept


def number_of(key: Key) -> int:
    """The number that stands for a key in `Kept`, in this process."""
    number = _numbers.get(key)
    if number is not None:
        return number
    # Parts are made in threads, several at once: each number must be given once.
    with _numbering:
        if key not in _numbers:
            _keys.append(key)
            _numbers[key] = len(_keys) - 1
        return _numbers[key]


def keys_so_far() -> Sequence[Key]:
    """The keys that have numbers, in the order of these."""
    return list(_keys)


def parts_of(kept: Kept[float]) -> Iterator[tuple[Key, Timeline]]:
    """What was packed."""
    at = 0
    while at < len(kept):
        begin = at + 2
        end = begin + int(kept[at + 1])
        yield _keys[int(kept[at])], Timeline.of_packed(kept[begin:end])
        at = end


def packed_of(runs: Iterable[Run]) -> array[float]:
    """Runs as one array, three values each."""
    return Timeline(runs).packed


NOTHING_KEPT: Kept[float] = keep(())


def timelines(pieces: Pieces, start: float, end: float) -> dict[str, Kept[float]]:
    """What is used in `(start, end]`, by user: overlapping runs are summed."""
    kept = {
        user: keep(
            (key, Timeline(sum_of_runs(runs)).within(start, end)) for key, runs in by_key.items()
        )
        for user, by_key in pieces.items()
    }
    return {user: of_user for user, of_user in kept.items() if of_user}


def joined(earlier: Kept[float], later: Kept[float]) -> Kept[float]:
    """A user's usage of two spans of time, one after the other."""
    if not earlier or not later:
        return earlier or later
    before, after = dict(parts_of(earlier)), dict(parts_of(later))
    return keep(
        (key, before.get(key, NOTHING).then(after.get(key, NOTHING))) for key in {**before, **after}
    )


def within(kept: Kept[float], start: float, end: float) -> Kept[float]:
    """The part of a user's usage in `(start, end]`."""
    return keep((key, timeline.within(start, end)) for key, timeline in parts_of(kept))


def runs_of(
    samples: Iterable[tuple[float, float]], step: float, bridge: Bridge = lambda _end, _start: False
) -> list[Run]:
    """The runs of samples `(instant, rate)`, each of which stands for the `step` before it.

    Where a sample is missing and `bridge(last, next)` holds, the rate went on if it is the same
    on both sides.
    """
    runs: list[Run] = []
    begin = until = rate = 0.0
    for instant, value in samples:
        if value == rate and (instant - step <= until or bridge(until, instant)):
            until = instant
            continue
        if rate > 0:
            runs.append((begin, until, rate))
        # Samples that stand closer than a step stand for no more than their distance.
        begin, until, rate = max(instant - step, until), instant, value
    if rate > 0:
        runs.append((begin, until, rate))
    return runs


def brief_runs(runs: Iterable[Run], brief: Iterable[tuple[float, float]], step: float) -> list[Run]:
    """The runs of what was seen within a step and at neither end of it, `(instant, rate)` each, but
    for steps that `runs` of the same thing touch: those count by what was seen at their ends.
    """
    seen = sorted(runs)
    begins, ends = [start for start, _, _ in seen], [end for _, end, _ in seen]
    return [
        (instant - step, instant, rate)
        for instant, rate in sorted(dict(brief).items())
        if bisect_left(begins, instant) <= bisect_left(ends, instant - step)
    ]


def buckets(kept: Kept[float], resource: str) -> tuple[Bucket, ...]:
    """A user's usage of one resource, for the rules."""
    return tuple(
        Bucket(start, end, rate * (end - start), server)
        for (of, server), timeline in parts_of(kept)
        if of == resource
        for start, end, rate in timeline
    )
