"""Gauges: amounts that are there now, as opposed to usage over time. Home storage is one.

What a gauge shows does not add up over time and does not go away by itself: nothing comes back by
waiting, only by freeing it. It has no window; `Current` stands in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from ..amounts import Amounts
from ..phrases import Phrase, mark
from ..policy.selector import ServerSelector
from ..usage import Usage
from .base import Window, whole_minute


@dataclass(frozen=True, slots=True)
class GaugeReading(Usage):
    """An `amount` (base units) that was there when it was measured, at `covered_until`.

    As usage it has no buckets, so whatever adds up usage over time finds nothing in it. `limit` is
    the hard limit that its exporter reports: infinite where there is none, None where it reports
    none or any. What is not `there` at all is an amount of zero.
    """

    amount: float = 0.0
    limit: float | None = None
    there: bool = True

    def of(self, servers: ServerSelector) -> Usage:  # noqa: ARG002 see below
        """The reading itself: which server wrote what is not known."""
        return self


@dataclass(frozen=True, slots=True)
class Current:
    """No window: what is there now is held against the limit. See `Window` for what it answers.

    With `exported`, the limit is the per-user hard limit that the exporter reports; it is never
    combined with limits that an admin wrote.
    """

    exported: bool = False

    @property
    def reach(self) -> timedelta:
        """No history is needed."""
        return timedelta(0)

    @property
    def length(self) -> None:
        """See `Window.length`."""
        return

    def cannot_hold(self, limit: float) -> str:  # noqa: ARG002 any limit is fine
        """See `Window.cannot_hold`."""
        return ""

    @property
    def comes_back(self) -> bool:
        """Not by waiting: it has to be freed."""
        return False

    @property
    def combination(self) -> object:
        """See `Window.combination`."""
        return self

    @property
    def measure(self) -> object:
        """See `Window.measure`."""
        return self

    @property
    def refilled_by(self) -> None:
        """See `Window.refilled_by`: nothing comes back by itself."""
        return

    def reach_for(self, limit: float) -> timedelta:  # noqa: ARG002 it is there now
        """See `Window.reach_for`."""
        return self.reach

    def steps_around(self, at: datetime) -> None:  # noqa: ARG002 see above
        """See `Window.steps_around`."""
        return

    def refilled(self, amount: float, every: timedelta) -> Current:  # noqa: ARG002 see above
        """See `Window.refilled`."""
        return self

    @property
    def short(self) -> str:
        """Nothing: it is not per anything."""
        return ""

    @property
    def said(self) -> Phrase:
        """See `Window.said`."""
        return Phrase(mark("now"))

    @property
    def per(self) -> Phrase:
        """Nothing: it is not per anything."""
        return Phrase("")

    @property
    def phrase(self) -> str:
        """See `Window.phrase`."""
        return str(self.said)

    def combine(
        self,
        windows: Sequence[Window],
        combined: Callable[[Sequence[float]], float],  # noqa: ARG002 it gives no amounts
    ) -> Window:
        """See `Window.combine`."""
        return windows[0]

    def used(self, usage: Amounts, at: datetime) -> float:  # noqa: ARG002 it stays as it is
        """What is there; usage over time is none of it."""
        return usage.amount if isinstance(usage, GaugeReading) else 0.0

    def earliest(
        self, usage: Usage, enough: Callable[[float], bool], after: datetime
    ) -> datetime | None:
        """At once, or never: it does not change by waiting."""
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

    def steady_until(self, usage: Amounts, at: datetime, used: float) -> None:  # noqa: ARG002
        """See `Window.steady_until`: time changes nothing of it."""
        return

    def period_at(self, at: datetime, after: int = 0) -> None:
        """See `Window.period_at`: what is there stays."""

    def account(self) -> NoReturn:
        """What is there is not paid for; policies refuse to pool it."""
        raise TypeError("what is there now cannot be paid from a pool")

    def plotted_from(self, at: datetime) -> None:  # noqa: ARG002 see below
        """See `Window.plotted_from`: of what was there before nothing is kept."""
        return

    def course(self, usage: Usage, instants: Sequence[datetime]) -> list[float]:
        """See `Window.course`."""
        return [self.used(usage, one) for one in instants]

    def __str__(self) -> str:
        return "now"
