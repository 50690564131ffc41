"""Real programs and made-up histories, by the starter that the demo has.

Tests import them from here and nowhere else: what they need beyond the demo is added here.
"""

from __future__ import annotations

from jupyterhub_usage_quotas.demo.exporter import served
from jupyterhub_usage_quotas.demo.history import STEP, Span, backfill, open_metrics
from jupyterhub_usage_quotas.demo.processes import (
    Program,
    ProgramFailed,
    find_program,
    free_port,
    start_prometheus,
)

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
