"""Whose usage is exported: on a large Hub not everybody's, or every scrape would take seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ... import conventions
from ...status.snapshot import StatusSnapshot
from ...status.standings import PolicyStatus, Standing
from ...status.text import LOW

FEW: Final = 2000
"""Rows, of a user and a policy each, that are exported whosever they are."""
LATELY: Final = timedelta(hours=1)
"""Who used something within this time is active."""


class Exported(Collector):
    """Selects rows of a snapshot for gauges, once for each state of it, and says of how many users
    they are.

    Without `everybody`, where there are many rows, they are those of users who were active lately,
    and of those with little left of any of their quotas.
    """

    def __init__(self, snapshot: StatusSnapshot, namespace: str, *, everybody: bool) -> None:
        self._snapshot = snapshot
        self._namespace = namespace
        self._everybody = everybody
        self._of: Sequence[Standing] | None = None
        self._rows: Sequence[PolicyStatus] = ()
        self._users = 0

    def rows(self) -> Sequence[PolicyStatus]:
        """The rows, those of pools last."""
        snapshot = self._snapshot
        if snapshot.standings is not self._of:
            chosen = self._chosen(snapshot.standings)
            self._rows = (*(row for one in chosen for row in one.rows), *snapshot.pool_rows)
            self._of, self._users = snapshot.standings, len(chosen)
        return self._rows

    def _chosen(self, standings: Sequence[Standing]) -> Sequence[Standing]:
        if self._everybody or sum(len(one.rows) for one in standings) <= FEW:
            return standings
        at = self._snapshot.at
        since = (at - LATELY).timestamp() if at else 0.0
        return [one for one in standings if one.used_at > since or one.share >= LOW]

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The metric, without samples: registering must not need a running Hub."""
        return [self._family()]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The numbers as of the last refresh."""
        self.rows()
        family, total = self._family(), len(self._of or ())
        if total:
            family.add_metric([self._namespace, "true"], self._users)
            family.add_metric([self._namespace, "false"], total - self._users)
        yield family

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily(
            conventions.USERS,
            "Users whose usage is known to the Hub, by whether there are series of them",
            labels=["namespace", "exported"],
        )
