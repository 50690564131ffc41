"""All who wait for usage share queries; each gets their own, and what is wrong with one of them is
wrong for nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from jupyterhub_usage_quotas.conventions import Reason
from jupyterhub_usage_quotas.errors import PrometheusUnreachable, QueryRejected
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.sources.base import StepRange, UsageSegment
from jupyterhub_usage_quotas.quotas.usage import Fresh, Unknown
from tests.support.fake_prometheus import alive, hub_user, manager, prometheus, spawner
from tests.support.made_up import MadeUp, Session

__all__ = ["prometheus"]

NOW = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)
UNIX = NOW.timestamp()
WEEK = timedelta(days=7)
CLASS = [f"student-{number}" for number in range(200)]


class Slow(MadeUp):
    """Answers when it is let; notes whom it was asked about, and refuses more than `most`."""

    def __init__(self, most: int = 10_000) -> None:
        super().__init__(
            {
                user: [Session(UNIX - (number + 1) * 60, UNIX, {"time": 1.0})]
                for number, user in enumerate(CLASS)
            }
        )
        self.most = most
        self.about: list[frozenset[str]] = []
        self.let = asyncio.Event()
        self.begun = asyncio.Event()

    async def read(
        self, client: PrometheusClient, users: Collection[str] | None, steps: StepRange
    ) -> UsageSegment:
        assert users is not None
        self.about.append(frozenset(users))
        self.begun.set()
        await self.let.wait()
        if len(users) > self.most:
            raise QueryRejected("the query is too long")
        return await super().read(client, users, steps)


def meter(source: MadeUp) -> Meter:
    return Meter(PrometheusClient("http://prometheus.test"), [source], clock=lambda: NOW)


async def time_of(asked: Meter, user: str, over: timedelta = WEEK) -> Fresh | Unknown:
    return (await asked.read([user], ["time"], over, NOW))[user]["time"]


def used(reading: object) -> float:
    assert isinstance(reading, Fresh), reading
    return reading.usage.between(0, UNIX)


async def test_all_who_wait_are_one_query():
    source = Slow()
    asked = meter(source)
    first = asyncio.create_task(time_of(asked, CLASS[0]))
    await source.begun.wait()
    others = [asyncio.create_task(time_of(asked, user)) for user in CLASS[1:]]
    await asyncio.sleep(0)
    source.let.set()
    found = await asyncio.gather(first, *others)
    assert [used(one) for one in found] == [60.0 * (n + 1) for n in range(len(CLASS))]
    assert source.about == [{CLASS[0]}, frozenset(CLASS[1:])]


async def test_all_of_one_moment_are_one_query():
    source = Slow()
    source.let.set()
    asked = meter(source)
    await asyncio.gather(*(time_of(asked, user) for user in CLASS))
    assert source.about == [frozenset(CLASS)]


async def test_each_gets_the_time_that_was_asked_for():
    source = Slow()
    source.let.set()
    asked = meter(source)
    short, long = await asyncio.gather(
        time_of(asked, CLASS[150], timedelta(hours=1)), time_of(asked, CLASS[150], WEEK)
    )
    assert len(source.about) == 1
    assert isinstance(short, Fresh)
    assert short.usage.between(UNIX - 3600, UNIX) == 3600
    assert short.usage.coverage == 1.0
    assert used(long) == 151 * 60


async def test_what_is_refused_for_many_is_asked_for_fewer():
    source = Slow(most=60)
    source.let.set()
    asked = meter(source)
    found = await asyncio.gather(*(time_of(asked, user) for user in CLASS))
    assert [used(one) for one in found] == [60.0 * (n + 1) for n in range(len(CLASS))]
    source.about.clear()
    await asyncio.gather(*(time_of(asked, user) for user in CLASS))
    assert max(map(len, source.about)) <= 60


async def test_queries_stay_as_short_as_victoriametrics_wants_them():
    """By default it refuses queries of more than 16 KiB; each name may be in one three times."""
    names = [f"{'a-name-as-long-as-an-address@university.example-' * 4}{n}" for n in range(60)]
    source = Slow()
    source.let.set()
    asked = meter(source)
    readings = await asyncio.gather(*(time_of(asked, name) for name in names))
    assert {used(one) for one in readings} == {0}
    assert set().union(*source.about) == set(names)
    assert max(3 * len("|".join(about).encode()) for about in source.about) < 16 * 1024
    assert len(source.about) < 10


async def test_a_failure_is_everybodys_who_shared_it_and_nobody_elses():
    source = Slow()
    source.let.set()
    source.failure = PrometheusUnreachable("refused")
    asked = meter(source)
    found = await asyncio.gather(*(time_of(asked, user) for user in CLASS))
    assert {one.reason for one in found if isinstance(one, Unknown)} == {Reason.UNREACHABLE}
    source.failure = None
    assert used(await time_of(asked, CLASS[0])) == 60


async def test_a_name_that_no_label_can_hold_is_unknown_alone():
    source = Slow()
    source.let.set()
    asked = meter(source)
    wrong, right = await asyncio.gather(time_of(asked, "\udc80"), time_of(asked, CLASS[0]))
    assert isinstance(wrong, Unknown)
    assert wrong.reason is Reason.BAD_USERNAME
    assert used(right) == 60
    both = await asked.read(["\udc80", CLASS[1]], ["time"], WEEK, NOW)
    assert isinstance(both["\udc80"]["time"], Unknown)
    assert used(both[CLASS[1]]["time"]) == 120


async def test_who_gives_up_takes_nobody_along():
    source = Slow()
    asked = meter(source)
    first, second = (asyncio.create_task(time_of(asked, user)) for user in CLASS[:2])
    await source.begun.wait()
    third = asyncio.create_task(time_of(asked, CLASS[2]))
    fourth = asyncio.create_task(time_of(asked, CLASS[3]))
    await asyncio.sleep(0)
    first.cancel()
    third.cancel()
    await asyncio.sleep(0)
    source.let.set()
    assert used(await second) == 120
    assert used(await fourth) == 240
    assert source.about == [frozenset(CLASS[:2]), {CLASS[3]}]


async def test_a_bug_is_told_to_all_and_the_next_can_ask():
    class Broken(Slow):
        async def read(self, *_):
            raise ZeroDivisionError("a bug")

    asked = meter(Broken())
    found = await asyncio.gather(
        *(time_of(asked, user) for user in CLASS[:3]), return_exceptions=True
    )
    assert [type(one) for one in found] == [ZeroDivisionError] * 3
    with pytest.raises(ZeroDivisionError):
        await time_of(asked, CLASS[0])


async def test_two_hundred_launches_are_as_many_requests_as_two(prometheus):
    """At the transport: whoever launches, Prometheus is asked about all of them at once."""
    requests = 0

    def counting(request: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        return alive(request)

    prometheus.side_effect = counting
    counts = []
    for number in (1, 200):
        asked, requests = manager(failover_open=False), 0
        await asyncio.gather(
            *(asked.pre_spawn_start(hub_user(f"user-{one}"), spawner()) for one in range(number))
        )
        counts.append(requests)
        await asked.aclose()
    # More users are searched for in eight queries, in place of one with eight parts.
    assert counts[1] <= 2 * counts[0] + 2 * 8
