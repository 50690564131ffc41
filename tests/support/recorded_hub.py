"""Real Hubs of both supported versions whose users have a known history, in a real Prometheus."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.hub import PYTHONS, Hub, running_hub
from tests.support.programs import Span, backfill, free_port, start_prometheus

OVER = {"over": 20.0, "over-form": 20.0, "over-named": 20.0, "over<b>&": 20.0, "mate": 7.0}
WITHIN = {"within": 2.0}
START_OF_YEAR = datetime.now(UTC) - timedelta(days=180)
"""A month that is neither this one nor the last, for a year that began half a year ago."""
LIMIT = 8
"""GiB-hours in a day; what each user used is above."""


@dataclass(frozen=True)
class Recorded:
    """A Prometheus and what it knows."""

    url: str
    hub_ports: dict[str, int]
    end: int
    """When the recorded usage ended (Unix seconds)."""


def history(now: int) -> Iterator[Span]:
    yield from hub_pod(now - 24 * HOUR, now)
    for username, gib_hours in (OVER | WITHIN).items():
        # Two hours that ended an hour ago.
        yield from Pod(
            username,
            now - 3 * HOUR + 60,
            now - HOUR - 60,
            f"jupyter-{abs(hash(username))}",
            username,
            memory=gib_hours / 2 * GIB,
        ).spans


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    directory: Path = tmp_path_factory.mktemp("prometheus")
    now = int(time.time()) // 60 * 60
    backfill(directory, history(now))
    ports = {version: free_port() for version in PYTHONS}
    scrape = {
        "job_name": "jupyterhub",
        "metrics_path": "/hub/metrics",
        "static_configs": [{"targets": [f"127.0.0.1:{port}"]} for port in ports.values()],
    }
    prometheus, url = start_prometheus(directory, [scrape], scrape_interval="1s")
    with prometheus:
        yield Recorded(url, ports, now)


def quotas(recorded: Recorded) -> str:
    """The configuration of a Hub whose users have the history above."""
    return f"""
from jupyterhub_usage_quotas import setup_usage_quotas

async def admins_hook(spawner):
    (directory / "hook").open("a").write(f"{{spawner.user.name}}\\n")
    if spawner.user.name == "broken":
        raise RuntimeError("a fault that is not about quotas")

c.SimpleLocalProcessSpawner.pre_spawn_hook = admins_hook
setup_usage_quotas(c)
setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {recorded.url!r}
c.UsageConfig.hub_namespace = {NAMESPACE!r}
c.UsageConfig.stale_after = 7200.0
c.UsageQuotaManager.policy = [
    {{
        "resource": "memory",
        "limit": {{"value": {LIMIT}, "unit": "GiB-hours"}},
        "window": "24h",
        "scope": {{"everyone": True}},
    }},
    {{
        "name": "team budget",
        "resource": "memory",
        "limit": "7 GiB-hours",
        "window": {{"calendar": "year", "starts": "{START_OF_YEAR:%B}".lower()}},
        "scope": {{"group": [{{"glob": "team-*"}}]}},
        "share": "pooled",
    }},
]
c.JupyterHub.load_groups = {{"team-red": {{"users": ["mate", "newcomer"]}}}}
c.UsageQuotaManager.failover_open = False
c.UsageQuotaManager.contact = "Ask <help> at https://help.example.org/quota."
c.Spawner.options_form = lambda spawner: (
    "<input name=size>" if spawner.user.name.endswith("-form") else ""
)
c.Spawner.consecutive_failure_limit = 5
c.JupyterHub.allow_named_servers = True
c.UsageViewer.url = "http://127.0.0.1:{free_port()}"
"""


@pytest.fixture(scope="session", params=PYTHONS)
def hub(
    request: pytest.FixtureRequest, recorded: Recorded, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    """For all tests that leave it as it is: to start a Hub of their own takes others seconds."""
    directory = tmp_path_factory.mktemp(f"hub{request.param}")
    with running_hub(directory, request.param, quotas(recorded)) as running:
        yield running


TIME = re.compile(r"\w+day, \d+ \w+ 20\d\d, \d\d:\d\d UTC")


def assert_explained(text: str) -> None:
    assert f"You have used up your memory quota: 20 of {LIMIT} GiB-hours in the last day." in text
    assert TIME.search(text), text
    assert "Ask <help> at https://help.example.org/quota" in text
