"""A resource over time: ephemeral disk, which kube-state-metrics reports among pods' requests."""

from __future__ import annotations

from jupyterhub_usage_quotas.quotas.resource import Resource
from jupyterhub_usage_quotas.quotas.resources import RESOURCES

EPHEMERAL_DISK = Resource(
    "disk",
    "Ephemeral disk",
    amounts=RESOURCES["memory"].amounts,
    example="100 GiB-hours",
    shown_in=RESOURCES["memory"].shown_in,
    asked="10GiB",
    kubernetes=("ephemeral-storage",),
)
