"""What DockerSpawner's `extra_host_config` requests: what Docker gets besides the spawner's options
(https://docker-py.readthedocs.io, HostConfig).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ...conventions import DOCKER_GPU
from ...quotas.messages import wrong
from ...quotas.resource import Resource
from ...quotas.units import InvalidQuantity, parse_bytes

DOCKER: Final = "extra_host_config"
SWARM: Final = "extra_resources_spec"
"""The trait of SwarmSpawner for the same, by names of its own."""
_REPLACED: Final = ("mem_limit", "cpu_quota")
"""The keys that DockerSpawner makes of its options, and that replace those where they are here."""
_GPU_MAKERS: Final = ("nvidia", "amd")
_ALL: Final = "all"


def of_host_config(config: object, resource: Resource) -> float | None:
    """How much of a resource it requests; None where the spawner's options say that.

    Raises `InvalidQuantity`, and whatever else comes of an amount that cannot be read.
    """
    if callable(config):
        raise InvalidQuantity(f"{DOCKER} is a function, which only the spawner calls")
    if config is not None and not isinstance(config, Mapping):
        raise InvalidQuantity(wrong("not a mapping", config))
    said = dict(config or {})
    for option in resource.docker_options:
        if said.get(option) and (amount := _READ[option](said[option], said)) > 0:
            return amount
    # Docker reads -1 as "no limit": nothing is requested.
    return 0.0 if any(one in said for one in resource.docker_options if one in _REPLACED) else None


def set_aside(config: object, resource: Resource) -> float:
    """How much of a resource a container may use by a list of which: "0-3,8" are five cores."""
    listed = config.get(resource.docker_set) if isinstance(config, Mapping) else None
    count = 0
    for part in str(listed or "").replace(",", " ").split():
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return float(count)


def _bytes(value: object, _said: Mapping[str, Any]) -> float:
    """A number of bytes, or a text with the suffix b, k, m or g (1024 based)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = re.sub(r"([kmgt])b?$", lambda unit: unit[1].upper(), str(value).strip().lower())
    return float(text) if _is_whole(text) else parse_bytes(text.replace("b", "B"))


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"-?[0-9]+", text) is not None


def _devices(value: object, _said: Mapping[str, Any]) -> float:
    """How many GPUs Docker's device requests are for."""
    if not isinstance(value, list | tuple):
        raise InvalidQuantity(wrong("device_requests", value, "a list"))
    return float(sum(_gpus(one) for one in value))


def _gpus(request: object) -> int:
    if not isinstance(request, Mapping):
        raise InvalidQuantity(wrong("not a device request", request))
    said = {str(key).lower(): value for key, value in request.items()}
    ids = _texts(said.get("deviceids") or said.get("device_ids"))
    names = [one for group in said.get("capabilities") or () for one in _texts(group)]
    driver = str(said.get("driver") or "")
    if not any(map(_is_of_gpus, (driver, *names, *ids))):
        return 0
    count = said.get("count") or 0
    if count < 0 or any(one.rpartition("=")[2] == _ALL for one in ids):
        raise InvalidQuantity("a device request is for all GPUs, however many there are", least=1)
    return len(ids) or int(count)


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, Iterable) else []


def _is_of_gpus(name: str) -> bool:
    """A driver, a capability, or a device as CDI calls it: "nvidia.com/gpu=0"."""
    lowered = name.lower()
    return DOCKER_GPU in lowered or lowered.startswith(_GPU_MAKERS)


_READ: Mapping[str, Callable[[Any, Mapping[str, Any]], float]] = {
    "mem_reservation": _bytes,
    "mem_limit": _bytes,
    "nano_cpus": lambda value, _said: float(value) / 1e9,
    "cpu_quota": lambda value, said: float(value) / float(said.get("cpu_period") or 100_000),
    "device_requests": _devices,
}
"""By key of the host configuration, how much its value and the other keys request."""
