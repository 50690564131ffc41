"""What users have used and what remains, as gauges on the Hub's metrics endpoint.

Labels are usernames and policies, so there are as many series as users times policies: on very
large hubs they can be narrowed to groups, or switched off (`UsageQuotaManager.export_usage`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ... import conventions
from ...quotas.policy.policy import PolicySet
from ...status.snapshot import PolicyStatus

HOUR = 3600

LABELS = ("namespace", "username", "policy", "resource")
FORMER_LABELS = ("namespace", "username", "policy_group", "window")


class UsageGauges(Collector):
    """Exports the rows of a snapshot. Amounts of a resource over time are in hours: byte-hours,
    core-hours, GPU-hours, server-hours; credits are credits. NaN where usage is not known.
    """

    def __init__(
        self,
        rows: Callable[[], Sequence[PolicyStatus]],
        policies: PolicySet,
        namespace: str,
        *,
        former: bool = True,
    ) -> None:
        """With `former`, usage and limits of memory and CPU under their earlier names as well."""
        self._rows = rows
        self._policies = policies
        self._namespace = namespace
        self._former = former

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The metrics, without samples: registering must not need a running Hub."""
        return [*self._families().values(), *self._former_families().values()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The samples as of the last refresh."""
        families, former = self._families(), self._former_families()
        shown: set[tuple[str, ...]] = set()
        for one in self._rows():
            hours = self._hours(one.resource)
            values = {
                conventions.USED: _or_nan(one.used) / hours,
                conventions.LIMIT: one.allowance / hours,
                conventions.REMAINING: _or_nan(one.remaining) / hours,
            }
            labels = [self._namespace, one.username, one.policy, one.resource]
            for name, value in values.items():
                families[name].add_metric(labels, value)
            names = conventions.FORMER_USAGE_METRICS.get(one.resource)
            key = (one.resource, one.username, one.groups, one.days)
            # Several policies can have the same labels here; the first that was written is shown,
            # because a duplicate series is an error in every scrape.
            if former and names and one.username and one.days and key not in shown:
                shown.add(key)
                labels = [self._namespace, one.username, one.groups, one.days]
                former[names[0]].add_metric(labels, _or_nan(one.used) / HOUR)
                former[names[1]].add_metric(labels, one.allowance / HOUR)
        yield from families.values()
        yield from former.values()

    def _hours(self, resource: str) -> int:
        known = self._policies.resources.get(resource)
        return HOUR if known is None or known.over_time else 1

    @staticmethod
    def _families() -> Mapping[str, GaugeMetricFamily]:
        texts = {
            conventions.USED: "What a user has used under a policy",
            conventions.LIMIT: "What a policy allows a user, adjustments included",
            conventions.REMAINING: "What a user has left under a policy",
        }
        return {name: GaugeMetricFamily(name, text, labels=LABELS) for name, text in texts.items()}

    def _former_families(self) -> Mapping[str, GaugeMetricFamily]:
        if not self._former:
            return {}
        return {
            name: GaugeMetricFamily(
                name, "Usage or limit under its earlier name", labels=FORMER_LABELS
            )
            for names in conventions.FORMER_USAGE_METRICS.values()
            for name in names
        }


def _or_nan(amount: float | None) -> float:
    return math.nan if amount is None else amount
