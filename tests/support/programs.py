"""Real programs and made-up histories, by the starter that the demo has.

Tests import them from here and nowhere else: what they need beyond the demo is added here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyterhub_usage_quotas.demo import processes
from jupyterhub_usage_quotas.demo.exporter import served
from jupyterhub_usage_quotas.demo.history import STEP, Span, backfill, open_metrics
from jupyterhub_usage_quotas.demo.processes import Program, ProgramFailed, find_program
from tests.support.ports import free_port

__all__ = [
    "STEP",
    "Program",
    "ProgramFailed",
    "Span",
    "backfill",
    "find_program",
    "free_port",
    "open_metrics",
    "served",
    "start_prometheus",
]


def start_prometheus(
    directory: Path,
    scrape_configs: Sequence[Mapping[str, Any]] = (),
    *,
    port: int | None = None,
    **options: Any,
) -> tuple[Program, str]:
    """The demo's, on a port of the tests' own."""
    return processes.start_prometheus(
        directory, scrape_configs, port=port or free_port(), **options
    )
