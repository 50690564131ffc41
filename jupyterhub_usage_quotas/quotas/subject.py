"""Who it is about: a user, as policies see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EVERYONE: Final = ""
"""In place of a username: all users together, as for the adjustments of a pool.

No user has this name.
"""

REST: Final = ""
"""The key in readings by username that stands for every user who is not named.

A pool that has it among its members is everyone's.
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """A user: name, the names of their groups, and whether they are an admin."""

    name: str
    groups: frozenset[str] = frozenset()
    admin: bool = False
