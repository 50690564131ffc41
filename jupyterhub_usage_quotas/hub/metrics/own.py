"""What the quota system exports about itself, on the Hub's metrics endpoint.

Labels are bounded: outcomes and reasons are closed sets, never users or values.
"""

from __future__ import annotations

import time
from datetime import datetime

from prometheus_client import Counter, Gauge, Histogram

from ... import conventions
from ...quotas.usage import Stale, Unknown
from ..launch.record import DecisionRecord

decisions = Counter(
    conventions.DECISIONS,
    "Decisions on launches, by outcome and by whether they were enforced",
    ["outcome", "enforcement"],
)
failovers = Counter(
    conventions.FAILOVERS,
    "Decisions that were left to failover because usage was not known, by reason",
    ["reason"],
)
warnings = Counter(
    conventions.WARNINGS,
    "Launches beyond a quota that only warns, by policy",
    ["policy"],
)
prometheus_requests = Counter(
    conventions.PROMETHEUS_REQUESTS, "Requests to Prometheus, by outcome", ["outcome"]
)
prometheus_seconds = Histogram(
    conventions.PROMETHEUS_SECONDS,
    "How long requests to Prometheus took",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
usage_age = Gauge(
    conventions.USAGE_AGE,
    "Seconds since the instant up to which usage was last known (since the start, before that)",
)

refreshes = Counter(
    conventions.REFRESHES, "Refreshes of everybody's usage, by outcome", ["outcome"]
)
OF_HOMES = "home_storage_"
"""What precedes the reason in the outcome of a refresh of home storage, which failed."""
history = Gauge(
    conventions.HISTORY, "How far back everybody's usage is at hand, in seconds", ["source"]
)
coverage = Gauge(
    conventions.COVERAGE, "The share of that time in which the source was scraped", ["source"]
)
pods_without_user = Gauge(
    conventions.PODS_WITHOUT_USER,
    "How many pods ran lately that are called as users' pods are and are no known server's",
)
scrape_interval = Gauge(
    conventions.SCRAPE_INTERVAL, "The seconds between scrapes that were found", ["source"]
)


class DecisionCounter:
    """Counts decisions on launches, what was left to failover, and warnings."""

    def decided(self, record: DecisionRecord) -> None:
        """See `DecisionObserver`."""
        decision = record.decision
        outcome, enforcement = decision.outcome.value, record.enforcement.value
        decisions.labels(outcome=outcome, enforcement=enforcement).inc()
        if isinstance(decision.failover, Stale | Unknown):
            failovers.labels(reason=decision.failover.reason).inc()
        for verdict in decision.warnings:
            warnings.labels(policy=verdict.allotment.name).inc()


class _Known:
    until = time.time()


usage_age.set_function(lambda: time.time() - _Known.until)


def observe_request(outcome: str, seconds: float) -> None:
    """Count one request to Prometheus."""
    prometheus_requests.labels(outcome=outcome).inc()
    prometheus_seconds.observe(seconds)


def usage_known_until(instant: datetime) -> None:
    """Note that usage is known up to `instant`."""
    _Known.until = max(_Known.until, instant.timestamp())
