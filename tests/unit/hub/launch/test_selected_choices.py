"""What is chosen in a profile, from a launch to its pod, its state and the Hub's own exporter."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from kubespawner import KubeSpawner

from jupyterhub_usage_quotas import conventions
from jupyterhub_usage_quotas.hub.launch.kept import keep, kept_of
from jupyterhub_usage_quotas.hub.launch.profiles import profiles_of, stamp_profile
from jupyterhub_usage_quotas.hub.launch.request import read_launch
from jupyterhub_usage_quotas.hub.metrics.servers import ServerExporter
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from tests.support.hub_objects import hub_spawner, hub_user

NOW = datetime(2026, 11, 27, tzinfo=UTC)
USER = hub_user("ada")
CHOICES = {
    "mem_4": {"display_name": "4 GB", "kubespawner_override": {"mem_guarantee": "4G"}},
    "mem_488": {"display_name": "488 GB", "kubespawner_override": {"mem_guarantee": "488G"}},
}
PROFILES: list[dict[str, Any]] = [
    {
        "display_name": "Choose",
        "slug": "choose",
        "profile_options": {
            "memory": {"display_name": "Memory", "choices": CHOICES},
            "image": {
                "display_name": "Image",
                "unlisted_choice": {"enabled": True, "kubespawner_override": {"image": "{value}"}},
                "choices": {"py": {"display_name": "Python", "default": True}},
            },
        },
    }
]


def spawner(profiles: Any = PROFILES, **options: str) -> KubeSpawner:
    made = KubeSpawner(_mock=True, profile_list=profiles)
    made.user_options = options
    return made


@pytest.mark.parametrize(
    ("options", "choices"),
    [
        ({}, ("memory=mem_4", "image=py")),
        ({"profile": "choose", "memory": "mem_488"}, ("memory=mem_488", "image=py")),
        # what the admin did not list is no choice
        ({"image--unlisted-choice": "evil/image"}, ("memory=mem_4",)),
    ],
)
async def test_of_a_launch(options, choices):
    launch = await read_launch(USER, spawner(**options), RESOURCES)
    assert launch.request.choices == choices
    assert launch.request.server.profile == "/".join(("choose", *choices))
    assert launch.request.profile == "choose"


async def test_of_every_offer():
    launch = await read_launch(USER, spawner(), RESOURCES)
    assert {one.request.server.profile for one in launch.offers} == {
        "choose/memory=mem_4/image=py",
        "choose/memory=mem_488/image=py",
    }


async def test_it_is_on_the_pod():
    made = spawner(memory="mem_488")
    launch = await read_launch(USER, made, RESOURCES)
    stamp_profile(made, launch.request.server.profile, launch.request.profile_name)
    pod = SimpleNamespace(metadata=SimpleNamespace(annotations=None))
    marked = (await made.modify_pod_hook(made, pod)).metadata.annotations
    assert marked[conventions.ANNOTATION_PROFILE] == "choose/memory=mem_488/image=py"


async def test_it_is_kept_and_exported():
    launch = await read_launch(USER, spawner(memory="mem_488"), RESOURCES)
    running = hub_spawner(active=True, pending=None)
    keep(running, launch.request, NOW)
    kept = kept_of(running)
    assert kept is not None
    assert kept.request(launch.request.subject, "").server == launch.request.server
    user = hub_user("ada")
    user.spawners = {"": running}
    families = ServerExporter(lambda: {1: user}, "hub-ns").collect()
    exported = {one.labels.get("profile") for family in families for one in family.samples}
    assert "choose/memory=mem_488/image=py" in exported


# --- profiles that cannot be read -----------------------------------------------------------------


def fails(_spawner: Any) -> list[dict[str, Any]]:
    raise RuntimeError("the directory is away")


async def test_one_that_cannot_be_read_takes_no_other_with_it():
    broken: list[Any] = [{"slug": "no-name", "profile_options": 7}, "not a mapping", *PROFILES]
    found = await profiles_of(spawner(lambda _spawner: broken))
    assert [one["slug"] for one in found] == ["choose"]


async def test_a_list_that_cannot_be_made_prevents_no_look():
    assert await profiles_of(spawner(fails)) == ()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        one.getMessage()
        for one in caplog.records
        if one.levelno == logging.WARNING and "cannot be read" in one.getMessage()
    ]


async def test_it_is_logged_once_until_it_changes(caplog):
    def odd(amount: str) -> list[dict[str, Any]]:
        override = {"mem_guarantee": amount}
        return [*PROFILES, {"display_name": "Odd once", "kubespawner_override": override}]

    async def look(amount: str) -> int:
        caplog.clear()
        made = spawner(odd(amount))
        made.log = logging.getLogger("a hub")
        await read_launch(USER, made, RESOURCES)
        return len(warnings(caplog))

    said = [await look(amount) for amount in ("lots", "lots", "many", "1G", "many", "many")]
    assert said == [1, 0, 1, 0, 1, 0]
