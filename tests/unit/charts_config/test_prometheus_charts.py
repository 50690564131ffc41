"""Values for the charts of Prometheus with the real Helm: they accept them, and act on them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest
import yaml

from jupyterhub_usage_quotas import conventions
from tests.support.chart import FOLDER
from tests.support.documentation import named
from tests.support.helm import accepted, charts, containers, newest, rendered, template, the
from tests.support.paths import ROOT
from tests.support.rules import EXPORTED, EXPORTED_POD, RULES, cases_in, written

TUTORIAL = ROOT / "docs/tutorials/zero-to-jupyterhub.md"
SCRAPE = FOLDER / "prometheus/scrape-hub.yaml"
KUBE_STATE_METRICS = FOLDER / "kube-state-metrics.yaml"
MONITOR = FOLDER / "prometheus/hub-servicemonitor.yaml"
ALERTS = FOLDER / "prometheus/alerts.yaml"

PROMETHEUSES = [pytest.param(one, id=str(one)) for one in charts("prometheus")]
NEWEST = [pytest.param(one, id=str(one)) for one in newest("prometheus")]
STACKS = [pytest.param(one, id=str(one)) for one in charts("kube-prometheus-stack")]
EXPORTERS = [pytest.param(one, id=str(one)) for one in charts("kube-state-metrics")]


def allow_list(documents: list[dict[str, Any]], release: str) -> str:
    """The annotations that kube-state-metrics is started with."""
    (one,) = containers(documents, f"{release}-kube-state-metrics")
    (found,) = (a for a in one["args"] if a.startswith("--metric-annotations-allowlist="))
    return found.partition("=")[2]


def annotations() -> str:
    """Those of the pods of users, by KubeSpawner and by us."""
    own = (conventions.ANNOTATION_PROFILE, conventions.ANNOTATION_PROFILE_NAME)
    return f"pods=[hub.jupyter.org/username,hub.jupyter.org/servername,{','.join(own)}]"


@pytest.mark.parametrize("chart", EXPORTERS)
def test_kube_state_metrics_exports_who_a_pod_belongs_to(chart):
    accepted(chart, (KUBE_STATE_METRICS,))
    assert allow_list(rendered(chart, (KUBE_STATE_METRICS,), "m"), "m") == annotations()


@pytest.mark.parametrize("chart", PROMETHEUSES)
def test_the_chart_prometheus_does_what_the_tutorial_says(chart, tmp_path):
    (tmp_path / "prometheus.yaml").write_text(named(TUTORIAL, "prometheus.yaml"))
    files = (tmp_path / "prometheus.yaml",)
    accepted(chart, files)
    documents = rendered(chart, files, "prometheus")
    assert allow_list(documents, "prometheus") == annotations()
    assert "--storage.tsdb.retention.time=30d" in server(documents)["args"]
    # Where all values of Zero to JupyterHub look for it.
    (port,) = the(documents, "Service", "prometheus-server")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, 9090)


def server(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """The container of Prometheus itself."""
    return containers(documents, "prometheus-server")[-1]


@pytest.mark.parametrize("chart", PROMETHEUSES)
def test_the_chart_prometheus_scrapes_the_hub_with_its_token(chart):
    accepted(chart, (SCRAPE,))
    documents = rendered(chart, (SCRAPE,), "prometheus")
    made = the(documents, "ConfigMap", "prometheus-server")["data"]["prometheus.yml"]
    jobs = {one["job_name"]: one for one in yaml.safe_load(made)["scrape_configs"]}
    (given,) = yaml.safe_load(yaml.safe_load(SCRAPE.read_text())["extraScrapeConfigs"])
    assert jobs["jupyterhub"] == given
    assert len(jobs) > 1, "those of the chart stay"
    token = PurePosixPath(given["authorization"]["credentials_file"])
    mounted = {one["mountPath"]: one["name"] for one in server(documents)["volumeMounts"]}
    pod = the(documents, "Deployment", "prometheus-server")["spec"]["template"]["spec"]
    secrets = {one["name"]: one.get("secret", {}).get("secretName") for one in pod["volumes"]}
    assert secrets[mounted[str(token.parent)]] == "jupyterhub-metrics"


@pytest.mark.parametrize("chart", NEWEST)
@pytest.mark.parametrize("rules", [RULES, EXPORTED, EXPORTED_POD], ids=lambda path: path.stem)
def test_the_chart_prometheus_loads_rules_and_alerts_as_they_are(chart, rules, tmp_path):
    """As docs/reference/recording-rules.md makes values of them; `{{` in alerts stays as it is."""
    given = {
        "recording_rules.yml": cases_in(rules),
        "alerting_rules.yml": cases_in(ALERTS),
    }
    files = (written(tmp_path / "values.yaml", {"serverFiles": given}),)
    accepted(chart, files)
    made = the(rendered(chart, files, "prometheus"), "ConfigMap", "prometheus-server")["data"]
    assert {name: yaml.load(made[name], yaml.CSafeLoader) for name in given} == given
    loaded = yaml.safe_load(made["prometheus.yml"])["rule_files"]
    assert {f"/etc/config/{name}" for name in given} <= set(loaded)


@pytest.mark.parametrize("chart", STACKS)
def test_the_stack_loads_rules_and_exports_who_a_pod_belongs_to(chart, tmp_path):
    groups = {path.stem: cases_in(path) for path in (RULES, ALERTS)}
    values = {
        "additionalPrometheusRulesMap": {f"usage-quotas-{one}": groups[one] for one in groups},
        "kube-state-metrics": yaml.safe_load(KUBE_STATE_METRICS.read_text()),
    }
    files = (written(tmp_path / "values.yaml", values),)
    accepted(chart, files)
    documents = rendered(chart, files, "monitoring")
    assert allow_list(documents, "monitoring") == annotations()
    rules = [one for one in documents if one["kind"] == "PrometheusRule"]
    for name, given in groups.items():
        (made,) = (
            one for one in rules if one["metadata"]["name"].endswith(f"-usage-quotas-{name}")
        )
        assert made["spec"]["groups"] == given["groups"]
        # What the stack's Prometheus selects by, and what hub-servicemonitor.yaml carries.
        assert made["metadata"]["labels"]["release"] == "monitoring"
    assert yaml.safe_load(MONITOR.read_text())["metadata"]["labels"] == {"release": "monitoring"}


@pytest.mark.parametrize("chart", NEWEST)
@pytest.mark.parametrize(
    "values",
    [
        {"extraScrapeConfigs": [{"job_name": "jupyterhub"}]},
        {"server": {"extraSecretMounts": {"name": "jupyterhub-metrics"}}},
        {"server": {"retention": 30}},
        {"serverFiles": {"recording_rules.yml": []}},
    ],
    ids=str,
)
def test_the_chart_prometheus_refuses_a_wrong_type(chart, values, tmp_path):
    done = template(chart, [written(tmp_path / "values.yaml", values)])
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr


@pytest.mark.parametrize("chart", NEWEST)
def test_the_chart_prometheus_does_not_see_a_key_that_is_misspelt(chart, tmp_path):
    """So what comes out is looked at above."""
    misspelt = SCRAPE.read_text().replace("extraScrapeConfigs:", "extraScrapeConfig:")
    (tmp_path / "values.yaml").write_text(misspelt)
    files = (tmp_path / "values.yaml",)
    accepted(chart, files)
    documents = rendered(chart, files, "prometheus")
    made = the(documents, "ConfigMap", "prometheus-server")["data"]["prometheus.yml"]
    assert "jupyterhub" not in made
