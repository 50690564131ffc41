"""Commands that are killed, and commands that may not read or write what they need."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.adjusting import Said, config_in, hub_with, run
from tests.support.paths import ROOT
from tests.support.permissions import NOBODY, not_as_root, reachable_by_all

MANY = 300
COMMON = ("--policy", "memory", "--reason", "a late deadline", "--actor", "tutor")
MORE = ("--amount", "2 GiB-hours", "--until", "7d")
KILLED_AT = """
import os, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool
from jupyterhub_usage_quotas.commands import main

inserted = False

def kill(*_):
    if inserted:
        os.kill(os.getpid(), 9)

@event.listens_for(Engine, "after_cursor_execute")
def executed(_connection, _cursor, statement, *_):
    global inserted
    inserted = inserted or statement.startswith("INSERT INTO usage_quotas_entries")
    if sys.argv[1] == "after inserting":
        kill()

event.listen(*{"before the commit": (Engine, "commit"), "after the commit": (Pool, "checkin")}
             .get(sys.argv[1], (Engine, "rollback")), kill)
sys.exit(main(sys.argv[2:]))
"""


def test_many_who_are_given_more_while_it_is_killed_get_it_once_by_the_same_command(tmp_path: Path):
    names = [f"student-{number}" for number in range(MANY)]
    hub_with(tmp_path, dict.fromkeys(names, ()), datetime(2026, 1, 2, tzinfo=UTC))
    config = config_in(tmp_path)
    users = tmp_path / "users"
    users.write_text("\n".join(names))
    command = ("grant", "--config", config, *COMMON, *MORE, "--users", str(users), "--key", "class")

    def given() -> list[str]:
        found = run("ledger", "export", "--config", config)
        assert found.code == 0
        return [one["user"] for one in found.objects]

    for moment, kept in (
        ("after inserting", []),
        ("before the commit", []),
        ("after the commit", names),
    ):
        killed = subprocess.run(
            [sys.executable, "-c", KILLED_AT, moment, *command],
            check=False,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, ""), killed.stderr
        assert given() == kept, "all, or none"
    again = run(*command)
    assert (again.code, len(again.out.splitlines())) == (0, MANY)
    assert given() == names
    assert run("ledger", "verify", "--config", config).out.startswith(f"{MANY} entries, all ")


@pytest.fixture
def config(tmp_path: Path) -> Iterator[str]:
    """A configuration that anybody can read, with a ledger that has a grant."""
    made = config_in(reachable_by_all(tmp_path))
    assert run("grant", "--config", made, *COMMON, *MORE, "--user", "ada").code == 0
    (tmp_path / "lines").write_text(run("ledger", "export", "--config", made).out)
    yield made
    tmp_path.chmod(0o755)


def modes(folder: int, file: int) -> Callable[[Path], None]:
    """The ledger's folder and file have these modes."""

    def change(folder_of_it: Path) -> None:
        ledger = folder_of_it / "ledger.sqlite"
        for path, mode in ((ledger, file), (folder_of_it, folder)):
            path.chmod(mode)
            if os.geteuid() == 0:
                os.chown(path, NOBODY, NOBODY)

    return change


def without_ledger(folder: Path) -> None:
    (folder / "ledger.sqlite").unlink()
    folder.chmod(0o555)


READING = (("ledger", "list"), ("ledger", "verify"), ("ledger", "export"))


def all_of(config: str) -> dict[tuple[str, ...], Said]:
    """What each command says to somebody else than root."""
    reason = ("--reason", "a slip")
    lines = str(Path(config).with_name("lines"))
    writing = (
        ("grant", *COMMON, *MORE, "--user", "bob"),
        ("void", "1", *reason),
        ("ledger", "import", lines),
    )
    with not_as_root():
        return {one: run(*one, "--config", config) for one in (*READING, *writing)}


@pytest.mark.parametrize(
    ("made", "reads"),
    [
        (modes(0o555, 0o444), False),
        (modes(0o755, 0o444), True),
        (modes(0o555, 0o644), False),
        (modes(0o755, 0o000), False),
        (without_ledger, False),
    ],
    ids=["nothing writable", "read-only file", "read-only folder", "unreadable file", "no file"],
)
def test_a_ledger_that_may_not_be_written_is_exit_code_4_and_says_who_may(
    config, tmp_path: Path, made, reads: bool
):
    before = run("ledger", "export", "--config", config).out
    made(tmp_path)
    for command, said in all_of(config).items():
        if command in READING and reads:
            assert (said.code, "error" in said.err) == (0, False), (command, said)
        elif said.code == 0:
            # SQLite may have its other files from before, or nothing was to be written.
            assert command[:2] == ("ledger", "import"), (command, said)
            assert said.out.startswith("0 entries imported"), (command, said)
        else:
            assert (said.code, said.out) == (4, ""), (command, said)
            named = "run this as the user of the Hub" in said.err or "is not there" in said.err
            assert named, (command, said)
    if (tmp_path / "ledger.sqlite").exists():
        modes(0o755, 0o644)(tmp_path)
        assert run("ledger", "export", "--config", config).out == before


def test_a_file_of_the_request_that_may_not_be_read_is_exit_code_2(config, tmp_path: Path):
    for name in ("users", "lines"):
        (tmp_path / name).write_text("ada")
        (tmp_path / name).chmod(0)
    with not_as_root():
        users = run("grant", "--config", config, *COMMON, *MORE, "--users", str(tmp_path / "users"))
        lines = run("ledger", "import", str(tmp_path / "lines"), "--config", config)
    for said in (users, lines):
        assert (said.code, said.out) == (2, "")
        assert "Permission denied" in said.err
    Path(config).chmod(0)
    with not_as_root():
        said = run("ledger", "list", "--config", config)
    assert (said.code, "Permission denied" in said.err) == (2, True)
