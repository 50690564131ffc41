"""Only some users are judged again after a refresh, and rows are as if everybody was.

The oracle is a decision about each of them, made anew from what is cached.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jupyterhub_usage_quotas.errors import PrometheusUnavailable
from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from jupyterhub_usage_quotas.metering import totals as totals_module
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.quotas.adjustments import Adjustment, Exemption, Grant, Override
from jupyterhub_usage_quotas.quotas.charge import PoolAccounts
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import EVERYONE, Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.quotas.windows.base import Window
from jupyterhub_usage_quotas.quotas.windows.calendar import Calendar, Period
from jupyterhub_usage_quotas.quotas.windows.refill import Refill
from jupyterhub_usage_quotas.quotas.windows.rolling import Rolling
from jupyterhub_usage_quotas.status import pace
from jupyterhub_usage_quotas.status import snapshot as snapshot_module
from jupyterhub_usage_quotas.status.inputs import gather_cached, pool_readings
from jupyterhub_usage_quotas.status.members import Members, members_of_pools
from jupyterhub_usage_quotas.status.snapshot import StatusSnapshot
from jupyterhub_usage_quotas.status.standings import PolicyStatus
from tests.support.made_up import MadeUp, Session
from tests.support.standing import rows_of

NOW = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)
MINUTE, HOUR, DAY = 60, 3600, 86400
GIB = 2.0**30


def rule(name: str, resource: str, limit: str, window: object, **more: Any) -> dict[str, Any]:
    scope = {"everyone": True}
    return {
        "name": name,
        "resource": resource,
        "limit": limit,
        "window": window,
        "scope": scope,
    } | more


RULES = [
    rule("two days", "memory", "20 GiB-hours", 2),
    rule("red", "memory", "30 GiB-hours", 2, scope={"group": ["red"]}),
    rule("hours", "time", "2 hours", "5h", servers={"name": ["x"]}),
    rule("today", "time", "8 hours", {"calendar": "day", "timezone": "Europe/Zurich"}),
    rule("this hour", "cpu", "1 CPU-hours", {"calendar": "hour"}),
    rule("balance", "cpu", "4 CPU-hours", {"refill": 1, "every": "3 hours"}),
    rule("quick", "gpu", "1 GPU-hours", {"refill": 0.1, "every": "7 minutes"}),
    rule("spent", "credits", "60 credits", "30h"),
]
PRICES = {"cpu": 1.0, "memory": 0.25}


class World:
    """Some users, what they do, and what somebody decides about them, while time goes on."""

    def __init__(self, seed: int, more: Sequence[dict[str, Any]] = ()) -> None:
        self.chance = random.Random(seed)
        self.now = NOW
        self.users = [f"user-{number}" for number in range(8)]
        self.source = MadeUp({user: list(self.sessions()) for user in self.users[:-1]})
        self.policies = parse_policies([*RULES, *more], credit_prices=PRICES)
        self.meter = Meter(PrometheusClient("http://nowhere.test"), [self.source], clock=self.clock)
        self.ledger = MemoryLedger(clock=self.clock)
        self.groups: dict[str, frozenset[str]] = {}

    def clock(self) -> datetime:
        return self.now

    def sessions(self) -> Any:
        for _ in range(self.chance.randrange(6)):
            start = NOW.timestamp() + self.chance.randrange(-3 * DAY, DAY // 2, MINUTE)
            server = ServerAttributes(name=self.chance.choice(["", "x"]))
            rates = {"time": 1.0, "memory": self.chance.choice([1, 2]) * GIB, "cpu": 0.5}
            if self.chance.random() < 0.3:
                rates["gpu"] = 1.0
            yield Session(start, start + self.chance.randrange(MINUTE, 9 * HOUR), rates, server)

    @property
    def members(self) -> Members:
        return members_of_pools(self.policies, self.subjects)

    @property
    def subjects(self) -> list[Subject]:
        return [Subject(user, self.groups.get(user, frozenset())) for user in self.users]

    async def go_on(self) -> None:
        steps = [1, 30, 60, 60, 60, 60, 600, 3600, 20_000, -90]
        before = self.now.timestamp()
        self.now += timedelta(seconds=self.chance.choice(steps))
        if self.chance.random() < 0.1:
            self.source.unmeasured.append((before, before + 120))
        self.source.failure = PrometheusUnavailable("away") if self.chance.random() < 0.1 else None
        if self.chance.random() < 0.2:
            user = self.chance.choice(self.users)
            self.groups[user] = frozenset(
                self.chance.sample(["red", "blue"], self.chance.randrange(3))
            )
        if self.chance.random() < 0.2:
            await self.ledger.record([self.decision()])
        await self.meter.refresh(self.policies.reach)
        while await self.meter.extend():
            pass

    def decision(self) -> Adjustment:
        start = self.now + timedelta(minutes=self.chance.randrange(-60, 120))
        given: dict[str, Any] = {
            "policy": self.chance.choice(RULES)["name"],
            "start": start,
            "until": start + timedelta(minutes=self.chance.randrange(1, 300)),
            "user": self.chance.choice([None, *self.users]),
            "actor": "tutor",
            "reason": "a reason",
        }
        made = [
            Grant(**given, amount=3600.0 * self.chance.randrange(1, 5)),
            Override(**given, limit=7200.0),
            Exemption(**given),
        ]
        return self.chance.choice(made)


Figures = tuple[float | None, float, float | None]


async def decided_anew(world: World) -> dict[tuple[str, str], Figures]:
    """What is used, allowed and left, by user and policy: of pools without the user."""
    found: dict[tuple[str, str], Figures] = {}
    decided = await world.ledger.active(EVERYONE, world.now - world.policies.reach)
    readings = {
        name: world.meter.peek([name], world.policies.all_measured, world.policies.reach, world.now)
        for name in world.users
    }
    everyone = {name: one[name] for name, one in readings.items()}
    pools = PoolAccounts(world.policies, pool_readings(everyone, world.members), decided.everyone)
    for subject in world.subjects:
        inputs = gather_cached(
            world.policies, world.meter, decided, [subject], world.now, pools, everyone=True
        ).of(subject)
        for verdict in inputs.decide(Request(subject, rates={})).verdicts:
            name = "" if verdict.allotment.pool else subject.name
            figures = verdict.used, verdict.allowance, verdict.remaining
            found[name, verdict.allotment.name] = figures
    return found


def assert_same(rows: Sequence[PolicyStatus], expected: dict[tuple[str, str], Figures]) -> None:
    """But for fractions that were added in another order."""
    found = {(one.username, one.policy): one for one in rows}
    assert len(found) == len(rows)
    assert found.keys() == expected.keys()
    for key, one in found.items():
        for figure, right in zip(
            (one.used, one.allowance, one.remaining), expected[key], strict=True
        ):
            if figure is None or right is None:
                assert figure is right, key
            else:
                assert figure == right or math.isclose(
                    figure, right, rel_tol=1e-9, abs_tol=1e-6 * max(1.0, one.allowance)
                ), (key, figure, right)


POOLS = [
    rule("team", "memory", "15 GiB-hours", "36h", share="pooled", scope={"group": ["red"]}),
    rule("all", "time", "40 hours", 2, share="pooled"),
]
PAYS_FIRST = rule(
    "first", "cpu", "30 CPU-minutes", "30h", share="pooled", overflow="individual",
    scope={"group": ["blue"]},
)  # fmt: skip
OWN = rule("rest", "cpu", "1 CPU-hours", "30h")


@pytest.mark.parametrize("more", [[], POOLS, [PAYS_FIRST, OWN]], ids=["", "pools", "pays first"])
@pytest.mark.parametrize("seed", range(6))
async def test_the_rows_are_those_of_decisions_on_everybody(seed, more):
    world = World(seed, more)
    snapshot = StatusSnapshot(world.policies, world.meter, world.ledger)
    known = 0
    for _ in range(40):
        await world.go_on()
        await snapshot.rebuild(world.subjects, world.members, world.now)
        assert_same(rows_of(snapshot), await decided_anew(world))
        known += sum(bool(one.used) for one in rows_of(snapshot))
    assert known > 50


async def test_of_two_refreshes_at_once_none_misses_what_is_new(monkeypatch):
    """A refresh of the meter, and somebody who comes to a project."""
    monkeypatch.setattr(pace, "SLICE", -1.0)
    world = World(1)
    snapshot = StatusSnapshot(world.policies, world.meter, world.ledger)
    for _ in range(15):
        await world.go_on()
        both = (snapshot.rebuild(world.subjects, {}, world.now) for _ in range(2))
        await asyncio.gather(*both)
        assert_same(rows_of(snapshot), await decided_anew(world))


@pytest.mark.parametrize("broken", ["pool_row", "_changed", "_known_until"])
async def test_what_was_new_when_a_refresh_failed_is_new_for_the_next(broken, monkeypatch):
    """Wherever it fails: who used something in that minute, and nothing since, is judged again."""
    world = World(3, POOLS)
    start = NOW.timestamp()
    rates = {"time": 1.0, "cpu": 0.5, "memory": GIB}
    world.source.sessions = {"user-0": [Session(start + MINUTE, start + 2 * MINUTE, rates)]}
    snapshot = StatusSnapshot(world.policies, world.meter, world.ledger)

    async def at_minute(minutes: int) -> None:
        world.now = NOW + timedelta(minutes=minutes)
        await world.meter.refresh(world.policies.reach)
        while await world.meter.extend():
            pass
        await snapshot.rebuild(world.subjects, world.members, world.now)

    def fails(*_: Any) -> None:
        raise RuntimeError("a fault")

    await at_minute(1)
    await at_minute(1)
    with monkeypatch.context() as patch:
        for module in (snapshot_module, totals_module):
            if hasattr(module, broken):
                patch.setattr(module, broken, fails)
        with pytest.raises(RuntimeError, match="a fault"):
            await at_minute(5)
    await at_minute(5)
    expected = await decided_anew(world)
    assert expected["user-0", "today"][0] == MINUTE
    assert_same(rows_of(snapshot), expected)


WINDOWS: list[Window] = [
    Rolling(timedelta(hours=5)),
    Rolling(timedelta(days=2)),
    Calendar(Period.DAY, "Europe/Zurich"),
    Calendar(Period.HOUR),
    Calendar(Period.MONTH, day=5),
    Refill(1800.0, timedelta(hours=3)),
    Refill(10.0, timedelta(minutes=7)),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_until_then_what_counts_is_the_same_at_every_minute(window, seed):
    """There must be some that stay the same for a while, or it says nothing."""
    chance, steady = random.Random(seed), 0
    for _ in range(8):
        start = NOW.timestamp() - chance.randrange(3 * DAY)
        runs = [(start + n * 9 * HOUR, start + n * 9 * HOUR + 5000.0) for n in range(4)]
        used = Usage(tuple(Bucket(*run, 5000.0) for run in runs), NOW)
        at = NOW + timedelta(minutes=chance.randrange(-DAY // MINUTE, 2 * DAY // MINUTE))
        counts = window.used(used, at)
        until = window.steady_until(used, at, counts)
        assert until is None or until >= at
        last = min(until or at + timedelta(days=2), at + timedelta(days=2))
        while at < last:
            assert window.used(used, at) == counts
            at += timedelta(minutes=1)
            steady += 1
    assert steady


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_what_counts_for_nothing_stays_so(window):
    at = NOW + timedelta(days=40)
    for used in (
        Usage((), NOW),
        Usage((Bucket(NOW.timestamp() - 60, NOW.timestamp(), 60.0),), NOW),
    ):
        assert window.steady_until(used, at, window.used(used, at)) is None


def test_it_changes_at_once_where_usage_leaves_the_window_or_goes_on():
    begin = NOW.timestamp()
    used, window = Usage((Bucket(begin, begin + HOUR, 1.0),), NOW), Rolling(timedelta(hours=5))
    for minutes, until in ((30, 30), (60, 300), (200, 300), (299, 300), (310, 310), (361, None)):
        at = NOW + timedelta(minutes=minutes)
        expected = None if until is None else NOW + timedelta(minutes=until)
        assert window.steady_until(used, at, window.used(used, at)) == expected
