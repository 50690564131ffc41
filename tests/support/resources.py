"""Resources as an admin configures them."""

from __future__ import annotations

from dataclasses import replace

from jupyterhub_usage_quotas.quotas.resources import RESOURCES, Resources


def with_gpus(*patterns: str) -> Resources:
    """The resources there are, where Kubernetes calls GPUs so."""
    return {**RESOURCES, "gpu": replace(RESOURCES["gpu"], kubernetes=patterns)}
