"""Where else a server's resources can be requested: options that are passed on as they are, to a
batch system, to systemd, to Docker or to Kubernetes.

Those of BatchSpawner for one resource each are read. The others can say anything, in the words of
whoever gets them: where one is about a resource, it is not known how much of that is requested.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...quotas.messages import wrong
from ...quotas.resource import Resource
from ...quotas.units import InvalidQuantity, parse_bytes
from .host_config import DOCKER, SWARM

_BATCH_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kmgtKMGT])i?[bB]?")


def in_a_batch(spawner: Any, resource: Resource) -> Iterator[float]:
    """An option of BatchSpawner, which is a text for the batch system."""
    text = str((resource.batch_option and getattr(spawner, resource.batch_option, None)) or "")
    if not text:
        return
    if not resource.in_bytes:
        yield resource.amount(text)
        return
    found = _BATCH_MEMORY.fullmatch(text.strip())
    if found is None:
        # Each batch system has a unit of its own for a number alone.
        expected = 'an amount with a unit, for example "4gb"'
        raise InvalidQuantity(wrong(resource.batch_option, text, expected))
    yield parse_bytes(f"{found[1]}{found[2].upper()}")


def said_elsewhere(spawner: Any, resource: Resource) -> Iterator[float]:
    """Nothing; raises `InvalidQuantity` where such an option is about the resource."""
    if not resource.elsewhere:
        return
    for trait, part in _PASSED_ON.items():
        said = getattr(spawner, trait, None)
        if callable(said):
            # As what DockerSpawner passes on besides its host configuration may be: mostly a
            # label, or the user that runs in the container.
            continue
        if about := part(said) if said else None:
            found = re.search(resource.elsewhere, str(about), re.IGNORECASE)
            if found:
                raise InvalidQuantity(f'{trait} has "{found[0]}", which only the spawner reads')
    yield from ()


def _all(said: object) -> object:
    return said


def _keys(*keys: str) -> Callable[[object], object]:
    def those(said: object) -> object:
        if not isinstance(said, Mapping):
            return said
        return {key: said[key] for key in keys if said.get(key)}

    return those


_PASSED_ON: Mapping[str, Callable[[Any], object]] = {
    "req_options": _all,
    "req_gres": _all,
    "unit_extra_properties": _all,
    SWARM: _all,
    "extra_task_spec": _keys("resources"),
    "extra_create_kwargs": _keys("host_config", "mem_limit", "cpu_quota", "cpuset", "nano_cpus"),
    DOCKER: _keys("runtime", "devices"),
    "extra_container_config": _keys("resources"),
    "extra_pod_config": _keys("resources", "containers", "initContainers", "init_containers"),
}
"""By trait of BatchSpawner, SystemdSpawner, SwarmSpawner, DockerSpawner and KubeSpawner, what of it
can request something.
"""
ELSEWHERE = tuple(_PASSED_ON)
