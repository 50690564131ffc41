"""What a Prometheus-compatible server reports about itself: its kind, its clock, its limits.

Pages: https://prometheus.io/docs/prometheus/latest/querying/api/#status — other servers have some
of them or none, so everything may be unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from .prometheus import PrometheusClient

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}
"""https://prometheus.io/docs/prometheus/latest/querying/basics/#time-durations"""

_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")
_PART = re.compile(r"(\d+)(ms|[smhdwy])")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server reports about itself; None for what it does not report.

    `ahead` is by how much its clock is ahead of ours (negative: behind), to a second. `retention`
    is how long it keeps samples, `max_samples` how many a query may hold at once.
    """

    name: str
    version: str | None = None
    ahead: timedelta | None = None
    retention: timedelta | None = None
    max_samples: int | None = None


def _now() -> datetime:
    return datetime.now(UTC)


async def server_facts(
    prometheus: PrometheusClient, clock: Callable[[], datetime] = _now
) -> ServerFacts:
    """Query a server about itself. Raises `PrometheusError` where it does not answer at all."""
    before = clock()
    answer = await prometheus.page("status/buildinfo")
    ahead = _ahead(answer, before, clock())
    build = _data(answer)
    running = _data(await prometheus.page("status/runtimeinfo"))
    flags = _data(await prometheus.page("status/flags"))
    kept = running.get("storageRetention") or flags.get("storage.tsdb.retention.time") or ""
    samples = str(flags.get("query.max-samples", ""))
    return ServerFacts(
        str(build.get("application") or "Prometheus"),
        str(build["version"]) if build.get("version") else None,
        ahead,
        # "15d or 10GiB": the size may end it earlier, which only its oldest sample shows.
        parse_prometheus_duration(str(kept).partition(" ")[0]),
        int(samples) if samples.isdecimal() else None,
    )


def parse_prometheus_duration(text: str) -> timedelta | None:
    """A duration as Prometheus writes it, for example "15d" or "1w2d"; None if it is none, or 0."""
    if not _DURATION.fullmatch(text):
        return None
    parts = _PART.findall(text)
    return sum((int(number) * _UNITS[unit] for number, unit in parts), timedelta(0)) or None


def _ahead(answer: httpx.Response, before: datetime, after: datetime) -> timedelta | None:
    try:
        told = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        return None
    # The header is in whole seconds, so on average half a second has passed since.
    middle = before + (after - before) / 2
    return told + timedelta(seconds=0.5) - middle


def _data(answer: httpx.Response) -> Mapping[str, Any]:
    """What is in a page; nothing where there is no such page."""
    if not answer.is_success:
        return {}
    try:
        content = answer.json()
    except ValueError:
        return {}
    data = content.get("data") if isinstance(content, Mapping) else None
    return data if isinstance(data, Mapping) else {}
