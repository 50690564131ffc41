"""Where Prometheus scrapes kube-state-metrics without `honor_labels`, every label that its target
has makes way by itself: in each mix usage is what the samples say and what the pods did.

Every mix is a namespace of its own, in one Prometheus, with two replicas of kube-state-metrics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, combinations, product

import pytest

from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.sources.pod_names import Owner
from tests.support.resources import with_gpus
from tests.support.samples import (
    GIB,
    HOUR,
    MINUTE,
    NOW,
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
TWO_CONTAINERS = {**asks(4, 1, 2), "sidecar": {"memory": GIB / 2, "cpu": 1.0}}
SIDECAR = {"proxy": {"memory": 2.0 * GIB}}
SIDECAR_LIKE = {"chown": {"memory": 64.0 * GIB}}

CLASHING = ("namespace", "pod", "container", "uid")
MIXES = [*chain.from_iterable(combinations(CLASHING, number) for number in range(1, 5))]
OTHERS = [("node",), ("node", "container"), (*CLASHING, "node")]


def own(mix: tuple[str, ...], replica: int, namespace: str) -> Mapping[str, str]:
    """The labels of the target itself, which differ from replica to replica."""
    return {name: namespace if name == "namespace" else f"ksm-{name}-{replica}" for name in mix}


def people(namespace: str) -> list[Life]:
    lives = [
        hub_pod(BEGIN, END),
        runs("steady", BEGIN, END, ask=TWO_CONTAINERS, beside=SIDECAR, init=SIDECAR_LIKE),
        runs("pair", NOW - 3 * HOUR, NOW - HOUR),
        runs("pair", NOW - 2.5 * HOUR, NOW - 900, name="pair--x", uid="p-2", ask=asks(2)),
        runs("sized", NOW - 2 * HOUR, NOW - 700, (MIDDLE, asks(4))),
        *(runs("again", MIDDLE + n * 900, MIDDLE + n * 900 + 700, uid=f"a-{n}") for n in range(3)),
    ]  # fmt: skip
    return [
        replace(one, namespace=namespace, uid=f"{one.uid or one.name or one.username}-{namespace}")
        for one in lives
    ]


def scraped(mix: tuple[str, ...], namespace: str, **more) -> list[Target]:
    return [
        Target(
            **{"start": BEGIN, "end": END, "every": 60, "offset": 3.1 + replica, **more},
            labels={"instance": f"ksm-{replica}"},
            honors=False,
            own=own(mix, replica, namespace),
        )
        for replica in range(2)
    ]


def cases() -> Iterator[tuple[str, list[Target]]]:
    for mix in (*MIXES, *OTHERS):
        yield "-".join(mix), scraped(mix, "monitoring")
    for mix in (("namespace",), ("namespace", "pod"), CLASHING):
        name = f"{'-'.join(mix)}-in-hub"
        yield name, scraped(mix, name)
    for mix in (*MIXES[:4], CLASHING):
        honoured = Target(BEGIN, END, 60, 8.0, labels={"instance": "ksm-2"})
        until = scraped(mix, "monitoring", end=MIDDLE, removed=True)
        yield f"{'-'.join(mix)}-until", [*until, replace(honoured, start=MIDDLE)]
        yield f"{'-'.join(mix)}-and-not", [*scraped(mix, "monitoring"), honoured]


CASES = dict(cases())
SLACK = 60.0 + MINUTE
"""A scrape and a minute."""


@pytest.fixture(scope="module")
def all_ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ways]]:
    with asking(tmp_path_factory.mktemp("prometheus")) as prometheus:
        yield {
            name: prometheus.ways(
                KubeStateMetrics(name, with_gpus("nvidia.com/*")),
                people(name),
                targets,
                grows=False,
            )
            for name, targets in CASES.items()
        }


@pytest.mark.parametrize("case", CASES)
def test_usage_is_what_the_samples_say(all_ways, case):
    all_ways[case].are_right()


@pytest.mark.parametrize("case", CASES)
def test_usage_is_what_the_pods_did(all_ways, case):
    ways = all_ways[case]
    users = ["steady", "pair", "sized", "again"]
    until = ways.kept["started"].snapshots[0].coverage.last_scrape
    for way, readings in ways.readings(users).items():
        for user, resource in product(users, RESOURCES):
            lives = [one for one in people(case) if one.username == user]
            true, most = lived(lives, resource, NOW - REACH, until)
            found = readings[user][resource].usage.between(NOW - REACH, NOW)
            assert found == pytest.approx(true, abs=most * SLACK), (way, user, resource)


class Names:
    """What the pods of one namespace are called."""

    like = ()

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    async def owners(self) -> Mapping[tuple[str, str], Owner]:
        return {
            (self.namespace, one.name or f"jupyter-{one.username}"): Owner(one.username)
            for one in people(self.namespace)
            if one.username
        }

    def left_over(self, pods: object) -> None:
        """The Hub's own pod is of no user."""


@pytest.mark.parametrize("mix", MIXES, ids="-".join)
def test_pods_are_identified_by_name(all_ways, mix):
    name = "-".join(mix)
    by_annotation = all_ways[name]
    source = KubeStateMetrics(name, with_gpus("nvidia.com/*"), named=Names(name))
    Ways(by_annotation.prometheus, source, by_annotation.samples, grows=False).are_right(
        "steady", "pair", "sized", "again"
    )
