"""What every minute costs a Hub: its refresh with the tally of everybody, and a scrape; the table
of all users; and the longest time for which any of it holds the event loop.

    make bench-minute           about five minutes; writes docs/explanation/speed-of-minutes.md

The last two hours of the servers that run are in a real Prometheus (`remote_write.py`), from which
the meter reads every minute; the thirty days before that are put into the meter's own tables, to
save the time of reading them. Users are in a JupyterHub database in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jupyterhub import orm
from prometheus_client import CollectorRegistry, generate_latest
from traitlets.config import Config

from benchmarks.bench_start import Counting, cpu_of, prometheus
from benchmarks.in_flight import in_flight
from benchmarks.minute_page import PAGE
from benchmarks.remote_write import write_world
from benchmarks.report import Measured, machine, table
from benchmarks.world import GIB, NAMESPACE, Session, World
from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.hub.metrics.exported import Exported
from jupyterhub_usage_quotas.hub.metrics.usage import UsageGauges
from jupyterhub_usage_quotas.hub.refresh import make_refresh_loop
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.metering.coverage import covered_everywhere
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.readers import Timing
from jupyterhub_usage_quotas.metering.snapshot import UsageSnapshot
from jupyterhub_usage_quotas.metering.sources.base import UsageSegment
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.timelines import Pieces, timelines
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.services.viewer.table import Page, counts, selected
from jupyterhub_usage_quotas.services.web.params import Query
from jupyterhub_usage_quotas.status.everyone import EveryoneStatuses
from jupyterhub_usage_quotas.status.snapshot import StatusSnapshot

DAYS, MINUTES = 30, 5
COVERED = 33
"""Days of history that are known: as many as a month's policy looks back, or nothing is Fresh."""
IN_PROMETHEUS = 2 * 3600
EVERYONE = {"scope": {"everyone": True}}
WINDOWS: list[tuple[str, str, Any]] = [
    ("memory", "1000 GiB-hours", 30),
    ("cpu", "300 CPU-hours", 30),
    ("memory", "300 GiB-hours", 7),
    ("cpu", "100 CPU-hours", 7),
    ("time", "200 server-hours", 30),
    ("memory", "80 GiB-hours", 1),
    ("time", "40 server-hours", {"calendar": "week"}),
    ("cpu", "900 CPU-hours", {"calendar": "month"}),
    ("time", "12 server-hours", {"calendar": "day", "timezone": "Europe/Zurich"}),
    ("credits", "100 credits", {"refill": 1, "every": "10 minutes"}),
    ("cpu", "40 CPU-hours", {"refill": 4, "every": "6 hours"}),
]
PRICES = {"memory": 0.1, "cpu": 0.5, "time": 1.0}


class Active(World):
    """Users whose history is as in `World`, of whom only some have a server in the last hours."""

    def __init__(self, users: int, active: int, now: int) -> None:
        super().__init__(users, DAYS, now)
        chance = random.Random(4)
        begin = now - IN_PROMETHEUS
        self.past = [one for one in self._sessions if one.end <= begin]
        self._sessions = sorted(
            (
                Session(
                    user,
                    9999,
                    now - chance.randrange(600, IN_PROMETHEUS, 60),
                    now,
                    float(chance.choice((1, 2, 4, 8)) * GIB),
                    chance.choice((0.5, 1.0, 2.0)),
                )
                for user in range(0, users, max(users // active, 1))
            ),
            key=lambda one: one.start,
        )
        self._starts = [one.start for one in self._sessions]
        self.days = IN_PROMETHEUS / 86400  # type: ignore[assignment]


def policies_of(number: int) -> list[dict[str, Any]]:
    """So many policies that cover everyone, each with a window of its own."""
    made = []
    for at in range(number):
        kind, limit, window = WINDOWS[at % len(WINDOWS)]
        if at >= len(WINDOWS):
            window = f"{at + 1}h"
        made.append(
            {"name": f"policy {at}", "resource": kind, "limit": limit, "window": window} | EVERYONE
        )
    return made


def database(users: int) -> Any:
    """A Hub's, with so many users, each in a group."""
    db = orm.new_session_factory("sqlite:///:memory:")()
    groups = [orm.Group(name=f"group-{number}") for number in range(20)]
    db.add_all(groups)
    for number in range(users):
        user = orm.User(name=f"user-{number}")
        user.groups = [groups[number % 20]]
        db.add(user)
    db.commit()
    db.expunge_all()
    return db


async def filled(meter: Meter, world: Active, end: float) -> None:
    """Put the history of a world before an instant into a meter."""
    pieces: Pieces = {}
    start = end - COVERED * 86400
    for one in world.past:
        by_key = pieces.setdefault(one.username, {})
        for kind, amount in {"memory": one.memory, "cpu": one.cpu, "time": 1.0}.items():
            runs = by_key.setdefault((kind, ServerAttributes()), [])
            runs.append((one.start, one.end, amount))
    await meter.refresh(timedelta(minutes=20))
    part = UsageSegment(timelines(pieces, start, end), covered_everywhere(start, end))
    sync = meter._usage[0].sync
    sync.snapshot = UsageSnapshot.of(KubeStateMetrics(NAMESPACE), part)
    sync._reach = timedelta(days=COVERED)


class Held:
    """For how long the event loop was held at worst, in seconds of its thread's processor."""

    worst = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        run = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            begun = time.thread_time()
            run(handle)
            self.worst = max(self.worst, time.thread_time() - begun)

        asyncio.Handle._run = timed  # type: ignore[method-assign]
        try:
            yield
        finally:
            asyncio.Handle._run = run  # type: ignore[method-assign]


class Hub:
    """The parts of a Hub that have something to do every minute, at an instant that goes on."""

    def __init__(self, url: str, users: int, policies: int, now: int) -> None:
        self.at = datetime.fromtimestamp(now, UTC)
        self.client = Counting(url, request_timeout=timedelta(minutes=2))
        timing = Timing(refresh_deadline=timedelta(minutes=10))
        source = KubeStateMetrics(NAMESPACE)
        self.meter = Meter(self.client, [source], timing, clock=lambda: self.at)
        config = Config()
        config.UsageQuotaManager.policy = policies_of(policies)
        config.UsageQuotaManager.credit_prices = PRICES
        self.options = QuotaOptions(config=config)
        self.policies = self.options.policies
        self.snapshot = StatusSnapshot(self.policies, self.meter, NO_LEDGER)
        app: Any = SimpleNamespace(db=database(users), log=logging.getLogger("bench"))
        self.loop = make_refresh_loop(app, self.options, self.meter, self.snapshot)

    async def tally(self) -> None:
        for one in self.loop.listeners:
            await one.refreshed(self.at)

    def scrape(self, *, everybody: bool = False) -> tuple[float, int]:
        """Seconds of the processor, and bytes."""
        registry = CollectorRegistry()
        exported = Exported(self.snapshot, NAMESPACE, everybody=everybody)
        registry.register(exported)
        registry.register(UsageGauges(exported.rows, self.policies, NAMESPACE))
        begun = time.process_time()
        text = generate_latest(registry)
        return time.process_time() - begun, len(text)


async def minutes(
    url: str, pid: int, users: int, active: int, policies: int, world: Active, now: int
) -> list[Measured]:
    """The rows of a size: of refreshes, and of scrapes."""
    hub = Hub(url, users, policies, now - (MINUTES + 3) * 60)
    await filled(hub.meter, world, now - IN_PROMETHEUS)
    await hub.meter.refresh(hub.policies.reach)
    await hub.tally()
    found: list[dict[str, float]] = []
    held = Held()
    gc.collect()
    for number in range(MINUTES + 1):
        hub.at += timedelta(minutes=1)
        server, size, asked = cpu_of(pid), hub.client.size, hub.client.requests
        with held.watching():
            times = [time.process_time()]
            await hub.meter.refresh(hub.policies.reach)
            times.append(time.process_time())
            await hub.tally()
            times.append(time.process_time())
        if number == 0:
            held.worst = 0.0  # the first of all reads much more than a minute
            continue
        found.append(
            {
                "reading": (times[1] - times[0]) * 1e3,
                "tally": (times[2] - times[1]) * 1e3,
                "both": (times[2] - times[0]) * 1e3,
                "server": (cpu_of(pid) - server) * 1e3,
                "queries": hub.client.requests - asked,
                "kB": (hub.client.size - size) / 1e3,
            }
        )
    known = [row.used is not None for one in hub.snapshot.standings for row in one.rows]
    assert all(known), "not all is known, so that another way was measured than the usual one"
    what = f"{users:,} users, {policies} policies, {active:,} active"
    figures = {name: statistics.median(one[name] for one in found) for name in found[0]}
    figures |= {"hold": held.worst * 1e3}
    figures["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    scrapes: dict[str, float] = {}
    for name, how in {"": {}, "everybody: ": {"everybody": True}}.items():
        each = [hub.scrape(**how) for _ in range(3)]
        scrapes[f"{name}ms"] = statistics.median(took for took, _ in each) * 1e3
        scrapes[f"{name}kB"] = each[0][1] / 1e3
    await hub.client.aclose()
    return [Measured(what, figures), Measured(what, scrapes)]


class Everybody:
    """The users that the dashboard lists."""

    def __init__(self, users: int) -> None:
        self._subjects = [Subject(f"user-{number}") for number in range(users)]

    async def subjects(self) -> Sequence[Subject]:
        return self._subjects


async def view(
    url: str, users: int, active: int, policies: int, world: Active, now: int
) -> Measured:
    """The table of all users, for the first visitor in a minute."""
    hub = Hub(url, 0, policies, now - (MINUTES + 3) * 60)
    await filled(hub.meter, world, now - IN_PROMETHEUS)
    statuses = EveryoneStatuses(hub.policies, hub.meter, Everybody(users))
    page, found, held = Page.of(Query({}.get)), [], Held()
    for number in range(MINUTES):
        hub.at += timedelta(minutes=1)
        await hub.meter.refresh(hub.policies.reach)
        with held.watching():
            begun = time.process_time()
            everybody = await statuses.of_everyone(hub.at)
            chosen = selected(everybody, page.filter)
            counts(everybody, page, "/users")
            assert len(chosen) == users
            seen = time.process_time() - begun
        if number:
            found.append({"view": seen * 1e3})
        else:
            held.worst = 0.0
    await hub.client.aclose()
    figures = {name: statistics.median(one[name] for one in found) for name in found[0]}
    figures["hold"] = held.worst * 1e3
    return Measured(f"{users:,} users, {policies} policies, {active:,} active", figures)


def measure(users: int, active: int, policies: Sequence[int]) -> list[list[Measured]]:
    """The rows of all tables, of so many users with a Prometheus of their own."""
    now = int(time.time()) // 60 * 60
    world = Active(users, active, now)
    with tempfile.TemporaryDirectory() as directory, prometheus(Path(directory)) as (program, url):
        write_world(url, world)
        pairs = [
            asyncio.run(minutes(url, program.pid, users, active, number, world, now))
            for number in policies
        ]
        tables = [asyncio.run(view(url, users, active, max(policies), world, now))]
    return [[one for one, _ in pairs], [one for _, one in pairs], tables, [in_flight(users)]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1000, 100, 10000, 1000])
    parser.add_argument("--policies", type=int, nargs="*", default=[1, 10, 40])
    parser.add_argument("--one", type=int, nargs=2, metavar=("USERS", "ACTIVE"))
    page = Path("docs/explanation/speed-of-minutes.md")
    parser.add_argument("--output", type=Path, default=page)
    options = parser.parse_args()
    if options.one:
        measured = measure(*options.one, options.policies)
        print(json.dumps([[asdict(row) for row in rows] for rows in measured]))
        return
    tables: list[list[Measured]] = [[], [], [], []]
    for users, active in zip(options.sizes[::2], options.sizes[1::2], strict=True):
        command = [sys.executable, "-m", "benchmarks.bench_minute", "--one", str(users)]
        command += [str(active), "--policies", *map(str, options.policies)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        for rows, more in zip(tables, json.loads(done.stdout), strict=True):
            rows.extend(Measured(**row) for row in more)
    told = subprocess.run(["prometheus", "--version"], check=True, capture_output=True, text=True)
    text = PAGE.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=machine(),
        load=f"{os.getloadavg()[0]:.1f}",
        version=(told.stdout or told.stderr).split()[2],
        days=DAYS,
        minutes=MINUTES,
        refreshes=table(tables[0]),
        scrapes=table(tables[1]),
        tables=table(tables[2]),
        flights=table(tables[3]),
    )
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
