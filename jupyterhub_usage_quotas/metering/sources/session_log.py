"""The session log: what the Hub itself recorded of its servers, exact and without Prometheus."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from ...errors import LedgerUnavailable, SessionLogUnavailable
from ...quotas.sessions import Prices, SessionExtract, unwatched
from ..client.promql import Users
from ..client.worker import run_in_worker
from ..coverage import ScrapeCoverage, never_covered
from ..timelines import Pieces, timelines
from .base import StepRange, UsageSegment

HEARTBEAT: float = 60.0
"""The seconds within which a Hub says that it still watches its servers, unless configured."""
NO_PRICES: Final[Mapping[str, Prices]] = MappingProxyType({})


class SessionRecords(Protocol):
    """Where the sessions of Hubs are recorded."""

    @property
    def shown(self) -> str:
        """Where that is, without secrets."""
        ...

    async def between(
        self, hub: str, users: Collection[str] | None, start: float, end: float
    ) -> SessionExtract:
        """What there is of a Hub in `(start, end]`: of these users, or of all for None. Raises
        `LedgerUnavailable`.
        """
        ...


@dataclass(frozen=True)
class SessionLog:
    """The sessions of the Hub that is called `namespace`, as they are recorded.

    It was there where the Hub watched its servers. A server that outlives its Hub goes on counting,
    once that has found it again. What was launched before there were prices costs what it would at
    the `fixed` ones, by resource.
    """

    namespace: str
    records: SessionRecords
    fixed: Mapping[str, Prices] = field(default_factory=lambda: NO_PRICES, hash=False)
    name: str = field(default="the session log", init=False)
    requests_metric: str = field(default="", init=False)
    resource: str = field(default="", init=False)

    @property
    def identity(self) -> str:
        """See `DescribedSource.identity`."""
        prices = f", {dict(self.fixed)!r}" if self.fixed else ""
        return f"SessionLog({self.namespace!r}, {self.records.shown!r}{prices})"

    def until(self, now: datetime) -> datetime:
        """See `Source.until`."""
        return now

    async def read(self, users: Users, steps: StepRange) -> UsageSegment:
        """See `Source.read`."""
        extract = await self._between(users, steps)
        return await run_in_worker(segment_of, extract, steps, self.fixed)

    async def was_there(self, steps: StepRange) -> bool:
        """See `Source.was_there`."""
        return bool((await self._between((), steps)).watches)

    async def _between(self, users: Users, steps: StepRange) -> SessionExtract:
        names = None if users is None else set(users)
        try:
            return await self.records.between(self.namespace, names, *steps.span)
        except LedgerUnavailable as error:
            raise SessionLogUnavailable(str(error)) from None


def segment_of(
    extract: SessionExtract, steps: StepRange, fixed: Mapping[str, Prices] = NO_PRICES
) -> UsageSegment:
    """What sessions and watches say of a span of time."""
    start, end = steps.span
    pieces: Pieces = {}
    for session in extract.sessions:
        by_key = pieces.setdefault(session.username, {})
        for resource, rate in session.rates_at(fixed).items():
            runs = by_key.setdefault((resource, session.server), [])
            runs.append((session.started, session.until, rate))
    return UsageSegment(
        timelines(pieces, start, end),
        _coverage(extract, start, end),
        samples=sum(len(one.rates) for one in extract.sessions),
    )


def _coverage(extract: SessionExtract, start: float, end: float) -> ScrapeCoverage:
    watches = [one for one in extract.watches if one.started < end and one.seen > start]
    if not watches:
        return never_covered(start, end, "")
    last = min(max(one.seen for one in watches), end)
    return ScrapeCoverage(start, end, unwatched(watches, start, end), last, HEARTBEAT)
