"""Only some users are judged again after a refresh, and rows are as if everybody was.

The oracle is a snapshot that was made just now, which judges everybody.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jupyterhub_usage_quotas.errors import PrometheusUnavailable
from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.quotas.adjustments import Adjustment, Exemption, Grant, Override
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Usage
from jupyterhub_usage_quotas.quotas.windows.base import Window
from jupyterhub_usage_quotas.quotas.windows.calendar import Calendar, Period
from jupyterhub_usage_quotas.quotas.windows.refill import Refill
from jupyterhub_usage_quotas.quotas.windows.rolling import Rolling
from jupyterhub_usage_quotas.status.snapshot import StatusSnapshot
from tests.support.made_up import MadeUp, Session

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

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = NOW
        self.users = [f"user-{number}" for number in range(8)]
        self.source = MadeUp({user: list(self.sessions()) for user in self.users[:-1]})
        self.policies = parse_policies(RULES, credit_prices=PRICES)
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
    def subjects(self) -> list[Subject]:
        return [Subject(user, self.groups.get(user, frozenset())) for user in self.users]

    async def go_on(self) -> None:
        self.now += timedelta(seconds=self.chance.choice([1, 30, 60, 60, 60, 600, 3600, 20_000]))
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


@pytest.mark.parametrize("seed", range(6))
async def test_the_rows_are_those_of_a_snapshot_that_judges_everybody(seed):
    world = World(seed)
    kept = StatusSnapshot(world.policies, world.meter, world.ledger)
    for _ in range(40):
        await world.go_on()
        fresh = StatusSnapshot(world.policies, world.meter, world.ledger)
        for one in (kept, fresh):
            await one.rebuild(world.subjects, {}, world.now)
        assert kept.rows == fresh.rows
        assert len(kept.rows) >= 7 * len(world.users)


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
        until, counts = window.steady_until(used, at), window.used(used, at)
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
        assert window.steady_until(used, at) is None


def test_it_changes_at_once_where_usage_leaves_the_window_or_goes_on():
    begin = NOW.timestamp()
    used, window = Usage((Bucket(begin, begin + HOUR, 1.0),), NOW), Rolling(timedelta(hours=5))
    for minutes, until in ((30, 30), (60, 300), (200, 300), (299, 300), (310, 310), (361, None)):
        at = NOW + timedelta(minutes=minutes)
        expected = None if until is None else NOW + timedelta(minutes=until)
        assert window.steady_until(used, at) == expected
