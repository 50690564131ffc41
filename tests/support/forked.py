"""Programs of a virtual environment that are forked from one that has imported what they need.

What runs is the same as if the interpreter had been started for it; only the imports, which are
most of the seconds until a Hub answers, are done once for each process of tests.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT

COMMAND = "jupyterhub-usage-quotas"


class Forked:
    """A running process, with what `Program` uses of `subprocess.Popen`."""

    def __init__(self, server: _ForkServer, pid: int) -> None:
        self.pid = pid
        self._server = server
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        if self._code is None:
            self._code = self._server.ask(poll=self.pid)["code"]
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it ends; returns the exit code, or raises `subprocess.TimeoutExpired`."""
        if self.poll() is None:
            # Nobody but the server's answer to `poll` takes its pid away: it cannot be another's.
            ended = os.pidfd_open(self.pid)
            try:
                select.select([ended], [], [], timeout)
            finally:
                os.close(ended)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class _ForkServer:
    def __init__(self, python: str) -> None:
        ours, theirs = socket.socketpair()
        script = str(ROOT / "tests/support/forkserver.py")
        with theirs:
            self._process = subprocess.Popen(
                [python, script, str(theirs.fileno())], pass_fds=[theirs.fileno()], cwd=ROOT
            )
        self._lines = ours.makefile("rw", encoding="utf-8")
        self._turn = threading.Lock()
        atexit.register(self._end, ours)

    def ask(self, **order: Any) -> dict[str, Any]:
        """Give an order; returns the answer."""
        with self._turn:
            self._lines.write(json.dumps(order) + "\n")
            self._lines.flush()
            answer: dict[str, Any] = json.loads(self._lines.readline())
        return answer

    def _end(self, ours: socket.socket) -> None:
        self._lines.close()
        ours.close()
        self._process.wait()


@cache
def _server(python: str) -> _ForkServer:
    return _ForkServer(python)


def fork(
    command: Sequence[str],
    stdout: Path,
    stderr: Path,
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    fork_services: bool = False,
) -> Forked:
    """Start `[python, "-m", module, ...]` or `[python, script, ...]`, its output in files.

    `fork_services`: of a Hub, whether it starts services in Python by a fork, too.
    """
    order = {
        "command": [*command],
        "output": [str(stdout), str(stderr)],
        "fork_services": fork_services,
        "environment": dict(os.environ if environment is None else environment),
        "directory": str(directory or Path.cwd()),
    }
    for one in (stdout, stderr):
        one.touch()
    server = _server(command[0])
    return Forked(server, server.ask(run=order)["pid"])


def run_command(
    *arguments: str | Path,
    python: str | Path = sys.executable,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `jupyterhub-usage-quotas` of a virtual environment, as an admin would."""
    command = [str(python), str(Path(python).with_name(COMMAND)), *map(str, arguments)]
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = Path(folder) / "stdout", Path(folder) / "stderr"
        running = fork(command, stdout, stderr, environment=environment, directory=directory)
        code = running.wait()
        said = [one.read_text(encoding="utf-8") for one in (stdout, stderr)]
    return subprocess.CompletedProcess(command, code, *said)
