"""The tests' own starter of programs: nothing is left behind, and no port is given twice."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from tests.support.kubernetes.day import wait_until
from tests.support.programs import Program, free_port

STARTS_ANOTHER = """
import subprocess, sys, time
from pathlib import Path
other = subprocess.Popen(["sleep", "1000"], start_new_session=True)
Path(sys.argv[1]).write_text(str(other.pid))
time.sleep(1000)
"""


def test_what_a_program_started_ends_with_it(tmp_path):
    """Although it has a session of its own, and the program takes no care of it."""
    noted = tmp_path / "pid"
    command = [sys.executable, "-c", STARTS_ANOTHER, str(noted)]
    with Program(command, tmp_path / "log") as program:
        program.wait_until(lambda: noted.exists() and noted.read_text() != "")
        other = Path(f"/proc/{noted.read_text()}")
        assert other.exists()
    wait_until(lambda: has_ended(other))


def has_ended(process: Path) -> bool:
    """Whether it runs no more; who inherited it may not have noticed yet."""
    try:
        return "\nState:\tZ" in (process / "status").read_text()
    except OSError:
        return True


def test_no_port_is_given_twice_in_a_row_and_none_that_is_taken():
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    taken = ports[-1]
    with socket.create_server(("127.0.0.1", taken)):
        assert taken not in {free_port() for _ in range(600)}
