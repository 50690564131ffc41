"""Where a deployment is: what can be advised depends on it.

A namespace, a NetworkPolicy or a chart's values are only where users' servers are pods, or the Hub
is one; on a single machine there are ports and files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..hub.types import HubApp

IN_A_POD = "KUBERNETES_SERVICE_HOST"
"""Kubernetes sets it in every container."""
OF_CONTAINERS = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Docker and Podman put one of these in every container."""

PORT = 8081
"""JupyterHub's default."""
HOW = "docs/how-to/session-log.md"


@dataclass(frozen=True, slots=True)
class Place:
    """What a deployment is made of; `port` is the one at which the Hub's API listens."""

    spawner: str
    pods: bool
    """Whether users' servers are pods."""
    in_a_pod: bool
    in_a_container: bool = False
    port: int = PORT

    @property
    def kubernetes(self) -> bool:
        """Whether anything of it is in Kubernetes."""
        return self.pods or self.in_a_pod

    @property
    def here(self) -> str:
        """What doctor runs in."""
        if self.in_a_pod or (self.pods and not self.in_a_container):
            return "this pod"
        return "this container" if self.in_a_container else "this machine"

    @property
    def scrape_hub(self) -> str:
        """How the Hub's metrics come into Prometheus."""
        if self.kubernetes:
            return (
                "Scrape the Hub's /hub/metrics, with the token of a service that has the scope"
                " read:metrics (charts-config/prometheus/scrape-hub.yaml)."
            )
        host = "the Hub's host" if self.in_a_container else "127.0.0.1"
        return (
            "Add a job to scrape_configs in prometheus.yml: metrics_path /hub/metrics, target"
            f" {host}:{self.port}, with the token of a service that has the scope read:metrics"
            f" ({HOW} has all of it)."
        )


def place_of(app: HubApp | None, environment: Mapping[str, str] = os.environ) -> Place:
    """Where a Hub is; None where its configuration cannot be read as a whole."""
    spawner = app.spawner_class if app is not None else None
    name = spawner.__name__ if spawner is not None else "the spawner"
    classes = spawner.__mro__ if spawner is not None else ()
    of_kubernetes = any(one.__module__.partition(".")[0] == "kubespawner" for one in classes)
    return Place(
        name,
        of_kubernetes,
        IN_A_POD in environment,
        any(path.exists() for path in OF_CONTAINERS),
        int(app.hub_port) if app is not None else PORT,
    )
