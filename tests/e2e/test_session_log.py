"""`usage_source: sessions`: a Hub without any Prometheus counts to the second, also over a kill."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.support.command_line import check
from tests.support.doctor import doctor, statuses
from tests.support.hub import PYTHONS, Hub, running_hub
from tests.support.ports import free_port
from tests.support.visitor import Visitor

pytestmark = pytest.mark.waits

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.usage_source = "sessions"
c.UsageConfig.session_heartbeat = 1
c.UsageConfig.refresh_interval = 1
c.UsageQuotaManager.policy = [
    {"resource": "time", "limit": "20 seconds", "window": "1 minute", "scope": {"everyone": True}}
]
c.UsageQuotaManager.failover_open = False
c.Spawner.mem_guarantee = "2G"
c.JupyterHub.cleanup_servers = False
"""
LIMIT, WINDOW = 20, 60
AGE = "jupyterhub_usage_quotas_session_log_age_seconds"


def rows(folder: Path) -> list[tuple[str, float, float | None]]:
    """Who ran, from when to when, as another process reads it."""
    with sqlite3.connect(folder / "usage-quotas.sqlite") as connection:
        found = connection.execute(
            "SELECT username, started, ended FROM usage_quotas_sessions ORDER BY started"
        ).fetchall()
    return [(user, start / 1e6, None if end is None else end / 1e6) for user, start, end in found]


def wait_till(instant: float) -> None:
    Visitor.wait_until(lambda: time.time() >= instant)


@pytest.mark.parametrize("version", PYTHONS)
def test_a_time_quota_is_exact_over_a_kill_of_the_hub_and_needs_no_prometheus(version, tmp_path):
    port = free_port()
    with running_hub(tmp_path, version, CONFIG, port) as hub:
        lina = Visitor(hub.url, "lina")
        assert lina.start_by_api().is_success
        lina.wait_until_ready()
        ((user, started, ended),) = settled(lambda: rows(tmp_path))
        assert (user, ended) == ("lina", None)
        hub.program.send_signal(signal.SIGKILL)
        hub.program.wait_for_exit()
    with running_hub(tmp_path, version, CONFIG, port) as hub:
        lina = Visitor(hub.url, "lina")
        wait_till(started + LIMIT + 1)
        lina.stop()
        # The server outlived its Hub: one session, the gap included.
        ((_, again, ended),) = settled(lambda: [one for one in rows(tmp_path) if one[2]])
        assert again == started
        assert ended - started >= LIMIT
        denied = lina.start_by_api()
        assert denied.status_code == 429, denied.text
        assert "used up your server time quota" in denied.json()["message"]
        retry = time.time() + int(denied.headers["Retry-After"])
        assert ended + WINDOW - LIMIT - time.time() > 10
        # In the window there are LIMIT seconds until as much of what was more has left it.
        expected = ended - LIMIT + WINDOW
        # What people read is rounded up to a minute; the decision is not.
        assert expected - 1 <= retry <= expected + 61
        others_say_the_same(lina, version, tmp_path / "jupyterhub_config.py")
        wait_till(expected - 2)
        assert lina.start_by_api().status_code == 429
        wait_till(expected + 1.5)
        assert lina.start_by_api().is_success
        lina.wait_until_ready()
        lina.stop()
        assert hub.metric(AGE) < 30
        assert_no_prometheus(hub)
    log = (tmp_path / "jupyterhub.log").read_text()
    assert "usage from the session log, which the Hub keeps itself" in log
    assert "servers that outlived the Hub: 1; that did not: 0" in log
    assert "Traceback" not in log


def others_say_the_same(lina: Visitor, version: str, config: Path) -> None:
    """The dashboard, `check` and `doctor`, each a process of its own with the same database."""
    assert check(config, "--user", "lina").returncode == 3
    assert lina.http.get("/services/usage-quota/").is_success
    (verdict,) = lina.http.get("/services/usage-quota/api/v1/me").json()["verdicts"]
    # It shows the last whole minute, in which this window may have had less: but it is known.
    assert verdict["fits"] is not None
    found = doctor(version, config)
    assert [check for check, all_of in found.items() if "failed" in statuses(found, check)] == []
    about_prometheus = ("prometheus", "source", "retention", "hub-metrics")
    assert set(statuses(found, *about_prometheus)) == {"skipped"}
    assert statuses(found, "session-log") == ["ok"]


def settled(look):
    """What is found once there is something."""
    found = []
    Visitor.wait_until(lambda: bool(found.append(look()) or found[-1]))
    return found[-1]


def assert_no_prometheus(hub: Hub) -> None:
    """Nobody was asked."""
    assert hub.metric("jupyterhub_usage_quotas_prometheus_requests_total") == 0
