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


def of_costs(what: str, column: str) -> float:
    """What an answer of the cost monitor takes."""
    return figure("costs", "answers", what, column)


def of_peer(what: str, column: str) -> float:
    """How many times as much the earlier package takes."""
    return figure("peer", "ratios", what, column)


def grows(along: str, *, at_most: float) -> bool:
    """Whether what a refresh asks of Prometheus grows with something by no more than this power."""
    what = f"a refresh, by {along}"
    return all(figure("meter", "growth", what, of) <= at_most for of in ("queries", "kB"))


def flat() -> bool:
    """Whether a refresh asks Prometheus for the same, whatever the days, users and policies are."""
    return all(grows(one, at_most=0.1) for one in ("days", "users without servers", "policies"))


HARD, RECORDED = (
    "two replicas, two gaps a day, one pod in 20 resized",
    "recorded series of the same",
)


def of_recorded(table: str) -> float:
    """What of Prometheus' CPU seconds is left with recorded series."""
    seconds = (figure("meter", table, one, "server CPU s") for one in (RECORDED, HARD))
    return next(seconds) / next(seconds)


BOTH = "CPU of both, peer / this"
"""Prometheus and the package together."""

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "docs/explanation/meter.md",
        "A decision is a look-up, for [less than a hundredth of the CPU](speed-beside-the-peer.md) "
        "that querying Prometheus for it takes",
        lambda: of_peer("a launch, warm", BOTH) >= 100,
    ),
    Claim(
        "docs/explanation/promises.md",
        "What a refresh asks of Prometheus grows with the servers that ran, not with windows, "
        "users or policies",
        flat,
    ),
    Claim(
        "docs/explanation/meter.md",
        "What a refresh costs Prometheus grows with the servers that ran in those minutes, not "
        "with the window, the number of policies, or the number of users",
        flat,
    ),
    Claim(
        "docs/reference/recording-rules.md",
        "a refresh takes Prometheus less than half of the time, and reading the history a fifth",
        lambda: of_recorded("refreshes") < 0.5 and of_recorded("starts") < 0.25,
    ),
    Claim(
        "docs/reference/recording-rules.md",
        "They cost Prometheus about 0.4 seconds a minute for 1,000 running servers and two "
        "replicas",
        lambda: figure("meter", "rules", "the rules, once", "of 1,000") < 0.5,
    ),
    Claim(
        "docs/explanation/scale.md",
        "A refresh of 100,000 users, of whom a quarter have a server, with the text of all their "
        "metrics, takes a third of a core",
        lambda: figure("scale", "steps", "100,000 users: a refresh", "own CPU s") < 60 * 0.4,
    ),
    Claim(
        "docs/explanation/scale.md",
        "nothing of the Hub's queries is refused by Mimir or Thanos with these limits",
        lambda: (
            sum(
                one.figures["refused"]
                for one in load("scale").tables["kinds"]
                if one.what.startswith(("Mimir", "Thanos"))
            )
            == 0
        ),
    ),
    Claim(
        "docs/explanation/speed-beside-the-peer.md",
        "240 users with two sessions a day for 30 days",
        lambda: load("peer").made["users"] == 240,
    ),
    Claim(
        "docs/explanation/speed-beside-the-peer.md",
        "A refresh is of 50 users",
        lambda: load("peer").made["refreshed"] == 50,
    ),
    Claim(
        "docs/how-to/costs.md",
        "by hub and component an answer takes two seconds of one core, by user twelve, and 0.25 GB "
        "of memory",
        lambda: (
            of_costs("hub and component, by day", "CPU") <= 2.5
            and of_costs("user, component and hub", "CPU") <= 13
            and of_costs("user, component and hub", "MB") <= 250
        ),
    ),
    Claim(
        "docs/how-to/costs.md",
        "whoever asks next waits for a fraction of that",
        lambda: (
            of_costs("user, component and hub", "CPU, again")
            < of_costs("user, component and hub", "CPU") / 4
        ),
    ),
    Claim(
        "docs/how-to/costs.md",
        "Daily usage of that year takes 0.25 GB of the database",
        lambda: figure("costs", "sizes", "the database", "MB on disk") <= 260,
    ),
    Claim(
        "docs/how-to/ledger.md", "**In force within a second** in the Hub", lambda: in_force() <= 1
    ),
    Claim("docs/how-to/give-more.md", "the Hub counts it within a second", lambda: in_force() <= 1),
)

BY_HAND: Mapping[str, str] = {}
"""Pages whose figures were measured once, by hand, and why."""

WRITTEN_WHOLE = (
    "docs/explanation/soak.md",
    "docs/explanation/speed",
    "docs/explanation/time-to-first-denial.md",
)
"""How the names of pages begin that a benchmark may write as a whole, prose and all: those without
figures between comments are.
"""
