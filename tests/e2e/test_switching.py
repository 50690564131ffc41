"""A Hub that is configured for 2i2c's package: it starts, denies, shows, and its alerts fire."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.cluster import GIB, NAMESPACE
from tests.support.hub import PYTHONS, running_hub
from tests.support.programs import free_port
from tests.support.recorded_hub import OVER, Recorded
from tests.support.visitor import Visitor, text_of

# As its charts and clusters have it; only Prometheus, times and proxy are of this machine.
CONFIG = """
import os
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageQuotaManager.metrics_exporter_token = os.environ.get("METRICS_EXPORTER_TOKEN")
c.UsageQuotaManager.prometheus_url = {prometheus!r}
c.UsageViewer.prometheus_url = {prometheus!r}
c.UsageQuotaManager.hub_namespace = {namespace!r}
c.UsageViewer.hub_namespace = {namespace!r}
c.UsageViewer.public_hub_url = "http://127.0.0.1:{port}/hub/"
c.UsageViewer.footer_note = "Ask <b>us</b><script>alert(1)</script>."
c.UsageViewer.session_secret_key = "f1c2b3a4958677869504132231405968"
c.UsageQuotaManager.log_level = "INFO"
c.UsageQuotaManager.scope_fallback_strategy = {{
    "empty": {{"resource": "memory", "limit": "500G", "window": 1}},
    "intersection": "max",
}}
c.UsageQuotaManager.failover_open = True
c.UsageQuotaManager.denied_status = 422
c.UsageQuotaManager.policy = [
    {{"resource": "memory", "limit": "8G", "window": 1, "scope": {{"group": ["mem-sm"]}}}},
    {{"resource": "cpu", "limit": 100, "window": 1, "scope": {{"group": ["mem-sm"]}}}},
]
c.JupyterHub.load_groups = {{"mem-sm": {{"users": ["over"]}}}}
c.JupyterHub.services = [
    {{
        "name": "usage-quota",
        "url": "http://127.0.0.1:{service_port}",
        "display": True,
        "oauth_no_confirm": True,
        "command": [
            "python", "-m", "jupyterhub_usage_quotas.services.usage_viewer",
            "--port={service_port}", "--hub-namespace={namespace}",
        ],
    }},
    {{"name": "metrics-exporter", "display": False, "api_token": "t0ken-of-the-exporter"}},
]
c.JupyterHub.load_roles = [
    {{"name": "usage-quota-service", "scopes": ["read:users"], "services": ["usage-quota"]}},
    {{"name": "metrics-exporter-service", "scopes": ["users"], "services": ["metrics-exporter"]}},
    {{"name": "user", "scopes": ["self", "access:services!service=usage-quota"]}},
]
"""
TIMES = "c.UsageConfig.stale_after = 7200.0\nc.UsageConfig.refresh_interval = 2.0\n"


def config_of(version: str, prometheus: str, port: int) -> str:
    text = CONFIG.format(
        prometheus=prometheus, namespace=NAMESPACE, port=port, service_port=free_port()
    )
    return text.replace('"python"', repr(str(PYTHONS[version]))) + TIMES


@pytest.mark.parametrize("version", PYTHONS)
def test_it_goes_on_as_before(version, recorded: Recorded, tmp_path):
    port = free_port()
    with running_hub(tmp_path, version, config_of(version, recorded.url, port), port) as hub:
        over = Visitor(hub.url, "over")
        over.wait_until(lambda: over.start_by_api().status_code == 422)
        pages = []

        def shown() -> bool:
            pages.append(over.http.get("/services/usage-quota/"))
            return "Your usage" in text_of(pages[-1])

        over.wait_until(shown)
        assert "Ask us ." in text_of(pages[-1])
        assert "alert(1)" not in pages[-1].text
        usage = "jupyterhub_memory_usage_byte_hours_total"
        over.wait_until(
            lambda: hub.metric(usage, username="over") > 0
        )  # NaN until the first refresh
        metrics = over.http.get("/hub/metrics").text
        said = hub.program.output()
    samples = {
        (one.name, one.labels["username"]): (one.labels, one.value)
        for family in text_string_to_metric_families(metrics)
        for one in family.samples
        if set(one.labels) == {"namespace", "policy_group", "username", "window", "value", "unit"}
    }
    labels, used = samples[usage, "over"]
    assert used == pytest.approx(OVER["over"] * GIB, rel=1e-9)
    assert (labels["policy_group"], labels["window"], labels["unit"]) == (
        "mem-sm",
        "1",
        "GiB-hours",
    )
    assert samples["jupyterhub_cpu_limit_cpu_hours_total", "over"][1] == 100
    labels, limit = samples["jupyterhub_memory_limit_byte_hours_total", "admin"]
    assert (labels["policy_group"], labels["value"], limit) == ("none", "500", 500 * GIB)
    assert "is taken as earlier_metrics = True" in said
    assert "public_hub_url is no longer needed" in said
    assert "not recognized" not in said


@pytest.mark.parametrize("version", PYTHONS)
def test_its_alerts_on_failing_open_and_on_errors_of_prometheus(version, tmp_path):
    port = free_port()
    nowhere = f"http://127.0.0.1:{free_port()}"
    with running_hub(tmp_path, version, config_of(version, nowhere, port), port) as hub:
        over = Visitor(hub.url, "over")
        assert over.start_by_api().is_success
        labels = {"namespace": NAMESPACE, "username": "over"}
        assert hub.metric("jupyterhub_usage_quotas_fail_open_total", **labels) == 1
        assert hub.metric("jupyterhub_usage_quotas_prometheus_error_total") > 0
        dashboard = "/services/usage-quota/"
        over.wait_until(lambda: "Your usage" in text_of(over.http.get(dashboard)))
        metrics = Visitor(hub.url, "admin").http.get(f"{dashboard}metrics").text
        counted = re.search(r"service_error_total(\{.*\}) (.*)$", metrics, re.M)
        assert counted[1] == f'{{namespace="{NAMESPACE}",username="over"}}'
        assert float(counted[2]) >= 1
