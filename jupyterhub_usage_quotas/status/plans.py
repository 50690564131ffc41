"""Plans: what a user's rows are made of but for what was used. Users of whom the policies say the
same share one; it holds until an allowance changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..quotas.adjustments import Adjustment
from ..quotas.policy.policy import Policy, PolicySet
from ..quotas.policy.selector import ALL_SERVERS, ServerSelector
from ..quotas.resolve import Allotment, resolve
from ..quotas.subject import Subject
from ..quotas.units import Unit
from ..quotas.windows.base import Window

DAY = 86400


@dataclass(frozen=True, slots=True)
class Line:
    """One allotment: its labels, and what is held against its allowance. Where it is `plain`, that
    is what the user's own servers used over time.
    """

    policy: str
    resource: str
    groups: str
    own_groups: tuple[str, ...]
    days: str
    unit: Unit
    window: Window
    servers: ServerSelector
    allowance: float
    plain: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The lines of a user, without those of the `pools` that the user is in, and the instant at
    which an allowance among them changes, if any. Where a pool pays first, they depend on what
    others use: it is `shared`.
    """

    lines: tuple[Line, ...]
    pools: tuple[str, ...]
    until: datetime | None
    shared: bool


class Plans:
    """Makes plans, as of an instant and of what was decided about everyone."""

    def __init__(self, policies: PolicySet) -> None:
        self._policies = policies
        named = (names for one in policies for names in (one.scope.user, one.exempt.user))
        self._named = [names for names in named if names]
        self._common: dict[object, Plan] = {}
        self._gauges = policies.gauges

    def forget(self) -> None:
        """Make all of them anew."""
        self._common.clear()

    def of(
        self,
        subject: Subject,
        everyone: tuple[Adjustment, ...],
        own: tuple[Adjustment, ...],
        now: datetime,
    ) -> Plan:
        """The plan for a user, by what was decided about everyone and about them."""
        if own or any(names.has(subject.name) for names in self._named):
            return self._make(subject, (*everyone, *own), now)
        key = subject.groups, subject.admin
        plan = self._common.get(key)
        if plan is None or not (plan.until is None or now < plan.until):
            plan = self._common[key] = self._make(subject, everyone, now)
        return plan

    def _make(self, subject: Subject, adjustments: Sequence[Adjustment], now: datetime) -> Plan:
        allotments = resolve(self._policies, subject, adjustments=adjustments, now=now)
        changes = {
            instant for one in adjustments for instant in (one.start, one.until) if instant > now
        }
        first = min(changes, default=None)
        pools = [one.pool for one in allotments if one.pool]
        lines = tuple(
            self._line(one, subject, adjustments, now) for one in allotments if not one.pool
        )
        return Plan(
            lines,
            tuple(one.name for one in pools),
            first,
            any(one.overflow for one in pools),
        )

    def _line(
        self,
        allotment: Allotment,
        subject: Subject,
        adjustments: Sequence[Adjustment],
        now: datetime,
    ) -> Line:
        over_time = allotment.resource not in self._gauges and not allotment.window.exported
        return Line(
            allotment.name,
            allotment.resource,
            groups_of(allotment),
            own_groups_of(allotment, subject),
            days_of(allotment),
            allotment.limit.unit,
            allotment.window,
            allotment.servers,
            allotment.allowance(adjustments, now),
            over_time,
        )


def own_groups_of(allotment: Allotment, subject: Subject) -> tuple[str, ...]:
    """The groups of a user that the policies are for."""
    scopes = [policy.scope.group for policy in allotment.candidates]
    return tuple(sorted(name for name in subject.groups if any(one.has(name) for one in scopes)))


def groups_of(allotment: Allotment) -> str:
    """The groups that the policies are for."""

    def of(policy: Policy) -> Iterator[str]:
        yield from policy.scope.group.exact
        yield from policy.scope.group.globs

    return ",".join(sorted({name for policy in allotment.policies for name in of(policy)}))


def days_of(allotment: Allotment) -> str:
    """The days of a rolling window in which all servers count; empty for others."""
    length, servers = allotment.window.length, allotment.servers
    return f"{length.total_seconds() / DAY:g}" if length and servers == ALL_SERVERS else ""
