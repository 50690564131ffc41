"""A home that is full, on a real Hub: what its user is told, and that freeing helps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import GIB, NAMESPACE
from tests.support.hub import Hub, running_hub
from tests.support.programs import served, start_prometheus
from tests.support.visitor import Visitor, text_of

ALICE = "alice-2db"
"""What the home of the user "alice-b" is called."""


class Exporter:
    """What jupyterhub-home-nfs exports, of the homes that a test fills."""

    def __init__(self) -> None:
        self.used = {ALICE: 12.0, "within": 4.0}
        self.address = ""

    def lines(self) -> Iterator[str]:
        for metric, value in [
            ("dirsize_total_size_bytes", lambda gib: gib),
            ("dirsize_hard_limit_bytes", lambda _: 10.0),
        ]:
            yield f"# TYPE {metric} gauge\n"
            for directory, gib in self.used.items():
                yield f"{metric}{{directory={json.dumps(directory)}}} {value(gib) * GIB}\n"


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    running = Exporter()
    with served(lambda: "".join(running.lines())) as running.address:
        yield running


@pytest.fixture
def hub(exporter: Exporter, tmp_path: Path) -> Iterator[Hub]:
    target = exporter.address
    scrape = {"job_name": "home-nfs", "static_configs": [{"targets": [target]}]}
    (tmp_path / "prometheus").mkdir()
    prometheus, url = start_prometheus(tmp_path / "prometheus", [scrape], scrape_interval="1s")
    config = f"""
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {url!r}
c.UsageConfig.hub_namespace = {NAMESPACE!r}
c.UsageConfig.refresh_interval = 2.0
c.UsageQuotaManager.policy = [
    {{"name": "homes", "resource": "storage", "limit": "exported", "scope": {{"everyone": True}}}}
]
c.UsageQuotaManager.failover_open = False
c.UsageQuotaManager.contact = "Ask us."
c.UsageViewer.enabled = False
"""
    with prometheus, running_hub(tmp_path / "hub", "6", config) as running:
        wait_for(running, ALICE, 12)
        yield running


def wait_for(hub: Hub, directory: str, gib: float) -> None:
    """Until the Hub knows what is in a home."""
    user = {ALICE: "alice-b"}.get(directory, directory)
    Visitor(hub.url, user)  # whom the Hub has not met it does not export

    def known() -> bool:
        used = hub.metric("jupyterhub_usage_quotas_used", username=user, resource="storage")
        return used == gib * GIB

    hub.program.wait_until(known)


def test_a_full_home(hub: Hub, exporter: Exporter):
    page = Visitor(hub.url, "alice-b").start()
    assert page.status_code == 429
    assert "Retry-After" not in page.headers
    said = text_of(page)
    assert "You have used up your home storage quota: 12 GiB of 10 GiB." in said
    assert "until you have freed at least 2.01 GiB" in said
    assert "Otherwise ask the administrators to help you delete them. Ask us." in said
    answer = Visitor(hub.url, "alice-b").start_by_api()
    assert answer.status_code == 429
    assert "until you have freed at least 2.01 GiB" in answer.json()["message"]

    metric = {"username": "alice-b", "policy": "homes", "resource": "storage"}
    assert hub.metric("jupyterhub_usage_quotas_limit", **metric) == 10 * GIB
    assert hub.metric("jupyterhub_usage_quotas_remaining", **metric) == -2 * GIB
    log = hub.program.output()
    assert "retry: when at least 2.01 GiB of storage is freed" in log
    assert "Traceback" not in log

    for user in ("within", "new"):
        visitor = Visitor(hub.url, user)
        assert visitor.start().is_success, user
        visitor.wait_until_ready()
        visitor.stop()

    exporter.used[ALICE] = 9.0
    wait_for(hub, ALICE, 9)
    freed = Visitor(hub.url, "alice-b")
    assert freed.start().is_success
    freed.wait_until_ready()
    freed.stop()
