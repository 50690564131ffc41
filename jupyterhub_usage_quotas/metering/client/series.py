"""One series of an answer."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its labels, and values at instants (Unix seconds) in time order."""

    labels: Mapping[str, str]
    instants: array[float]
    values: array[float]

    @property
    def samples(self) -> tuple[tuple[float, float], ...]:
        """`(instant, value)` in time order."""
        return tuple(zip(self.instants, self.values, strict=True))

    @property
    def last(self) -> float:
        """The newest value."""
        return self.values[-1]
