"""Real Hubs with a real KubeSpawner: pods are switched to another profile, and stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.adjusting import run
from tests.support.hub import PYTHONS, SERVER, running_hub
from tests.support.kubernetes.cluster import Cluster, running_cluster
from tests.support.visitor import Visitor

pytestmark = pytest.mark.waits

NAMESPACE = "stops"
CONFIG = """
os.environ["KUBECONFIG"] = {kubeconfig!r}
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.allow_named_servers = True
c.KubeSpawner.namespace = {namespace!r}
# A pod that takes its time to end: the Hub answers that it is being stopped.
c.KubeSpawner.delete_grace_period = 1
c.KubeSpawner.k8s_api_request_timeout = 60
c.KubeSpawner.k8s_api_request_retry_timeout = 300
c.KubeSpawner.args = []
c.KubeSpawner.cmd = {command!r}
c.KubeSpawner.mem_guarantee = "1G"
c.KubeSpawner.profile_list = [
    {{"display_name": "Small", "slug": "small", "default": True}},
    {{"display_name": "GPU", "slug": "gpu", "kubespawner_override": {{
        "extra_resource_limits": {{"nvidia.com/gpu": "2"}},
        "extra_resource_guarantees": {{"nvidia.com/gpu": "2"}},
    }}}},
]

from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.usage_source = "sessions"
c.UsageConfig.session_heartbeat = 1
c.UsageConfig.refresh_interval = 3
c.UsageQuotaManager.policy = [
    {{"name": "gpus", "resource": "gpu", "limit": "20 GPU-hours", "window": 7,
      "scope": {{"everyone": True}}, "when_exhausted": "stop"}},
    {{"name": "hours", "resource": "time", "limit": "20 hours", "window": 7,
      "scope": {{"everyone": True}}}},
]
c.UsageQuotaManager.grace = "5 seconds"
c.UsageQuotaManager.warn_before = []
c.UsageQuotaManager.guard_readings = 2
c.UsageViewer.enabled = False
"""


def gpus(cluster: Cluster) -> dict[str, str]:
    """The pods of the namespace that are not ending, and how many GPUs each requests."""

    def requested(pod: Any) -> str:
        (container,) = pod["spec"]["containers"]
        return container["resources"].get("requests", {}).get("nvidia.com/gpu", "0")

    pods = [
        one for one in cluster.pods(NAMESPACE) if "deletionTimestamp" not in one.get("metadata", {})
    ]
    return {one["metadata"]["name"]: requested(one) for one in pods}


@pytest.mark.parametrize("version", PYTHONS)
def test_a_pod_is_switched_and_stopped_and_one_without_a_gpu_runs_on(version: str, tmp_path: Path):
    with running_cluster(tmp_path / "cluster", [NAMESPACE]) as cluster:
        config = CONFIG.format(
            kubeconfig=str(cluster.kubeconfig), namespace=NAMESPACE, command=SERVER
        )
        with running_hub(tmp_path / "hub", version, config) as hub:
            lina = Visitor(hub.url, "lina")
            for server in ("server", "servers/calm"):
                answer = lina.api("POST", f"/users/lina/{server}", json={"profile": "small"})
                assert answer.is_success, answer.text
            Visitor.wait_until(
                lambda: [one["ready"] for one in lina.servers().values()] == [True] * 2
            )
            assert gpus(cluster) == {"jupyter-lina": "0", "jupyter-lina--calm": "0"}
            path = "/usage-quotas/users/lina/switch"
            answer = lina.api("POST", path, json={"profile": "gpu"})
            assert answer.status_code == 202, answer.text
            Visitor.wait_until(lambda: gpus(cluster).get("jupyter-lina") == "2")
            lina.wait_until_ready()
            said = run(
                *("override", "--user", "lina", "--policy", "gpus", "--limit", "0 GPU-hours"),
                *("--until", "1d", "--reason", "others need them", "--actor", "tutor"),
                *("--config", str(tmp_path / "hub/jupyterhub_config.py")),
            )
            assert said.code == 0, said.err
            # With its pod gone, and the other as it was.
            Visitor.wait_until(lambda: list(lina.servers()) == ["calm"])
            Visitor.wait_until(lambda: gpus(cluster) == {"jupyter-lina--calm": "0"})
            assert lina.servers()["calm"]["ready"]
            denied = lina.api("POST", "/users/lina/server", json={"profile": "gpu"})
            assert denied.status_code == 429, denied.text
            assert "Traceback" not in hub.program.log.read_text()
