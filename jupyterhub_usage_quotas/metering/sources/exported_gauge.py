"""Gauges with a series for each key, for example a directory: one query reads what is there now for
all keys.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..client import promql
from ..client.prometheus import PrometheusClient
from ..client.series import Series
from .base import GaugeValue

REMEMBERED = timedelta(hours=1)
"""For how long a key that is no longer reported is unknown; after that it is not there."""


@dataclass(frozen=True)
class ExportedGauge:
    """The series of a gauge, and the key of each user; see `GaugeSource`.

    `amounts` and `limits` are metrics (none of limits where that is empty), `label` is the one that
    has the key, and `where` a matcher of namespaces, empty for all.
    """

    name: str
    resource: str
    amounts: str
    limits: str
    label: str
    where: str
    key_of: Callable[[str], str]
    keys: str
    hint: str = ""

    @property
    def missing(self) -> str:
        """See `GaugeSource.missing`."""
        return f"{self.amounts} has no series" + (f" where {self.where}" if self.where else "")

    async def read(
        self, prometheus: PrometheusClient, now: datetime, stale_after: timedelta
    ) -> Mapping[str, GaugeValue]:
        """See `GaugeSource.read`."""
        queries = promql.Gauge(self.amounts, self.limits, self.label, self.where)
        over = max(REMEMBERED, stale_after)
        parts = self._by_part(await prometheus.query(promql.labelled(queries.there(over)), now))
        values = _values(parts)
        if gone := parts.get("gone"):
            last = await prometheus.query(promql.labelled(queries.last_reported(over)), now)
            before = _values(self._by_part(last))
            values = {one: before[one] for one in gone if one in before} | values
        return values

    def _by_part(self, series: Iterable[Series]) -> Mapping[str, Mapping[str, float]]:
        """The newest values by part of the query and key."""
        parts: dict[str, dict[str, float]] = {}
        for one in series:
            of_part = parts.setdefault(one.labels.get("part", ""), {})
            of_part[one.labels.get(self.label, "")] = one.last
        return parts


def _values(parts: Mapping[str, Mapping[str, float]]) -> dict[str, GaugeValue]:
    limits, measured = parts.get("limit", {}), parts.get("at", {})
    return {
        key: GaugeValue(max(amount, 0.0), _limit(limits.get(key)), at)
        for key, amount in parts.get("amount", {}).items()
        if (at := measured.get(key)) is not None
    }


def _limit(reported: float | None) -> float | None:
    """A limit as it is reported: 0 for none."""
    return math.inf if reported is not None and reported <= 0 else reported
