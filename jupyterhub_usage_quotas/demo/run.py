"""`make demo`: a real Prometheus with thirty days of usage, and a real JupyterHub over it."""

from __future__ import annotations

import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from .. import conventions
from .history import STEP, Span, backfill
from .homes import home_exporter
from .processes import Program, ProgramFailed, find_program, free_port, start_prometheus

DAYS = 30
GIB = 1024**3
HOUR = 3600

WHO = """
Log in at {url} with any password as

  alice   within quota: her server starts
  bob     over quota: he is told why, and when he can start again; his home is nearly full
  carol   in two groups, students and researchers: the larger limit counts
  dave    ten minutes an hour: his server starts, and ten minutes later no new one does
  admin   an administrator, not covered by any policy

Where each of them stands is at {url}/services/usage-quota/ and, for admin, at
{url}/services/usage-quota/users.

Prometheus is at {prometheus}. What running servers use is scraped every 5 seconds and counted.
Logs are in {directory}. Press Ctrl-C to stop everything.
"""


def run(directory: Path, port: int) -> int:
    """Run the demo in `directory` until it is interrupted; returns the exit code."""
    directory = directory.absolute()
    for number in (signal.SIGINT, signal.SIGTERM):
        # SIGINT, too: whoever starts this in the background may have had it ignored.
        signal.signal(number, signal.default_int_handler)
    try:
        _run(directory, port)
    except ProgramFailed as error:
        print(f"The demo could not start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


def _run(directory: Path, port: int) -> None:
    proxy = find_program(
        "configurable-http-proxy", "`npm install -g configurable-http-proxy` (it needs Node.js)"
    )
    shutil.rmtree(directory / "prometheus", ignore_errors=True)
    (directory / "home").mkdir(parents=True, exist_ok=True)
    print("Recording thirty days of usage ...", flush=True)
    now = int(time.time()) // STEP * STEP
    backfill(directory / "prometheus", usage_of_a_month(now))
    token = secrets.token_hex(16)
    scrape = {
        "job_name": "jupyterhub",
        "metrics_path": "/hub/metrics",
        "authorization": {"credentials": token},
        "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
    }
    with ExitStack() as stack:
        target = stack.enter_context(home_exporter(directory / "home"))
        homes = {"job_name": "homes", "static_configs": [{"targets": [target]}]}
        prometheus, prometheus_url = start_prometheus(directory / "prometheus", [scrape, homes])
        stack.enter_context(prometheus)
        print("Starting JupyterHub ...", flush=True)
        environment = {
            "DEMO_DIRECTORY": str(directory),
            "DEMO_PROMETHEUS_URL": prometheus_url,
            "DEMO_PORT": str(port),
            "DEMO_HUB_PORT": str(free_port()),
            "DEMO_PROXY_PORT": str(free_port()),
            "DEMO_PROXY": proxy,
            "DEMO_METRICS_TOKEN": token,
        }
        config = Path(__file__).with_name("jupyterhub_config.py")
        command = [sys.executable, "-m", "jupyterhub", "--config", str(config)]
        log = directory / "jupyterhub.log"
        log.unlink(missing_ok=True)
        with Program(command, log, environment=environment, directory=directory) as hub:
            url = f"http://127.0.0.1:{port}"
            hub.wait_for_url(f"{url}/hub/health")
            print(WHO.format(url=url, prometheus=prometheus_url, directory=directory), flush=True)
            hub.wait_until(lambda: False, timeout=float("inf"))


def usage_of_a_month(now: int) -> Iterator[Span]:
    """What the Hub would have exported in the thirty days before `now` (Unix seconds)."""
    begin = now - DAYS * 24 * HOUR
    yield Span(conventions.EXPORTER_INFO, {"namespace": ""}, begin, now)
    daily = {"alice": (2, 1), "bob": (6, 4), "carol": (6, 4)}  # hours, GiB
    for user, (hours, gib) in daily.items():
        for day in range(DAYS):
            # Servers ran until some time before the same time of day as now.
            end = now - (DAYS - 1 - day) * 24 * HOUR - 2 * HOUR
            start = end - hours * HOUR
            if start > begin:
                yield from _server(user, start, end, gib)


def _server(user: str, start: int, end: int, gib: int) -> Iterator[Span]:
    amounts = {"memory": float(gib * GIB), "cpu": 1.0, "time": 1.0}
    for resource, amount in amounts.items():
        labels = dict(
            zip(conventions.SERVER_LABELS, ("", user, "", "", "", "false", resource), strict=True)
        )
        yield Span(conventions.SERVER_REQUESTS, labels, start, end, amount)
