"""What the viewer is configured with, from the Hub and from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyterhub_usage_quotas.config.files.loading import handed_over
from jupyterhub_usage_quotas.conventions import ENV_HANDED_OVER, VIEWER_SERVICE
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.services.viewer.app import main
from jupyterhub_usage_quotas.services.viewer.configuration import read_configuration
from jupyterhub_usage_quotas.services.web.environment import ServiceEnvironment
from tests.support.paths import ROOT

POLICY = {"resource": "cpu", "limit": "5 CPU-hours", "window": 7, "scope": {"everyone": True}}
SECRET = "of 28 characters, none alike"
QUICKSTART = ROOT / "tests/data/quickstart/jupyterhub_config.d"


def environment(**sections) -> dict[str, str]:
    return {f"{ENV_HANDED_OVER}_0": json.dumps(sections)}


def file(directory: Path, text: str, name: str = "config.py") -> Path:
    path = directory / name
    path.write_text(text)
    return path


def test_what_the_hub_handed_over():
    handed = environment(
        UsageConfig={"prometheus_url": "http://handed:9090", "hub_namespace": "ns"},
        UsageQuotaManager={"policy": [POLICY], "failover_open": False},
        UsageViewer={"session_secret_key": SECRET},
    )
    configured = read_configuration(handed, [])
    assert configured.viewer.prometheus_url == "http://handed:9090"
    assert configured.viewer.session_secret == SECRET
    assert len(list(configured.manager.policies)) == 1
    assert configured.manager.failover_open is False
    assert configured.remarks == ()


def test_costs_that_are_kept_where_the_dashboard_does_not_know_are_not_shown():
    handed = environment(
        UsageConfig={"hub_namespace": "ns", "usage_source": "sessions"},
        UsageViewer={"session_secret_key": SECRET, "ledger_url": "sqlite:////tmp/of-the-dashboard"},
        CostMonitor={"enabled": True, "sources": ["prices"], "prices": {"cpu": 1.0}},
    )
    configured = read_configuration(handed, [])
    assert configured.costs is None
    (line,) = [one for one in configured.remarks if "What it cost is not shown" in one]
    assert "c.UsageConfig.ledger_url" in line


def test_costs_are_shown_from_where_they_are_kept():
    handed = environment(
        UsageConfig={
            "hub_namespace": "ns",
            "usage_source": "sessions",
            "ledger_url": "sqlite:////tmp/of-the-hub",
        },
        UsageViewer={"session_secret_key": SECRET},
        CostMonitor={"enabled": True, "sources": ["prices"], "prices": {"cpu": 1.0}},
    )
    configured = read_configuration(handed, [])
    assert configured.costs is not None
    assert configured.costs.ledger_url == "sqlite:////tmp/of-the-hub"


def test_in_several_parts():
    text = json.dumps({"UsageConfig": {"hub_namespace": "x" * 100}})
    parts = {f"{ENV_HANDED_OVER}_{number}": text[number * 9 :][:9] for number in range(20)}
    assert handed_over(parts).UsageConfig.hub_namespace == "x" * 100


def test_files_count_more_and_the_last_one_most(tmp_path):
    handed = environment(
        UsageConfig={"prometheus_url": "http://handed:9090", "hub_namespace": "handed"},
        UsageQuotaManager={"policy": [POLICY]},
    )
    key = "c.UsageViewer.session_secret_key ="
    first = f"c.UsageConfig.hub_namespace = 'first'\n{key} 'of the first file 1'\n"
    second = f"c = get_config()\n{key} 'of the second file 2'\nc.Other.x = 1\n"
    files = [file(tmp_path, first, "1.py"), file(tmp_path, second, "2.py")]
    configured = read_configuration(handed, files)
    assert configured.viewer.prometheus_url == "http://handed:9090"
    assert configured.viewer.hub_namespace == "first"
    assert configured.viewer.session_secret == "of the second file 2"


def test_the_viewers_own_section_counts_more_than_the_common_one():
    handed = environment(
        UsageConfig={"prometheus_url": "http://common:9090"},
        UsageViewer={"prometheus_url": "http://own:9090"},
    )
    assert read_configuration(handed, []).viewer.prometheus_url == "http://own:9090"


def test_the_files_of_the_quickstart_as_they_are_written(tmp_path):
    """With colons, with a comma too many, and with places to be filled in."""
    for source in QUICKSTART.iterdir():
        if source.suffix == ".py":
            file(tmp_path, source.read_text(), source.name)
    config = tmp_path / "jupyterhub_usage_quota_config.py"
    secret = tmp_path / "jupyterhub_usage_quota_config_secret.py"
    handed = environment(UsageQuotaManager={"policy": [POLICY]})
    configured = read_configuration(handed, [config, secret])
    assert configured.viewer.hub_namespace == "<k8s-hub-namespace>"
    assert configured.viewer.prometheus_auth["username"] == "<prometheus_username>"
    assert configured.viewer.session_secret == "<use-a-secure-key-in-production>"
    assert len(configured.remarks) == 3
    assert all("is a type annotation in Python" in line for line in configured.remarks)
    assert not any("secure-key" in line for line in configured.remarks)


def test_the_other_spelling_of_the_session_secret(tmp_path):
    path = file(tmp_path, f"c.UsageViewer.secret_session_key = {SECRET!r}")
    configured = read_configuration(environment(UsageQuotaManager={"policy": [POLICY]}), [path])
    assert configured.viewer.session_secret == SECRET
    assert configured.remarks == (
        "UsageViewer.secret_session_key is taken as session_secret_key, its current name",
    )


def test_the_session_secret_from_the_environment(monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_USAGE_QUOTAS_SESSION_SECRET_KEY", SECRET)
    assert read_configuration({}, []).viewer.session_secret == SECRET


def test_without_policies_somebody_is_told():
    (line,) = read_configuration({}, []).remarks
    assert line.startswith("There are no policies.")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("c.UsageViewer.sesion_secret_key = 1", "did you mean session_secret_key?"),
        ("c.UsageViewer.policy = []", "UsageViewer.policy: unknown option"),
        ("c.UsageViewer.session_secret_key = 1", "UsageViewer.session_secret_key:"),
        (
            "c.UsageViewer.url = 'hub'",
            "UsageViewer.url: not a URL: got 'hub'; expected a URL, for example 'http://hub:9000'",
        ),
        (
            "c.UsageConfig.deadline = -1",
            "UsageConfig.deadline: got -1; expected a number of seconds",
        ),
        ("c.UsageQuotaManager.policy = [{}]", "UsageQuotaManager.policy[0].limit: is missing"),
        ("1/0", "config.py: ZeroDivisionError"),
        ("x =", "SyntaxError"),
        (
            "c.UsageViewer.session_secret_key = 'a'; c.UsageViewer.secret_session_key = 'b'",
            "set only one of the two",
        ),
    ],
)
def test_an_error_is_named(tmp_path, text, says):
    with pytest.raises(ConfigurationError) as refused:
        read_configuration({}, [file(tmp_path, text)])
    assert says in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path, capsys, monkeypatch):
    missing = tmp_path / "missing.py"
    assert main([f"--config-files={missing}"]) == 2
    assert str(missing) in capsys.readouterr().err


def test_what_was_handed_over_is_never_repeated(capsys, monkeypatch):
    monkeypatch.setenv(f"{ENV_HANDED_OVER}_0", '{"UsageViewer": {"session_secret_key": "s3cret"')
    assert main([]) == 2
    assert "s3cret" not in capsys.readouterr().err


def environment_of(given: dict[str, str]) -> ServiceEnvironment:
    return ServiceEnvironment.of(given, VIEWER_SERVICE)


MANAGED = {
    "JUPYTERHUB_SERVICE_NAME": "usage-quota",
    "JUPYTERHUB_SERVICE_PREFIX": "/base/services/usage-quota/",
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:1234",
    "JUPYTERHUB_API_URL": "http://hub:8081/base/hub/api",
    "JUPYTERHUB_API_TOKEN": "t",
    "JUPYTERHUB_CLIENT_ID": "service-usage-quota",
    "JUPYTERHUB_BASE_URL": "/base/",
    "JUPYTERHUB_HOST": "",
}


def test_the_environment_of_a_service_that_the_hub_runs():
    around = environment_of(MANAGED)
    assert around.prefix == "/base/services/usage-quota/"
    assert around.hub_prefix == "/base/hub/"
    assert around.listen_on == ("127.0.0.1", 1234)


@pytest.mark.parametrize(
    ("given", "prefix", "hub_prefix", "client_id"),
    [
        ({}, "/services/usage-quota/", "/hub/", "service-usage-quota"),
        (
            {"JUPYTERHUB_SERVICE_PREFIX": "/a/b/services/q"},
            "/a/b/services/q/",
            "/a/b/hub/",
            "service-usage-quota",
        ),
        (
            {"JUPYTERHUB_BASE_URL": "/x/", "JUPYTERHUB_SERVICE_NAME": "quotas"},
            "/x/services/quotas/",
            "/x/hub/",
            "service-quotas",
        ),
    ],
)
def test_a_service_in_its_own_pod_needs_little(given, prefix, hub_prefix, client_id):
    around = environment_of({"JUPYTERHUB_API_TOKEN": "t"} | given)
    assert (around.prefix, around.hub_prefix, around.client_id) == (prefix, hub_prefix, client_id)


def test_without_a_token_it_says_which_variable_to_set(capsys, monkeypatch):
    monkeypatch.delenv("JUPYTERHUB_API_TOKEN", raising=False)
    assert main([]) == 2
    assert "JUPYTERHUB_API_TOKEN: is not set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "interface"),
    [
        ("http://hub:9000", ("", 9000)),
        ("http://0.0.0.0:9000", ("", 9000)),
        ("http://localhost:9000", ("localhost", 9000)),
        ("http://[::1]:9000", ("::1", 9000)),
        ("http://usage-quota", ("", 80)),
        ("https://usage-quota", ("", 443)),
    ],
)
def test_a_name_in_the_cluster_is_no_interface_of_this_machine(url, interface):
    """The quickstart's `url: http://hub:9000` names a Kubernetes service, which no pod can bind."""
    given = MANAGED | {"JUPYTERHUB_SERVICE_URL": url}
    assert environment_of(given).listen_on == interface
