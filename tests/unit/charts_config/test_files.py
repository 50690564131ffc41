"""What `charts-config/` has, checked by tools that were not written here: promtool, a parser of
PromQL, Grafana's own types, Kubernetes' own schemas, a linter of Dockerfiles.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus_client.metrics import MetricWrapperBase

from jupyterhub_usage_quotas import __version__, conventions
from jupyterhub_usage_quotas.hub.metrics import guard, ledger, sessions
from jupyterhub_usage_quotas.hub.metrics import own as metrics
from jupyterhub_usage_quotas.hub.metrics import usage as gauges
from tests.support.chart import FOLDER, FULL, MINIMAL, merged, objects
from tests.support.expressions import (
    ALERTS,
    ALL_DASHBOARDS,
    DASHBOARDS,
    Expression,
    alerts,
    asked_for,
    labels_shown,
    of_alerts,
    of_dashboards,
    panels,
)
from tests.support.paths import ROOT
from tests.support.rules import cases_in, promtool, written

EXPRESSIONS = [pytest.param(one, id=one.place) for one in (*of_dashboards(), *of_alerts())]
CASES = sorted((FOLDER / "prometheus/tests").glob("alerts-*.yaml"))
RUNBOOKS = ROOT / "docs/how-to/alerts.md"

TARGET = {"namespace", "job", "instance"}
"""The labels that Prometheus adds to what it scrapes."""
POD = {"namespace", "pod", "uid"}
OF_OTHERS = {
    # Of kube-state-metrics, by its documentation.
    conventions.KSM_ANNOTATIONS: POD | {conventions.KSM_USERNAME_LABEL},
    conventions.KSM_PHASE: POD | {"phase"},
    conventions.KSM_REQUESTS: POD | {"container", "node", "resource", "unit"},
    # Prometheus' own: the labels of each alert, and of what it is about.
    "ALERTS": {"alertname", "alertstate", "severity", "policy", "source"},
}


def exported() -> dict[str, set[str]]:
    """The labels of all metrics that there are, by name: of the exporters themselves."""
    found: dict[str, set[str]] = {}
    rooms = (metrics, ledger, guard, sessions)
    for one in (value for room in rooms for value in vars(room).values()):
        if isinstance(one, MetricWrapperBase):
            labels = set(one._labelnames)
            for family in one.describe():
                if family.type == "info":
                    found[f"{family.name}_info"] = labels
                elif family.type == "counter":
                    found[f"{family.name}_total"] = labels
                elif family.type == "histogram":
                    found[f"{family.name}_bucket"] = labels | {"le"}
                else:
                    found[family.name] = labels
    for name in (conventions.USED, conventions.LIMIT, conventions.REMAINING):
        found[name] = set(gauges.LABELS)
    for pair in conventions.BY_GROUP_METRICS.values():
        found |= {name: set(gauges.BY_GROUP_LABELS) for name in pair}
    servers = set(conventions.SERVER_LABELS)
    found |= {conventions.SERVER_REQUESTS: servers, conventions.RECORDED_REQUESTS: servers}
    found[conventions.SERVERS_UNKNOWN] = {"namespace"}
    return {name: labels | TARGET for name, labels in (found | OF_OTHERS).items()}


def unknown(expression: Expression) -> list[str]:
    """The metrics and labels of an expression that there are not."""
    known, asked = exported(), asked_for(expression.text)
    wrong = [name for name in asked.by_metric if name not in known]
    for name, labels in asked.by_metric.items():
        wrong += sorted(labels - known.get(name, labels))
    everywhere = set().union(*(known.get(name, set()) for name in asked.by_metric))
    wrong += sorted((asked.by_operators | labels_shown(expression.shown)) - everywhere)
    # What is shown must have been kept, too.
    return wrong + sorted(labels_shown(expression.shown) - asked.by_operators)


# --- expressions --------------------------------------------------------------------------------


def test_prometheus_parses_every_expression(tmp_path):
    rules = [
        {"record": f"expression:{number}", "expr": one.values[0].text}
        for number, one in enumerate(EXPRESSIONS)
    ]
    assert len(rules) > 40
    done = promtool(
        "check",
        "rules",
        written(tmp_path / "all.yaml", {"groups": [{"name": "x", "rules": rules}]}),
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(rules)} rules found" in done.stdout


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_only_metrics_and_labels_that_there_are(expression):
    assert unknown(expression) == []
    assert "$" not in expression.text


@pytest.mark.parametrize(
    ("text", "shown", "wrong"),
    [
        ("jupyterhub_usage_quotas_usage", "", "jupyterhub_usage_quotas_usage"),
        ('jupyterhub_usage_quotas_used{user="x"}', "", "user"),
        ("sum by (user) (jupyterhub_usage_quotas_used)", "", "user"),
        ("jupyterhub_usage_quotas_used / on (hub) jupyterhub_usage_quotas_limit", "", "hub"),
        ("sum by (policy) (jupyterhub_usage_quotas_used)", "{{username}}", "username"),
        ("rate(jupyterhub_usage_quotas_decisions[5m])", "", "jupyterhub_usage_quotas_decisions"),
    ],
)
def test_a_name_that_is_wrong_would_be_found(text, shown, wrong):
    assert wrong in unknown(Expression("", text, shown))


# --- alerts -------------------------------------------------------------------------------------


def test_the_alerts_are_valid():
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", ALERTS)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_not_otherwise(path):
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_to_fire_and_not_to_fire():
    text = "".join(path.read_text() for path in CASES)
    for rule in alerts():
        assert f"alertname: {rule['alert']}\n" in text
    assert text.count("exp_samples: []") > len(alerts())


LINK = (
    "{{ with printf `last_over_time(jupyterhub_usage_quotas_build_info{namespace=%q,"
    ' documentation_url!=""}[1d])` $labels.namespace | query }}{{ . | first | label'
    ' "documentation_url" }}how-to/alerts.html#ANCHOR{{ end }}'
)
"""The page of an alert where the documentation is served; else nothing."""


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule):
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "action", "runbook", "runbook_url"}
    assert len(notes["action"]) > 50
    # GitHub and Sphinx both make the anchor of a heading of its small letters.
    page, _, anchor = notes["runbook"].partition("#")
    assert (ROOT / page, anchor) == (RUNBOOKS, rule["alert"].lower())
    # promtool shows what this makes, of two alerts: alerts-runbooks.yaml.
    assert notes["runbook_url"] == LINK.replace("ANCHOR", anchor)
    section = re.search(
        rf"^## {rule['alert']}\n(.*?)(?=^## |\Z)", RUNBOOKS.read_text(), re.M | re.S
    )
    assert section, "there is a section with this heading"
    for part in ("**What it means.**", "**Why.**", "**What to do.**"):
        assert part in section[1]


def test_every_runbook_is_of_an_alert():
    headings = set(re.findall(r"^## (UsageQuotas\w+)$", RUNBOOKS.read_text(), re.M))
    assert headings == {rule["alert"] for rule in alerts()}


def holds(path: Path, rules: Path) -> bool:
    """Whether these cases hold with other alerts than their own."""
    document = {**cases_in(path), "rule_files": [str(rules)]}
    return promtool("test", "rules", written(rules.parent / path.name, document)).returncode == 0


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_cases_hold_with_a_copy_of_the_alerts(path, tmp_path):
    copy = tmp_path / "copy.yaml"
    copy.write_text(ALERTS.read_text())
    assert holds(path, copy)


@pytest.mark.parametrize(
    ("part", "instead", "cases"),
    [
        ("by (namespace)", "by ()", "runbooks"),
        ("> 600", "> 6000", "usage"),
        ("> 600", "> 60", "usage"),
        ("[1d]", "[3d]", "gone"),
        ("[1d]", "[30m]", "gone"),
        ('outcome="success"', 'outcome!=""', "usage"),
        ("unless on (namespace)\n          sum", "and on (namespace)\n          sum", "usage"),
        ("group by (namespace) (jupyterhub_usage_quotas_refreshes_total)", "vector(1)", "usage"),
        ('{outcome!="success"}', "", "usage"),
        (" offset 15m", "", "runbooks"),
        (', enforcement="enforce"', "", "decisions"),
        ("> 0.5\n        for", "> 0.3\n        for", "usage"),
        ("> 0.5\n        for", "> 1.1\n        for", "usage"),
        ("> 0.5\n          )", "> 0.3\n          )", "decisions"),
        (">= 10", ">= 9", "decisions"),
        (">= 10", ">= 1000", "decisions"),
        (">= 0.9", ">= 0.96", "users"),
        (">= 0.9", ">= 0.8", "users"),
        (" > 0)", ")", "users"),
        (
            "max by (namespace, username, policy)",
            "max by (namespace, username, policy, instance)",
            "users",
        ),
        ("count by (namespace, policy)", "count by (namespace)", "users"),
        ("min by (namespace, source)", "max by (namespace)", "usage"),
        ("< 0.95", "< 1", "usage"),
        ("for: 15m", "for: 0m", "users"),
        ("for: 2m", "for: 1h", "usage"),
        ("for: 1h", "for: 5m", "usage"),
        ("severity: critical", "severity: warning", "decisions"),
        ('outcome="failover_open"', 'outcome=~"failover_.*"', "decisions"),
    ],
)
def test_an_alert_without_a_part_of_it_would_be_found(part, instead, cases, tmp_path):
    """By these cases, among others: to run all of them takes many times as long."""
    text = ALERTS.read_text()
    assert part in text
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace(part, instead))
    assert promtool("check", "rules", broken).returncode == 0
    assert not holds(FOLDER / f"prometheus/tests/alerts-{cases}.yaml", broken)


# --- dashboards ---------------------------------------------------------------------------------


def loaded(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_the_dashboards_are_what_their_sources_generate(tmp_path):
    generator = FOLDER / "grafana/generate.py"
    subprocess.run([sys.executable, str(generator), str(tmp_path)], check=True)
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        path.name for path in ALL_DASHBOARDS
    ]
    for path in ALL_DASHBOARDS:
        assert (tmp_path / path.name).read_text() == path.read_text()


@pytest.mark.parametrize("path", ALL_DASHBOARDS, ids=lambda path: path.stem)
def test_grafanas_own_types_know_all_that_is_in_a_dashboard(path):
    register_default_plugins()
    document = loaded(path)
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(document)))
    assert again == document


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_works_with_any_data_source(path):
    document = loaded(path)
    chosen = {"type": "prometheus", "uid": "${PROMETHEUS_DS}"}
    variables = {one["name"]: one for one in document["templating"]["list"]}
    assert variables["PROMETHEUS_DS"]["type"] == "datasource"
    assert document.get("id") is None
    for panel in panels(document):
        assert panel["datasource"] == chosen
        assert all(target["datasource"] == chosen for target in panel["targets"])
    for one in variables.values():
        if one["type"] == "query":
            assert one["datasource"] == chosen
            assert (one["includeAll"], one["multi"], one["allValue"]) == (True, True, ".*")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_found_and_linked_as_those_of_jupyterhub_are(path):
    """The names in dashboards/common.libsonnet of jupyterhub/grafana-dashboards, and their tag."""
    document = loaded(path)
    assert "jupyterhub" in document["tags"]
    names = {one["name"] for one in document["templating"]["list"]}
    assert names >= {"PROMETHEUS_DS", "hub"}
    assert names <= {"PROMETHEUS_DS", "hub", "user_name", "policy"}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_the_variables_of_a_dashboard_ask_for_what_there_is(path):
    known = exported()
    for one in loaded(path)["templating"]["list"]:
        if one["type"] == "query":
            asked = re.fullmatch(r"label_values\((\w+)(\{.*\})?, (\w+)\)", one["query"]["query"])
            assert asked, one["query"]
            assert asked[3] in known[asked[1]]


@pytest.mark.parametrize("path", ALL_DASHBOARDS, ids=lambda path: path.stem)
def test_panels_are_told_apart_and_explained_and_do_not_overlap(path):
    document = loaded(path)
    ids = [panel["id"] for panel in document["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in panels(document):
        assert panel["title"]
        assert panel["description"].endswith(".") or panel["description"].endswith(".md.")
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells


def test_addresses_of_dashboards_never_change():
    assert {path.stem: loaded(path)["uid"] for path in ALL_DASHBOARDS} == {
        "cloud-costs": "jupyterhub-cloud-costs",
        "cloud-costs-groups": "jupyterhub-cloud-costs-groups",
        "cloud-costs-users": "jupyterhub-cloud-costs-users",
        "usage-quotas": "jupyterhub-usage-quotas",
        "usage-quotas-health": "jupyterhub-usage-quotas-health",
    }


@pytest.mark.parametrize("one", list(of_dashboards()), ids=lambda one: one.place)
def test_every_panel_is_about_the_hubs_that_were_chosen(one):
    """With one Hub selected, every series that is asked for is of that Hub."""
    chosen = {"$hub": "one-hub", "$policy": ".*", "$user_name": ".*"}
    (same,) = [other for other in of_dashboards(chosen) if other.place == one.place]
    selectors = re.findall(r"[a-zA-Z_:]{5,}\{([^}]*)\}", same.text)
    assert selectors
    assert all('namespace=~"one-hub"' in selector for selector in selectors)


# --- values, files and the image ----------------------------------------------------------------


@pytest.mark.parametrize("files", [MINIMAL, FULL], ids=["minimal", "full"])
def test_kubernetes_accepts_what_values_become(files):
    for one in objects(merged(files)):
        for version in ("1.28", "1.37"):
            kubernetes_validate.validate(one, version, strict=True)


def test_no_values_hold_a_secret():
    """What looks like one is a placeholder, and all of them are in the file for secrets."""
    secrets = FULL[1].read_text()
    for name in ("prometheus_auth", "session_secret_key"):
        assert name in secrets
        assert name not in FULL[0].read_text() + MINIMAL[0].read_text()
    assert set(re.findall(r'(?:password|key|username)"?[:=]+ *"([^"]*)"', secrets)) <= {
        "<prometheus_username>",
        "<prometheus_password>",
        "<a long random text>",
    }


def test_the_metrics_are_not_opened_to_everybody():
    """Usage by user is on them, and the proxy shows the Hub's pages to the world."""
    for files in (MINIMAL, FULL):
        values = merged(files)
        assert "authenticatePrometheus" not in values["hub"]
        assert "authenticate_prometheus" not in values["hub"]["config"].get("JupyterHub", {})


def test_scraping_the_hub_is_valid_configuration(tmp_path):
    values = yaml.safe_load((FOLDER / "prometheus/scrape-hub.yaml").read_text())
    (job,) = yaml.safe_load(values["extraScrapeConfigs"])
    mount = values["server"]["extraSecretMounts"][0]["mountPath"]
    assert job["authorization"]["credentials_file"] == f"{mount}/token"
    (tmp_path / "token").write_text("t")
    job["authorization"]["credentials_file"] = str(tmp_path / "token")
    config = {"scrape_configs": [job], "rule_files": [str(ALERTS)]}
    done = promtool("check", "config", written(tmp_path / "prometheus.yml", config))
    assert done.returncode == 0, done.stderr


def test_the_service_monitor_finds_the_token_and_the_port():
    monitor = yaml.safe_load((FOLDER / "prometheus/hub-servicemonitor.yaml").read_text())
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["authorization"]["credentials"] == {
        "name": "hub",
        "key": "hub.services.prometheus.apiToken",
    }
    hub = merged(FULL)["hub"]
    assert "prometheus" in hub["services"]
    assert hub["loadRoles"]["prometheus"] == {
        "scopes": ["read:metrics"],
        "services": ["prometheus"],
    }


def test_the_annotations_are_those_that_the_source_asks_for():
    values = yaml.safe_load((FOLDER / "kube-state-metrics.yaml").read_text())
    (allowed,) = values["metricAnnotationsAllowList"]
    names = re.fullmatch(r"pods=\[(.*)\]", allowed)[1].split(",")
    as_labels = {"annotation_" + re.sub(r"\W", "_", name) for name in names}
    assert as_labels == {
        conventions.KSM_USERNAME_LABEL,
        conventions.KSM_SERVERNAME_LABEL,
        conventions.KSM_PROFILE_LABEL,
        conventions.KSM_PROFILE_NAME_LABEL,
    }


def test_a_linter_finds_nothing_in_the_dockerfile():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "hadolint"), str(FOLDER / "image/Dockerfile")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_this_version_on_the_tag_of_the_values():
    requirements = (FOLDER / "image/requirements.txt").read_text()
    (wheel,) = re.findall(
        r"^jupyterhub-usage-quotas\[service\] @ file:///tmp/usage-quotas/(\S+)$", requirements, re.M
    )
    # Never by the name alone, which is another package's on the index.
    assert wheel == f"jupyterhub_usage_quotas-{__version__}-py3-none-any.whl"
    (tag,) = re.findall(r"^ARG K8S_HUB_TAG=(\S+)$", (FOLDER / "image/Dockerfile").read_text(), re.M)
    for files in (MINIMAL, FULL):
        assert merged(files)["hub"]["image"]["tag"] == tag
