"""The values for Zero to JupyterHub, as the Hub loads them: real Hubs of both versions start with
them, enforce their policies, show the dashboard, and give their metrics to whom they should.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.chart import FULL, MINIMAL, TOKEN, hub_config, merged
from tests.support.cluster import NAMESPACE
from tests.support.doctor import doctor, statuses
from tests.support.hub import PYTHONS, Hub, running_hub
from tests.support.programs import free_port
from tests.support.recorded_hub import Recorded
from tests.support.visitor import Visitor, text_of

PROMETHEUS = "http://prometheus-server.monitoring.svc.cluster.local"
OUTSIDE = """
import os
os.environ["POD_NAMESPACE"] = {namespace!r}
c.UsageConfig.stale_after = 7200.0
c.JupyterHub.pop("authenticate_prometheus")
c.JupyterHub.load_groups = {{
    "researchers": {{"users": ["over"]}},
    "support": {{"users": ["mate"]}},
}}
"""
"""What the Hub finds in its pod and its cluster; users' groups come from no authenticator here."""


@pytest.fixture(scope="module", params=PYTHONS)
def full(request, recorded: Recorded, tmp_path_factory) -> Iterator[Hub]:
    directory = tmp_path_factory.mktemp(f"full{request.param}")
    replaced = {
        PROMETHEUS: recorded.url,
        "http://hub:9000": f"http://127.0.0.1:{free_port()}",
        '"python3"': f'"{PYTHONS[request.param]}"',
    }
    with started(directory, request.param, FULL, replaced) as running:
        yield running


def started(directory: Path, version: str, files: tuple[Path, ...], replaced: dict[str, str]):
    config = hub_config(directory / "pod", merged(files), replaced)
    return running_hub(directory, version, OUTSIDE.format(namespace=NAMESPACE) + config)


@pytest.mark.parametrize("version", PYTHONS)
def test_the_minimal_values_enforce_a_quota(version, recorded: Recorded, tmp_path):
    replaced = {PROMETHEUS: recorded.url, "1000 GiB-hours": "8 GiB-hours"}
    with started(tmp_path, version, MINIMAL, replaced) as hub:
        said = hub.program.output()
        page = Visitor(hub.url, "over").start()
    assert "Usage quotas: 1 policy, usage from kube-state-metrics" in said
    assert recorded.url in said
    assert "pods of all namespaces are counted" not in said
    assert page.status_code == 429, hub.program.output()
    assert "8 GiB-hours in the last 7 days" in text_of(page)


def test_the_full_values_are_accepted_without_a_remark(full: Hub):
    said = full.program.output()
    assert "Usage quotas: 3 policies, usage from kube-state-metrics" in said
    assert "launches are allowed" in said
    for line in said.splitlines():
        if "Usage" in line or "usage_quotas" in line:
            assert not line.startswith(("[W", "[E", "[C")), line


def test_the_doctor_finds_the_full_values_well(full: Hub):
    # The dashboard may still be starting, which is 503: a visitor waits for it.
    assert Visitor(full.url, "within").http.get("/services/usage-quota/").is_success
    found = doctor(full.version, full.program.log.parent / "jupyterhub_config.py")
    checks = ("configuration", "enforced", "denials", "prometheus", "service", "network")
    assert statuses(found, *checks) == ["ok"] * 7, found


def test_users_see_themselves_on_the_dashboard_and_readers_everybody(full: Hub):
    own = Visitor(full.url, "over")
    assert "GiB-hours" in text_of(own.http.get("/services/usage-quota/"))
    assert own.http.get("/services/usage-quota/api/v1/users/within").status_code == 404
    reader = Visitor(full.url, "mate")
    reader.http.get("/services/usage-quota/")
    answer = reader.http.get("/services/usage-quota/api/v1/users/over")
    assert answer.is_success, answer.text
    policies = {verdict["policy"] for verdict in answer.json()["verdicts"]}
    assert policies == {"memory-week", "cpu-week", "gpu-week"}


def test_prometheus_reads_the_metrics_with_its_token_and_nobody_else_does(full: Hub):
    url = f"{full.url}/hub/metrics"
    assert httpx.get(url, trust_env=False).status_code == 403
    headers = {"Authorization": f"Bearer {TOKEN}prometheus"}
    answer = httpx.get(url, headers=headers, trust_env=False, timeout=30)
    assert answer.is_success
    Visitor.wait_until(
        lambda: (
            'jupyterhub_usage_quotas_limit{namespace="hub-ns"'
            in httpx.get(url, headers=headers, trust_env=False, timeout=30).text
        )
    )
    wrong = {"Authorization": f"Bearer {TOKEN}usage-quota"}
    assert httpx.get(url, headers=wrong, trust_env=False).status_code == 403
