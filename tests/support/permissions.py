"""Whom the modes of files hold: root may read and write whatever they say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


@contextmanager
def not_as_root() -> Iterator[None]:
    """Do as somebody whom the modes of files hold."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def reachable_by_all(folder: Path) -> Path:
    """A folder that anybody may read, as all are in which it is."""
    one = folder
    while one != one.parent and one.stat().st_mode & 0o5 != 0o5:
        one.chmod(0o755)
        one = one.parent
    return folder
