"""How long one decision takes, and how that grows with the number of policies."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jupyterhub_usage_quotas.quotas.decide import Outcome, Request, decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOURS = 30 * 24
EVERYONE = {"everyone": True}


def hourly_usage() -> dict[str, Fresh]:
    """Thirty days of hours, each with another amount: nothing that could be merged."""
    end = NOW.timestamp()
    buckets = tuple(
        Bucket(end - (HOURS - hour) * 3600, end - (HOURS - hour - 1) * 3600, 60.0 * (hour % 59))
        for hour in range(HOURS)
    )
    return {resource: Fresh(Usage(buckets, NOW)) for resource in ("cpu", "time")}


def rolling(count: int) -> list[dict[str, object]]:
    """So many policies, all of different windows and so all with a verdict, half exhausted."""
    return [
        {
            "resource": ("cpu", "time")[number % 2],
            "limit": ("100 CPU-hours", "1 minute")[number % 2],
            "window": f"{24 + number * 7} hours",
            "scope": EVERYONE,
        }
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [5, 10, 20, 40, 80])
def bench_policies(benchmark, count):
    policies, usage = parse_policies(rolling(count), failover_open=False), hourly_usage()
    request = Request(Subject("ada"))
    decision = benchmark(decide, policies, usage, request, NOW)
    assert decision.outcome is Outcome.DENIED
    assert len(decision.verdicts) == count


WINDOWS = {
    "rolling": 7,
    "calendar": {"calendar": "week", "timezone": "Europe/Zurich"},
    "refill": {"refill": 5, "every": "10 minutes"},
}


@pytest.mark.parametrize("window", WINDOWS)
def bench_windows(benchmark, window):
    policy = {"resource": "time", "limit": "2 hours", "window": WINDOWS[window], "scope": EVERYONE}
    policies, usage = parse_policies([policy], failover_open=False), hourly_usage()
    benchmark(decide, policies, usage, Request(Subject("ada")), NOW)
