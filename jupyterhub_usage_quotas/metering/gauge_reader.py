"""The reader of a gauge: what is there now, of users who are named."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from ..conventions import Reason
from ..quotas.charge import Readings
from ..quotas.usage import Fresh, Reading, Stale, Unknown
from ..quotas.windows.gauge import GaugeReading
from .client.breaker import Guard
from .client.prometheus import PrometheusClient
from .client.promql import Users
from .readers import Timing, all_unknown
from .sources.base import GaugeSource, GaugeValue


class GaugeReader:
    """A gauge. It is `kept` up to date, or queried when it is needed."""

    over_time = False

    def __init__(
        self,
        prometheus: PrometheusClient,
        source: GaugeSource,
        guard: Guard,
        timing: Timing,
        *,
        kept: bool = True,
    ) -> None:
        self.source = source
        self.problem: Unknown | None = None
        self.values: Mapping[str, GaugeValue] | None = None
        """The last values, by key; None where they were never read."""
        self.kept = kept
        self._prometheus = prometheus
        self.guard = guard
        self._timing = timing

    @property
    def name(self) -> str:
        """See `Reader.name`."""
        return self.source.name

    @property
    def resource(self) -> str:
        """See `Reader.resource`."""
        return self.source.resource

    def unmatched(self, users: Iterable[str]) -> Collection[str]:
        """The keys that match none of these users."""
        left = set(self.values or ())
        for user in users:
            with suppress(UnicodeError):
                left.discard(self.source.key_of(user))
        return left

    def reaches(self, over: timedelta, now: datetime) -> bool:  # noqa: ARG002 it has no history
        """See `Reader.reaches`."""
        return self.values is not None

    def is_fresh(self, over: timedelta, now: datetime) -> bool:  # noqa: ARG002 see `known_of`
        """See `Reader.is_fresh`."""
        return bool(self.values)

    def known_of(self, user: str, now: datetime) -> object:
        """What is known of a user, to be compared: it is equal for as long as what is there is."""
        reading = self._reading(self.values or {}, user, now, None)
        if isinstance(reading, Unknown):
            return reading.reason
        there = reading.usage
        assert isinstance(there, GaugeReading)  # noqa: S101 it was made so
        return isinstance(reading, Fresh), there.there, there.amount, there.limit

    def peek(
        self,
        users: Users,
        resources: Collection[str],
        over: timedelta,  # noqa: ARG002 it has no history
        now: datetime,
    ) -> Mapping[str, Readings]:
        """See `Reader.peek`; of users who are named only."""
        if self.values is None:
            not_yet = Unknown(Reason.NOT_READ_YET, f"{self.name} is still being read")
            return all_unknown(users or (), resources, self.problem or not_yet)
        return self._readings(self.values, users, now, self.problem)

    async def ask(
        self,
        users: Users,
        resources: Collection[str],
        over: timedelta,  # noqa: ARG002 it has no history
        now: datetime,
    ) -> Mapping[str, Readings]:
        """See `Reader.ask`; of users who are named only."""
        values = await self.guard(lambda: self._read(now), self._timing.deadline)
        if isinstance(values, Unknown):
            return all_unknown(users or (), resources, values)
        return self._readings(values, users, now, None)

    async def refresh(self, reach: timedelta, now: datetime) -> None:  # noqa: ARG002 see `reaches`
        """See `Reader.refresh`; what was known stays known if that fails."""
        values = await self._read(now)
        # What was reported and is not any more is not known, rather than not there.
        self.values = values if values or not self.values else self.values

    async def extend(self, now: datetime) -> None:
        """See `Reader.extend`: nothing came before."""

    def complete(self, now: datetime) -> bool:  # noqa: ARG002 see `extend`
        """See `Reader.complete`."""
        return True

    async def _read(self, now: datetime) -> Mapping[str, GaugeValue]:
        return await self.source.read(self._prometheus, now, self._timing.stale_after)

    def _readings(
        self,
        values: Mapping[str, GaugeValue],
        users: Users,
        now: datetime,
        problem: Unknown | None,
    ) -> Mapping[str, Readings]:
        return {
            user: {self.resource: self._reading(values, user, now, problem)} for user in users or ()
        }

    def _reading(
        self, values: Mapping[str, GaugeValue], user: str, now: datetime, problem: Unknown | None
    ) -> Reading:
        """A user's reading: of a `GaugeReading`, or Unknown.

        A key that is not there is empty where its exporter is known to be scraped, else Unknown.
        `problem` is why nothing newer is known, where that has a reason.
        """
        try:
            key = self.source.key_of(user)
        except UnicodeError:
            return Unknown(Reason.BAD_USERNAME, f"{user!r} is not valid Unicode text")
        if not values:
            return problem or Unknown(Reason.NOT_SCRAPED, self.source.missing)
        value = values.get(key)
        last = max(one.measured for one in values.values())
        measured = datetime.fromtimestamp(value.measured if value else last, UTC)
        there = (
            GaugeReading((), measured, None, amount=value.amount, limit=value.limit)
            if value
            else GaugeReading((), measured, None, there=False)
        )
        if now - measured <= self._timing.stale_after:
            return Fresh(there)
        if problem:
            return Stale(there, problem.reason, problem.detail)
        detail = f"{self.name} was last scraped at {measured:%Y-%m-%d %H:%M} UTC"
        return Stale(there, Reason.STALE, detail)
