"""Metrics of the quota system itself, on the Hub's metrics endpoint.

Labels are bounded: outcomes and reasons are closed sets, never users or values.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram, Info

from ... import conventions
from ...metering.events import Refresh
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
    "Seconds since the newest known usage; since the Hub's start where none is known yet",
)

refreshes = Counter(conventions.REFRESHES, "Refreshes of all users' usage, by outcome", ["outcome"])
history = Gauge(
    conventions.HISTORY, "How far back all users' usage is cached, in seconds", ["source"]
)
coverage = Gauge(
    conventions.COVERAGE,
    "The share of the cached time, 0 to 1, in which the source was scraped",
    ["source"],
)
pods_without_user = Gauge(
    conventions.PODS_WITHOUT_USER,
    "Running pods named like user servers that match no known server",
)
scrape_interval = Gauge(
    conventions.SCRAPE_INTERVAL, "The detected seconds between two scrapes", ["source"]
)


build = Info(
    conventions.BUILD_INFO.removesuffix("_info"),
    "The version of usage quotas that the Hub runs, and the URL of its documentation",
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


class MeterMetrics:
    """Counts and logs what the Hub's meter does; see `MeterEvents`."""

    def __init__(
        self, log: logging.Logger, on_request: Sequence[Callable[[str], None]] = ()
    ) -> None:
        """Each of `on_request` gets the outcome of every request."""
        self._log = log
        self._on_request = on_request
        self._not_saved = ""

    def requested(self, outcome: str, seconds: float) -> None:
        """Count a request."""
        for also in self._on_request:
            also(outcome)
        prometheus_requests.labels(outcome=outcome).inc()
        prometheus_seconds.observe(seconds)

    def covered(self, until: datetime) -> None:
        """Note up to when usage is known."""
        _Known.until = max(_Known.until, until.timestamp())

    def refreshed(self, refresh: Refresh) -> None:
        """Count a refresh, and log a bug with its traceback.

        Of a gauge, not one that succeeded: it says nothing about usage, and would hide from alerts
        that usage fails.
        """
        outcome = refresh.failure.reason if refresh.failure else "success"
        if refresh.over_time or refresh.bug:
            refreshes.labels(outcome=outcome).inc()
        elif refresh.failure:
            refreshes.labels(outcome=f"{refresh.source.replace(' ', '_')}_{outcome}").inc()
        if refresh.bug:
            self._log.error(
                "Refreshing usage failed: %s; it is tried again",
                refresh.source,
                exc_info=refresh.bug,
            )

    def unowned_pods(self, number: int) -> None:
        """Show how many there are."""
        pods_without_user.set(number)

    def restored(self, source: str, written: datetime) -> None:
        """Log since when usage is known."""
        self._log.info(
            "Usage from %s was cached %s UTC; only what is newer is read from Prometheus",
            source,
            f"{written:%Y-%m-%d %H:%M}",
        )

    def followed(self, written: datetime) -> None:
        """See `MeterEvents.followed`: the Hub writes the checkpoint, and follows none."""

    def not_restored(self, why: str) -> None:
        """Log why the history has to be read."""
        self._log.warning(
            "The usage cached before this start is not used: %s; it is read from Prometheus", why
        )

    def not_saved(self, path: Path, why: str) -> None:
        """Log it once for each reason: it is tried again and again."""
        if why != self._not_saved:
            self._log.warning(
                "Usage could not be cached in %s: %s; after a restart all of it is read from"
                " Prometheus again. Set UsageConfig.state_dir to a folder that the Hub can write"
                ' to, or to "" to cache nothing',
                path,
                why,
            )
        self._not_saved = why
