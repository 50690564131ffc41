"""The report of a benchmark: a page of tables, and a plot."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

PLOT = "speed.svg"


@dataclass
class Measured:
    """One line of a table: what, and its figures by column."""

    what: str
    figures: dict[str, float] = field(default_factory=dict)


PAGE = """\
# Speed

Made by `make bench-meter` on {date}, on {machine}. Everything was measured in one run; compare
the ratios, since machines differ.

The *naive way* queries Prometheus again at every launch: the raw samples of 30 days for the user
and each policy, summed in Python. The *meter* reads the history once, queries every minute what is
new, for all users at once, and looks decisions up.

## One decision

{users} users with two sessions a day, 30 days at one sample a minute in a real Prometheus; two
policies over 30 days.

{decisions}

## A refresh for all users

Every minute, by the number of users and the longest window. "Naive" is what one query for all
users would send. Against a stand-in that answers the same queries, so seconds include making the
answers in Python; the bytes are without compression.

{refreshes}

![Bytes of a refresh by users and window](../images/{plot})

## Starting from nothing

Against the stand-in, which is far cheaper than a Prometheus: what a real one takes is in
[Speed of starts](speed-of-starts.md). Meanwhile launches make queries of their own. "MB held" is
what the process grew by.

{starts}
"""


def write_report(
    path: Path,
    decisions: Sequence[Measured],
    refreshes: Sequence[Measured],
    starts: Sequence[Measured],
    *,
    users: int,
) -> None:
    """Write the page, and its plot beside it in `images`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = path.parent.parent / "images"
    images.mkdir(exist_ok=True)
    _plot(images / PLOT, refreshes)
    page = PAGE.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=machine(),
        users=users,
        decisions=table(decisions),
        refreshes=table(refreshes),
        starts=table(starts),
        plot=PLOT,
    )
    path.write_text(page, encoding="utf-8")


def table(rows: Sequence[Measured]) -> str:
    """A table in Markdown."""
    columns = list(rows[0].figures)
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    lines += [
        f"| {row.what} | {' | '.join(_figure(row.figures[column]) for column in columns)} |"
        for row in rows
    ]
    return "\n".join(lines)


def _figure(value: float) -> str:
    if value == 0:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> str:
    """The cores and the Python of this machine."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}"


def _plot(path: Path, refreshes: Sequence[Measured]) -> None:
    import matplotlib as mpl  # noqa: PLC0415 only this script needs it

    mpl.use("svg")
    from matplotlib import pyplot  # noqa: PLC0415

    # The same figures make the same file.
    mpl.rcParams["svg.hashsalt"] = "speed"
    figure, axes = pyplot.subplots(figsize=(8, 4))
    places = range(len(refreshes))
    axes.bar(places, [one.figures["kB"] for one in refreshes], label="the meter")
    naive = [one.figures["naive kB"] or float("nan") for one in refreshes]
    axes.plot(places, naive, "v", color="tab:red", label="the naive way")
    axes.set_yscale("log")
    axes.set_ylabel("kB for all users")
    axes.set_xticks(places, [one.what.replace(", ", "\n") for one in refreshes], fontsize=8)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
