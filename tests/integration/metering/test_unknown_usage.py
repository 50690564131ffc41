"""What is not known is said, by every way to a reading, with the reason and since when: it is never
taken for zero. Every case is a namespace of its own, in one Prometheus.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from jupyterhub_usage_quotas.hub.metrics.history import history_for_log
from jupyterhub_usage_quotas.metering.sources.base import PrometheusSource
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.sources.server_metrics import ServerMetrics
from jupyterhub_usage_quotas.quotas.usage import Reading, Stale, Unknown
from tests.support.samples import (
    HOUR,
    MINUTE,
    NOW,
    Alive,
    Happened,
    Life,
    Served,
    Target,
    asks,
    hub_pod,
    runs,
    series,
)
from tests.support.ways import REACH, Asking, Ways, asking, instant
from tests.support.written import Labels

BEGIN, END = NOW - 4.5 * HOUR, NOW + 10 * MINUTE
PODS, SERVERS = "pods", "servers"


def pods() -> list[Life]:
    return [
        hub_pod(BEGIN, END),
        runs("steady", BEGIN, END, ask=asks(2)),
        runs("early", NOW - 4 * HOUR, NOW - 200 * MINUTE),
        runs("late", NOW - 100 * MINUTE, NOW - 30 * MINUTE),
    ]


def servers() -> list[Happened]:
    return [
        Alive(),
        Served("steady", BEGIN, END),
        Served("early", NOW - 4 * HOUR, NOW - 200 * MINUTE),
        Served("late", NOW - 100 * MINUTE, NOW - 30 * MINUTE),
    ]


@dataclass(frozen=True)
class Case:
    """How it was scraped; `elsewhere` is the namespace of it all, if it is not the Hub's."""

    targets: Sequence[Target] = (Target(BEGIN, END),)
    elsewhere: str = ""
    happened: Sequence[Happened] = field(default_factory=pods)

    def ways(self, prometheus: Asking, source: PrometheusSource) -> Ways:
        where = self.elsewhere or source.namespace
        things = (replace(one, namespace=where) for one in self.happened)
        return prometheus.ways(source, things, self.targets)


def down(minutes: float) -> Case:
    """Scraped without success since so long ago."""
    return Case([Target(BEGIN, END, failing=[(NOW - minutes * MINUTE, END)])])


def away(minutes: float) -> Case:
    """Prometheus itself was stopped so long ago, and is back without any scrape yet."""
    return Case([Target(BEGIN, END, away=[(NOW - minutes * MINUTE, END)])])


def begun(minutes: float) -> Case:
    return Case([Target(NOW - minutes * MINUTE, END)])


def dropping(*metrics: str, since: float = BEGIN) -> list[Target]:
    """Without these metrics since some time."""
    before = [Target(BEGIN, since, removed=True)] if since > BEGIN else []
    return [*before, Target(since, END, drops=metrics)]


ANNOTATIONS, REQUESTS = "kube_pod_annotations", "kube_pod_container_resource_requests"

CASES = {
    **{f"down for {minutes} minutes": down(minutes) for minutes in (2, 4, 9, 11, 30, 180)},
    **{f"Prometheus away for {minutes} minutes": away(minutes) for minutes in (2, 4, 9, 12, 90)},
    **{f"begun {minutes} minutes ago": begun(minutes) for minutes in (30, 60, 150, 235, 239)},
    "never there": Case([]),
    "in another namespace": Case(elsewhere="staging"),
    "down longer than the window": Case([Target(BEGIN, NOW - REACH - 1)]),
    "down for an hour, two hours ago": Case(
        [Target(BEGIN, END, failing=[(NOW - 180 * MINUTE, NOW - 120 * MINUTE)])]
    ),
    "down again and again": Case(
        [
            Target(
                BEGIN,
                END,
                failing=[(NOW - (n * 30 + n) * MINUTE, NOW - n * 30 * MINUTE) for n in range(1, 8)],
            )
        ]
    ),
    "down for 15 minutes, seven times": Case(
        [
            Target(
                BEGIN,
                END,
                failing=[
                    (NOW - n * 30 * MINUTE - 450, NOW - n * 30 * MINUTE + 450) for n in range(1, 8)
                ],
            )
        ]
    ),
}
ONLY_PODS = {
    "no annotations": Case(dropping(ANNOTATIONS)),
    "no phases": Case(dropping("kube_pod_status_phase")),
    "no annotations for two hours": Case(dropping(ANNOTATIONS, since=NOW - 2 * HOUR)),
    "the Hub's pod was replaced": Case(
        happened=[
            hub_pod(BEGIN, NOW - HOUR),
            *pods()[1:],
            hub_pod(NOW - HOUR + 200, NOW - 600, pod="a2b3c"),
            hub_pod(NOW - 60, END, pod="d4e5f"),
        ]
    ),
    "the annotations of others only": Case(
        happened=[hub_pod(BEGIN, END), *(replace(one, username="") for one in pods()[1:])]
    ),
}


@pytest.fixture(scope="module")
def all_ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Ways]]:
    with asking(tmp_path_factory.mktemp("prometheus")) as prometheus:
        ways = {}
        for name, case in {**CASES, **ONLY_PODS}.items():
            ways[name, PODS] = case.ways(prometheus, KubeStateMetrics(name))
        for name, case in CASES.items():
            hubs = replace(case, happened=servers(), elsewhere=case.elsewhere and "staging-2")
            ways[name, SERVERS] = hubs.ways(prometheus, ServerMetrics(f"{name} (hub)"))
        yield ways


def each(ways: Ways, user: str, resource: str = "memory") -> dict[str, Reading]:
    return {way: readings[user][resource] for way, readings in ways.readings([user]).items()}


both = pytest.mark.parametrize("kind", [PODS, SERVERS])


@both
@pytest.mark.parametrize("minutes", [2, 4, 9])
@pytest.mark.parametrize("how", ["down", "Prometheus away"])
def test_down_for_some_minutes_is_known_as_of_then(all_ways, how, minutes, kind):
    ways = all_ways[f"{how} for {minutes} minutes", kind]
    assert ways.whole.last == pytest.approx(NOW - minutes * MINUTE, abs=15)
    ways.are_right()


@both
@pytest.mark.parametrize(
    "case",
    [
        *(f"down for {n} minutes" for n in (11, 30, 180)),
        *(f"Prometheus away for {n} minutes" for n in (12, 90)),
    ],
)
def test_down_for_long_is_stale_as_of_then(all_ways, case, kind):
    ways = all_ways[case, kind]
    ways.are_right(kind=Stale)
    for way, reading in each(ways, "steady").items():
        assert reading.reason == "stale", way
        assert ways.source.name in reading.detail


@both
@pytest.mark.parametrize(
    "case", ["never there", "in another namespace", "down longer than the window"]
)
def test_what_was_never_seen_is_unknown(all_ways, case, kind):
    ways = all_ways[case, kind]
    for user in ("steady", "nobody"):
        for resource in ("memory", "time"):
            for way, reading in each(ways, user, resource).items():
                assert isinstance(reading, Unknown), (way, reading)
                assert reading.reason == "not_scraped"
                assert ways.source.name in reading.detail
                assert f'in namespace "{ways.source.namespace}"' in reading.detail


@both
@pytest.mark.parametrize("minutes", [30, 60, 150, 235, 239])
def test_history_that_is_shorter_than_the_window_says_so(all_ways, minutes, kind):
    ways = all_ways[f"begun {minutes} minutes ago", kind]
    ways.are_right()
    for reading in each(ways, "steady").values():
        assert reading.usage.coverage == pytest.approx(minutes * MINUTE / REACH, abs=90 / REACH)


def alone(tmp_path: Path, *targets: Target, happened: Sequence[Happened]) -> Iterator[Ways]:
    """In a Prometheus of its own: that nobody has requests is seen in all namespaces."""
    with asking(tmp_path) as prometheus:
        yield prometheus.ways(KubeStateMetrics("hub-ns"), happened, targets)


@pytest.fixture
def without_requests(tmp_path: Path, since: float) -> Iterator[Ways]:
    yield from alone(tmp_path, *dropping(REQUESTS, since=since), happened=pods())


@pytest.mark.parametrize("since", [BEGIN])
def test_without_requests_only_time_is_known(without_requests):
    without_requests.are_right(resources=["time"])
    for user in ("steady", "early", "late"):
        for way, reading in each(without_requests, user).items():
            assert isinstance(reading, Unknown), way
            assert reading.reason == "metric_missing"
            assert REQUESTS in reading.detail


@pytest.mark.parametrize("since", [NOW - 2 * HOUR])
def test_requests_that_are_there_no_more_are_missing_from_then_on(without_requests):
    """Who ran only before is known; who ran since is not."""
    without_requests.are_right("early")
    without_requests.are_right(resources=["time"])
    for way, reading in each(without_requests, "late").items():
        assert isinstance(reading, Unknown), (way, reading)
        assert reading.reason == "metric_missing"


def test_a_server_that_asks_for_nothing_is_no_missing_metric(tmp_path):
    """Nor when no other pod in the Hub's namespace asks for anything."""
    happened = [
        runs("", BEGIN, END, namespace="kube-system", name="coredns", uid="coredns"),
        replace(hub_pod(BEGIN, END), asked={0.0: {}}),
        runs("modest", BEGIN, END, ask={"notebook": {}}),
    ]
    for ways in alone(tmp_path, Target(BEGIN, END), happened=happened):
        ways.are_right("modest")
        for reading in each(ways, "modest").values():
            assert reading.usage.between(NOW - REACH, NOW) == 0


@pytest.mark.parametrize(
    ("case", "metric"),
    [("no annotations", ANNOTATIONS), ("no phases", "kube_pod_status_phase")],
)
def test_a_metric_that_is_not_exported_is_named(all_ways, case, metric):
    """Such as annotations that are not on the allow-list."""
    ways = all_ways[case, PODS]
    for user in ("steady", "nobody"):
        for way, reading in each(ways, user).items():
            assert isinstance(reading, Unknown), way
            assert metric in reading.detail


@dataclass(frozen=True, eq=False)
class FirstVersion:
    """A pod as kube-state-metrics 1.9 exports it."""

    def exported(self, at: float) -> Mapping[Labels, float]:
        pod = {"namespace": "hub-ns", "pod": "jupyter-alice"}
        memory = "kube_pod_container_resource_requests_memory_bytes"
        return {
            series("kube_pod_status_phase", **pod, phase="Running"): 1.0,
            series(memory, **pod, container="notebook", node="n1"): 1e9,
        }


def test_kube_state_metrics_of_version_1_is_named(tmp_path):
    with asking(tmp_path) as prometheus:
        source = KubeStateMetrics("hub-ns")
        prometheus.ways(source, [FirstVersion()], [Target(BEGIN, END)])
        asked = prometheus.meter(source, lambda: NOW)
        over = timedelta(seconds=REACH)
        found = prometheus.run(asked.read(["alice"], ["memory"], over, instant(NOW)))
        reading = found["alice"]["memory"]
        assert isinstance(reading, Unknown)
        assert "version 1" in reading.detail
        assert "expected version 2.10 or later" in reading.detail


def test_annotations_that_are_exported_no_more_are_a_source_that_is_down(all_ways):
    all_ways["no annotations for two hours", PODS].are_right(kind=Stale)


def test_a_hub_that_was_replaced_is_no_gap(all_ways):
    """All pods are evidence where the Hub's own was not there."""
    ways = all_ways["the Hub's pod was replaced", PODS]
    ways.are_right()
    assert ways.whole.coverage == 1


def test_annotations_without_the_username_are_unknown(all_ways):
    """An allow-list that has other annotations only."""
    ways = all_ways["the annotations of others only", PODS]
    for user in ("steady", "nobody"):
        for way, reading in each(ways, user).items():
            assert isinstance(reading, Unknown), way
            assert "annotation_hub_jupyter_org_username" in reading.detail


SCRAPED = "The usage of the last 4h from kube-state-metrics is cached"
NOT = f"{SCRAPED}. It was not scraped, and nothing is counted, for"


@pytest.mark.parametrize(
    ("case", "line"),
    [
        ("down again and again", f"{SCRAPED}, without gaps"),
        ("begun 150 minutes ago", f"{NOT} 1h 30m from 2025-10-08 08:00 (UTC)"),
        ("down for an hour, two hours ago", f"{NOT} 1h from 2025-10-08 09:00 (UTC)"),
        (
            "down for 15 minutes, seven times",
            f"{NOT} 15m from 2025-10-08 08:22, 15m from 2025-10-08 08:52,"
            " 15m from 2025-10-08 09:22, 15m from 2025-10-08 09:52,"
            " 15m from 2025-10-08 10:22, and 2 more (UTC)",
        ),
    ],
)
def test_what_is_known_of_the_history_is_told(all_ways, case, line):
    """Of gaps that are bridged nothing needs to be said."""
    for way, kept in all_ways[case, PODS].kept.items():
        (known,) = kept.snapshots
        assert history_for_log(known, timedelta(minutes=10)) == line, way
