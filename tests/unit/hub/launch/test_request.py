"""What a server asks for is read after the profile has been applied, for every kind of spawner."""

from __future__ import annotations

import pytest
from jupyterhub.spawner import SimpleLocalProcessSpawner
from kubespawner import KubeSpawner

from jupyterhub_usage_quotas.hub.launch.request import read_launch
from tests.support.hub_objects import hub_user
from tests.support.resources import ASKED

GIB = 1024**3
USER = hub_user("alice", "students", "staff")

PROFILES = [
    {"display_name": "Small", "slug": "small", "default": True},
    {
        "display_name": "Large with a GPU",
        "slug": "large-gpu",
        "kubespawner_override": {
            "mem_guarantee": "8G",
            "cpu_guarantee": 2,
            "extra_resource_limits": {"nvidia.com/gpu": "1"},
        },
    },
]


async def test_a_profile_counts_although_the_spawner_applies_it_only_later():
    spawner = KubeSpawner(_mock=True, profile_list=PROFILES, mem_guarantee="1G")
    spawner.user_options = {"profile": "large-gpu"}
    assert spawner.mem_guarantee == GIB
    request = (await read_launch(USER, spawner, ASKED)).request
    assert request.profile == "large-gpu"
    assert request.subject.name == "alice"
    assert request.subject.groups == {"students", "staff"}
    assert request.rates == {"memory": 8 * GIB, "cpu": 2, "gpu": 1, "time": 1}
    # KubeSpawner does it again when it starts the pod.
    await spawner.load_user_options()
    assert (await read_launch(USER, spawner, ASKED)).request == request


async def test_a_profile_list_that_is_made_for_the_user():
    async def profiles(spawner):
        return PROFILES

    spawner = KubeSpawner(_mock=True, profile_list=profiles)
    spawner.user_options = {"profile": "large-gpu"}
    assert (await read_launch(USER, spawner, ASKED)).request.rates["gpu"] == 1


@pytest.mark.parametrize(
    ("options", "resource", "amount"),
    [
        ({"mem_guarantee": "2G", "mem_limit": "4G"}, "memory", 2 * GIB),
        ({"mem_limit": "4G"}, "memory", 4 * GIB),
        ({"cpu_guarantee": 0.5, "cpu_limit": 2}, "cpu", 0.5),
        ({"cpu_limit": 2}, "cpu", 2),
        ({}, "memory", 0),
        ({}, "time", 1),
    ],
)
async def test_the_guarantee_counts_and_the_limit_where_there_is_none(options, resource, amount):
    spawner = SimpleLocalProcessSpawner(**options)
    assert (await read_launch(USER, spawner, ASKED)).request.rates[resource] == amount


@pytest.mark.parametrize(
    ("limits", "guarantees", "gpus"),
    [
        ({"nvidia.com/gpu": "2"}, {}, 2),
        ({"nvidia.com/gpu": 2}, {"nvidia.com/gpu": "2"}, 2),
        ({"nvidia.com/mig-1g.5gb": 3}, {}, 3),
        ({"amd.com/gpu": 1, "nvidia.com/gpu": 1}, {}, 2),
        ({"example.com/fpga": 4}, {}, 0),
    ],
)
async def test_extra_resources_of_kubernetes_that_are_gpus(limits, guarantees, gpus):
    spawner = KubeSpawner(
        _mock=True, extra_resource_limits=limits, extra_resource_guarantees=guarantees
    )
    assert (await read_launch(USER, spawner, ASKED)).request.rates["gpu"] == gpus
