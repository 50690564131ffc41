"""Whatever happens to pods, scrapes and Prometheus, in whatever order: by every way to a reading,
what is said is the truth that a minute-by-minute integral over the samples gives.

Every seed is a namespace of its own, in one Prometheus.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.sources.server_metrics import ServerMetrics
from jupyterhub_usage_quotas.quotas.usage import Fresh, Stale
from tests.support.samples import (
    GONE,
    HOUR,
    MINUTE,
    NOW,
    RUNNING,
    Alive,
    Happened,
    Life,
    Served,
    Span,
    Target,
    asks,
    hub_pod,
)
from tests.support.ways import REACH, Asking, asking

SEEDS = 10
BEGIN, END = NOW - REACH - 20 * MINUTE, NOW + 10 * MINUTE
BORDERS = [NOW - REACH, NOW - 3 * HOUR, NOW - HOUR, *(NOW - n * 6 * MINUTE for n in range(8))]


@dataclass
class Chance:
    """Makes things up."""

    random: random.Random

    def gaps(self) -> list[Span]:
        """Spans without scrapes: many short ones, around where pieces begin and end."""
        spans = []
        for _ in range(self.random.randint(0, 8)):
            length = self.random.choice([1, 3, 7, 9, 10, 11, 13, 45]) * MINUTE
            length += self.random.choice([-20, 0, 0, 20])
            start = self.random.choice([*BORDERS, self.random.uniform(BEGIN, NOW)])
            start -= self.random.choice([0, length, self.random.uniform(0, length)])
            spans.append((start, start + length))
        return spans

    def target(self, number: int) -> Target:
        every = self.random.choice([10, 15, 30, 30, 60, 60, 300])
        failing, away = self.gaps(), self.gaps()
        late = self.random.choice([0, 0, 2])
        return Target(
            BEGIN,
            END,
            every,
            self.random.uniform(0, every),
            labels={"instance": f"e-{number}"},
            failing=failing if self.random.random() < 0.6 else (),
            away=away if self.random.random() < 0.3 else (),
            jitter=lambda: self.random.uniform(0, late),
        )

    def targets(self, namespaces: str) -> list[Target]:
        """One exporter or two, of which one may have its labels renamed, or have come later."""
        targets = [self.target(number) for number in range(self.random.choice([1, 1, 2]))]
        if self.random.random() < 0.3:
            first, moment = targets[0], self.random.uniform(BEGIN, NOW)
            there = replace(first, end=moment, removed=self.random.random() < 0.5)
            own = {"namespace": namespaces, "pod": "exporter-0"}
            after = replace(first, start=moment, honors=self.random.random() < 0.5, own=own)
            targets[:1] = [there, after]
        return targets

    def edges(self) -> list[float]:
        """When things begin or end, one after the other."""
        edges = [self.random.uniform(BEGIN - HOUR, END) for _ in range(self.random.randint(2, 5))]
        return sorted([*edges, *(edge + self.random.uniform(1, 400) for edge in edges[:1])])

    def pods(self, targets: list[Target]) -> Iterator[Life]:
        yield hub_pod(BEGIN, END)
        spans = [edge for one in targets for span in one.failing for edge in span]
        for number in range(8):
            edges = self.edges()
            if spans and self.random.random() < 0.5:
                first = self.random.choice(spans) + self.random.uniform(-90, 90)
                edges = [first, *(edge for edge in edges if edge > first)]
            course = ["Pending", "Scheduled", RUNNING, self.random.choice(["Failed", GONE]), GONE]
            begins = self.random.randrange(3)
            stages = dict(zip(edges, course[begins:], strict=False))
            asked = {0.0: self.asked(), self.random.uniform(BEGIN, NOW): self.asked()}
            yield Life(
                f"user-{number % 5}",
                stages,
                asked,
                name=f"pod-{number % 6}",
                uid=f"uid-{number}",
            )

    def asked(self) -> dict[str, dict[str, float]]:
        return asks(self.random.choice([1, 1, 2]), 0.5, self.random.choice([1, 2]))

    def brief(self, kind: str) -> Iterator[Happened]:
        """Some that run for less than a minute, often around the ends of others and of minutes."""
        for number in range(12):
            start = self.random.choice([self.random.uniform(BEGIN, NOW), *BORDERS])
            start = max(start + self.random.uniform(-2, 2) * MINUTE, BEGIN)
            end = start + self.random.uniform(1, MINUTE)
            user, name = f"user-{number % 5}", f"brief-{number % 3}"
            if kind == "pods":
                stages = {start: RUNNING, end: self.random.choice(["Succeeded", GONE])}
                asked = {0.0: self.asked(), self.random.uniform(start, end): self.asked()}
                yield Life(user, stages, asked, name=name, uid=f"brief-{number}")
            else:
                yield Served(user, start, end, self.random.choice([1.0, 2.0]), servername=name)

    def servers(self, _targets: list[Target]) -> Iterator[Happened]:
        yield Alive()
        for number in range(5):
            edges = self.edges()
            for start, end in zip(edges[::2], edges[1::2], strict=False):
                memory = self.random.choice([1.0, 2.0])
                yield Served(f"user-{number}", start, end, memory, servername=str(number % 2))


KINDS: dict[str, tuple[Callable, type]] = {
    "pods": (Chance.pods, KubeStateMetrics),
    "servers": (Chance.servers, ServerMetrics),
}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asking(tmp_path_factory.mktemp("prometheus")) as prometheus:
        yield prometheus


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_is_true(prometheus, kind, seed):
    happens, source = KINDS[kind]
    chance = Chance(random.Random(f"{kind} {seed}"))
    namespace = f"{kind}-{seed}"
    # That of kube-state-metrics may be another; the Hub's is its own.
    targets = chance.targets(
        chance.random.choice([namespace, "monitoring"]) if kind == "pods" else namespace
    )
    happened = [*happens(chance, targets), *chance.brief(kind)]
    things = [replace(one, namespace=namespace) for one in happened]
    ways = prometheus.ways(source(namespace), things, targets, seed=seed, restarts=True)
    ways.are_right(kind=Fresh | Stale)
