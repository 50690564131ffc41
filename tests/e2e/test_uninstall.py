"""As docs/how-to/upgrade.md says: a Hub goes on without the package, with the servers that run, and
nothing is left of it in the database but names in tokens of servers.
"""

from __future__ import annotations

import re
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.support.hub import PYTHONS, running_hub
from tests.support.ports import free_port
from tests.support.visitor import Visitor

KEPT = """
c.JupyterHub.cleanup_servers = False
"""
QUOTAS = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = "http://127.0.0.1:9"  # nobody is there
c.UsageConfig.deadline = c.UsageConfig.request_timeout = 1
c.UsageQuotaManager.policy = [
    {"resource": "memory", "limit": "1000 GiB-hours", "window": 7, "scope": {"everyone": True}}
]
"""


def rows(directory: Path, query: str) -> str:
    with sqlite3.connect(directory / "jupyterhub.sqlite") as database:
        return repr(database.execute(query).fetchall())


@pytest.mark.parametrize("version", PYTHONS)
def test_a_hub_goes_on_without_the_package(version, tmp_path):
    port = free_port()
    with running_hub(tmp_path, version, KEPT + QUOTAS, port) as hub:
        alice = Visitor(hub.url, "alice")
        alice.start()
        alice.wait_until_ready()
        hub.program.send_signal(signal.SIGKILL)
        hub.program.wait_for_exit()
    assert "usage-quota" in rows(tmp_path, "SELECT name FROM roles")
    with running_hub(tmp_path, version, KEPT, port) as hub:
        log = hub.program.log.read_text()
        started = log[log.rindex("Running JupyterHub version") :]
        assert not re.search(r"^\[[EC] |Traceback", started, re.M), started
        alice = Visitor(hub.url, "alice")
        assert alice.api("GET", "/users/alice").json()["servers"][""]["ready"]
        alice.stop()
        alice.start()
        alice.wait_until_ready()
        alice.stop()
    for table in ("roles", "services", "oauth_clients", "spawners"):
        assert "usage-quota" not in rows(tmp_path, f"SELECT * FROM {table}"), table
        assert "usage_quota" not in rows(tmp_path, f"SELECT * FROM {table}"), table
