"""What a first start and the first launches cost, on a real Prometheus.

    make bench-start            about ten minutes; writes docs/explanation/speed-of-starts.md

The history is written by remote write (`remote_write.py`): all phases of the pods, 60 seconds
apart, two sessions a user and day. What the server used are CPU seconds of its process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from benchmarks.remote_write import write_world
from benchmarks.report import Measured, machine, table
from benchmarks.store import cpu_of, prometheus, settle
from benchmarks.world import NAMESPACE, World
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.readers import Timing
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.inputs import gather

DAYS = 30
RUNS = 3
DEADLINE = 5.0
"""Seconds in which a launch is to be decided."""
SLACK = 120 * 8 * 2.0**30
"""Of what was used, in bytes times seconds: a minute at either end of the largest server."""
POLICY = {
    "resource": "memory",
    "limit": "1000 GiB-hours",
    "window": DAYS,
    "scope": {"everyone": True},
}
PAGE = """\
# Speed of starts

Made by `make bench-start` on {date}, on {machine}, load {load}.
A real Prometheus {version} on the same machine, with what kube-state-metrics exports of pods
(annotations, five phases, requests), scraped every 60 seconds, {days} days, two sessions a user and
day; written by remote write, with the markers of series that ended. Medians of {runs} runs; CPU
seconds are the comparable figure, since other programs ran at the time.

## A first start

Nothing is known, and the whole window of {days} days is read. Launches are decided meanwhile, by
queries of their own. "share of the truth" is the server-hours that were read, of those that the
made-up Hub had.

{starts}

## Launches before anything is read

So many different users launch at once, with a policy over {days} days, and nothing is cached.
"decided" are those whose usage was known within {deadline:g} seconds, rightly.

{launches}
"""


class Counting(PrometheusClient):
    """Counts requests and the bytes of their answers, decoded."""

    requests = 0
    size = 0

    async def _send(self, *arguments: Any, **more: Any) -> httpx.Response:
        response = await super()._send(*arguments, **more)
        self.requests += 1
        self.size += len(response.content)
        return response


class Measuring:
    """A meter that knows nothing, of which is measured what it costs."""

    def __init__(self, url: str, pid: int, now: datetime) -> None:
        self.client = Counting(url, request_timeout=timedelta(seconds=30))
        timing = Timing(refresh_deadline=timedelta(minutes=5))
        self.meter = Meter(self.client, [KubeStateMetrics(NAMESPACE)], timing, clock=lambda: now)
        self.now, self._pid = now, pid
        self._begun = time.perf_counter(), cpu_of(pid), time.process_time()

    def figures(self) -> dict[str, float]:
        begun, server, own = self._begun
        return {
            "seconds": time.perf_counter() - begun,
            "server CPU s": cpu_of(self._pid) - server,
            "own CPU s": time.process_time() - own,
            "queries": self.client.requests,
            "MB": self.client.size / 1e6,
        }


async def start(url: str, pid: int, now: datetime, world: World) -> dict[str, float]:
    """The whole history, from nothing."""
    one = Measuring(url, pid, now)
    await one.meter.refresh(timedelta(days=DAYS))
    first = one.figures()["seconds"]
    while await one.meter.extend():
        pass
    figures = {"first reading, s": first, **one.figures()}
    assert one.meter.complete
    figures["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    (snapshot,) = one.meter.snapshots
    begin, end = snapshot.coverage.start, snapshot.coverage.end
    read = sum(
        amount for (_, kind), amount in snapshot.amounts(begin, end).items() if kind == "time"
    )
    true = sum(
        max(min(session.end, end) - max(session.start, begin), 0)
        for session in world.between(begin, end)
    )
    figures["share of the truth"] = read / true
    await one.client.aclose()
    return figures


async def launches(
    url: str, pid: int, now: datetime, number: int, world: World
) -> dict[str, float]:
    """So many launches at once, cold."""
    first = (now - timedelta(days=DAYS)).timestamp()
    true = dict.fromkeys(range(number), 0.0)
    for session in world.between(first, now.timestamp()):
        if session.user < number:
            lasted = min(session.end, now.timestamp()) - max(session.start, first)
            true[session.user] += lasted * session.memory
    one = Measuring(url, pid, now)
    policies = parse_policies([POLICY], {"intersection": "min"})
    waited: list[float] = []
    right = 0

    async def launch(user: int) -> None:
        nonlocal right
        subject = Subject(f"user-{user}")
        request = Request(subject, rates={"memory": 2.0**30, "cpu": 1.0, "time": 1.0})
        begun = time.perf_counter()
        gathered = await gather(policies, one.meter, NO_LEDGER, [subject], now)
        decision = gathered.of(subject).decide(request)
        waited.append(time.perf_counter() - begun)
        (verdict,) = decision.verdicts
        close = verdict.used is not None and abs(verdict.used - true[user]) <= SLACK
        right += close and waited[-1] <= DEADLINE

    await asyncio.gather(*(launch(user) for user in range(number)))
    figures = {
        "decided": right,
        "median s": statistics.median(waited),
        "largest s": max(waited),
        **one.figures(),
    }
    await one.client.aclose()
    return figures


def measure(users: int, crowds: Sequence[int]) -> list[list[Measured]]:
    """Both tables' rows of so many users, in a Prometheus of their own."""
    now = int(time.time()) // 3600 * 3600
    world, at = World(users, DAYS + 1, now), datetime.fromtimestamp(now - 60, UTC)
    with tempfile.TemporaryDirectory() as directory, prometheus(Path(directory)) as (program, url):
        write_world(url, world)
        settle(program.pid)
        starts = [asyncio.run(start(url, program.pid, at, world)) for _ in range(RUNS)]
        rows = [Measured(f"{users:,} users", _medians(starts))]
        crowd = [
            Measured(
                f"{number} of {users:,} users",
                _medians(
                    [
                        asyncio.run(launches(url, program.pid, at, number, world))
                        for _ in range(RUNS)
                    ]
                ),
            )
            for number in crowds
        ]
    return [rows, crowd]


def _medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[200, 1000])
    parser.add_argument("--crowds", type=int, nargs="*", default=[1, 50, 200])
    parser.add_argument("--one", type=int, metavar="USERS", help="measure this size, print JSON")
    page = Path("docs/explanation/speed-of-starts.md")
    parser.add_argument("--output", type=Path, default=page)
    options = parser.parse_args()
    if options.one:
        measured = measure(options.one, options.crowds)
        print(json.dumps([[asdict(row) for row in rows] for rows in measured]))
        return
    starts: list[Measured] = []
    crowds: list[Measured] = []
    for users in options.sizes:
        command = [sys.executable, "-m", "benchmarks.bench_start", "--one", str(users)]
        command += ["--crowds", *map(str, options.crowds)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        for rows, found in zip((starts, crowds), json.loads(done.stdout), strict=True):
            rows.extend(Measured(**row) for row in found)
    told = subprocess.run(["prometheus", "--version"], check=True, capture_output=True, text=True)
    options.output.write_text(
        PAGE.format(
            date=f"{datetime.now(UTC):%Y-%m-%d}",
            machine=machine(),
            load=f"{os.getloadavg()[0]:.1f}",
            version=(told.stdout or told.stderr).split()[2],
            days=DAYS,
            runs=RUNS,
            deadline=DEADLINE,
            starts=table(starts),
            launches=table(crowds),
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
