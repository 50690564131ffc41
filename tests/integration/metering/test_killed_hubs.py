"""A Hub that is killed at any instant of its start, of a refresh or of writing what it cached, and
the next one, too: whatever they leave, another says what is true, or that it does not know yet.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyterhub_usage_quotas.metering.checkpoint import FILE, Checkpoint
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.events import NoEvents
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.readers import Timing
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.quotas.usage import Fresh, Unknown
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.paths import ROOT
from tests.support.programs import Span
from tests.support.recorded import NOW

MINUTE = 60
DAYS = 2
REACH = timedelta(days=DAYS)
SOURCE = KubeStateMetrics(NAMESPACE)
RUNS = {"ada": (40, 10, 2), "bob": (25, 24, 1), "cyd": (2, 0, 4)}
"""How many hours ago each server began and ended, and its GiB."""
KILLS = 3
APART = 20
"""Minutes from the start of one Hub to that of the next."""


def history() -> Iterator[Span]:
    yield from hub_pod(NOW - (DAYS + 1) * 24 * HOUR, NOW + 2 * HOUR)
    for number, (user, (began, ended, size)) in enumerate(RUNS.items()):
        span = NOW - began * HOUR, NOW - ended * HOUR if ended else NOW + 2 * HOUR
        pod = Pod(user, *span, f"jupyter-{user}", str(number), memory=size * GIB)
        yield from pod.spans


@pytest.fixture(scope="module")
def prometheus(serve_history: Callable[..., str]) -> str:
    return serve_history(history())


class Telling(NoEvents):
    """Writes a line for every event, so that it can be killed right then."""

    def requested(self, outcome: str, seconds: float) -> None:
        print(outcome, seconds, flush=True)


def a_meter(url: str, folder: Path, clock: Callable[[], datetime], events: NoEvents) -> Meter:
    timing = Timing(
        deadline=timedelta(minutes=5),
        refresh_deadline=timedelta(minutes=5),
        stale_after=timedelta(hours=2),
    )
    client = PrometheusClient(url, request_timeout=timedelta(minutes=1))
    checkpoint = Checkpoint(folder, url, writer=True)
    return Meter(client, [SOURCE], timing, events=events, clock=clock, checkpoint=checkpoint)


async def run_until_killed(url: str, folder: str, since: str) -> None:
    """What a Hub does: it starts, reads the history, refreshes every minute, and writes."""
    minutes = int(since)
    meter = a_meter(
        url, Path(folder), lambda: datetime.fromtimestamp(NOW + minutes * MINUTE, UTC), Telling()
    )
    await meter.restore()
    while True:
        await meter.refresh(REACH)
        await meter.extend()
        print("writes", flush=True)
        await meter.save()
        print("wrote", flush=True)
        minutes = min(minutes + 1, int(since) + APART - 1)


PROGRAM = """
import asyncio, sys
from tests.integration.metering.test_killed_hubs import run_until_killed
asyncio.run(run_until_killed(*sys.argv[1:]))
"""


def kill_at(event: int, url: str, folder: Path, since: int) -> None:
    """A Hub that is killed at one of its events."""
    command = [sys.executable, "-c", PROGRAM, url, str(folder), str(since)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as hub:
        assert hub.stdout
        for _ in range(event):
            assert hub.stdout.readline()
        hub.kill()


async def is_right(url: str, folder: Path) -> None:
    """The next Hub says the truth at every stage of its start, or that it is not known."""
    now = datetime.fromtimestamp(NOW + KILLS * APART * MINUTE, UTC)
    refused: list[str] = []

    class Noted(NoEvents):
        def not_restored(self, why: str) -> None:
            refused.append(why)

    meter = a_meter(url, folder, lambda: now, Noted())
    await meter.restore()
    more = True
    while more:
        await meter.refresh(REACH)
        more = await meter.extend()
        for user, readings in meter.peek(list(RUNS), ["memory"], REACH, now).items():
            reading = readings["memory"]
            if not isinstance(reading, Fresh):
                assert isinstance(reading, Unknown)
                assert not meter.complete
                continue
            began, ended, size = RUNS[user]
            hours = began - ended if ended else began + KILLS * APART / 60
            used = reading.usage.between((now - REACH).timestamp(), now.timestamp())
            # A scrape at either end.
            assert used == pytest.approx(size * GIB * hours * HOUR, abs=2 * MINUTE * size * GIB)
    assert meter.complete
    assert refused == []
    await meter.aclose()


@pytest.mark.parametrize("seed", range(2))
async def test_whenever_a_hub_is_killed_the_next_one_is_right(prometheus, tmp_path, seed):
    chance = random.Random(seed)
    for number in range(KILLS):
        kill_at(chance.randrange(1, 90), prometheus, tmp_path, number * APART)
    await is_right(prometheus, tmp_path)
    assert [one.name for one in tmp_path.iterdir() if not one.name.startswith(".")] in ([], [FILE])
