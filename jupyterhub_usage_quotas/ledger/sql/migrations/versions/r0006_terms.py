"""Terms: what an admin's functions gave for users.

Like the first, this makes only what is not there, for databases that commit every definition.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

OPTIONS: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_nopad_bin",
    "mysql_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_engine": "InnoDB",
}
TABLES = sa.MetaData()
TERMS = sa.Table(
    "usage_quotas_terms",
    TABLES,
    sa.Column("username", sa.String(255), nullable=False),
    sa.Column("policy", sa.String(255), nullable=False),
    sa.Column("user_created", sa.BigInteger),
    sa.Column("said", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("username", "policy", name="pk_usage_quotas_terms"),
    sa.Index("ix_usage_quotas_terms_at", "at"),
    **OPTIONS,
)


def upgrade() -> None:
    """Make the table."""
    TABLES.create_all(op.get_bind())
