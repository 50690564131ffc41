"""Starting real Hubs, of JupyterHub 5 and 6, from configuration that a test writes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.forked import fork
from tests.support.paths import ROOT
from tests.support.programs import Program, find_program, free_port

PYTHONS = {"5": ROOT / ".venv-hub5/bin/python", "6": ROOT / ".venv/bin/python"}
"""The Python of each JupyterHub that is supported, by its major version."""
KUBESPAWNER_6 = "5, KubeSpawner 6"
WITH_SPAWNERS = PYTHONS | {KUBESPAWNER_6: ROOT / ".venv-spawner6/bin/python"}
"""These, and one with an earlier KubeSpawner."""

SERVER = [sys.executable, "-S", str(Path(__file__).with_name("server.py"))]
"""The command of a user's server."""

BASE = """
import os
from pathlib import Path

c = get_config()
directory = Path({directory!r})
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.db_url = f"sqlite:///{{directory / 'jupyterhub.sqlite'}}"
c.JupyterHub.cookie_secret_file = str(directory / "cookie_secret")
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = [{proxy!r}]
c.ConfigurableHTTPProxy.pid_file = str(directory / "proxy.pid")
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {{"admin"}}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = str(directory / "home" / "{{username}}")
c.Spawner.cmd = {server!r}
# Nothing is to fail because the machine is busy with other tests.
c.Spawner.start_timeout = c.Spawner.http_timeout = 300
c.UsageConfig.deadline = c.UsageConfig.request_timeout = 60.0
c.JupyterHub.authenticate_prometheus = False
"""


@dataclass(frozen=True)
class Hub:
    """A running Hub."""

    url: str
    program: Program
    version: str

    def metric(self, name: str, **labels: str) -> float:
        """The value of one sample on its metrics endpoint; 0 where there is none."""
        wanted = {f'{label}="{value}"' for label, value in labels.items()}
        for line in httpx.get(f"{self.url}/hub/metrics", trust_env=False).text.splitlines():
            if line.startswith((f"{name}{{", f"{name} ")) and all(one in line for one in wanted):
                return float(line.rpartition(" ")[2])
        return 0.0


def write_config(directory: Path, version: str, config: str, port: int) -> Path:
    """Write a configuration file: what every test Hub needs, then what the test adds."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "home").mkdir(exist_ok=True)
    base = BASE.format(
        directory=str(directory),
        port=port,
        hub_port=free_port(),
        proxy_port=free_port(),
        proxy=find_program("configurable-http-proxy", "run scripts/install-programs"),
        server=SERVER,
    )
    path = directory / "jupyterhub_config.py"
    path.write_text(base + textwrap.dedent(config), encoding="utf-8")
    return path


def launch(
    directory: Path, version: str, config_file: Path, *, fork_services: bool = True
) -> Program:
    """Start the Hub of this configuration, without waiting for it; see `HubProgram`."""
    command = [str(WITH_SPAWNERS[version]), "-m", "jupyterhub", "--config", str(config_file)]
    return HubProgram(command, directory, fork_services=fork_services)


class HubProgram(Program):
    """A Hub of which no proxy is left, although it was killed and had no time to stop it.

    It forks the dashboard from a process that has imported what that needs, if `fork_services`;
    else it starts it as it does for an admin.
    """

    def __init__(self, command: Sequence[str], directory: Path, *, fork_services: bool) -> None:
        self._fork_services = fork_services
        super().__init__(command, directory / "jupyterhub.log", directory=directory)

    def _start(
        self, command: Sequence[str], *, environment: Mapping[str, str], directory: Path | None
    ) -> Any:
        return fork(
            command,
            self.log,
            self.log,
            environment=environment,
            directory=directory,
            fork_services=self._fork_services,
        )

    def stop(self) -> None:
        """See `Program.stop`."""
        super().stop()
        noted = self.log.with_name("proxy.pid")
        if noted.exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(noted.read_text().split()[0]), signal.SIGKILL)


@contextmanager
def running_hub(
    directory: Path, version: str, config: str, port: int | None = None
) -> Iterator[Hub]:
    """A Hub that answers; stopped at the end."""
    port = port or free_port()
    with launch(directory, version, write_config(directory, version, config, port)) as program:
        url = f"http://127.0.0.1:{port}"
        program.wait_for_url(f"{url}/hub/health")
        yield Hub(url, program, version)
