"""What spawners of several kinds request, read from their options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from batchspawner import SlurmSpawner, TorqueSpawner
from dockerspawner import DockerSpawner, SwarmSpawner
from kubespawner import KubeSpawner
from systemdspawner import SystemdSpawner

from jupyterhub_usage_quotas.hub.launch.rates import asked_by
from jupyterhub_usage_quotas.quotas.resource import Resource
from tests.support.resources import ASKED

GIB = 1024**3
ADA = SimpleNamespace(id=1, name="ada", url="/", settings={})
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
    ({"cpu_guarantee": 1, "extra_resource_limits": {"cpu": "16"}}, {"cpu": 1}),
    ({"mem_guarantee": "1G", "extra_resource_limits": {"memory": "8Gi"}}, {"memory": GIB}),
    (
        {"mem_limit": "2G", "extra_resource_limits": {"memory": "8Gi"}, "cpu_limit": 3},
        {"memory": 8 * GIB, "cpu": 3},
    ),
    ({"mem_limit": "8G", "extra_resource_guarantees": {"memory": "0"}}, {}),
    (
        {"extra_resource_limits": {"memory": "8Gi"}, "mem_limit": "2G", "cpu_guarantee": 0},
        {"memory": 8 * GIB},
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
    # To Kubernetes null is 0, and what is guaranteed goes before any limit.
    ({"mem_guarantee": "1G", "extra_resource_guarantees": {"memory": None}}, {}),
    ({"mem_limit": "4G", "extra_resource_guarantees": {"memory": None, "cpu": 2}}, {"cpu": 2}),
    ({"cpu_limit": 4, "extra_resource_limits": {"cpu": None}}, {}),
    ({"cpu_guarantee": 1, "extra_resource_limits": {"cpu": None}}, {"cpu": 1}),
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
    (
        {
            "extra_resource_limits": {
                "huawei.com/Ascend910": 1,
                "huawei.com/Ascend910-memory": 2000,
                "huawei.com/Ascend910B3": 2,
                "huawei.com/Ascend910B3-core": 20,
                "huawei.com/Ascend910-16c": 4,
                "huawei.com/Ascend310P": 8,
                "huawei.com/Ascend310P-4c.3cpu": 16,
            }
        },
        {"gpu": 31},
    ),
    ({"extra_resource_limits": {"ephemeral-storage": "10Gi"}}, {}),
    # What of it requests nothing.
    ({"extra_pod_config": {"nodeSelector": {"gpu": "cpu"}, "tolerations": ["nvidia.com/gpu"]}}, {}),
    ({"extra_container_config": {"securityContext": {"runAsUser": 1000}}}, {}),
]


@pytest.mark.parametrize(("options", "expected"), KUBERNETES)
async def test_kubespawner(options, expected):
    asked = asked_by(KubeSpawner(_mock=True, **options), ASKED)
    assert dict(asked.rates) == NOTHING | expected
    assert (asked.unreadable, asked.unknown) == ((), set())


def amount(text: object) -> float:
    """An amount in a pod, as far as the cases write one."""
    number, factor = "0" if text is None else str(text), 1.0
    for suffix, by in (("Gi", GIB), ("m", 1e-3), ("k", 1e3)):
        if number.endswith(suffix):
            number, factor = number.removesuffix(suffix), by
    return float(number) * factor


OWN_ONLY = [one for one, _ in KUBERNETES if not {"extra_containers", "init_containers"} & set(one)]


@pytest.mark.parametrize("options", OWN_ONLY)
async def test_memory_and_cores_are_those_of_the_pod_that_kubespawner_makes(options):
    """Of what has a limit and is not guaranteed, Kubernetes guarantees the limit."""
    made = KubeSpawner(_mock=True, **options)
    made.user_options = {}
    container = (await made.get_pod_manifest()).spec.containers[0]
    said = container.resources
    in_pod = {**(said.limits or {}), **(said.requests or {})}
    asked = asked_by(made, ASKED).rates
    for name in ("memory", "cpu"):
        assert asked[name] == amount(in_pod.get(name, 0))


def device(**said: Any) -> dict[str, Any]:
    """As docker.types.DeviceRequest writes it."""
    return {"Driver": "nvidia", "Capabilities": [["gpu"]]} | said


OTHERS: list[tuple[dict[str, Any], dict[str, float]]] = [
    ({"extra_host_config": {}}, {}),
    ({"extra_host_config": {"mem_limit": "2g"}}, {"memory": 2 * GIB}),
    ({"extra_host_config": {"mem_limit": 2 * GIB}}, {"memory": 2 * GIB}),
    ({"extra_host_config": {"mem_limit": "512m", "mem_reservation": "256mb"}}, {"memory": GIB / 4}),
    ({"extra_host_config": {"mem_limit": "1073741824"}}, {"memory": GIB}),
    # DockerSpawner merges it over what it makes of the spawner's options.
    ({"mem_limit": 4 * GIB, "extra_host_config": {"mem_limit": "2g"}}, {"memory": 2 * GIB}),
    ({"mem_limit": "1G", "extra_host_config": {"mem_limit": "64g"}}, {"memory": 64 * GIB}),
    ({"cpu_limit": 1, "extra_host_config": {"cpu_quota": 800_000}}, {"cpu": 8}),
    ({"cpu_limit": 1, "extra_host_config": {"nano_cpus": 8 * 10**9}}, {"cpu": 8}),
    ({"cpu_limit": 2, "extra_host_config": {"cpu_period": 50_000}}, {"cpu": 2}),
    # To Docker -1 is no limit.
    ({"cpu_limit": 1, "extra_host_config": {"cpu_quota": -1}}, {}),
    ({"mem_limit": "1G", "extra_host_config": {"mem_limit": -1}}, {}),
    ({"mem_limit": "1G", "extra_host_config": {"mem_limit": "-1"}}, {}),
    ({"mem_limit": "8G", "extra_host_config": {"cpu_quota": -1}}, {"memory": 8 * GIB}),
    # Docker guarantees nothing; Swarm does.
    ({"mem_guarantee": "1G", "mem_limit": "8G", "extra_host_config": {}}, {"memory": 8 * GIB}),
    (
        {
            "mem_guarantee": "1G",
            "mem_limit": "8G",
            "extra_host_config": {},
            "extra_resources_spec": {},
        },
        {"memory": GIB},
    ),
    ({"extra_host_config": {"cpuset_cpus": "0-3,8"}}, {"cpu": 5}),
    ({"cpu_limit": 1, "extra_host_config": {"cpuset_cpus": "0-3"}}, {"cpu": 1}),
    (
        {
            "extra_host_config": {
                "device_requests": [{"Driver": "", "Capabilities": [["nvidia"]], "Count": 2}]
            }
        },
        {"gpu": 2},
    ),
    (
        {
            "extra_host_config": {
                "device_requests": [
                    {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0", "amd.com/gpu=1"]}
                ]
            }
        },
        {"gpu": 2},
    ),
    ({"extra_host_config": {"runtime": "runc", "devices": ["/dev/fuse"]}}, {}),
    ({"unit_extra_properties": {"CPUWeight": "100", "LimitNOFILE": "16384"}}, {}),
    ({"req_options": "--partition=students --time=8:00:00", "req_gres": ""}, {}),
    ({"req_options": "--nodes=1 -N 1 -N jupyter -G teachers -cwd -notify --export=NONE"}, {}),
    ({"req_options": "--mail-user=member@example.org --comment=remember -q nodes"}, {}),
    ({"unit_extra_properties": {"LimitMEMLOCK": "infinity", "CPUSchedulingPolicy": "idle"}}, {}),
    ({"extra_create_kwargs": {"user": "root", "labels": {"cpu": "no"}}}, {}),
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
    assert (asked.unreadable, asked.unknown) == ((), set())


def of_its_class(options: dict[str, Any]) -> Any:
    """A spawner of the class that has these options, the real one."""
    kinds = {DockerSpawner: "extra_", SlurmSpawner: "req_", SystemdSpawner: "unit_"}
    begins = {kind for kind, start in kinds.items() if any(map(start_of(start), options))}
    (kind,) = begins or {DockerSpawner}
    names = kind.class_traits()
    assert set(options) <= set(names), (kind, options)
    return kind(user=ADA, **options)


def start_of(start: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(start)


@pytest.mark.parametrize(
    ("options", "expected"),
    # Swarm's options are those of a class of its own.
    [pair for pair in OTHERS if "extra_resources_spec" not in pair[0]],
)
def test_the_spawners_themselves_say_the_same(options, expected):
    asked = asked_by(of_its_class(options), ASKED)
    assert dict(asked.rates) == NOTHING | expected
    assert (asked.unreadable, asked.unknown) == ((), set())


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        (SystemdSpawner, {"mem_limit": "2G", "cpu_limit": 1.5}, {"memory": 2 * GIB, "cpu": 1.5}),
        (TorqueSpawner, {"req_memory": "4gb", "req_nprocs": "8"}, {"memory": 4 * GIB, "cpu": 8}),
        (SwarmSpawner, {"mem_limit": "8G", "mem_guarantee": "1G"}, {"memory": GIB}),
        (SystemdSpawner, {}, {}),
        (SlurmSpawner, {}, {}),
        (DockerSpawner, {}, {}),
    ],
)
def test_spawners_that_are_not_kubespawner(kind, options, expected):
    asked = asked_by(kind(user=ADA, **options), ASKED)
    assert dict(asked.rates) == NOTHING | expected
    assert (asked.unreadable, asked.unknown) == ((), set())


@pytest.mark.parametrize(
    ("options", "unknown"),
    [
        ({"extra_resource_limits": {"nvidia.com/gpu": "many"}}, {"gpu"}),
        ({"extra_resource_limits": {"nvidia.com/gpu": -1}}, {"gpu"}),
        ({"extra_resource_limits": ["nvidia.com/gpu"]}, {"memory", "cpu", "gpu"}),
        ({"extra_containers": [{"resources": {"requests": {"memory": "lots"}}}]}, {"memory"}),
        ({"extra_host_config": lambda spawner: {}}, {"memory", "cpu", "gpu"}),
        ({"extra_host_config": {"mem_limit": "2 elephants"}}, {"memory"}),
        ({"extra_host_config": {"device_requests": ["all"]}}, {"gpu"}),
        ({"req_memory": "4000"}, {"memory"}),  # of what, each batch system says differently
        ({"req_nprocs": "a few"}, {"cpu"}),
        ({"req_nprocs": "-4"}, {"cpu"}),
        ({"cpu_limit": float("inf")}, {"cpu"}),
        ({"mem_limit": float("nan")}, {"memory"}),
        ({"mem_limit": -5}, {"memory"}),
        ({"mem_limit": "-2G"}, {"memory"}),
        ({"mem_limit": [1]}, {"memory"}),
        ({"extra_host_config": {"mem_limit": float("inf")}}, {"memory"}),
        ({"extra_resource_limits": {"cpu": "-1"}}, {"cpu"}),
        ({"extra_resource_limits": {"nvidia.com/gpu": "1e400"}}, {"gpu"}),
        ({"extra_host_config": {"runtime": "nvidia"}}, {"gpu"}),
        ({"extra_host_config": {"devices": ["/dev/nvidia0:/dev/nvidia0"]}}, {"gpu"}),
        ({"extra_host_config": {"devices": ["/dev/kfd", "/dev/dri"]}}, {"gpu"}),
        ({"extra_host_config": {"cpuset_cpus": "all"}}, {"cpu"}),
        ({"extra_create_kwargs": {"host_config": {"Memory": GIB, "mem_limit": GIB}}}, {"memory"}),
        ({"extra_resources_spec": {"mem_limit": GIB, "cpu_limit": 10**9}}, {"memory", "cpu"}),
        ({"extra_resources_spec": {"generic_resources": {"NVIDIA-GPU": 1}}}, {"gpu"}),
        ({"extra_task_spec": {"resources": {"mem_limit": GIB}}}, {"memory"}),
        ({"req_gres": "gpu:2"}, {"gpu"}),
        ({"req_options": "--gres=gpu:2 --mem=64G"}, {"gpu", "memory"}),
        ({"req_options": "-l select=1:ncpus=4:mem=8gb"}, {"cpu", "memory"}),
        ({"req_options": "-c 8"}, {"cpu"}),
        # Slurm's short and joined options, Grid Engine, PBS, HTCondor.
        ({"req_options": "-c8"}, {"cpu"}),
        ({"req_options": "-n4"}, {"cpu"}),
        ({"req_options": "--mincpus=4"}, {"cpu"}),
        ({"req_options": "--nodes=4"}, {"cpu"}),
        ({"req_options": "-N 2"}, {"cpu"}),
        ({"req_options": "-l nodes=2"}, {"cpu"}),
        ({"req_options": "--exclusive"}, {"cpu", "memory"}),
        ({"req_options": "-G 2"}, {"gpu"}),
        ({"req_options": "-G v100:2"}, {"gpu"}),
        ({"req_options": "-pe smp 8"}, {"cpu"}),
        ({"req_options": "-l h_vmem=4G,mem_free=4G"}, {"memory"}),
        ({"req_options": "-l pmem=2gb"}, {"memory"}),
        ({"req_options": "-l vmem=2gb"}, {"memory"}),
        ({"req_options": "request_memory = 4GB"}, {"memory"}),
        ({"req_options": "request_cpus = 4"}, {"cpu"}),
        ({"unit_extra_properties": {"MemoryMax": "2G", "CPUQuota": "200%"}}, {"memory", "cpu"}),
        ({"unit_extra_properties": {"AllowedCPUs": "0-3"}}, {"cpu"}),
        ({"unit_extra_properties": {"CPUAffinity": "0-3"}}, {"cpu"}),
        # Dynamic resource allocation of Kubernetes: its devices have the names of claims.
        ({"extra_container_config": {"resources": {"claims": [{"name": "big"}]}}}, {"gpu"}),
        (
            {"extra_pod_config": {"containers": [{"resources": {"limits": {"memory": "8Gi"}}}]}},
            {"memory"},
        ),
        ({"extra_container_config": {"resources": {"limits": {"nvidia.com/gpu": 1}}}}, {"gpu"}),
        ({"mem_guarantee": "x" * 1000}, {"memory"}),
        ({"mem_limit": lambda spawner: spawner.user_options["size"]}, {"memory"}),
    ],
)
def test_what_cannot_be_read_is_unknown_and_not_zero(options, unknown):
    asked = asked_by(SimpleNamespace(**options), ASKED)
    assert set(NOTHING) - set(asked.rates) == unknown
    assert asked.unknown == unknown
    assert {line.partition(":")[0] for line in asked.unreadable} == unknown
    assert all(len(line) < 500 for line in asked.unreadable)


@pytest.mark.parametrize(
    ("options", "least"),
    [
        ({"extra_host_config": {"device_requests": [device(Count=-1)]}}, {"gpu": 1}),
        (
            {
                "extra_host_config": {
                    "device_requests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}]
                }
            },
            {"gpu": 1},
        ),
        (
            {"mem_limit": "2G", "extra_containers": [{"resources": {"limits": {"memory": "?"}}}]},
            {"memory": 2 * GIB},
        ),
        ({"cpu_limit": 2, "unit_extra_properties": {"CPUQuota": "400%"}}, {"cpu": 2}),
    ],
)
def test_what_can_be_read_is_the_least_of_what_is_not_known(options, least):
    asked = asked_by(SimpleNamespace(**options), ASKED)
    assert dict(asked.rates) == NOTHING | least
    assert asked.unknown == set(least)
    assert len(asked.unreadable) == 1


ADDED = Resource("disk", "Disk", {"GB": 1.0}, "10 GB-hours", asked="10", kubernetes=("disk",))
PLAIN = replace(ADDED, kubernetes=(), spawner_options=("disk_guarantee", "disk_limit"))


@pytest.mark.parametrize(
    ("resource", "options", "expected"),
    [
        (ADDED, {"extra_resource_limits": {"disk": "5"}, "req_options": "--tmp=8G"}, 5),
        (ADDED, {"extra_pod_config": {"containers": [{"resources": {}}]}}, 0),
        (ADDED, {"extra_host_config": {"runtime": "nvidia", "cpuset_cpus": "0-3"}}, 0),
        (PLAIN, {"disk_limit": 5}, 5),
        (PLAIN, {"disk_limit": 5, "disk_guarantee": 3}, 3),
    ],
)
def test_a_resource_that_is_added_needs_nothing_of_other_spawners(resource, options, expected):
    asked = asked_by(SimpleNamespace(**options), {"disk": resource})
    assert dict(asked.rates) == {"disk": expected, "time": 1}
    assert asked.unknown == set()
