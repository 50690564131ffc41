"""Options, their sources, and the errors of a configuration."""

from __future__ import annotations

from functools import partial

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.config.usage import UsageConfig
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from tests.support.decided import LEDGER, make_ledger

ENV = "JUPYTERHUB_USAGE_QUOTAS_"


def config(**sections: dict) -> Config:
    made = Config()
    for name, options in sections.items():
        made[name].update(options)
    return made


def test_common_options_are_set_on_the_base_class_or_on_the_class_itself():
    made = config(
        UsageConfig={"prometheus_url": "http://a:1", "hub_namespace": "base"},
        UsageQuotaManager={"hub_namespace": "own"},
    )
    manager = UsageQuotaManager(config=made)
    assert manager.prometheus_url == "http://a:1"
    assert manager.hub_namespace == "own"


def test_environment_variables_are_defaults(monkeypatch):
    monkeypatch.setenv(f"{ENV}PROMETHEUS_URL", "https://env.example/prometheus")
    monkeypatch.setenv(f"{ENV}PROMETHEUS_USERNAME", "u")
    monkeypatch.setenv(f"{ENV}PROMETHEUS_PASSWORD", "p")
    monkeypatch.setenv(f"{ENV}HUB_NAMESPACE", "env-ns")
    options = UsageConfig()
    assert options.prometheus_url == "https://env.example/prometheus"
    assert options.prometheus_auth == {"username": "u", "password": "p"}
    assert options.hub_namespace == "env-ns"
    assert UsageConfig(hub_namespace="set").hub_namespace == "set"


def test_half_of_the_credentials_in_the_environment_is_an_error(monkeypatch):
    monkeypatch.setenv(f"{ENV}PROMETHEUS_USERNAME", "u")
    with pytest.raises(ConfigurationError, match="must be set together"):
        UsageQuotaManager(config=config(UsageConfig={"hub_namespace": "x"}))


def test_the_namespace_defaults_to_that_of_the_pod(monkeypatch, tmp_path):
    mounted = tmp_path / "namespace"
    mounted.write_text("pods-own\n")
    monkeypatch.setattr("jupyterhub_usage_quotas.conventions.POD_NAMESPACE_FILE", str(mounted))
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    assert UsageConfig().hub_namespace == "pods-own"
    monkeypatch.setenv("POD_NAMESPACE", "from-the-chart")
    assert UsageConfig().hub_namespace == "from-the-chart"


def test_outside_of_a_cluster_the_namespace_is_empty(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "jupyterhub_usage_quotas.conventions.POD_NAMESPACE_FILE", str(tmp_path / "none")
    )
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    assert UsageConfig().hub_namespace == ""


AUTH = {"username": "u", "password": "p"}


@pytest.mark.parametrize("given", [AUTH, (AUTH,)], ids=["dict", "trailing comma"])
def test_credentials(given):
    assert UsageConfig(prometheus_auth=given).prometheus_auth == AUTH


@pytest.mark.parametrize(
    "given",
    [{"username": "s3cret"}, AUTH | {"token": "s3cret"}, "s3cret", (AUTH, AUTH), {"username": 1}],
)
def test_wrong_credentials_are_refused_without_repeating_them(given):
    with pytest.raises(ConfigurationError, match="expected a dict with the texts") as refused:
        UsageQuotaManager(config=config(UsageConfig={"prometheus_auth": given}))
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("url", ["prometheus:9090", "ftp://x", "http://", "", "http://[::1"])
def test_a_wrong_url_is_refused(url):
    with pytest.raises(
        ConfigurationError, match=r"prometheus_url: not a URL: got .*; expected a URL, for example"
    ):
        UsageQuotaManager(config=config(UsageConfig={"prometheus_url": url}))


@pytest.mark.parametrize(
    ("section", "option", "value", "says"),
    [
        ("UsageQuotaManager", "polcy", [], "unknown option; did you mean policy?"),
        ("UsageQuotaManager", "xyz", [], "unknown option; all options are listed in docs/"),
        ("UsageConfig", "policy", [], "unknown option; it belongs to UsageQuotaManager"),
        ("UsageQuotaManager", "enforcement", "maybe", "enforcement"),
        (
            "UsageQuotaManager",
            "denied_status",
            200,
            "got 200; expected an HTTP status from 400 to 599",
        ),
        ("UsageConfig", "deadline", 0, "got 0; expected a number of seconds from 0.1"),
        ("UsageConfig", "usage_source", "kubernetes", "usage_source"),
        ("UsageQuotaManager", "failover_open", "no", "failover_open"),
        ("UsageQuotaManager", "policy", {"resource": "cpu"}, "must be a list of policies"),
    ],
)
def test_a_wrong_option_is_named(section, option, value, says):
    with pytest.raises(ConfigurationError) as refused:
        UsageQuotaManager(config=config(**{section: {option: value}}))
    assert any(
        error.startswith(f"{section}.{option}") and says in error for error in refused.value.errors
    ), refused.value.errors


def test_two_spellings_of_one_option_are_an_error():
    both = {"scope_backup_strategy": {}, "scope_fallback_strategy": {}}
    with pytest.raises(ConfigurationError, match="set only one of the two"):
        UsageQuotaManager(config=config(UsageQuotaManager=both))


def test_all_errors_are_reported_at_once():
    wrong = config(
        UsageConfig={"deadline": -1, "nonsense": 1},
        UsageQuotaManager={"failover_open": 3, "policy": [{}], "scope_backup_strategy": 7},
    )
    with pytest.raises(ConfigurationError) as refused:
        UsageQuotaManager(config=wrong)
    places = " ".join(error.partition(":")[0] for error in refused.value.errors)
    for place in ("deadline", "nonsense", "failover_open", "policy[0].limit", "backup_strategy"):
        assert place in places


def test_policies_may_be_appended():
    made = Config()
    made.UsageQuotaManager.policy.append(
        {"resource": "cpu", "limit": "1 CPU-hours", "window": 1, "scope": {"everyone": True}}
    )
    assert len(UsageQuotaManager(config=made).policies.policies) == 1


# --- the ledger ----------------------------------------------------------------------------------


def test_without_a_ledger_nobody_decided_anything():
    assert UsageQuotaManager(config=config()).ledger is NO_LEDGER
    assert QuotaOptions().make_ledger() is NO_LEDGER
    assert QuotaOptions().importable_ledger_factory == ""


@pytest.mark.parametrize(
    ("factory", "name"),
    [
        (LEDGER, LEDGER),
        (make_ledger, LEDGER),
        (MemoryLedger, "jupyterhub_usage_quotas.ledger.memory.MemoryLedger"),
        (lambda: MemoryLedger(()), ""),
        (partial(MemoryLedger, ()), ""),
    ],
    ids=["a name", "a function", "a class", "a lambda", "a partial"],
)
def test_a_ledger_is_made_by_a_function_or_by_its_name(factory, name):
    made = UsageQuotaManager(config=config(UsageQuotaManager={"ledger_factory": factory}))
    assert isinstance(made.ledger, MemoryLedger)
    assert made.importable_ledger_factory == name


def test_the_one_that_is_given_is_in_place_of_the_configured_one():
    given = MemoryLedger()
    wanted = config(UsageQuotaManager={"ledger_factory": LEDGER})
    assert UsageQuotaManager(config=wanted, ledger=given).ledger is given


def broken() -> None:
    raise OSError("no database")


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("nothing.of.the.kind", "cannot be imported: ModuleNotFoundError"),
        ("tests.support.decided.nothing", "cannot be imported: ImportError"),
        (7, "got 7; expected a function"),
        (MemoryLedger(), "expected a function that returns a ledger, or its importable name"),
        ("", "got ''; expected a function"),
        ("tests.support.decided.VARIABLE", "expected a function"),
        (broken, "OSError: no database"),
        (dict, "what it returned: got {}; expected a Ledger"),
    ],
)
def test_what_makes_no_ledger_stops_the_hub(factory, says):
    with pytest.raises(ConfigurationError) as refused:
        UsageQuotaManager(config=config(UsageQuotaManager={"ledger_factory": factory}))
    (line,) = refused.value.errors
    assert line.startswith("UsageQuotaManager.ledger_factory: ")
    assert says in line
