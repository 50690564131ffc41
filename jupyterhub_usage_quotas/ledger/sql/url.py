"""Where a ledger is: URLs of databases, as an admin writes them.

A URL may hold a password. What is shown of one never does.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ...errors import UsageQuotasError
from ...quotas.messages import Verbatim, wrong

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
MARIADB: Final = "mariadb"
EXAMPLES: Final = (
    "for example sqlite:////srv/jupyterhub/usage-quotas.sqlite,"
    " postgresql://user:password@host/database or mariadb://user:password@host/database"
)


@dataclass(frozen=True, slots=True)
class Driver:
    """What talks to a database: SQLAlchemy's name of it, its module, and our extra with it."""

    name: str
    module: str
    extra: str


DRIVERS: Final = MappingProxyType(
    {
        SQLITE: Driver("sqlite", "sqlite3", ""),
        POSTGRESQL: Driver("postgresql+psycopg", "psycopg", "postgresql"),
        MARIADB: Driver("mariadb+pymysql", "pymysql", "mariadb"),
    }
)
SPELLINGS: Final = MappingProxyType(
    {
        "sqlite": SQLITE,
        "sqlite+pysqlite": SQLITE,
        "postgres": POSTGRESQL,
        "postgresql": POSTGRESQL,
        "postgresql+psycopg": POSTGRESQL,
        "mariadb": MARIADB,
        "mariadb+pymysql": MARIADB,
        "mysql": MARIADB,
        "mysql+pymysql": MARIADB,
    }
)
"""What may be written before `://`, and the database that it means."""

SECRET_PARAMETERS: Final = ("password", "passwd", "sslpassword", "ssl_key_password")


class InvalidLedgerUrl(UsageQuotasError, ValueError):
    """No ledger can be at this URL; the message says why, without a password."""


@dataclass(frozen=True, slots=True)
class LedgerUrl:
    """A URL that was checked: with the driver that is used, and how it is shown."""

    database: str
    url: URL

    @property
    def shown(self) -> str:
        """The URL without its password, as it is shown and logged."""
        named = self.url.set(drivername=self.database, query={})
        return named.render_as_string(hide_password=True)

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database; None for a server."""
        return Path(self.url.database or "") if self.database == SQLITE else None

    def without_secrets(self, text: str) -> str:
        """A text of the driver's, in which the password is hidden."""
        in_query = (self.url.query.get(name) for name in SECRET_PARAMETERS)
        for secret in (self.url.password, *in_query):
            text = text.replace(str(secret), "***") if secret else text
        return text


def parse_ledger_url(text: str) -> LedgerUrl:
    """What is at a URL; raises `InvalidLedgerUrl`."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Not with the text: there may be a password in it.
        what = Verbatim("a text that is no URL")
        raise InvalidLedgerUrl(
            wrong(got=what, expected=f"a URL of a database, {EXAMPLES}")
        ) from None
    database = SPELLINGS.get(url.drivername)
    if database is None:
        kind = Verbatim(f"{url.drivername}://")
        expected = f"SQLite, PostgreSQL or MariaDB, {EXAMPLES}"
        raise InvalidLedgerUrl(wrong("database that is not supported", kind, expected))
    made = LedgerUrl(database, url.set(drivername=DRIVERS[database].name))
    if not url.database or (database == SQLITE and _in_memory(url)):
        raise InvalidLedgerUrl(
            wrong("it names no database that processes can share", Verbatim(made.shown), EXAMPLES)
        )
    _require_driver(database)
    return made


def _in_memory(url: URL) -> bool:
    return ":memory:" in str(url.database) or str(url.database).startswith("file:")


def _require_driver(database: str) -> None:
    driver = DRIVERS[database]
    if importlib.util.find_spec(driver.module) is None:
        raise InvalidLedgerUrl(
            f"the driver {driver.module} is not installed: install this package with its extra"
            f" [{driver.extra}]"
        )
