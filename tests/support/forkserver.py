"""The process that imports what Hubs and commands import, once, and becomes each of them by a fork.

    python tests/support/forkserver.py FD

A request on the socket FD is a line of JSON, its answer another (see `tests.support.forked`). Most
of the seconds until a Hub answers are imports, the same for every Hub. The same goes for the
dashboard that a Hub starts: beside the Hub there is such a process of its own.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

MODULES = [
    "jupyterhub.app",
    "jupyterhub_usage_quotas.commands",
    "jupyterhub_usage_quotas.hub.setup",
    "jupyterhub_usage_quotas.services.viewer.app",
]
GROUPS = ["jupyterhub.authenticators", "jupyterhub.proxies", "jupyterhub.spawners"]


def preload() -> None:
    """Import what they need. What cannot be imported is no matter: it is for none of them."""
    for name in MODULES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for group in GROUPS:
        for one in entry_points(group=group):
            with contextlib.suppress(Exception):
                one.load()
    gc.collect()
    gc.freeze()


def serve(connection: socket.socket) -> dict[str, Any] | None:
    """Answer requests; returns what to become in a child, and None when nobody asks any more."""
    lines = connection.makefile("rw", encoding="utf-8")
    for line in lines:
        order = json.loads(line)
        if "run" in order:
            pid = os.fork()
            if pid == 0:
                connection.close()
                return order["run"]
            answer = {"pid": pid}
        else:
            pid, status = os.waitpid(order["poll"], os.WNOHANG)
            answer = {"code": os.waitstatus_to_exitcode(status) if pid else None}
        lines.write(json.dumps(answer) + "\n")
        lines.flush()
    return None


def surround(order: dict[str, Any]) -> None:
    """Give this process what surrounds the program: a session, output, directory, environment."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for fd, path in enumerate([os.devnull, *order["output"]]):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, fd)
        os.close(opened)
    os.chdir(order["directory"])
    os.environ.clear()
    os.environ.update(order["environment"])


def become(order: dict[str, Any]) -> None:
    """Be the program, as if the interpreter had been started for it."""
    _, *sys.argv = order["command"]
    if sys.argv[0] == "-m":
        _, name, *sys.argv[1:] = sys.argv
        sys.path[0] = order["directory"]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(sys.argv[0])
        runpy.run_path(sys.argv[0], run_name="__main__")


class Service(subprocess.Popen[bytes]):
    """A service that a Hub starts: forked where Python runs it, with what JupyterHub uses of it."""

    forks: Any = None
    """The connection to the process that forks them."""

    def __init__(self, command: list[str], **options: Any) -> None:
        self._forked = command[:2] == [sys.executable, "-m"]
        if not self._forked:
            super().__init__(command, **options)
            return
        self.args, self.returncode = command, None
        self.stdin = self.stdout = self.stderr = None
        directory = options["cwd"] or os.getcwd()
        run = {"command": command, "directory": directory, "environment": options["env"]}
        self.pid = self._ask(run=run | {"output": []})["pid"]

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        if self._forked and self.returncode is None:
            self.returncode = self._ask(poll=self.pid)["code"]
        return self.returncode if self._forked else super().poll()

    def _ask(self, **order: Any) -> dict[str, Any]:
        self.forks.write(json.dumps(order) + "\n")
        self.forks.flush()
        answer: dict[str, Any] = json.loads(self.forks.readline())
        return answer


def fork_services() -> dict[str, Any] | None:
    """Fork, beside the Hub that this process becomes, the one that its services are forked from.

    Returns what to become in such a service, and None in the Hub.
    """
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        wanted = serve(theirs)
        if wanted is None:
            sys.exit()
        return wanted
    theirs.close()
    from jupyterhub.services import service  # noqa: PLC0415 only a Hub's Python has it

    Service.forks = ours.makefile("rw", encoding="utf-8")
    service.Popen = Service
    return None


def main() -> None:
    """Be the process that others are forked from; in each of these, be what was ordered."""
    # Ctrl-C is for the tests, which end this by closing the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preload()
    wanted = serve(socket.socket(fileno=int(sys.argv[1])))
    if wanted is None:
        return
    surround(wanted)
    service = fork_services() if wanted["fork_services"] else None
    if service:
        surround(service)
    become(service or wanted)


if __name__ == "__main__":
    main()
