"""Resources as an admin configures them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jupyterhub_usage_quotas.quotas.resources import RESOURCES, Resource


def with_gpus(*patterns: str) -> Sequence[Resource]:
    """The resources there are, where Kubernetes calls GPUs so."""
    gpu = replace(RESOURCES["gpu"], kubernetes=patterns)
    return tuple((RESOURCES | {"gpu": gpu}).values())
