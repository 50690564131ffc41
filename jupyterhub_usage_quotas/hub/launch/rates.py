"""How much a server requests, read from its spawner: in base amounts (bytes, cores, GPUs).

What a spawner's options say in a way that cannot be read is left out, which is not zero: of that
resource it is not known how much the server requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...conventions import DOCKER_GPU
from ...quotas.messages import printable, wrong
from ...quotas.resources import BY_RUNNING, Resource, Resources
from ...quotas.units import InvalidQuantity, parse_bytes, parse_kubernetes
from ..types import HubSpawner
from .profiles import WithProfile

EXTRA_GUARANTEES, EXTRA_LIMITS = "extra_resource_guarantees", "extra_resource_limits"
"""The traits of KubeSpawner that request resources by the names that Kubernetes has for them."""
CONTAINERS, INIT_CONTAINERS = "extra_containers", "init_containers"
"""Those with the other containers of its pods."""
DOCKER = "extra_host_config"
"""The trait of DockerSpawner with what Docker is told besides."""
OTHER_TRAITS = (EXTRA_GUARANTEES, EXTRA_LIMITS, CONTAINERS, INIT_CONTAINERS, DOCKER)
"""The traits besides a resource's own that say how much of it a server requests."""

_BATCH_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgtKMGT])i?[bB]?")


@dataclass(frozen=True, slots=True)
class Asked:
    """How much a server requests, by resource, and a line about everything that cannot be read."""

    rates: Mapping[str, float]
    unreadable: tuple[str, ...] = field(default=())


def asked_by(spawner: HubSpawner | WithProfile, resources: Resources) -> Asked:
    """What a spawner's server requests, and what it uses just by running."""
    rates, unreadable = {}, []
    for resource in resources.values():
        if resource.asked:
            try:
                rates[resource.name] = float(sum(_asked(spawner, resource)))
            except Exception as error:
                # An admin can write anything there, also what only the spawner understands.
                unreadable.append(printable(f"{resource.name}: {type(error).__name__}: {error}"))
    return Asked({**rates, **BY_RUNNING}, tuple(unreadable))


def rates_of(spawner: HubSpawner | WithProfile, resources: Resources) -> Mapping[str, float]:
    """The same without what cannot be read."""
    return asked_by(spawner, resources).rates


def _asked(spawner: HubSpawner | WithProfile, resource: Resource) -> Iterator[float]:
    yield _of_the_server(spawner, resource)
    for container in _other_containers(spawner):
        said = container.get("resources") or {}
        yield _by_kubernetes(said.get("requests"), said.get("limits"), resource)
    if resource.batch_option and (value := getattr(spawner, resource.batch_option, None)):
        yield _in_a_batch(str(value), resource)


def _of_the_server(spawner: HubSpawner | WithProfile, resource: Resource) -> float:
    """What the server's own container requests: the guarantee; where there is none, the limit, as
    Kubernetes does it. What is given by the name that Kubernetes has replaces the spawner's option.
    """
    extra = _by_kubernetes(
        getattr(spawner, EXTRA_GUARANTEES, None), getattr(spawner, EXTRA_LIMITS, None), resource
    )
    if extra:
        return extra
    for option in resource.spawner_options:
        value = getattr(spawner, option, None)
        # DockerSpawner takes functions of the spawner.
        if amount := _amount(value(spawner) if callable(value) else value, resource):
            return amount
    return _by_docker(getattr(spawner, DOCKER, None), resource)


def _amount(value: object, resource: Resource) -> float:
    """An option's value: a number, or a text, for example "2G", which the spawner reads later."""
    if isinstance(value, str) and value.strip():
        return resource.amount(value)
    return float(value) if isinstance(value, int | float) and value > 0 else 0.0


def _by_kubernetes(guarantees: object, limits: object, resource: Resource) -> float:
    """What is requested by the names that Kubernetes has; of what only has a limit, that."""
    asked = _mapping(limits) | _mapping(guarantees)
    amounts = [
        parse_kubernetes(str(amount))
        for name, amount in asked.items()
        if amount is not None and resource.is_called(name)
    ]
    if any(amount < 0 for amount in amounts):
        raise InvalidQuantity(wrong("is negative", asked))
    return sum(amounts)


def _mapping(value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidQuantity(wrong("not a mapping of resources", value))
    return dict(value)


def _other_containers(spawner: HubSpawner | WithProfile) -> Iterator[Mapping[str, Any]]:
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


# --- Docker ---------------------------------------------------------------------------------------


def _by_docker(config: object, resource: Resource) -> float:
    """What `extra_host_config` requests (https://docker-py.readthedocs.io, HostConfig)."""
    if callable(config):
        raise InvalidQuantity(f"{DOCKER} is a function, which only the spawner calls")
    said = _mapping(config)
    for option in resource.docker_options:
        if said.get(option):
            return _DOCKER[option](said[option], said)
    return 0.0


def _docker_bytes(value: object, _said: Mapping[str, Any]) -> float:
    """A number of bytes, or a text with the suffix b, k, m or g (1024 based)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = re.sub(r"([kmgt])b?$", lambda unit: unit[1].upper(), str(value).strip().lower())
    return float(text) if text.isdecimal() else parse_bytes(text.replace("b", "B"))


def _docker_devices(value: object, _said: Mapping[str, Any]) -> float:
    """How many GPUs Docker's device requests are for."""
    if not isinstance(value, list | tuple):
        raise InvalidQuantity(wrong("device_requests", value, "a list"))
    return float(sum(_devices(one) for one in value))


def _devices(request: object) -> float:
    said = {str(key).lower(): value for key, value in _mapping(request).items()}
    names = {str(one) for group in said.get("capabilities") or () for one in group}
    if DOCKER_GPU not in names and said.get("driver") != "nvidia":
        return 0.0
    if ids := said.get("deviceids") or said.get("device_ids"):
        return float(len(ids))
    count = said.get("count") or 0
    if count < 0:
        raise InvalidQuantity("a device request is for all GPUs, however many there are")
    return float(count)


_DOCKER: Mapping[str, Callable[[Any, Mapping[str, Any]], float]] = {
    "mem_reservation": _docker_bytes,
    "mem_limit": _docker_bytes,
    "nano_cpus": lambda value, _said: float(value) / 1e9,
    "cpu_quota": lambda value, said: float(value) / float(said.get("cpu_period") or 100_000),
    "device_requests": _docker_devices,
}
"""By key of the host configuration, how much its value and the other keys request."""


# --- batch systems --------------------------------------------------------------------------------


def _in_a_batch(text: str, resource: Resource) -> float:
    """An option of BatchSpawner, which is a text for the batch system."""
    if not resource.in_bytes:
        return resource.amount(text)
    found = _BATCH_MEMORY.fullmatch(text.strip())
    if found is None:
        # Each batch system has a unit of its own for a number alone.
        expected = 'an amount with a unit, for example "4gb"'
        raise InvalidQuantity(wrong(resource.batch_option, text, expected))
    return parse_bytes(f"{found[1]}{found[2].upper()}")
