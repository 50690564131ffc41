"""In which order tests run, and which of them share a worker.

What is slow to start, a Prometheus or a Hub, is started once for the tests of a group, which one
worker runs; a group is a file, or the part of a file that is about one version of JupyterHub. What
waits for the clock comes first, so that everything else runs meanwhile, and what takes no time
comes last, where it fills the gaps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

FOLDERS = ("browser", "e2e", "promises", "integration", "contract", "unit")
"""The slowest first; see `tests/README.md`."""

EACH_BY_ITSELF = ("tests/unit/charts_config/", "tests/e2e/test_tutorials.py")
"""Every case starts a program of its own, and shares nothing."""
OF_ONE_HUB = {
    "tests/e2e/test_denials.py",
    "tests/e2e/test_doctor.py",
    "tests/promises/test_12_bounded_labels.py",
}
"""Files whose tests use `recorded_hub.hub`, which is started once for each worker."""
OF_DATABASES = "tests/contract/test_ledger"
"""Files whose tests use the same PostgreSQL and MariaDB."""
WITH_HUBS = ("tests/e2e/", "tests/promises/")
VERSION = re.compile(r"\[([56])[-\]]")
"""Of JupyterHub, in the name of a case: fixtures that start Hubs have it as their parameter."""


def told_apart(items: Iterable[pytest.Item]) -> None:
    """Refuse tests with the same id: of those, a worker runs the first alone, and says nothing."""
    taken: set[str] = set()
    for item in items:
        if item.nodeid in taken:
            raise pytest.UsageError(f"two tests have the same id: {item.nodeid}")
        taken.add(item.nodeid)


def in_order(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """These tests in the order in which they are to be run."""
    groups: dict[str, list[pytest.Item]] = {}
    for item in sorted(items, key=_rank):
        groups.setdefault(group_of(item.nodeid), []).append(item)
    waiting = [group for group in groups.values() if group[0].get_closest_marker("waits")]
    others = [group for group in groups.values() if not group[0].get_closest_marker("waits")]
    # One that waits, one that computes: neither do all workers wait, nor none.
    pairs = zip_longest(waiting, others, fillvalue=[])
    return [item for pair in pairs for group in pair for item in group]


def _rank(item: pytest.Item) -> int:
    """Python's sort is stable: within a folder tests stay where they are."""
    folder = item.nodeid.split("/")[1] if "/" in item.nodeid else ""
    return FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)


def group_of(name: str) -> str:
    """The group of a test, by its full name."""
    if name.startswith(EACH_BY_ITSELF):
        return name
    file, _, case = name.partition("::")
    if file.startswith(OF_DATABASES):
        return "the databases"
    version = VERSION.search(case) if file.startswith(WITH_HUBS) else None
    if version is None:
        return file
    return f"{'the Hub' if file in OF_ONE_HUB else file} {version[1]}"


class InGroups(LoadScopeScheduling):  # type: ignore[misc]
    """Gives each worker a group at a time, in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
