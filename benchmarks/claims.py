"""What README and documentation claim of speed, and the figure that each claim rests on.

A claim is the words on a page, and a test of the last run's figures that must hold. Whoever writes
how fast something is adds it here; `tests/unit/docs/test_figures.py` finds words of speed that
are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.results import load


@dataclass(frozen=True)
class Claim:
    """Words on a page (spaces and line breaks are alike), and whether the figures bear them out."""

    page: str
    words: str
    holds: Callable[[], bool]


def figure(name: str, table: str, what: str, column: str) -> float:
    """A figure of the last run of a benchmark."""
    return load(name).figure(table, what, column)


def of_peer(what: str, column: str) -> float:
    """How this package and the earlier one compare."""
    return figure("peer", "ratios", what, column)


CLAIMS: tuple[Claim, ...] = ()

BY_HAND: Mapping[str, str] = {
    "docs/how-to/costs.md": "no program measures the cost monitor yet",
}
"""Pages whose figures were measured once, by hand, and why."""

WRITTEN_WHOLE = (
    "docs/explanation/soak.md",
    "docs/explanation/speed-of-starts.md",
    "docs/explanation/time-to-first-denial.md",
)
"""Pages that a benchmark writes as a whole, prose and all."""
