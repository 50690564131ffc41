"""A program with the metrics of a Hub: `python -m tests.support.exporting_hub PORT NAMESPACE`.

The metrics are those of the Hub's own code, with numbers that are made up; counters count all the
time. Beside them is what kube-state-metrics would show of two pods.
"""

from __future__ import annotations

import logging
import math
import sys
import time
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client.metrics import MetricWrapperBase

from jupyterhub_usage_quotas import UsageQuotaManager, conventions
from jupyterhub_usage_quotas.hub.metrics import guard
from jupyterhub_usage_quotas.hub.metrics import own as metrics
from jupyterhub_usage_quotas.hub.metrics.usage import UsageGauges
from jupyterhub_usage_quotas.quotas.stopping.states import State
from jupyterhub_usage_quotas.status.snapshot import PolicyStatus

HOUR = 3600.0
GIB_HOUR = 2**30 * HOUR


def standing(username: str, policy: str, resource: str, used: float | None, limit: float):
    """Where a user stands, in hours, of memory in GiB-hours."""
    unit = GIB_HOUR if resource == "memory" else HOUR
    known = None if used is None else used * unit
    left = None if known is None else limit * unit - known
    return PolicyStatus(username, policy, resource, "students", "7", known, limit * unit, left)


STANDINGS = (
    standing("al", "weekly", "memory", 50, 100),
    standing("alice", "weekly", "memory", 120, 100),
    standing('b.o"b', "weekly", "memory", None, 100),
    standing("carl", "weekly", "memory", 10, math.inf),
    standing("dora", "weekly", "memory", 1, 0),
    standing("al", "cpu", "cpu", 3, 4),
    standing("al", "gpu-week", "gpu", 1, 4),
    standing("al", "hours", "time", 2, 4),
    standing("", "pool", "gpu", 9, 10),
    PolicyStatus("al", "home", "storage", "", "", 2.0 * 2**30, 10.0 * 2**30, 8.0 * 2**30),
)


def serve(port: int, namespace: str) -> None:
    """Serve all of it."""
    registry = CollectorRegistry()
    for one in (*vars(metrics).values(), *vars(guard).values()):
        if isinstance(one, MetricWrapperBase):
            registry.register(one)
    guard.show_states({State.OK: 3, State.GRACE: 1})
    registry.register(UsageGauges(lambda: STANDINGS, UsageQuotaManager().policies, namespace))
    servers = Gauge(conventions.SERVER_REQUESTS, "-", conventions.SERVER_LABELS, registry=registry)
    servers.labels(namespace, "al", "", "", "", "false", "time").set(1)
    annotations = Gauge(
        conventions.KSM_ANNOTATIONS,
        "-",
        ["namespace", "pod", "uid", conventions.KSM_USERNAME_LABEL],
        registry=registry,
    )
    phase = Gauge(
        conventions.KSM_PHASE, "-", ["namespace", "pod", "uid", "phase"], registry=registry
    )
    for pod, uid, username in (("jupyter-al", "1", "al"), ("hub-6d5f8c9b7d-x2x4z", "2", "")):
        annotations.labels(namespace, pod, uid, username).set(1)
        phase.labels(namespace, pod, uid, "Running").set(1)
    for gauge, value in (
        (metrics.history, 86400.0),
        (metrics.coverage, 0.5),
        (metrics.scrape_interval, 60.0),
    ):
        gauge.labels(source="kube-state-metrics").set(value)
    start_http_server(port, "127.0.0.1", registry)


def count() -> None:
    """Count everything that can be counted once."""
    for outcome in ("allowed", "denied", "failover_open"):
        metrics.decisions.labels(outcome=outcome, enforcement="enforce").inc()
    metrics.failovers.labels(reason="timeout").inc()
    metrics.warnings.labels(policy="weekly").inc()
    guard.notices.labels(kind="warning").inc()
    guard.stops.labels(outcome="stopped").inc()
    events = metrics.MeterMetrics(logging.getLogger())
    events.requested("success", 0.02)
    metrics.refreshes.labels(outcome="success").inc()
    events.covered(datetime.now(UTC))


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2])
    while True:
        count()
        time.sleep(0.5)
