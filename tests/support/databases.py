"""Real PostgreSQL and MariaDB servers, each with one empty database, on ports of the tests' own.

They are started when they are first wanted, once for each worker, as a user who is not root: both
refuse to be run by root.
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


@dataclass
class Server:
    """A database server: the URL of a ledger in it, and a connection that may do anything."""

    name: str
    url: str
    connect: Callable[[], Any]
    process: subprocess.Popen[bytes]
    folder: Path
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
        self.process.send_signal(signal.SIGQUIT if self.name == "postgresql" else signal.SIGKILL)
        self.process.wait(SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)


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
            self._started[name] = {"postgresql": postgresql, "mariadb": mariadb}[name]()
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


def postgresql() -> Server:
    found = sorted(POSTGRESQL_PROGRAMS.glob("*/bin/initdb"), key=lambda one: int(one.parts[-3]))
    beside = str(found[-1].parent) if found else None
    initdb, program = (_program(one, beside) for one in ("initdb", "postgres"))
    user, folder, port = _user("postgres"), _folder("postgres"), free_port()
    data = folder / "data"
    options = ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=root"]
    _run([initdb, *options, str(data)], user)
    settings = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}"]
    settings += ["fsync=off", "shared_buffers=16MB", "max_connections=40"]
    command = [program, "-D", str(data), *(part for one in settings for part in ("-c", one))]
    process = _start(command, folder, user)

    def connect(database: str = DATABASE) -> Any:
        where = {"host": "127.0.0.1", "port": port, "user": "root", "dbname": database}
        return psycopg.connect(**where, autocommit=True)

    with _until(process, folder, lambda: connect("postgres"), psycopg.OperationalError) as first:
        first.execute(f"CREATE DATABASE {DATABASE}")
    return Server(
        "postgresql",
        f"postgresql://root:{ESCAPED}@127.0.0.1:{port}/{DATABASE}",
        connect,
        process,
        folder,
        [
            "SET session_replication_role = replica",
            *(f"DELETE FROM {table}" for table in KEPT_EMPTY),
            "SET session_replication_role = DEFAULT",
        ],
    )


def mariadb() -> Server:
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
    command += ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"]
    command += ["--skip-name-resolve", "--innodb-log-file-size=8M", "--innodb-use-native-aio=0"]
    process = _start(command, folder, user)

    def connect(database: str = DATABASE) -> Any:
        socket = str(folder / "socket")
        return pymysql.connect(
            unix_socket=socket, user="root", database=database or None, autocommit=True
        )

    first = _until(process, folder, lambda: connect(""), pymysql.OperationalError)
    with first, first.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {DATABASE}")
        cursor.execute(f"CREATE USER 'quotas'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
        cursor.execute(f"GRANT ALL ON {DATABASE}.* TO 'quotas'@'127.0.0.1'")
    return Server(
        "mariadb",
        f"mariadb://quotas:{ESCAPED}@127.0.0.1:{port}/{DATABASE}",
        connect,
        process,
        folder,
        [
            "SET foreign_key_checks = 0",
            *(f"TRUNCATE TABLE {table}" for table in KEPT_EMPTY),
            "SET foreign_key_checks = 1",
        ],
    )


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


def _start(command: Sequence[str], folder: Path, user: str | None) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            **_as(user),
        )


def _until(
    process: subprocess.Popen[bytes],
    folder: Path,
    connect: Callable[[], Any],
    refused: type[Exception],
) -> Any:
    """The first connection, once the server takes it: it says so to nobody."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return connect()
        except refused:
            said = (folder / "log").read_text(errors="replace")
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.05)


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Databases]:
    """Servers that are stopped in the end."""
    databases = Databases(folder)
    try:
        yield databases
    finally:
        databases.stop()
