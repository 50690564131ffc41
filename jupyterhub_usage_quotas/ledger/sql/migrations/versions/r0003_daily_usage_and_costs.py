"""What users used and what the cloud cost, by day.

MariaDB commits after every statement of a definition. So that an upgrade that was interrupted can
begin anew, this makes only what is not there.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPTIONS: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_nopad_bin",
    "mysql_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_engine": "InnoDB",
}
TABLES = sa.MetaData(naming_convention={"pk": "pk_%(table_name)s"})

sa.Table(
    "usage_quotas_usage_days",
    TABLES,
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("hub", sa.String(255), primary_key=True),
    sa.Column("coverage", sa.Integer, nullable=False),
    sa.Column("read_at", sa.BigInteger, nullable=False),
    sa.Column("restated", sa.Integer, nullable=False),
    **OPTIONS,
)
sa.Table(
    "usage_quotas_daily_usage",
    TABLES,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("hub", sa.String(255), nullable=False),
    sa.Column("username", sa.String(255), nullable=False),
    sa.Column("kind", sa.String(255), nullable=False),
    sa.Column("resource", sa.String(64), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Index("ix_usage_quotas_daily_usage_day_hub", "day", "hub"),
    sa.Index("ix_usage_quotas_daily_usage_username_day", "username", "day"),
    **OPTIONS,
)
sa.Table(
    "usage_quotas_cost_days",
    TABLES,
    sa.Column("source", sa.String(32), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("final", sa.Integer, nullable=False),
    sa.Column("read_at", sa.BigInteger, nullable=False),
    sa.Column("restated", sa.Integer, nullable=False),
    **OPTIONS,
)
sa.Table(
    "usage_quotas_daily_costs",
    TABLES,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("source", sa.String(32), nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("hub", sa.String(255)),
    sa.Column("component", sa.String(255), nullable=False),
    sa.Column("service", sa.String(255), nullable=False),
    sa.Column("amount", sa.String(60), nullable=False),
    sa.Column("currency", sa.String(16), nullable=False),
    sa.Column("final", sa.Integer, nullable=False),
    sa.Index("ix_usage_quotas_daily_costs_day_source", "day", "source"),
    **OPTIONS,
)
sa.Table(
    "usage_quotas_memberships",
    TABLES,
    sa.Column("id", NUMBER, primary_key=True, autoincrement=True),
    sa.Column("hub", sa.String(255), nullable=False),
    sa.Column("username", sa.String(255), nullable=False),
    sa.Column("since", sa.Date, nullable=False),
    sa.Column("groups", sa.Text, nullable=False),
    sa.Index(
        "ix_usage_quotas_memberships_hub_username_since", "hub", "username", "since", unique=True
    ),
    **OPTIONS,
)


def upgrade() -> None:
    """Make the tables."""
    TABLES.create_all(op.get_bind())
