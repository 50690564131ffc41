"""The exporter of the demo's home directories, with the metrics of jupyterhub-home-nfs: what users
keep in the demo, and as much besides as if they had worked there for years.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from .. import conventions
from .exporter import served

GIB = 1024**3
KEPT = {"alice": 3.25 * GIB, "bob": 9.4 * GIB, "carol": 5.5 * GIB, "dave": 0.75 * GIB}
"""Bytes, by user; besides those of the files that are there."""
LIMIT = 10 * GIB


def exported(homes: Path) -> str:
    """The metrics of these users' directories in `homes`, in Prometheus' text format."""
    lines = []
    for user, kept in KEPT.items():
        size = kept + sum(map(_size, (homes / user).rglob("*")))
        lines.append(f'{conventions.HOME_SIZE}{{directory="{user}"}} {size}\n')
        lines.append(f'{conventions.HOME_LIMIT}{{directory="{user}"}} {LIMIT}\n')
    return "".join(lines)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0  # it was deleted meanwhile


def home_exporter(homes: Path) -> AbstractContextManager[str]:
    """Serve these metrics; gives where to scrape them."""
    return served(lambda: exported(homes))
