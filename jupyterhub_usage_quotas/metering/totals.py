"""Running totals of what users used, and of whom anything is new since they were last looked at.

Both are for what looks at everybody every minute: what has not changed costs it next to nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from ..quotas.amounts import Amounts, RunTotals, bought, together
from ..quotas.policy.policy import PolicySet
from ..quotas.policy.selector import ALL_SERVERS, ServerSelector
from ..quotas.resources import BY_RUNNING
from .coverage import Span
from .meter import Meter
from .snapshot import UsageSnapshot
from .timelines import Kept, Key, packed_of, parts_of

NOTHING = RunTotals(packed_of(()))


@dataclass(slots=True)
class UserTotals:
    """One user's, by resource and server."""

    of_keys: dict[Key, RunTotals] = field(default_factory=dict)
    seen: list[Kept[float] | None] = field(default_factory=list)
    """Of each source, what the totals are of."""
    _selected: dict[tuple[str, ServerSelector], Amounts] = field(default_factory=dict)

    def update(self, kept: list[Kept[float] | None]) -> None:
        """Let this be what was used, of each source."""
        there: set[Key] = set()
        for of_source in kept:
            for key, timeline in parts_of(of_source) if of_source else ():
                there.add(key)
                if (known := self.of_keys.get(key)) is not None:
                    known.update(timeline.packed)
                else:
                    self.of_keys[key] = RunTotals(timeline.packed)
                    self._selected.clear()
        for key in self.of_keys.keys() - there:
            del self.of_keys[key]
            self._selected.clear()
        self.seen = kept

    def amounts(self, resource: str, servers: ServerSelector, policies: PolicySet) -> Amounts:
        """What selected servers used of a resource, or of what it is the price of."""
        found = self._selected.get((resource, servers))
        if found is None:
            if policies.bought(resource):
                prices = policies.prices_of(resource)
                found = bought({one: self._measured(one, servers) for one in prices}, prices)
            else:
                found = self._measured(resource, servers)
            self._selected[resource, servers] = found
        return found

    def _measured(self, resource: str, servers: ServerSelector) -> Amounts:
        parts = [
            totals
            for (of, server), totals in self.of_keys.items()
            if of == resource and (servers == ALL_SERVERS or servers.selects(server))
        ]
        return together(parts) if parts else NOTHING

    @property
    def end(self) -> float:
        """When the user used anything last (Unix seconds)."""
        return max((one.end for one in self.of_keys.values()), default=float("-inf"))


@dataclass(frozen=True, slots=True)
class News:
    """Of whom anything is new: all users where `everybody`, else those `of`.

    `until` is the instant up to which all that is read of usage over time is Fresh; None where not
    all of it is.
    """

    everybody: bool
    of: Collection[str] = frozenset()
    until: float | None = None


class Totals:
    """The running totals of some users of a meter: of those who were looked at since usage was
    refreshed twice. Others are worked out when they are needed.
    """

    def __init__(self, meter: Meter, policies: PolicySet) -> None:
        self._meter = meter
        self._reach = policies.reach
        self._before: list[UsageSnapshot] = []
        self._counting: list[UsageSnapshot] = []
        """Those whose usage counts: of several that have what servers ask for, the last."""
        self._sign: object = None
        self._now: datetime | None = None
        self._users: dict[str, UserTotals] = {}

    def news(self, now: datetime) -> News:
        """What is new since this was last called."""
        over, snapshots = self._reach, list(self._meter.snapshots)
        sign = self._meter.kinds_of_readings(over, now)
        back = self._now is not None and now < self._now
        before = self._before
        usual = [one for one in snapshots if not one.source.resource][:-1]
        counting = [one for one in snapshots if not any(one is other for other in usual)]
        until = min((_known_until(one) for one in snapshots), default=None)
        whole = any(not one.source.resource for one in snapshots)
        fresh = until if whole and self._meter.is_usage_fresh(over, now) else None
        everybody, users = back or sign != self._sign or len(before) != len(snapshots), set[str]()
        if not everybody:
            for earlier, later in zip(before, snapshots, strict=True):
                users |= _changed(earlier, later)
        # Only now: what could not be worked out is new still, for the next time.
        self._before, self._counting, self._sign, self._now = snapshots, counting, sign, now
        if everybody:
            self._users.clear()
        return News(everybody=everybody, of=users, until=fresh)

    def is_measured(self, user: str, now: datetime) -> bool:
        """Whether what the user's servers asked for is known of all of them."""
        start = now.timestamp() - self._reach.total_seconds()
        return not any(one.unmeasured and one.not_measured(user, start) for one in self._counting)

    def of(self, user: str, *, keep: bool) -> UserTotals:
        """A user's, up to date; they are kept for the next time, or not."""
        kept = [one.usage.get(user) for one in self._counting]
        known = self._users.get(user) or UserTotals()
        if known.seen != kept:
            known.update(kept)
        if keep:
            self._users[user] = known
        else:
            self._users.pop(user, None)
        return known


def _known_until(snapshot: UsageSnapshot) -> float:
    return min(snapshot.coverage.last_scrape or float("-inf"), snapshot.coverage.end)


def _changed(before: UsageSnapshot, after: UsageSnapshot) -> set[str]:
    """The users of whom a later snapshot of a source says something else."""
    if after is before:
        return set()
    old = before.usage
    users = {
        user
        for user, kept in after.usage.items()
        if (was := old.get(user)) is not kept and was != kept
    }
    users |= old.keys() - after.usage.keys()
    since = _first_change(before.unmeasured, after.unmeasured)
    if since is not None:
        users |= {user for user, kept in after.usage.items() if _ran_after(kept, since)}
    return users


def _first_change(before: Collection[Span], after: Collection[Span]) -> float | None:
    """From when on more spans are not measured than before; that they are forgotten in time is no
    change. (Of whom usage was not known is looked at anyway.)
    """
    starts = {end: start for start, end in before}
    return min((start for start, end in after if start < starts.get(end, end)), default=None)


def _ran_after(kept: Kept[float], since: float) -> bool:
    return any(
        timeline.end > since for (resource, _), timeline in parts_of(kept) if resource in BY_RUNNING
    )
