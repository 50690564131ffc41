"""What users have used and what remains, as gauges on the Hub's metrics endpoint.

Labels are usernames and policies, so there are as many series as users times policies: of whom they
are, `UsageQuotaManager.export_usage` says, and on a large Hub `exported` selects.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ... import conventions
from ...quotas.policy.policy import PolicySet
from ...status.standings import PolicyStatus

HOUR = 3600

LABELS = ("namespace", "username", "policy", "resource")
BY_GROUP_LABELS = ("namespace", "username", "policy_group", "window")


class UsageGauges(Collector):
    """Exports the rows of a snapshot. Amounts of a resource over time are in hours: byte-hours,
    core-hours, GPU-hours, server-hours; what is bought is as it is. NaN where usage is not known.
    """

    def __init__(
        self,
        rows: Callable[[], Sequence[PolicyStatus]],
        policies: PolicySet,
        namespace: str,
        *,
        by_group: bool = True,
    ) -> None:
        """With `by_group`, usage and limits of memory and CPU by groups and window as well."""
        self._rows = rows
        self._policies = policies
        self._namespace = namespace
        self._by_group = by_group

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The metrics, without samples: registering must not need a running Hub."""
        return [*self._families().values(), *self._families_by_group().values()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The samples as of the last refresh."""
        families, by_group = self._families(), self._families_by_group()
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
            names = conventions.BY_GROUP_METRICS.get(one.resource)
            key = (one.resource, one.username, one.groups, one.days)
            # Several policies can have the same labels here; the first that was written is shown,
            # because a duplicate series is an error in every scrape.
            if by_group and names and one.username and one.days and key not in shown:
                shown.add(key)
                labels = [self._namespace, one.username, one.groups, one.days]
                by_group[names[0]].add_metric(labels, _or_nan(one.used) / HOUR)
                by_group[names[1]].add_metric(labels, one.allowance / HOUR)
        yield from families.values()
        yield from by_group.values()

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

    def _families_by_group(self) -> Mapping[str, GaugeMetricFamily]:
        if not self._by_group:
            return {}
        return {
            name: GaugeMetricFamily(
                name, "Usage or limit by groups and window of a policy", labels=BY_GROUP_LABELS
            )
            for names in conventions.BY_GROUP_METRICS.values()
            for name in names
        }


def _or_nan(amount: float | None) -> float:
    return math.nan if amount is None else amount
