"""What spawners of several kinds request, read from their options."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from kubespawner import KubeSpawner

from jupyterhub_usage_quotas.hub.launch.rates import asked_by
from tests.support.resources import ASKED

GIB = 1024**3
NOTHING = {"memory": 0, "cpu": 0, "gpu": 0, "time": 1}

CONTAINER = {"resources": {"requests": {"memory": "2Gi", "cpu": "500m"}}}
SIDECAR = {"restartPolicy": "Always", "resources": {"limits": {"memory": "1Gi"}}}

KUBERNETES: list[tuple[dict[str, Any], dict[str, float]]] = [
    ({}, {}),
    ({"mem_guarantee": "1G", "mem_limit": "4G", "cpu_limit": 2}, {"memory": GIB, "cpu": 2}),
    ({"extra_resource_guarantees": {"memory": "8Gi"}}, {"memory": 8 * GIB}),
    # As in the pod: what is given by Kubernetes' name replaces the option.
    (
        {"mem_guarantee": "1G", "extra_resource_guarantees": {"memory": "8Gi"}},
        {"memory": 8 * GIB},
    ),
    ({"extra_resource_limits": {"cpu": "16"}}, {"cpu": 16}),
    (
        {"extra_resource_limits": {"cpu": 16}, "extra_resource_guarantees": {"cpu": "500m"}},
        {"cpu": 0.5},
    ),
    ({"mem_guarantee": "1G", "extra_containers": [CONTAINER]}, {"memory": 3 * GIB, "cpu": 0.5}),
    (
        {"extra_containers": [{"name": "no resources"}, CONTAINER, CONTAINER]},
        {"memory": 4 * GIB, "cpu": 1},
    ),
    # Of containers that run before the server those that stay.
    ({"init_containers": [SIDECAR, CONTAINER]}, {"memory": GIB}),
    ({"extra_resource_limits": {"nvidia.com/gpu": "1"}}, {"gpu": 1}),
    ({"extra_resource_limits": {"nvidia.com/gpu": "1k"}}, {"gpu": 1000}),
    ({"extra_resource_limits": {"nvidia.com/gpu": None}}, {}),
    ({"extra_resource_limits": {"nvidia.com/gpu.shared": 2}}, {"gpu": 2}),
    (
        {"extra_resource_limits": {"nvidia.com/mig-1g.5gb": 1, "nvidia.com/mig-1g.5gb.shared": 2}},
        {"gpu": 3},
    ),
    ({"extra_resource_limits": {"nvidia.com/gpumem": 3000, "nvidia.com/gpucores": 30}}, {}),
    (
        {"extra_resource_limits": {"amd.com/gpu": 1, "amd.com/cpx_nps4": 2, "amd.com/spx_nps1": 4}},
        {"gpu": 7},
    ),
    (
        {
            "extra_resource_limits": {
                "gpu.intel.com/i915": 1,
                "gpu.intel.com/millicores": 500,
                "gpu.intel.com/memory.max": "4G",
                "gpu.intel.com/tiles": 2,
            }
        },
        {"gpu": 1},
    ),
    ({"extra_resource_limits": {"gpu.intel.com/xe": 1, "habana.ai/gaudi": 8}}, {"gpu": 9}),
    ({"extra_resource_limits": {"ephemeral-storage": "10Gi"}}, {}),
]


@pytest.mark.parametrize(("options", "expected"), KUBERNETES)
async def test_kubespawner(options, expected):
    asked = asked_by(KubeSpawner(_mock=True, **options), ASKED)
    assert dict(asked.rates) == NOTHING | expected
    assert asked.unreadable == ()


def device(**said: Any) -> dict[str, Any]:
    """As docker.types.DeviceRequest writes it."""
    return {"Driver": "nvidia", "Capabilities": [["gpu"]]} | said


OTHERS: list[tuple[dict[str, Any], dict[str, float]]] = [
    ({"extra_host_config": {}}, {}),
    ({"extra_host_config": {"mem_limit": "2g"}}, {"memory": 2 * GIB}),
    ({"extra_host_config": {"mem_limit": 2 * GIB}}, {"memory": 2 * GIB}),
    ({"extra_host_config": {"mem_limit": "512m", "mem_reservation": "256mb"}}, {"memory": GIB / 4}),
    ({"extra_host_config": {"mem_limit": "1073741824"}}, {"memory": GIB}),
    ({"mem_limit": 4 * GIB, "extra_host_config": {"mem_limit": "2g"}}, {"memory": 4 * GIB}),
    ({"extra_host_config": {"nano_cpus": 1_500_000_000}}, {"cpu": 1.5}),
    ({"extra_host_config": {"cpu_quota": 50_000}}, {"cpu": 0.5}),
    ({"extra_host_config": {"cpu_quota": 50_000, "cpu_period": 25_000}}, {"cpu": 2}),
    ({"extra_host_config": {"device_requests": [device(Count=2)]}}, {"gpu": 2}),
    (
        {"extra_host_config": {"device_requests": [device(Count=0, DeviceIDs=["0", "3"])]}},
        {"gpu": 2},
    ),
    (
        {
            "extra_host_config": {
                "device_requests": [device(Driver="x", Capabilities=[["fpga"]], Count=1)]
            }
        },
        {},
    ),
    (
        {"req_memory": "4gb", "req_nprocs": "8", "req_ngpus": "1"},
        {"memory": 4 * GIB, "cpu": 8, "gpu": 1},
    ),
    ({"req_memory": "", "req_nprocs": "", "req_ngpus": ""}, {}),
    ({"mem_limit": "2G"}, {"memory": 2 * GIB}),
    (
        {"mem_limit": lambda spawner: "2G", "cpu_limit": lambda spawner: 1.5},
        {"memory": 2 * GIB, "cpu": 1.5},
    ),
    ({"mem_limit": lambda spawner: None}, {}),
]


@pytest.mark.parametrize(("options", "expected"), OTHERS)
def test_docker_and_batch_systems(options, expected):
    asked = asked_by(SimpleNamespace(**options), ASKED)
    assert dict(asked.rates) == NOTHING | expected
    assert asked.unreadable == ()


@pytest.mark.parametrize(
    ("options", "unknown"),
    [
        ({"extra_resource_limits": {"nvidia.com/gpu": "many"}}, {"gpu"}),
        ({"extra_resource_limits": {"nvidia.com/gpu": -1}}, {"gpu"}),
        ({"extra_resource_limits": ["nvidia.com/gpu"]}, {"memory", "cpu", "gpu"}),
        ({"extra_containers": [{"resources": {"requests": {"memory": "lots"}}}]}, {"memory"}),
        ({"extra_host_config": lambda spawner: {}}, {"memory", "cpu", "gpu"}),
        ({"extra_host_config": {"mem_limit": "2 elephants"}}, {"memory"}),
        ({"extra_host_config": {"device_requests": [device(Count=-1)]}}, {"gpu"}),
        ({"extra_host_config": {"device_requests": ["all"]}}, {"gpu"}),
        ({"req_memory": "4000"}, {"memory"}),  # of what, each batch system says differently
        ({"req_nprocs": "a few"}, {"cpu"}),
        ({"mem_guarantee": "x" * 1000}, {"memory"}),
        ({"mem_limit": lambda spawner: spawner.user_options["size"]}, {"memory"}),
    ],
)
def test_what_cannot_be_read_is_unknown_and_not_zero(options, unknown):
    asked = asked_by(SimpleNamespace(**options), ASKED)
    assert set(NOTHING) - set(asked.rates) == unknown
    assert {line.partition(":")[0] for line in asked.unreadable} == unknown
    assert all(len(line) < 500 for line in asked.unreadable)
