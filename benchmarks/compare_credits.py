"""The same scenarios on the credit service's own package and on this one: what each charges.

`python -m benchmarks.compare_credits PYTHON`, where PYTHON has jupyterhub-credit-service, starts a
real Hub with each, of one configuration, and prints a row of a table for each scenario.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.hub import write_config
from tests.support.paths import ROOT
from tests.support.programs import Program, free_port
from tests.support.visitor import Visitor

TICK, COST, EVERY = 15, 10, 20
"""Seconds between two ticks of the service; credits for so many seconds of a server."""
CONFIG = f"""
import jupyterhub_credit_service
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.spawner import SimpleLocalProcessSpawner

class Ours(DummyAuthenticator, jupyterhub_credit_service.CreditsAuthenticator):
    pass

class Servers(SimpleLocalProcessSpawner, jupyterhub_credit_service.CreditsSpawner):
    pass

PROJECT = {{"name": "p", "cap": 100, "grant_value": 50, "grant_interval": 60}}

def credits_user(authenticator, name, groups, admin, auth_state):
    entry = {{"name": "default", "cap": 100, "grant_value": 1, "grant_interval": 86400}}
    return entry | ({{"project": dict(PROJECT)}} if name == "member" else {{}})

c.JupyterHub.authenticator_class = Ours
c.JupyterHub.spawner_class = Servers
c.JupyterHub.cleanup_servers = False
c.Ours.credits_user = credits_user
c.Ours.credits_task_interval = {TICK}
c.Servers.billing_value = {COST}
c.Servers.billing_interval = {EVERY}
"""
ONLY_OURS = """
c.Ours.credits_available_projects = [PROJECT]
c.UsageConfig.hub_namespace = "compared"
c.UsageViewer.enabled = False
"""


@dataclass
class Side:
    """One of the two: a Hub that can be killed and started again."""

    name: str
    python: str
    folder: Path
    port: int
    program: Program | None = None

    @property
    def url(self) -> str:
        """Where the Hub is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, more: str) -> None:
        """Start it, for the first time or again."""
        file = self.folder / "jupyterhub_config.py"
        if not file.exists():
            write_config(self.folder, "", CONFIG + more, self.port)
        path = str(ROOT) if self.name == "here" else ""
        command = [self.python, "-m", "jupyterhub", "--config", str(file)]
        log = self.folder / "jupyterhub.log"
        self.program = Program(
            command, log, environment={**os.environ, "PYTHONPATH": path}, directory=self.folder
        )
        Visitor.wait_until(lambda: _answers(self.url))

    def kill(self) -> None:
        """Kill the Hub alone; its servers go on."""
        assert self.program is not None
        self.program._process.kill()
        self.program._process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/hub/login", trust_env=False).is_success
    except httpx.HTTPError:
        return False


def balance(visitor: Visitor, project: str = "") -> float:
    """What is left to a user, or of their project."""
    answer = visitor.api("GET", "/credits")
    (one,) = answer.json()
    return float(one["project"]["balance"] if project else one["balance"])


@contextmanager
def running(visitor: Visitor) -> Iterator[None]:
    """A server of the user's."""
    answer = visitor.start_by_api()
    assert answer.is_success, answer.text
    visitor.wait_until_ready()
    yield
    visitor.stop()


def after_a_tick(side: Side) -> None:
    """Wait until the service has just had a tick: it says so to who listens."""
    listener = Visitor(side.url, "listener")
    client = httpx.Client(cookies=listener.http.cookies, trust_env=False, timeout=60)
    address = f"{side.url}/hub/api/credits/sse"
    with client, client.stream("GET", address, params={"_xsrf": listener._xsrf}) as stream:
        events = (line for line in stream.iter_lines() if line.startswith("data: "))
        next(events)
        next(events)


def short(side: Side) -> str:
    """A server that runs for a few seconds between two ticks."""
    user = Visitor(side.url, "short")
    after_a_tick(side)
    begin = time.monotonic()
    with running(user):
        time.sleep(2)
    return f"{100 - balance(user):.1f} credits for {time.monotonic() - begin:.0f} s"


def restarted(side: Side) -> str:
    """A server that is restarted twice, and runs over a tick each time."""
    user, begin, ran = Visitor(side.url, "restarted"), time.monotonic(), 0.0
    for _ in range(2):
        # Shortly before a tick, so that it runs for little more than a few seconds.
        after_a_tick(side)
        time.sleep(TICK - 6)
        begin = time.monotonic()
        with running(user):
            after_a_tick(side)
        ran += time.monotonic() - begin
    return f"{100 - balance(user):.1f} credits for {ran:.0f} s"


def full_pool(side: Side) -> str:
    """A project that was full for longer than an interval is used up, just after a tick."""
    admin, member = Visitor(side.url, "admin"), Visitor(side.url, "member")
    time.sleep(61)
    after_a_tick(side)
    answer = admin.api("POST", "/credits/project/p", json={"balance": 0, "cap": 100})
    assert answer.is_success, answer.text
    after_a_tick(side)
    return f"{balance(member, 'p'):.0f} of 100 after the next tick"


def changed(side: Side) -> str:
    """An admin gives a user 500, who then logs in again."""
    admin = Visitor(side.url, "admin")
    Visitor(side.url, "changed")
    body = {"cap": 500, "balance": 500}
    answer = admin.api("POST", "/credits/user/changed/default", json=body)
    assert answer.is_success, answer.text
    return f"{balance(Visitor(side.url, 'changed')):.0f} of 500"


def outage(side: Side) -> str:
    """The Hub is away for a minute, while a server runs whose user has credits for 50 s."""
    admin, user = Visitor(side.url, "admin"), Visitor(side.url, "outage")
    answer = admin.api("POST", "/credits/user/outage/default", json={"balance": 35, "cap": 100})
    assert answer.is_success, answer.text
    assert user.start_by_api().is_success
    user.wait_until_ready()
    after_a_tick(side)
    before = balance(user)
    side.kill()
    time.sleep(60)
    side.start("")
    user = Visitor(side.url, "outage")
    after_a_tick(side)
    after = balance(user)
    runs = bool(user.servers())
    still = "runs" if runs else "is stopped"
    return f"{before:.0f} before, {after:.0f} after 60 s more; the server {still}"


SCENARIOS: Mapping[str, Callable[[Side], str]] = {
    "a server of a few seconds": short,
    "restarted twice": restarted,
    "a full project is used up": full_pool,
    "an admin gives 500, and the user logs in": changed,
    "a minute without the Hub": outage,
}


def main(python: str) -> None:
    """Print the table, a row for each scenario and a column for each side."""
    found: dict[str, dict[str, str]] = {name: {} for name in SCENARIOS}
    with tempfile.TemporaryDirectory() as folder:
        for name, runs_on in (("service", python), ("here", sys.executable)):
            side = Side(name, runs_on, Path(folder) / name, free_port())
            try:
                side.start(ONLY_OURS if name == "here" else "")
                for scenario, work in SCENARIOS.items():
                    try:
                        found[scenario][name] = work(side)
                    except (AssertionError, httpx.HTTPError) as error:
                        found[scenario][name] = f"{type(error).__name__}: {str(error)[:200]}"
                    print(f"{name}: {scenario}: {found[scenario][name]}", flush=True)
            finally:
                if side.program is not None:
                    side.program.stop()
    print("\n| scenario | the credit service | here |\n|---|---|---|")
    for scenario, of in found.items():
        print(f"| {scenario} | {of.get('service', '')} | {of.get('here', '')} |")


if __name__ == "__main__":
    main(sys.argv[1])
