"""Made-up usage: samples in the OpenMetrics format, backfilled by promtool.

Format: https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .processes import ProgramFailed, find_program

STEP = 60
"""Seconds between samples."""
LONGEST_BLOCK = "10000h"
"""promtool reads the whole document again for each block: the fewer, the faster."""


@dataclass(frozen=True, slots=True)
class Span:
    """One series that has a constant value from `start` to `end` (Unix seconds, both included)."""

    metric: str
    labels: Mapping[str, str]
    start: int
    end: int
    value: float = 1.0
    step: int = STEP


def open_metrics(spans: Iterable[Span]) -> Iterable[str]:
    """The lines of an OpenMetrics document with all samples of these spans."""
    by_metric: dict[str, list[Span]] = {}
    for span in spans:
        by_metric.setdefault(span.metric, []).append(span)
    for metric, of_metric in by_metric.items():
        yield f"# TYPE {metric} gauge\n"
        for span in sorted(of_metric, key=lambda span: span.start):
            labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in span.labels.items())
            for instant in range(span.start, span.end + 1, span.step):
                yield f"{metric}{{{labels}}} {span.value!r} {instant}\n"
    yield "# EOF\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def backfill(directory: Path, spans: Iterable[Span]) -> None:
    """Write these spans into `directory / "data"`, where a Prometheus is going to start.

    Raises `ProgramFailed` with promtool's own words.
    """
    promtool = find_program("promtool", "on Debian it is in the package prometheus")
    data = directory / "data"
    data.mkdir(parents=True, exist_ok=True)
    document = directory / "history.om"
    with document.open("w", encoding="utf-8") as lines:
        lines.writelines(open_metrics(spans))
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics"]
    command += [f"--max-block-duration={LONGEST_BLOCK}", str(document), str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ProgramFailed(f"promtool could not backfill: {done.stderr or done.stdout}")
    document.unlink()
