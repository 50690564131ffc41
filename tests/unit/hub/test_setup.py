"""What stops the Hub while it is configured: a spawner that does not fit, and any mistake."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from jupyterhub.app import JupyterHub
from jupyterhub.spawner import SimpleLocalProcessSpawner
from kubespawner import KubeSpawner
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager, setup_usage_quotas
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.hub.launch.logged_once import LoggedOnce
from jupyterhub_usage_quotas.hub.launch.request import read_launch
from jupyterhub_usage_quotas.hub.setup import require_profiles
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from tests.support.hub_objects import hub_user

EVERYONE = {"resource": "time", "limit": "1 hour", "window": 7, "scope": {"everyone": True}}
BY_PROFILE = EVERYONE | {"name": "large ones", "servers": {"profile": ["large"]}}
BY_NAME = EVERYONE | {"servers": {"name": ["work-*"]}}


def manager(*policies: dict[str, Any], **options: Any) -> UsageQuotaManager:
    config = Config()
    config.UsageQuotaManager.policy = list(policies)
    config.UsageQuotaManager.update(options)
    return UsageQuotaManager(config=config)


@pytest.mark.parametrize(
    ("spawner", "options"),
    [
        (KubeSpawner, {}),
        (SimpleLocalProcessSpawner, {"profile_of_server": lambda spawner: "large"}),
    ],
)
def test_policies_select_by_profile_where_it_is_known(spawner, options):
    require_profiles(spawner, manager(BY_PROFILE, **options))


def test_where_it_is_not_known_the_hub_does_not_start():
    require_profiles(SimpleLocalProcessSpawner, manager(EVERYONE, BY_NAME))
    with pytest.raises(ConfigurationError) as refused:
        require_profiles(SimpleLocalProcessSpawner, manager(EVERYONE, BY_PROFILE))
    (line,) = refused.value.errors
    for part in (
        "large ones",
        "SimpleLocalProcessSpawner",
        "c.UsageQuotaManager.profile_of_server",
    ):
        assert part in line


def failing(spawner: Any) -> str:
    return spawner.user_options["size"]


@pytest.mark.parametrize(
    ("named", "profile"),
    [
        (lambda spawner: "large", "large"),
        (lambda spawner: "x" * 253, "x" * 253),
        (lambda spawner: "", ""),
        (lambda spawner: None, ""),
        (lambda spawner: spawner.user_options.get("profile", ""), "written"),
        (None, ""),
    ],
)
async def test_what_users_write_is_no_profile_and_what_an_admin_returns_is_one(named, profile):
    spawner = SimpleLocalProcessSpawner()
    spawner.user_options = {"profile": "written"}
    launch = await read_launch(hub_user("ada"), spawner, RESOURCES, named)
    assert (launch.request.profile, launch.request.profile_name) == (profile, "")
    assert launch.request.profile_known


@pytest.mark.parametrize(
    "named",
    [
        failing,
        lambda spawner: 12,
        lambda spawner: ["large"],
        lambda spawner: "x" * 254,
        lambda spawner: "a\nb",
        lambda spawner: "x\ud800",
        lambda spawner: {"yes": "gpu", "no": "cpu"}[spawner.user_options["profile"]],
    ],
)
async def test_what_is_no_profile_is_not_known_and_logged_once(named, caplog, monkeypatch):
    monkeypatch.setattr("jupyterhub_usage_quotas.hub.launch.request.LOGGED", LoggedOnce())
    for _ in range(3):
        spawner = SimpleLocalProcessSpawner()
        spawner.user_options = {"profile": "written"}
        spawner.log = logging.getLogger("a hub")
        launch = await read_launch(hub_user("ada"), spawner, RESOURCES, named)
        assert launch.request.profile == ""
        assert not launch.request.profile_known
    (record,) = caplog.records
    assert "profile_of_server" in record.getMessage()
    assert record.getMessage().isprintable()


@pytest.mark.parametrize("value", ["large", 1, [], {"x": 1}])
def test_it_must_be_a_function(value):
    with pytest.raises(ConfigurationError, match="profile_of_server"):
        manager(EVERYONE, profile_of_server=value)


# --- one message ----------------------------------------------------------------------------------


class OwnHook(SimpleLocalProcessSpawner):
    """It has neither a hook that can be configured nor profiles."""

    def pre_spawn_hook(self, spawner: Any = None) -> None:
        pass


@pytest.fixture
def app() -> Iterator[JupyterHub]:
    made = JupyterHub.instance()
    yield made
    JupyterHub.clear_instance()


def all_that_is_wrong(app: JupyterHub, caplog: pytest.LogCaptureFixture) -> str:
    """What the Hub logs when it has read its configuration, and stops."""
    setup_usage_quotas(app.config)
    with caplog.at_level(logging.CRITICAL), pytest.raises(SystemExit):
        app.session_factory = object()
    (record,) = caplog.records
    return record.getMessage()


def failing_ledger() -> None:
    raise OSError("no such ledger")


@pytest.mark.parametrize("options_too", [True, False])
def test_one_message_has_every_mistake(app, caplog, options_too):
    app.spawner_class = OwnHook
    app.config.UsageConfig.prometheus_url = "ftp://x" if options_too else "http://x:9090"
    app.config.UsageQuotaManager.policy = [BY_PROFILE]
    app.config.UsageQuotaManager.ledger_factory = failing_ledger
    app.config.UsageViewer.session_secret_key = "short"
    app.config.UsageViewer.services_menu = [{"name": "x"}]
    app.config.UsageViewerConfig.enabledd = True
    lines = all_that_is_wrong(app, caplog).splitlines()
    expected = [
        "UsageConfig.prometheus_url" if options_too else "no such ledger",
        "UsageViewer.session_secret_key",
        "UsageViewer.services_menu",
        "did you mean enabled",
        "OwnHook overrides the pre_spawn_hook",
        "selects servers by profile",
    ]
    assert lines[0].endswith(f"({len(expected)} errors):")
    for part in expected:
        assert len([line for line in lines if part in line]) == 1, part


def test_a_mistake_in_what_all_share_is_said_once(app, caplog, monkeypatch):
    """Also where it is in the environment, or in no option alone."""
    monkeypatch.setenv("JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_URL", "ftp://x")
    app.config.UsageConfig.stale_after = 1.0
    app.config.UsageConfig.polizy = []
    app.config.UsageQuotaManager.policy = [EVERYONE]
    lines = all_that_is_wrong(app, caplog).splitlines()[1:]
    assert len(lines) == 3
    for part in ("stale_after", "polizy", "prometheus_url"):
        assert len([line for line in lines if part in line]) == 1, part
