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


def in_force() -> float:
    """Seconds until a decision is in force, the largest median of all databases."""
    return max(one.figures["median"] for one in load("ledger").tables["in_force"])


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "docs/how-to/ledger.md", "**In force within a second** in the Hub", lambda: in_force() <= 1
    ),
    Claim("docs/how-to/give-more.md", "the Hub counts it within a second", lambda: in_force() <= 1),
)

BY_HAND: Mapping[str, str] = {
    "docs/how-to/costs.md": "no program measures the cost monitor yet",
    "docs/reference/recording-rules.md": "measured before benchmarks kept what they found",
}
"""Pages whose figures were measured once, by hand, and why."""

WRITTEN_WHOLE = (
    "docs/explanation/soak.md",
    "docs/explanation/speed",
    "docs/explanation/time-to-first-denial.md",
)
"""How the names of pages begin that a benchmark may write as a whole, prose and all: those without
figures between comments are.
"""
