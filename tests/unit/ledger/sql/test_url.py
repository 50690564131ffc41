"""Where a ledger can be, and what is shown of that."""

from __future__ import annotations

import importlib.util

import pytest

from jupyterhub_usage_quotas.ledger.sql.url import InvalidLedgerUrl, parse_ledger_url

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("text", "database", "shown"),
    [
        ("sqlite:///ledger.sqlite", "sqlite", "sqlite:///ledger.sqlite"),
        ("sqlite:////srv/a b/c.sqlite", "sqlite", "sqlite:////srv/a b/c.sqlite"),
        ("postgresql://u:s3cret@db/quotas", "postgresql", "postgresql://u:***@db/quotas"),
        ("postgres://u@db:5433/quotas", "postgresql", "postgresql://u@db:5433/quotas"),
        ("postgresql+psycopg://db/q?password=s3cret", "postgresql", "postgresql://db/q"),
        ("mysql://u:s3cret@db/quotas", "mariadb", "mariadb://u:***@db/quotas"),
        ("mariadb+pymysql://u:s3cret@[::1]/q", "mariadb", "mariadb://u:***@[::1]/q"),
    ],
)
def test_a_url_says_which_database_it_is_and_is_shown_without_its_password(text, database, shown):
    found = parse_ledger_url(text)
    assert (found.database, found.shown) == (database, shown)


@pytest.mark.parametrize("text", ["mariadb://u:s3cret@db/q", "postgresql://db/q?password=s3cret"])
def test_what_a_driver_says_is_shown_without_the_password(text: str):
    assert parse_ledger_url(text).without_secrets("login s3cret failed") == "login *** failed"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "got a text that is no URL"),
        ("/srv/ledger.sqlite", "got a text that is no URL"),
        ("u:s3cret@db", "got a text that is no URL"),
        ("postgresql://u:s3cret@db:port/q", "got a text that is no URL"),
        ("oracle://u:s3cret@db/q", "got oracle://; expected SQLite, PostgreSQL or MariaDB"),
        ("postgresql+asyncpg://u:s3cret@db/q", "got postgresql+asyncpg://"),
        ("sqlite://", "names no database that processes can share"),
        ("sqlite:///:memory:", "names no database that processes can share"),
        ("sqlite:///file:x?mode=memory&uri=true", "names no database that processes can share"),
        ("postgresql://u:s3cret@db", "names no database that processes can share"),
        ("postgresql://u:s3cret@db/", "names no database that processes can share"),
    ],
)
def test_a_url_of_nothing_we_can_use_is_refused_without_its_password(text: str, says: str):
    with pytest.raises(InvalidLedgerUrl) as refused:
        parse_ledger_url(text)
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None
    assert "for example sqlite:///" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "extra"), [("postgresql://db/q", "postgresql"), ("mariadb://db/q", "mariadb")]
)
def test_a_driver_that_is_missing_is_named_with_how_to_get_it(monkeypatch, text, extra):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(InvalidLedgerUrl, match=rf"with its extra \[{extra}\]"):
        parse_ledger_url(text)
