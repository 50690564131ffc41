"""Promise 9: what a minute costs grows with the servers that ran in it, and with nothing else.

Work is counted in calls of functions, and how long the event loop is held in the time of the
processor: neither depends on what else the machine does.
"""

from __future__ import annotations

import asyncio
import gc
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.client.worker import run_in_worker
from jupyterhub_usage_quotas.metering.coverage import covered_everywhere
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.sources.base import StepRange, UsageSegment
from jupyterhub_usage_quotas.metering.timelines import timelines
from jupyterhub_usage_quotas.quotas.adjustments import Adjustments
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import ANY_SERVER
from jupyterhub_usage_quotas.status.snapshot import StatusSnapshot
from tests.support.calls import calls_of
from tests.support.standing import rows_of

NOW = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)
HOUR = 3600.0
POLICY = {"resource": "time", "limit": "9 hours", "window": 7, "scope": {"everyone": True}}


class Hubful:
    """Users who ran a server each, hours ago, and others whose servers run all the time.

    It does only what it must for a question, so that what is counted is the meter's.
    """

    name = "a full Hub"
    namespace = requests_metric = resource = ""

    def __init__(self, idle: int, running: int) -> None:
        self.asked: list[StepRange] = []
        self._idle = [f"idle-{number}" for number in range(idle)]
        self._running = [f"busy-{number}" for number in range(running)]

    async def read(
        self, _prometheus: PrometheusClient, _users: Any, steps: StepRange
    ) -> UsageSegment:
        self.asked.append(steps)
        start, end = steps.span
        of_server = ("time", ANY_SERVER)
        runs = {user: {of_server: [(start, end, 1.0)]} for user in self._running}
        before = NOW.timestamp() - 5 * HOUR
        if start < before:
            run = (before - HOUR, before, 1.0)
            runs |= {user: {of_server: [run]} for user in self._idle}
        return UsageSegment(
            await run_in_worker(timelines, runs, start, end), covered_everywhere(start, end)
        )


class CountingLedger:
    """Nobody decided anything, and somebody counts who asks."""

    asked = 0

    async def active(self, *_: Any) -> Adjustments:
        self.asked += 1
        return Adjustments()

    async def aclose(self) -> None:
        pass


async def kept(source: Hubful, days: int) -> Meter:
    """A meter that knows the whole window, and whose clock has gone on by a minute since."""
    now = NOW
    meter = Meter(PrometheusClient("http://nowhere.test"), [source], clock=lambda: now)
    await meter.refresh(timedelta(days=days))
    while await meter.extend():
        pass
    assert meter.complete
    now += timedelta(minutes=1)
    source.asked.clear()
    return meter


def calls_of_a_refresh(*, idle: int, running: int, days: int) -> int:
    meter = asyncio.run(kept(Hubful(idle, running), days))
    return calls_of(lambda: asyncio.run(meter.refresh(timedelta(days=days))))


@pytest.mark.parametrize(
    "more", [{"idle": 2000}, {"days": 60}, {"idle": 2000, "days": 60}], ids=str
)
def test_neither_users_nor_the_length_of_windows_cost_anything(more):
    usual = {"idle": 100, "running": 20, "days": 1}
    assert calls_of_a_refresh(**(usual | more)) == pytest.approx(
        calls_of_a_refresh(**usual), rel=0.05
    )


def test_twice_as_many_servers_cost_no_more_than_twice_as_much():
    few, many = (calls_of_a_refresh(idle=0, running=running, days=1) for running in (100, 200))
    assert many <= 2.1 * few


@pytest.mark.parametrize("days", [1, 365])
async def test_a_refresh_reads_some_minutes_whatever_the_window(days):
    source = Hubful(idle=10, running=2)
    await (await kept(source, days)).refresh(timedelta(days=days))
    (steps,) = source.asked
    assert steps.end - steps.start <= timedelta(minutes=10)


@pytest.mark.parametrize("users", [1, 1000])
async def test_the_ledger_is_asked_once_for_however_many_users(users):
    policies, ledger = parse_policies([POLICY]), CountingLedger()
    snapshot = StatusSnapshot(policies, await kept(Hubful(users, 1), 7), ledger)
    await snapshot.rebuild([Subject(f"idle-{number}") for number in range(users)], {}, NOW)
    assert len(rows_of(snapshot)) == users
    assert ledger.asked == 1


@pytest.mark.parametrize("policies", [1, 10])
def test_only_those_are_judged_again_of_whom_anything_is_new(policies):
    """Of a thousand users who use nothing, in a minute, less than a tenth of what judging costs."""
    rules = [POLICY | {"name": str(number), "window": number} for number in range(1, policies + 1)]
    parsed = parse_policies(rules)
    meter = asyncio.run(kept(Hubful(idle=1000, running=0), policies))
    snapshot = StatusSnapshot(parsed, meter, CountingLedger())
    subjects = [Subject(f"idle-{number}") for number in range(1000)]

    def rebuild() -> None:
        asyncio.run(snapshot.rebuild(subjects, {}, NOW))

    first, again = calls_of(rebuild), calls_of(rebuild)
    assert len(rows_of(snapshot)) == 1000 * policies
    assert again < first / 10
    assert again < 15 * 1000


async def test_the_event_loop_is_never_held(monkeypatch):
    """While everybody's usage is refreshed, and the status of everybody is made from it."""
    policies = parse_policies([POLICY])
    meter = await kept(Hubful(idle=3000, running=1000), 7)
    snapshot = StatusSnapshot(policies, meter, CountingLedger())
    held: list[float] = []
    run = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        begun = time.thread_time()
        run(handle)
        held.append(time.thread_time() - begun)

    # The collector looks through the objects of all tests, of which a Hub has none.
    gc.disable()
    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    try:
        await meter.refresh(policies.reach)
        await snapshot.rebuild([Subject(f"idle-{number}") for number in range(3000)], {}, NOW)
        await asyncio.sleep(0)
    finally:
        gc.enable()
        monkeypatch.undo()
    assert len(held) > 20
    # A fortieth of the work is 20 ms where the machine is not slow.
    assert max(held) < max(0.020, sum(held) / 40)
