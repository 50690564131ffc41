"""The resources: what can be limited.

No resource is named elsewhere, except where it is measured and where admins write it: other code
uses the properties that resources share. A new one is a `Resource` (`resource.py`) here, and a
source in `metering/sources/` where none measures it yet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from .other_names import CPU, DEVICES, GPU, MEMORY
from .phrases import mark, several
from .resource import BYTE_AMOUNTS, Resource
from .units import hyphenated

_BYTES_SHOWN = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")

RESOURCES: Mapping[str, Resource] = MappingProxyType(
    {
        resource.name: resource
        for resource in (
            Resource(
                "memory",
                mark("Memory"),
                amounts=BYTE_AMOUNTS,
                example="1000 GiB-hours",
                aliases={"byte": "B", "bytes": "B"},
                # "5000G" is how limits were first written; G is JupyterHub's 1024**3.
                bare_suffixes={prefix: f"{prefix}iB-hours" for prefix in "KMGT"},
                bare_unit="B-hours",
                bare_from=1024**3,
                shown_in=_BYTES_SHOWN,
                asked="8GiB",
                spawner_options=("mem_guarantee", "mem_limit"),
                docker_options=("mem_reservation", "mem_limit"),
                batch_option="req_memory",
                elsewhere=MEMORY,
                kubernetes=("memory",),
                usual_price="0.004237",
            ),
            Resource(
                "cpu",
                mark("CPU"),
                amounts={"CPU": 1.0},
                example="100 CPU-hours",
                aliases=dict.fromkeys(("cpus", "core", "cores", "vcpu", "vcpus"), "CPU"),
                bare_unit="CPU-hours",
                # Its M is ten thousand; what was written for it means what it did.
                bare_factors={"K": 10**3, "M": 10**4, "G": 10**5, "T": 10**6},
                asked="CORES",
                spawner_options=("cpu_guarantee", "cpu_limit"),
                docker_options=("nano_cpus", "cpu_quota"),
                docker_set="cpuset_cpus",
                batch_option="req_nprocs",
                elsewhere=CPU,
                kubernetes=("cpu",),
                usual_price="0.031611",
            ),
            Resource(
                "gpu",
                mark("GPU"),
                amounts={"GPU": 1.0},
                example="20 GPU-hours",
                aliases={"gpus": "GPU"},
                several="GPUs",
                asked="GPUS",
                docker_options=("device_requests",),
                batch_option="req_ngpus",
                elsewhere=GPU,
                kubernetes=DEVICES,
                usual_price="0.95",
            ),
            Resource(
                "time",
                mark("Server time"),
                amounts={"": 1.0},
                example="20 hours",
                aliases={"server": "", "servers": ""},
                by_running=1.0,
            ),
            Resource(
                "credits",
                mark("Credits"),
                amounts={"credits": 1.0},
                example="100 credits",
                aliases={"credit": "credits"},
                over_time=False,
                bought=True,
                priced_by="credit_prices",
            ),
            Resource(
                "cost",
                mark("Cost"),
                amounts={"USD": 1.0},
                example="200 USD",
                over_time=False,
                bought=True,
                priced_by="prices",
                money=True,
                decimals=2,
            ),
            Resource(
                "storage",
                mark("Home storage"),
                amounts=BYTE_AMOUNTS,
                example="10 GiB",
                shown_in=_BYTES_SHOWN,
                over_time=False,
                by_server=False,
                is_gauge=True,
                freeing=mark(
                    "If a server of yours still runs, delete files there that you no longer need;"
                    " it can take some minutes to be noticed. Otherwise ask the administrators to"
                    " help you delete them."
                ),
                usual_price="0.04",
            ),
        )
    }
)
"""The resources that a policy can limit without further configuration, by name."""

COUNTED: Mapping[str, tuple[str, str]] = MappingProxyType({"credits": several("credit", "credits")})
"""The units that are words, by their symbol: one of it, and several."""

IN_SENTENCES = (
    mark("memory"),
    mark("server time"),
    mark("credits"),
    mark("cost"),
    mark("home storage"),
)
"""How those are called within a sentence, where that is another text than their display name."""

Resources = Mapping[str, Resource]
"""Those that policies can limit, by name."""

STORAGE: Final = RESOURCES["storage"]
"""What home directories take up: for its source."""

CREDITS: Final = RESOURCES["credits"]
"""What servers cost: for the options about it."""
COST: Final = RESOURCES["cost"]
"""What servers cost in money: for the options about prices."""
BY_RUNNING: Mapping[str, float] = MappingProxyType(
    {one.name: one.by_running for one in RESOURCES.values() if one.by_running}
)
"""What every server uses just by running, per second."""

_GPU: Final = "gpu"


def has_gpu(rates: Iterable[str] | Mapping[str, float]) -> bool:
    """Whether a server that asks for these resources (or so much of them) is one of those that
    selectors call `gpu`.
    """
    return rates.get(_GPU, 0.0) > 0 if isinstance(rates, Mapping) else _GPU in rates


def may_have_gpu(rates: Mapping[str, float], unknown: Collection[str]) -> bool:
    """Whether it is not known if a server has one: of these resources it may ask for more."""
    return _GPU in unknown and not has_gpu(rates)


def with_gpu(rates: Mapping[str, float]) -> Mapping[str, float]:
    """The rates of a server that is known to have a GPU, which may not be measured."""
    return {_GPU: 1.0, **rates}


def in_currency(resource: Resource, currency: str, decimals: int) -> Resource:
    """A resource that is money, in another currency."""
    example = f"200 {currency}"
    return replace(resource, amounts={currency: 1.0}, example=example, decimals=decimals)


def defined_resource(name: str, display_name: str, unit: str) -> Resource:
    """A resource that an admin defines: so many `unit`s are in use at an instant."""
    unit = hyphenated(unit)
    return Resource(name, display_name, {unit: 1.0}, example=f"10 {unit}-hours", by_server=False)
