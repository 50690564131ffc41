"""What it takes to say what a year cost: by hub, by user, and by day, for 10,000 users."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from jupyterhub_usage_quotas.costs.attribute import Rules
from jupyterhub_usage_quotas.costs.cost_store import CostStore
from jupyterhub_usage_quotas.costs.known import Attribution, Costs
from jupyterhub_usage_quotas.costs.money import total
from jupyterhub_usage_quotas.costs.months import Span
from jupyterhub_usage_quotas.costs.prices import USUAL_PRICES, weights_of
from jupyterhub_usage_quotas.costs.report import report
from jupyterhub_usage_quotas.costs.usage_store import UsageStore, Used
from jupyterhub_usage_quotas.costs.values import CostRow
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url

from . import pages
from .results import Measured, save

USERS, A_DAY, HUBS = 10_000, 2_000, ("prod", "staging", "workshop")
FIRST = date(2025, 11, 1)
DAY = timedelta(days=1)
NOW = datetime(2026, 11, 2, tzinfo=UTC)
GIB_HOUR, CPU_HOUR, GB_DAY = 1024 * 3600, 3600 * 1000, 10**9 * 86400 // 2**20


async def fill(path: Path, days: int) -> None:
    """Make the database."""
    database = Database(parse_ledger_url(f"sqlite:///{path}"), upgrade=True)
    usage, costs = UsageStore(database), CostStore(database)
    chance = random.Random(7)
    every = [FIRST + DAY * number for number in range(days)]
    for day in every:
        present = chance.sample(range(USERS), A_DAY)
        for place, hub in enumerate(HUBS):
            used = []
            for number in present[place :: len(HUBS)]:
                hours = chance.randint(1, 12)
                user = f"user-{number:05}"
                used += [
                    Used(user, "", "memory", hours * 4 * GIB_HOUR),
                    Used(user, "", "cpu", hours * CPU_HOUR),
                    Used(user, "", "storage", chance.randint(1, 20) * GB_DAY),
                ]
            await usage.write(day, hub, used, 1.0, NOW)
    rows = [
        CostRow(day, hub, component, Decimal(chance.randint(10**12, 10**13)) / 10**10, "USD")
        for day in every
        for hub in (*HUBS, "", None)
        for component in ("compute", "home storage", "networking")
    ]
    await costs.write("aws", rows, dict.fromkeys(every, True), NOW)
    await database.aclose()


async def ask(path: Path, days: int, what: str) -> list[float]:
    """The seconds of CPU, and of a clock, that an answer takes, and that it takes again."""
    database = Database(parse_ledger_url(f"sqlite:///{path}"))
    usage, store = UsageStore(database), CostStore(database)
    costs = Costs(store, usage, ["aws"], Attribution(Rules(weights_of(USUAL_PRICES))))
    span = Span(FIRST, FIRST + DAY * days)
    bill = total(one.amount for one in await store.rows(["aws"], span.since, span.until))

    async def answer() -> None:
        if what == "hub and component, by day":
            found = report(await costs.allocations(span, by_user=False), ["day", "hub"])
        elif what == "user, component and hub":
            found = report(await costs.totals(span), ["hub", "component", "user"])
        elif what == "the 20 users who cost most, by day":
            shown = report(await costs.totals(span), ["user"], most_users=20)
            users = frozenset(str(row.user) for row in shown.rows)
            dated = await costs.allocations(span, users=users)
            found = report(dated, ["day", "user"], most_users=20)
        else:
            return
        assert total(row.amount for row in found.rows) == bill

    taken = []
    for _ in range(2):
        begin, cpu = time.perf_counter(), time.process_time()
        await answer()
        taken += [time.process_time() - cpu, time.perf_counter() - begin]
    await database.aclose()
    return taken


NOTHING = "nothing"
QUESTIONS = (
    "hub and component, by day",
    "user, component and hub",
    "the 20 users who cost most, by day",
)


def measure(path: Path, days: int, what: str) -> Measured:
    """Ask in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_costs", "--ask", what]
    done = subprocess.run(
        [*command, "--database", str(path), "--days", str(days)],
        capture_output=True,
        text=True,
        check=True,
    )
    names = ("CPU", "clock", "CPU, again", "clock, again", "MB")
    figures = map(float, done.stdout.split())
    return Measured(what, dict(zip(names, figures, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--database", type=Path, default=None)
    parser.add_argument("--ask", default="", help="what is asked; the others are for processes")
    options = parser.parse_args()
    if options.ask:
        taken = asyncio.run(ask(options.database, options.days, options.ask))
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(*taken, megabytes)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = options.database or Path(folder) / "costs.sqlite"
        if not path.exists():
            asyncio.run(fill(path, options.days))
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        empty = measure(path, options.days, NOTHING).figures["MB"]
        answers = [measure(path, options.days, one) for one in QUESTIONS]
        megabytes = round(path.stat().st_size / 1e6)
    disk = Measured("the database", {"MB on disk": megabytes, "MB of memory, empty": empty})
    tables = {"answers": answers, "sizes": [disk]}
    save("costs", tables, loads=[os.getloadavg()[0]], **{"with": "make bench-costs"})
    pages.main()


if __name__ == "__main__":
    main()
