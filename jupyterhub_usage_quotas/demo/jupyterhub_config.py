"""The demo's Hub: local servers, quotas, and usage from the Hub's own metrics."""

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
        "name": "ten minutes an hour",
        "resource": "time",
        "limit": "10 minutes",
        "window": "1h",
        "scope": {"user": ["dave"]},
    },
]
c.UsageQuotaManager.scope_backup_strategy = {"intersection": "max"}
c.UsageQuotaManager.failover_open = False

# --- the rest of a Hub on one machine ------------------------------------------------------------

c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['DEMO_PORT']}"
c.JupyterHub.hub_port = int(os.environ["DEMO_HUB_PORT"])
c.JupyterHub.db_url = f"sqlite:///{directory / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(directory / "cookie_secret")
c.JupyterHub.allow_named_servers = True
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{os.environ['DEMO_PROXY_PORT']}"
c.ConfigurableHTTPProxy.command = [os.environ["DEMO_PROXY"]]
c.ConfigurableHTTPProxy.pid_file = str(directory / "proxy.pid")

c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"admin"}
c.JupyterHub.load_groups = {
    "students": {"users": ["alice", "bob", "carol"]},
    "researchers": {"users": ["carol"]},
}

c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = str(directory / "home" / "{username}")
c.Spawner.cmd = [str(programs / "jupyterhub-singleuser")]
c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []
c.Spawner.mem_guarantee = "4G"
c.Spawner.cpu_guarantee = 1

# Prometheus reads the Hub's metrics with this token.
c.JupyterHub.services = [{"name": "prometheus", "api_token": os.environ["DEMO_METRICS_TOKEN"]}]
c.JupyterHub.load_roles = [
    {"name": "prometheus", "scopes": ["read:metrics"], "services": ["prometheus"]}
]
