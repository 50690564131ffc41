"""Components: what a part of a bill is for, and how tags and services say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from .values import CLUSTER

COMPUTE: Final = "compute"
HOME: Final = "home storage"
CORE: Final = "core"
NETWORKING: Final = "networking"
OBJECTS: Final = "object storage"
BACKUP: Final = "backup"
OTHER: Final = "other"

EC2: Final = ("Amazon Elastic Compute Cloud - Compute", "EC2 - Other")
SERVICES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AWS Backup": BACKUP,
        **dict.fromkeys(EC2, COMPUTE),
        "Amazon Elastic Container Service for Kubernetes": CORE,
        "Amazon Elastic File System": HOME,
        "Amazon Elastic Load Balancing": NETWORKING,
        "Amazon Virtual Private Cloud": NETWORKING,
        "Amazon Simple Storage Service": OBJECTS,
    }
)
"""The components of services, as Cost Explorer names them."""
CATEGORIES: Final[Mapping[str, str]] = MappingProxyType(
    {"Compute": COMPUTE, "Storage": OBJECTS, "Networking": NETWORKING}
)
"""The components of FOCUS' categories of services, where the service itself is none of those."""
NAT_GATEWAY: Final = ("EC2: NAT Gateway - Running Hours", "EC2: NAT Gateway - Data Processed")

Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of a resource: its key, and its value; None for any."""

    key: str
    value: str | None = None

    def is_on(self, tags: Tags) -> bool:
        """Whether it is among these tags."""
        return self.key in tags if self.value is None else tags.get(self.key) == self.value


def cluster_tags(cluster: str) -> tuple[Tag, ...]:
    """The tags that say that something is a cluster's, on 2i2c's clusters in AWS: any of them."""
    return (
        Tag("alpha.eksctl.io/cluster-name", cluster),
        Tag(f"kubernetes.io/cluster/{cluster}", "owned"),
        Tag("2i2c.org/cluster-name", cluster),
        Tag("2i2c:hub-name"),
        Tag("2i2c:node-purpose"),
    )


@dataclass(frozen=True, slots=True)
class Tagging:
    """How the tags of what is billed say whose it is and what it is for.

    What has any of the `cluster` tags is the cluster's, and the hub's that the tag `hub_key` names.
    Its component is that of its service. But with any of the `home` tags it is home storage; and
    of the services `core_services` it is core with any of the `core` tags, or where its usage is of
    one of the groups `core_usage`.
    """

    cluster: Sequence[Tag]
    hub_key: str = "2i2c:hub-name"
    home: Sequence[Tag] = (Tag("2i2c:volume-purpose", "home-nfs"),)
    core: Sequence[Tag] = (
        Tag("2i2c:node-purpose", "core"),
        Tag("kubernetes.io/created-for/pvc/name", "hub-db-dir"),
        Tag("kubernetes.io/created-for/pvc/namespace", "support"),
    )
    core_services: Sequence[str] = EC2
    core_usage: Sequence[str] = NAT_GATEWAY
    services: Mapping[str, str] = field(default_factory=lambda: SERVICES)
    categories: Mapping[str, str] = field(default_factory=lambda: CATEGORIES)

    def hub_of(self, tags: Tags) -> str | None:
        """The hub of something; see `CostRow`."""
        if not any(one.is_on(tags) for one in self.cluster):
            return None
        return tags.get(self.hub_key, CLUSTER)

    def component_of(self, service: str, category: str = "", tags: Tags | None = None) -> str:
        """What something of a service is for."""
        if tags and any(one.is_on(tags) for one in self.home):
            return HOME
        machines = service in self.core_services or self.categories.get(category) == COMPUTE
        if tags and machines and any(one.is_on(tags) for one in self.core):
            return CORE
        return self.services.get(service) or self.categories.get(category, OTHER)
