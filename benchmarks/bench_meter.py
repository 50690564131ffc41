"""What the meter costs, against the naive way: one raw query of 30 days per user and policy.

    make bench-meter            about fifteen minutes; writes docs/explanation/speed.md

Everything is measured in one run, so only ratios matter. 200 users are in a real Prometheus; more
of them in a stand-in that answers the same queries (`stand_in.py`). The history of more than a
thousand users is put into the meter from the same made-up world, to save the time of reading it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from benchmarks.report import Measured, write_report
from benchmarks.world import NAMESPACE, World
from jupyterhub_usage_quotas import conventions as names
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.coverage import covered_everywhere
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.readers import Timing
from jupyterhub_usage_quotas.metering.snapshot import UsageSnapshot
from jupyterhub_usage_quotas.metering.sources.base import UsageSegment
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.timelines import Pieces, timelines
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.inputs import gather
from tests.support.programs import Program, Span, backfill, free_port, start_prometheus

NOW = int(time.time()) // 60 * 60
AT = NOW - 6 * 3600
"""When it is: in the middle of a half day, so that many servers are running."""
MONTH = timedelta(days=30)
READ = 1000
"""So many users' history is read as at start-up."""
REFRESHES = 5
POLICIES = parse_policies(
    [
        {
            "resource": "memory",
            "limit": "1000 GiB-hours",
            "window": 30,
            "scope": {"everyone": True},
        },
        {"resource": "cpu", "limit": "300 CPU-hours", "window": 30, "scope": {"everyone": True}},
    ],
    {"intersection": "min"},
)
NAIVE = "kube_pod_container_resource_requests"


def make_meter(url: str) -> Meter:
    """A meter with much patience, for which it is always the same minute."""
    client = PrometheusClient(url, request_timeout=timedelta(minutes=2))
    patient = Timing(deadline=timedelta(minutes=2), refresh_deadline=timedelta(minutes=10))
    source = KubeStateMetrics(NAMESPACE)
    return Meter(client, [source], patient, clock=lambda: instant(AT))


def instant(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)


async def seconds(step: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await step()
    return time.perf_counter() - begun


# --- a decision ----------------------------------------------------------------------------------


async def naive_decision(http: httpx.AsyncClient, user: str) -> float:
    """What launch-only systems do: the raw samples of 30 days for each policy, summed here."""
    total = 0.0
    for policy in POLICIES:
        selector = (
            f'{NAIVE}{{namespace="{NAMESPACE}",resource="{policy.resource}",pod="jupyter-{user}"}}'
        )
        answer = await http.post("query", data={"query": f"{selector}[30d]", "time": str(AT)})
        for series in answer.json()["data"]["result"]:
            total += sum(float(value) * 60 for _, value in series["values"])
    return total


async def decide(meter: Meter, user: str) -> None:
    request = Request(Subject(user), rates={"memory": 2.0**30, "cpu": 1.0, "time": 1.0})
    gathered = await gather(POLICIES, meter, NO_LEDGER, [request.subject], instant(AT))
    gathered.of(request.subject).decide(request)


async def decisions(url: str, users: int) -> list[Measured]:
    some = [f"user-{number}" for number in range(0, users, max(users // 40, 1))]
    meter = make_meter(url)
    async with httpx.AsyncClient(base_url=f"{url}/api/v1/", timeout=60) as http:
        naive = [await seconds(lambda: naive_decision(http, user)) for user in some]  # noqa: B023
    first = [await seconds(lambda: decide(meter, user)) for user in some]  # noqa: B023
    await read_all(meter)
    unprepared = [await seconds(lambda: decide(meter, user)) for user in some]  # noqa: B023
    warm = [await seconds(lambda: decide(meter, user)) for user in some]  # noqa: B023
    await meter.aclose()
    each = {
        "the naive way": naive,
        "before the history is read": first,
        "warm, a user's first": unprepared,
        "warm": warm,
    }
    base = statistics.median(naive)
    return [
        Measured(
            what,
            {
                "median ms": statistics.median(times) * 1e3,
                "largest ms": max(times) * 1e3,
                "times faster": base / statistics.median(times),
            },
        )
        for what, times in each.items()
    ]


async def read_all(meter: Meter, reach: timedelta = MONTH) -> None:
    await meter.refresh(reach)
    while await meter.extend():
        pass


# --- refreshes and start-up ----------------------------------------------------------------------


@contextmanager
def stand_in(users: int, days: int) -> Iterator[str]:
    """A stand-in in a process of its own; yields its URL."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.stand_in", *map(str, (port, users, days + 1, NOW))]
    with (
        tempfile.TemporaryDirectory() as directory,
        Program(command, Path(directory) / "log") as program,
    ):
        program.wait_for_url(f"http://127.0.0.1:{port}/counts", timeout=300)
        yield f"http://127.0.0.1:{port}"


class Heartbeat:
    """How long the event loop did not come round, at worst."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def beat(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            self.worst = max(self.worst, time.perf_counter() - before - 0.001)


async def refresh(users: int, days: int) -> tuple[Measured, Measured | None]:
    """A refresh for all users, and the start-up before it, with a window of so many days."""
    with stand_in(users, days) as url:
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            return await measure_refresh(http, url, users, days)


async def measure_refresh(
    http: httpx.AsyncClient, url: str, users: int, days: int
) -> tuple[Measured, Measured | None]:
    meter = make_meter(url)
    which = f"{users:,} users, {days} days"
    reach = timedelta(days=days)
    await http.get("counts")
    started = None
    held = await filled(meter, users, days) if users > READ else memory_held()
    if users <= READ:
        took = await seconds(lambda: read_all(meter, reach))
        counts = (await http.get("counts")).json()
        held = memory_held() - held
        started = Measured(
            which,
            {
                "seconds": took,
                "queries": counts["queries"],
                "MB read": counts["bytes"] / 1e6,
                "server busy seconds": counts["busy"],
                "MB held": held,
                "peak MB": peak_memory(),
            },
        )
    heart = Heartbeat()
    beating = asyncio.create_task(heart.beat())
    times = [await seconds(lambda: meter.refresh(reach)) for _ in range(REFRESHES)]
    beating.cancel()
    counts = (await http.get("counts")).json()
    each = {key: value / REFRESHES for key, value in counts.items()}
    naive = await naive_answer(http) * len(list(POLICIES)) * users if days == MONTH.days else 0
    await meter.aclose()
    figures = {
        "queries": each["queries"],
        "kB": each["bytes"] / 1e3,
        "ms": statistics.median(times) * 1e3,
        "loop blocked, ms": heart.worst * 1e3,
        "MB held": held,
        "naive kB": naive / 1e3,
        "times fewer bytes": naive / each["bytes"],
    }
    return Measured(which, figures), started


async def filled(meter: Meter, users: int, days: int) -> float:
    """Put the history of a world into a meter; returns the MB that it takes."""
    start, end = AT - days * 86400, AT - 60
    world = World(users, days + 1, NOW)
    pieces: Pieces = {}
    for one in world.between(start, end):
        server = ServerAttributes()
        by_key = pieces.setdefault(one.username, {})
        for kind, amount in {"memory": one.memory, "cpu": one.cpu, "time": 1.0}.items():
            by_key.setdefault((kind, server), []).append((one.start, one.end, amount))
    tracemalloc.start()
    usage = timelines(pieces, start, end)
    held = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    del pieces, world
    gc.collect()
    source = KubeStateMetrics(NAMESPACE)
    part = UsageSegment(usage, covered_everywhere(start, end))
    await meter.refresh(timedelta(minutes=20))
    sync = meter._usage[0].sync
    sync.snapshot = UsageSnapshot.of(source, part)
    sync._reach = timedelta(days=days)
    return held


async def naive_answer(http: httpx.AsyncClient) -> int:
    """The bytes of one answer to the naive query, of the average of some users."""
    sizes = []
    for number in range(10):
        query = f'{NAIVE}{{namespace="{NAMESPACE}",pod="jupyter-user-{number}"}}[30d]'
        answer = await http.post("api/v1/query", data={"query": query, "time": str(AT)})
        sizes.append(len(answer.content))
    return round(statistics.mean(sizes))


def memory_held() -> float:
    """The resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def peak_memory() -> float:
    """The largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


# --- putting it together -------------------------------------------------------------------------


def spans(world: World) -> Iterator[Span]:
    """What kube-state-metrics would have exported of a world, of what the meter reads."""
    begin = world.now - world.days * 86400
    hub = {"namespace": NAMESPACE, "pod": "hub-6d5f8c9b7d-x2x4z", "uid": "hub"}
    yield Span(names.KSM_ANNOTATIONS, hub, begin, world.now)
    yield Span(names.KSM_PHASE, hub | {"phase": "Running"}, begin, world.now)
    for one in world.between(begin, world.now):
        pod = {"namespace": NAMESPACE, "pod": one.pod, "uid": one.uid}
        user = {names.KSM_USERNAME_LABEL: one.username}
        yield Span(names.KSM_ANNOTATIONS, pod | user, one.start, one.end)
        yield Span(names.KSM_PHASE, pod | {"phase": "Running"}, one.start, one.end)
        for kind, amount in {"memory": one.memory, "cpu": one.cpu}.items():
            labels = pod | {"container": "notebook", "resource": kind}
            yield Span(names.KSM_REQUESTS, labels, one.start, one.end, amount)


def of_real(users: int) -> list[Measured]:
    with tempfile.TemporaryDirectory() as directory:
        backfill(Path(directory), spans(World(users, 31, NOW)))
        prometheus, url = start_prometheus(Path(directory))
        with prometheus:
            return asyncio.run(decisions(url, users))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=200, help="in the real Prometheus")
    parser.add_argument(
        "--one", nargs=2, type=int, metavar=("USERS", "DAYS"), help="measure this size, print JSON"
    )
    parser.add_argument("--sizes", type=int, nargs="*", default=[200, 1000, 10000])
    parser.add_argument("--days", type=int, nargs="*", default=[7, 30, 90])
    parser.add_argument("--output", type=Path, default=Path("docs/explanation/speed.md"))
    options = parser.parse_args()
    if options.one:
        measured = asyncio.run(refresh(*options.one))
        print(json.dumps([asdict(one) if one else None for one in measured]))
        return
    sizes = [(users, days) for users in options.sizes for days in options.days]
    pairs = [apart(*size) for size in sizes]
    write_report(
        options.output,
        of_real(options.users),
        [refreshed for refreshed, _ in pairs],
        [started for _, started in pairs if started],
        users=options.users,
    )


def apart(users: int, days: int) -> tuple[Measured, Measured | None]:
    """One size, measured in a process of its own, so that its memory is only its own."""
    print(f"{users} users, {days} days ...", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "benchmarks.bench_meter", "--one", str(users), str(days)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    refreshed, started = json.loads(done.stdout)
    return Measured(**refreshed), Measured(**started) if started else None


if __name__ == "__main__":
    main()
