"""`usage_source: hub`: what live servers use is exported, scraped, counted, and runs down."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.hub import PYTHONS, Hub, running_hub
from tests.support.visitor import Visitor

from .conftest import Recorded

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {url!r}
c.UsageConfig.hub_namespace = "e2e-hub-{version}"
c.UsageConfig.usage_source = "hub"
c.UsageQuotaManager.policy = [
    {{"resource": "time", "limit": "30 seconds", "window": "1h", "scope": {{"user": ["lina"]}}}}
]
c.UsageQuotaManager.failover_open = False
c.Spawner.mem_guarantee = "2G"
c.Spawner.cpu_limit = 1.5
"""


@pytest.fixture(scope="module", params=PYTHONS)
def live_hub(request, recorded: Recorded, tmp_path_factory) -> Iterator[Hub]:
    version = request.param
    directory = tmp_path_factory.mktemp(f"live{version}")
    config = CONFIG.format(url=recorded.url, version=version)
    with running_hub(directory, version, config, recorded.hub_ports[version]) as running:
        yield running


def used(recorded: Recorded, version: str) -> float:
    """Minutes for which Prometheus has seen lina's server, at whole minutes."""
    query = (
        'count_over_time((jupyterhub_usage_quotas_server_requests{resource="time",'
        f'username="lina",namespace="e2e-hub-{version}"}})[10m:1m])'
    )
    answer = httpx.get(f"{recorded.url}/api/v1/query", params={"query": query}, trust_env=False)
    result = answer.json()["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


def test_a_quota_runs_down_while_a_server_runs(live_hub: Hub, recorded: Recorded):
    visitor = Visitor(live_hub.url, "lina")
    Visitor.wait_until(lambda: evidence(recorded, live_hub.version))
    visitor.start()
    visitor.wait_until_ready()

    exported = "jupyterhub_usage_quotas_server_requests"
    labels = {"username": "lina", "servername": "", "profile": ""}
    assert live_hub.metric(exported, resource="memory", **labels) == 2 * 1024**3
    assert live_hub.metric(exported, resource="cpu", **labels) == 1.5
    assert live_hub.metric(exported, resource="time", **labels) == 1

    Visitor.wait_until(lambda: used(recorded, live_hub.version) >= 1, seconds=90)
    visitor.stop()
    assert live_hub.metric(exported, resource="time", **labels) == 0
    answer = visitor.start_by_api()
    assert answer.status_code == 429, answer.text
    assert (
        "You have used up your server time quota: 1m of 30s in the last hour."
        in (answer.json()["message"])
    )
    assert time.time() + int(answer.headers["Retry-After"]) > time.time() + 50 * 60


def test_whom_no_policy_covers_is_never_asked_about(live_hub: Hub):
    before = live_hub.metric("jupyterhub_usage_quotas_prometheus_requests_total")
    visitor = Visitor(live_hub.url, "somebody")
    visitor.start()
    visitor.wait_until_ready()
    visitor.stop()
    assert live_hub.metric("jupyterhub_usage_quotas_prometheus_requests_total") == before


def evidence(recorded: Recorded, version: str) -> bool:
    """Whether Prometheus has scraped this Hub."""
    query = f'jupyterhub_usage_quotas_exporter_info{{namespace="e2e-hub-{version}"}}'
    answer = httpx.get(f"{recorded.url}/api/v1/query", params={"query": query}, trust_env=False)
    return bool(answer.json()["data"]["result"])
