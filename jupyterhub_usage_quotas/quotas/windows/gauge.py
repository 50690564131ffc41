"""Levels: what is there now, as opposed to what was used over time. Home storage is one.

A level does not add up over time and does not go away by itself: nothing comes back by waiting,
only by freeing it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from ..policy.selector import ServerSelector
from ..usage import Usage
from .rolling import whole_minute


@dataclass(frozen=True, slots=True)
class Level(Usage):
    """An `amount` (base units) that was there when it was measured, at `covered_until`.

    As usage it has no buckets, so whatever adds up usage over time finds nothing in it. `limit` is
    the hard limit that its exporter tells: infinite where there is none, None where it does not
    tell. What is not `there` at all is an amount of zero.
    """

    amount: float = 0.0
    limit: float | None = None
    there: bool = True

    def of(self, servers: ServerSelector) -> Usage:  # noqa: ARG002 see below
        """The level itself: which server wrote what is not known."""
        return self


@dataclass(frozen=True, slots=True)
class Present:
    """No window: what is there now is held against the limit. See `Window` for what it answers.

    With `exported`, the limit is the one that the exporter tells, which each user has an own one
    of; it is never combined with limits that an admin wrote.
    """

    exported: bool = False

    @property
    def reach(self) -> timedelta:
        """No history is needed."""
        return timedelta(0)

    @property
    def combination(self) -> object:
        """See `Window.combination`."""
        return self

    @property
    def short(self) -> str:
        """Nothing: it is not per anything."""
        return ""

    @property
    def phrase(self) -> str:
        """See `Window.phrase`."""
        return "now"

    def used(self, usage: Usage, at: datetime) -> float:  # noqa: ARG002 a level stays as it is
        """The level; usage over time is none."""
        return usage.amount if isinstance(usage, Level) else 0.0

    def earliest(
        self, usage: Usage, enough: Callable[[float], bool], after: datetime
    ) -> datetime | None:
        """At once, or never: a level does not change by waiting."""
        return whole_minute(after) if enough(self.used(usage, after)) else None

    def exhausted(
        self,
        usage: Usage,
        rate: float,  # noqa: ARG002 servers do not fill it at a rate
        allowance: float,
        start: datetime,
        until: datetime,  # noqa: ARG002 see `rate`
    ) -> datetime | None:
        """At once, or not by what servers ask for."""
        return start if self.used(usage, start) >= allowance else None

    def account(self) -> NoReturn:
        """A level is not paid for; policies refuse to pool it."""
        raise TypeError("what is there now cannot be paid from a pool")

    def __str__(self) -> str:
        return "now"
