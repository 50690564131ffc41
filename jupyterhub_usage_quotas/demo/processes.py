"""Starting real programs, waiting until they answer, and stopping them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from ..errors import UsageQuotasError

SECONDS_TO_START = 180.0
SECONDS_TO_STOP = 20.0


class ProgramFailed(UsageQuotasError):
    """A program is missing, ended, or did not answer in time; the message has its last words."""


def free_port() -> int:
    """A TCP port on the loopback interface that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def find_program(name: str, advice: str) -> str:
    """The path of a program; raises `ProgramFailed` that says what to install."""
    path = shutil.which(name)
    if path is None:
        raise ProgramFailed(f"{name} is not installed: {advice}")
    return path


class Program:
    """One running program, its output in a file. Stops when the `with` block ends."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        """Start it, in a session of its own, so that Ctrl-C reaches only the program that started
        it.
        """
        self.log = log
        self._name = Path(command[0]).name
        variables = {**os.environ, **(environment or {})}
        self._process = self._start(command, environment=variables, directory=directory)

    def _start(
        self, command: Sequence[str], *, environment: Mapping[str, str], directory: Path | None
    ) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=directory,
                start_new_session=True,
            )

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The id of the process, also after it ended."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.poll()

    def output(self) -> str:
        """Everything it printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, ready: Callable[[], bool], timeout: float = SECONDS_TO_START) -> None:
        """Wait until `ready()`; raises `ProgramFailed` if the program ends or time runs out."""
        deadline = time.monotonic() + timeout
        while not ready():
            if self.exit_code is not None:
                raise ProgramFailed(f"{self._name} ended ({self.exit_code}):\n{self._tail()}")
            if time.monotonic() > deadline:
                raise ProgramFailed(f"{self._name} is not ready:\n{self._tail()}")
            # Programs of others do not announce that they are ready: try again.
            time.sleep(0.05)

    def wait_for_url(self, url: str, timeout: float = SECONDS_TO_START) -> None:
        """Wait until a GET of the URL succeeds."""
        # To make a client takes longer than to ask once.
        with httpx.Client(timeout=2, trust_env=False) as client:
            self.wait_until(lambda: _answers(client, url), timeout)

    def wait_for_exit(self, timeout: float = SECONDS_TO_STOP) -> int:
        """Wait until it ends by itself; returns the exit code."""
        return self._process.wait(timeout)

    def send_signal(self, number: int) -> None:
        """Send it a signal, for example that of Ctrl-C."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """Ask it to end, and make sure that it and its children did."""
        if self.exit_code is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _tail(self, lines: int = 30) -> str:
        return "\n".join(self.output().splitlines()[-lines:])


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.HTTPError:
        return False


def start_prometheus(
    directory: Path,
    scrape_configs: Sequence[Mapping[str, Any]] = (),
    *,
    scrape_interval: str = "5s",
    port: int | None = None,
    retention: str = "1y",
    flags: Sequence[str] = (),
) -> tuple[Program, str]:
    """Start a Prometheus on `directory / "data"`; returns it, ready, and its URL.

    Backfilled series have no staleness markers, so its look-back is just over the distance of
    the backfilled samples, a minute.
    """
    program = find_program("prometheus", "on Debian, `apt-get install prometheus`")
    port = port or free_port()
    (directory / "data").mkdir(parents=True, exist_ok=True)
    # JSON is YAML.
    configuration = {
        "global": {"scrape_interval": scrape_interval},
        "scrape_configs": list(scrape_configs),
    }
    configuration_file = directory / "prometheus.yml"
    configuration_file.write_text(json.dumps(configuration), encoding="utf-8")
    prometheus = Program(
        [
            program,
            f"--config.file={configuration_file}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--storage.tsdb.retention.time={retention}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--query.lookback-delta=75s",
            *flags,
        ],
        directory / "prometheus.log",
    )
    url = f"http://127.0.0.1:{port}"
    try:
        prometheus.wait_for_url(f"{url}/-/ready")
    except ProgramFailed:
        prometheus.stop()
        raise
    return prometheus, url
