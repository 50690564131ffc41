"""The names of the pods of the Hub's servers, made by KubeSpawner's own code: they match pods to
users where annotations are not exported.
"""

from __future__ import annotations

import logging
import string
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from ...errors import PodOwnersUnknown
from ..events import NO_EVENTS, MeterEvents
from ..sources.pod_names import Owner, PodName
from .namespaces import USER_NAMESPACE_TEMPLATE, kubespawners_namespace


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server in the Hub's database; `pod` is the pod that KubeSpawner wrote down for it. It is
    `running` where it was started and not stopped.
    """

    user: str
    name: str = ""
    user_id: int | None = None
    pod: PodName | None = None
    running: bool = False


Servers = Callable[[], Awaitable[Iterable[KnownServer]]]
"""All servers that are known; may raise `PodOwnersUnknown`."""

SHOWN = 5
OPTIONS = (
    "pod_name_template",
    "slug_scheme",
    "namespace",
    "enable_user_namespaces",
    "user_namespace_template",
)
"""The options of KubeSpawner about the names and the namespaces of pods."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How KubeSpawner names pods: its options, of which those that are not set are left out."""

    options: Mapping[str, Any]
    hub_namespace: str

    @property
    def template(self) -> str:
        """Of a pod's name."""
        from kubespawner import KubeSpawner  # noqa: PLC0415 takes a moment

        # Every version has its own default.
        usual = KubeSpawner.class_traits()["pod_name_template"].default_value
        return str(self.options.get("pod_name_template", usual))

    def pod(self, server: KnownServer) -> PodName:
        """The namespace and the name of a server's pod. Raises whatever the template makes it."""
        name = self._expanded(self.template, server)
        if not self.options.get("enable_user_namespaces"):
            return str(self.options.get("namespace") or self.hub_namespace), name
        template = self.options.get("user_namespace_template", USER_NAMESPACE_TEMPLATE)
        return self._expanded(template, server), name

    def _expanded(self, template: str, server: KnownServer) -> str:
        from kubespawner import KubeSpawner  # noqa: PLC0415 takes a moment

        # All attributes of a spawner that its method reads; a real one would connect to Kubernetes.
        spawner = SimpleNamespace(
            name=server.name,
            user=SimpleNamespace(name=server.user, id=_Number(server.user_id)),
            slug_scheme=self.options.get("slug_scheme", "safe"),
            _namespace_default=kubespawners_namespace,
        )
        return str(KubeSpawner._expand_user_properties(spawner, template))


class _Number:
    """The number of a user, which only the Hub knows."""

    def __init__(self, number: int | None) -> None:
        self._number = number

    def __format__(self, spec: str) -> str:
        if self._number is None:
            raise PodOwnersUnknown("names of pods have {userid} in them, which only the Hub knows")
        return format(self._number, spec)


class ServersPods:
    """The pods of known servers, for the meter: `metering.sources.pod_names.PodNames`."""

    def __init__(
        self,
        naming: Naming,
        servers: Servers,
        log: logging.Logger,
        events: MeterEvents = NO_EVENTS,
    ) -> None:
        """`log` gets a line about pods that match no server, `events` their number."""
        self._naming = naming
        # Now, because to import KubeSpawner takes longer than a decision may.
        self._like = pods_like(naming.template)
        self._servers = servers
        self._log = log
        self._events = events
        self._names: dict[KnownServer, PodName] = {}
        self._told: set[PodName] = set()
        self._told_shared: set[PodName] = set()

    @property
    def like(self) -> Sequence[str]:
        """See `PodNames.like`."""
        return self._like

    @property
    def identity(self) -> str:
        """See `PodNames.identity`."""
        return repr(self._naming)

    async def owners(self) -> Mapping[PodName, Owner]:
        """See `PodNames.owners`. Raises `PodOwnersUnknown`."""
        servers = list(await self._servers())
        # Names are made once: that takes a while for thousands.
        self._names = {one: self._names.get(one) or self._naming.pod(one) for one in set(servers)}
        candidates: dict[PodName, dict[Owner, bool]] = {}
        for server, name in self._names.items():
            for pod in filter(None, {name, server.pod}):
                of = candidates.setdefault(pod, {})
                owner = Owner(server.user, server.name)
                of[owner] = of.get(owner, False) or server.running
        self._tell_of_shared({pod for pod, of in candidates.items() if len(of) > 1})
        owners: dict[PodName, Owner] = {}
        for pod, of in candidates.items():
            if len(of) == 1:
                owners[pod] = next(iter(of))
                continue
            # A name that two servers could have is of the one that runs.
            running = [owner for owner, runs in of.items() if runs]
            if len(running) == 1:
                owners[pod] = replace(running[0], shared=True)
        return owners

    def _tell_of_shared(self, pods: Collection[PodName]) -> None:
        """Each is reported once."""
        if not (new := set(pods) - self._told_shared):
            return
        self._told_shared |= new
        self._log.warning(
            "%d pod names could be of several servers each; such a pod counts for the server that"
            " runs, and what ran before for nobody: make names unique with {user_server} in"
            " c.KubeSpawner.pod_name_template (for example %s)",
            len(new),
            _some(new),
        )

    def left_over(self, pods: Collection[PodName]) -> None:
        """See `PodNames.left_over`: each is reported once."""
        self._events.unowned_pods(len(pods))
        new = set(pods) - self._told
        if not new:
            return
        self._told |= new
        self._log.warning(
            "%d running pods are named like user servers but belong to no server in the Hub's"
            " database; their usage is not counted (for example %s)",
            len(new),
            _some(new),
        )


def _some(pods: Iterable[PodName]) -> str:
    return ", ".join(f"{namespace}/{name}" for namespace, name in sorted(pods)[:SHOWN])


def pods_like(template: str) -> Sequence[str]:
    """Patterns of the names that a template of KubeSpawner makes; none where that may be any."""
    parts = string.Formatter().parse(template)
    pattern = "".join(text + ("" if name is None else "*") for text, name, _, _ in parts)
    before, last, after = pattern.rpartition("*")
    if last and not after and "*" in before:
        # Where the name of a server is empty, KubeSpawner cuts off the dashes before it.
        pattern = f"{before.rstrip('*-')}*"
    return () if pattern == "*" else (pattern,)
