"""What deployments of 2i2c's package have written is understood as it is, and said once."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.checks.validation import remarks
from jupyterhub_usage_quotas.config.files.earlier import understood
from jupyterhub_usage_quotas.config.quotas import CONFIGURED, QuotaOptions
from jupyterhub_usage_quotas.config.viewer import UsageViewer, make_viewer, viewer_remarks
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.metering.client.promql import Gauge

# Every option of its versions 0.1.4 and 0.2.1, with a value that it accepts (from its reference).
LOGGING = {
    "log_level": "INFO",
    "log_datefmt": "%H:%M:%S",
    "log_format": "%(message)s",
    "logging_config": {},
    "show_config": False,
    "show_config_json": False,
}
SHARED = {
    "prometheus_url": "http://support-prometheus-server.support.svc.cluster.local",
    "prometheus_auth": {"username": "u", "password": "p"},
    "hub_url": "http://localhost:8000",
    "hub_namespace": "prod",
    "escape_username_scheme": {"directory": "legacy", "pod": "safe", "max_length": 48},
}
MANAGER = SHARED | {
    "prometheus_usage_metrics": {"memory": "kube_pod_container_resource_requests"},
    "prometheus_scrape_interval": 60,
    "prometheus_emit_interval": 60,
    "prometheus_emit_namespace": "jupyterhub",
    "metrics_exporter_token": None,  # os.environ.get of a variable that is not set
    "scope_fallback_strategy": {
        "empty": {"resource": "memory", "limit": "500G", "window": 7},
        "intersection": "max",
    },
    "failover_open": True,
    "policy": [
        {"resource": "memory", "limit": "5000G", "window": 30, "scope": {"group": ["A"]}},
        {"resource": "cpu", "limit": 100, "window": 30, "scope": {"group": ["A"]}},
    ],
    "log_level": 20,
}
VIEWER = (
    SHARED
    | LOGGING
    | {
        "config_files": ["/usr/local/etc/jupyterhub/jupyterhub_config.d/x.py"],
        "enable_home_storage": False,
        "enable_compute": False,
        "footer_note": "Ask <a href='https://x.org'>us</a>.",
        "prometheus_usage_quota_metrics": {
            "home_storage": {
                "usage": "dirsize_total_size_bytes",
                "quota": "dirsize_hard_limit_bytes",
            },
        },
        "dev_mode": False,
        "service_port": 9000,
        "service_host": "0.0.0.0",
        "service_prefix": "/services/usage-quota/",
        "public_hub_url": "https://hub.example.org/hub/",
        "session_secret_key": "f1c2b3a4958677869504132231405968",
        "hub_template_paths": ["/usr/local/share/templates"],
    }
)
WITHOUT_EFFECT = {
    "UsageQuotaManager": {
        *("hub_url", "escape_username_scheme", "prometheus_usage_metrics", "log_level"),
        *("prometheus_emit_interval", "prometheus_emit_namespace"),
    },
    "UsageViewer": {
        *("hub_url", "escape_username_scheme", "config_files", "dev_mode", "public_hub_url"),
        *("prometheus_usage_quota_metrics", *LOGGING),
    },
}


def everything(**sections: dict) -> Config:
    return Config(sections or {"UsageQuotaManager": MANAGER, "UsageViewer": VIEWER})


@pytest.fixture
def said(caplog):
    """What traitlets says about options that it does not know."""
    caplog.set_level(logging.WARNING)
    return caplog


def test_every_option_is_understood_and_does_what_it_did(said):
    manager = QuotaOptions(config=everything())
    viewer = make_viewer(everything())
    memory, cpu = manager.policies.policies
    assert (memory.limit.base, cpu.limit.base) == (5000 * 2**30 * 3600, 100 * 3600)
    assert [one.limit.base for one in manager.policies.empty] == [500 * 2**30 * 3600]
    assert manager.policies.intersection == "max"
    assert manager.earlier_metrics
    assert manager.prometheus_scrape_interval == 60
    assert (viewer.enable_compute, viewer.home_storage) == (False, False)
    assert viewer.footer_note == VIEWER["footer_note"]
    assert (viewer.service_host, viewer.service_port) == ("0.0.0.0", 9000)
    assert viewer.service_prefix == "/services/usage-quota/"
    assert viewer.template_paths == ["/usr/local/share/templates"]
    assert viewer.session_secret == VIEWER["session_secret_key"]
    for options in (manager, viewer):
        assert options.prometheus_url == SHARED["prometheus_url"]
        assert options.hub_namespace == "prod"
    assert said.text == ""


def test_what_has_no_effect_is_said_once_and_what_has_another_name_too():
    config = everything()
    lines = [*remarks(config, CONFIGURED), *viewer_remarks(config)]
    without = [line.partition(" is no longer needed and has no effect: ") for line in lines]
    for section, names in WITHOUT_EFFECT.items():
        found = [one[0] for one in without if one[1] and one[0].startswith(f"{section}.")]
        assert sorted(found) == sorted(f"{section}.{name}" for name in names)
    assert all(why for _, is_one, why in without if is_one)
    others = [line for line in lines if "no longer needed" not in line]
    assert sorted(others) == [
        "UsageQuotaManager.metrics_exporter_token is taken as earlier_metrics = True: the Hub"
        " exports its metrics itself",
        "UsageViewer.enable_home_storage is taken as home_storage, its current name",
        "UsageViewer.hub_template_paths is taken as template_paths, its current name",
    ]


OTHER_METRICS = {"home_storage": {"usage": "homes_bytes", "quota": "homes_limit_bytes"}}


@pytest.mark.parametrize(
    ("written", "option", "value"),
    [
        ({"escape_username_scheme": {"directory": "safe"}}, "home_storage_directory", "safe"),
        ({"escape_username_scheme": {"directory": "legacy"}}, "home_storage_directory", "escape"),
        (
            {"escape_username_scheme": {"directory": "safe"}, "home_storage_directory": "escape"},
            "home_storage_directory",
            "escape",
        ),
        (
            {"prometheus_usage_quota_metrics": OTHER_METRICS},
            "home_storage_metrics",
            {"size": "homes_bytes", "limit": "homes_limit_bytes"},
        ),
    ],
)
def test_values_that_stand_for_an_option_of_today(written, option, value):
    config = everything(UsageViewer=written)
    assert getattr(make_viewer(config), option) == value
    (line,) = viewer_remarks(config)
    said = f"is taken as {option} = {value!r}: "
    assert (said in line) == (value not in ("escape",))


def test_home_storage_is_queried_by_the_names_of_its_metrics():
    viewer = make_viewer(everything(UsageViewer={"prometheus_usage_quota_metrics": OTHER_METRICS}))
    source = viewer.make_home_storage()
    assert (source.amounts, source.limits) == ("homes_bytes", "homes_limit_bytes")
    gauge = Gauge(source.amounts, source.limits, source.label, source.where)
    queries = gauge.there(timedelta(hours=1))
    assert "homes_limit_bytes" in queries["limit"]
    assert all("dirsize" not in one for one in queries.values())
    assert all("homes_bytes" in one for name, one in queries.items() if name != "limit")


def test_it_says_nothing_else_of_traitlets(said):
    """Its "Config option not recognized, did you mean prometheus_bearer_token_file?" misleads."""
    config = everything(UsageQuotaManager={"metrics_exporter_token": "t0ken"})
    QuotaOptions(config=config)
    make_viewer(config)
    assert said.text == ""


@pytest.mark.parametrize(
    ("written", "on"),
    [
        ({}, False),
        ({"metrics_exporter_token": "t"}, True),
        ({"metrics_exporter_token": None}, True),
        ({"metrics_exporter_token": "t", "earlier_metrics": False}, False),
        ({"earlier_metrics": True}, True),
    ],
)
def test_its_metrics_are_exported_where_its_exporter_was_configured(written, on):
    assert QuotaOptions(config=everything(UsageQuotaManager=written)).earlier_metrics is on


def test_the_names_that_its_sections_had(said):
    policy = MANAGER["policy"][:1]
    config = Config(
        {
            "UsageQuotaConfig": {"policy": policy, "polcy": 1},
            "UsageViewerConfig": {"enable_compute": False},
        }
    )
    with pytest.raises(ConfigurationError) as refused:
        QuotaOptions(config=config)
    assert refused.value.errors == ("UsageQuotaConfig.polcy: unknown option; did you mean policy?",)
    del config["UsageQuotaConfig"]["polcy"]
    assert len(QuotaOptions(config=config).policies.policies) == 1
    assert make_viewer(config).enable_compute is False
    assert "c.UsageQuotaConfig is taken as c.UsageQuotaManager, its current name" in remarks(
        config, CONFIGURED
    )
    assert said.text == ""


def test_a_section_that_nobody_reads_is_named():
    config = Config({"UsageQuotasManager": {"policy": []}, "UsageReporter": {"x": 1}})
    (line,) = remarks(config, CONFIGURED)
    assert line == "c.UsageQuotasManager is unknown; did you mean c.UsageQuotaManager?"


@pytest.mark.parametrize(
    ("section", "earlier", "today"),
    [
        ("UsageQuotaManager", "scope_fallback_strategy", "scope_backup_strategy"),
        ("UsageViewer", "secret_session_key", "session_secret_key"),
        ("UsageViewer", "hub_template_paths", "template_paths"),
        ("UsageViewer", "enable_home_storage", "home_storage"),
    ],
)
def test_two_names_of_one_option_exclude_each_other(section, earlier, today):
    config = Config({section: {earlier: None, today: None}})
    make = make_viewer if section == "UsageViewer" else lambda given: QuotaOptions(config=given)
    with pytest.raises(ConfigurationError) as refused:
        make(config)
    assert any(
        f"{section}.{earlier}: deprecated alias of {today}; set only one" in line
        for line in refused.value.errors
    )


def test_an_error_is_named_where_it_was_written():
    for name in ("scope_fallback_strategy", "scope_backup_strategy"):
        with pytest.raises(ConfigurationError) as refused:
            QuotaOptions(config=everything(UsageQuotaManager={name: {"intersection": "avg"}}))
        assert refused.value.errors == (
            f"UsageQuotaManager.{name}.intersection: got 'avg'; expected one of: min, max, sum",
        )


def test_understanding_a_configuration_does_not_change_it():
    config = everything()
    before = {name: dict(options) for name, options in config.items()}
    changed = understood(config)
    changed.UsageViewer.session_secret_key = "x"
    assert {name: dict(options) for name, options in config.items()} == before


def test_lists_that_are_added_to_under_an_earlier_name():
    config = Config()
    config.UsageViewer.hub_template_paths.append("/a")
    assert isinstance(make_viewer(config), UsageViewer)
    assert make_viewer(config).template_paths == ["/a"]


@pytest.mark.parametrize(
    ("limit", "means"),
    [(100, "has no unit and is taken as 100"), ("5M", "'5M' is taken as 50000")],
)
def test_a_limit_of_the_fallback_that_only_it_says_the_unit_of_is_said_once(limit, means):
    empty = {"resource": "cpu", "limit": limit, "window": 7}
    strategy = {"empty": empty, "intersection": "max"}
    config = everything(UsageQuotaManager={"scope_fallback_strategy": strategy})
    (line,) = QuotaOptions(config=config).doubts()
    assert line.startswith(f"scope_backup_strategy.empty.limit {means} CPU-hours")
