"""The process that imports what Hubs and commands import, once, and becomes each of them by a fork.

    python tests/support/forkserver.py FD

A request on the socket FD is a line of JSON, its answer another (see `tests.support.forked`). Most
of the seconds until a Hub answers are imports, the same for every Hub.
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
import sys
from importlib.metadata import entry_points
from typing import Any

MODULES = [
    "jupyterhub.app",
    "jupyterhub_usage_quotas.commands",
    "jupyterhub_usage_quotas.hub.setup",
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


def become(order: dict[str, Any]) -> None:
    """Be the program, as if the interpreter had been started for it."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for fd, path in enumerate([os.devnull, order["stdout"], order["stderr"]]):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(opened, fd)
        os.close(opened)
    os.chdir(order["directory"])
    os.environ.clear()
    os.environ.update(order["environment"])
    _, *sys.argv = order["command"]
    if sys.argv[0] == "-m":
        _, name, *sys.argv[1:] = sys.argv
        sys.path[0] = order["directory"]
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(sys.argv[0])
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    # Ctrl-C is for the tests, which end this by closing the connection.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preload()
    wanted = serve(socket.socket(fileno=int(sys.argv[1])))
    if wanted:
        become(wanted)
