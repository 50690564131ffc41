"""A Hub that was killed and starts again: servers go on counting as what they were let in on,
whatever users wrote into their options, and usage is not read again.
"""

from __future__ import annotations

import json
import signal

import httpx
import pytest

from jupyterhub_usage_quotas.metering.checkpoint import FILE
from tests.support.hub import PYTHONS, Hub, running_hub
from tests.support.ports import free_port
from tests.support.recorded_hub import assert_explained, quotas
from tests.support.visitor import Visitor, text_of

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas


def amounts(spawner):
    if spawner.user.name == "eve":
        spawner.mem_guarantee = "64G"


setup_usage_quotas(c)
c.UsageConfig.prometheus_url = "http://127.0.0.1:9"  # nobody is there
c.UsageConfig.hub_namespace = "restarted"
c.UsageConfig.usage_source = "hub"
c.UsageConfig.deadline = 1
c.UsageConfig.request_timeout = 1
c.UsageQuotaManager.policy = [
    {"resource": "memory", "limit": "1000 GiB-hours", "window": 7, "scope": {"everyone": True}}
]
c.Spawner.mem_guarantee = "4G"
c.Spawner.pre_spawn_hook = amounts
c.JupyterHub.cleanup_servers = False
setup_usage_quotas(c)
"""
REQUESTS = "jupyterhub_usage_quotas_server_requests"
GIB = 1024**3
WINDOW = 24 * 3600
"""Seconds of the longest rolling window of Hubs with a known history; their year is longer."""


def exported(hub: Hub) -> dict[str, float]:
    """The memory that every user's server requests, from a scrape that must succeed."""
    answer = httpx.get(f"{hub.url}/hub/metrics", trust_env=False)
    assert answer.status_code == 200
    assert len(answer.content) < 1_000_000
    return {
        user: found
        for user in ("eve", "alice", "mallory")
        if (found := hub.metric(REQUESTS, username=user, resource="memory", profile=""))
    }


@pytest.mark.parametrize("version", PYTHONS)
def test_running_servers_count_as_what_they_were_let_in_on(version, tmp_path):
    port = free_port()
    expected = {"eve": 64 * GIB, "alice": 4 * GIB, "mallory": 4 * GIB}
    with running_hub(tmp_path, version, CONFIG, port) as hub:
        visitors = {name: Visitor(hub.url, name) for name in expected}
        visitors["eve"].start()
        wrote = {"alice": {"profile": "x\ud800"}, "mallory": {"profile": "x" * 1_000_000}}
        for name, options in wrote.items():
            path = f"/users/{name}/server"
            assert visitors[name].api("POST", path, content=json.dumps(options)).is_success
        for visitor in visitors.values():
            visitor.wait_until_ready()
        assert exported(hub) == expected
        hub.program.send_signal(signal.SIGKILL)
        hub.program.wait_for_exit()
    with running_hub(tmp_path, version, CONFIG, port) as hub:
        assert exported(hub) == expected
        assert hub.metric("jupyterhub_usage_quotas_servers_unknown") == 0
        for name in expected:
            Visitor(hub.url, name).stop()
        assert exported(hub) == {}


def wait_for_history(hub: Hub) -> str:
    """Wait until the whole window is known; what was logged so far."""
    history = "jupyterhub_usage_quotas_history_seconds"
    Visitor.wait_until(lambda: hub.metric(history, source="kube-state-metrics") >= WINDOW)
    return hub.program.log.read_text()


@pytest.mark.parametrize("version", PYTHONS)
def test_usage_that_was_cached_is_not_read_again(version, tmp_path, recorded):
    """A file that is damaged is said to be, and the history is read again."""
    config, port = quotas(recorded) + "c.UsageConfig.refresh_interval = 1.0\n", free_port()
    checkpoint = tmp_path / FILE
    with running_hub(tmp_path, version, config, port) as hub:
        wait_for_history(hub)
        hub.program.send_signal(signal.SIGKILL)
        hub.program.wait_for_exit()
    with running_hub(tmp_path, version, config, port) as hub:
        assert "Usage from kube-state-metrics was cached 20" in wait_for_history(hub)
        assert_explained(text_of(Visitor(hub.url, "over").start()))
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    with running_hub(tmp_path, version, config, port) as hub:
        assert "is not used: it is damaged" in wait_for_history(hub)
        assert_explained(text_of(Visitor(hub.url, "over").start()))
