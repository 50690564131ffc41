"""Real Hubs, of JupyterHub 5 and 6: who uses up a quota is warned, given grace and stopped, and a
grant in time lets a server run on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from bs4 import BeautifulSoup

from tests.support.adjusting import run
from tests.support.hub import PYTHONS, Hub, running_hub
from tests.support.recorded_hub import Recorded
from tests.support.visitor import Visitor

pytestmark = pytest.mark.waits

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {url!r}
c.UsageConfig.hub_namespace = "e2e-guard-{version}"
c.UsageConfig.usage_source = "hub"
c.UsageConfig.refresh_interval = 3
c.UsageQuotaManager.policy = [
    {{"name": "seconds", "resource": "time", "limit": "20 seconds", "window": "1h",
      "scope": {{"everyone": True}}, "when_exhausted": "stop"}}
]
c.UsageQuotaManager.grace = "15 seconds"
c.UsageQuotaManager.warn_before = ["10 seconds"]
c.UsageQuotaManager.guard_readings = 2
"""
NOTICES = "jupyterhub_usage_quotas_guard_notices_total"
STOPS = "jupyterhub_usage_quotas_guard_stops_total"


@pytest.fixture(scope="module")
def hubs(recorded: Recorded, tmp_path_factory) -> Iterator[dict[str, Hub]]:
    """Both at once: what they wait for is the same minutes."""
    with ExitStack() as stack:
        running = {}
        for version in PYTHONS:
            directory = tmp_path_factory.mktemp(f"guarded{version}")
            config = CONFIG.format(url=recorded.url, version=version)
            port = recorded.hub_ports[version]
            running[version] = stack.enter_context(running_hub(directory, version, config, port))
        yield running


def test_who_uses_up_a_quota_is_stopped_and_a_grant_in_time_lets_a_server_run_on(hubs):
    people = {}
    for version, hub in hubs.items():
        Visitor.wait_until(
            lambda hub=hub: hub.metric("jupyterhub_usage_quotas_history_coverage_ratio") > 0
        )
        people[version] = [Visitor(hub.url, name) for name in ("lina", "bo")]
        for one in people[version]:
            one.start()
            one.wait_until_ready()
    for hub in hubs.values():
        Visitor.wait_until(lambda hub=hub: hub.metric(NOTICES, kind="grace") == 2)
        assert hub.metric(NOTICES, kind="warning") == 2
        grace = people[hub.version][0].http.get("/hub/home").text
        assert 'data-kind="grace"' in grace
        config = str(hub.program.log.parent / "jupyterhub_config.py")
        granted = run(
            *("grant", "--user", "bo", "--policy", "seconds", "--amount", "50 minutes"),
            *("--until", "1d", "--reason", "an exam", "--actor", "tutor"),
            *("--config", config, "--json"),
        )
        assert granted.code == 0, granted.err
        Visitor.wait_until(lambda hub=hub: hub.metric(NOTICES, kind="continues") == 1)
    for version, hub in hubs.items():
        Visitor.wait_until(
            lambda hub=hub: (
                hub.metric(STOPS, outcome="stopped") + hub.metric(STOPS, outcome="slow") == 1
            )
        )
        lina, bo = people[version]
        # The server is gone, with its route, and the other runs on.
        assert bo.api("GET", "/users/bo").json()["servers"][""]["ready"]
        assert lina.api("GET", "/users/lina").json()["servers"] == {}
        Visitor.wait_until(lambda hub=hub: hub.metric(NOTICES, kind="stopped") == 1)
        log = hub.program.log.read_text()
        assert "Stopping the default server of 'lina': nothing is left of seconds" in log
        assert "Traceback" not in log
        for path in ("/hub/home", "/hub/user/lina/lab"):
            page = BeautifulSoup(lina.http.get(path).text, "html.parser")
            (why,) = page.select("[data-kind=stopped]")
            assert "Your server was stopped: the quota “seconds” is used up." in " ".join(
                why.text.split()
            )
            assert why.find("time")["datetime"]
        assert "data-kind" not in bo.http.get("/hub/home").text
        # What JupyterLab's pages that are still open ask.
        (notice,) = [
            one
            for one in lina.api("GET", "/usage-quotas/users/lina").json()["notices"]
            if one["kind"] == "stopped"
        ]
        said = {name: notice[name] for name in ("policy", "until")}
        gone = "/hub/usage-quotas/gone"
        assert lina.http.get(f"{gone}/lina").json() == {
            "switch_url": None,
            "stopping": False,
            "stopped": said,
        }
        assert bo.http.get(f"{gone}/bo").json() == {
            "switch_url": None,
            "stopping": False,
            "stopped": None,
        }
        assert bo.http.get(f"{gone}/lina").status_code == 404
