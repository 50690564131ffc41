"""The servers that ledgers are tested on, started once for each worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.databases import Databases, started


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """PostgreSQL and MariaDB, each started when it is first wanted."""
    with started(tmp_path_factory.mktemp("databases")) as running:
        yield running
