"""A running cluster, as a test sees it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support.paths import ROOT
from tests.support.programs import Program, free_port

from .store import Object

USERNAME = "hub.jupyter.org/username"
ALLOWED = (
    USERNAME,
    "hub.jupyter.org/servername",
    "hub.jupyter.org/profile",
    "hub.jupyter.org/profile-name",
)
"""What charts-config/kube-state-metrics.yaml has exported."""


@dataclass(frozen=True)
class Cluster:
    """A Kubernetes that answers."""

    url: str
    kubeconfig: Path
    program: Program

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Ask the API server."""
        return httpx.request(method, f"{self.url}{path}", trust_env=False, **arguments)

    def pods(self, namespace: str = "") -> list[Object]:
        """The pods of a namespace, or of all."""
        where = f"/namespaces/{namespace}" if namespace else ""
        return self.request("GET", f"/api/v1{where}/pods").json()["items"]

    def create_pod(self, namespace: str, name: str, **more: Any) -> Object:
        """Create a pod that waits; `more` are parts of its specification or metadata."""
        container = {"name": "main", "image": "waits", **more.pop("container", {})}
        metadata = {"name": name, **more.pop("metadata", {})}
        pod = {"metadata": metadata, "spec": {"containers": [container], **more}}
        reply = self.request("POST", f"/api/v1/namespaces/{namespace}/pods", json=pod)
        assert reply.status_code == 201, reply.text
        return reply.json()

    def set(self, **settings: Any) -> None:
        """Change the settings."""
        reply = self.request("PATCH", "/test/settings", json=settings)
        assert reply.is_success, reply.text

    def samples(self, metric: str, **labels: str) -> list[tuple[dict[str, str], float]]:
        """What kube-state-metrics says now: labels and values of one metric's samples."""
        text = self.request("GET", "/metrics").text
        return [
            (dict(sample.labels), sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        ]

    @property
    def scrape_config(self) -> dict[str, Any]:
        """For a Prometheus to scrape it as the charts do."""
        target = self.url.removeprefix("http://")
        return {
            "job_name": "kube-state-metrics",
            "honor_labels": True,
            "static_configs": [{"targets": [target]}],
        }


@contextmanager
def running_cluster(
    directory: Path, namespaces: Sequence[str], annotations: Sequence[str] = ALLOWED
) -> Iterator[Cluster]:
    """A cluster with these namespaces, which ends with all its pods."""
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "tests.support.kubernetes", f"--port={port}"]
    command += [f"--directory={directory}", *(f"--namespace={one}" for one in namespaces)]
    command += [f"--annotation={key}" for key in annotations]
    url = f"http://127.0.0.1:{port}"
    kubeconfig = directory / "kubeconfig"
    # JSON is YAML.
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "it", "cluster": {"server": url}}],
                "users": [{"name": "hub", "user": {}}],
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "hub"}}],
                "current-context": "it",
            }
        )
    )
    with Program(command, directory / "kubernetes.log", directory=ROOT) as program:
        program.wait_for_url(f"{url}/version")
        yield Cluster(url, kubeconfig, program)
