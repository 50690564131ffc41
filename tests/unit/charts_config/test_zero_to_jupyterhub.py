"""Values for Zero to JupyterHub with the real Helm: its chart accepts them, and passes them on."""

from __future__ import annotations

import base64
import re
from copy import deepcopy
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from tests.support.chart import FOLDER, FULL, MINIMAL, merged
from tests.support.documentation import named
from tests.support.helm import (
    Chart,
    accepted,
    charts,
    containers,
    facts,
    lint,
    newest,
    rendered,
    template,
    the,
)
from tests.support.network_policies import Pod, pod_of, reaches
from tests.support.paths import ROOT
from tests.support.rules import written

INSTALL = ROOT / "docs/how-to/install.md"
TUTORIAL = ROOT / "docs/tutorials/zero-to-jupyterhub.md"
STEPS = ("quotas.yaml", "limits.yaml", "dashboard.yaml")
MONITOR = FOLDER / "prometheus/hub-servicemonitor.yaml"
DASHBOARD = 9000
HUB = 8081

HUBS = [pytest.param(one, id=str(one)) for one in charts("jupyterhub")]
NEWEST_HUBS = [pytest.param(one, id=str(one)) for one in newest("jupyterhub")]


def steps(folder: Path) -> tuple[Path, ...]:
    """The files of the tutorial, with which its last step calls Helm."""
    for name in STEPS:
        (folder / name).write_text(named(TUTORIAL, name))
    return tuple(folder / name for name in STEPS)


def decoded(secret: dict[str, Any], key: str) -> str:
    """A value of a Secret, whichever way it was written."""
    if key in secret.get("stringData", {}):
        return secret["stringData"][key]
    return base64.b64decode(secret["data"][key]).decode()


# --- Zero to JupyterHub -------------------------------------------------------------------------


@pytest.mark.parametrize("chart", HUBS)
@pytest.mark.parametrize("files", [MINIMAL, FULL], ids=["minimal", "full"])
def test_the_chart_of_the_hub_passes_on_what_values_say(chart, files):
    accepted(chart, files)
    given, documents = merged(files)["hub"], rendered(chart, files)
    secret = the(documents, "Secret", "hub")
    received = yaml.safe_load(decoded(secret, "values.yaml"))["hub"]
    for section, options in given["config"].items():
        assert received["config"][section] == options
    assert received["extraConfig"] == given["extraConfig"]
    assert "setup_usage_quotas(c)" in received["extraConfig"]["usage-quotas"]
    for key in ("loadRoles", "services"):
        assert received[key] == given.get(key, {})
    for service in given.get("services", {}):
        assert decoded(secret, f"hub.services.{service}.apiToken")
    (hub,) = containers(documents, "hub")
    assert hub["image"] == f"{given['image']['name']}:{given['image']['tag']}"
    # Without it the namespace of pods that count is not known.
    assert "POD_NAMESPACE" in {one["name"] for one in hub["env"]}


@pytest.mark.parametrize("chart", HUBS)
def test_the_files_of_the_configuration_are_where_the_hub_and_the_dashboard_look(chart):
    documents, given = rendered(chart, FULL), merged(FULL)["hub"]
    secret = the(documents, "Secret", "hub")
    (hub,) = containers(documents, "hub")
    mounted = {one["mountPath"]: one.get("subPath") for one in hub["volumeMounts"]}
    files = given["extraFiles"].values()
    assert len(files) == 2
    for file in files:
        assert decoded(secret, mounted[file["mountPath"]]).strip() == file["stringData"].strip()
        assert PurePosixPath(file["mountPath"]).parent.name == "jupyterhub_config.d"
    read = [
        one.partition("=")[2]
        for one in given["services"]["usage-quota"]["command"]
        if one.startswith("--config-files=")
    ]
    assert sorted(read) == sorted(file["mountPath"] for file in files)


@pytest.mark.parametrize("chart", HUBS)
def test_the_service_of_the_hub_is_what_the_dashboard_and_the_monitor_need(chart):
    service = the(rendered(chart, FULL), "Service", "hub")
    ports = {one["name"]: one for one in service["spec"]["ports"]}
    assert (ports["usage-quota"]["port"], ports["usage-quota"]["targetPort"]) == (9000, 9000)
    # What values do not say stays.
    assert ports["hub"]["port"] == HUB
    assert service["metadata"]["annotations"]["prometheus.io/scrape"] == "false"
    monitor = yaml.safe_load(MONITOR.read_text())["spec"]
    assert monitor["endpoints"][0]["port"] in ports
    selected = monitor["selector"]["matchLabels"]
    assert selected.items() <= service["metadata"]["labels"].items()


@pytest.mark.parametrize("chart", NEWEST_HUBS)
def test_the_chart_accepts_the_tutorials_files(chart, tmp_path):
    files = steps(tmp_path)
    accepted(chart, files)
    documents = rendered(chart, files)
    received = yaml.safe_load(decoded(the(documents, "Secret", "hub"), "values.yaml"))
    (policy,) = received["hub"]["config"]["UsageQuotaManager"]["policy"]
    assert policy["limit"] == "500 GiB-hours"
    hub, proxy = pod_of(documents, "hub"), pod_of(documents, "proxy")
    assert reaches(documents, proxy, hub, DASHBOARD)
    assert reaches(documents, hub, hub, HUB)


# --- who reaches whom ---------------------------------------------------------------------------

NO_PRIVATE_ADDRESSES = (
    "--set=hub.networkPolicy.egressAllowRules.privateIPs=false",
    "--set=proxy.chp.networkPolicy.egressAllowRules.privateIPs=false",
)
"""What a cautious admin sets, and what Cilium makes of the chart's own rules."""
USER = Pod({"app": "jupyterhub", "component": "singleuser-server"})


def monitoring() -> Pod:
    """Prometheus, from its chart."""
    (chart, *_) = newest("prometheus")
    return pod_of(rendered(chart, (), "prometheus"), "prometheus-server", "monitoring")


@pytest.mark.parametrize("chart", HUBS)
@pytest.mark.parametrize("more", [(), NO_PRIVATE_ADDRESSES], ids=["default", "no private IPs"])
def test_the_dashboard_and_prometheus_are_reached(chart, more):
    documents = rendered(chart, FULL, "jhub", *more)
    hub, proxy = pod_of(documents, "hub"), pod_of(documents, "proxy")
    assert reaches(documents, proxy, hub, DASHBOARD)
    assert reaches(documents, hub, hub, DASHBOARD), "the Hub checks that it is up"
    assert reaches(documents, hub, hub, HUB), "the dashboard asks the Hub's API"
    assert reaches(documents, hub, monitoring(), 9090)
    assert reaches(documents, monitoring(), hub, HUB), "metrics are scraped"
    # And no more than that.
    elsewhere = Pod(monitoring().labels, "default")
    for stranger in (USER, elsewhere, Pod({"app.kubernetes.io/name": "grafana"}, "monitoring")):
        assert not reaches(documents, stranger, hub, DASHBOARD)
        assert not reaches(documents, stranger, hub, HUB)


@pytest.mark.parametrize("chart", NEWEST_HUBS)
def test_without_these_values_they_would_not_be(chart):
    documents = rendered(chart, MINIMAL)
    hub, proxy = pod_of(documents, "hub"), pod_of(documents, "proxy")
    assert reaches(documents, proxy, hub, HUB)
    assert reaches(documents, hub, monitoring(), 9090), "minimal.yaml says that it needs no rule"
    assert not reaches(documents, proxy, hub, DASHBOARD)
    assert not reaches(documents, monitoring(), hub, HUB)
    cautious = rendered(chart, MINIMAL, "jhub", *NO_PRIVATE_ADDRESSES)
    assert not reaches(cautious, hub, monitoring(), 9090)


def test_the_rules_need_labels_that_pods_carry_since_chart_4_1():
    """What docs/how-to/install.md says of chart 4.0."""
    documents = rendered(Chart("jupyterhub", "4.0.0"), FULL)
    hub = pod_of(documents, "hub")
    assert not reaches(documents, hub, hub, HUB)
    later = rendered(Chart("jupyterhub", "4.2.0"), FULL)
    assert reaches(later, pod_of(later, "hub"), pod_of(later, "hub"), HUB)


# --- what the chart refuses ---------------------------------------------------------------------

FILE = {"mountPath": "/srv/a.py", "stringData": "c = 1"}
REFUSED: dict[str, tuple[str, Any]] = {
    "extraConfig": ("hub/extraConfigs", {"quotas": "pass"}),
    "ingress": ("hub/networkPolicy/ingres", []),
    "extraPorts": ("hub/service/extraPort", []),
    "guarantee": ("singleuser/cpu/guarantees", 1),
    "chp": ("proxy/networkPolicy", {}),
    "a class that is none": ("hub/config/usageConfig", {}),
    "a class without options": ("hub/config/UsageConfig", "http://prometheus"),
    "a file without a path": ("hub/extraFiles/a", {"stringData": "c = 1"}),
    "a file with two contents": ("hub/extraFiles/a", {**FILE, "data": {}}),
    "stringData": ("hub/extraFiles/a", {"mountPath": "/srv/a.py", "stringdata": "c = 1"}),
    "an annotation that is no text": ("hub/service/annotations/prometheus.io|scrape", False),
    "a number that is a text": ("singleuser/cpu/guarantee", "0.5"),
    "a list that is a mapping": ("hub/service/extraPorts", {"name": "usage-quota"}),
    "a tag that is a number": ("hub/image/tag", 4.4),
}
"""By what is wrong, where, and the value there."""


def with_a_mistake(values: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The values with another one at a path."""
    made = deepcopy(values)
    *above, last = (key.replace("|", "/") for key in path.split("/"))
    place = made
    for key in above:
        place = place.setdefault(key, {})
    place[last] = value
    return made


@pytest.mark.parametrize("chart", NEWEST_HUBS)
@pytest.mark.parametrize("wrong", REFUSED)
def test_the_chart_refuses_a_mistake(chart, wrong, tmp_path):
    path, value = REFUSED[wrong]
    mistaken = written(tmp_path / "values.yaml", with_a_mistake(merged(FULL), path, value))
    done = template(chart, [mistaken])
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
    # Helm names the place, or the object above that has a key too many.
    parts = [key.replace("|", "/") for key in path.split("/")]
    assert any(key in done.stderr for key in parts[-2:]), done.stderr


def test_lint_finds_a_mistake_too(tmp_path):
    (chart, *_) = newest("jupyterhub")
    mistaken = with_a_mistake(merged(FULL), *REFUSED["extraConfig"])
    done = lint(chart, [written(tmp_path / "values.yaml", mistaken)])
    assert done.returncode != 0
    assert "extraConfigs" in done.stdout + done.stderr


def test_a_class_that_is_none_was_accepted_before_chart_4_3(tmp_path):
    mistaken = with_a_mistake(merged(FULL), *REFUSED["a class that is none"])
    file = written(tmp_path / "values.yaml", mistaken)
    assert template(Chart("jupyterhub", "4.2.0"), [file]).returncode == 0


def test_the_versions_that_are_supported_have_a_jupyterhub_that_this_package_needs():
    """By pyproject.toml. No chart here has JupyterHub 6."""
    needed = next(
        one
        for one in (ROOT / "pyproject.toml").read_text().splitlines()
        if one.strip().startswith('"jupyterhub>=')
    )
    least = tuple(int(one) for one in needed.partition(">=")[2].strip('",').split("."))
    for version, known in facts("jupyterhub")["versions"].items():
        has = tuple(int(one) for one in known["app_version"].split("."))
        assert (has >= least) is known.get("supported", True), version


def test_the_documentation_says_which_chart_has_which_jupyterhub():
    rows = re.findall(r"^\| (4\.\d) \| ([\d.]+) \| (.*) \|$", INSTALL.read_text(), re.M)
    said = {chart: (jupyterhub, remark) for chart, jupyterhub, remark in rows}
    for version, known in facts("jupyterhub")["versions"].items():
        jupyterhub, remark = said[version.rpartition(".")[0]]
        assert known["app_version"].startswith(jupyterhub), version
        assert (remark == "works as it is") is known.get("supported", True), version
