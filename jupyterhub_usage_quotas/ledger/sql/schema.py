"""The tables of the ledger, as the newest migration leaves them.

One table holds what people decided, an entry a row: adjustments, and voidings of them. Entries are
numbered from 1 without gaps, in the order in which they were committed, since a writer takes the
number after the last while it holds the only row of `LOCK`. Triggers refuse every other statement
than a plain INSERT; each entry has the hash of the one before (`rows.py`).

`SESSIONS` and `WATCHES` are the session log: what the Hub saw of its servers. They are updated for
as long as a server, or the Hub, runs, and what is old is deleted.

Amounts are whole numbers of 10**-6 base units, as decimal digits in a text. They have up to 37
digits: more than a BIGINT holds, and a NUMERIC of SQLite becomes a float beyond 64 bits. A text is
exact in all three databases, and nothing is added up in SQL. Instants are microseconds since 1970:
no database converts them, or leaves out what is below a second.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

PREFIX: Final = "usage_quotas_"
"""Of every table: somebody may put them beside the Hub's."""
VERSION_TABLE: Final = f"{PREFIX}alembic_version"
"""Of our own: JupyterHub reads the table `alembic_version` itself."""
OPTIONS: Final[dict[str, Any]] = {
    # To the letter, with spaces at the end: "ada " is another user than "ada".
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_nopad_bin",
    "mysql_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_engine": "InnoDB",
}
NAMES: Final = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}
REVISIONS: Final = ("0001", "0002", "0003", "0004", "0005")
"""The revisions of the tables that we know, the newest last, which these tables are."""
METADATA: Final = MetaData(naming_convention=NAMES)
NUMBER: Final = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite's own row number, which is not stored twice, is an INTEGER."""

ENTRIES: Final = Table(
    f"{PREFIX}entries",
    METADATA,
    Column("id", NUMBER, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("policy", String(255), nullable=False),
    Column("username", String(255)),
    Column("user_created", BigInteger),
    Column("starts", BigInteger),
    Column("ends", BigInteger),
    Column("amount", String(40)),
    Column("voids", NUMBER, ForeignKey(f"{PREFIX}entries.id")),
    Column("actor", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("request_key", String(200)),
    Column("request_position", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    CheckConstraint("kind IN ('grant', 'override', 'exemption', 'void')", name="kind"),
    CheckConstraint("(kind = 'void') = (voids IS NOT NULL)", name="voids"),
    UniqueConstraint("voids"),
    UniqueConstraint("request_key", "request_position"),
    Index(None, "username", "id"),
    Index(None, "ends"),
    **OPTIONS,
)

LOCK: Final = Table(
    f"{PREFIX}lock",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Always NULL: MariaDB, whose triggers do not see a TRUNCATE, refuses one of a table that
    # another refers to.
    Column("entry", NUMBER, ForeignKey(ENTRIES.c.id)),
    **OPTIONS,
)
LOCK_ROW: Final = 1
"""The id of the only row of `LOCK`."""

SESSIONS: Final = Table(
    f"{PREFIX}sessions",
    METADATA,
    # Made by the Hub: whether a write that was not acknowledged was done shows by it.
    Column("id", String(32), primary_key=True),
    Column("hub", String(255), nullable=False),
    Column("username", String(255), nullable=False),
    Column("user_created", BigInteger),
    Column("server_name", String(255), nullable=False),
    Column("profile", String(255), nullable=False),
    Column("profile_name", String(255), nullable=False),
    # JSON: a list of texts, an object of numbers (base units per second), a list of names.
    Column("choices", Text, nullable=False),
    Column("rates", Text, nullable=False),
    Column("unknown", Text, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Index(None, "hub", "ended"),
    Index(None, "hub", "username", "started"),
    **OPTIONS,
)
WATCHES: Final = Table(
    f"{PREFIX}watches",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("hub", String(255), nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Index(None, "hub", "seen"),
    **OPTIONS,
)

GUARD: Final = Table(
    f"{PREFIX}guard",
    METADATA,
    # A hash of the Hub, the user, the server, the policies and when the server started.
    Column("id", String(64), primary_key=True),
    Column("hub", String(255), nullable=False),
    Column("username", String(255), nullable=False),
    Column("server_name", String(255), nullable=False),
    Column("policy", Text, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("over_since", BigInteger),
    # JSON: a list of seconds.
    Column("warned", Text, nullable=False),
    Column("grace_until", BigInteger),
    Column("asked_at", BigInteger),
    Column("episode", Integer, nullable=False),
    Index(None, "hub"),
    **OPTIONS,
)
NOTICES: Final = Table(
    f"{PREFIX}notices",
    METADATA,
    # A hash of what the notice is about, so that nothing is told twice, whoever writes it.
    Column("id", String(64), primary_key=True),
    Column("hub", String(255), nullable=False),
    Column("username", String(255), nullable=False),
    Column("server_name", String(255), nullable=False),
    Column("policy", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("threshold", BigInteger, nullable=False),
    Column("until", BigInteger),
    Column("text", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    # JSON: the names of the targets that took it.
    Column("taken_by", Text, nullable=False),
    # When it is sent to the others; NULL where nobody is left.
    Column("next_attempt", BigInteger),
    Column("attempts", Integer, nullable=False),
    Index(None, "hub", "next_attempt"),
    Index(None, "hub", "created"),
    **OPTIONS,
)

# The other tables are made with these, so that there is one set of tables, and one revision of it.
from . import daily  # noqa: E402, F401 it needs what is above
