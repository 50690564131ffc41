"""The ledger's entries, append-only.

MariaDB commits after every statement of a definition. So that an upgrade that was interrupted can
begin anew, this makes only what is not there.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

APPEND_ONLY = "the ledger of usage quotas is append-only: void an adjustment in place of this"
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPTIONS: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_nopad_bin",
    "mysql_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_engine": "InnoDB",
}
TABLES = sa.MetaData()
ENTRIES = sa.Table(
    "usage_quotas_entries",
    TABLES,
    sa.Column("id", NUMBER, nullable=False, autoincrement=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("policy", sa.String(255), nullable=False),
    sa.Column("username", sa.String(255)),
    sa.Column("user_created", sa.BigInteger),
    sa.Column("starts", sa.BigInteger),
    sa.Column("ends", sa.BigInteger),
    sa.Column("amount", sa.String(40)),
    sa.Column("voids", NUMBER),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("request_key", sa.String(200)),
    sa.Column("request_position", sa.Integer, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.PrimaryKeyConstraint("id", name="pk_usage_quotas_entries"),
    sa.CheckConstraint(
        "kind IN ('grant', 'override', 'exemption', 'void')", name="ck_usage_quotas_entries_kind"
    ),
    sa.CheckConstraint(
        "(kind = 'void') = (voids IS NOT NULL)", name="ck_usage_quotas_entries_voids"
    ),
    sa.ForeignKeyConstraint(
        ["voids"], ["usage_quotas_entries.id"], name="fk_usage_quotas_entries_voids"
    ),
    sa.UniqueConstraint("voids", name="uq_usage_quotas_entries_voids"),
    sa.UniqueConstraint(
        "request_key",
        "request_position",
        name="uq_usage_quotas_entries_request_key_request_position",
    ),
    sa.Index("ix_usage_quotas_entries_username_id", "username", "id"),
    sa.Index("ix_usage_quotas_entries_ends", "ends"),
    **OPTIONS,
)
LOCK = sa.Table(
    "usage_quotas_lock",
    TABLES,
    sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
    sa.Column("entry", NUMBER),
    sa.PrimaryKeyConstraint("id", name="pk_usage_quotas_lock"),
    sa.ForeignKeyConstraint(
        ["entry"], ["usage_quotas_entries.id"], name="fk_usage_quotas_lock_entry"
    ),
    **OPTIONS,
)
# A REPLACE deletes a row without its trigger, unless the connection sets recursive_triggers: so
# what would replace one is refused before. NULL is equal to nothing, as in a unique constraint.
OF_SQLITE = [
    *(
        f"CREATE TRIGGER IF NOT EXISTS usage_quotas_no_{what.lower()}"
        f" BEFORE {what} ON usage_quotas_entries BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END"
        for what in ("UPDATE", "DELETE")
    ),
    "CREATE TRIGGER IF NOT EXISTS usage_quotas_no_replace BEFORE INSERT ON usage_quotas_entries"  # noqa: S608 a text of ours
    " WHEN EXISTS (SELECT 1 FROM usage_quotas_entries WHERE id = NEW.id)"
    " OR EXISTS (SELECT 1 FROM usage_quotas_entries WHERE voids = NEW.voids)"
    " OR EXISTS (SELECT 1 FROM usage_quotas_entries"
    " WHERE request_key = NEW.request_key AND request_position = NEW.request_position)"
    f" BEGIN SELECT RAISE(ABORT, '{APPEND_ONLY}'); END",
]
OF_POSTGRESQL = [
    "CREATE OR REPLACE FUNCTION usage_quotas_append_only() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN RAISE EXCEPTION '{APPEND_ONLY}'; END $$",
    "CREATE OR REPLACE TRIGGER usage_quotas_append_only"
    " BEFORE UPDATE OR DELETE OR TRUNCATE ON usage_quotas_entries"
    " FOR EACH STATEMENT EXECUTE FUNCTION usage_quotas_append_only()",
]
OF_MARIADB = [
    f"CREATE TRIGGER IF NOT EXISTS usage_quotas_no_{what.lower()}"
    f" BEFORE {what} ON usage_quotas_entries FOR EACH ROW"
    f" SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{APPEND_ONLY}'"
    for what in ("UPDATE", "DELETE")
]
TRIGGERS = {
    "sqlite": OF_SQLITE,
    "postgresql": OF_POSTGRESQL,
    "mariadb": OF_MARIADB,
    "mysql": OF_MARIADB,
}


def upgrade() -> None:
    """Make the tables, the row of the lock, and the triggers."""
    connection = op.get_bind()
    TABLES.create_all(connection)
    if connection.execute(sa.select(LOCK.c.id)).first() is None:
        connection.execute(LOCK.insert().values(id=1))
    for statement in TRIGGERS[connection.dialect.name]:
        connection.exec_driver_sql(statement)
