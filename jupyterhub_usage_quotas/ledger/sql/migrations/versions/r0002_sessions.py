"""The session log: which servers ran, and when their Hub watched them.

Like the first, this makes only what is not there, for databases that commit every definition.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

OPTIONS: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_nopad_bin",
    "mysql_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_engine": "InnoDB",
}
TABLES = sa.MetaData()
SESSIONS = sa.Table(
    "usage_quotas_sessions",
    TABLES,
    sa.Column("id", sa.String(32), nullable=False),
    sa.Column("hub", sa.String(255), nullable=False),
    sa.Column("username", sa.String(255), nullable=False),
    sa.Column("user_created", sa.BigInteger),
    sa.Column("server_name", sa.String(255), nullable=False),
    sa.Column("profile", sa.String(255), nullable=False),
    sa.Column("profile_name", sa.String(255), nullable=False),
    sa.Column("choices", sa.Text, nullable=False),
    sa.Column("rates", sa.Text, nullable=False),
    sa.Column("unknown", sa.Text, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("seen", sa.BigInteger, nullable=False),
    sa.Column("ended", sa.BigInteger),
    sa.PrimaryKeyConstraint("id", name="pk_usage_quotas_sessions"),
    sa.Index("ix_usage_quotas_sessions_hub_ended", "hub", "ended"),
    sa.Index("ix_usage_quotas_sessions_hub_username_started", "hub", "username", "started"),
    **OPTIONS,
)
WATCHES = sa.Table(
    "usage_quotas_watches",
    TABLES,
    sa.Column("id", sa.String(32), nullable=False),
    sa.Column("hub", sa.String(255), nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("seen", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("id", name="pk_usage_quotas_watches"),
    sa.Index("ix_usage_quotas_watches_hub_seen", "hub", "seen"),
    **OPTIONS,
)


def upgrade() -> None:
    """Make both tables."""
    TABLES.create_all(op.get_bind())
