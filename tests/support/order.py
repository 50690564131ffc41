"""In which order tests run, and which of them share a worker.

What is slow to start, a Prometheus or a Hub, is started once for the tests of a group, which one
worker runs; a group is a file, or the part of a file that is about one version of JupyterHub. What
waits for the clock comes first, so that everything else runs meanwhile, and what takes no time
comes last, where it fills the gaps.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

FOLDERS = ("browser", "e2e", "integration", "promises", "contract", "unit")
"""The slowest first; see `tests/README.md`."""


def in_order(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """These tests in the order in which they are to be run, each marked with its group."""
    items = list(items)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    return sorted(items, key=_rank)


def _group(item: pytest.Item) -> str:
    file = item.nodeid.partition("::")[0]
    callspec = getattr(item, "callspec", None)
    of = callspec.params.get("hub") if callspec else None
    return f"{file} {of}" if isinstance(of, str) else file


def _rank(item: pytest.Item) -> tuple[bool, int]:
    """Python's sort is stable: within a folder tests stay where they are."""
    folder = item.nodeid.split("/")[1] if "/" in item.nodeid else ""
    place = FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS)
    return item.get_closest_marker("waits") is None, place
