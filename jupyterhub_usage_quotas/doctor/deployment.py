"""The deployment that `doctor` examines: a configuration, and what it leads to; all is queried
once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from traitlets.config import Config

from ..errors import ConfigurationError, DatabaseUnreadable
from ..hub.launch.enforcement import UsageQuotaManager
from ..hub.types import HubApp
from ..metering.client.prometheus import PrometheusClient
from ..metering.client.server_facts import ServerFacts, server_facts
from ..metering.diagnosis import SourceDiagnosis, diagnose
from ..metering.kubespawner.pods import Naming, pods_like
from ..metering.sources.kube_state_metrics import KubeStateMetrics
from ..metering.sources.server_metrics import ServerMetrics
from ..quotas.messages import said_by
from ..quotas.subject import Subject
from ..status.hub_database import groups_in, reading, subjects_in
from .place import Place, place_of


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class InHub:
    """The users and groups in the Hub's database."""

    subjects: Sequence[Subject]
    groups: Sequence[str]


@dataclass
class Deployment:
    """A configuration that could be read, and the Prometheus that it names."""

    config: Config
    manager: UsageQuotaManager
    clock: Callable[[], datetime] = _now
    _facts: ServerFacts | None = field(default=None, init=False)
    _diagnosis: SourceDiagnosis | None = field(default=None, init=False)
    _in_hub: InHub | DatabaseUnreadable | None = field(default=None, init=False)

    @cached_property
    def prometheus(self) -> PrometheusClient:
        """The configured Prometheus, queried as the Hub queries it."""
        return self.manager.make_client()

    @cached_property
    def source(self) -> KubeStateMetrics | ServerMetrics:
        """The configured source of what servers ask for."""
        return self.manager.make_source()

    @cached_property
    def app(self) -> HubApp:
        """The Hub as it would be with this configuration: not started, and without a database.

        Raises `ConfigurationError` where there can be none.
        """
        from jupyterhub.app import JupyterHub  # noqa: PLC0415 takes a moment

        try:
            app: HubApp = JupyterHub(config=self.config)
        except Exception as error:
            # Options are the admin's: they can be anything.
            raise ConfigurationError([said_by(error)]) from error
        return app

    @cached_property
    def place(self) -> Place:
        """What the deployment is made of."""
        try:
            return place_of(self.app)
        except ConfigurationError:
            # The check `enforced` says why.
            return place_of(None)

    async def facts(self) -> ServerFacts:
        """What Prometheus reports about itself. Raises `PrometheusError`."""
        if self._facts is None:
            self._facts = await server_facts(self.prometheus, self.clock)
        return self._facts

    async def diagnosis(self) -> SourceDiagnosis:
        """What the source reported recently. Raises `PrometheusError`."""
        if self._diagnosis is None:
            naming = Naming(self.manager.pod_naming, self.manager.hub_namespace)
            like = pods_like(naming.template)
            self._diagnosis = await diagnose(self.prometheus, self.source, like, self.clock())
        return self._diagnosis

    async def in_hub(self) -> InHub:
        """The users and groups of the Hub. Raises `DatabaseUnreadable`."""
        if self._in_hub is None:
            try:
                self._in_hub = await asyncio.to_thread(self._read_database)
            except DatabaseUnreadable as error:
                self._in_hub = error
        if isinstance(self._in_hub, DatabaseUnreadable):
            raise self._in_hub
        return self._in_hub

    def _read_database(self) -> InHub:
        with reading(self.manager.hub_database) as session:
            return InHub(subjects_in(session), groups_in(session))

    async def aclose(self) -> None:
        """Close the connections."""
        if "prometheus" in self.__dict__:
            await self.prometheus.aclose()
        await self.manager.aclose()
