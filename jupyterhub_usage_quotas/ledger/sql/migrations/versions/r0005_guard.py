"""Running servers: what the guard must not forget, and what users are told.

Like the first, this makes only what is not there, for databases that commit every definition.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

OPTIONS: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_nopad_bin",
    "mysql_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_engine": "InnoDB",
}
TABLES = sa.MetaData()
GUARD = sa.Table(
    "usage_quotas_guard",
    TABLES,
    sa.Column("id", sa.String(64), nullable=False),
    sa.Column("hub", sa.String(255), nullable=False),
    sa.Column("username", sa.String(255), nullable=False),
    sa.Column("server_name", sa.String(255), nullable=False),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("started", sa.BigInteger, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("over_since", sa.BigInteger),
    sa.Column("warned", sa.Text, nullable=False),
    sa.Column("grace_until", sa.BigInteger),
    sa.Column("asked_at", sa.BigInteger),
    sa.Column("episode", sa.Integer, nullable=False),
    sa.PrimaryKeyConstraint("id", name="pk_usage_quotas_guard"),
    sa.Index("ix_usage_quotas_guard_hub", "hub"),
    **OPTIONS,
)
NOTICES = sa.Table(
    "usage_quotas_notices",
    TABLES,
    sa.Column("id", sa.String(64), nullable=False),
    sa.Column("hub", sa.String(255), nullable=False),
    sa.Column("username", sa.String(255), nullable=False),
    sa.Column("server_name", sa.String(255), nullable=False),
    sa.Column("policy", sa.Text, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("threshold", sa.BigInteger, nullable=False),
    sa.Column("until", sa.BigInteger),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("created", sa.BigInteger, nullable=False),
    sa.Column("taken_by", sa.Text, nullable=False),
    sa.Column("next_attempt", sa.BigInteger),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.PrimaryKeyConstraint("id", name="pk_usage_quotas_notices"),
    sa.Index("ix_usage_quotas_notices_hub_next_attempt", "hub", "next_attempt"),
    sa.Index("ix_usage_quotas_notices_hub_created", "hub", "created"),
    **OPTIONS,
)


def upgrade() -> None:
    """Make both tables."""
    TABLES.create_all(op.get_bind())
