"""The metrics of 2i2c's package under their names and with their labels, for dashboards and alerts
that were written for it (`UsageQuotaManager.earlier_metrics`).

Two labels are bounded where they were not: `value` of usage is empty, for it was a new series at
every change, and several groups are named in their order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ...conventions import (
    EARLIER_FAIL_OPEN,
    EARLIER_HUB_ERROR,
    EARLIER_PROMETHEUS_ERROR,
    EARLIER_USAGE_METRICS,
)
from ...quotas.decide import Outcome
from ...status.standings import PolicyStatus
from ..launch.record import DecisionRecord

HOUR = 3600
LABELS = ("namespace", "policy_group", "username", "window", "value", "unit")
NO_GROUP = "none"
"""The group of a policy that covers a user by no group: above all, of the fallback policy."""
UNITS: Mapping[str, str] = MappingProxyType({"B-hours": "byte-hours"})
"""Units that are spelt in another way there."""
NO_ERRORS = frozenset({"success", "cancelled"})
"""Outcomes of a request to Prometheus."""


class EarlierGauges(Collector):
    """What users used and their limits, in byte-hours and CPU-hours, as of the last refresh."""

    def __init__(self, rows: Callable[[], Sequence[PolicyStatus]], namespace: str) -> None:
        self._rows = rows
        self._namespace = namespace

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The metrics, without samples: registering must not need a running Hub."""
        return self._families().values()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The samples. NaN where usage is not known."""
        families = self._families()
        shown: set[tuple[str, ...]] = set()
        for one in self._rows():
            names = EARLIER_USAGE_METRICS.get(one.resource)
            if names is None or not one.username or not one.days:
                continue
            group = _written(one.own_groups)
            if (key := (one.resource, one.username, group, one.days)) in shown:
                continue  # a series that is there twice is an error in every scrape
            shown.add(key)
            labels = [self._namespace, group, one.username, one.days]
            unit = UNITS.get(one.unit.symbol, one.unit.symbol)
            used = math.nan if one.used is None else one.used / HOUR
            limit = f"{one.allowance / one.unit.factor:.15g}"
            families[names[0]].add_metric([*labels, "", unit], used)
            families[names[1]].add_metric([*labels, limit, unit], one.allowance / HOUR)
        yield from families.values()

    @staticmethod
    def _families() -> Mapping[str, GaugeMetricFamily]:
        return {
            name: GaugeMetricFamily(
                name, "Usage or limit as 2i2c's package exports it", labels=LABELS
            )
            for names in EARLIER_USAGE_METRICS.values()
            for name in names
        }


class EarlierCounters:
    """Counts launches that were allowed because usage was not known, and requests to Prometheus
    that failed. An observer of decisions; `requested` is as in `MeterEvents`.
    """

    def __init__(self, registry: CollectorRegistry, namespace: str) -> None:
        self._namespace = namespace
        self._fail_open = Counter(
            EARLIER_FAIL_OPEN,
            "Launches that were allowed because usage was not known",
            ["namespace", "username"],
            registry=registry,
        )
        self._errors = Counter(
            EARLIER_PROMETHEUS_ERROR, "Requests to Prometheus that failed", registry=registry
        )
        # It is there, so that an alert on it is not one without data.
        Counter(
            EARLIER_HUB_ERROR,
            "Always 0: the Hub knows its users, and sends itself no requests",
            registry=registry,
        )

    def decided(self, record: DecisionRecord) -> None:
        """See `DecisionObserver`."""
        if record.decision.outcome is Outcome.FAILOVER_OPEN:
            self._fail_open.labels(self._namespace, record.subject.name).inc()

    def requested(self, outcome: str) -> None:
        """Count a request that failed."""
        if outcome not in NO_ERRORS:
            self._errors.inc()


def _written(groups: Sequence[str]) -> str:
    """Groups as that package writes them: one by its name, several as a set of Python."""
    if len(groups) > 1:
        return f"{{{', '.join(map(repr, groups))}}}"
    return groups[0] if groups else NO_GROUP
