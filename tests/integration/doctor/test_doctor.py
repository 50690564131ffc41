"""`doctor` against set-ups that are broken in one way each: it names that cause and a cure, and no
other. Every one is a real configuration file, a real Prometheus and a real database of a Hub.
"""

from __future__ import annotations

import json
import os
import pty
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jupyterhub
import pytest
from jupyterhub import orm
from kubernetes_asyncio.config import kube_config
from kubespawner import clients
from traitlets.config import Config

from jupyterhub_usage_quotas import __version__
from jupyterhub_usage_quotas import commands as cli
from jupyterhub_usage_quotas.config.files.loading import load_config
from jupyterhub_usage_quotas.doctor.deployment import Deployment
from jupyterhub_usage_quotas.doctor.examine import CHECKS, examine
from jupyterhub_usage_quotas.doctor.findings import Finding, Status
from jupyterhub_usage_quotas.hub.launch.enforcement import UsageQuotaManager
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from jupyterhub_usage_quotas.quotas.adjustments import Adjustments, Grant
from tests.support import homes
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.faulty_proxy import Answer, faulty_proxy
from tests.support.programs import Span, free_port
from tests.support.recorded import NOW

DAY = 24 * HOUR
BEGIN = NOW - 8 * DAY
# Into the future, because the command looks at the clock, and tests before this one take a while.
END = NOW + 4 * HOUR

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

c = get_config()
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
setup_usage_quotas(c)
c.JupyterHub.db_url = "sqlite:///{database}"
c.JupyterHub.hub_port = {nobody}
c.UsageConfig.prometheus_url = "{url}"
c.UsageConfig.hub_namespace = "hub-ns"
c.UsageQuotaManager.policy = [
    {{"name": "week", "resource": "memory", "limit": "100 GiB-hours", "window": 7,
      "scope": {{"group": ["students"]}}}},
]
"""


@dataclass(frozen=True)
class Found:
    """What the command said."""

    exit_code: int
    findings: list[dict[str, Any]]

    @property
    def wrong(self) -> dict[str, list[str]]:
        """What is not well, by check: the status and what is said."""
        found: dict[str, list[str]] = {}
        for one in self.findings:
            if one["status"] in ("failed", "warning"):
                found.setdefault(one["check"], []).append(f"{one['status']}: {one['says']}")
        return found

    def finding(self, check: str) -> dict[str, Any]:
        """The only one of a check."""
        (one,) = (one for one in self.findings if one["check"] == check)
        return one


def cluster(**more: Any) -> Iterator[Span]:
    """A cluster with the Hub's pod, one user, and the Hub's metrics."""
    yield from hub_pod(BEGIN, END)
    yield from pod(**more).spans
    yield scraped_hub()


def scraped_hub() -> Span:
    return Span("jupyterhub_usage_quotas_refreshes_total", {"outcome": "success"}, BEGIN, END)


def pod(**more: Any) -> Pod:
    return replace(Pod("alice", BEGIN, END, "jupyter-alice", "a", memory=GIB), **more)


@pytest.fixture(scope="module")
def healthy(serve_history) -> str:
    return serve_history(cluster())


@pytest.fixture
def database(tmp_path) -> Callable[..., Path]:
    """A function that makes the database of a Hub with these users, and groups with members."""

    def make(users: Iterable[str] = ("alice",), **groups: Iterable[str]) -> Path:
        path = tmp_path / "jupyterhub.sqlite"
        path.unlink(missing_ok=True)
        session = orm.new_session_factory(f"sqlite:///{path}")()
        by_name = {name: orm.User(name=name) for name in users}
        session.add_all(by_name.values())
        for group, members in (groups or {"students": users}).items():
            session.add(orm.Group(name=group, users=[by_name[one] for one in members]))
        session.commit()
        session.close()
        return path

    return make


@pytest.fixture
def doctor(tmp_path, database, healthy, capsys) -> Callable[..., Found]:
    """A function that runs the command on a configuration with these lines at its end."""

    def run(more: str = "", *, url: str = healthy, db: Path | None = None) -> Found:
        path = tmp_path / "jupyterhub_config.py"
        there = db or database()
        text = CONFIG.format(url=url, database=there, nobody=free_port())
        path.write_text(f"{text}\n{more}\n")
        code = cli.main(["doctor", "--config", str(path), "--json"])
        said = json.loads(capsys.readouterr().out)
        assert said["ok"] is (code == 0)
        return Found(code, said["findings"])

    return run


def only(found: Found, check: str, *words: str, status: str = "failed") -> dict[str, Any]:
    """The one thing that is wrong, which says all of these words, and what to do about it."""
    assert set(found.wrong) == {check}, found.wrong
    (one,) = (
        one
        for one in found.findings
        if one["check"] == check and one["status"] in ("failed", "warning")
    )
    assert one["status"] == status
    said = f"{one['says']} {one['cure']}"
    assert not [word for word in words if word not in said], said
    assert found.exit_code == (1 if status == "failed" else 0)
    assert one["cure"]
    assert one["page"] == f"docs/how-to/troubleshooting.md#{check}"
    assert one["url"] is None
    return one


# --- nothing is wrong ----------------------------------------------------------------------------


def test_a_healthy_set_up(doctor):
    found = doctor()
    assert (found.exit_code, found.wrong) == (0, {})
    assert {one["check"] for one in found.findings} == {check.name for check in CHECKS}
    skipped = [one["check"] for one in found.findings if one["status"] == "skipped"]
    assert skipped == ["session-log", "network"], "there is no ledger, and no Hub runs here"
    said = {one["check"]: one["says"] for one in found.findings}
    assert "2.42" in said["prometheus"]
    assert "the longest window is 7 days" in said["configuration"]
    assert "every 1 minute" in said["scrape-interval"]
    assert "1 user" in said["users"]


def test_it_changes_nothing(doctor, database):
    there = database()
    before = there.read_bytes()
    doctor(db=there)
    assert there.read_bytes() == before
    assert [path.name for path in there.parent.iterdir() if path.suffix == ".sqlite"] == [
        there.name
    ]


# --- the configuration ---------------------------------------------------------------------------


def test_a_configuration_with_faults_has_a_finding_for_each(doctor):
    found = doctor(
        "c.UsageConfig.prometheus_ulr = 'http://x'\n"
        "c.UsageQuotaManager.policy = [{'resource': 'memroy', 'limit': 1, 'window': 7}]"
    )
    assert found.exit_code == 1
    assert {one["check"] for one in found.findings} == {"configuration"}
    said = " ".join(one["says"] for one in found.findings)
    assert "did you mean prometheus_url?" in said
    assert "memroy" in said


@pytest.mark.parametrize(
    ("line", "says"), [("1 / 0", "ZeroDivisionError"), ("c.JupyterHub.x = (", "SyntaxError")]
)
def test_a_configuration_that_cannot_be_run(doctor, line, says):
    only(doctor(line), "configuration", says)


def test_a_configuration_that_is_not_there(capsys):
    assert cli.main(["doctor", "--config", "/nowhere/jupyterhub_config.py"]) == 1
    assert "/nowhere/jupyterhub_config.py" in capsys.readouterr().out


def test_the_older_package_beside_this_one(doctor, tmp_path, monkeypatch):
    info = tmp_path / "others/jupyterhub_usage_quotas-0.2.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: jupyterhub-usage-quotas\nVersion: 0.2.1\n")
    monkeypatch.syspath_prepend(info.parent)
    found = doctor()
    words = ("0.2.1", str(info.parent), __version__, "other authors", "pip uninstall")
    only(found, "distribution", *words, status="warning")


def test_which_distribution_is_imported(doctor):
    says = doctor().finding("distribution")["says"]
    assert says.startswith(f"jupyterhub-usage-quotas {__version__}, imported from /")


def test_where_the_documentation_is_served(doctor):
    found = doctor("c.UsageConfig.documentation_url = 'https://docs.example.org/q'")
    one = found.finding("clock")
    assert one["url"] == "https://docs.example.org/q/how-to/troubleshooting.html#clock"
    assert one["page"] == "docs/how-to/troubleshooting.md#clock"


def test_no_policy(doctor):
    only(doctor("c.UsageQuotaManager.policy = []"), "configuration", "nobody is limited")


def test_older_spellings_are_told_and_work(doctor):
    found = doctor("c.UsageConfig.hub_url = 'http://hub'")
    only(found, "configuration", "hub_url", "no longer needed", status="warning")


def test_without_a_namespace(doctor):
    found = doctor("c.UsageConfig.hub_namespace = ''")
    only(found, "configuration", "hub_namespace", status="warning")


def test_not_set_up(doctor):
    found = doctor("del c.Spawner.pre_spawn_hook")
    only(found, "enforced", "setup_usage_quotas(c) is not called")


def test_a_spawner_that_would_not_ask(doctor):
    found = doctor(
        "from jupyterhub.spawner import SimpleLocalProcessSpawner\n"
        "class Own(SimpleLocalProcessSpawner):\n"
        "    def pre_spawn_hook(self, spawner): pass\n"
        "c.JupyterHub.spawner_class = Own"
    )
    only(found, "enforced", "Own", "with a method")


@pytest.mark.parametrize(
    ("version", "status", "says"),
    [
        ((5, 3, 0), "failed", "consecutive_failure_limit"),
        ((5, 5, 4), "ok", "taken off"),
        ((6, 0, 0), "ok", "does not count"),
        ((7, 0, 0), "warning", "newer"),
    ],
)
def test_whether_denials_are_safe(doctor, monkeypatch, version, status, says):
    monkeypatch.setattr(jupyterhub, "version_info", version)
    monkeypatch.setattr(jupyterhub, "__version__", ".".join(map(str, version)))
    found = doctor()
    assert found.finding("denials")["status"] == status
    assert says in found.finding("denials")["says"]
    assert found.exit_code == (status == "failed")


# --- labels --------------------------------------------------------------------------------------


def test_uid_is_dropped(doctor, serve_history):
    without = [
        replace(one, labels={k: v for k, v in one.labels.items() if k != "uid"})
        for one in cluster()
    ]
    found = doctor(url=serve_history(without))
    assert found.exit_code == 1
    said = [one for one in found.findings if "no label uid" in one["says"]]
    assert said
    assert all("keep namespace, pod, uid" in one["cure"] for one in said)
    # Of what the Hub logs, and `check` prints, it is a part.
    assert all("; keep uid where Prometheus scrapes" in one["says"] for one in said)
    assert not [one for one in found.findings if "request_timeout" in (one["cure"] or "")]


# --- servers -------------------------------------------------------------------------------------

PROFILES = """
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.KubeSpawner.profile_list = [
    {"display_name": "Small"},
    {"display_name": "GPU, large", "slug": "gpu-large", "profile_options": {
        "memory": {"display_name": "Memory", "choices": {"mem_488": {
            "display_name": "488", "kubespawner_override": {"mem_guarantee": "488G"}}}}}},
    *MORE,
]
c.UsageQuotaManager.policy = [
    {"name": "large", "resource": "time", "limit": "1 hour", "window": 7,
     "scope": {"everyone": True}, "servers": {"profile": PATTERNS}},
]
"""


def with_profiles(*patterns: str, more: str = "[]") -> str:
    return PROFILES.replace("PATTERNS", str(list(patterns))).replace("MORE", more)


@pytest.mark.parametrize(
    "pattern",
    [
        *("small", "Small", "gpu-large", "GPU*", "*", "*/mem_488"),
        *("gpu-large/mem_488", "gpu-large/memory=mem_488"),
    ],
)
def test_a_policy_selects_profiles_that_there_are(doctor, pattern):
    found = doctor(with_profiles(pattern))
    assert found.finding("profiles")["status"] == "ok"
    assert "2 profiles" in found.finding("profiles")["says"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("gpu-larg", ['Is it "gpu-large"?']),
        ("mem_488", ["choice in a profile", '"gpu-large/mem_488"', '"*/mem_488"']),
        ("gpu-large/mem_48", ['Is it "gpu-large/mem_488"?']),
        ("small/mem_488", ['Is it "gpu-large/mem_488"?']),
        ("nothing like it", ["small", "gpu-large"]),
    ],
)
def test_a_policy_that_selects_nothing(doctor, pattern, words):
    found = doctor(with_profiles("small", pattern))
    only(found, "profiles", f'"{pattern}"', "which does not exist", *words, status="warning")


@pytest.mark.parametrize(
    "override",
    [
        '{"mem_guarantee": "lots"}',
        '{"mem_guarantee": lambda spawner: spawner.user_options["mem"] + "G"}',
        '{"extra_resource_limits": {"nvidia.com/gpu": "many"}}',
    ],
)
def test_a_profile_that_cannot_be_read(doctor, override):
    broken = f'[{{"display_name": "Odd", "kubespawner_override": {override}}}]'
    found = doctor(with_profiles("small", more=broken))
    only(found, "profiles", '"Odd"', "cannot be read", status="warning")


def test_profiles_of_a_user(doctor):
    of_user = "c.KubeSpawner.profile_list = lambda spawner: [{'slug': spawner.user.name.upper()}]"
    finding = doctor(with_profiles("small") + of_user).finding("profiles")
    assert (finding["status"], "of each user" in finding["says"]) == ("skipped", True)


OF_BUDGETS = with_profiles("small") + "c.UsageQuotaManager.weekly_budgets = BUDGETS\n"


def test_profiles_of_weekly_budgets(doctor):
    assert doctor(OF_BUDGETS.replace("BUDGETS", "True")).finding("profiles")["status"] == "ok"
    tiers = {"tiers": [{"tier": "gpu", "profile": ["gpu-larg"]}]}
    # Once, although each role has it, and the other tier has it as an exception.
    only(
        doctor(OF_BUDGETS.replace("BUDGETS", str(tiers))),
        "profiles",
        'policy "gpu-admin-week" selects servers of a profile "gpu-larg"',
        'Is it "gpu-large"?',
        status="warning",
    )


def test_a_policy_that_excepts_nothing(doctor):
    lines = with_profiles("small") + (
        "c.UsageQuotaManager.policy[0]['servers']['except_profile'] = ['gpu-larg']\n"
    )
    says = 'policy "large" excepts servers of a profile "gpu-larg"'
    only(doctor(lines), "profiles", says, "excepts nothing", status="warning")


def test_groups_of_weekly_budgets(doctor):
    assert doctor(OF_BUDGETS.replace("BUDGETS", "True")).finding("groups")["status"] == "ok"
    roles = {"roles": [{"role": "collab", "group": ["collaborative"]}]}
    found = doctor(OF_BUDGETS.replace("BUDGETS", str(roles)))
    said = [one["says"] for one in found.findings if one["check"] == "groups"]
    assert any('"gpu-collab-week" names the group "collaborative"' in one for one in said), said


def test_a_spawner_without_profiles(doctor):
    lines = with_profiles("small").replace("kubespawner.KubeSpawner", "simple")
    only(doctor(lines), "profiles", "profile_of_server", "SimpleLocalProcessSpawner")


def test_profiles_where_kubernetes_is_not_configured(doctor, monkeypatch, tmp_path, caplog):
    clients.load_config.cache_clear()  # as in a process of its own
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    finding = doctor(with_profiles("small")).finding("profiles")
    assert (finding["status"], "where the Hub runs" in finding["says"]) == ("skipped", True)
    assert "Config not found" not in caplog.text


def requested(**amounts: float) -> Iterator[Span]:
    """Of the pod of a user, and, of a pod without one, something else."""
    labels = {"namespace": NAMESPACE, "container": "notebook", "node": "n1", "unit": "integer"}
    labels |= {"instance": "ksm-0", "job": "kube-state-metrics"}
    for name, amount in amounts.items():
        asked = {"pod": "jupyter-alice", "uid": "a", "resource": name}
        yield Span("kube_pod_container_resource_requests", labels | asked, BEGIN, END, amount)
    other = {"pod": "other", "uid": "o", "resource": "example_com_other"}
    yield Span("kube_pod_container_resource_requests", labels | other, BEGIN, END, 1)


def test_no_device_was_requested(doctor):
    assert doctor().finding("devices")["says"] == "no server requested a device in the last day"


def test_devices_and_what_they_count_as(doctor, serve_history):
    devices = {
        "nvidia_com_gpu_shared": 1,
        "gpu_intel_com_memory_max": 4e9,
        "vendor_example_com_gpu": 2,
        "hugepages_2Mi": 1,
        "ephemeral_storage": 1,
        "attachable_volumes_csi_example_com": 1,
    }
    found = doctor(url=serve_history([*cluster(), *requested(**devices)]))
    one = only(
        found, "devices", "gpu_intel_com_memory_max", "vendor_example_com_gpu", status="warning"
    )
    assert "gpu_resources" in one["cure"]
    said = [one["says"] for one in found.findings if one["check"] == "devices"]
    assert said[0] == 'servers requested "nvidia_com_gpu_shared", counted as GPU'
    assert not [line for line in said for name in ("hugepages", "other", "storage") if name in line]


# --- Prometheus ----------------------------------------------------------------------------------


def not_looked_at(found: Found) -> set[str]:
    return {one["check"] for one in found.findings if one["status"] == "skipped"}


def test_nothing_listens(doctor):
    url = f"http://127.0.0.1:{free_port()}"
    found = doctor(url=url)
    only(found, "prometheus", url, "ConnectError", "NetworkPolicy")
    needing = {check.name for check in CHECKS if "prometheus" in check.needs}
    assert needing <= not_looked_at(found)
    assert found.finding("groups")["status"] == "ok", "what can be checked is"


def with_answers(answer: Answer) -> Callable[[Any], Any]:
    return lambda _asked: lambda _one: answer


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(b"go away", 401, "text/plain"), "prometheus_auth"),
        (Answer(b"no org id", 403, "text/plain"), "tenant"),
        (Answer(b"<html>", 200, "text/html"), "not an answer of the Prometheus API"),
        (Answer(b"404 page not found", 404, "text/plain"), "path prefix"),
        (Answer(b"no healthy upstream", 503, "text/plain"), "gateway"),
    ],
    ids=["401", "403", "html", "404", "503"],
)
def test_something_else_answers(doctor, healthy, answer, says):
    with faulty_proxy(healthy) as proxy:
        proxy.plan = with_answers(answer)
        only(doctor(url=proxy.url), "prometheus", says)


def test_a_password_is_in_no_finding(doctor):
    found = doctor(url=f"http://hub:hunter2@127.0.0.1:{free_port()}")
    assert "hunter2" not in json.dumps(found.findings)


@pytest.mark.parametrize(
    ("minutes", "status", "says"),
    [(-5, "failed", "5 minutes ahead of"), (5, "failed", "5 minutes behind"), (0, "ok", "agree")],
)
async def test_clocks(tmp_path, database, healthy, minutes, status, says):
    path = tmp_path / "jupyterhub_config.py"
    path.write_text(CONFIG.format(url=healthy, database=database(), nobody=free_port()))
    config, _ = load_config(path)
    ours = lambda: datetime.now(UTC) + timedelta(minutes=minutes)  # noqa: E731
    deployment = Deployment(config, UsageQuotaManager(config=config), clock=ours)
    found = [finding async for name, finding in examine(deployment) if name == "clock"]
    await deployment.aclose()
    assert [(one.status, says in one.says) for one in found] == [(status, True)]


MONTH = "c.UsageQuotaManager.policy[0]['window'] = 30"


def test_retention_that_is_shorter_than_the_window(doctor, serve_history):
    found = doctor(MONTH, url=serve_history(cluster(), retention="15d"))
    only(found, "retention", "keeps 15 days", "30 days", "--storage.tsdb.retention.time=30d")


def test_a_history_that_is_young(doctor, healthy):
    said = doctor(MONTH).finding("retention")
    assert (said["status"], "8 days old" in said["says"]) == ("ok", True), said
    # Who does not tell how much is kept may keep too little: the proxy has no such pages.
    with faulty_proxy(healthy) as proxy:
        only(doctor(MONTH, url=proxy.url), "retention", "8 days old", "30", status="warning")


def test_limits_that_make_reading_slow(doctor, serve_history):
    url = serve_history(cluster(), flags=["--query.max-samples=1500"])
    only(doctor(url=url), "history", "refused 2 days at once", status="warning")


def test_limits_that_make_reading_impossible(doctor, serve_history):
    # Twenty minutes are more samples than this, and an instant is not.
    spans = [
        *cluster(),
        *(one for n in range(30) for one in pod(uid=f"u{n}", name=f"jupyter-{n}").spans),
    ]
    url = serve_history(spans, flags=["--query.max-samples=600"])
    found = doctor(url=url)
    assert found.exit_code == 1
    assert found.finding("history")["status"] in ("failed", "skipped"), found.wrong
    assert "max-samples" in json.dumps(found.findings) or "too many samples" in str(found.wrong)


# --- the source ----------------------------------------------------------------------------------


def test_no_kube_state_metrics(doctor, serve_history):
    found = doctor(url=serve_history([scraped_hub()]))
    only(found, "source", "kube_pod_status_phase has no series", "Scrape kube-state-metrics")


def without(metric: str, spans: Iterable[Span]) -> list[Span]:
    return [span for span in spans if span.metric != metric]


def test_a_metric_that_is_dropped(doctor, serve_history):
    requests = "kube_pod_container_resource_requests"
    found = doctor(url=serve_history(without(requests, cluster())))
    only(found, "source", f"{requests} has no series", "deny-list", "metric_relabel_configs")


def test_a_kube_state_metrics_that_is_too_old(doctor, serve_history):
    old = "kube_pod_container_resource_requests_memory_bytes"
    labels = {"namespace": NAMESPACE, "pod": "jupyter-alice", "container": "notebook"}
    requests = "kube_pod_container_resource_requests"
    spans = [*without(requests, cluster()), Span(old, labels, BEGIN, END, float(GIB))]
    one = only(doctor(url=serve_history(spans)), "source", "version 1", "Upgrade")
    assert "deny-list" not in one["cure"]


def test_the_wrong_namespace(doctor):
    found = doctor("c.UsageConfig.hub_namespace = 'hub-sn'")
    only(found, "source", '"hub-sn"', '"hub-ns"', "hub_namespace")


def test_a_source_that_is_down(doctor, serve_history):
    ended = [replace(span, end=NOW - HOUR // 2) for span in cluster() if "kube" in span.metric]
    found = doctor(url=serve_history([*ended, scraped_hub()]))
    only(found, "source", "was last scraped", "minutes ago", "Targets")


def test_annotations_are_not_exported(doctor, serve_history):
    found = doctor(url=serve_history(without("kube_pod_annotations", cluster())))
    only(found, "usernames", "--metric-annotations-allowlist=pods=[hub.jupyter.org/username")


def test_usernames_are_not_exported(doctor, serve_history):
    found = doctor(url=serve_history(cluster(annotated=False)))
    only(found, "usernames", "jupyter-alice", "allowlist")


def test_a_pod_without_a_username(doctor, serve_history):
    old = pod(name="jupyter-old", uid="o", annotated=False)
    found = doctor(url=serve_history([*cluster(), *old.spans]))
    only(found, "usernames", "jupyter-old", "not attributed", status="warning")


def test_nobody_is_there_yet(doctor, serve_history):
    found = doctor(url=serve_history([*hub_pod(BEGIN, END), *somebody_elses(), scraped_hub()]))
    only(found, "usernames", "no user's server ran", status="warning")


def somebody_elses() -> Iterator[Span]:
    """A pod that asks for something, so that the metric is there."""
    yield from pod(name="postgres-0", uid="p", annotated=False, containers=("db",)).spans


def test_two_kube_state_metrics(doctor, serve_history):
    found = doctor(url=serve_history([*cluster(), *pod(instance="ksm-1").spans]))
    only(found, "duplicates", "2 exporters", "Here it counts once", status="warning")


def test_exporters_that_took_turns_are_no_duplicates(doctor, serve_history):
    one = pod(end=NOW - 2 * HOUR)
    other = pod(start=NOW - 2 * HOUR - 60, instance="ksm-1")
    spans = [*hub_pod(BEGIN, END), *one.spans, *other.spans, scraped_hub()]
    assert doctor(url=serve_history(spans)).wrong == {}


def moved(spans: Iterable[Span], names: Mapping[str, str], **own: str) -> Iterator[Span]:
    """Series of kube-state-metrics with their labels renamed, and these of its own."""
    for span in spans:
        if "kube" in span.metric:
            labels = {names.get(name, name): value for name, value in span.labels.items()}
            yield replace(span, labels=labels | own)
        else:
            yield span


@pytest.mark.parametrize(
    "own",
    [
        {"namespace": "monitoring", "pod": "ksm-0"},
        {"namespace": "monitoring"},
        {"pod": "ksm-0", "uid": "ksm-uid", "container": "ksm"},
    ],
    ids="-".join,
)
def test_exported_labels_are_understood(doctor, serve_history, own):
    names = {name: f"exported_{name}" for name in own}
    assert doctor(url=serve_history(moved(cluster(), names, **own))).wrong == {}


@pytest.mark.parametrize(
    ("names", "own"),
    [
        ({"namespace": "kubernetes_namespace"}, {"namespace": "monitoring"}),
        ({"namespace": "kubernetes_namespace", "pod": "kubernetes_pod_name"}, {}),
    ],
)
def test_labels_that_were_renamed_otherwise(doctor, serve_history, names, own):
    found = doctor(url=serve_history(moved(cluster(), names, **own)))
    words = (f'"hub-ns" in the label {names["namespace"]}', "honor_labels: true", "its labels are")
    one = only(found, "source", *words)
    assert "hub_namespace" not in one["cure"]


def test_a_namespace_that_no_label_has(doctor, serve_history):
    found = doctor(url=serve_history(without_labels(cluster(), "namespace")))
    one = only(found, "source", "no label namespace or exported_namespace", "honor_labels: true")
    assert "instance, job, pod, uid" in one["says"]


def without_labels(spans: Iterable[Span], *dropped: str) -> Iterator[Span]:
    for span in spans:
        labels = {name: value for name, value in span.labels.items() if name not in dropped}
        yield replace(span, labels=labels)


def first_version(**more: Any) -> Iterator[Span]:
    """As kube-state-metrics 1.9 exports pods: without annotations and uids, a metric a resource."""
    for span in without_labels(cluster(**more), "uid"):
        if span.metric != "kube_pod_annotations":
            yield span
        if span.metric == "kube_pod_container_resource_requests":
            labels = {name: span.labels[name] for name in ("namespace", "pod", "container", "node")}
            yield replace(span, metric=f"{span.metric}_memory_bytes", labels=labels)


def test_kube_state_metrics_of_version_1(doctor, serve_history):
    found = doctor(url=serve_history(first_version()))
    one = only(found, "source", "version 1", "expected version 2.10", "Upgrade")
    assert "deny-list" not in one["cure"]


def test_kube_state_metrics_of_both_versions(doctor, serve_history):
    both = [*cluster(), *(s for s in first_version() if s.metric.endswith("_bytes"))]
    assert doctor(url=serve_history(both)).wrong == {}


# --- several clusters, and pods that stay --------------------------------------------------------


def in_cluster(spans: Iterable[Span], **labels: str) -> Iterator[Span]:
    for span in spans:
        yield replace(span, labels=span.labels | labels)


def another_hubs(start: int = BEGIN, end: int = END) -> Iterator[Span]:
    """Another Hub's pod, in a namespace of the same name."""
    for span in hub_pod(start, end):
        pod = {"pod": "hub-7d9c6b5f48-abcde", "uid": "hub-uid-2"}
        yield replace(span, labels=span.labels | pod)


@pytest.mark.parametrize("label", ["cluster", "job"])
def test_two_clusters_in_one_store(doctor, serve_history, label):
    spans = [*in_cluster(cluster(), **{label: "a"}), *in_cluster(another_hubs(), **{label: "b"})]
    found = doctor(url=serve_history(spans))
    words = (f'{label}: "a", "b"', "several-clusters.md", "same name")
    only(found, "clusters", *words, status="warning")


def test_two_clusters_one_of_which_has_no_label(doctor, serve_history):
    spans = [*cluster(), *in_cluster(another_hubs(), cluster="b")]
    only(doctor(url=serve_history(spans)), "clusters", 'cluster: "", "b"', status="warning")


def test_two_clusters_with_labels_renamed(doctor, serve_history):
    names = {"namespace": "exported_namespace", "pod": "exported_pod"}
    spans = [*in_cluster(cluster(), cluster="a"), *in_cluster(another_hubs(), cluster="b")]
    own = {"namespace": "monitoring", "pod": "ksm-0"}
    found = doctor(url=serve_history(moved(spans, names, **own)))
    only(found, "clusters", 'cluster: "a", "b"', status="warning")


@pytest.mark.parametrize(
    ("labels", "start"),
    [
        ({"instance": "ksm-1"}, BEGIN),
        ({"cluster": "b"}, NOW - 8 * DAY // 7),
    ],
    ids=["shards of one cluster", "a cluster that took the place of another"],
)
def test_two_hubs_that_are_of_one_cluster(doctor, serve_history, labels, start):
    ends = END if start == BEGIN else start
    first = [*hub_pod(BEGIN, ends), *pod().spans, scraped_hub()]
    other = {name: "" if name == "cluster" else value for name, value in labels.items()}
    spans = [*in_cluster(first, **other), *in_cluster(another_hubs(start), **labels)]
    assert "clusters" not in doctor(url=serve_history(spans)).wrong


def test_two_replicas_of_prometheus_are_one_cluster(doctor, serve_history):
    both = (in_cluster(cluster(), replica=one) for one in ("a", "b"))
    assert "clusters" not in doctor(url=serve_history([*next(both), *next(both)])).wrong


def to_be_deleted(of: Pod, at: int, start: int) -> Span:
    labels = {"namespace": of.namespace, "pod": of.name, "uid": of.uid, "instance": of.instance}
    return Span("kube_pod_deletion_timestamp", labels, start, END, float(at))


def test_pods_whose_node_is_gone(doctor, serve_history):
    gone = pod(username="alice", name="jupyter-alice--x", uid="x")
    deleted = to_be_deleted(gone, NOW - HOUR, NOW - HOUR - 30)
    found = doctor(url=serve_history([*cluster(), *gone.spans, deleted]))
    words = ("jupyter-alice--x", "Running", "node is gone", "deletion timestamp")
    only(found, "stuck-pods", *words, status="warning")


def test_pods_that_are_being_deleted(doctor, serve_history):
    deleted = to_be_deleted(pod(), NOW + HOUR, NOW - 60)
    assert doctor(url=serve_history([*cluster(), deleted])).wrong == {}


def test_an_interval_that_is_configured_wrong(doctor):
    found = doctor("c.UsageConfig.prometheus_scrape_interval = 15")
    only(found, "scrape-interval", "every 1 minute", "15 s", status="warning")


def test_the_hub_is_not_scraped(doctor, serve_history):
    found = doctor(url=serve_history(s for s in cluster() if s.metric != scraped_hub().metric))
    only(found, "hub-metrics", "no alerts", "scrape-hub.yaml", status="warning")


INFO = "jupyterhub_usage_quotas_exporter_info"
SERVERS = "jupyterhub_usage_quotas_server_requests"
FROM_HUB = "c.UsageConfig.usage_source = 'hub'"


def exporting_hub(instance: str = "hub:8081") -> Iterator[Span]:
    labels = {"namespace": NAMESPACE, "instance": instance}
    yield Span(INFO, labels, BEGIN, END)
    server = {"username": "alice", "servername": "", "gpu": "false", "resource": "memory"}
    yield Span(SERVERS, labels | server, BEGIN, END, float(GIB))


def test_usage_from_the_hub(doctor, serve_history):
    found = doctor(FROM_HUB, url=serve_history([*exporting_hub(), scraped_hub()]))
    assert found.wrong == {}


def test_usage_from_a_hub_that_is_not_scraped(doctor):
    only(doctor(FROM_HUB), "source", INFO, "/hub/metrics", "read:metrics")


def test_two_hubs_of_one_namespace(doctor, serve_history):
    both = [*exporting_hub(), *exporting_hub("other:8081"), scraped_hub()]
    found = doctor(FROM_HUB, url=serve_history(both))
    only(found, "duplicates", "2 Hubs", "own c.UsageConfig.hub_namespace")


def test_rules_that_are_not_loaded(doctor):
    found = doctor("c.UsageConfig.usage_source = 'recorded'")
    only(found, "source", "jupyterhub_usage_quotas:source_seen", "recording-rules.yaml")


# --- who -----------------------------------------------------------------------------------------


def test_users_of_another_hub(doctor, database):
    found = doctor(db=database(["bob"]))
    only(found, "users", "alice", "another Hub:", "db_url")


def test_users_whom_the_hub_does_not_know(doctor, database, serve_history):
    gone = pod(username="gone", name="jupyter-gone", uid="g")
    found = doctor(url=serve_history([*cluster(), *gone.spans]))
    only(found, "users", '"gone"', "deleted or renamed", status="warning")


def test_a_group_that_is_not_there(doctor, database):
    found = doctor(db=database(studenst=["alice"]))
    only(found, "groups", '"students"', 'Is it "studenst"?', "covers nobody")


def test_a_group_that_comes_with_its_members(doctor, database):
    found = doctor("c.GenericOAuthenticator.manage_groups = True", db=database(staff=["alice"]))
    only(found, "groups", '"students"', "when its first member logs in", status="warning")


def test_a_group_that_is_declared(doctor, database):
    declared = "c.JupyterHub.load_groups = {'students': {'users': ['alice']}}"
    assert doctor(declared, db=database(staff=["alice"])).wrong == {}


@pytest.mark.parametrize(("glob", "there"), [("stud*", True), ("class-*", False)])
def test_patterns_of_groups(doctor, glob, there):
    scope = f"c.UsageQuotaManager.policy[0]['scope'] = {{'group': [{{'glob': '{glob}'}}]}}"
    found = doctor(scope)
    assert (found.wrong == {}) is there
    if not there:
        only(found, "groups", "a group like", glob)


def test_a_user_who_is_not_there(doctor):
    scope = "c.UsageQuotaManager.policy[0]['scope'] = {'user': ['alcie']}"
    only(doctor(scope), "named-users", '"alcie"', 'Is it "alice"?', status="warning")


def test_without_the_hubs_database(doctor, tmp_path):
    found = doctor(db=tmp_path / "nowhere.sqlite")
    assert (found.exit_code, found.wrong) == (0, {})
    assert {"users", "groups"} <= not_looked_at(found)
    assert not (tmp_path / "nowhere.sqlite").exists()


def test_a_database_that_is_none(doctor, tmp_path):
    path = tmp_path / "broken.sqlite"
    path.write_bytes(b"not a database, and long enough to be looked at as one" * 30)
    found = doctor(db=path)
    assert "DatabaseError" in found.finding("groups")["says"]


def test_names_do_not_steer_the_terminal(tmp_path, database, serve_history, capsys):
    evil = "\x1b[2Jeve\u202e"
    url = serve_history([*cluster(), *pod(username=evil, name="jupyter-eve", uid="e").spans])
    path = tmp_path / "jupyterhub_config.py"
    path.write_text(CONFIG.format(url=url, database=database(), nobody=free_port()))
    cli.main(["doctor", "--config", str(path)])
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "eve" in said


# --- homes ---------------------------------------------------------------------------------------

STORAGE = (
    "c.UsageQuotaManager.policy.append("
    "{'resource': 'storage', 'limit': '10 GiB', 'scope': {'everyone': True}})"
)


def told(directory: str) -> Iterator[Span]:
    yield from homes.told(directory, 1, 10, until=END)


def test_homes_that_nobody_tells_of(doctor):
    only(doctor(STORAGE), "home-storage", "no exporter reports", "jupyterhub-home-nfs")


def test_homes_by_the_other_scheme(doctor, database, serve_history):
    # As facts of KubeSpawner: "-2e" is a dot that is escaped.
    url = serve_history([*cluster(), *told("al-2eice"), *told("b-2eob")])
    there = database(["alice", "al.ice", "b.ob"], students=["alice"])
    safe = doctor("c.UsageConfig.home_storage_directory = 'safe'", url=url, db=there)
    only(safe, "home-storage", "0 of 3 users", "and 2 by 'escape'", "directory = 'escape'")
    escaped = doctor(url=url, db=there)
    assert (escaped.wrong, "2 of 3 users" in escaped.finding("home-storage")["says"]) == ({}, True)


def test_homes_that_are_called_otherwise(doctor, serve_history):
    url = serve_history([*cluster(), *told("home/alice")])
    only(doctor(url=url), "home-storage", "home/alice", "subPath")
    pattern = "c.UsageConfig.home_storage_directory = 'home/{username}'"
    assert doctor(pattern, url=url).wrong == {}


# --- resources of the admin's own ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("promql", "words", "status"),
    [
        ("kube_pod_status_phase", ["have no label username", "sum by (username)"], "failed"),
        ("rate(kube_pod_status_phase)", ["refuses the expression of seats"], "failed"),
        ("seats_in_use", ["had no series in the last day", "no policy limits it"], "warning"),
    ],
)
def test_resources_of_the_admins_own(doctor, promql, words, status):
    defined = {"seats": {"promql": promql, "unit": "seat"}}
    only(doctor(f"c.UsageConfig.resources = {defined}"), "resources", *words, status=status)


# --- the ledger ----------------------------------------------------------------------------------


class Ledger:
    """One that answers, or does not."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault

    async def active(self, subjects: Any, at: datetime) -> Adjustments:
        if self.fault:
            raise self.fault
        return Adjustments()

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize(
    ("ledger", "status", "says"),
    [
        (NO_LEDGER, "ok", "no ledger"),
        (Ledger(), "ok", "can be read"),
        (Ledger(OSError("password=hunter2")), "failed", "OSError"),
    ],
    ids=["none", "one", "a broken one"],
)
async def test_the_ledger(tmp_path, database, healthy, ledger, status, says):
    path = tmp_path / "jupyterhub_config.py"
    path.write_text(CONFIG.format(url=healthy, database=database(), nobody=free_port()))
    manager = UsageQuotaManager(config=load_config(path)[0], ledger=ledger)
    deployment = Deployment(manager.config, manager)
    checks = [check for check in CHECKS if check.name == "ledger"]
    found = [finding async for _, finding in examine(deployment, checks)]
    await deployment.aclose()
    assert [(one.status, says in one.says) for one in found] == [(status, True)]
    assert "hunter2" not in str(found)


async def test_adjustments_of_no_policy_and_policies_without_adjustments(tmp_path, healthy):
    named: dict[str, Any] = {"resource": "time", "limit": "1 hour", "window": 7}
    named |= {"name": "week", "scope": {"everyone": True}}
    config = Config()
    config.UsageConfig.prometheus_url = healthy
    config.UsageQuotaManager.policy = [named, {**named, "name": "pool"}]
    span = {"start": datetime(2026, 1, 1, tzinfo=UTC), "until": datetime(2999, 1, 1, tzinfo=UTC)}
    made = MemoryLedger([Grant(one, **span, amount=9.0) for one in ("week", "gone", "pool")])

    async def examined() -> list[Finding]:
        manager = UsageQuotaManager(config=config, ledger=made)
        deployment = Deployment(config, manager)
        checks = [check for check in CHECKS if check.name == "ledger"]
        found = [finding async for _, finding in examine(deployment, checks)]
        await deployment.aclose()
        return found

    read, lost = await examined()
    assert (read.status, lost.status) == (Status.OK, Status.WARNING)
    assert lost.says.endswith(': "gone"')
    del config.UsageQuotaManager.policy[1]["name"]
    _, lost, unnamed = await examined()
    assert '"gone", "pool"' in lost.says
    assert "without a name" in unnamed.says
    assert '"name": ' in unnamed.cure


# --- the dashboard -------------------------------------------------------------------------------


def test_a_role_that_lacks_scopes(doctor):
    found = doctor(
        "c.JupyterHub.load_roles = [{'name': 'usage-quota-viewer', 'scopes': ['list:users'],"
        " 'services': ['usage-quota']}]"
    )
    only(found, "service", "read:users:groups", "read:users:name")


def test_a_broader_scope_has_the_narrower_ones(doctor):
    found = doctor(
        "c.JupyterHub.load_roles = [{'name': 'usage-quota-viewer', 'scopes': ['admin:users'],"
        " 'services': ['usage-quota']}]"
    )
    assert found.wrong == {}


def test_users_may_not_open_it(doctor):
    found = doctor(
        "c.JupyterHub.services = [{'name': 'usage-quota', 'url': 'http://127.0.0.1:1'}]\n"
        "c.JupyterHub.load_roles = ["
        "{'name': 'user', 'scopes': ['self']},"
        "{'name': 'some', 'scopes': ['access:services!service=usage-quota'], 'groups': ['x']}]"
    )
    only(found, "service", "access:services!service=usage-quota", status="warning")


def test_a_service_without_a_url(doctor):
    found = doctor("c.JupyterHub.services = [{'name': 'usage-quota', 'api_token': 'x' * 20}]")
    only(found, "service", "has no url", "http://hub:9000")


def test_a_proxy_that_is_elsewhere(doctor):
    found = doctor("c.ConfigurableHTTPProxy.should_start = False")
    only(found, "service", "UsageViewer.url", status="warning")


# --- as text -------------------------------------------------------------------------------------


def test_the_text_says_the_same_without_colours(tmp_path, database, healthy, capsys):
    path = tmp_path / "jupyterhub_config.py"
    text = CONFIG.format(url=healthy, database=database(staff=["alice"]), nobody=free_port())
    path.write_text(text)
    assert cli.main(["doctor", "--config", str(path)]) == 1
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert re.search(r"^✗ groups +policy \"week\" names the group \"students\"", said, re.M)
    assert re.search(r"^ +→ Nobody is in it", said, re.M)
    assert re.search(r"^ +docs/how-to/troubleshooting\.md#groups$", said, re.M)
    assert re.search(r"^✓ prometheus ", said, re.M)
    assert re.search(r"^- network ", said, re.M)
    assert re.search(r"^- session-log ", said, re.M)
    assert said.endswith("1 failure, 2 not checked.\n")
    assert max(len(line) for line in said.splitlines()) <= 110


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_on_a_terminal(tmp_path, more, coloured):
    ours, theirs = pty.openpty()
    command = [Path(sys.executable).with_name("jupyterhub-usage-quotas"), "doctor", "--config"]
    done = subprocess.run(
        [*command, tmp_path / "nowhere.py"], stdout=theirs, check=False, env=os.environ | more
    )
    os.close(theirs)
    said = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 1
    assert said.startswith("\x1b[31m✗ configuration    \x1b[0m") is coloured
    assert ("\x1b" in said) is coloured


def test_one_check_that_breaks_does_not_hide_the_others(doctor, database):
    there = database()
    with sqlite3.connect(there) as connection:
        connection.execute("DROP TABLE users")
    found = doctor(db=there)
    assert found.finding("prometheus")["status"] == "ok"
    assert "OperationalError" in found.finding("groups")["says"]
