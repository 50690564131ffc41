"""Amounts: what windows need of usage to say how much of it counts, and running totals that answer
it, to which what is new is added.

`Usage` is such amounts, too, worked out anew; running totals give the same, but for the rounding of
fractions.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from .usage import sum_of_runs

FIELDS = 3
"""Values of a run: its start, its end, and base units per second."""


class Amounts(Protocol):
    """What was used when. Instants are seconds since the Unix epoch, amounts base units."""

    @property
    def end(self) -> float:
        """When the last usage ended; minus infinity if none."""
        ...

    def between(self, start: float, end: float) -> float:
        """What was used in `(start, end]`."""
        ...

    def used_next(self, after: float) -> float:
        """The first instant at or after this one right after which anything was used; infinite
        where nothing was.
        """
        ...

    def segments(self) -> Iterator[tuple[float, float, float]]:
        """`(start, end, rate)` in time order, without overlap; the rate may be zero."""
        ...


class RunTotals:
    """The totals of runs that do not overlap, in time order: those of one server.

    They are given as one array, three values each. Mostly the last of them is longer than before,
    or there is one more, and the oldest is shorter, or gone: only that is worked out again, so the
    totals before each run are counted from any instant.
    """

    __slots__ = ("_before", "_starts", "packed")

    def __init__(self, packed: array[float]) -> None:
        self.packed: array[float] = array("d")
        self._starts: array[float] = array("d")
        self._before: array[float] = array("d")
        self._append(packed, 0)

    def update(self, packed: array[float]) -> None:
        """Let these be all runs."""
        known = self.packed
        for gone in (0, FIELDS):
            # All but the last run of the shorter are the same, but for where the first begins.
            same = min(len(known) - gone, len(packed)) - FIELDS
            if same > 0 and known[gone + 1 : gone + same] == packed[1:same]:
                self._keep(gone, same)
                self._before[0] += known[2] * (packed[0] - known[0])
                known[0] = self._starts[0] = packed[0]
                self._append(packed, same)
                return
        self._keep(len(known), 0)
        self._append(packed, 0)

    def _keep(self, gone: int, same: int) -> None:
        del self.packed[:gone], self._starts[: gone // FIELDS], self._before[: gone // FIELDS]
        del self.packed[same:], self._starts[same // FIELDS :], self._before[same // FIELDS :]

    def _append(self, packed: array[float], since: int) -> None:
        total = 0.0
        if known := self.packed:
            total = self._before[-1] + known[-1] * (known[-2] - known[-3])
        for at in range(since, len(packed), FIELDS):
            start, end, rate = packed[at : at + FIELDS]
            self._starts.append(start)
            self._before.append(total)
            total += rate * (end - start)
        known.extend(packed[since:])

    @property
    def end(self) -> float:
        """See `Amounts.end`."""
        return self.packed[-2] if self.packed else -math.inf

    def _until(self, at: float) -> float:
        index = bisect_right(self._starts, at) - 1
        if index < 0:
            return self._before[0] if self._before else 0.0
        start, end, rate = self.packed[index * FIELDS : index * FIELDS + FIELDS]
        return self._before[index] + rate * (min(at, end) - start)

    def between(self, start: float, end: float) -> float:
        """See `Amounts.between`."""
        return max(self._until(end) - self._until(start), 0.0)

    def used_next(self, after: float) -> float:
        """See `Amounts.used_next`."""
        index = max(bisect_right(self._starts, after) - 1, 0) * FIELDS
        if index < len(self.packed) and self.packed[index + 1] <= after:
            index += FIELDS
        return max(self.packed[index], after) if index < len(self.packed) else math.inf

    def segments(self) -> Iterator[tuple[float, float, float]]:
        """See `Amounts.segments`."""
        values = iter(self.packed)
        return zip(values, values, values, strict=True)


class Weighted:
    """Several amounts as one, each times a weight: those of several servers, or what is bought."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[tuple[Amounts, float]]) -> None:
        self._parts = parts

    @property
    def end(self) -> float:
        """See `Amounts.end`."""
        return max((one.end for one, _ in self._parts), default=-math.inf)

    def between(self, start: float, end: float) -> float:
        """See `Amounts.between`."""
        return math.fsum(weight * one.between(start, end) for one, weight in self._parts)

    def used_next(self, after: float) -> float:
        """See `Amounts.used_next`."""
        return min(
            (one.used_next(after) for one, weight in self._parts if weight), default=math.inf
        )

    def segments(self) -> Iterator[tuple[float, float, float]]:
        """See `Amounts.segments`."""
        # Mostly a server uses all that it uses for the same time.
        rates: dict[tuple[float, float], float] = {}
        for one, weight in self._parts:
            for start, end, rate in one.segments():
                rates[start, end] = rates.get((start, end), 0.0) + weight * rate
        return sum_of_runs((start, end, rate) for (start, end), rate in rates.items())


def together(parts: Sequence[Amounts]) -> Amounts:
    """Several amounts as one."""
    return parts[0] if len(parts) == 1 else Weighted([(one, 1.0) for one in parts])


def bought(parts: Mapping[str, Amounts], prices: Mapping[str, float]) -> Amounts:
    """What is bought with amounts of several resources, by the price of a base unit of each."""
    return Weighted([(amounts, prices[resource]) for resource, amounts in parts.items()])
