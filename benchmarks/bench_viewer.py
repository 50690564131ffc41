"""How long users wait for the dashboard, when a thousand open it within a minute.

    make bench-viewer           about three minutes; writes docs/explanation/speed-of-pages.md

A real Hub runs the dashboard as its service, on one core of its own if there are two; the usage of
all users comes from a stand-in for Prometheus. All users log in first; then each opens their page
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

from benchmarks.bench_meter import stand_in
from benchmarks.report import machine
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

PAGE = """\
# Speed of pages

Made by `make bench-viewer` on {date}, on {machine}. {users} users, each with two sessions a day,
opened their page of the dashboard within {seconds} seconds, each once, at random moments; it ran on
one core.

| | |
|---|---:|
| pages opened | {opened} |
| median | {median:.0f} ms |
| 95th percentile | {p95:.0f} ms |
| 99th percentile | {p99:.0f} ms |
| longest | {longest:.0f} ms |
| kB of a page | {size:.1f} |
| queries to Prometheus meanwhile, the Hub's and the dashboard's refreshes included | {queries} |
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


def wait_until_read(url: str) -> None:
    """Wait until both the Hub and the dashboard have read the history: then it is quiet."""
    while httpx.get(f"{url}/counts").json()["queries"]:
        time.sleep(5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--output", type=Path, default=Path("docs/explanation/speed-of-pages.md"))
    options = parser.parse_args()
    with stand_in(options.users, 7) as url, tempfile.TemporaryDirectory() as directory:
        config = CONFIG.format(url=url, namespace=NAMESPACE, users=options.users)
        with running_hub(Path(directory), "6", config) as hub:
            time.sleep(2)  # until they have begun to read
            wait_until_read(url)
            pin_viewer()
            with ThreadPoolExecutor(4) as pool:
                sessions = list(pool.map(partial(log_in, hub.url), range(options.users)))
            httpx.get(f"{url}/counts")
            waits, sizes = asyncio.run(open_pages(hub.url, sessions, options.seconds))
            queries = httpx.get(f"{url}/counts").json()["queries"]
    cuts = statistics.quantiles(waits, n=100)
    page = PAGE.format(
        date=time.strftime("%Y-%m-%d"),
        machine=machine(),
        users=options.users,
        seconds=f"{options.seconds:g}",
        opened=len(waits),
        median=statistics.median(waits),
        p95=cuts[94],
        p99=cuts[98],
        longest=max(waits),
        size=statistics.mean(sizes) / 1e3,
        queries=queries,
    )
    options.output.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
