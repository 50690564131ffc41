"""Whatever becomes of pods, their usage is what a minute-by-minute integral over the samples says,
by every way to a reading, and what the pods did, to a scrape and a minute at either end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.quotas.subject import REST
from tests.support.resources import with_gpus
from tests.support.samples import (
    GIB,
    GONE,
    HOUR,
    MINUTE,
    NOW,
    RUNNING,
    Life,
    Target,
    asks,
    hub_pod,
    lived,
    runs,
)
from tests.support.ways import REACH, RESOURCES, Ways, asking, instant

BEGIN, END = NOW - 4.5 * HOUR, NOW + 10 * MINUTE
FROM, TO = NOW - 3 * HOUR + 17, NOW - HOUR - 41
LATER = FROM + HOUR
EVERY = 15
"""Seconds between scrapes; they are 7.3 seconds after the full quarter of a minute."""

HOSTILE = [
    'a"b\\c', "line\nbreak\ttab", 'x{y="z"} or vector(1)', ".*", "a|b", "$1", "{{ $value }}",
    "ü€\U0001f40d",
    'u",pod=~".*', "' OR 1=1 --", " ", "-", "a" * 255, "\u202eright-to-left", "\x00\x7f", "al",
]  # fmt: skip


def sidecars(memory: float = 1) -> dict[str, dict[str, float]]:
    return {
        "notebook": {"memory": memory * GIB, "cpu": 0.25},
        "sidecar": {"memory": GIB / 4, "cpu": 1.0, "nvidia_com_gpu": 1.0},
        "istio-proxy": {"memory": GIB / 8},
    }


def stays(user: str, phase: str, since: float = LATER) -> Life:
    """A pod that is left behind in a phase, to be seen until the end."""
    return Life(user, {FROM: "Pending", FROM + 200: RUNNING, since: phase})


def stuck(user: str) -> Life:
    """A pod that keeps its phase until the end, because its node is gone."""
    return Life(user, {FROM: RUNNING})


def proxy(memory: float, cpu: float = 0.5, gpu: float = 0) -> Mapping[str, Mapping[str, float]]:
    """What a sidecar asks for."""
    return {"proxy": asks(memory, cpu, gpu)["notebook"]}


CASES: dict[str, list[Life]] = {
    "one pod": [runs("one", FROM, TO, ask=asks(2, 1, 1))],
    "pending without a node, then with one, then running": [
        Life("cycle", {FROM: "Pending", FROM + 333: "Scheduled", LATER: RUNNING, TO: GONE})
    ],
    "pending without a node for hours": [Life("waits", {FROM: "Pending", TO: GONE})],
    "pending on a node for hours": [Life("pulls", {FROM: "Scheduled"})],
    "on a node at once, in the same scrape": [
        Life("quick", {FROM: "Pending", FROM + 3: "Scheduled", FROM + 5: RUNNING, TO: GONE})
    ],
    "succeeded and left behind": [stays("succeeded", "Succeeded")],
    "failed and left behind": [stays("failed", "Failed")],
    "evicted, left behind, and started again": [
        stays("evicted", "Failed"),
        runs("evicted", LATER + 100, TO, name="jupyter-evicted", uid="evicted-2"),
    ],
    "its node was lost for an hour": [
        Life("lost", {FROM: RUNNING, LATER: "Unknown", LATER + HOUR - 300: RUNNING, TO: GONE})
    ],
    "its node is gone, and it stays": [
        replace(stuck("stuck"), deleted={LATER: LATER + 30}),
    ],
    "its node is gone, and it is deleted again at once": [
        replace(stuck("forced"), deleted={LATER: LATER + 3600, LATER + 400: LATER + 400})
    ],
    "stopped within its grace period": [
        replace(runs("polite", FROM, LATER), deleted={LATER - 20: LATER + 10})
    ],
    "stuck since before the window": [
        replace(stuck("forgotten"), deleted={FROM + 1: FROM + 2})
    ],
    "its node is gone, and it was started again": [
        replace(stuck("twice"), deleted={LATER: LATER + 30}),
        runs("twice", LATER + 600, TO, name="jupyter-twice", uid="twice-2"),
    ],
    "containers that were restarted": [
        runs("restarted", FROM, TO, restarts=(FROM + 1000, FROM + 1010, LATER))
    ],
    "several containers": [runs("sidecars", FROM, TO, ask=sidecars())],
    "init containers": [
        runs("init", FROM, TO, init={"chown": {"memory": 64 * GIB, "cpu": 9, "nvidia_com_gpu": 4}})
    ],
    "a sidecar among the init containers": [
        runs("mesh", FROM, TO, init={"chown": {"memory": 64 * GIB}}, beside=proxy(4, 0.25, 1))
    ],
    "its sidecar asks, and nothing else": [
        runs("proxied", FROM, TO, ask={"notebook": {}}, beside=proxy(2))
    ],
    "a sidecar, between two minutes": [runs("blink", FROM + 43, FROM + 58, beside=proxy(3))],
    "a sidecar, and resized while it runs": [
        runs("meshed", FROM, TO, (LATER, asks(3)), beside={"proxy": {"memory": 4 * GIB}})
    ],
    "asks for nothing": [runs("modest", FROM, TO, ask={"notebook": {}})],
    "asks for memory only": [runs("z2jh", FROM, TO, ask=asks(1, 0))],
    "asks for what is not measured": [
        runs("exotic", FROM, TO, ask={"notebook": {"ephemeral_storage": 1e9, "hugepages_2Mi": 1e9}})
    ],
    "asks for parts of GPUs": [
        runs("mig", FROM, TO, ask={"notebook": {"nvidia_com_mig_1g_5gb": 2, "nvidia_com_gpu": 1}})
    ],
    "in one scrape only, which a minute sees": [runs("flash", FROM + 30, FROM + 40)],
    "in one scrape only, between two minutes": [runs("wink", FROM + 43, FROM + 58)],
    "twenty short sessions": [
        runs("often", FROM + n * 331, FROM + n * 331 + 61 + n, uid=f"o{n}") for n in range(20)
    ],
    "resized while it runs": [
        runs("resized", FROM, TO, (LATER, asks(3, 0.5, 2)), (LATER + 1500, asks(0.5, 4)))
    ],
    "resized as the last hour begins": [
        runs("hourly", FROM, END, (NOW - HOUR - 3, asks(3)), (NOW - HOUR + 70, asks(2)))
    ],
    "one of its containers resized": [
        runs("part", FROM, TO, (LATER, sidecars(3)), ask=sidecars())
    ],
    "resized just now": [runs("now", FROM, END, (NOW - 100, asks(3)))],
    "a name used again with another uid": [
        runs("again", FROM, LATER, uid="again-1"),
        runs("again", LATER + 2, TO, uid="again-2", ask=asks(2)),
    ],
    "a name used again by somebody else": [
        runs("first", FROM, LATER, name="jupyter-x", uid="x-1"),
        runs("second", LATER + 2, TO, name="jupyter-x", uid="x-2", ask=asks(4)),
    ],
    "two servers at once": [
        runs("both", FROM, TO),
        runs("both", FROM + 1000, TO - 1000, name="jupyter-both--x", uid="b2", ask=asks(4, 2, 1)),
    ],
    "renamed": [runs("old-name", FROM, LATER), runs("new-name", LATER + 60, TO, uid="n2")],
    "deleted long ago": [runs("deleted", NOW - 3.9 * HOUR, NOW - 3.5 * HOUR)],
    "runs since before the window, and on": [runs("always", BEGIN, END, ask=asks(1, 1, 1))],
    "first seen in the last minute": [runs("newest", NOW - 50, END)],
    "first seen in the last scrape": [runs("just", NOW - 10, END)],
    "ended in the last minute": [runs("gone", NOW - HOUR, NOW - 50)],
    "ended before the last scrape": [runs("leaving", NOW - HOUR, NOW - 10)],
    "started after the last scrape": [runs("future", NOW - 5, END)],
    "labels of 100 kB": [
        runs(
            "laden",
            FROM,
            TO,
            annotations={f"annotation_{n}_{'k' * 200}": 'v\\"\n' * 250 for n in range(100)},
        )
    ],
    "a user called as in no other system": [
        runs(name, FROM + n, TO, ask=asks(1 + n), name=f"jupyter-{n}", uid=f"hostile-{n}")
        for n, name in enumerate(HOSTILE)
    ],
    "a pod of no user": [runs("", FROM, TO, name="dask-worker", uid="dask", ask=asks(64))],
    "another Hub's pod of the same name and user": [
        runs("one", FROM, TO, namespace="other-hub", uid="elsewhere", ask=asks(64))
    ],
}  # fmt: skip

ADDED = runs("more", FROM, TO, (LATER, asks(1, 2)), ask=asks(1, 0), namespace="other-hub")


def history() -> Iterator[Life]:
    yield hub_pod(BEGIN, END)
    yield hub_pod(BEGIN, END, "other-hub")
    for lives in CASES.values():
        yield from lives
    yield ADDED


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    source = KubeStateMetrics("hub-ns", with_gpus("nvidia.com/*"))
    with asking(tmp_path_factory.mktemp("prometheus")) as prometheus:
        yield prometheus.ways(source, history(), [Target(BEGIN, END, EVERY)])


@pytest.mark.parametrize("case", CASES)
def test_usage_is_what_the_samples_say(ways, case):
    ways.are_right(*{life.username for life in CASES[case]})


@pytest.mark.xfail(
    reason="that a request was not always there is not seen: it is taken to have been while it ran"
)
def test_a_request_that_is_added_while_it_runs(ways):
    Ways(ways.prometheus, KubeStateMetrics("other-hub"), ways.samples).are_right("more")


@pytest.mark.parametrize("case", CASES)
def test_usage_is_what_the_pods_did(ways, case):
    users = {life.username for life in CASES[case]} - {""}
    for user in users:
        lives = [one for one in history() if one.username == user and one.namespace == "hub-ns"]
        for resource in RESOURCES:
            true, most = lived(lives, resource, NOW - REACH, NOW - 7.7)
            found = ways.at_hand(user, resource).usage.between(NOW - REACH, NOW)
            assert found == pytest.approx(true, abs=most * (EVERY + MINUTE)), (user, resource)


def test_everybody_at_once_is_everybody_by_themselves(ways):
    asked = ways.prometheus.meter(ways.source, lambda: NOW)
    over, truth = timedelta(seconds=REACH), ways.whole
    everybody = ways.prometheus.run(asked.read(None, RESOURCES, over, instant(NOW)))
    assert set(everybody) == {*ways.kept["grown"].users, REST}
    assert len(everybody) > 40
    for user, readings in everybody.items():
        for resource in RESOURCES:
            found = readings[resource].usage.between(NOW - REACH, NOW)
            true = truth.between(user, resource, NOW - REACH, NOW)
            assert found == pytest.approx(true, rel=1e-9), (user, resource)


def test_who_used_nothing_used_zero(ways):
    for way, readings in ways.readings(["nobody"]).items():
        for resource, reading in readings["nobody"].items():
            assert reading.usage.between(NOW - REACH, NOW) == 0, (way, resource)
            assert reading.usage.covered_until == instant(NOW - 7.7)


def test_the_cases_are_what_they_are_called(ways):
    """The oracle is no better than its samples: some of them by hand."""

    def gib_hours(user: str) -> float:
        return ways.whole.between(user, "memory", NOW - REACH, NOW) / GIB / HOUR

    assert gib_hours("one") == pytest.approx(2 * (TO - FROM) / HOUR, abs=2 * 75 / HOUR)
    assert gib_hours("init") == pytest.approx((TO - FROM) / HOUR, abs=75 / HOUR)
    assert gib_hours("mesh") == pytest.approx(5 * (TO - FROM) / HOUR, abs=5 * 75 / HOUR)
    assert gib_hours("flash") == pytest.approx(1 / 60)
    assert gib_hours("wink") == pytest.approx(1 / 60)
    for user in ("waits", "pulls", "modest", "future"):
        assert gib_hours(user) == 0
    assert ways.whole.between("modest", "time", NOW - REACH, NOW) > HOUR
    assert ways.whole.coverage == 1
