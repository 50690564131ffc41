"""A real Prometheus with a known history in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.readers import Timing
from jupyterhub_usage_quotas.metering.sources.base import PrometheusSource
from tests.support.programs import Span, backfill, start_prometheus

NOW = int(time.time()) // 60 * 60
"""The whole minute at which all made-up histories end."""


@pytest.fixture(scope="module")
def serve_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """A function that starts a Prometheus holding these spans, and returns its URL.

    It takes the options of `start_prometheus`.
    """
    running = []

    def serve(spans: Iterable[Span], **options: Any) -> str:
        directory: Path = tmp_path_factory.mktemp("prometheus")
        backfill(directory, spans)
        prometheus, url = start_prometheus(directory, **options)
        running.append(prometheus)
        return url

    yield serve
    for prometheus in running:
        prometheus.stop()


def meter(url: str, *sources: PrometheusSource, **timing: Any) -> Meter:
    """A meter with a generous deadline: these tests are not about time."""
    client = PrometheusClient(url, request_timeout=timedelta(seconds=60))
    patient = {"deadline": timedelta(seconds=60), "refresh_deadline": timedelta(minutes=5)}
    return Meter(client, sources, Timing(**(patient | timing)))


def instant(unix: int) -> datetime:
    """A UTC datetime of Unix seconds."""
    return datetime.fromtimestamp(unix, UTC)
