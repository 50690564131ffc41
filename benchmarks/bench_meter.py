"""What the meter costs the Hub and Prometheus, and how that grows.

    make bench-meter            writes results/meter.json and docs/explanation/speed.md

Each row is measured in a process of its own (`sides/ours.py`), with a real Prometheus that is
written to as time goes on (`store.py`). What grows is one thing at a time: servers, users who run
none, days, policies.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks import pages
from benchmarks.remote_write import Scrapes
from benchmarks.results import Measured, exponent, medians, save
from benchmarks.sides.asking import GROUP
from benchmarks.sides.process import Process
from benchmarks.store import Store, filled, measured, version
from benchmarks.world import DAY, MINUTE, NAMESPACE
from jupyterhub_usage_quotas import conventions as names

RUNS = 3
DAYS = 30
RULES = Path("charts-config/prometheus/recording-rules.yaml")
LAUNCHES = 40
GROWING = ("seconds", "server CPU s", "own CPU s", "kB", "queries", "own peak MB")
"""What the growth of is worked out."""


def policies(count: int = 1, days: int = DAYS) -> list[dict[str, Any]]:
    """So many, with as many windows, the longest of so many days."""
    return [
        {
            "name": f"memory-{number}",
            "resource": "memory",
            "limit": "100000 GiB-hours",
            "window": f"{days * 24 - number} hours",
            "scope": {"group": [GROUP]},
        }
        for number in range(count)
    ]


def users_of(count: int) -> list[str]:
    return [f"user-{number}" for number in range(count)]


# --- a launch --------------------------------------------------------------------------------


def naive(store: Store, user: str) -> float:
    """What launch-only systems do: the raw samples of the window, summed here."""
    labels = f'namespace="{NAMESPACE}",resource="memory",pod="jupyter-{user}"'
    query = {"query": f"{names.KSM_REQUESTS}{{{labels}}}[{DAYS}d]", "time": str(store.written)}
    begun = time.perf_counter()
    with httpx.Client(trust_env=False, timeout=60) as http:
        answer = http.post(f"{store.url}/api/v1/query", data=query).json()
        sum(float(value) * MINUTE for one in answer["data"]["result"] for _, value in one["values"])
    return time.perf_counter() - begun


def launches(store: Store, users: int) -> list[Measured]:
    """A launch, by what is known before it."""
    some = users_of(min(users, LAUNCHES))
    one = Process("launches", store)
    found: dict[str, list[dict[str, float]]] = {}

    def add(what: str, waited: Sequence[float], figures: dict[str, float]) -> None:
        # Of one launch; peaks are of the whole process.
        whole = {"own peak MB", "server peak MB", "load"}
        each = {
            key: value if key in whole else value / len(waited)
            for key, value in figures.items()
            if key != "seconds"
        }
        found.setdefault(what, []).append(
            {"ms, median": statistics.median(waited) * 1e3, "ms, most": max(waited) * 1e3, **each}
        )

    for _ in range(RUNS):
        with measured(store) as figures:
            waited = [naive(store, user) for user in some]
        add("the raw samples of a window", waited, figures)
    for _ in range(RUNS):
        one.ask("begin", policies=policies())
        answer, figures = one.ask("each", some[:1])
        add("nothing is known", answer["waited"], figures)
    one.ask("prepare")
    for _ in range(RUNS):
        answer, figures = one.ask("each", some)
        add("everything is known", answer["waited"], figures)
    one.end()
    return [Measured(what, medians(runs)) for what, runs in found.items()]


# --- first starts and refreshes ------------------------------------------------------------------


class Case:
    """A way to run this package, of which starts and refreshes are measured."""

    def __init__(
        self,
        what: str,
        store: Store,
        size: int,
        *,
        users: int,
        count: int = 1,
        days: int = DAYS,
        source: str = "kube-state-metrics",
    ) -> None:
        self.what, self.size = what, size
        self.reads = True
        """Whether it reads another history than others of the same store."""
        self.starts: list[dict[str, float]] = []
        self.refreshes: list[dict[str, float]] = []
        self._users = users_of(users)
        self._options = {"policies": policies(count, days), "source": source}
        self._process = Process(what, store)
        self._store, self._days = store, days

    def start(self) -> None:
        """Read the history from nothing."""
        self._process.ask("begin", **self._options)
        now = self._store.written
        _, figures = self._process.ask("prepare")
        answer, _ = self._process.ask("each", self._users[:LAUNCHES])
        true = sum(
            max(min(one.end, now) - max(one.start, now - self._days * DAY), 0) * one.memory / 3600
            for number in range(min(len(self._users), LAUNCHES))
            for one in self._store.world.of(number)
        )
        self.starts.append(figures | {"share of the truth": sum(answer["used"].values()) / true})

    def refresh(self) -> None:
        """What is done in a minute."""
        answer, figures = self._process.ask("refresh", self._users)
        self.refreshes.append(figures | {"kB of metrics": answer["metrics"] / 1e3})

    def end(self) -> None:
        self._process.end()


def run(store: Store, cases: Sequence[Case], runs: int) -> None:
    """Start them in turn, several times, and then have all refresh in the same minutes. Those that
    read the same as another start once.
    """
    for case in cases:
        for _ in range(runs if case.reads else 1):
            case.start()
        case.refresh()
        print(f"{case.what}: {case.starts[-1]}", file=sys.stderr, flush=True)
        case.refreshes.clear()
    for _ in range(runs):
        store.wait_for_a_minute()
        for case in cases:
            case.refresh()
    for case in cases:
        case.end()


def growths(cases: dict[str, list[Case]]) -> list[Measured]:
    """The exponents with which figures grow, by what grows."""
    found = []
    for along, some in cases.items():
        for what in ("starts", "refreshes"):
            if what == "starts" and not all(case.reads for case in some):
                continue
            rows = [medians(getattr(case, what)) for case in some]
            sizes = [case.size for case in some]
            found.append(
                Measured(
                    f"{'a first start' if what == 'starts' else 'a refresh'}, by {along}",
                    {key: exponent(sizes, [row[key] for row in rows]) for key in GROWING},
                )
            )
    return found


def of_servers(size: int, runs: int) -> tuple[list[Case], list[Measured]]:
    """So many users with servers; and a launch among them."""
    with filled(size, DAYS) as store:
        case = Case(f"{size:,} users with servers", store, size, users=size)
        run(store, [case], runs)
        return [case], launches(store, size)


def of_the_rest(size: int, runs: int) -> dict[str, list[Case]]:
    """What else grows, with so many users with servers."""
    with filled(size, DAYS) as store:
        cases = {
            "users without servers": [
                Case(f"{size:,} with, {more:,} without", store, size + more, users=size + more)
                for more in (0, 4 * size, 24 * size)
            ],
            "days": [
                Case(f"{days} days", store, days, users=size, days=days) for days in (7, 15, 30)
            ],
            "policies": [
                Case(f"{count} policies", store, count, users=size, count=count)
                for count in (1, 10, 40)
            ],
        }
        for case in (*cases["users without servers"], *cases["policies"]):
            case.reads = False
        run(store, [case for group in cases.values() for case in group], runs)
    return cases


def recording(store: Store) -> dict[str, float]:
    """What it takes Prometheus to evaluate the recording rules once."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    at = store.written
    with httpx.Client(trust_env=False, timeout=60) as http, measured(store) as figures:
        for rule in (one for group in groups for one in group["rules"]):
            query = {"query": rule["expr"], "time": str(at)}
            http.post(f"{store.url}/api/v1/query", data=query).raise_for_status()
    servers = sum(one.start < at <= one.end for one in store.world.between(at - MINUTE, at))
    each = figures["server CPU s"] / servers
    return {"servers": servers, "server CPU s": figures["server CPU s"], "of 1,000": 1000 * each}


def by_source(users: int, runs: int) -> tuple[list[Case], Measured]:
    """The same Hub, as it is exported and scraped in different ways; and what recording takes."""
    now = int(time.time()) // MINUTE * MINUTE
    gaps = tuple(
        (begin, begin + 5 * MINUTE) for begin in range(now - DAYS * DAY, now - 3600, DAY // 2)
    )
    hard = Scrapes(replicas=2, gaps=gaps, resized=20, recorded=True)
    with filled(users, DAYS, hard) as store:
        what = "two replicas, two gaps a day, one pod in 20 resized"
        cases = [
            Case(what, store, users, users=users),
            Case("recorded series of the same", store, users, users=users, source="recorded"),
        ]
        run(store, cases, runs)
        rules = medians([recording(store) for _ in range(runs)])
    return cases, Measured("the rules, once", rules)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[20, 60, 180])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--at-once", type=int, default=1)
    options = parser.parse_args()
    middle = sorted(options.sizes)[len(options.sizes) // 2]
    # Each has a Prometheus of its own: CPU seconds are compared, not how long something takes.
    with ThreadPoolExecutor(options.at_once) as pool:
        sizes = [pool.submit(of_servers, size, options.runs) for size in options.sizes]
        others = pool.submit(of_the_rest, middle, options.runs)
        sources = pool.submit(by_source, middle, options.runs)
        cases = {"servers": [case for one in sizes for case in one.result()[0]]} | others.result()
        ways, rules = sources.result()
        crowds = sizes[-1].result()[1]
    every = [*(one for group in cases.values() for one in group), *ways]
    tables = {
        "launches": crowds,
        "starts": [Measured(one.what, medians(one.starts)) for one in every if one.reads],
        "refreshes": [Measured(one.what, medians(one.refreshes)) for one in every],
        "growth": growths(cases),
        "rules": [rules],
    }
    loads = [one["load"] for case in every for one in (*case.starts, *case.refreshes)]
    about = {"with": "make bench-meter", "prometheus": version(), "runs": options.runs}
    save("meter", tables, loads=loads, **about)
    pages.main()


if __name__ == "__main__":
    main()
