"""What stops the Hub while it is configured: a spawner that policies do not fit."""

from __future__ import annotations

from typing import Any

import pytest
from jupyterhub.spawner import SimpleLocalProcessSpawner
from kubespawner import KubeSpawner
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.errors import ConfigurationError
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
        (lambda spawner: 12, ""),
        (lambda spawner: ["large"], ""),
        (lambda spawner: "x" * 254, ""),
        (lambda spawner: "a\nb", ""),
        (lambda spawner: "x\ud800", ""),
        (lambda spawner: spawner.user_options.get("profile", ""), "written"),
        (failing, ""),
        (None, ""),
    ],
)
async def test_what_users_write_is_no_profile_and_what_an_admin_returns_is_one(named, profile):
    spawner = SimpleLocalProcessSpawner()
    spawner.user_options = {"profile": "written"}
    launch = await read_launch(hub_user("ada"), spawner, RESOURCES, named)
    assert (launch.request.profile, launch.request.profile_name) == (profile, "")


@pytest.mark.parametrize("value", ["large", 1, [], {"x": 1}])
def test_it_must_be_a_function(value):
    with pytest.raises(ConfigurationError, match="profile_of_server"):
        manager(EVERYONE, profile_of_server=value)
