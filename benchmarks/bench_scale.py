"""A hundred thousand users on a store of several machines: what is queried, how large it is, what
such a store refuses, and what the Hub holds.

    make bench-scale    writes results/scale.json and the tables of docs/explanation/scale.md

The store is a stand-in: a real Prometheus of few users whose answers are multiplied, and which
refuses what a store of a kind would (`multiplied.py`). The meter is the real one, in a process of
its own. What the store itself takes is not measured: it is not such a store.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks import pages
from benchmarks.bench_meter import policies
from benchmarks.multiplied import KINDS
from benchmarks.remote_write import Scrapes
from benchmarks.results import Measured, exponent, save
from benchmarks.sides.process import Process
from benchmarks.store import Store, filled, version
from tests.support.programs import Program, free_port

AT_ONCE = 4
"""How many are measured at a time: nothing here is about how long something takes."""
CROWD = 200
DAYS = 30
PATIENCE = 600.0
"""Seconds, for how long a store takes is not simulated."""


@contextmanager
def multiplied(store: Store, users: int, times: int, kind: str) -> Iterator[Store]:
    """A store of so many times as many users, of a kind."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.multiplied", str(port), store.url]
    command += [str(users), str(times), kind]
    with (
        tempfile.TemporaryDirectory() as folder,
        Program(command, Path(folder) / "log") as program,
    ):
        url = f"http://127.0.0.1:{port}"
        program.wait_for_url(f"{url}/counts")
        yield Larger(url, program.pid, store.world, store.written, store)


class Larger(Store):
    """It is written to by way of the Prometheus behind it."""

    def __init__(self, url: str, pid: int, world: Any, written: int, behind: Store) -> None:
        super().__init__(url, pid, world, written)
        self._behind = behind

    def counted(self) -> tuple[float, float]:
        """Nothing: see `taken`."""
        return 0.0, 0.0

    def taken(self) -> dict[str, Any]:
        """What was asked since this was last read."""
        return httpx.get(f"{self.url}/counts", trust_env=False, timeout=60).json()

    def wait_for_a_minute(self) -> None:
        """See `Store`."""
        self._behind.wait_for_a_minute()


def row(store: Larger, figures: dict[str, float]) -> dict[str, float]:
    """What a step took."""
    taken = store.taken()
    most = taken["most"]
    return {
        "own CPU s": figures["own CPU s"],
        "own peak MB": figures["own peak MB"],
        "queries": taken["queries"],
        "refused": taken["refused"],
        "MB decoded": taken["decoded"] / 1e6,
        "most series": most["series"],
        "most chunks": most["chunks"],
        "most million samples": most["samples"] / 1e6,
        "longest query, kB": most["text"] / 1e3,
        "load": figures["load"],
    }


def steps(
    store: Larger, hours: int, users: int, source: str = "kube-state-metrics"
) -> dict[str, dict[str, float]]:
    """What each step takes, by what it is: launches over a month, and what is kept of so many
    hours.
    """
    found: dict[str, dict[str, float]] = {}
    crowd = [f"user-{number}" for number in random.Random(7).sample(range(users), CROWD)]
    for what, some in (("a launch, cold", crowd[:1]), (f"{CROWD} at once, cold", crowd)):
        one = Process("this package", store)
        one.ask("begin", policies=policies(1, DAYS), source=source, patience=PATIENCE)
        store.taken()
        answer, figures = one.ask("launch", some)
        known = sum(amount > 0 for amount in answer["used"].values())
        found[what] = {"known": known, **row(store, figures)}
        one.end()
    one = Process("this package", store)
    kept = policies(1, DAYS)
    kept[0]["window"] = f"{hours} hours"
    one.ask("begin", policies=kept, source=source, patience=PATIENCE)
    store.taken()
    found[f"reading {hours} hours"] = {"known": 0, **row(store, one.ask("prepare")[1])}
    everyone = [f"user-{number}" for number in range(users)]
    store.wait_for_a_minute()
    store.taken()
    found["a refresh"] = {"known": 0, **row(store, one.ask("refresh", everyone)[1])}
    one.end()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=int, default=100, help="users in the real Prometheus")
    parser.add_argument("--times", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--hours", type=int, nargs="*", default=[3, 6, 12])
    parser.add_argument("--kinds", nargs="*", default=["mimir", "thanos", "victoria"])
    options = parser.parse_args()
    base, most, least = options.base, max(options.times), min(options.hours)
    middle = sorted(options.times)[len(options.times) // 2]
    tables: dict[str, list[Measured]] = {}
    loads: list[float] = []
    whole: dict[tuple[int, int], dict[str, dict[str, float]]] = {}

    def note(table: str, what: str, found: dict[str, dict[str, float]]) -> None:
        for step, figures in found.items():
            loads.append(figures.pop("load"))
            tables.setdefault(table, []).append(Measured(f"{what}: {step}", figures))
            print(table, what, step, figures, file=sys.stderr, flush=True)

    def cell(kind: str, times: int, hours: int, source: str = "kube-state-metrics"):
        with multiplied(store, base, times, kind) as larger:
            return steps(larger, hours, base * times, source)

    with filled(base, DAYS, Scrapes(recorded=True)) as store, ThreadPoolExecutor(AT_ONCE) as pool:
        pairs = [(times, least) for times in sorted(options.times, reverse=True)]
        pairs += [(middle, hours) for hours in options.hours if hours != least]
        recorded = pool.submit(cell, "none", middle, least, "recorded")
        of_pairs = {pair: pool.submit(cell, "none", *pair) for pair in pairs}
        of_kinds = {kind: pool.submit(cell, kind, most, least) for kind in options.kinds}
        for (times, hours), found in sorted(of_pairs.items()):
            steps_of = whole[times, hours] = found.result()
            if hours != least:
                # Everything else is the same as with the fewest hours.
                steps_of = {name: of for name, of in steps_of.items() if name.startswith("reading")}
            note("steps", f"{base * times:,} users", steps_of)
        for kind, found in of_kinds.items():
            note("kinds", KINDS[kind].what, found.result())
        note("recorded", f"{base * middle:,} users, recorded", recorded.result())
    tables["growth"] = [
        *growth("users", [(base * one, whole[one, least]) for one in options.times]),
        *growth("hours", [(one, whole[middle, one]) for one in options.hours]),
    ]
    save("scale", tables, loads=loads, prometheus=version(), **{"with": "make bench-scale"})
    pages.main()


def growth(
    along: str, sizes: Sequence[tuple[int, dict[str, dict[str, float]]]]
) -> Iterator[Measured]:
    """How reading, and a refresh, grow."""
    keys = ("own CPU s", "own peak MB", "queries", "MB decoded")
    for what in ("reading", "a refresh"):
        rows = [
            (size, next(one for step, one in found.items() if step.startswith(what)))
            for size, found in sizes
        ]
        powers = {
            key: exponent([one for one, _ in rows], [of[key] for _, of in rows]) for key in keys
        }
        yield Measured(f"{what}, by {along}", powers)


if __name__ == "__main__":
    main()
