"""A quota in money, in a Hub without Prometheus: users see what a server costs before they start,
and what was fixed at its launch is what counts, whatever prices are later.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.support.hub import running_hub
from tests.support.ports import free_port
from tests.support.visitor import Visitor

pytestmark = pytest.mark.waits

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.hub_namespace = "cost-quota"
c.UsageConfig.usage_source = "sessions"
c.UsageConfig.session_heartbeat = 1
c.UsageConfig.refresh_interval = 1
c.UsageConfig.prices = {"time": %s, "memory": 1.5}
c.UsageConfig.price_currency = "CHF"
c.UsageQuotaManager.policy = [
    {"resource": "cost", "limit": "2 CHF", "window": 1, "scope": {"everyone": True}}
]
c.UsageQuotaManager.failover_open = False
c.Spawner.mem_guarantee = "2G"
"""
A_SECOND = 3600
"""The price of an hour, which is one franc a second."""


def costs(folder: Path) -> list[float]:
    """What the session log has of each server, in francs per hour."""
    with sqlite3.connect(folder / "usage-quotas.sqlite") as connection:
        found = connection.execute("SELECT rates FROM usage_quotas_sessions").fetchall()
    return [json.loads(rates)["cost"] * 3600 for (rates,) in found]


def used_up(visitor: Visitor) -> bool:
    return "0.00 CHF" in visitor.http.get("/hub/home").text


def test_what_was_fixed_at_launch_counts_and_nothing_else(tmp_path):
    version, port = "6", free_port()
    with running_hub(tmp_path, version, CONFIG % A_SECOND, port) as hub:
        fran = Visitor(hub.url, "fran")
        home = fran.http.get("/hub/home").text
        # 2 GiB, and the hour.
        assert "3,603.00 CHF per hour" in home
        assert "2.00 CHF" in home
        assert fran.start_by_api().is_success
        fran.wait_until_ready()
        Visitor.wait_until(lambda: bool(costs(tmp_path)))
        assert costs(tmp_path) == pytest.approx([3603])
        Visitor.wait_until(lambda: used_up(fran))
        fran.stop()
        denied = fran.start_by_api()
        assert denied.status_code == 429, denied.text
        assert "cost quota" in denied.json()["message"]
    # It costs nearly nothing now; what was launched before stays what it was.
    with running_hub(tmp_path, version, CONFIG % 0.1, port) as hub:
        fran = Visitor(hub.url, "fran")
        assert "3.10 CHF per hour" in fran.http.get("/hub/home").text
        assert fran.start_by_api().status_code == 429
        gabi = Visitor(hub.url, "gabi")
        assert gabi.start_by_api().is_success
        gabi.wait_until_ready()
        gabi.stop()
