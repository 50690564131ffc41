"""A month of a made-up account, October 2026, of which everything was worked out by hand.

Each day 19.85 is charged: 8 for machines of the hub prod and 2 for its homes, 0.25 for its buckets;
1 for machines of staging; 3 for core machines, 1.10 for the NAT gateway and 0.50 for the load
balancer of the cluster; and 4 for machines of another cluster. On five days there is a workshop: 6
for its machines. With a credit of 25 and 61.43 of taxes the bill is
31 * 19.85 + 5 * 6 - 25 + 61.43 = 681.78.

In prod, ada weighs 10 + 4 * 5 = 30 and bob 30 + 4 * 5 = 50: of each 8, they used 3 and 5. Homes
are 90 and 9 of 100; the hundredth is nobody's. Only eve uses staging. In the workshop ada used a
third and eve two; of its first day it is not known who used it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from jupyterhub_usage_quotas.costs.usage_store import UsageStore, Used

CLUSTER = "campus"
FIRST, LAST = date(2026, 10, 1), date(2026, 10, 31)
AFTER = LAST + timedelta(days=1)
DAYS = [FIRST + timedelta(days=number) for number in range(31)]
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
WORKSHOP = DAYS[11:16]
NOT_KNOWN = WORKSHOP[0]
RESTATED = DAYS[4]
"""A day of which the bill says later that the buckets cost 0.10 more."""

MACHINES, OTHER = "Amazon Elastic Compute Cloud - Compute", "EC2 - Other"
OURS = {"2i2c.org/cluster-name": CLUSTER}
NAT = "EC2: NAT Gateway - Running Hours"


def of_hub(name: str, **more: str) -> dict[str, str]:
    return {**OURS, "2i2c:hub-name": name, **more}


@dataclass(frozen=True)
class Charge:
    """What was charged for something on a day, as Cost Explorer knows it."""

    day: date
    service: str
    amount: str
    tags: Mapping[str, str] = field(default_factory=dict)
    kind: str = "Usage"
    usage: str = ""
    estimated: bool = False


def charges(*, restated: bool = False) -> list[Charge]:
    """All charges of the month."""
    found = [one for day in DAYS for one in _of_day(day, restated=restated)]
    found += [Charge(day, MACHINES, "6", of_hub("workshop")) for day in WORKSHOP]
    credit = Charge(DAYS[2], MACHINES, "-25", of_hub("prod"), "Credit")
    return [*found, credit, Charge(LAST, "Tax", "61.43", {}, "Tax")]


def _of_day(day: date, *, restated: bool) -> Iterator[Charge]:
    buckets = "0.35" if restated and day == RESTATED else "0.25"
    core = {"alpha.eksctl.io/cluster-name": CLUSTER, "2i2c:node-purpose": "core"}
    yield Charge(day, MACHINES, "8", of_hub("prod", **{"2i2c:node-purpose": "user"}))
    yield Charge(day, OTHER, "2", of_hub("prod", **{"2i2c:volume-purpose": "home-nfs"}))
    yield Charge(day, MACHINES, "1.0000000000", of_hub("staging"))
    yield Charge(day, MACHINES, "3", core)
    balancer = {f"kubernetes.io/cluster/{CLUSTER}": "owned"}
    yield Charge(day, "Amazon Elastic Load Balancing", "0.5", balancer)
    yield Charge(day, "Amazon Simple Storage Service", buckets, of_hub("prod"))
    yield Charge(day, MACHINES, "4", {"2i2c.org/cluster-name": "another"})
    yield Charge(day, OTHER, "1.1", OURS, usage=NAT)


PRICES = {"memory": 1.0, "cpu": 4.0, "storage": 0.04}
"""What weighs a GiB-hour, a CPU-hour and a GB-month."""
GIB_HOUR, CPU_HOUR, GB_DAY = 1024 * 3600, 3600 * 1000, 10**9 * 86400 // 2**20
PROD = [
    Used("ada", "large", "memory", 10 * GIB_HOUR),
    Used("ada", "large", "cpu", 5 * CPU_HOUR),
    Used("ada", "", "storage", 90 * GB_DAY),
    Used("bob", "", "memory", 20 * GIB_HOUR),
    Used("bob", "large", "memory", 10 * GIB_HOUR),
    Used("bob", "", "cpu", 5 * CPU_HOUR),
    Used("bob", "", "storage", 9 * GB_DAY),
    Used("", "", "storage", 1 * GB_DAY),
]
IN_WORKSHOP = [Used("ada", "", "memory", GIB_HOUR), Used("eve", "", "memory", 2 * GIB_HOUR)]
GROUPS = {
    "prod": {"ada": ["maths", "physics"], "bob": ["physics"]},
    "staging": {"eve": []},
    "workshop": {"ada": ["physics"], "eve": []},
}


async def keep_usage(store: UsageStore) -> None:
    """Keep what was used in the month, and who is in which groups."""
    for day in DAYS:
        await store.write(day, "prod", PROD, 1.0, NOW)
        await store.write(day, "staging", [Used("eve", "", "memory", 2 * GIB_HOUR)], 1.0, NOW)
        if day != NOT_KNOWN:
            there = IN_WORKSHOP if day in WORKSHOP else []
            await store.write(day, "workshop", there, 1.0, NOW)
    for hub, groups in GROUPS.items():
        await store.note_groups(FIRST, hub, groups)
