"""Gaps in history: what is counted in them, by every way to a reading, wherever they are.

A gap of at most ten minutes is bridged where the same pod was there on both sides. Nothing else is
counted in a gap, and of every gap is known how long it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest

from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.sources.server_metrics import ServerMetrics
from jupyterhub_usage_quotas.quotas.usage import Fresh, Stale
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
)
from tests.support.ways import REACH, Asking, Ways, asking

BEGIN, END = NOW - 4.5 * HOUR, NOW + 10 * MINUTE
BORDERS = NOW - HOUR, NOW - 3 * HOUR
"""Where the first pieces of history begin."""


def pods(start: float, end: float) -> list[Life]:
    """Pods that are there before and after a gap, or not."""
    middle = (start + end) / 2
    return [
        hub_pod(BEGIN, END),
        runs("stays", BEGIN, END, ask=asks(2, 1, 1)),
        runs("ends", BEGIN, middle),
        runs("comes", middle, END),
        runs("restarts", BEGIN, middle, uid="r-1"),
        runs("restarts", middle + 10, END, uid="r-2"),
        runs("resized", BEGIN, END, (middle, asks(4))),
        runs("resized before", BEGIN, END, (start - 130, asks(4)), name="b", uid="b"),
        runs("for a moment", start - 100, end + 100, name="m", uid="m"),
    ]


def servers(start: float, end: float) -> list[Happened]:
    """The same as the Hub exports it, which tells no restart from a server that went on."""
    middle = (start + end) / 2
    return [
        Alive(),
        Served("stays", BEGIN, END),
        Served("ends", BEGIN, middle),
        Served("comes", middle, END),
        Served("restarts", BEGIN, start - 90),
        Served("restarts", end + 90, END),
        Served("was not there", BEGIN, end + 30 * MINUTE),
        Served("was not there", end + 35 * MINUTE, END),
        Served("for a moment", start - 100, end + 100),
    ]


@dataclass(frozen=True)
class Case:
    """Spans of time in which nothing was scraped."""

    gaps: Sequence[tuple[float, float]]
    grows: bool = False

    def ways(self, name: str, prometheus: Asking) -> Mapping[str, Ways]:
        made = {}
        for kind, happened in (("pods", pods), ("servers", servers)):
            namespace = f"{name}, {kind}"
            things = [replace(one, namespace=namespace) for one in happened(*self.gaps[0])]
            target = Target(BEGIN, END, 60, failing=self.gaps)
            hubs = kind == "servers"
            source = ServerMetrics(namespace) if hubs else KubeStateMetrics(namespace)
            made[kind] = prometheus.ways(source, things, [target], grows=self.grows)
        return made


def gap(start: float, minutes: float) -> tuple[float, float]:
    return start, start + minutes * MINUTE


def lately(*gaps: tuple[float, float]) -> Case:
    return Case(gaps, grows=True)


CASES: dict[str, Case] = {
    **{
        f"{minutes} minutes, {before} of them before the border of two pieces": Case(
            [gap(border - before * MINUTE - 20, minutes) for border in BORDERS]
        )
        for minutes, befores in ((3, (1, 3)), (9, (0, 5, 9)), (10, (0, 9, 10)), (11, (1, 10, 11)))
        for before in befores
    },
    **{
        f"{minutes} minutes, {before} of them before the window": Case(
            [gap(NOW - REACH - before * MINUTE - 20, minutes)]
        )
        for minutes, befores in ((5, (0, 1, 4, 5)), (10, (0, 4)), (12, (1, 10)))
        for before in befores
    },
    "3 hours": lately(gap(NOW - 3.5 * HOUR, 180)),
    "an hour, from border to border": lately(gap(BORDERS[0] - 20, 60.5)),
    "3 minutes": lately(gap(NOW - 33 * MINUTE, 3)),
    "9 minutes": lately(gap(NOW - 33 * MINUTE, 9)),
    "11 minutes": lately(gap(NOW - 33 * MINUTE, 11)),
    "40 minutes": lately(gap(NOW - 43 * MINUTE, 40)),
    "9 minutes, until just now": lately(gap(NOW - 9.5 * MINUTE, 9)),
    "11 minutes, until just now": lately(gap(NOW - 11.5 * MINUTE, 11)),
    "8 minutes, again and again": lately(*(gap(NOW - n * 20 * MINUTE, 8) for n in range(1, 12))),
    "6 minutes in every 7": lately(*(gap(NOW - n * 7 * MINUTE, 6) for n in range(1, 30))),
    "11 minutes in every 15": lately(*(gap(NOW - n * 15 * MINUTE, 11) for n in range(1, 14))),
}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asking(tmp_path_factory.mktemp("prometheus")) as prometheus:
        yield prometheus


@pytest.fixture(scope="module")
def all_ways(prometheus: Asking) -> dict[str, Mapping[str, Ways]]:
    return {name: case.ways(name, prometheus) for name, case in CASES.items()}


@pytest.mark.parametrize("kind", ["pods", "servers"])
@pytest.mark.parametrize("case", CASES)
def test_a_gap_of(all_ways, case, kind):
    all_ways[case][kind].are_right(kind=Fresh | Stale)


# --- pods of which nothing was seen while others were ---------------------------------------------


def one_shard_down(start: float, minutes: float, namespace: str) -> tuple[list, list[Target]]:
    """Two shards: one with the Hub's pod, the other with the users', which is down for a while."""
    things = [replace(one, namespace=namespace) for one in pods(*gap(start, minutes))]
    hubs, users = (
        Target(
            BEGIN,
            END,
            30,
            labels={"instance": f"ksm-{number}"},
            has=lambda one, number=number: bool(one.username) == bool(number),
            failing=[gap(start, minutes)] if number else (),
        )
        for number in (0, 1)
    )
    return things, [hubs, users]


SHARDS = {
    "9 minutes within a piece": (NOW - 30 * MINUTE, 9, False),
    "11 minutes within a piece": (NOW - 30 * MINUTE, 11, False),
    "9 minutes up to the border of two pieces": (BORDERS[0] - 9 * MINUTE - 20, 9, False),
    "11 minutes, lately": (NOW - 33 * MINUTE, 11, True),
}
TORN = {
    "9 minutes across the border of two pieces": (BORDERS[0] - 5 * MINUTE, 9, False),
    "9 minutes, lately": (NOW - 33 * MINUTE, 9, True),
    "9 minutes, just now": (NOW - 9.5 * MINUTE, 9, True),
}
ONLY_WHERE_ALL_ARE_GONE = pytest.mark.xfail(
    reason="a gap that two pieces share is bridged only where the source itself was not seen"
)


@pytest.mark.parametrize(
    "case", [*SHARDS, *(pytest.param(case, marks=ONLY_WHERE_ALL_ARE_GONE) for case in TORN)]
)
def test_a_gap_of_some_pods_only_of(prometheus, case):
    start, minutes, grows = {**SHARDS, **TORN}[case]
    happened = one_shard_down(start, minutes, case)
    prometheus.ways(KubeStateMetrics(case), *happened, grows=grows).are_right()
