"""`usage_source: hub`: what live servers use is exported, scraped, counted, and runs down."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.support.hub import PYTHONS, Hub, running_hub
from tests.support.recorded_hub import Recorded
from tests.support.visitor import Visitor

pytestmark = pytest.mark.waits

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {url!r}
c.UsageConfig.hub_namespace = "e2e-hub-{version}"
c.UsageConfig.usage_source = "hub"
c.UsageConfig.refresh_interval = 3
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


def used(hub: Hub) -> float:
    """Server-hours that the Hub says lina has used, as of its last refresh."""
    return hub.metric("jupyterhub_usage_quotas_used", username="lina", resource="time")


def test_a_quota_runs_down_while_a_server_runs(live_hub: Hub, recorded: Recorded):
    visitor = Visitor(live_hub.url, "lina")
    Visitor.wait_until(lambda: scraped(live_hub))
    # Where a busy machine scrapes late, usage is not known for a moment, and launches are denied.
    Visitor.wait_until(lambda: visitor.start_by_api().is_success)
    visitor.wait_until_ready()

    exported = "jupyterhub_usage_quotas_server_requests"
    labels = {"username": "lina", "servername": "", "profile": ""}
    assert live_hub.metric(exported, resource="memory", **labels) == 2 * 1024**3
    assert live_hub.metric(exported, resource="cpu", **labels) == 1.5
    assert live_hub.metric(exported, resource="time", **labels) == 1

    Visitor.wait_until(lambda: used(live_hub) >= 0.5 / 60)
    visitor.stop()
    assert live_hub.metric(exported, resource="time", **labels) == 0
    answer = visitor.start_by_api()
    assert answer.status_code == 429, answer.text
    message = answer.json()["message"]
    assert re.search(r"used up your server time quota: \w+( \w+)? of 30s in the last hour", message)
    assert int(answer.headers["Retry-After"]) > 50 * 60


def scraped(hub: Hub) -> bool:
    """Whether the Hub has learnt from Prometheus that it is being scraped."""
    return hub.metric("jupyterhub_usage_quotas_history_coverage_ratio") > 0
