"""The port of the demo: is it free, and what to say where it is not.

`make demo` runs this file before anything is installed, with the Python that the machine has: it
imports nothing of the package, and nothing that needs one of today.
"""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import suppress

ANY = 0
"""The port that stands for any that is free."""
LAST_PORT = 65535
COULD_NOT_START = "The demo could not start:"


def port_of(text: str) -> int:
    """Read a port; raises `ValueError`."""
    port = int(text) if text.isascii() and text.isdecimal() else 0
    if not 0 < port <= LAST_PORT:
        raise ValueError(f"got {text!r}; expected a number from 1 to {LAST_PORT}")
    return port


def listening(port: int) -> socket.socket:
    """A socket that listens on a port; raises `OSError` if that is taken or not allowed."""
    listener = socket.socket()
    try:
        # A port at which a program listened a moment ago is free, as it is for that of the demo.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def not_usable(port: int, error: OSError) -> str:
    """Why a port cannot be used, and what to do."""
    taken = error.errno == errno.EADDRINUSE
    why = "another program listens on it" if taken else error.strerror
    says = f"port {port} of 127.0.0.1 cannot be used: {why}.\n"
    other = _free_after(port)
    if not other:
        return f"{says}No other port is free, either."
    return (
        f"{says}Choose another port: make demo PORT={other} (jupyterhub-usage-quotas demo --port"
        f" {other}){', or stop that program' if taken else ''}."
    )


def listening_after(port: int) -> socket.socket:
    """A socket that listens on a free port, one of the next if there is one: most that are for any
    purpose are taken for connections, too. Raises `OSError` where none is free.
    """
    for candidate in range(port + 1, min(port + 20, LAST_PORT)):
        with suppress(OSError):
            return listening(candidate)
    return listening(ANY)


def _free_after(port: int) -> int:
    """A free port, one of the next if there is one; 0 where none is free."""
    with suppress(OSError), listening_after(port) as listener:
        found: int = listener.getsockname()[1]
        return found
    return 0


def main(text: str) -> int:
    """Look whether the demo could listen on a port; returns the exit code."""
    try:
        port = port_of(text)
    except ValueError as error:
        print(f"{COULD_NOT_START} PORT: {error}", file=sys.stderr)
        return 1
    try:
        listening(port).close()
    except OSError as error:
        print(f"{COULD_NOT_START} {not_usable(port, error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
