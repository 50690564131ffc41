"""The Hubs of the cluster, whose servers they start, and what those are called and ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.hub import KUBESPAWNER_6, SERVER, WITH_SPAWNERS

from .cluster import Cluster

GIB = 1024**3
MIB = 1024**2
PROFILE_NAMES = {
    "small": "Small, “cheap”",
    "gpu-large": 'GPU <large> "A"',
    "with-sidecar": "Side\\car",
    "sized": "Your own size",
}


@dataclass(frozen=True)
class Server:
    """A server of a user, with the profile that the user chooses, and what of its memory."""

    user: str
    name: str = ""
    profile: str = "small"
    memory: str = ""

    @property
    def options(self) -> dict[str, str]:
        """What the user sends."""
        return {"profile": self.profile} | ({"memory": self.memory} if self.memory else {})

    @property
    def marked(self) -> str:
        """The profile as its pod carries it: of choices the default is one, too."""
        memory = self.memory or "usual"
        return f"{self.profile}/memory={memory}" if self.profile == "sized" else self.profile

    def __str__(self) -> str:
        return f"{self.user}/{self.name}"


SERVERS = [
    Server("al"),
    Server("alice"),
    Server("alice", "x", "gpu-large"),
    Server("alice", "big", "sized", "large"),
    Server("alice--x", profile="with-sidecar"),
    Server("alice--x", "usual", "sized"),
    Server("alice.b@uni.edu"),
    Server("alice.b@uni.edu", "gpu", "gpu-large"),
    Server("crash"),
    Server("dora"),
    Server("lina"),
    Server("waiting"),
]

SAFE = {
    "alice--x": "alice-x---2bbc534b",
    "alice.b@uni.edu": "alice-b-uni-edu---d7a4e6cd",
}
ESCAPED = {"alice--x": "alice-2d-2dx", "alice.b@uni.edu": "alice-2eb-40uni-2eedu"}
"""What the two schemes make of usernames that are no names of Kubernetes, as they were seen to."""


@dataclass(frozen=True)
class Deployment:
    """A Hub of the cluster: its namespace, and the memory guarantee of its users' servers.

    One that knows pods by name finds no annotations in Prometheus.
    """

    namespace: str
    version: str
    gib: int
    slugs: Mapping[str, str] = field(default_factory=lambda: SAFE)
    own_namespaces: bool = False
    by_name: bool = False
    more: str = ""

    def pod(self, server: Server) -> tuple[str, str]:
        """The namespace and the name of a server's pod."""
        slug = self.slugs.get(server.user, server.user)
        name = f"jupyter-{slug}--{server.name}" if server.name else f"jupyter-{slug}"
        return f"{self.namespace}-{slug}" if self.own_namespaces else self.namespace, name

    def rate(self, server: Server, resource: str) -> float:
        """What a server asks for."""
        gpu, sidecar = server.profile == "gpu-large", server.profile == "with-sidecar"
        sized = {"sized/memory=usual": 6 * GIB, "sized/memory=large": 7 * GIB}
        usual = 3 * GIB if gpu else self.gib * GIB + (100 * MIB if sidecar else 0)
        return {
            "memory": sized.get(server.marked, usual),
            "cpu": 0.5 + (0.25 if sidecar else 0) + (1.0 if server.memory == "large" else 0),
            "gpu": 2.0 if gpu else 0.0,
            "time": 1.0,
        }[resource]

    def config(self, cluster: Cluster, prometheus: str) -> str:
        """The Hub's configuration."""
        return CONFIG.format(
            kubeconfig=str(cluster.kubeconfig),
            namespace=self.namespace,
            command=SERVER,
            singleuser=[
                str(WITH_SPAWNERS[self.version].parent / "jupyterhub-singleuser"),
                "--allow-root",
            ],
            gib=self.gib,
            names=PROFILE_NAMES,
            prometheus=prometheus,
            tight=31 * self.gib,
            by_name=self.by_name,
            more=self.more,
        )


HUBS = [
    Deployment("jhub", "6", 1),
    # Its one scheme is what was later called "escape".
    Deployment("older", KUBESPAWNER_6, 5, ESCAPED),
    Deployment(
        "escaped",
        "5",
        2,
        ESCAPED,
        by_name=True,
        more="""
c.KubeSpawner.slug_scheme = "escape"
c.UsageConfig.identify_pods_by = "name"
""",
    ),
    Deployment(
        "many",
        "6",
        4,
        own_namespaces=True,
        more="""
c.KubeSpawner.enable_user_namespaces = True
c.KubeSpawner.user_namespace_template = "many-{username}"
""",
    ),
]

CONFIG = """
os.environ["KUBECONFIG"] = {kubeconfig!r}
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.cleanup_servers = False
c.KubeSpawner.namespace = {namespace!r}
c.KubeSpawner.delete_grace_period = 1
c.KubeSpawner.start_timeout = 600
# On a busy machine the cluster, too, takes its time.
c.KubeSpawner.k8s_api_request_timeout = 60
c.KubeSpawner.k8s_api_request_retry_timeout = 300
c.KubeSpawner.http_timeout = 600
# Not between the end of a container and its restart, which takes longer there than in Kubernetes.
c.KubeSpawner.poll_interval = 600
c.KubeSpawner.args = []
c.KubeSpawner.cmd = {command!r}
c.KubeSpawner.storage_pvc_ensure = True
c.KubeSpawner.storage_capacity = "1Gi"
c.KubeSpawner.mem_guarantee = "{gib}G"
c.KubeSpawner.mem_limit = "16G"
c.KubeSpawner.cpu_guarantee = 0.5
c.KubeSpawner.init_containers = [
    {{"name": "prepare", "image": "prepares", "command": ["true"],
      "resources": {{"requests": {{"memory": "5Gi", "cpu": "1500m"}}}}}}
]
names = {names!r}
c.KubeSpawner.profile_list = [
    {{"display_name": names["small"], "slug": "small", "default": True}},
    {{"display_name": names["gpu-large"], "slug": "gpu-large", "kubespawner_override": {{
        "mem_guarantee": "3G",
        "extra_resource_limits": {{"nvidia.com/gpu": "2"}},
        "extra_resource_guarantees": {{"nvidia.com/gpu": "2", "ephemeral-storage": "1G"}},
        "extra_annotations": {{"hub.jupyter.org/note": "the profile's own"}},
    }}}},
    {{"display_name": names["with-sidecar"], "slug": "with-sidecar", "kubespawner_override": {{
        "cmd": {singleuser!r},
        "extra_containers": [
            {{"name": "side", "image": "waits", "resources": {{
                "requests": {{"memory": "100Mi", "cpu": "250m"}}, "limits": {{"memory": "1Gi"}}}}}}
        ],
    }}}},
    {{"display_name": names["sized"], "slug": "sized", "profile_options": {{"memory": {{
        "display_name": "Memory",
        "choices": {{
            "large": {{"display_name": "Large", "kubespawner_override": {{
                "mem_guarantee": "7G", "cpu_guarantee": 1.5}}}},
            "usual": {{"display_name": "Usual", "default": True, "kubespawner_override": {{
                "mem_guarantee": "6G"}}}},
        }},
    }}}}}},
]

from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {prometheus!r}
c.UsageConfig.hub_namespace = {namespace!r}
c.UsageConfig.refresh_interval = 3
everyone = {{"everyone": True}}
c.UsageQuotaManager.policy = [
    {{"name": resource, "resource": resource, "limit": f"1000 {{unit}}", "window": "1h",
      "scope": everyone}}
    for resource, unit in [("memory", "GiB-hours"), ("cpu", "CPU-hours"), ("gpu", "GPU-hours"),
                           ("time", "h")]
] + [
    {{"name": name, "resource": "time", "limit": "1000h", "window": "1h", "scope": everyone,
      "servers": servers}}
    for name, servers in [
        ("gpu profile", {{"profile": ["gpu-large"]}}),
        ("has a gpu", {{"gpu": True}}),
        ("cheap ones", {{"profile": ["*“cheap”"]}}),
        ("chosen large", {{"profile": ["sized/large"]}}),
        ("chosen any", {{"profile": ["*/memory=*"]}}),
        ("called x", {{"name": ["x"]}}),
    ]
    if not (servers.get("profile") and {by_name})
] + [
    {{"name": "tight", "resource": "memory", "limit": "{tight} GiB-seconds", "window": "150s",
      "scope": {{"user": ["lina", "dora"]}}}}
]
{more}
"""
