"""How much a server requests, read from its spawner: in base amounts (bytes, cores, GPUs).

What a spawner's options say in a way that cannot be read is not zero: of that resource it is not
known how much the server requests, and what can be read of it is the least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...quotas.messages import printable, said_by, wrong
from ...quotas.resource import Resource
from ...quotas.resources import BY_RUNNING, Resources
from ...quotas.units import InvalidQuantity, parse_kubernetes
from ..types import HubSpawner
from .elsewhere import ELSEWHERE, in_a_batch, said_elsewhere
from .host_config import DOCKER, SWARM, of_host_config, set_aside
from .profiles import WithProfile

EXTRA_GUARANTEES, EXTRA_LIMITS = "extra_resource_guarantees", "extra_resource_limits"
"""The traits of KubeSpawner that request resources by the names that Kubernetes has for them."""
CONTAINERS, INIT_CONTAINERS = "extra_containers", "init_containers"
"""Those with the other containers of its pods."""
OTHER_TRAITS = (EXTRA_GUARANTEES, EXTRA_LIMITS, CONTAINERS, INIT_CONTAINERS, DOCKER, *ELSEWHERE)
"""The traits besides a resource's own that say how much of it a server requests."""

Spawner = HubSpawner | WithProfile


@dataclass(frozen=True, slots=True)
class Asked:
    """How much a server requests, by resource; of those that are `unknown` it may be more than
    that, with a line about everything that cannot be read.
    """

    rates: Mapping[str, float]
    unreadable: tuple[str, ...] = field(default=())
    unknown: frozenset[str] = frozenset()


def asked_by(spawner: Spawner, resources: Resources) -> Asked:
    """What a spawner's server requests, and what it uses just by running."""
    rates, unreadable, unknown = {}, [], set()
    for resource in resources.values():
        if resource.asked:
            amount, errors = _least(spawner, resource)
            if amount or not errors:
                rates[resource.name] = amount
            if errors:
                unknown.add(resource.name)
            unreadable += [printable(f"{resource.name}: {error}") for error in errors]
    return Asked({**rates, **BY_RUNNING}, tuple(unreadable), frozenset(unknown))


def rates_of(spawner: Spawner, resources: Resources) -> Mapping[str, float]:
    """The same without what cannot be read."""
    return asked_by(spawner, resources).rates


def _least(spawner: Spawner, resource: Resource) -> tuple[float, list[str]]:
    """What can be read of how much a server requests, and why the rest cannot."""
    amounts, errors = [], []
    for read in _READERS:
        try:
            for amount in read(spawner, resource):
                if not 0 <= amount < math.inf:
                    raise InvalidQuantity(wrong("no amount that a server can have", amount))
                amounts.append(amount)
        except Exception as error:
            # An admin can write anything there, also what only the spawner understands.
            amounts += [error.least] if isinstance(error, InvalidQuantity) else []
            errors.append(said_by(error))
    return float(sum(amounts)), errors


# --- the server's own container -------------------------------------------------------------------


def _of_the_server(spawner: Spawner, resource: Resource) -> Iterator[float]:
    """What the server's own container requests: what is guaranteed; of what is not, the limit, as
    Kubernetes does it.
    """
    on_docker = getattr(spawner, DOCKER, None)
    if (amount := of_host_config(on_docker, resource)) is not None:
        yield amount
        return
    guarantee, limit = resource.spawner_options or ("", "")
    if on_docker is not None and not hasattr(spawner, SWARM):
        # A container of Docker's has limits only.
        guarantee = ""
    guarantees = _said(spawner, resource, guarantee, EXTRA_GUARANTEES)
    said = _said(spawner, resource, limit, EXTRA_LIMITS) | guarantees
    yield from said.values()
    if not said and resource.docker_set:
        yield set_aside(on_docker, resource)


def _said(spawner: Spawner, resource: Resource, option: str, extra: str) -> dict[str, float]:
    """What a spawner's option says, by the name that Kubernetes has for it; what its trait for
    such names says replaces it.
    """
    said = {}
    value = getattr(spawner, option, None) if option else None
    # DockerSpawner takes functions of the spawner.
    if amount := _amount(value(spawner) if callable(value) else value, resource):
        said[next(iter(resource.kubernetes), resource.name)] = amount
    for name, value in _mapping(getattr(spawner, extra, None)).items():
        if resource.is_called(name):
            # Kubernetes reads null as 0, also where the option says more.
            said[name] = 0.0 if value is None else parse_kubernetes(str(value))
    return said


def _amount(value: object, resource: Resource) -> float:
    """An option's value: a number, or a text, for example "2G", which the spawner reads later."""
    if isinstance(value, int | float):
        return float(value)
    if value is not None and not isinstance(value, str):
        raise InvalidQuantity(wrong("not an amount", value))
    return resource.amount(value) if value and value.strip() else 0.0


def _mapping(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidQuantity(wrong("not a mapping of resources", value))
    return dict(value)


# --- what else is in its pod ----------------------------------------------------------------------


def _of_other_containers(spawner: Spawner, resource: Resource) -> Iterator[float]:
    for container in _other_containers(spawner):
        said = _mapping(container.get("resources"))
        asked = _mapping(said.get("limits")) | _mapping(said.get("requests"))
        for name, amount in asked.items():
            if amount is not None and resource.is_called(name):
                yield parse_kubernetes(str(amount))


def _other_containers(spawner: Spawner) -> Iterator[Mapping[str, Any]]:
    """The containers that run beside the server's own: also those that only begin before it."""
    yield from _listed(getattr(spawner, CONTAINERS, None))
    for one in _listed(getattr(spawner, INIT_CONTAINERS, None)):
        if one.get("restartPolicy", one.get("restart_policy")) == "Always":
            yield one


def _listed(containers: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(containers, Mapping):
        # KubeSpawner takes them by name, too, so that Helm can add some.
        containers = list(containers.values())
    for one in containers if isinstance(containers, Iterable) else ():
        if isinstance(one, Mapping):
            yield one


_READERS: tuple[Callable[[Spawner, Resource], Iterable[float]], ...] = (
    _of_the_server,
    _of_other_containers,
    in_a_batch,
    said_elsewhere,
)
"""Each gives some of what a server requests. It raises where it cannot: there may be more."""
