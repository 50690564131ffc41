"""What 2i2c's charts and clusters have published for their package, as the Hub gets to see it.

Facts of helm-charts/basehub (values and the files that it mounts) and of config/clusters/earthscope
in 2i2c-org/infrastructure, and of that package's quick start, written anew.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from jupyterhub.app import JupyterHub
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.config.checks.validation import remarks
from jupyterhub_usage_quotas.config.files.colon_assignments import apply_settings_of
from jupyterhub_usage_quotas.config.quotas import CONFIGURED
from jupyterhub_usage_quotas.hub.viewer_service import declare_viewer
from jupyterhub_usage_quotas.services.viewer.arguments import command_line
from jupyterhub_usage_quotas.services.viewer.configuration import read_configuration

PROMETHEUS = "http://support-prometheus-server.support.svc.cluster.local"
GIB_HOUR = 2**30 * 3600

# helm-charts/basehub: hub.config of every hub, and the files that it mounts beside it.
BASEHUB = {
    "UsageQuotaManager": {
        "scope_fallback_strategy": {"intersection": "min"},
        "failover_open": True,
    },
    "UsageViewer": {
        "enable_compute": False,
        "footer_note": "Ask <a href='https://docs.2i2c.org'>your community's admins</a>.",
    },
}
MOUNTED = f"""
import os
c.UsageQuotaManager.metrics_exporter_token = os.environ.get("METRICS_EXPORTER_TOKEN")
c.UsageQuotaManager.prometheus_url = "{PROMETHEUS}"
c.UsageViewer.prometheus_url = "{PROMETHEUS}"
c.UsageQuotaManager.hub_namespace = "prod"
c.UsageViewer.hub_namespace = "prod"
c.UsageViewer.public_hub_url = "https://hub.example.org"
"""
FROM_A_CONFIG_MAP = f"""
import os
c.UsageQuotaManager.metrics_exporter_token = os.environ.get("JUPYTERHUB_USAGE_QUOTAS_METRICS_TOKEN")
c.UsageViewer.enable_compute = False
c.UsageViewer.hub_namespace = "prod"
c.UsageViewer.public_hub_url = "https://hub.example.org/hub/"
c.UsageViewer.prometheus_url = "{PROMETHEUS}"
"""

# config/clusters/earthscope: three sizes of groups, and a fallback; two ways to write a limit.
SIZES = {"mem-sm": 5000, "mem-md": 10000, "mem-lg": 50000}


def earthscope(limit: Any, strategy: str) -> dict[str, dict[str, Any]]:
    policy = [
        {"resource": "memory", "limit": limit(size), "window": 30, "scope": {"group": [group]}}
        for group, size in SIZES.items()
    ]
    empty = {"resource": "memory", "limit": limit(5000), "window": 30}
    return {
        "UsageQuotaManager": {
            strategy: {"empty": empty, "intersection": "max"},
            "failover_open": True,
            "policy": policy,
        },
        "UsageViewer": {"enable_compute": True},
    }


SINCE_0_1_3 = earthscope(lambda size: f"{size}G", "scope_fallback_strategy")
BEFORE = earthscope(lambda size: {"value": size, "unit": "GiB-hours"}, "scope_backup_strategy")

SERVICES = [
    {
        "name": "usage-quota",
        "url": "http://hub:9000",
        "display": True,
        "oauth_no_confirm": True,
        "command": ["python", "-m", "jupyterhub_usage_quotas.services.usage_viewer"],
    },
    {"name": "metrics-exporter", "display": False, "api_token": "t0ken"},
]
ROLES = [
    {
        "name": "usage-quota-service",
        "scopes": ["read:users", "list:services", "read:services"],
        "services": ["usage-quota"],
    },
    {"name": "metrics-exporter-service", "scopes": ["users"], "services": ["metrics-exporter"]},
    {"name": "user", "scopes": ["self", "access:services!service=usage-quota"]},
]


def loaded(path: Path, *sections: dict[str, dict[str, Any]], text: str = MOUNTED) -> Config:
    """As Zero to JupyterHub makes the configuration: hub.config, then the mounted files."""
    config = Config()
    for one in sections:
        for name, options in one.items():
            config[name].update(options)
    config.JupyterHub.services = [dict(one) for one in SERVICES]
    config.JupyterHub.load_roles = [dict(one) for one in ROLES]
    path.write_text(text)
    exec(compile(text, str(path), "exec"), {"c": config})
    return config


def started(config: Config) -> tuple[UsageQuotaManager, JupyterHub, list[str]]:
    """The manager and the Hub of a configuration, and what their log says about it."""
    app = JupyterHub(config=config)
    manager = UsageQuotaManager(parent=app, config=app.config)
    lines = [*remarks(app.config, CONFIGURED), *manager.doubts(), *declare_viewer(app, manager)]
    return manager, app, lines


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "jupyterhub_usage_quotas_config.py"


def test_the_chart_of_every_hub_is_accepted_with_a_line_each(path, caplog):
    caplog.set_level(logging.WARNING)
    config = loaded(path, BASEHUB)
    manager, app, lines = started(config)
    assert list(manager.policies) == []
    assert (manager.prometheus_url, manager.hub_namespace) == (PROMETHEUS, "prod")
    assert manager.earlier_metrics
    assert [line.partition(" is ")[0] for line in lines] == [
        "UsageQuotaManager.metrics_exporter_token",
        "UsageViewer.public_hub_url",
    ]
    assert [one["name"] for one in app.services] == ["usage-quota", "metrics-exporter"]
    assert "not recognized" not in caplog.text


@pytest.mark.parametrize("written", [SINCE_0_1_3, BEFORE], ids=["since 0.1.3", "before"])
def test_a_cluster_has_the_limits_that_it_had(path, written):
    manager, _, _ = started(loaded(path, written))
    found = {one.scope.group.exact[0]: one.limit.base for one in manager.policies.policies}
    assert found == {group: size * GIB_HOUR for group, size in SIZES.items()}
    assert [one.limit.base for one in manager.policies.empty] == [5000 * GIB_HOUR]
    assert manager.policies.intersection == "max"
    assert manager.policies.failover_open


@pytest.mark.parametrize("text", [MOUNTED, FROM_A_CONFIG_MAP], ids=["file", "config map"])
def test_its_dashboard_starts_with_the_files_that_are_mounted(path, text, caplog):
    """Also where the Hub does not call `setup_usage_quotas`, as most of its hubs do not."""
    caplog.set_level(logging.WARNING)
    loaded(path, text=text)
    viewer = read_configuration({}, *command_line([f"--config-files={path}"])).viewer
    assert (viewer.prometheus_url, viewer.hub_namespace) == (PROMETHEUS, "prod")
    assert viewer.enable_compute == (text is MOUNTED)
    assert "not recognized" not in caplog.text


def test_its_dashboard_knows_what_the_hub_knows(path):
    _, app, _ = started(loaded(path, BASEHUB, SINCE_0_1_3))
    (spec,) = [one for one in app.services if one["name"] == "usage-quota"]
    environment = {
        name: value(None) if callable(value) else value
        for name, value in spec["environment"].items()
    }
    configured = read_configuration(environment, [path])
    assert len(configured.manager.policies.policies) == 3
    assert configured.viewer.enable_compute
    assert configured.viewer.footer_note == BASEHUB["UsageViewer"]["footer_note"]


NAMES = {
    "UsageQuotaManager.scope_fallback_strategy": ({"intersection": "max"}, "scope_backup_strategy"),
    "UsageQuotaManager.scope_backup_strategy": ({"intersection": "sum"}, "scope_backup_strategy"),
    "UsageQuotaConfig.failover_open": (False, "failover_open"),
    "UsageViewer.secret_session_key": ("another of many characters", "session_secret_key"),
    "UsageViewer.enable_home_storage": (False, "home_storage"),
    "UsageViewer.hub_template_paths": (["/other"], "template_paths"),
    "UsageViewerConfig.enable_compute": (False, "enable_compute"),
    "UsageViewer.escape_username_scheme": ({"directory": "safe"}, "home_storage_directory"),
    "UsageConfig.escape_username_scheme": ({"directory": "safe"}, "home_storage_directory"),
}


@pytest.mark.parametrize("written", NAMES)
def test_what_a_file_says_takes_precedence_over_the_hub_by_whatever_name(path, written):
    """The Hub says what it knows by the names of today; the file is the same in both."""
    _, app, _ = started(loaded(path, BASEHUB, SINCE_0_1_3))
    (spec,) = [one for one in app.services if one["name"] == "usage-quota"]
    environment = {
        name: value(None) if callable(value) else value
        for name, value in spec["environment"].items()
    }
    value, today = NAMES[written]
    path.write_text(f"c.{written} = {value!r}\n")
    configured = read_configuration(environment, [path])
    made = configured.manager if "Quota" in written else configured.viewer
    expected = "safe" if today == "home_storage_directory" else value
    assert getattr(made, today) == expected


def test_its_quick_start_with_a_section_that_there_never_was(path):
    text = 'c.UsageQuotaViewer.hub_namespace: "prod"\n'
    path.write_text(text)
    config = Config()
    (line,) = apply_settings_of(config, path)
    assert "`c.UsageQuotaViewer.hub_namespace: ...` is a type annotation in Python" in line
    assert read_configuration({}, [path]).viewer.hub_namespace == "prod"
