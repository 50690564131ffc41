"""Resources as an admin configures them."""

from __future__ import annotations

from dataclasses import replace

from jupyterhub_usage_quotas.quotas.resources import RESOURCES, Resources

ASKED: Resources = {name: RESOURCES[name] for name in ("memory", "cpu", "gpu", "time")}
"""What servers in tests ask for. A resource that is added has tests of its own, and these stay."""


def with_gpus(*patterns: str) -> Resources:
    """The same, where Kubernetes calls GPUs so."""
    return {**ASKED, "gpu": replace(ASKED["gpu"], kubernetes=patterns)}
