"""The credit service's tables are read from every database that a Hub can have."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from jupyterhub_usage_quotas.status.credit_tables import StoredBalance, credit_tables_at

AT = datetime(2026, 11, 28, 9, tzinfo=UTC)
METADATA = sa.MetaData()
NUMBERS = ("balance", "cap", "grant_value", "grant_interval")


def table(name: str, *columns: sa.Column) -> sa.Table:
    numbers = [sa.Column(one, sa.Integer) for one in NUMBERS]
    at = sa.Column("grant_last_update", sa.DateTime)
    return sa.Table(name, METADATA, *columns, *numbers, at)


def text(name: str, **of: bool) -> sa.Column:
    return sa.Column(name, sa.Unicode(50), **of)


# As its own models have them, but for the length of texts, which MariaDB demands.
PROJECTS = table("credits_project", text("name", primary_key=True), text("display_name"))
VALUES = table(
    "credits_user_values",
    sa.Column("id", sa.Integer, primary_key=True),
    text("name"),
    text("user_name"),
    text("project_name"),
)


def test_they_are_read(url):
    where = parse_ledger_url(url).url
    engine = sa.create_engine(where)
    numbers = dict(zip(NUMBERS, (30, 100, 5, 600), strict=True))
    common = numbers | {"grant_last_update": AT.replace(tzinfo=None)}
    try:
        with engine.begin() as connection:
            METADATA.create_all(connection)
            connection.execute(PROJECTS.insert(), [common | {"name": "p", "display_name": "P"}])
            row = {"name": "gold", "user_name": "ädä", "project_name": "p"}
            connection.execute(VALUES.insert(), [common | row])
        found = credit_tables_at(where.render_as_string(hide_password=False))
        assert found.balances == (
            StoredBalance("ädä", "gold", "p", 30, 100, 5, 600, AT),
            StoredBalance("", "", "p", 30, 100, 5, 600, AT),
        )
        assert found.unreadable == ()
    finally:
        METADATA.drop_all(engine)
        engine.dispose()
