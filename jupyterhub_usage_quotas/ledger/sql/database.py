"""The connection to a ledger's database: one worker thread, transactions, upgrades, failures."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ...errors import LedgerNewer, LedgerUnavailable
from . import sqlite
from .schema import LOCK, LOCK_ROW, REVISIONS, VERSION_TABLE
from .url import MARIADB, POSTGRESQL, LedgerUrl

if TYPE_CHECKING:
    from alembic.config import Config

Done = TypeVar("Done")
Work = Callable[[Connection], Done]

MIGRATIONS: Final = Path(__file__).parent / "migrations"
PATIENCE: Final = 5
"""Seconds that a connection, a lock, or an answer is waited for: nothing hangs on a database."""
LONGEST_TEXT: Final = 300
"""Characters of what a driver says that are shown."""


class Database:
    """A database that holds a ledger, used by one thread of its own.

    It is opened at its first use, and again after a failure. If it `makes_tables`, it makes them
    where there are none; if it `upgrades`, it also brings older ones up to date. Else it refuses a
    database in which they are missing or older. Everything raises `LedgerUnavailable` where the
    database cannot be used.
    """

    def __init__(self, where: LedgerUrl, *, upgrade: bool = False) -> None:
        self.where = where
        self.upgrades = upgrade
        self.makes_tables = False
        self._engine: Engine | None = None
        self._ready = False
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="usage-quotas-ledger")

    async def read(self, work: Work[Done]) -> Done:
        """What `work` returns, which is called in the thread with a connection."""
        return await asyncio.wrap_future(self._submit(work, writes=False))

    async def write(self, work: Work[Done]) -> Done:
        """The same in a transaction that no other writer is in; what it wrote is committed."""
        return await asyncio.wrap_future(self._submit(work, writes=True))

    def read_now(self, work: Work[Done], within: timedelta) -> Done:
        """The same as `read` for a caller that has no event loop yet."""
        try:
            return self._submit(work, writes=False).result(within.total_seconds())
        except TimeoutError:
            raise LedgerUnavailable(f"{self._named} did not answer within {within}") from None

    async def aclose(self) -> None:
        """Close the connection, and end the thread once it has done what was begun."""
        if self._closed:
            return
        self._closed = True
        closing = self._thread.submit(self._dispose)
        self._thread.shutdown(wait=False)
        await asyncio.wrap_future(closing)

    @property
    def _named(self) -> str:
        return f"the ledger at {self.where.shown}"

    def _submit(self, work: Work[Done], *, writes: bool) -> Future[Done]:
        if self._closed:
            raise LedgerUnavailable(f"{self._named} was closed")
        return self._thread.submit(self._work, work, writes=writes)

    def _work(self, work: Work[Done], *, writes: bool) -> Done:
        with self._failures():
            engine = self._opened()
            with self._transaction(engine, writes=writes) as connection:
                if writes:
                    # Held until the commit; SQLite has begun with a lock of the whole database.
                    of_lock = select(LOCK.c.id).where(LOCK.c.id == LOCK_ROW)
                    connection.execute(of_lock.with_for_update()).one()
                return work(connection)

    @contextmanager
    def _transaction(self, engine: Engine, *, writes: bool) -> Iterator[Connection]:
        with engine.connect() as plain:
            connection = plain.execution_options(**{sqlite.WRITES: writes})
            with connection.begin():
                yield connection

    def _opened(self) -> Engine:
        if self._engine is None:
            self._engine = self._make_engine()
        if not self._ready:
            self._prepare(self._engine)
            self._ready = True
        return self._engine

    def _make_engine(self) -> Engine:
        """An engine whose errors have no values in them, which are people's names and reasons."""
        url = self.where.url
        common: dict[str, Any] = {"hide_parameters": True, "pool_size": 1, "max_overflow": 0}
        if (file := self.where.file) is not None:
            engine = create_engine(url, connect_args={"timeout": PATIENCE}, **common)
            sqlite.listen(engine, file)
            return engine
        made = create_engine(
            url,
            connect_args=CONNECT[self.where.database],
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            **common,
        )

        @event.listens_for(made, "connect")
        def connected(connection: Any, _record: object) -> None:
            with connection.cursor() as cursor:
                for statement in SESSION[self.where.database]:
                    cursor.execute(statement)
            connection.commit()

        return made

    def _prepare(self, engine: Engine) -> None:
        """Make sure that the tables are those which we know."""
        file = self.where.file
        if file is not None and not file.is_file():
            if not (self.makes_tables or self.upgrades):
                raise LedgerUnavailable(
                    f"{self._named} is not there: the Hub makes it when it starts"
                )
            sqlite.make_file(file)
        with self._transaction(engine, writes=False) as connection:
            found = revision_of(connection)
        if found == REVISIONS[-1]:
            return
        if found is not None and found not in REVISIONS:
            raise LedgerNewer(
                f"{self._named} has tables of a newer version of jupyterhub-usage-quotas: got"
                f" revision {found}; expected {REVISIONS[-1]} or older: install that version"
            )
        if not (self.upgrades or (self.makes_tables and found is None)):
            what = "no tables yet" if found is None else f"older tables (revision {found})"
            raise LedgerUnavailable(
                f"{self._named} has {what}: the Hub of this version brings them up to date when"
                " it starts"
            )
        with self._transaction(engine, writes=True) as connection:
            upgrade(connection)

    def _dispose(self) -> None:
        if self._engine is not None:
            self._engine.dispose()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError, UnicodeError) as error:
            cure = OF_ITS_OWNER if _may_not(error) else ""
            raise LedgerUnavailable(
                f"{self._named} cannot be used: {self._said(error)}{cure}"
            ) from None

    def _said(self, error: Exception) -> str:
        """What a driver says, in a line, without the password and the statement."""
        said = error.orig if isinstance(error, DBAPIError) and error.orig else error
        line = " ".join(self.where.without_secrets(str(said)).split())[:LONGEST_TEXT]
        return f"{type(error).__name__}: {line}"


def _may_not(error: Exception) -> bool:
    """Whether this process may not open, or write, what is the ledger's."""
    if isinstance(error, PermissionError):
        return True
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)


OF_ITS_OWNER: Final = (
    "; SQLite writes beside the file also to read it: run this as the user of the Hub, who must be"
    " able to write the file and its folder"
)
CONNECT: Final = {
    POSTGRESQL: {
        "connect_timeout": PATIENCE,
        "tcp_user_timeout": PATIENCE * 1000,
        "application_name": "jupyterhub-usage-quotas",
        # A PgBouncer may give every transaction another connection.
        "prepare_threshold": None,
    },
    MARIADB: {
        "connect_timeout": PATIENCE,
        "read_timeout": 2 * PATIENCE,
        "write_timeout": 2 * PATIENCE,
    },
}
SESSION: Final = {
    POSTGRESQL: (
        f"SET statement_timeout = '{2 * PATIENCE}s'",
        f"SET lock_timeout = '{PATIENCE}s'",
        # Whatever is usual for this database or this user: what is acknowledged is on the disk.
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'",
    ),
    MARIADB: (
        # What does not fit is refused, not cut off.
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES'",
        f"SET SESSION innodb_lock_wait_timeout = {PATIENCE}",
    ),
}
AT_ONCE: Final = {
    POSTGRESQL: {"fsync": "on", "full_page_writes": "on"},
    MARIADB: {"innodb_flush_log_at_trx_commit": "1", "innodb_doublewrite": "ON"},
}
"""What a server has to be set to, so that what it acknowledged is there after a power cut."""
UPGRADE_LOCK: Final = {
    POSTGRESQL: ("SELECT 1 FROM pg_advisory_xact_lock(8027421370161206)", ""),
    MARIADB: (
        f"SELECT GET_LOCK('usage_quotas_upgrade', {2 * PATIENCE})",
        "DO RELEASE_LOCK('usage_quotas_upgrade')",
    ),
}
"""Of two Hubs that start at once, one upgrades: what takes the lock, and what gives it back where
the end of the transaction does not. SQLite's transaction is such a lock itself.
"""
_ALEMBIC: Final = threading.Lock()
"""It has one context in a process."""


def revision_of(connection: Connection) -> str | None:
    """The revision of the tables; None where there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 a name of ours
    return None if found is None else str(found)


def upgrade(connection: Connection) -> None:
    """Bring the tables up to date, in the transaction of this connection."""
    # Only the Hub needs it, and only where something is to be done.
    from alembic import command  # noqa: PLC0415

    take, give_back = UPGRADE_LOCK.get(database_of(connection), ("", ""))
    if take and connection.exec_driver_sql(take).scalar() != 1:
        raise LedgerUnavailable("another process is making the tables of the ledger; wait for it")
    try:
        with _ALEMBIC:
            command.upgrade(_alembic(connection), "head")
        if give_back:
            # Its tables were committed one by one, the revision was not: whoever gets the lock
            # next must see it.
            connection.exec_driver_sql("COMMIT")
    finally:
        if give_back:
            connection.exec_driver_sql(give_back)


def _alembic(connection: Connection) -> Config:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    # A percent sign begins an interpolation there.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def database_of(connection: Connection) -> str:
    """Which database it is, by the names that we have for them."""
    name = connection.dialect.name
    return MARIADB if name == "mysql" else name
