"""How long it takes to try policies on the past: everybody's thirty days of usage.

As a program (`make bench-simulate`) it keeps the seconds of CPU for each kind of policy, for 1,000
users with two sessions a day, for docs/how-to/try-on-the-past.md.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks import pages
from benchmarks.results import Measured, save
from benchmarks.world import DAY, World
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.policy import PolicySet
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.simulation.past import Past
from jupyterhub_usage_quotas.quotas.simulation.results import Simulation
from jupyterhub_usage_quotas.quotas.simulation.simulate import simulate
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAYS, GROUPS = 30, 10
EVERYONE = {"everyone": True}
PLAIN = ServerAttributes()


def policy(limit: str, window: object, **more: object) -> dict[str, object]:
    return {"resource": "memory", "limit": limit, "window": window, "scope": EVERYONE} | more


MONTH = {"calendar": "month", "timezone": "Europe/Zurich"}
KINDS = {
    "7 days, few are denied": [policy("250 GiB-hours", 7)],
    "7 days, all are denied": [policy("20 GiB-hours", 7)],
    "an hour of a calendar": [policy("10 GiB-hours", {"calendar": "hour"})],
    "refilled every 10 minutes": [policy("40 GiB-hours", {"refill": 0.2, "every": "10 minutes"})],
    "a pool of everybody": [policy("200000 GiB-hours", 7, share="pooled")],
    "four of them": [
        policy("60 GiB-hours", 1),
        policy("250 GiB-hours", 7),
        policy("800 GiB-hours", MONTH),
        {"resource": "cpu", "limit": "100 CPU-hours", "window": 7, "scope": EVERYONE},
    ],
}


def past_of(users: int, policies: PolicySet) -> Past:
    """Everybody's usage over twice the days that are simulated."""
    world = World(users, 2 * DAYS, int(NOW.timestamp()))
    buckets: dict[str, dict[str, list[Bucket]]] = {}
    for one in world.between(world.now - 2 * DAYS * DAY, world.now):
        of_user = buckets.setdefault(one.username, {"memory": [], "cpu": [], "time": []})
        for name, rate in (("memory", one.memory), ("cpu", one.cpu), ("time", 1.0)):
            amount = rate * (one.end - one.start)
            if amount > 0:
                of_user[name].append(Bucket(float(one.start), float(one.end), amount, PLAIN))
    readings = {
        user: {name: Fresh(Usage(tuple(some), NOW)) for name, some in of_user.items()}
        for user, of_user in buckets.items()
    }
    start = NOW - timedelta(days=DAYS)
    subjects = [
        Subject(user, frozenset({f"group-{number % GROUPS}"}))
        for number, user in enumerate(sorted(readings))
    ]
    pools = {one.name: readings for one in policies if one.pooled}
    return Past(subjects, readings, start, NOW, NOW - timedelta(days=2 * DAYS), (), pools)


def tried(past: Past, policies: PolicySet) -> Simulation:
    return simulate(policies, past)


@pytest.mark.parametrize("kind", KINDS)
def bench_simulate(benchmark, kind):
    """A hundred users: the time grows with their number."""
    policies = parse_policies(KINDS[kind], failover_open=False)
    past = past_of(100, policies)
    found = benchmark.pedantic(tried, (past, policies), rounds=3)
    assert found.everybody.launches > 0


def main(users: int = 1000) -> None:
    """Write results/simulate.json: seconds of CPU, and what came of it."""
    rows = []
    for kind, written in KINDS.items():
        policies = parse_policies(written, failover_open=False)
        past = past_of(users, policies)
        begin = time.process_time()
        whole = tried(past, policies).everybody
        spent = time.process_time() - begin
        figures = {"seconds of CPU": spent, "launches": whole.launches, "denied": whole.denied}
        rows.append(Measured(kind, figures))
        print(kind, figures, flush=True)
    save(
        "simulate",
        {"policies": rows},
        loads=[os.getloadavg()[0]],
        **{"with": "make bench-simulate"},
    )
    pages.main()


if __name__ == "__main__":
    main()
