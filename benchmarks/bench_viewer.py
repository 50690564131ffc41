"""How long users wait for the dashboard, when a thousand open it within a minute.

    make bench-viewer           about three minutes; for docs/explanation/speed-of-pages.md

A real Hub runs the dashboard as its service, on one core of its own if there are two, with a real
Prometheus. All users log in first; then each opens their page
once, at a random moment. Most sessions are older by then than the dashboard believes them without
asking the Hub again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx

from benchmarks import pages
from benchmarks.results import Measured, save
from benchmarks.store import Store, filled, measured, version
from benchmarks.world import NAMESPACE
from jupyterhub_usage_quotas.conventions import VIEWER_MODULE
from tests.support.hub import running_hub
from tests.support.visitor import Visitor

CONFIG = """
import os
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {url!r}
c.UsageConfig.hub_namespace = {namespace!r}
c.UsageQuotaManager.policy = [
    {{"resource": "memory", "limit": "1000 GiB-hours", "window": 7, "scope": {{"everyone": True}}}},
    {{"resource": "cpu", "limit": "300 CPU-hours", "window": 7, "scope": {{"everyone": True}}}},
]
"""


def log_in(url: str, user: int) -> str:
    """Log in, open the dashboard once, and return the cookies of that session."""
    visitor = Visitor(url, f"user-{user}")
    visitor.http.get("/services/usage-quota/").raise_for_status()
    cookies = {one.name: one.value for one in visitor.http.cookies.jar if "service" in one.path}
    visitor.http.close()
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


async def open_pages(
    url: str, sessions: list[str], seconds: float
) -> tuple[list[float], list[int]]:
    """Milliseconds and bytes of each page."""
    chance = random.Random(20261122)
    waits, sizes = [], []
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits, trust_env=False) as http:

        async def visit(user: int, cookies: str) -> None:
            await asyncio.sleep(chance.uniform(0, seconds))
            headers = {"Cookie": cookies}
            begun = time.perf_counter()
            page = await http.get("/services/usage-quota/", headers=headers)
            waits.append((time.perf_counter() - begun) * 1e3)
            sizes.append(len(page.content))
            assert page.status_code == 200, page.text[:500]
            assert f"user-{user}" in page.text

        await asyncio.gather(*(visit(user, cookies) for user, cookies in enumerate(sessions)))
    return waits, sizes


def pin_viewer() -> None:
    """Give the dashboard one core, and leave the others to everything else."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if VIEWER_MODULE.encode() in command:
            os.sched_setaffinity(int(process.name), {max(os.sched_getaffinity(0))})


def wait_until_read(store: Store) -> None:
    """Wait until both the Hub and the dashboard have read the history: then it is quiet."""
    before = -1.0
    while (queries := store.counted()[0]) != before:
        before = queries
        time.sleep(5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with filled(options.users, 7) as store, tempfile.TemporaryDirectory() as directory:
        config = CONFIG.format(url=store.url, namespace=NAMESPACE, users=options.users)
        with running_hub(Path(directory), "6", config) as hub:
            time.sleep(2)  # until they have begun to read
            wait_until_read(store)
            pin_viewer()
            with ThreadPoolExecutor(4) as pool:
                sessions = list(pool.map(partial(log_in, hub.url), range(options.users)))
            with measured(store) as costs:
                waits, sizes = asyncio.run(open_pages(hub.url, sessions, options.seconds))
    cuts = statistics.quantiles(waits, n=100)
    figures = {
        "opened": len(waits),
        "ms, median": statistics.median(waits),
        "ms, 95 %": cuts[94],
        "ms, 99 %": cuts[98],
        "ms, most": max(waits),
        "kB of a page": statistics.mean(sizes) / 1e3,
        "Prometheus, CPU s": costs["server CPU s"],
        "queries": costs["queries"],
    }
    about = {"with": "make bench-viewer", "prometheus": version()}
    rows = [Measured(f"{options.users:,} users within {options.seconds:g} s", figures)]
    save("viewer", {"pages": rows}, loads=[os.getloadavg()[0]], **about)
    pages.main()


if __name__ == "__main__":
    main()
