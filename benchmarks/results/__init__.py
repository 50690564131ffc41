"""The last run of each benchmark, as JSON, and what pages say of it.

What lives here: a file for each benchmark, and the functions that write and read them. What must
not: figures that no program of `benchmarks/` wrote.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass
class Measured:
    """One line of a table: what, and its figures by column."""

    what: str
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """A run: how it was made, and its tables by name."""

    made: Mapping[str, Any]
    tables: Mapping[str, Sequence[Measured]]

    def figure(self, table: str, what: str, column: str) -> float:
        """One figure."""
        (row,) = (one for one in self.tables[table] if one.what == what)
        return row.figures[column]


def save(
    name: str, tables: Mapping[str, Sequence[Measured]], *, loads: Iterable[float], **made: Any
) -> None:
    """Keep the figures of a run; `loads` are those of the machine meanwhile."""
    seen = sorted(loads)
    about = {
        **made,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine(),
        "load": [round(seen[0], 1), round(seen[-1], 1)],
    }
    rounded = {
        table: [
            asdict(Measured(row.what, {key: significant(one) for key, one in row.figures.items()}))
            for row in rows
        ]
        for table, rows in tables.items()
    }
    text = json.dumps({"made": about, "tables": rounded}, indent=1, ensure_ascii=False)
    (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def load(name: str) -> Result:
    """The last run of a benchmark."""
    found = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    tables = {table: [Measured(**row) for row in rows] for table, rows in found["tables"].items()}
    return Result(found["made"], tables)


def significant(value: float) -> float:
    """With four digits that count."""
    return float(f"{value:.4g}")


def medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each figure over several runs."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The k with which a cost grows: `cost ~ size ** k`, by least squares of the logarithms."""
    across = [math.log(one) for one in sizes]
    up = [math.log(max(one, 1e-9)) for one in costs]
    return statistics.linear_regression(across, up).slope


def machine() -> str:
    """The cores and the Python of this machine."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}"


def table(rows: Sequence[Measured]) -> str:
    """A table in Markdown."""
    columns = list(rows[0].figures)
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    lines += [
        f"| {row.what} | {' | '.join(shown(row.figures[column]) for column in columns)} |"
        for row in rows
    ]
    return "\n".join(lines)


def shown(value: float) -> str:
    """A figure on a page."""
    if value == 0 or math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def sentence(made: Mapping[str, Any]) -> str:
    """How a run was made."""
    runs = f"Medians of {made['runs']} runs. " if made.get("runs", 1) > 1 else ""
    real = f", with a real Prometheus {made['prometheus']}" if "prometheus" in made else ""
    how = f"Made by `{made['with']}` on {made['date']}, on {made['machine']}{real}."
    return f"{how} {runs}{_load(made)}"


def _load(made: Mapping[str, Any]) -> str:
    """How busy the machine was, as far as that is known of a run."""
    if not made.get("load"):
        return "Compare the rows with each other."
    low, high = made["load"]
    was = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return f"The load of the machine was {was}: CPU seconds are the comparable figure."
