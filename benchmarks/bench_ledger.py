"""What people's decisions cost: how soon one is in force, and what a hundred thousand slow down.

    make bench-ledger           about ten minutes; for docs/explanation/speed-of-the-ledger.md

Everything is real: the databases of Debian's packages, Prometheus, a Hub with its dashboard. Each
figure is taken without any decisions and with all of them, in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks import pages
from benchmarks.results import Measured, save
from benchmarks.store import filled, version
from benchmarks.world import GIB, NAMESPACE
from jupyterhub_usage_quotas.ledger.base import Ledger
from jupyterhub_usage_quotas.ledger.sql.cached import CachedLedger
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.readers import Timing
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.quotas.adjustments import Exemption, Grant
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.inputs import gather
from tests.support.databases import Databases, started
from tests.support.hub import Hub, running_hub
from tests.support.visitor import Visitor

USERS = 10_000
"""So many have decisions, of which half are over."""
AT_ONCE = 1000
KINDS = ("sqlite", "postgresql", "mariadb")
TIMES = 40
ROUNDS = 10
DAYS = 8
"""Of history in Prometheus, of a hundred users."""
POLICIES = parse_policies(
    [
        {
            "name": "memory-week",
            "resource": "memory",
            "limit": "1000 GiB-hours",
            "window": 7,
            "scope": {"everyone": True},
        }
    ],
    {"intersection": "min"},
)
POLICY = "memory-week"
CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {prometheus!r}
c.UsageConfig.hub_namespace = {namespace!r}
c.UsageConfig.ledger_url = {ledger!r}
c.UsageQuotaManager.policy = [
    {{"name": "none", "resource": "memory", "limit": "0 GiB-hours", "window": 7,
      "scope": {{"user": {tried!r}}}}},
    {{"name": {policy!r}, "resource": "memory", "limit": "1000 GiB-hours", "window": 7,
      "scope": {{"everyone": True}}}},
]
"""


async def timed(step: Callable[[], Awaitable[object]], times: int = TIMES) -> float:
    """The median of its milliseconds."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        await step()
        taken.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(taken)


async def fill(journal: SqlLedger, rows: int) -> None:
    """Write grants, in the order in which users come up."""
    now = datetime.now(UTC)
    for begin in range(0, rows, AT_ONCE):
        await journal.record(
            [
                Grant(
                    policy=POLICY,
                    start=now - timedelta(days=8),
                    until=now + timedelta(days=7 if number % 20 < 10 else -1),
                    user=f"user-{number % USERS}",
                    actor="tutor",
                    reason="a deadline",
                    amount=3600.0 * GIB,
                )
                for number in range(begin, min(begin + AT_ONCE, rows))
            ]
        )


def ledger_url(kind: str, databases: Databases, directory: Path) -> str:
    if kind == "sqlite":
        return f"sqlite:///{directory / 'ledger.sqlite'}"
    databases[kind].empty()
    return databases[kind].url


# --- in the Hub's process -------------------------------------------------------------------------


async def decide(meter: Meter, ledger: Ledger, user: str) -> None:
    request = Request(Subject(user), rates={"memory": 2.0**30, "cpu": 1.0, "time": 1.0})
    at = datetime.now(UTC)
    gathered = await gather(POLICIES, meter, ledger, [request.subject], at)
    gathered.of(request.subject).decide(request)


async def costs_of(kind: str, url: str, meter: Meter, rows: int) -> list[Measured]:
    journal = SqlLedger.at(url, upgrade=True)
    ledger = CachedLedger(journal)
    await ledger.refresh()
    found = []
    for number in (0, rows):
        await fill(journal, number)
        begun = time.perf_counter()
        ledger.load_now(timedelta(minutes=2))
        reading = (time.perf_counter() - begun) * 1e3
        figures = {
            "reading everything": reading,
            "nothing new": await timed(ledger.refresh),
            "decision, without": await timed(lambda: decide(meter, ledger, "user-none")),
            "decision, with": await timed(lambda: decide(meter, ledger, "user-1")),
        }
        whose = {"user": "user-none-2", "actor": "tutor", "reason": "a deadline"}
        one = Grant(POLICY, *spell(), **whose, amount=1.0)
        figures["writing one"] = await timed(lambda: journal.record([one]))  # noqa: B023

        async def write_and_see() -> None:
            await journal.record([one])  # noqa: B023
            await ledger.refresh()

        figures["writing one, and reading it"] = await timed(write_and_see)
        found.append(Measured(f"{kind}, {number:,} decisions", figures))
    await journal.aclose()
    return found


def spell() -> tuple[datetime, datetime]:
    """The start and end of a decision that is in force for a day."""
    now = datetime.now(UTC)
    return now, now + timedelta(days=1)


# --- in a real Hub --------------------------------------------------------------------------------


def seconds_until_in_force(
    hub: Hub, journal: asyncio.Runner, ledger: SqlLedger, user: str
) -> float:
    visitor = Visitor(hub.url, user)
    path = f"/users/{user}/server"
    assert not visitor.api("POST", path).is_success
    exemption = Exemption("none", *spell(), user=user, actor="tutor", reason="a deadline")
    journal.run(ledger.record([exemption]))
    begun = asked = time.perf_counter()
    while not visitor.api("GET", f"/usage-quotas/users/{user}").json()["allow_server_launch"]:
        assert asked < begun + 60
        asked = time.perf_counter()
    assert visitor.api("POST", path).is_success
    return asked - begun


def milliseconds_of_page(hub: Hub, user: str, page: str) -> float:
    visitor = Visitor(hub.url, user)
    taken = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        visitor.http.get(f"/services/usage-quota/{page}").raise_for_status()
        taken.append((time.perf_counter() - begun) * 1e3)
    return statistics.median(taken)


def in_a_hub(
    kind: str, url: str, prometheus: str, directory: Path, rows: int
) -> Iterator[tuple[Measured, Measured]]:
    """How soon a decision is in force, and how long pages take: without decisions, and with."""
    tried = [f"tried-{number}" for number in range(2 * ROUNDS)]
    config = CONFIG.format(
        prometheus=prometheus, namespace=NAMESPACE, ledger=url, tried=tried, policy=POLICY
    )
    directory.mkdir()
    with running_hub(directory, "6", config) as hub, asyncio.Runner() as runner:
        ledger = SqlLedger.at(url)
        for number, users in ((0, tried[:ROUNDS]), (rows, tried[ROUNDS:])):
            runner.run(fill(ledger, number))
            taken = sorted(seconds_until_in_force(hub, runner, ledger, one) for one in users)
            what = f"{kind}, {number:,} decisions"
            pages = {
                "own page": milliseconds_of_page(hub, "user-1", ""),
                "table of all": milliseconds_of_page(hub, "admin", "users"),
            }
            in_force = {"median": statistics.median(taken), "longest": taken[-1]}
            yield Measured(what, in_force), Measured(what, pages)
        runner.run(ledger.aclose())


async def all_costs(databases: Databases, prometheus: str, rows: int) -> list[Measured]:
    client = PrometheusClient(prometheus, request_timeout=timedelta(minutes=2))
    # It is read once; what is known of it then is decided on for as long as this takes.
    timing = Timing(refresh_deadline=timedelta(minutes=10), stale_after=timedelta(hours=2))
    meter = Meter(client, [KubeStateMetrics(NAMESPACE)], timing)
    await meter.read_history(timedelta(days=DAYS - 1))
    found = []
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            url = ledger_url(kind, databases, Path(folder))
            found += await costs_of(kind, url, meter, rows)
    await meter.aclose()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    # What the tests do for themselves in conftest.py.
    programs = Path(".tools/node_modules/.bin").resolve()
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
    in_hubs: list[tuple[Measured, Measured]] = []
    with tempfile.TemporaryDirectory() as folder, started(Path(folder)) as databases:
        directory = Path(folder)
        with filled(100, DAYS) as store:
            prometheus = store.url
            costs = asyncio.run(all_costs(databases, prometheus, options.rows))
            for kind in KINDS:
                url = ledger_url(kind, databases, directory)
                in_hubs += in_a_hub(kind, url, prometheus, directory / kind, options.rows)
    tables = {
        "in_force": [one for one, _ in in_hubs],
        "costs": costs,
        "pages": [one for _, one in in_hubs],
    }
    about = {"with": "make bench-ledger", "prometheus": version()}
    save("ledger", tables, loads=[os.getloadavg()[0]], **about)
    pages.main()


if __name__ == "__main__":
    main()
