"""TCP ports for the programs that tests start: nobody else is given the same.

To bind a port, release it and hand its number to a program is a race with everybody who does the
same. Each process of tests has a range of its own instead, held by a lock until it ends, and below
the ports that the system gives to connections.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
import tempfile
from functools import cache
from pathlib import Path
from typing import IO

RANGES = [range(first, first + 500) for first in range(12_000, 32_000, 500)]


@cache
def _claimed() -> tuple[itertools.cycle[int], IO[str]]:
    """The ports of this process, and the lock that is held while the process lives."""
    folder = Path(tempfile.gettempdir()) / f"jupyterhub-usage-quotas-tests-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for ports in RANGES:
        lock = (folder / f"ports-{ports.start}").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return itertools.cycle(ports), lock
    raise RuntimeError(f"every range of ports is taken: {folder}")


def free_port() -> int:
    """A port on the loopback interface that nothing listens on, and that was not given lately."""
    ports, _lock = _claimed()
    for port in itertools.islice(ports, len(RANGES[0])):
        with socket.socket() as listener:
            # As the program will that binds it: connections that were closed do not matter.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("every port of this process's range is taken")
