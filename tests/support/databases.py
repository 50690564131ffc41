"""Real PostgreSQL and MariaDB servers, each with one empty database, on ports of the tests' own.

They are started when they are first wanted, once for each worker, as a user who is not root: both
refuse to be run by root. They do not wait for the disk, which is slow; those that are to be killed
do, as an admin's do.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import pymysql

from jupyterhub_usage_quotas.ledger.sql.database import Database, revision_of
from jupyterhub_usage_quotas.ledger.sql.schema import LOCK, METADATA
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from tests.support.ports import free_port

PASSWORD = "s3cret/with@signs"
ESCAPED = "s3cret%2Fwith%40signs"
DATABASE = "ledger"
SECONDS = 60
KEPT_EMPTY = [table.name for table in METADATA.sorted_tables if table is not LOCK]
POSTGRESQL_PROGRAMS = Path("/usr/lib/postgresql")
"""Debian's are in a folder for each version below."""


class Daemon:
    """The program of a server, which runs as `user` in its folder."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        user: str | None,
        connect: Callable[[], Any],
        refused: type[Exception],
    ) -> None:
        self.folder = folder
        self._command = command
        self._user = user
        self._connect = connect
        self._refused = refused
        self.start()

    def start(self) -> None:
        """Start it, and wait until it lets somebody in: it says so to nobody."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
                **_as(self._user),
            )
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                self._connect().close()
                return
            except self._refused:
                said = (self.folder / "log").read_text(errors="replace")
                assert self._process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop it, without its writing down what is removed anyway."""
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(SECONDS / 10)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it, and then the processes that it has started for its clients, at once."""
        started = _children_of(self._process.pid)
        self._process.kill()
        self._process.wait(SECONDS)
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # None begins anew where one of them still uses its memory.
        deadline = time.monotonic() + SECONDS
        while any(_runs(pid) for pid in started):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def _children_of(parent: int) -> list[int]:
    stats = (_stat(int(one.name)) for one in Path("/proc").iterdir() if one.name.isdecimal())
    return [pid for pid, _, of in filter(None, stats) if of == parent]


def _runs(pid: int) -> bool:
    stat = _stat(pid)
    return stat is not None and stat[1] not in ("Z", "X")


def _stat(pid: int) -> tuple[int, str, int] | None:
    """A process's id, state, and parent; None where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # A name may have spaces and brackets in it.
    state, parent = text.rpartition(")")[2].split()[:2]
    return pid, state, int(parent)


@dataclass
class Server:
    """A database server: the URL of a ledger in it, and a connection that may do anything."""

    name: str
    url: str
    connect: Callable[[], Any]
    program: Daemon
    empty_statements: Sequence[str]

    @cached_property
    def connection(self) -> Any:
        """A connection of an administrator, which commits every statement."""
        return self.connect()

    @cached_property
    def database(self) -> Database:
        """The same database as a ledger's, with its tables."""
        return upgraded(self.url)

    def run(self, *statements: str) -> None:
        """Run statements as an administrator."""
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def empty(self) -> None:
        """Leave the tables, and nothing in them, in spite of their triggers."""
        assert self.database
        self.run(*self.empty_statements)

    def stop(self) -> None:
        """Stop it, and remove what it stored."""
        self.program.stop()
        shutil.rmtree(self.program.folder, ignore_errors=True)

    def kill_and_start_again(self) -> None:
        """What happens to it where the machine has no memory left."""
        self.program.kill()
        self.program.start()
        self.__dict__.pop("connection", None)


def upgraded(url: str) -> Database:
    """A ledger's database whose tables are up to date."""
    made = Database(parse_ledger_url(url), upgrade=True)
    assert made.read_now(revision_of, timedelta(seconds=SECONDS))
    return made


class Databases:
    """Starts each server when it is first wanted; of SQLite there is a file to copy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: dict[str, Server] = {}

    def __getitem__(self, name: str) -> Server:
        if name not in self._started:
            self._started[name] = MADE[name](durable=False)
        return self._started[name]

    @cached_property
    def sqlite(self) -> Path:
        """A SQLite database with the tables of a ledger, and nothing in them."""
        file = self._folder / "empty.sqlite"
        upgraded(f"sqlite:///{file}")
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return file

    def stop(self) -> None:
        for server in self._started.values():
            server.stop()


def postgresql(*, durable: bool) -> Server:
    found = sorted(POSTGRESQL_PROGRAMS.glob("*/bin/initdb"), key=lambda one: int(one.parts[-3]))
    beside = str(found[-1].parent) if found else None
    initdb, program = (_program(one, beside) for one in ("initdb", "postgres"))
    user, folder, port = _user("postgres"), _folder("postgres"), free_port()
    data = folder / "data"
    options = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=root"]
    _run([initdb, *options, str(data)], user)
    settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}"]
    settings += ["shared_buffers=16MB", "max_connections=40"]
    settings += [] if durable else ["fsync=off"]
    command = [program, "-D", str(data), *(part for one in settings for part in ("-c", one))]

    def connect(database: str = DATABASE) -> Any:
        where = {"host": "127.0.0.1", "port": port, "user": "root", "dbname": database}
        return psycopg.connect(**where, autocommit=True)

    daemon = Daemon(command, folder, user, lambda: connect("postgres"), psycopg.OperationalError)
    with connect("postgres") as first:
        first.execute(f"CREATE DATABASE {DATABASE}")
    return Server(
        "postgresql",
        f"postgresql://root:{ESCAPED}@127.0.0.1:{port}/{DATABASE}",
        connect,
        daemon,
        [
            "SET session_replication_role = replica",
            *(f"DELETE FROM {table}" for table in KEPT_EMPTY),
            "SET session_replication_role = DEFAULT",
        ],
    )


def mariadb(*, durable: bool) -> Server:
    program = _program("mariadbd", "/usr/sbin")
    install = _program("mariadb-install-db", "/usr/bin")
    user, folder, port = _user("mysql"), _folder("mysql"), free_port()
    # Two that are installed at once must not take each other's temporary tables.
    _run(["mkdir", str(folder / "tmp")], user)
    common = ["--no-defaults", f"--datadir={folder / 'data'}", f"--tmpdir={folder / 'tmp'}"]
    root = "--auth-root-authentication-method=normal"
    _run([install, *common, root, "--skip-test-db", "--innodb-log-file-size=8M"], user)
    command = [program, *common, f"--port={port}", "--bind-address=127.0.0.1"]
    command += [f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}"]
    command += [] if durable else ["--innodb-flush-log-at-trx-commit=0"]
    command += ["--skip-name-resolve", "--innodb-log-file-size=8M", "--innodb-use-native-aio=0"]
    command += ["--innodb-buffer-pool-size=16M"]

    def connect(database: str = DATABASE) -> Any:
        socket = str(folder / "socket")
        return pymysql.connect(
            unix_socket=socket, user="root", database=database or None, autocommit=True
        )

    daemon = Daemon(command, folder, user, lambda: connect(""), pymysql.OperationalError)
    first = connect("")
    with first, first.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {DATABASE}")
        cursor.execute(f"CREATE USER 'quotas'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
        cursor.execute(f"GRANT ALL ON {DATABASE}.* TO 'quotas'@'127.0.0.1'")
    return Server(
        "mariadb",
        f"mariadb://quotas:{ESCAPED}@127.0.0.1:{port}/{DATABASE}",
        connect,
        daemon,
        [
            "SET foreign_key_checks = 0",
            *(f"TRUNCATE TABLE {table}" for table in KEPT_EMPTY),
            "SET foreign_key_checks = 1",
        ],
    )


MADE = {"postgresql": postgresql, "mariadb": mariadb}


def _program(name: str, beside: str | None) -> str:
    path = shutil.which(name, path=f"{os.environ['PATH']}:{beside or ''}")
    assert path, f"{name} is not installed: scripts/install-programs --tests"
    return path


def _user(name: str) -> str | None:
    """Who runs a server: the package's user where we are root, else we."""
    return name if os.geteuid() == 0 else None


def _folder(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"usage-quotas-{name}-"))
    if user := _user(name):
        found = pwd.getpwnam(user)
        os.chown(folder, found.pw_uid, found.pw_gid)
    return folder


def _as(user: str | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _run(command: Sequence[str], user: str | None) -> None:
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, cwd="/", **_as(user)
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Databases]:
    """Servers that are stopped in the end."""
    databases = Databases(folder)
    try:
        yield databases
    finally:
        databases.stop()
