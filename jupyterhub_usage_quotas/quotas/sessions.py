"""Sessions: which server ran from when to when, and what it asked for, as its own Hub saw it.

Instants are seconds since the Unix epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .policy.selector import ServerAttributes
from .resources import BY_RUNNING, has_gpu, may_have_gpu

Span = tuple[float, float]
"""`(start, end]`."""


Prices = Mapping[str, float]
"""What a base unit of each resource costs."""


def costing(rates: Mapping[str, float], prices: Prices) -> float:
    """What a server of these rates costs per second."""
    return math.fsum(rates.get(name, 0.0) * price for name, price in prices.items())


@dataclass(frozen=True, slots=True)
class Session:
    """A server that ran without a change of what it asks for; a change begins another session.

    `id` is made by the Hub (32 characters), so that a session which is written twice is one.
    `rates` is what the server uses of each resource per second, in base units (bytes, cores, GPUs,
    1 of `time`, credits), as decided when it was launched; of resources that are `unknown` it may
    use more. It ran from `started` to `seen` at least, and to `ended`, which is None while it runs.
    `profile`, `profile_name` and `choices` are those of its `Request`.
    """

    id: str
    hub: str
    username: str
    server_name: str
    started: float
    seen: float
    ended: float | None = None
    rates: Mapping[str, float] = field(default_factory=lambda: BY_RUNNING)
    unknown: frozenset[str] = frozenset()
    profile: str = ""
    profile_name: str = ""
    choices: tuple[str, ...] = ()
    user_created: float | None = None

    @property
    def until(self) -> float:
        """Until when it is known to have run."""
        return self.seen if self.ended is None else self.ended

    @property
    def server(self) -> ServerAttributes:
        """What selectors can name of the server."""
        gpu = None if may_have_gpu(self.rates, self.unknown) else has_gpu(self.rates)
        profile = "/".join((self.profile, *self.choices))
        return ServerAttributes(profile, self.profile_name, self.server_name, gpu)

    def rates_at(self, fixed: Mapping[str, Prices]) -> Mapping[str, float]:
        """Its rates, and what it costs of each resource with `fixed` prices; at these where its
        launch was not priced.
        """
        return {**{name: costing(self.rates, one) for name, one in fixed.items()}, **self.rates}

    def seen_at(self, instant: float) -> Session:
        """The same, if it runs, once it was seen to run at an instant."""
        if self.ended is not None or instant <= self.seen:
            return self
        return replace(self, seen=instant)

    def ended_at(self, instant: float) -> Session:
        """The same, ended at an instant, but not before it was seen last: clocks are set back."""
        end = max(instant, self.seen)
        return replace(self, seen=end, ended=end)


@dataclass(frozen=True, slots=True)
class Watch:
    """A span of time in which a Hub saw every server of its own start and end.

    It is what makes that no session was recorded mean that no server ran.
    """

    id: str
    hub: str
    started: float
    seen: float


@dataclass(frozen=True, slots=True)
class SessionExtract:
    """What a session log has of a span of time. `unreadable` is the number of sessions that are
    there and cannot be read.
    """

    sessions: Sequence[Session] = ()
    watches: Sequence[Watch] = ()
    unreadable: int = 0


def unwatched(watches: Iterable[Watch], start: float, end: float) -> tuple[Span, ...]:
    """The parts of `(start, end]` that are in none of these watches, in time order."""
    gaps, at = [], start
    for watch in sorted(watches, key=lambda one: one.started):
        if watch.started >= end:
            break
        if watch.started > at:
            gaps.append((at, watch.started))
        at = max(at, watch.seen)
    if at < end:
        gaps.append((at, end))
    return tuple(gaps)
