"""The demo's Hub: local servers with profiles, quotas, and usage from the Hub's own metrics."""

import os
import sys
from pathlib import Path

from jupyterhub_usage_quotas import setup_usage_quotas

c = get_config()  # noqa: F821 JupyterHub gives it to its configuration files

directory = Path(os.environ["DEMO_DIRECTORY"])
programs = Path(sys.executable).parent

# --- quotas: this is what an admin writes --------------------------------------------------------

setup_usage_quotas(c)

c.UsageConfig.prometheus_url = os.environ["DEMO_PROMETHEUS_URL"]
c.UsageConfig.usage_source = "hub"

c.UsageQuotaManager.policy = [
    {
        "name": "memory for students",
        "resource": "memory",
        "limit": {"value": 100, "unit": "GiB-hours"},
        "window": 7,
        "scope": {"group": ["students"]},
    },
    {
        "name": "memory for researchers",
        "resource": "memory",
        "limit": "300 GiB-hours",
        "window": 7,
        "scope": {"group": ["researchers"]},
    },
    {
        "name": "GPUs for students",
        "resource": "gpu",
        "limit": "2 GPU-hours",
        "window": 7,
        "scope": {"group": ["students"]},
        "servers": {"gpu": True},
    },
    {
        "name": "GPUs for researchers",
        "resource": "gpu",
        "limit": "10 GPU-hours",
        "window": 7,
        "scope": {"group": ["researchers"]},
        "servers": {"gpu": True},
    },
    {
        "name": "ten minutes an hour",
        "resource": "time",
        "limit": "10 minutes",
        "window": "1h",
        "scope": {"user": ["dave"]},
        "when_exhausted": "stop",
        "warn_before": ["5 minutes"],
        "grace": "1 minute",
    },
]
c.UsageQuotaManager.scope_backup_strategy = {"intersection": "max"}
c.UsageQuotaManager.failover_open = False

# --- what users choose from: the same list as c.KubeSpawner.profile_list --------------------------

c.JupyterHub.spawner_class = "jupyterhub_usage_quotas.demo.spawner.LocalSpawnerWithProfiles"
c.LocalSpawnerWithProfiles.profile_list = [
    {
        "display_name": "Small",
        "slug": "small",
        "description": "1 CPU, 4 GiB of memory",
        "default": True,
        "kubespawner_override": {"cpu_guarantee": 1, "mem_guarantee": "4G"},
    },
    {
        "display_name": "Large",
        "slug": "large",
        "description": "4 CPUs, 16 GiB of memory",
        "kubespawner_override": {"cpu_guarantee": 4, "mem_guarantee": "16G"},
    },
    {
        "display_name": "GPU",
        "slug": "gpu",
        "description": "1 GPU, 4 CPUs, 16 GiB of memory",
        "kubespawner_override": {
            "cpu_guarantee": 4,
            "mem_guarantee": "16G",
            "extra_resource_limits": {"nvidia.com/gpu": "1"},
        },
    },
    {
        "display_name": "Your own size",
        "slug": "own-size",
        "description": "Choose how much the server gets",
        "profile_options": {
            "cpu": {
                "display_name": "CPUs",
                "choices": {
                    "1": {"display_name": "1", "kubespawner_override": {"cpu_guarantee": 1}},
                    "2": {"display_name": "2", "kubespawner_override": {"cpu_guarantee": 2}},
                    "8": {"display_name": "8", "kubespawner_override": {"cpu_guarantee": 8}},
                },
            },
            "memory": {
                "display_name": "Memory",
                "choices": {
                    "2": {"display_name": "2 GiB", "kubespawner_override": {"mem_guarantee": "2G"}},
                    "8": {"display_name": "8 GiB", "kubespawner_override": {"mem_guarantee": "8G"}},
                    "32": {
                        "display_name": "32 GiB",
                        "kubespawner_override": {"mem_guarantee": "32G"},
                    },
                },
            },
        },
    },
]

# --- the rest of a Hub on one machine ------------------------------------------------------------

c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['DEMO_PORT']}"
c.JupyterHub.hub_port = int(os.environ["DEMO_HUB_PORT"])
c.JupyterHub.db_url = f"sqlite:///{directory / 'jupyterhub.sqlite'}"
# The folder is made anew at every start, as the usage in it is.
c.UsageConfig.state_dir = str(directory / "prometheus")
c.JupyterHub.cookie_secret_file = str(directory / "cookie_secret")
c.JupyterHub.allow_named_servers = True
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ['DEMO_PROXY_PORT']}"
c.ConfigurableHTTPProxy.command = [os.environ["DEMO_PROXY"]]
c.ConfigurableHTTPProxy.pid_file = str(directory / "proxy.pid")

c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Authenticator.allowed_users = {"dave"}  # users in no group are listed before they log in, too
c.Authenticator.admin_users = {"admin"}
c.JupyterHub.load_groups = {
    "students": {"users": ["alice", "bob", "carol"]},
    "researchers": {"users": ["carol"]},
}

c.SimpleLocalProcessSpawner.home_dir_template = str(directory / "home" / "{username}")
c.Spawner.cmd = [str(programs / "jupyterhub-singleuser")]
c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []

# Prometheus reads the Hub's metrics with this token; the demo looks with its own whether the
# Usage Quota Dashboard is ready.
c.UsageViewer.url = f"http://127.0.0.1:{os.environ['DEMO_DASHBOARD_PORT']}"
c.JupyterHub.services = [
    {"name": "prometheus", "api_token": os.environ["DEMO_METRICS_TOKEN"]},
    {"name": "demo", "api_token": os.environ["DEMO_TOKEN"]},
]
c.JupyterHub.load_roles = [
    {"name": "prometheus", "scopes": ["read:metrics"], "services": ["prometheus"]},
    {
        "name": "demo",
        "scopes": ["access:services!service=usage-quota", "custom:usage-quotas:read"],
        "services": ["demo"],
    },
]
