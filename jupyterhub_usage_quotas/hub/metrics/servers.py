"""The Hub's own exporter: what each running server asks for, for every spawner there is.

A custom collector: each scrape is made afresh from the servers that run at that moment, so it
never sees a half-written state, and a server that stopped is gone from the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ... import conventions
from ...quotas.policy.selector import bounded_name
from ...quotas.resources import BY_RUNNING, has_gpu, may_have_gpu
from ..launch.kept import KeptLaunch, kept_of, server_for_log
from ..launch.servers import running_spawners
from ..types import HubSpawner, HubUser


def _gpu(rates: Mapping[str, float], unknown: Collection[str]) -> str:
    """The label for a server that requests so much, and perhaps more of what is unknown."""
    if may_have_gpu(rates, unknown):
        return ""
    return next(label for label, has in conventions.GPU_LABELS.items() if has is has_gpu(rates))


class ServerExporter(Collector):
    """Exports the requests of all running servers of a Hub."""

    def __init__(self, users: Callable[[], Mapping[int, HubUser]], namespace: str) -> None:
        """`users` gives the Hub's dictionary of users."""
        self._users = users
        self._namespace = namespace

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The metrics, without samples: registering must not need a running Hub."""
        return (self._requests_family(), self._info_family(), self._unknown_family())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The samples of this moment."""
        info = self._info_family()
        info.add_metric([self._namespace], 1)
        yield info
        requests, unknown = self._requests_family(), 0
        for user, spawner in running_spawners(list(self._users().values()), starting=True):
            try:
                kept = kept_of(spawner)
                unknown += kept is None
                for labels, amount in self._samples(user, spawner, kept):
                    requests.add_metric(labels, amount)
            except Exception:
                # One server that cannot be exported must not take the others with it.
                unknown += 1
                spawner.log.exception(
                    "What %s requests cannot be exported; correct what the traceback names, or what"
                    " the server uses is not known",
                    server_for_log(user.name, spawner.name),
                )
        yield requests
        not_known = self._unknown_family()
        not_known.add_metric([self._namespace], unknown)
        yield not_known

    def _samples(
        self, user: HubUser, spawner: HubSpawner, kept: KeptLaunch | None
    ) -> Iterator[tuple[list[str], float]]:
        """The labels and the amount of each sample of a server. Of one that nothing is kept of it
        is only known that it runs.
        """
        rates = kept.rates if kept else BY_RUNNING
        profile = "/".join((kept.profile, *kept.choices)) if kept else ""
        profile_name = kept.profile_name if kept else ""
        gpu = _gpu(rates, kept.unknown) if kept else ""
        # Names that are not valid Unicode cannot be exported.
        server = bounded_name(spawner.name)
        for name in (user.name, server):
            name.encode()
        for resource, amount in rates.items():
            if amount:
                who = [self._namespace, user.name, server]
                yield [*who, profile, profile_name, gpu, resource], amount

    @staticmethod
    def _requests_family() -> GaugeMetricFamily:
        return GaugeMetricFamily(
            conventions.SERVER_REQUESTS,
            "What a running server requests: bytes of memory, CPU cores, GPUs; 1 for time",
            labels=conventions.SERVER_LABELS,
        )

    @staticmethod
    def _unknown_family() -> GaugeMetricFamily:
        return GaugeMetricFamily(
            conventions.SERVERS_UNKNOWN,
            "Running servers of which it is not known what they request, because they were started"
            " before the Hub kept it",
            labels=["namespace"],
        )

    @staticmethod
    def _info_family() -> GaugeMetricFamily:
        return GaugeMetricFamily(
            conventions.EXPORTER_INFO,
            "Always 1: evidence that this Hub is scraped",
            labels=["namespace"],
        )
