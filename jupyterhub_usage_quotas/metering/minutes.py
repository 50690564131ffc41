"""Minutes as bits: at which whole minutes each of many things was to be seen.

Those of a thing are one integer, whose lowest bit is the first minute: so what several replicas say
is joined by "or", and a month of minutes is compared at once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from .client.series import Series
from .timelines import Run

MINUTE = 60

K = TypeVar("K", bound=Hashable)


Holds = Callable[[float, float], bool]
"""Whether what is looked for holds at an instant (Unix seconds) with a value."""


def is_one(_instant: float, value: float) -> bool:
    """Whether the value is one."""
    return value == 1


def due(at: float, value: float) -> bool:
    """Whether the value is an instant that has come."""
    return value <= at


def bits_of(
    found: Iterable[Series], first: int, key: Callable[[Series], K], holds: Holds = is_one
) -> dict[K, int]:
    """The minutes from `first` on (Unix seconds) at which it holds of series of the same key."""
    bits: dict[K, int] = {}
    for series in found:
        of_series = _bits(series, first, holds)
        if of_series:
            at = key(series)
            bits[at] = bits.get(at, 0) | of_series
    return bits


def _bits(series: Series, first: int, holds: Holds) -> int:
    begin, end = int(series.instants[0]) - first, int(series.instants[-1]) - first
    number, value = len(series.values), series.values[0]
    if series.values.count(value) == number and (end - begin) // MINUTE == number - 1:
        # Of one value: what holds at both ends holds at all between.
        at_ends = [holds(series.instants[at], value) for at in (0, -1)]
        if at_ends[0] == at_ends[1]:
            return (1 << number) - 1 << begin // MINUTE if at_ends[0] else 0
    bits = 0
    for at, value in zip(series.instants, series.values, strict=True):
        if holds(at, value):
            bits |= 1 << (int(at) - first) // MINUTE
    return bits


@dataclass(frozen=True, slots=True)
class Minutes:
    """Bits of minutes by uid, from `first` (Unix seconds) on, made from so many `samples`."""

    first: int
    bits: Mapping[str, int]
    samples: int = 0

    def spans(self, uid: str) -> Iterator[tuple[int, int]]:
        """The first and the last minute of each time without a pause."""
        return spans_of(self.bits.get(uid, 0), self.first)

    def runs(self, uid: str, longest: float) -> list[Run]:
        """The runs, over pauses of at most so many seconds."""
        runs: list[Run] = []
        for begin, end in self.spans(uid):
            if runs and begin - MINUTE - runs[-1][1] <= longest:
                runs[-1] = (runs[-1][0], float(end), 1.0)
            else:
                runs.append((float(begin - MINUTE), float(end), 1.0))
        return runs

    def last(self, uid: str) -> float:
        """The last minute; minus infinity where there is none."""
        bits = self.bits.get(uid, 0)
        return self.first + (bits.bit_length() - 1) * MINUTE if bits else float("-inf")

    def without(self, others: Mapping[str, int]) -> Minutes:
        """These, but for the bits of others."""
        left = {uid: bits & ~others.get(uid, 0) for uid, bits in self.bits.items()}
        return replace(self, bits={uid: bits for uid, bits in left.items() if bits})

    def joined(self, others: Iterable[Minutes]) -> Minutes:
        """These, and others that begin at the same minute."""
        bits, samples = dict(self.bits), self.samples
        for one in others:
            samples += one.samples
            for uid, of_uid in one.bits.items():
                bits[uid] = bits.get(uid, 0) | of_uid
        return replace(self, bits=bits, samples=samples)

    def of(self, uids: Iterable[str]) -> Minutes:
        """Those of these uids."""
        return replace(self, bits={uid: self.bits[uid] for uid in uids if uid in self.bits})


def spans_of(bits: int, first: int) -> Iterator[tuple[int, int]]:
    """The first and the last instant of each row of ones, a minute a bit."""
    at = first
    while bits:
        zeros = (bits & -bits).bit_length() - 1
        bits >>= zeros
        ones = (~bits & bits + 1).bit_length() - 1
        bits >>= ones
        yield at + zeros * MINUTE, at + (zeros + ones - 1) * MINUTE
        at += (zeros + ones) * MINUTE


def instant(unix: int) -> datetime:
    """An instant in Unix seconds."""
    return datetime.fromtimestamp(unix, UTC)
