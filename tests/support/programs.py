"""Real programs and made-up histories, by the starter that the demo has.

Tests import them from here and nowhere else: what they need beyond the demo is added here.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyterhub_usage_quotas.demo import processes
from jupyterhub_usage_quotas.demo.exporter import served
from jupyterhub_usage_quotas.demo.history import STEP, Span, backfill, open_metrics
from jupyterhub_usage_quotas.demo.processes import ProgramFailed, find_program
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


class Program(processes.Program):
    """The demo's, of which nothing is left when it is stopped, however it ended.

    A Hub that had to be killed would leave its proxy and its services to the tests that follow.
    """

    def stop(self) -> None:
        """See `processes.Program.stop`."""
        started = list(_descendants(self._process.pid))
        super().stop()
        for pid, begun in started:
            if _begun(pid) == begun:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> Iterator[tuple[int, str]]:
    """The processes below one, with the instant at which each began: pids are used again."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                if begun := _begun(child):
                    yield child, begun
                yield from _descendants(child)


def _begun(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


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
