"""The databases that ledgers are tested on; servers are started once for each worker."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from tests.support.databases import Databases, started

KINDS = ["sqlite", "postgresql", "mariadb"]


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """PostgreSQL and MariaDB, each started when it is first wanted."""
    with started(tmp_path_factory.mktemp("databases")) as running:
        yield running


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path, databases: Databases) -> str:
    """An empty ledger with its tables."""
    if request.param == "sqlite":
        return f"sqlite:///{shutil.copy(databases.sqlite, tmp_path / 'ledger.sqlite')}"
    databases[request.param].empty()
    return databases[request.param].url


@pytest.fixture
def raw(url: str) -> Iterator[sa.Engine]:
    """Whoever else has the password: no setting of ours on the connection."""
    engine = sa.create_engine(parse_ledger_url(url).url, poolclass=sa.NullPool)
    yield engine
    engine.dispose()
