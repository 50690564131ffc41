"""The campus on which people give more; a module that wants more people on it has its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.campus import Campus, running_campus


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campus]:
    with running_campus(tmp_path_factory.mktemp("campus")) as campus:
        yield campus


@pytest.fixture
def campus(running: Campus) -> Campus:
    running.hub.down = False
    return running


@pytest.fixture
def pupil(campus: Campus) -> str:
    """A new student of group a."""
    return campus.pupil()
