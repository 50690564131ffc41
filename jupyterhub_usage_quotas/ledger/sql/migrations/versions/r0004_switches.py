"""Switches of profiles that were requested, until they are done.

MariaDB commits after every statement of a definition. So that an upgrade that was interrupted can
begin anew, this makes only what is not there.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

OPTIONS: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_nopad_bin",
    "mysql_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_engine": "InnoDB",
}
TABLES = sa.MetaData()
SWITCHES = sa.Table(
    "usage_quotas_switches",
    TABLES,
    sa.Column("username", sa.String(255), nullable=False),
    sa.Column("server", sa.String(255), nullable=False),
    sa.Column("user_created", sa.BigInteger),
    sa.Column("wanted", sa.Text, nullable=False),
    sa.Column("wanted_name", sa.String(255), nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("previous_name", sa.String(255), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("requested", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("username", "server", name="pk_usage_quotas_switches"),
    **OPTIONS,
)


def upgrade() -> None:
    """Make the table."""
    TABLES.create_all(op.get_bind())
