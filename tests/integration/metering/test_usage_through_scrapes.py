"""Whatever stands between pods and Prometheus, and however often it looks, usage is the same: what
a minute-by-minute integral over the samples says, and what pods did to a scrape and a minute.

Every case is a namespace of its own, in one Prometheus.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from tests.support.resources import with_gpus
from tests.support.samples import (
    GIB,
    GONE,
    HOUR,
    MINUTE,
    NOW,
    RUNNING,
    Happened,
    Life,
    Target,
    asks,
    hub_pod,
    lived,
    runs,
)
from tests.support.ways import REACH, RESOURCES, Ways, asking

BEGIN, END = NOW - 4.5 * HOUR, NOW + 10 * MINUTE
MIDDLE = NOW - 80 * MINUTE + 11
"""When things change, while some pods run."""

TWO_CONTAINERS = {**asks(4, 0, 2), "sidecar": {"memory": GIB / 2, "cpu": 1.0}}

OTHERS = {"namespace": "monitoring", "pod": "ksm-5b8d-7xkqj", "container": "ksm"}


def people(namespace: str) -> list[Life]:
    """What happens in every case."""
    lives = [
        hub_pod(BEGIN, END),
        runs("steady", BEGIN, END, ask=asks(2, 1, 1)),
        runs("gone", NOW - 3 * HOUR + 77, MIDDLE - 600),
        Life(
            "cycle",
            {
                NOW - 3.5 * HOUR: "Pending",
                NOW - 3.4 * HOUR: "Scheduled",
                NOW - 3.3 * HOUR: RUNNING,
                NOW - 2 * HOUR: "Succeeded",
                MIDDLE + 1000: GONE,
            },
        ),
        runs(
            "sized", NOW - 3 * HOUR, NOW - 700, (MIDDLE - 2000, asks(4)), (MIDDLE + 2000, asks(1))
        ),
        runs("sized at once", NOW - 2 * HOUR, NOW - 700, (MIDDLE, asks(4)), name="s", uid="s"),
        runs("pair", NOW - 3 * HOUR, NOW - HOUR),
        runs("pair", NOW - 2.5 * HOUR, END, name="pair--x", uid="p-2", ask=TWO_CONTAINERS),
        *(runs("often", MIDDLE + n * 900, MIDDLE + n * 900 + 700, uid=f"o-{n}") for n in range(5)),
        Life("failed", {NOW - 3 * HOUR: "Failed"}),
        runs("new", NOW - 400, END),
    ]  # fmt: skip
    return [replace(life, namespace=namespace) for life in lives]


def ksm(
    name: str = "ksm-0", start: float = BEGIN, end: float = END, every: float = 30, **options
) -> Target:
    return Target(start, end, every, labels={"instance": name, "job": "ksm"}, **options)


def prometheus(replica: str, **options) -> Target:
    labels = {"instance": "ksm-0", "replica": replica}
    return Target(BEGIN, END, 30, **{"labels": labels, **options})


def shard(number: int) -> Callable[[Happened], bool]:
    return lambda life: zlib.crc32(life.username.encode()) % 2 == number


@dataclass(frozen=True)
class Case:
    """`slack` is for how many seconds at either end of a session what was seen may be wrong."""

    targets: Sequence[Target]
    slack: float = 30.0


CASES: dict[str, Case] = {
    "every 10 seconds": Case([ksm(every=10, offset=3.2)], 10),
    "every 15 seconds": Case([ksm(every=15, offset=14.999)]),
    "every 30 seconds": Case([ksm(every=30, offset=0)], 30),
    "every minute": Case([ksm(every=60, offset=0)], 60),
    "every minute, just after the full one": Case([ksm(every=60, offset=0.001)], 60),
    "every five minutes": Case([ksm(every=300, offset=61.5)], 300),
    "every five minutes, just before the full one": Case([ksm(every=300, offset=299.9)], 300),
    "an interval that changed": Case(
        [
            ksm(every=60, end=NOW - 3 * HOUR),
            ksm(every=10, start=NOW - 3 * HOUR, end=MIDDLE),
            ksm(every=30, start=MIDDLE, end=NOW - 20 * MINUTE),
            ksm(every=15, start=NOW - 20 * MINUTE),
        ],
        60,
    ),
    "an interval that became five minutes just now": Case(
        [ksm(end=NOW - 9 * MINUTE), ksm(every=300, start=NOW - 9 * MINUTE)], 300
    ),
    "two replicas of Prometheus": Case([prometheus("a", offset=2.5), prometheus("b", offset=6.6)]),
    "two replicas of Prometheus, one of which was away": Case(
        [
            prometheus("a", away=[(NOW - 3 * HOUR, MIDDLE), (NOW - 300, END)]),
            prometheus("b", offset=11, failing=[(MIDDLE + 100, NOW - 20 * MINUTE)]),
        ],
        315,
    ),
    "two replicas of Prometheus by turns": Case(
        [
            prometheus("a", failing=[(NOW - n * 1800, NOW - n * 1800 + 900) for n in range(9)]),
            prometheus("b", failing=[(NOW - n * 1800 - 900, NOW - n * 1800) for n in range(9)]),
        ]
    ),
    "kube-state-metrics twice": Case([ksm("ksm-0", offset=1.1), ksm("ksm-1", offset=9.9)]),
    "kube-state-metrics rolled with overlap": Case(
        [ksm("ksm-0", end=MIDDLE + 90, removed=True), ksm("ksm-1", start=MIDDLE)]
    ),
    "kube-state-metrics rolled with overlap, nobody marking it": Case(
        [ksm("ksm-0", end=MIDDLE + 90), ksm("ksm-1", start=MIDDLE)], 315
    ),
    "kube-state-metrics rolled with a pause": Case(
        [ksm("ksm-0", end=MIDDLE - 200, removed=True), ksm("ksm-1", start=MIDDLE)], 215
    ),
    "kube-state-metrics of a new chart": Case(
        [
            ksm(end=MIDDLE + 30),
            replace(ksm(start=MIDDLE), labels={"instance": "ksm-0", "helm_sh_chart": "ksm-6"}),
        ],
        315,
    ),
    "kube-state-metrics sharded by pod": Case(
        [ksm("ksm-0", has=shard(0)), ksm("ksm-1", has=shard(1), offset=2.2)]
    ),
    "kube-state-metrics sharded anew": Case(
        [
            ksm("ksm-0", end=MIDDLE, removed=True),
            ksm("ksm-0", start=MIDDLE, has=shard(1)),
            ksm("ksm-1", start=MIDDLE, has=shard(0), offset=12.2),
        ]
    ),
    "labels not honoured, kube-state-metrics elsewhere": Case([ksm(honors=False, own=OTHERS)]),
    "labels not honoured, no container among its own": Case(
        [ksm(honors=False, own={"namespace": "monitoring", "pod": "ksm-1"})]
    ),
    "labels honoured from some time on": Case(
        [
            ksm(end=MIDDLE, honors=False, own=OTHERS),
            ksm(start=MIDDLE, offset=8),
        ],
        315,
    ),
    "labels honoured until some time": Case(
        [ksm(end=MIDDLE, removed=True), ksm(start=MIDDLE, honors=False, own=OTHERS)]
    ),
    "labels honoured by one of two replicas of Prometheus": Case(
        [prometheus("a"), prometheus("b", honors=False, own=OTHERS, offset=3)]
    ),
}


def own_namespace(case: str, targets: Sequence[Target]) -> list[Target]:
    """kube-state-metrics in the Hub's own namespace."""
    own = {"namespace": case, "pod": "ksm-5b8d-7xkqj", "container": "ksm"}
    return [target if target.honors else replace(target, own=own) for target in targets]


ALL = {
    **{case: one.targets for case, one in CASES.items()},
    **{
        name: own_namespace(name, one.targets)
        for case, one in CASES.items()
        if not all(target.honors for target in one.targets)
        for name in [
            case.replace(", kube-state-metrics elsewhere", "") + ", in the Hub's namespace"
        ]
    },
}  # fmt: skip
SLACK = {name: one.slack for name, one in CASES.items()}


@pytest.fixture(scope="module")
def all_ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ways]]:
    with asking(tmp_path_factory.mktemp("prometheus")) as prometheus:
        yield {
            case: prometheus.ways(
                KubeStateMetrics(case, with_gpus("nvidia.com/*")), people(case), targets
            )
            for case, targets in ALL.items()
        }


@pytest.mark.parametrize("case", ALL)
def test_usage_is_what_the_samples_say(all_ways, case):
    all_ways[case].are_right()


@pytest.mark.parametrize("case", ALL)
def test_usage_is_what_the_pods_did(all_ways, case):
    ways = all_ways[case]
    over = REACH
    until = ways.kept["grown"].snapshots[0].coverage.last_scrape
    for user in ("steady", "gone", "cycle", "sized", "sized at once", "pair", "often", "new"):
        lives = [one for one in people(case) if one.username == user]
        for resource in RESOURCES:
            true, most = lived(lives, resource, NOW - over, until)
            found = ways.at_hand(user, resource).usage.between(NOW - over, NOW)
            slack = SLACK.get(case, 315) + MINUTE
            assert found == pytest.approx(true, abs=most * slack), (user, resource)


@pytest.mark.parametrize("namespace", ["monitoring", "hub-ns"])
def test_labels_not_honoured_but_no_pod_among_its_own(tmp_path, namespace):
    """Above all, pods are not those of all namespaces, which have the label `namespace` of
    kube-state-metrics.
    """
    target = ksm(honors=False, own={"namespace": namespace, "service": "ksm"})
    everybody = [*people("hub-ns"), *people("another-hub")]
    with asking(tmp_path) as prometheus:
        source = KubeStateMetrics("hub-ns", with_gpus("nvidia.com/*"))
        prometheus.ways(source, everybody, [target]).are_right()


@pytest.mark.parametrize(
    ("case", "interval"),
    [
        ("every 10 seconds", 60),
        ("every 30 seconds", 60),
        ("every minute", 60),
        ("every five minutes", 300),
        ("an interval that changed", 60),
    ],
)
def test_the_interval_is_found_out(all_ways, case, interval):
    """In whole minutes: that is how often is looked."""
    for kept in all_ways[case].kept.values():
        assert kept.snapshots[0].coverage.interval == interval
