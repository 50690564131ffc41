"""The Hub's own exporter: what each running server asks for, for every spawner there is.

A custom collector: each scrape is made afresh from the servers that run at that moment, so it
never sees a half-written state, and a server that stopped is gone from the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ... import conventions
from ...quotas.resources import Resources, has_gpu
from ..launch.request import PROFILE_NAME, profile_of, rates_of
from ..launch.servers import running_spawners
from ..types import HubUser


class ServerExporter(Collector):
    """Exports the requests of all running servers of a Hub."""

    def __init__(
        self, users: Callable[[], Mapping[int, HubUser]], namespace: str, resources: Resources
    ) -> None:
        """`users` gives the Hub's dictionary of users."""
        self._users = users
        self._namespace = namespace
        self._resources = resources

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The metrics, without samples: registering must not need a running Hub."""
        return (self._requests_family(), self._info_family())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The samples of this moment."""
        info = self._info_family()
        info.add_metric([self._namespace], 1)
        yield info
        requests = self._requests_family()
        for user, spawner in running_spawners(list(self._users().values())):
            rates = rates_of(spawner, self._resources)
            for resource, amount in rates.items():
                if amount:
                    labels = [
                        self._namespace,
                        user.name,
                        spawner.name,
                        profile_of(spawner),
                        getattr(spawner, PROFILE_NAME, ""),
                        "true" if has_gpu(rates) else "false",
                        resource,
                    ]
                    requests.add_metric(labels, amount)
        yield requests

    @staticmethod
    def _requests_family() -> GaugeMetricFamily:
        return GaugeMetricFamily(
            conventions.SERVER_REQUESTS,
            "What a running server asks for: bytes of memory, CPU cores, GPUs; 1 for time",
            labels=conventions.SERVER_LABELS,
        )

    @staticmethod
    def _info_family() -> GaugeMetricFamily:
        return GaugeMetricFamily(
            conventions.EXPORTER_INFO,
            "Always 1: evidence that this Hub is scraped",
            labels=["namespace"],
        )
