"""A day of a hub in a minute: servers come and go, launches are decided on, Prometheus and the way
to it fail at random, the Hub is restarted. Every decision on Fresh usage is on the known truth,
and in the end what is kept is what a fresh meter reads, and no more than its window needs.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.metering.client.breaker import Breaker
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.readers import Timing
from jupyterhub_usage_quotas.metering.snapshot import UsageSnapshot
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.timelines import parts_of
from jupyterhub_usage_quotas.quotas.decide import Decision, Outcome
from jupyterhub_usage_quotas.quotas.in_flight import InFlight, Running
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Fresh, Stale, Unknown
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.inputs import gather
from tests.support import faulty_proxy as faults
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.faulty_proxy import FaultyProxy, faulty_proxy
from tests.support.meter_events import OnRefresh
from tests.support.programs import Span
from tests.support.recorded import NOW, instant

MINUTE, DAY = 60, 24 * HOUR
REACH, STALE_AFTER = timedelta(hours=8), timedelta(minutes=20)
BEGIN, END = NOW - 25 * HOUR, NOW - 30 * MINUTE
"""When the clock begins, and ends; servers ran for a day before, and go on running."""

GAPS = [(NOW - 21 * HOUR, 7), (NOW - 15 * HOUR, 40), (NOW - 11 * HOUR, 3), (NOW - 6 * HOUR, 12)]
"""When kube-state-metrics was not scraped, and for how many minutes."""
BRIDGED = 10 * MINUTE

POLICIES = parse_policies(
    [
        {
            "name": "each",
            "resource": "time",
            "limit": "5 server-hours",
            "window": "8h",
            "scope": {"everyone": True},
            "minimum_session": "10 minutes",
        },
        {
            "name": "gpus",
            "resource": "memory",
            "limit": "20 GiB-hours",
            "window": "3h",
            "scope": {"everyone": True},
            "servers": {"gpu": True},
        },
        {
            "name": "all",
            "resource": "memory",
            "limit": "300 GiB-hours",
            "window": "6h",
            "scope": {"everyone": True},
            "share": "pooled",
        },
    ],
    failover_open=False,
)
WINDOWS = {"each": 8 * HOUR, "gpus": 3 * HOUR, "all": 6 * HOUR}


# --- what happens, and what is true ---------------------------------------------------------------


def made_up_pods(chance: random.Random) -> list[Pod]:
    """The servers of some who come back again and again, and of many who come once."""
    pods = []
    for number in range(12):
        user, start = f"user-{number}", NOW - 2 * DAY
        while start < NOW:
            start += chance.randrange(2, 300) * MINUTE
            end = min(start + chance.randrange(1, 400) * MINUTE, NOW)
            if start < end:
                pods.append(made_up_pod(chance, user, start, end))
                if chance.random() < 0.3:
                    pods.append(made_up_pod(chance, user, start, end, "second"))
            start = end
    for number in range(60):
        start = NOW - 2 * DAY + number * 45 * MINUTE
        pods.append(made_up_pod(chance, f"guest-{number}", start, start + 20 * MINUTE))
    return pods


def made_up_pod(chance: random.Random, user: str, start: int, end: int, name: str = "") -> Pod:
    return Pod(
        user,
        start,
        end,
        f"jupyter-{user}--{name}",
        f"{user}-{start}-{name}",
        memory=chance.choice([1, 2, 3]) * GIB,
        gpus=chance.choice([0, 0, 1]),
        server=name,
        profile=chance.choice(["small", "large"]),
    )


def pieces(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of a time in which there were scrapes."""
    for begin, minutes in [*GAPS, (end + DAY, 0)]:
        if start <= min(end, begin):
            yield start, min(end, begin)
        start = max(start, begin + minutes * MINUTE)


def seen(pod: Pod) -> list[tuple[int, int]]:
    """When a pod is to be seen to have run: every sample stands for the minute before it, the last
    one is seen twice, and a short time without any is bridged.
    """
    found: list[tuple[int, int]] = []
    for start, end in pieces(pod.start, pod.end):
        begin, until = start - MINUTE, end + MINUTE
        if found and begin - found[-1][1] <= BRIDGED:
            begin, _ = found.pop()
        found.append((begin, until))
    return found


def history(pods: Iterable[Pod]) -> Iterator[Span]:
    for start, end in pieces(NOW - 2 * DAY, NOW):
        yield from hub_pod(start, end)
    for pod in pods:
        for start, end in pieces(pod.start, pod.end):
            yield from replace(pod, start=start, end=end).spans


@dataclass
class Truth:
    """What is true of the pods."""

    pods: Sequence[Pod]
    seen: dict[str, list[tuple[int, int]]] = field(init=False)

    def __post_init__(self) -> None:
        self.seen = {pod.uid: seen(pod) for pod in self.pods}

    def used(self, policy: str, user: str, now: float, known_until: float) -> float:
        """What counts for a policy: of what was seen until then, and what the Hub knows since."""
        total, begin = 0.0, now - WINDOWS[policy]
        for pod in self.pods:
            if (policy != "all" and pod.username != user) or (policy == "gpus" and not pod.gpus):
                continue
            ran = sum(
                max(min(end, known_until) - max(start, begin), 0)
                for start, end in self.seen[pod.uid]
            )
            if pod.start <= now < pod.end:
                ran += max(now - max(pod.start, known_until), 0)
            total += ran * (1 if policy == "each" else pod.memory)
        return total

    def running(self, now: float) -> dict[str, list[Running]]:
        """What the Hub knows at this moment."""
        found: dict[str, list[Running]] = defaultdict(list)
        for pod in self.pods:
            if pod.start <= now < pod.end:
                found[pod.username].append(Running(request(pod), instant(pod.start)))
        return found


def request(pod: Pod) -> Request:
    rates = {"memory": pod.memory, "cpu": 0.0, "gpu": float(pod.gpus), "time": 1.0}
    return Request(Subject(pod.username), server_name=pod.server, profile=pod.profile, rates=rates)


# --- the day --------------------------------------------------------------------------------------

FAULTS = [
    faults.reset, faults.cut, faults.truncated, faults.corrupted(3), faults.html, faults.scalar,
    faults.another_type, faults.not_a_number, faults.twice, faults.warned, faults.earlier(3600),
    faults.earlier(60), faults.of_another_query, faults.status(503, Retry_After="9"),
    faults.status(429), faults.status(401), faults.delay(0.02),
    faults.api_error(422, "execution", "too many samples"),
]  # fmt: skip


@dataclass
class Day:
    """A hub as the day goes by."""

    truth: Truth
    proxy: FaultyProxy
    chance: random.Random
    now: datetime = field(default_factory=lambda: instant(BEGIN))
    errors: list[Exception] = field(default_factory=list)
    refreshes: Counter[str] = field(default_factory=Counter)
    decisions: Counter[Outcome] = field(default_factory=Counter)
    sizes: list[int] = field(default_factory=list)
    bad_minutes: int = 0
    faults: list[Callable[..., object]] = field(default_factory=list)
    """Those that have not been drawn yet; then they are shuffled again."""

    def start_hub(self) -> Meter:
        """A meter that knows nothing."""
        client = PrometheusClient(self.proxy.url, request_timeout=timedelta(seconds=20))
        client.attempts = 2
        return Meter(
            client,
            [KubeStateMetrics(NAMESPACE)],
            Timing(deadline=timedelta(seconds=30), stale_after=STALE_AFTER),
            events=OnRefresh(self._tell),
            clock=lambda: self.now,
            breaker=Breaker(clock=self._seconds),
        )

    def _seconds(self) -> float:
        return self.now.timestamp()

    def _tell(self, why: object, error: Exception | None) -> None:
        self.refreshes[getattr(why, "reason", "success")] += 1
        self.errors += [error] if error else []

    async def goes_by(self) -> Meter:
        meter = self.start_hub()
        while self.now < instant(END):
            if self.chance.random() < 0.01:
                await meter.aclose()
                meter = self.start_hub()
            self.choose_faults()
            launches = (self.launch(meter) for _ in range(self.chance.choice([0, 1, 1, 3])))
            await asyncio.gather(meter.refresh(REACH), meter.extend(), *launches)
            while meter.complete is False and await meter.extend():
                pass
            if meter.snapshots:
                self.sizes.append(size(meter.snapshots[0]))
            self.now += timedelta(seconds=self.chance.randrange(60, 840))
        self.proxy.plan = lambda _asked: faults.honest
        self.now = instant(END)
        return meter

    def choose_faults(self) -> None:
        """Mostly none; now and then some requests have one, and now and then all for a while."""
        self.bad_minutes -= 1
        if self.bad_minutes > 0:
            return
        if not self.faults:
            self.faults = self.chance.sample(FAULTS, len(FAULTS))
        draw, fault = self.chance.random(), self.faults[-1]
        if draw < 0.1:
            self.proxy.plan = lambda _asked: self.chance.choice([faults.honest, fault])
        elif draw < 0.15:
            self.proxy.always(fault)
        elif draw < 0.18:
            # An answer without anything is no fault that could be seen by itself.
            self.proxy.always(faults.empty)
        elif draw < 0.2:
            self.proxy.always(fault)
            self.bad_minutes = 6
        else:
            self.proxy.always(faults.honest)
            return
        self.faults.pop()

    async def launch(self, meter: Meter) -> None:
        """Decide on a launch, at whatever moment of a refresh that is."""
        for _ in range(self.chance.randrange(40)):
            await asyncio.sleep(0)
        now = self.now
        user = f"user-{self.chance.randrange(13)}"
        asked = Request(Subject(user), rates={"time": 1.0, "memory": GIB, "gpu": 1.0})
        gathered = await gather(POLICIES, meter, NO_LEDGER, [Subject(user)], now, {"all": None})
        others = [
            Request(Subject(user), server_name="pending", rates=asked.rates)
        ] * self.chance.choice([0, 2])
        in_flight = InFlight(self.truth.running(now.timestamp()), others)
        inputs = gathered.of(Subject(user)).with_in_flight(in_flight)
        self.is_right(inputs.decide(asked), now, len(others))

    def is_right(self, decision: Decision, now: datetime, pending: int) -> None:
        """Where usage is known it is the truth; where it is not, that is said."""
        self.decisions[decision.outcome] += 1
        for verdict in decision.verdicts:
            policy, reading = verdict.allotment.name, verdict.reading
            if verdict.used is None:
                assert not isinstance(reading, Fresh)
                continue
            assert not isinstance(reading, Unknown)
            known_until = reading.usage.covered_until
            user = decision.request.subject.name
            if isinstance(reading, Stale):
                # Over already when it was known: what was used since comes on top of that.
                really = self.truth.used(policy, user, now.timestamp(), now.timestamp())
                assert verdict.fits is False
                assert verdict.used <= really * (1 + 1e-6)
                continue
            expected = self.truth.used(policy, user, now.timestamp(), known_until.timestamp())
            assert timedelta(0) <= now - known_until <= STALE_AFTER
            spoken_for = pending * 10 * MINUTE if policy == "each" else 0
            assert verdict.used == pytest.approx(expected + spoken_for, rel=1e-6), (policy, user)


def size(known: UsageSnapshot) -> int:
    """How much is kept: how many numbers."""
    return sum(len(of_user) for of_user in known.usage.values())


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_day(serve_history: Callable[..., str], seed: int):
    chance = random.Random(seed)
    truth = Truth(made_up_pods(chance))
    with faulty_proxy(serve_history(history(truth.pods))) as proxy:
        day = Day(truth, proxy, chance)
        meter = await day.goes_by()
        assert day.errors == []
        assert day.refreshes["success"] > 100
        # Which of them a refresh meets is chance also on a slow machine, for all that is drawn.
        assert len(day.refreshes) > 3, day.refreshes
        assert day.decisions[Outcome.ALLOWED] > 30
        assert day.decisions[Outcome.DENIED] > 20
        assert day.decisions[Outcome.FAILOVER_CLOSED] > 0

        # All is well again, and after as long as the breaker may stay open it is what a meter reads
        # that has just been started.
        day.now += timedelta(minutes=2)
        fresh = day.start_hub()
        for one in (meter, fresh):
            for _ in range(2):
                await one.refresh(REACH)
                while await one.extend():
                    pass
        users = sorted({pod.username for pod in truth.pods})
        now, start = day.now.timestamp(), (day.now - REACH).timestamp()
        for resource in ("time", "memory", "gpu"):
            both = [
                {
                    user: one.usage.between(start, now)
                    for user in users
                    if isinstance(one := of_all[user][resource], Fresh)
                }
                for of_all in (
                    meter.peek(users, [resource], REACH, day.now),
                    fresh.peek(users, [resource], REACH, day.now),
                )
            ]
            assert both[0] == both[1]
            assert len(both[0]) == len(users)
            if resource == "time":
                known_until = meter.snapshots[0].coverage.end
                assert both[0] == pytest.approx(
                    {user: truth_at_end(truth, user, now, known_until) for user in users}
                )

        # Nothing is kept of what no window needs any more, and of who is gone.
        keep = start - HOUR - 10 * MINUTE
        for of_user in meter.snapshots[0].usage.values():
            assert all(timeline.end > keep for _, timeline in parts_of(of_user))
        gone = {pod.username for pod in truth.pods if "guest" in pod.username and pod.end < keep}
        assert len(gone) > 30
        assert not gone & set(meter.snapshots[0].usage)
        third = len(day.sizes) // 3
        assert max(day.sizes[-third:]) < 1.5 * max(day.sizes[:third])
        await meter.aclose()
        await fresh.aclose()


def truth_at_end(truth: Truth, user: str, now: float, known_until: float) -> float:
    """What was seen in the window, without what only the Hub knows."""
    begin = now - REACH.total_seconds()
    return sum(
        max(min(end, known_until) - max(start, begin), 0)
        for pod in truth.pods
        if pod.username == user
        for start, end in truth.seen[pod.uid]
    )
