"""`make demo`: a real Prometheus with thirty days of usage, and a real JupyterHub over it."""

from __future__ import annotations

import fcntl
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from .history import STEP, backfill
from .homes import home_exporter
from .month import usage_of_a_month
from .ports import COULD_NOT_START, listening, listening_after, not_usable
from .processes import Program, ProgramFailed, find_program, start_prometheus

WHO = """
Log in at {url} with any password as

  alice   within quota: beside each kind of server is how long it could run
  bob     over quota: he reads why, and when he can start again; his home is nearly full
  carol   in two groups, students and researchers: the larger limit counts
  dave    ten minutes an hour: he is warned after five, and his server is stopped when they are over
  admin   an administrator, not covered by any policy

Each of them sees their usage at {url}/services/usage-quota/ and admin
sees everybody's at {url}/services/usage-quota/users.

Prometheus is at {prometheus}. It scrapes what running servers request every 5 seconds.
Logs are in {directory}. Press Ctrl-C to stop everything.
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports of the loopback interface that the demo needs, all different."""

    jupyterhub: int
    hub: int
    proxy: int
    dashboard: int
    prometheus: int

    @classmethod
    def around(cls, jupyterhub: int) -> Ports:
        """The chosen port and free ones; raises `ProgramFailed` if the chosen one is taken."""
        with ExitStack() as held:
            # All are held until the last is found, so that none is given twice.
            try:
                held.enter_context(listening(jupyterhub))
            except OSError as error:
                raise ProgramFailed(not_usable(jupyterhub, error)) from error
            others = [held.enter_context(listening_after(jupyterhub)) for _ in range(4)]
            return cls(jupyterhub, *(one.getsockname()[1] for one in others))


@contextmanager
def _only_demo_in(directory: Path) -> Iterator[None]:
    """Keep other demos out of this folder; raises `ProgramFailed` if one runs in it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ProgramFailed(
                f"another demo runs in {directory}.\nStop it, or choose another folder: --directory"
            ) from error
        yield


def run(directory: Path, port: int) -> int:
    """Run the demo in `directory` until it is interrupted; returns the exit code."""
    directory = directory.absolute()
    for number in (signal.SIGINT, signal.SIGTERM):
        # SIGINT, too: a shell that starts this in the background may have it ignored.
        signal.signal(number, signal.default_int_handler)
    try:
        ports = Ports.around(port)
        with _only_demo_in(directory):
            _run(directory, ports)
    except ProgramFailed as error:
        print(f"{COULD_NOT_START} {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


def _run(directory: Path, ports: Ports) -> None:
    proxy = find_program(
        "configurable-http-proxy", "`npm install -g configurable-http-proxy` (it needs Node.js)"
    )
    shutil.rmtree(directory / "prometheus", ignore_errors=True)
    (directory / "home").mkdir(exist_ok=True)
    print("Recording thirty days of usage ...", flush=True)
    now = int(time.time()) // STEP * STEP
    backfill(directory / "prometheus", usage_of_a_month(now))
    metrics_token, token = secrets.token_hex(16), secrets.token_hex(16)
    with ExitStack() as stack:
        homes = stack.enter_context(home_exporter(directory / "home"))
        prometheus, prometheus_url = start_prometheus(
            directory / "prometheus",
            scrape_configs(homes, ports.jupyterhub, metrics_token),
            port=ports.prometheus,
        )
        stack.enter_context(prometheus)
        # The dashboard reads what is in homes once a minute, at first when it starts.
        prometheus.wait_until(lambda: _is_scraped(prometheus_url, "homes"))
        print("Starting JupyterHub ...", flush=True)
        environment = {
            "DEMO_DIRECTORY": str(directory),
            "DEMO_PROMETHEUS_URL": prometheus_url,
            "DEMO_PORT": str(ports.jupyterhub),
            "DEMO_HUB_PORT": str(ports.hub),
            "DEMO_PROXY_PORT": str(ports.proxy),
            "DEMO_DASHBOARD_PORT": str(ports.dashboard),
            "DEMO_PROXY": proxy,
            "DEMO_METRICS_TOKEN": metrics_token,
            "DEMO_TOKEN": token,
        }
        config = Path(__file__).with_name("jupyterhub_config.py")
        command = [sys.executable, "-m", "jupyterhub", "--config", str(config)]
        log = directory / "jupyterhub.log"
        log.unlink(missing_ok=True)
        with Program(command, log, environment=environment, directory=directory) as hub:
            url = f"http://127.0.0.1:{ports.jupyterhub}"
            hub.wait_for_url(f"{url}/hub/health")
            hub.wait_until(lambda: _is_shown(url, token))
            print(WHO.format(url=url, prometheus=prometheus_url, directory=directory), flush=True)
            hub.wait_until(lambda: False, timeout=float("inf"))


def scrape_configs(homes: str, port: int, token: str) -> Sequence[Mapping[str, Any]]:
    """What Prometheus scrapes: the exporter of homes at this address, and the Hub at this port."""
    return [
        {
            "job_name": "jupyterhub",
            "metrics_path": "/hub/metrics",
            "authorization": {"credentials": token},
            "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
        },
        {
            "job_name": "homes",
            "scrape_interval": "1s",  # the first one is waited for
            "static_configs": [{"targets": [homes]}],
        },
    ]


def _is_scraped(prometheus_url: str, job: str) -> bool:
    """Whether Prometheus has scraped a job."""
    answer = _get(f"{prometheus_url}/api/v1/query", params={"query": f'up{{job="{job}"}} == 1'})
    return bool(answer and answer["data"]["result"])


def _is_shown(url: str, token: str) -> bool:
    """Whether the Usage Quota Dashboard shows a user's usage and home."""
    address = f"{url}/services/usage-quota/api/v1/users/carol"
    answer = _get(address, headers={"Authorization": f"token {token}"})
    return bool(
        answer
        and answer["home_storage"]
        and all(one["state"] == "fresh" for one in answer["verdicts"])
    )


def _get(url: str, **request: Any) -> Any:
    """The JSON at a URL; None where there is none yet."""
    try:
        answer = httpx.get(url, timeout=10, trust_env=False, **request)
        return answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return None
