"""A bad day in a quarter of an hour: real Hubs of JupyterHub 5 and 6, and what a Prometheus can do.

    make soak                   fifteen minutes; writes docs/explanation/soak.md

Each Hub has a proxy of its own in front of one real Prometheus, which breaks off, hangs, lies,
refuses or sends too much every few seconds. Meanwhile users whose decision is known start servers,
some with options that nobody would choose, somebody uploads to the dashboard without end, and
Prometheus scrapes. What is decided wrongly, what waits, and what grows is written down.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill

import httpx

from benchmarks.report import machine
from jupyterhub_usage_quotas.conventions import VIEWER_MODULE
from tests.support import faulty_proxy as faults
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.faulty_proxy import Answer, Asked, FaultyProxy, faulty_proxy
from tests.support.hub import launch, write_config
from tests.support.programs import Program, Span, backfill, free_port, start_prometheus

HISTORY_READ = "is cached"
"""What a Hub logs once it has read the history."""
TOKEN = "t" * 32
DENIED = {"over": 20.0, "over-2": 9.0, "never": 0.0}
"""GiB-hours in the last hours: who may not start a server. The limit of `never` is zero."""
ALLOWED = {"within": 2.0, "within-2": 2.0, "new": 0.0, "new-2": 0.0}
EVERYBODY = [*DENIED, "hostile", *ALLOWED, "hostile-2"]
HOSTILE = [
    '{"profile": "x\\ud800"}',
    json.dumps({"profile": "x" * 500_000}),
    json.dumps({"profile": ["a", {"b": None}], "memory": "8Gi\n# HELP up"}),
    "null",
]
"""Bodies of launches, by users who may start: they may be refused as wrong, and harm nobody."""

CONFIG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageConfig.prometheus_url = {prometheus!r}
c.UsageConfig.hub_namespace = {namespace!r}
c.UsageConfig.deadline = 5
c.UsageConfig.request_timeout = 3
c.UsageConfig.stale_after = 7200
c.UsageConfig.refresh_interval = 10
c.UsageQuotaManager.policy = [
    {{"resource": "memory", "limit": limit, "window": "24h", "scope": scope}}
    for limit, scope in [
        ("8 GiB-hours", {{"everyone": True}}),
        ("0 GiB-hours", {{"user": ["never"]}}),
    ]
]
c.JupyterHub.services = [{{"name": "soak", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [
    {{"name": "soak", "services": ["soak"], "scopes": ["admin:users", "admin:servers", "tokens"]}}
]
c.UsageViewer.url = "http://127.0.0.1:{viewer}"
c.Spawner.consecutive_failure_limit = 0
"""

PAGE = """\
# Soak

Made by `make soak` on {date}, on {machine}: {minutes:g} minutes with a real Hub of JupyterHub 5 and
one of 6 at once, and one real Prometheus behind a proxy that is at fault {share:.0%} of the time:
{faults}. Meanwhile Prometheus scrapes both Hubs every five seconds, and somebody without a login
sends the dashboard bodies of 100 MB.

{table}

A decision is wrong where a user who has used up a quota, or whose limit is zero, could start a
server, or where one who has not could not. Readings are known before the faults begin, and
`stale_after` is longer than the soak: whatever Prometheus does, the decision is known.
"""


@contextmanager
def scraped_hubs(directory: Path, ports: list[int]) -> Iterator[str]:
    """The Prometheus, which knows what the users have used; its URL."""
    now = int(time.time()) // 60 * 60
    backfill(directory, history(now))
    scrape = {
        "job_name": "jupyterhub",
        "metrics_path": "/hub/metrics",
        "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}],
    }
    prometheus, url = start_prometheus(directory, [scrape])
    with prometheus:
        yield url


def history(now: int) -> Iterator[Span]:
    """Two hours of each user, which ended an hour before `now` (Unix seconds)."""
    yield from hub_pod(now - 24 * HOUR, now)
    for name, used in (DENIED | ALLOWED).items():
        if used:
            span = now - 3 * HOUR + 60, now - HOUR - 60
            yield from Pod(name, *span, f"jupyter-{name}", name, memory=used / 2 * GIB).spans


def bomb(_asked: Asked) -> Answer:
    """A small answer that is 600 MB once it is decoded."""
    return Answer(BOMB, headers=(("Content-Encoding", "gzip"),))


BOMB = gzip.compress(b" " * 600_000_000, 9)
FAULTS = {
    "breaks off": faults.reset,
    "stops in the middle": faults.cut,
    "sends half": faults.truncated,
    "sends what is no text": faults.corrupted(7),
    "hangs": faults.hang,
    "is two seconds late": faults.delay(2),
    "says 503": faults.status(503),
    "says 429": faults.status(429, Retry_After="30"),
    "refuses credentials": faults.status(401),
    "shows a page to log in": faults.html,
    "knows of nothing": faults.empty,
    "answers with 600 MB in 600 kB": bomb,
}
SHARE = 0.6
"""Of the time, in which the proxy is at fault."""


@dataclass
class Seen:
    """What one Hub did."""

    version: str
    program: Program
    url: str
    decisions: int = 0
    wrong: list[str] = field(default_factory=list)
    longest: dict[str, float] = field(default_factory=dict)
    """Seconds, by what was waited for."""
    memory: dict[str, list[float]] = field(default_factory=dict)
    """MB, by program, in the course of time."""
    answers: Counter[str] = field(default_factory=Counter)

    def ask(self, what: str, method: str, path: str, **options: object) -> int:
        """The status of an answer, 0 for none; how long it took is noted under `what`."""
        headers = {"Authorization": f"token {TOKEN}"}
        begun = time.monotonic()
        try:
            with httpx.Client(timeout=60, trust_env=False) as http:
                url = f"{self.url}{path}"
                status = http.request(method, url, headers=headers, **options).status_code  # type: ignore[arg-type]
        except httpx.HTTPError:
            status = 0
        self.longest[what] = max(self.longest.get(what, 0.0), time.monotonic() - begun)
        self.answers[f"{what}: {status}"] += 1
        return status

    def decide(self, name: str, expected: set[int], body: str = "") -> None:
        """Start the server of a user, and stop it again if it was let in."""
        path = f"/hub/api/users/{name}/server"
        status = self.ask("a launch", "POST", path, content=body)
        self.decisions += 1
        if status not in expected:
            self.wrong.append(f"{time.strftime('%H:%M:%S')} {name}: {status} {body[:40]}")
        if status in {201, 202}:
            self.stop(path)

    def stop(self, path: str) -> None:
        """Stop a server, which may have to start first."""
        for _ in range(100):
            if self.ask("stopping", "DELETE", path) in {204, 404}:
                return
            time.sleep(0.2)

    def note_memory(self) -> None:
        """Add what the Hub and its dashboard have in memory."""
        for what, pid in {"Hub": self.program.pid, "dashboard": viewer_of(self.program)}.items():
            status = Path(f"/proc/{pid}/status").read_text() if pid else ""
            for line in status.splitlines():
                if line.startswith("VmRSS:"):
                    self.memory.setdefault(what, []).append(int(line.split()[1]) / 1024)


def viewer_of(hub: Program) -> int:
    """The process id of a Hub's dashboard; 0 if it does not run."""
    children = Path(f"/proc/{hub.pid}/task/{hub.pid}/children").read_text().split()
    for child in map(int, children):
        command = Path(f"/proc/{child}/cmdline")
        if command.exists() and VIEWER_MODULE.encode() in command.read_bytes():
            return child
    return 0


def live(seen: Seen, users: list[str], chance: random.Random, end: float) -> None:
    """These users, whom nobody else is meanwhile, and an administrator, until the end."""
    while time.monotonic() < end:
        name = chance.choice(users)
        if name in DENIED:
            seen.decide(name, {429})
        elif name in ALLOWED:
            seen.decide(name, {201, 202})
        else:
            seen.decide(name, {201, 202, 400}, chance.choice(HOSTILE))
        # What is asked for beside it must be there at any time.
        if seen.ask("the Hub's metrics", "GET", "/hub/metrics") != httpx.codes.OK:
            seen.wrong.append(f"{time.strftime('%H:%M:%S')} no metrics")
        seen.ask("the Hub's health", "GET", "/hub/health")
        seen.ask("the dashboard", "GET", "/services/usage-quota/api/v1/openapi.json")


def upload(port: int, end: float) -> None:
    """Somebody who sends the dashboard what it never asked for."""
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as connection:
                connection.sendall(b"POST /services/usage-quota/api/v1/me HTTP/1.1\r\nHost: a\r\n")
                connection.sendall(b"Content-Length: 100000000\r\n\r\n")
                for _ in range(100):
                    connection.sendall(b"x" * 100_000)
        except OSError:
            pass
        time.sleep(1)


def be_at_fault(proxy: FaultyProxy, chance: random.Random, end: float, done: set[str]) -> None:
    """Change what the proxy does every few seconds; `done` is which faults there were."""
    while time.monotonic() < end:
        proxy.asked.clear()
        proxy.let_go.set()
        if chance.random() < SHARE:
            name = chance.choice([*FAULTS])
            done.add(name)
            proxy.let_go.clear()
            proxy.always(FAULTS[name])
        else:
            proxy.always(faults.honest)
        time.sleep(chance.uniform(4, 16))
    proxy.always(faults.honest)
    proxy.let_go.set()


def watch(hubs: list[Seen], end: float) -> None:
    """Note everybody's memory from time to time."""
    while time.monotonic() < end:
        for one in hubs:
            one.note_memory()
        time.sleep(5)


def start(stack: ExitStack, version: str, directory: Path, port: int, url: str) -> tuple[Seen, int]:
    """Start a Hub, wait until it knows what was used; it, and the port of its dashboard."""
    viewer = free_port()
    config = CONFIG.format(prometheus=url, namespace=NAMESPACE, token=TOKEN, viewer=viewer)
    path = write_config(directory, version, config, port)
    # The dashboard is a process of its own, as admins have it: its memory is noted.
    program = stack.enter_context(launch(directory, version, path, fork_services=False))
    seen = Seen(version, program, f"http://127.0.0.1:{port}")
    program.wait_for_url(f"{seen.url}/hub/health")
    program.wait_for_url(f"{seen.url}/services/usage-quota/api/v1/openapi.json")
    for name in EVERYBODY:
        seen.ask("a user", "POST", f"/hub/api/users/{name}")
    program.wait_until(lambda: HISTORY_READ in program.output())
    if not viewer_of(program):
        raise SystemExit("the process of the dashboard was not found, so not its memory")
    return seen, viewer


def soak(minutes: float, seed: int) -> tuple[list[Seen], set[str]]:
    """Live through it; what each Hub did, and the faults that there were."""
    done: set[str] = set()
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        prometheus = stack.enter_context(scraped_hubs(directory / "prometheus", ports))
        proxies = [stack.enter_context(faulty_proxy(prometheus)) for _ in ports]
        started = [
            start(stack, version, directory / version, port, proxy.url)
            for version, port, proxy in zip("56", ports, proxies, strict=True)
        ]
        hubs = [seen for seen, _ in started]
        end = time.monotonic() + minutes * 60
        with ThreadPoolExecutor() as pool:
            running = [pool.submit(watch, hubs, end)]
            for number, (seen, viewer) in enumerate(started):
                for first in range(2):
                    chance = random.Random(f"{seed} {number} {first}")
                    running.append(pool.submit(live, seen, EVERYBODY[first::2], chance, end))
                running.append(pool.submit(upload, viewer, end))
                chance = random.Random(f"{seed} {number}")
                running.append(pool.submit(be_at_fault, proxies[number], chance, end, done))
            for one in running:
                one.result()
    return hubs, done


def table(hubs: list[Seen]) -> str:
    """A row for what matters, a column for each Hub."""
    rows: dict[str, list[str]] = {}
    for seen in hubs:
        rows.setdefault("decisions", []).append(str(seen.decisions))
        rows.setdefault("of them wrong", []).append(str(len(seen.wrong)))
        for what, seconds in sorted(seen.longest.items()):
            rows.setdefault(f"longest wait for {what}, s", []).append(f"{seconds:.2f}")
        for what, sizes in seen.memory.items():
            figures = {"at first": sizes[0], "at most": max(sizes), "at last": sizes[-1]}
            for when, size in figures.items():
                rows.setdefault(f"memory of the {what} {when}, MB", []).append(f"{size:.0f}")
    lines = [f"| {what} | {' | '.join(figures)} |" for what, figures in rows.items()]
    heads = " | ".join(f"JupyterHub {seen.version}" for seen in hubs)
    return "\n".join([f"| | {heads} |", f"|---|{'---:|' * len(hubs)}", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("docs/explanation/soak.md"))
    options = parser.parse_args()
    hubs, done = soak(options.minutes, options.seed)
    page = PAGE.format(
        date=time.strftime("%Y-%m-%d"),
        machine=machine(),
        minutes=options.minutes,
        share=SHARE,
        faults=", ".join(f"it {name}" for name in sorted(done)),
        table=table(hubs),
    )
    paragraphs = (one if one.startswith("|") else fill(one, 100) for one in page.split("\n\n"))
    page = "\n\n".join(paragraphs) + "\n"
    options.output.write_text(page)
    print(page)
    for seen in hubs:
        print(seen.version, dict(seen.answers), *seen.wrong[:20], sep="\n")
    if any(seen.wrong for seen in hubs):
        raise SystemExit("decisions were wrong")


if __name__ == "__main__":
    main()
