"""This package beside the older, launch-only one, on the same real Prometheus.

    make bench-peer     writes results/peer.json and docs/explanation/speed-beside-the-peer.md

Each runs in an environment and a process of its own (`sides/`); the same questions are put to both,
one side after the other. Usernames are not the beginnings of others, for the peer would count
those, too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import pages
from benchmarks.results import Measured, medians, save
from benchmarks.sides.asking import DAYS
from benchmarks.sides.process import Process
from benchmarks.store import Store, filled, version
from benchmarks.world import DAY

HERE = Path(__file__).parent
PEER_PYTHON = HERE.parent / ".venv-peer/bin/python"
RUNS = 3
WARM = 20
"""How many launches are decided one after the other, with everything that is read beforehand."""
CROWDS = (1, 50, 200)
HOUR = 3600
DEADLINE = 5.0
"""Seconds in which a launch is to be decided."""


def sides(store: Store) -> list[Process]:
    """The peer, and this package."""
    peer = [str(PEER_PYTHON), "-I", str(HERE / "sides/peer.py")]
    return [Process("the peer", store, peer), Process("this package", store)]


def asked_about(users: int) -> list[str]:
    """The users whose names are not the beginnings of others."""
    return [f"user-{number}" for number in range(users // 10, users)]


def truth(store: Store, user: str) -> float:
    """The byte-hours of a user's month."""
    now, number = store.written, int(user.rpartition("-")[2])
    first = now - DAYS * DAY
    return sum(
        max(min(one.end, now) - max(one.start, first), 0) * one.memory / HOUR
        for one in store.world.of(number)
    )


def launches(side: Process, do: str, users: Sequence[str], true: Mapping[str, float]):
    """What so many launches take, and how well they are decided."""
    answer, figures = side.ask(do, users)
    waited, used = answer["waited"], answer["used"]
    error = abs(sum(used.values()) / sum(true[one] for one in used) - 1) if used else 0.0
    return {
        "ms, median": sorted(waited)[len(waited) // 2] * 1e3,
        "s until all are decided": answer["seconds"],
        "known": len(used),
        "in 5 s": sum(one <= DEADLINE for one in waited),
        "off by, %": error * 100,
        **figures,
    }


Runs = dict[str, list[dict[str, float]]]
"""What each run took, by what was done."""


def questions(side: Process, store: Store, users: int) -> Runs:
    """What launches take one side."""
    them = asked_about(users)
    true = {one: truth(store, one) for one in them[: max(*CROWDS, WARM)]}
    found: Runs = {}

    def ask(what: str, do: str, some: Sequence[str]) -> None:
        found.setdefault(what, []).append(launches(side, do, some, true))

    for _ in range(RUNS):
        for crowd in CROWDS:
            side.ask("begin")
            what = f"{crowd} at once, cold" if crowd > 1 else "a launch, cold"
            ask(what, "launch", them[:crowd])
    side.ask("prepare")
    for _ in range(RUNS):
        ask("a launch, warm", "each", them[:WARM])
    return found


def refreshes(both: Sequence[Process], store: Store, users: Sequence[str]) -> list[Runs]:
    """What a refresh takes each, in the same minutes."""
    found: list[Runs] = [{"a refresh": []} for _ in both]
    for side in both:
        side.ask("refresh", users[:5])  # both have something to set up
    for _ in range(RUNS):
        store.wait_for_a_minute()
        # This package first: the minute may be over when the peer is done.
        for side, runs in reversed(list(zip(both, found, strict=True))):
            answer, figures = side.ask("refresh", users)
            runs["a refresh"].append(figures | {"kB of metrics": answer["metrics"] / 1e3})
    return found


def ratios(
    peer: Mapping[str, Mapping[str, float]], ours: Mapping[str, Mapping[str, float]]
) -> list[Measured]:
    """How many times as long the peer takes; nothing where one of them did not decide on usage."""
    found = []
    for what in ours:
        decided = peer[what].get("known") == ours[what].get("known")
        key = "ms, median" if what.startswith("a launch") else "s until all are decided"
        if what == "a refresh":
            key = "seconds"
        unit = 1.0 if key.startswith("ms") else 1e3
        theirs, own = peer[what][key] * unit, ours[what][key] * unit
        cpu = [one[what]["server CPU s"] + one[what]["own CPU s"] for one in (peer, ours)]
        found.append(
            Measured(
                what,
                {
                    "the peer, ms": theirs,
                    "this package, ms": own,
                    "peer / this": theirs / own if decided else 0.0,
                    "CPU of both, peer / this": cpu[0] / cpu[1] if decided else 0.0,
                },
            )
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=240)
    parser.add_argument("--days", type=int, default=DAYS, help="of history, to try this out")
    parser.add_argument("--refreshed", type=int, default=50, help="users of a refresh")
    options = parser.parse_args()
    said = [str(PEER_PYTHON), "-I", "-c", "import jupyterhub_usage_quotas as q; print(q.__file__)"]
    where = subprocess.run(said, check=True, capture_output=True, text=True).stdout
    assert ".venv-peer" in where, f"the peer's environment has another package: {where}"
    begun = time.monotonic()
    with filled(options.users, options.days) as store:
        print(f"written and settled after {time.monotonic() - begun:.0f} s", file=sys.stderr)
        both, runs = sides(store), list[Runs]()
        for side in both:
            runs.append(questions(side, store, options.users))
            print(f"{side.what} after {time.monotonic() - begun:.0f} s", file=sys.stderr)
        refreshed = refreshes(both, store, asked_about(options.users)[: options.refreshed])
        for side in both:
            side.end()
    peer, ours = (
        {what: medians(some) for what, some in (launched | of).items()}
        for launched, of in zip(runs, refreshed, strict=True)
    )
    tables = {"ratios": ratios(peer, ours)}
    for name, of_side in (("peer", peer), ("ours", ours)):
        tables[name] = [
            Measured(what, figures) for what, figures in of_side.items() if what != "a refresh"
        ]
    tables["refreshes"] = [
        Measured(side.what, of["a refresh"]) for side, of in zip(both, (peer, ours), strict=True)
    ]
    loads = [one["load"] for of_side in (peer, ours) for one in of_side.values()]
    save(
        "peer",
        tables,
        loads=loads,
        **{"with": "make bench-peer", "prometheus": version(), "runs": RUNS},
        users=options.users,
        refreshed=options.refreshed,
    )
    for row in tables["ratios"]:
        print(f"{row.what}: " + ", ".join(f"{key} {one:,.3g}" for key, one in row.figures.items()))
    pages.main()


if __name__ == "__main__":
    main()
