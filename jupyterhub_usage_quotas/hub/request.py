"""What a server asks for, read from its spawner."""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Sequence
from typing import Any

from ..quotas.decide import Request


async def read_request(user: Any, spawner: Any, gpu_resources: Sequence[str]) -> Request:
    """The request of a server that is about to start.

    KubeSpawner applies the chosen profile only in `start`, after the hooks. Its
    `load_user_options` does the same now (and again later, which changes nothing), so that the
    request is the one that the pod will have.
    """
    load_user_options = getattr(spawner, "load_user_options", None)
    if callable(load_user_options):
        loaded = load_user_options()
        if inspect.isawaitable(loaded):
            await loaded
    return Request(
        user=user.name,
        groups=frozenset(group.name for group in user.groups),
        server_name=spawner.name,
        profile=profile_of(spawner),
        rates=rates_of(spawner, gpu_resources),
    )


def rates_of(spawner: Any, gpu_resources: Sequence[str]) -> dict[str, float]:
    """What a spawner's server asks for, by resource: bytes, cores, GPUs, and 1 server.

    The guarantee counts; where there is none, the limit, as Kubernetes does it.
    """
    return {
        "memory": _first_number(spawner, "mem_guarantee", "mem_limit"),
        "cpu": _first_number(spawner, "cpu_guarantee", "cpu_limit"),
        "gpu": _gpus(spawner, gpu_resources),
        "time": 1.0,
    }


def profile_of(spawner: Any) -> str:
    """The slug of the chosen KubeSpawner profile; empty where there is none."""
    profile = (getattr(spawner, "user_options", None) or {}).get("profile", "")
    return profile if isinstance(profile, str) else ""


def _first_number(spawner: Any, *names: str) -> float:
    for name in names:
        value = getattr(spawner, name, None)
        if isinstance(value, int | float) and value > 0:
            return float(value)
    return 0.0


def _gpus(spawner: Any, gpu_resources: Sequence[str]) -> float:
    # KubeSpawner's extra resources; an extended resource's request equals its limit.
    asked: dict[str, Any] = {}
    for name in ("extra_resource_limits", "extra_resource_guarantees"):
        asked |= getattr(spawner, name, None) or {}
    return sum(
        float(amount)
        for resource, amount in asked.items()
        if any(fnmatch.fnmatchcase(resource, pattern) for pattern in gpu_resources)
    )
