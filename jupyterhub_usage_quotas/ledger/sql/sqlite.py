"""What SQLite has to be told on every connection, so that what it acknowledged is kept."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, event

WRITES: Final = "usage_quotas_writes"
"""The option of a connection whose transactions write."""
NETWORKED: Final = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs"),
        *("nfs", "nfs4", "ocfs2", "smb2", "smb3", "smbfs", "virtiofs"),
        *("fuse.glusterfs", "fuse.mfs", "fuse.s3fs", "fuse.sshfs", "fuse.juicefs", "fuse.ceph"),
    }
)
"""File systems of several machines: a write-ahead log needs memory that its readers share."""
MOUNTS: Final = Path("/proc/self/mounts")
WAL, ROLLBACK = "wal", "delete"


def make_file(file: Path) -> None:
    """Make the database's file, which only its owner can read, if it is not there."""
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))


def filesystem_of(file: Path, mounts: Path = MOUNTS) -> str:
    """The kind of file system that a file is on; empty where that is not known."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    folders = {str(file.resolve()), *map(str, file.resolve().parents)}
    found = [line.split() for line in lines]
    # The octal escape is how the kernel writes a space.
    kinds = {one[1].replace("\\040", " "): one[2] for one in found if len(one) > 2}  # noqa: PLR2004
    return kinds.get(max(folders & kinds.keys(), key=len, default=""), "")


def listen(engine: Engine, file: Path, mounts: Path = MOUNTS) -> None:
    """Set up every connection of an engine, and begin transactions as they are meant.

    The driver would begin one at the first write, and two that have read before could then not
    both go on; IMMEDIATE waits at the beginning.
    """
    networked = filesystem_of(file, mounts) in NETWORKED

    @event.listens_for(engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in ("foreign_keys = ON", "recursive_triggers = ON"):
            connection.execute(f"PRAGMA {pragma}")
        set_journal(connection, networked=networked)
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def set_journal(connection: sqlite3.Connection, *, networked: bool) -> str:
    """A write-ahead log, or a rollback journal where that cannot work; returns which it is."""
    if not networked:
        try:
            (mode,) = connection.execute(f"PRAGMA journal_mode = {WAL}").fetchone()
            # That there is no shared memory shows at the first transaction.
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
        else:
            return str(mode)
    (mode,) = connection.execute(f"PRAGMA journal_mode = {ROLLBACK}").fetchone()
    return str(mode)
