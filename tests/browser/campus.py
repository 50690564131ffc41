"""A small campus: users with a known history in a real Prometheus, and real Hubs that show it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.hub import Hub, launch, write_config
from tests.support.programs import Span, backfill, free_port, served, start_prometheus
from tests.support.visitor import Visitor

DAY = 24 * HOUR
BASE = "/base"
SERVICE = f"{BASE}/services/usage-quota"

HOSTILE = [
    "over<b>&",
    "o'n\"eil",
    "{{ 7*7 }}",
    "\u202egnp.\u05e9\u05dc\u05d5\u05dd",  # begins with an override of the direction of writing
    "x" * 200,
]
STUDENTS = ["within", "near", "over", "empty", "running", "storing", "keeping", *HOSTILE]
"""Members of the group `students`, who have 100 GiB-hours in 7 days."""
OTHERS = ["two", "mate", "newcomer", "twelve", "unknown", "live", "admin"]
EVERYBODY = [*STUDENTS, *OTHERS]

GIB_HOURS = {
    "within": 36.0,
    "near": 86.0,
    "over": 120.0,
    "running": 60.0,
    "storing": 60.0,
    "keeping": 24.0,
    "two": 10.0,
    "mate": 30.0,
    "newcomer": 10.0,
    "twelve": 24.0,
    **dict.fromkeys(HOSTILE, 120.0),
}
"""What each of them used in the last days."""


HOMES = {"storing": (9.25, 10.0), "keeping": (500.0, 0.0), "somebody": (1.0, 10.0)}
"""How many GiB are in home directories, and may be; 0 for anything."""


def history(now: int) -> Iterator[Span]:
    """The history of the cluster up to `now` (Unix seconds), a whole minute."""
    yield from hub_pod(now - 8 * DAY, now)
    # Somebody's seats, so that it is known that there are any.
    yield Span("campus_seats", {"username": "somebody"}, now - 8 * DAY, now, 0.0)
    for number, (user, gib_hours) in enumerate(GIB_HOURS.items()):
        profile = HOSTILE_PROFILE if user == "two" else "Large"
        # On three days two hours with a large server, and two with a small one of another name.
        for days in (1, 2, 4):
            for server, share, begin in (("", 0.75, 6), ("analysis", 0.25, 3)):
                start = now - days * DAY - begin * HOUR + 60
                yield from Pod(
                    user,
                    start,
                    start + 2 * HOUR - 120,
                    f"jupyter-{number}-{days}-{begin}",
                    f"{number}-{days}-{begin}",
                    memory=gib_hours / 3 * share / 2 * GIB,
                    cpu=1.0,
                    server=server,
                    profile="large" if server == "" else "",
                    profile_name=profile if server == "" else "",
                ).spans
    yield from Pod(
        "running", now - HOUR, now, "jupyter-running", "running", memory=8 * GIB, server="night"
    ).spans


HOSTILE_PROFILE = "Large <img src=x onerror=alert(1)>"
"""The display name of a profile; admins may write anything."""

QUOTAS = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {prometheus!r}
c.UsageConfig.hub_namespace = {namespace!r}
c.UsageConfig.stale_after = {stale_after}
c.UsageConfig.refresh_interval = 3.0
c.UsageConfig.resources = {{
    "seats": {{
        "promql": "sum by (username) (campus_seats)",
        "unit": "seat",
        "display_name": "Seats",
    }},
    "ghosts": {{
        "promql": "sum by (username) (nobody_exports_this)",
        "unit": "ghost",
        "display_name": "Ghosts",
    }},
}}
students = {{"group": ["students"]}}
c.UsageQuotaManager.policy = [
    {{"name": "memory for students", "resource": "memory", "limit": "100 GiB-hours", "window": 7,
      "scope": students}},
    {{"resource": "memory", "limit": "12 GiB-hours", "window": 7, "scope": {{"user": ["two"]}}}},
    {{"name": "a <b>hostile</b> & long name " + "y" * 60, "resource": "cpu",
      "limit": "100 CPU-hours", "window": {{"calendar": "month", "timezone": "Europe/Zurich"}},
      "scope": {{"user": ["two"]}}}},
    {{"name": "team budget", "resource": "memory", "limit": "100 GiB-hours", "window": 7,
      "scope": {{"group": ["team"]}}, "share": "pooled"}},
    {{"resource": "ghosts", "limit": "5 ghost-hours", "window": 7,
      "scope": {{"user": ["unknown"]}}}},
    {{"name": "seats", "resource": "seats", "limit": "3 seat-hours", "window": "36h",
      "scope": {{"user": ["live"]}}}},
] + [
    {{"name": f"twelve {{days}}", "resource": "memory", "limit": f"{{days * 8}} GiB-hours",
      "window": days, "scope": {{"user": ["twelve"]}}, "when_exhausted": "warn"}}
    for days in range(1, 8)
] + [
    {{"name": f"refilled {{hours}}", "resource": "cpu", "limit": "40 CPU-hours",
      "window": {{"refill": 1, "every": f"{{hours}}h"}}, "scope": {{"user": ["twelve"]}}}}
    for hours in range(1, 6)
]
c.UsageQuotaManager.scope_backup_strategy = {{"intersection": "max"}}
c.UsageQuotaManager.contact = "More? Ask <helpdesk@example.org>."
c.JupyterHub.load_groups = {{
    "students": {{"users": {students!r}}},
    "team": {{"users": ["mate", "newcomer"]}},
}}
c.JupyterHub.bind_url = "http://127.0.0.1:{port}{base}/"
"""


@dataclass
class Seats:
    """An exporter whose values a test changes: who has how many seats. It tells of homes, too."""

    url: str = ""
    values: dict[str, float] = field(default_factory=dict)


@contextmanager
def seats_exporter() -> Iterator[Seats]:
    """An exporter that Prometheus can scrape."""
    seats = Seats(values={"live": 0.0})

    def metrics() -> str:
        lines = [f'campus_seats{{username="{one}"}} {n}' for one, n in seats.values.items()]
        for home, (size, limit) in HOMES.items():
            lines.append(f'dirsize_total_size_bytes{{directory="{home}"}} {size * GIB}')
            lines.append(f'dirsize_hard_limit_bytes{{directory="{home}"}} {limit * GIB}')
        return "\n".join([*lines, ""])

    with served(metrics) as seats.url:
        yield seats


@contextmanager
def prometheus_of(directory: Path, seats: Seats, now: int) -> Iterator[str]:
    """A Prometheus with the history of the campus, which goes on with the seats."""
    backfill(directory, history(now))
    scrape = {"job_name": "seats", "static_configs": [{"targets": [seats.url]}]}
    program, url = start_prometheus(directory, [scrape], scrape_interval="1s")
    with program:
        # Else a Hub that starts sooner has learnt for a minute that nobody has a home.
        Visitor.wait_until(lambda: _is_scraped(url))
        yield url


def _is_scraped(prometheus: str) -> bool:
    query = {"query": "count(dirsize_hard_limit_bytes)"}
    answer = httpx.get(f"{prometheus}/api/v1/query", params=query, trust_env=False)
    return bool(answer.json()["data"]["result"])


@contextmanager
def hub_of(
    directory: Path, version: str, prometheus: str, stale_after: float = 7200.0
) -> Iterator[Hub]:
    """A Hub of this version whose dashboard answers."""
    port = free_port()
    config = QUOTAS.format(
        prometheus=prometheus,
        namespace=NAMESPACE,
        stale_after=stale_after,
        students=STUDENTS,
        port=port,
        base=BASE,
    )
    with launch(directory, version, write_config(directory, version, config, port)) as program:
        url = f"http://127.0.0.1:{port}"
        program.wait_for_url(f"{url}{BASE}/hub/health")
        program.wait_for_url(f"{url}{SERVICE}/api/v1/openapi.json")
        yield Hub(url, program, version)
