"""A real VictoriaMetrics (single node) with a known history in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.programs import Program, Span, find_program, free_port, open_metrics

LINES = 200_000
"""How many samples are sent at a time."""


def start_victoria_metrics(directory: Path, *flags: str) -> tuple[Program, str]:
    """Start one on an empty directory; returns it, ready, and its URL."""
    url = f"http://127.0.0.1:{free_port()}"
    program = Program(
        [
            find_program("victoria-metrics", "on Debian, `apt-get install victoria-metrics`"),
            f"-storageDataPath={directory / 'data'}",
            f"-httpListenAddr={url.removeprefix('http://')}",
            "-retentionPeriod=1y",
            *flags,
        ],
        directory / "victoria-metrics.log",
    )
    try:
        program.wait_for_url(f"{url}/health")
    except BaseException:
        program.stop()
        raise
    return program, url


def import_spans(url: str, spans: Iterable[Span]) -> None:
    """Write the samples of these spans, and make them visible."""
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as http:
        lines: list[str] = []
        for line in open_metrics(spans):
            if not line.startswith("#"):
                # OpenMetrics has seconds, the text format of Prometheus milliseconds.
                lines.append(line.rstrip("\n") + "000\n")
            if len(lines) >= LINES:
                _send(http, lines)
        _send(http, lines)
        http.get("/internal/force_flush").raise_for_status()
        http.get("/internal/resetRollupResultCache").raise_for_status()


def _send(http: httpx.Client, lines: list[str]) -> None:
    http.post("/api/v1/import/prometheus", content="".join(lines)).raise_for_status()
    lines.clear()


@pytest.fixture(scope="module")
def serve_victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """A function that starts a VictoriaMetrics holding these spans, and returns its URL."""
    running: list[Program] = []

    def serve(spans: Iterable[Span], *flags: str) -> str:
        directory = tmp_path_factory.mktemp("victoria-metrics")
        program, url = start_victoria_metrics(directory, *flags)
        running.append(program)
        import_spans(url, spans)
        return url

    yield serve
    for program in running:
        program.stop()
