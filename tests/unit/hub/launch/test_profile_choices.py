"""What can be chosen within a profile: KubeSpawner's own reading of the choices is the oracle."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from kubespawner import KubeSpawner

from jupyterhub_usage_quotas.hub.launch.denial import LaunchDenied
from jupyterhub_usage_quotas.hub.launch.profiles import MOST_CHOICES, MOST_OFFERS, MOST_PROFILES
from jupyterhub_usage_quotas.hub.launch.rates import rates_of
from jupyterhub_usage_quotas.hub.launch.request import (
    Offer,
    OptionsRefused,
    offers_of,
    read_launch,
)
from tests.support.fake_prometheus import alive, manager, prometheus
from tests.support.hub_objects import hub_user
from tests.support.resources import ASKED

__all__ = ["prometheus"]

GIB = 1024**3
USER = hub_user("ada")


def choices(trait: str, *values: Any, default: int | None = None) -> dict[str, Any]:
    """Choices that set a trait to one of these values, by the values' texts."""
    made = {
        str(value): {"display_name": f"{value}!", "kubespawner_override": {trait: value}}
        for value in values
    }
    if default is not None:
        made[str(values[default])]["default"] = True
    return made


OWN_SIZE = {
    "display_name": "Your own size",
    "slug": "own",
    "kubespawner_override": {"cpu_guarantee": 1, "extra_resource_limits": {"nvidia.com/gpu": "1"}},
    "profile_options": {
        "image": {"display_name": "Image", "choices": choices("image", "base", "science")},
        "memory": {
            "display_name": "Memory",
            "choices": choices("mem_guarantee", "2G", "8G", default=1),
            "unlisted_choice": {"enabled": True, "kubespawner_override": {"mem_limit": "{value}"}},
        },
        "cpu": {"choices": {"few": {}, **choices("cpu_guarantee", 4)}},
        "gpus": {
            "display_name": "GPUs",
            "choices": {
                "one": {},
                "none": {
                    "kubespawner_override": {"extra_resource_limits": {"nvidia.com/gpu": None}}
                },
                "two": {"kubespawner_override": {"extra_resource_limits": {"nvidia.com/gpu": "2"}}},
            },
        },
    },
}
PROFILES = [{"display_name": "Small", "slug": "small", "default": True}, OWN_SIZE]


def spawner(profiles: Any = PROFILES, **user_options: str) -> KubeSpawner:
    made = KubeSpawner(
        _mock=True,
        profile_list=profiles,
        mem_guarantee="1G",
        extra_resource_limits={"example.org/fpga": "3"},
    )
    made.user_options = user_options
    return made


async def own_size(**user_options: str) -> list[Offer]:
    offers = await offers_of(USER, spawner(**user_options), ASKED)
    return [one for one in offers if one.request.profile == "own"]


async def test_every_offer_requests_what_kubespawner_makes_of_it():
    """Also where a choice adds to, or takes from, what the profile and the spawner ask for."""
    offers = await own_size()
    assert len(offers) == 2 * 2 * 3  # the image changes nothing of it
    assert len({tuple(sorted(one.choices.items())) for one in offers}) == len(offers)
    for one in offers:
        chosen = spawner(profile="own", **one.choices)
        await chosen.load_user_options()
        assert dict(one.request.rates) == rates_of(chosen, ASKED)


@pytest.mark.parametrize("trait", ["mem_guarantee", "mem_limit", "cpu_guarantee", "cpu_limit"])
async def test_a_profile_that_takes_a_trait_away_is_an_offer_without_it(trait: str):
    """As a null in a profile of Zero to JupyterHub does it."""
    own = {"mem_guarantee": "1G", "mem_limit": "2G", "cpu_guarantee": 1, "cpu_limit": 2}
    profile = {"display_name": "Own", "slug": "own", "kubespawner_override": {trait: None}}
    made = KubeSpawner(_mock=True, profile_list=[profile], **own)
    (only,) = await offers_of(USER, made, ASKED)
    made.user_options = {"profile": "own"}
    await made.load_user_options()
    assert getattr(made, trait) is None
    assert dict(only.request.rates) == rates_of(made, ASKED)


def refuses(spawner: Any) -> Any:
    raise LookupError("no such volume")


@pytest.mark.parametrize(
    "override",
    [
        {"mem_guarantee": "lots"},
        {"cpu_guarantee": [1]},
        {"mem_guarantee": refuses},
        {"extra_resource_limits": None},
    ],
)
async def test_a_profile_that_cannot_be_read_is_suggested_to_nobody_and_harms_no_other(
    override, caplog
):
    """KubeSpawner reads a profile only when it is chosen: then its launch fails, and no other."""
    wrong = {"display_name": "Wrong", "slug": "wrong", "kubespawner_override": override}
    small = {"display_name": "Small", "slug": "small", "kubespawner_override": {"cpu_limit": 2}}
    launch = await read_launch(USER, spawner([wrong, small], profile="small"), ASKED)
    assert launch.request.rates["cpu"] == 2
    assert [bool(one.request.unknown) for one in launch.offers] == [True, False]
    assert list(launch.profiles) == ["Small"]
    (logged,) = [one for one in caplog.messages if "Wrong" in one]
    assert "kubespawner_override" in logged


def sidecar(**requests: str) -> dict[str, Any]:
    return {"name": "side", "image": "side:1", "resources": {"requests": requests}}


BUILDS_ON: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    # Functions of what was there get what the overrides before them made of it.
    (
        {"mem_guarantee": "2G"},
        [{"mem_guarantee": lambda it: it.mem_guarantee * 2}, {"mem_guarantee": "512M"}],
    ),
    ({"mem_limit": "6G", "mem_guarantee": lambda it: it.mem_limit // 2}, [{"cpu_limit": 2}]),
    (
        {"cpu_guarantee": 3},
        [{"cpu_limit": lambda it: it.cpu_guarantee + 1, "cpu_guarantee": None}],
    ),
    # What is in each other is added to at every depth.
    (
        {"extra_containers": {"side": sidecar(memory="1Gi", cpu="1")}},
        [{"extra_containers": {"side": {"resources": {"requests": {"memory": "4Gi"}}}}}],
    ),
    (
        {"extra_containers": {"side": sidecar(memory="1Gi", cpu="1")}},
        [{"extra_containers": {"side": {"resources": {"requests": {"cpu": None}}}}}],
    ),
]


@pytest.mark.parametrize(("override", "overrides"), BUILDS_ON)
async def test_a_choice_builds_on_its_profile_as_it_does_in_kubespawner(override, overrides):
    every = {str(number): {"kubespawner_override": one} for number, one in enumerate(overrides)}
    profile = {
        "display_name": "Own",
        "slug": "own",
        "kubespawner_override": override,
        "profile_options": {"size": {"choices": every}},
    }
    offers = await offers_of(USER, spawner([profile]), ASKED)
    assert [one.choices["size"] for one in offers] == list(every)
    for one in offers:
        chosen = spawner([profile], profile="own", **one.choices)
        await chosen.load_user_options()
        assert dict(one.request.rates) == rates_of(chosen, ASKED)


async def test_what_cannot_be_read_of_a_profile_is_not_known_of_its_offer(caplog):
    """KubeSpawner takes it, so it may start: pages must not say for how long."""
    override = {"mem_guarantee": "2G", "extra_resource_guarantees": {"nvidia.com/gpu": "some"}}
    odd = {"display_name": "Odd", "slug": "odd", "kubespawner_override": override}
    small = {"display_name": "Small", "slug": "small", "kubespawner_override": {"cpu_limit": 2}}
    launch = await read_launch(USER, spawner([odd, small], profile="small"), ASKED)
    first, second = launch.offers
    assert (first.request.profile, first.request.unknown) == ("odd", {"gpu"})
    assert first.request.rates["memory"] == 2 * GIB
    assert (second.request.profile, second.request.unknown) == ("small", set())
    # It is suggested to nobody.
    assert list(launch.profiles) == ["Small"]
    (logged,) = [one for one in caplog.messages if "Odd" in one]
    assert "gpu" in logged
    assert "kubespawner_override" in logged


async def test_what_users_write_into_a_form_is_not_known_before(caplog):
    written = {
        "unlisted_choice": {"enabled": True, "kubespawner_override": {"mem_limit": "{value}"}}
    }
    profile = {"display_name": "Free", "slug": "free", "profile_options": {"memory": written}}
    (only,) = await offers_of(USER, spawner([profile]), ASKED)
    assert only.request.unknown == {"memory", "cpu", "gpu"}
    assert not [one for one in caplog.messages if "Free" in one]  # nothing is wrong with it
    written["unlisted_choice"]["kubespawner_override"] = {"image": "{value}"}
    (only,) = await offers_of(USER, spawner([profile]), ASKED)
    assert only.request.unknown == set()


async def test_what_the_form_has_selected_comes_first():
    first, *others = await own_size()
    assert first.choices == {"memory": "8G", "cpu": "few", "gpus": "one"}
    assert first.request.rates["memory"] == 8 * GIB
    assert first.selected
    assert not any(one.selected for one in others)
    assert first.words == "Memory: 8G!, cpu: few, GPUs: one"


@pytest.mark.parametrize(
    ("saved", "memory"),
    [
        ({"profile": "own", "memory": "2G"}, "2G"),
        ({"profile": "small", "memory": "2G"}, "8G"),  # an option of another profile
        ({"profile": "own", "memory": "there is no such choice"}, "8G"),
        ({"profile": "own", "memory--unlisted-choice": "5G"}, "8G"),
    ],
)
async def test_the_form_selects_what_was_chosen_the_last_time(saved: dict[str, str], memory: str):
    offers = await own_size(**saved)
    assert offers[0].choices["memory"] == memory
    assert len(offers) == 12


async def test_a_profile_without_choices_that_matter_is_one_offer():
    profile = OWN_SIZE | {"profile_options": {"image": OWN_SIZE["profile_options"]["image"]}}
    (only,) = await offers_of(USER, spawner([profile]), ASKED)
    assert (only.choices, only.words, only.selected) == ({}, "", True)


async def test_of_too_many_combinations_only_the_selected_one_is_an_offer():
    sizes = [f"{gib}G" for gib in range(1, MOST_CHOICES + 2)]
    options = {"memory": {"choices": choices("mem_guarantee", *sizes, default=4)}}
    (only,) = await offers_of(USER, spawner([OWN_SIZE | {"profile_options": options}]), ASKED)
    assert only.choices == {"memory": "5G"}
    options["memory"]["choices"].pop("17G")
    assert (
        len(await offers_of(USER, spawner([OWN_SIZE | {"profile_options": options}]), ASKED)) == 16
    )


async def test_all_profiles_together_are_not_too_many_offers():
    """A page works each of them out, on the Hub's event loop."""
    sizes = [f"{gib}G" for gib in range(1, MOST_CHOICES + 1)]

    def profiles(number: int) -> list[dict[str, Any]]:
        options = {"memory": {"choices": choices("mem_guarantee", *sizes, default=4)}}
        named = {"display_name": f"Size {number}", "slug": f"size-{number}"}
        return [OWN_SIZE | {"profile_options": options} | named]

    async def offers_by_profile(many: int) -> list[int]:
        offered = [one for number in range(many) for one in profiles(number)]
        found = await offers_of(USER, spawner(offered), ASKED)
        assert len(found) <= max(MOST_OFFERS, many)
        selected = [one for one in found if one.selected]
        assert {str(one.choices["memory"]) for one in selected} == {"5G"}
        counts = Counter(one.request.profile for one in found)
        assert len(selected) == len(counts)
        return list(counts.values())

    assert await offers_by_profile(3) == [16, 16, 16]
    assert await offers_by_profile(4) == [16, 16, 16, 16]
    assert await offers_by_profile(5) == [16, 16, 16, 1, 1]
    assert await offers_by_profile(60) == [1] * 60
    assert await offers_by_profile(MOST_PROFILES + 1) == [1] * MOST_PROFILES


SMALL = {"display_name": "Small", "slug": "small", "kubespawner_override": {"cpu_limit": 2}}
RICH: dict[str, Any] = {
    "display_name": "Rich",
    "slug": "rich",
    "description": "All that a profile can have",
    "default": False,
    "kubespawner_override": {
        "mem_guarantee": "4G",
        "extra_resource_limits": {"nvidia.com/gpu": "1"},
        "extra_resource_guarantees": {"nvidia.com/gpu": "1", "memory": "8Gi"},
        "extra_containers": [{"name": "side", "resources": {"requests": {"cpu": "1"}}}],
        "init_containers": [{"name": "begin", "restartPolicy": "Always", "resources": {}}],
    },
    "profile_options": {
        "memory": {
            "display_name": "Memory",
            "choices": {
                "small": {
                    "display_name": "Small",
                    "default": True,
                    "kubespawner_override": {"mem_guarantee": "2G"},
                },
                "large": {
                    "display_name": "Large",
                    "kubespawner_override": {"extra_resource_guarantees": {"memory": "16Gi"}},
                },
            },
        },
        "image": {
            "display_name": "Image",
            "unlisted_choice": {
                "enabled": True,
                "display_name": "Image",
                "kubespawner_override": {"image": "{value}"},
            },
            "choices": {},
        },
    },
}


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something is in it, itself first."""
    yield above
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*above, key))


def without(value: Any, place: tuple[Any, ...]) -> Any:
    """It, with null at a place."""
    if not place:
        return None
    made = copy.copy(value)
    made[place[0]] = without(value[place[0]], place[1:])
    return made


async def kubespawner_takes(profiles: list[Any], profile: str) -> bool:
    """Whether KubeSpawner itself could start that profile: some mistakes in one it has for all."""
    try:
        await spawner(profiles, profile=profile).load_user_options()
    except Exception:
        return False
    return True


@pytest.mark.parametrize("place", [*places(RICH)][1:], ids=lambda place: "/".join(map(str, place)))
async def test_a_null_anywhere_in_a_profile_harms_nothing_that_kubespawner_starts(place):
    rich = without(RICH, place)
    for profiles in ([rich, SMALL], [SMALL, rich]):
        for name in ("small", "rich"):
            made = spawner(profiles, profile=name)
            if not await kubespawner_takes(profiles, name):
                with pytest.raises(OptionsRefused):
                    await read_launch(USER, made, ASKED)
                continue
            launch = await read_launch(USER, made, ASKED)
            assert launch.request.rates["time"] == 1
            assert name == "rich" or launch.request.rates["cpu"] == 2
            small = [one for one in launch.offers if one.request.profile == "small"]
            assert [one.request.rates["cpu"] for one in small] == [2]


async def test_an_option_that_only_takes_what_users_write_is_no_choice():
    written = {
        "unlisted_choice": {"enabled": True, "kubespawner_override": {"mem_limit": "{value}"}}
    }
    profile = OWN_SIZE | {"profile_options": {"memory": written}}
    (only,) = await offers_of(USER, spawner([profile]), ASKED)
    assert only.choices == {}


async def test_a_launch_is_of_what_was_chosen_and_changes_nothing_of_the_offers():
    made = spawner(profile="own", memory="2G", gpus="two")
    before = await offers_of(USER, made, ASKED)
    launch = await read_launch(USER, made, ASKED)
    assert launch.request.rates == {"memory": 2 * GIB, "cpu": 1, "gpu": 2, "time": 1}
    assert made.mem_guarantee == GIB  # the spawner applies it itself, when it starts
    assert tuple(launch.offers) == tuple(await offers_of(USER, made, ASKED)) == tuple(before)
    assert list(launch.profiles) == ["Small", "Your own size"]
    assert launch.profiles["Your own size"].rates["memory"] == 2 * GIB


WITHOUT = [
    {"mem_limit": "8G", "mem_guarantee": None},
    {"cpu_limit": None},
    {"mem_guarantee": None, "cpu_guarantee": None},
    {"mem_limit": None, "cpu_limit": None},
]


@pytest.mark.parametrize("override", WITHOUT)
@pytest.mark.parametrize("chosen", ["small", "without"])
@pytest.mark.parametrize(("limit", "status"), [("10 GiB-hours", 0), ("0 GiB-hours", 429)])
async def test_a_null_in_a_profile_changes_no_decision(prometheus, override, chosen, limit, status):
    """Of a new user, who starts, and of one who may use nothing: failing closed would be a 503."""
    prometheus.side_effect = alive
    offers = [
        {"display_name": "Small", "slug": "small", "kubespawner_override": {"mem_guarantee": "1G"}},
        {"display_name": "Without", "slug": "without", "kubespawner_override": override},
    ]
    policy = {"resource": "memory", "limit": limit, "window": 7, "scope": {"everyone": True}}
    launched = KubeSpawner(_mock=True, profile_list=offers)
    launched.user_options = {"profile": chosen}
    asked = manager(policy=[policy], failover_open=False)
    denied = 0
    try:
        await asked.pre_spawn_start(USER, launched)
    except LaunchDenied as error:
        denied = error.status_code
    await asked.aclose()
    assert denied == status


class CountsCopies(dict):
    """A part of a profile that knows how often it was copied."""

    copies = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        type(self).copies += 1
        return type(self)(copy.deepcopy(dict(self), memo))


def many(count: int, labels: Any) -> list[dict[str, Any]]:
    memory = {"choices": choices("mem_guarantee", "1G", "2G", "4G", "8G")}
    return [
        {
            "display_name": f"Profile {number}",
            "slug": f"p{number}",
            "kubespawner_override": {"extra_labels": labels},
            "profile_options": {"memory": copy.deepcopy(memory)},
        }
        for number in range(count)
    ]


async def test_a_long_list_of_profiles_is_not_copied_for_each_offer():
    """Each copy of it takes milliseconds, in which the Hub does nothing else."""
    before = CountsCopies.copies
    launch = await read_launch(USER, spawner(many(12, CountsCopies())), ASKED)
    copied_with_offers = CountsCopies.copies - before
    assert len(launch.offers) >= 48
    made = spawner(many(12, CountsCopies()))
    before = CountsCopies.copies
    await made.load_user_options()
    by_kubespawner = CountsCopies.copies - before
    # It is read as often as there are two readers: for offers, and for what is chosen.
    assert copied_with_offers <= 3 * by_kubespawner


async def test_others_are_served_between_profiles():
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    serving = asyncio.ensure_future(others())
    launch = await read_launch(USER, spawner(many(60, {})), ASKED)
    serving.cancel()
    assert len({one.request.profile for one in launch.offers}) == 60
    assert turns >= 60
