"""The usage snapshot of one source: all users' usage as of an instant, and readings of it. Every
reading of a user's usage is made here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain

from ..conventions import Reason
from ..quotas.charge import Readings
from ..quotas.resources import BY_RUNNING
from ..quotas.subject import REST
from ..quotas.units import show_duration
from ..quotas.usage import Fresh, Reading, Stale, Unknown, Usage
from .client.promql import Users
from .coverage import ScrapeCoverage, Span, clipped
from .sources.base import STEP, DescribedSource, UsageSegment
from .timelines import NOTHING_KEPT, Kept, buckets, joined, parts_of, within

REMEMBERED = 512
"""The number of usages that are kept in the form of the rules: those that were read last."""


@dataclass(frozen=True, slots=True)
class UsageSnapshot:
    """All users' usage in `(seen.start, seen.end]`. Immutable; reading more makes another.

    `recent` are the users with usage after `recent_from`: only they are touched when what is
    recent is read again.
    """

    source: DescribedSource
    usage: Mapping[str, Kept[float]]
    coverage: ScrapeCoverage
    unmeasured: tuple[Span, ...]
    recent: frozenset[str]
    recent_from: float
    _prepared: dict[tuple[str, str], Usage] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, source: DescribedSource, segment: UsageSegment) -> UsageSnapshot:
        """What the newest part of all says: known up to the last scrape."""
        users = frozenset(segment.usage)
        coverage, unmeasured = segment.coverage, segment.unmeasured
        first = cls(source, segment.usage, coverage, unmeasured, users, coverage.start)
        return first._until_last_scrape()

    @property
    def start(self) -> datetime:
        """From when on everybody's usage is known."""
        return datetime.fromtimestamp(self.coverage.start, UTC)

    @property
    def end(self) -> datetime:
        """Until when."""
        return datetime.fromtimestamp(self.coverage.end, UTC)

    def reaches(self, over: timedelta, now: datetime) -> bool:
        """Whether it goes back far enough for a reading over the time before `now`."""
        return self.start <= now - over + STEP

    def updated(self, segment: UsageSegment, *, keep: float, newest: bool = True) -> UsageSnapshot:
        """With a newer part, which replaces what was known of its time; what was before the
        instant `keep` may be forgotten.
        """
        start, end = segment.coverage.start, segment.coverage.end
        usage = dict(self.usage)
        touched = {*segment.usage, *(self.recent if start >= self.recent_from else usage)}
        for user in touched:
            before = within(usage.get(user, NOTHING_KEPT), keep, start)
            now = joined(before, segment.usage.get(user, NOTHING_KEPT))
            if now:
                usage[user] = now
            else:
                usage.pop(user, None)
        begin = max(keep, self.coverage.start)
        known = UsageSnapshot(
            self.source,
            usage,
            self.coverage.within(begin, start).then(segment.coverage).within(begin, end),
            clipped(self.unmeasured, keep, start) + segment.unmeasured,
            frozenset(segment.usage),
            start,
            # A copy of the items is made in one step: others may read them meanwhile.
            {key: known for key, known in list(self._prepared.items()) if key[0] not in touched},
        )
        return known._until_last_scrape() if newest else known

    def extended(self, segment: UsageSegment) -> UsageSnapshot:
        """With an older part, which ends where this begins."""
        usage = dict(self.usage)
        for user, earlier in segment.usage.items():
            usage[user] = joined(earlier, usage.get(user, NOTHING_KEPT))
        return replace(
            self,
            usage=usage,
            coverage=segment.coverage.then(self.coverage),
            unmeasured=segment.unmeasured + self.unmeasured,
            _prepared={},
        )

    def forgetting(self, before: float) -> UsageSnapshot:
        """Without what was before an instant, of whomever it was."""
        kept = (
            (user, within(of_user, before, self.coverage.end))
            for user, of_user in self.usage.items()
        )
        return replace(
            self,
            usage={user: of_user for user, of_user in kept if of_user},
            coverage=self.coverage.within(before, self.coverage.end),
            unmeasured=clipped(self.unmeasured, before, self.coverage.end),
            _prepared={},
        )

    def last_used(self) -> datetime | None:
        """When anybody used anything last; None where nobody did. Looks through all there is."""
        ends = (timeline.end for kept in self.usage.values() for _, timeline in parts_of(kept))
        last = max(ends, default=None)
        return None if last is None else datetime.fromtimestamp(last, UTC)

    def amounts(self, start: float, end: float) -> Mapping[tuple[str, str], float]:
        """What was used in `(start, end]`, in base units, by user and resource. Looks through all
        there is.
        """
        amounts: dict[tuple[str, str], float] = {}
        for user, kept in self.usage.items():
            for (resource, _), timeline in parts_of(kept):
                for begin, until, rate in timeline.within(start, end):
                    at = user, resource
                    amounts[at] = amounts.get(at, 0.0) + rate * (until - begin)
        return amounts

    def _until_last_scrape(self) -> UsageSnapshot:
        """What Prometheus shows after the last scrape is what it saw then: it is not known."""
        gap = self.coverage.gap_at(self.coverage.end)
        if gap and gap[0] <= self.recent_from:
            return self  # it was not seen at all recently, and so nothing is shown either
        last = max(self.coverage.last_scrape or 0.0, self.recent_from)
        if last >= self.coverage.end:
            return self
        usage = dict(self.usage)
        for user in self.recent:
            if cut := within(usage[user], self.coverage.start, last):
                usage[user] = cut
            else:
                del usage[user]
        coverage = self.coverage.within(self.coverage.start, last)
        return replace(self, usage=usage, coverage=coverage, recent=self.recent & usage.keys())

    def reading(
        self,
        user: str,
        resource: str,
        over: timedelta,
        now: datetime,
        stale_after: timedelta,
        problem: Unknown | None = None,
    ) -> Reading:
        """A user's reading of a resource over the time before `now`.

        A resource that was not used is zero where the source was seen, else Unknown with the
        reason why. `problem` is why nothing newer is known, where that has a reason.
        """
        asked_from = now.timestamp() - over.total_seconds()
        start = max(asked_from, self.coverage.start)
        last = self.coverage.last_scrape
        if last is None or last <= start:
            return problem or self._never_seen(over)
        if resource not in BY_RUNNING and self.not_measured(user, start):
            metric = self.source.requests_metric
            return Unknown(Reason.METRIC_MISSING, f"{metric} has no series for the pods that ran")
        until = min(last, self.coverage.end)
        usage = self._until(until, user, resource).known(
            datetime.fromtimestamp(until, UTC),
            (until - start - self.coverage.missed(start, until)) / (until - asked_from),
        )
        if now.timestamp() - last <= stale_after.total_seconds():
            return Fresh(usage)
        if problem:
            return Stale(usage, problem.reason, problem.detail)
        done = "scraped" if self.coverage.missing else "written"
        detail = f"{self.source.name} was last {done} at {usage.covered_until:%Y-%m-%d %H:%M} UTC"
        return Stale(usage, Reason.STALE, detail)

    def readings(
        self,
        users: Users,
        resources: Collection[str],
        over: timedelta,
        now: datetime,
        stale_after: timedelta,
        problem: Unknown | None = None,
    ) -> Mapping[str, Readings]:
        """Users' readings of these resources, by username; with None for users those of everybody
        who used anything, and `REST`.
        """
        names: Iterable[str] = chain(self.usage, [REST]) if users is None else users
        return {
            user: {
                resource: self.reading(user, resource, over, now, stale_after, problem)
                for resource in resources
            }
            for user in names
        }

    def _until(self, until: float, user: str, resource: str) -> Usage:
        """Usage up to the last scrape: what Prometheus shows after it, for a while, is what it saw
        then, and must not count beside what the Hub itself knows since.
        """
        usage = self._usage(user, resource)
        if usage.end <= until:
            return usage
        of_user = within(self.usage[user], self.coverage.start, until)
        return Usage(buckets(of_user, resource), datetime.fromtimestamp(until, UTC))

    def _usage(self, user: str, resource: str) -> Usage:
        known = self._prepared.pop((user, resource), None)
        if known is None:
            kept = self.usage.get(user, NOTHING_KEPT)
            known = Usage(buckets(kept, resource), datetime.fromtimestamp(self.coverage.end, UTC))
        # The last entry was read last; the first was not read for longest, and is dropped first.
        self._prepared[user, resource] = known
        if len(self._prepared) > REMEMBERED:
            self._prepared.pop(next(iter(self._prepared)), None)
        return known

    def not_measured(self, user: str, start: float) -> bool:
        """Whether the requests of some server of the user since an instant are not known."""
        ran = [
            timeline
            for (resource, _), timeline in parts_of(self.usage.get(user, NOTHING_KEPT))
            if resource in BY_RUNNING
        ]
        return any(
            timeline.within(max(begin, start), until)
            for begin, until in self.unmeasured
            if until > start
            for timeline in ran
        )

    def _never_seen(self, over: timedelta) -> Unknown:
        if self.source.resource:
            return Unknown(Reason.METRIC_MISSING, f"{self.source.name} has no series at all")
        if not self.coverage.missing:
            detail = f"{self.source.name} has no record within {show_duration(over)}"
            return Unknown(Reason.NOT_SCRAPED, detail)
        where = f' in namespace "{self.source.namespace}"' if self.source.namespace else ""
        return Unknown(
            Reason.NOT_SCRAPED,
            f"{self.source.name} was not scraped: no series of {self.coverage.missing}{where}"
            f" within {show_duration(over)}",
        )
