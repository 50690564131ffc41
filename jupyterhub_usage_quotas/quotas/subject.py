"""Subjects: a user as policies see them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

Everyone = Literal[""]

EVERYONE: Final = ""
"""In place of a username or of subjects: all users together, as for the adjustments of a pool.

No user has this name.
"""

REST: Final = ""
"""The key in readings by username that stands for every user who is not named.

A pool that has it among its members is everyone's.
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """A user: name, the names of their groups, and whether they are an admin.

    `created` is when the Hub made the user, with a time zone; None where that is not known. Name
    and `created` identify a user: one who is created under the name of a deleted user is another.
    """

    name: str
    groups: frozenset[str] = frozenset()
    admin: bool = False
    created: datetime | None = None


def in_utc(instant: datetime | None) -> datetime | None:
    """An instant of the Hub, which leaves the time zone out where it means UTC, with UTC."""
    if instant is None:
        return None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
