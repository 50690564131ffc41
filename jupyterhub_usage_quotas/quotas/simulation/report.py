"""A simulation as a model for JSON: for `simulate --json`.

Amounts are in the unit of each policy's limit; times are ISO 8601 in UTC. Keys are only ever added.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from ..policy.selector import ServerAttributes
from ..serialize import Instant, Model, NotNegative, Share
from ..units import Unit
from ..windows.base import from_unix
from .choosing import Choice, Distribution, Shares, choice_of
from .course import Span
from .results import GroupPast, PolicyPast, Simulation, UserPast

PERIODS = 60
"""As many periods of a calendar are reported: the last ones."""
HOUR = 3600.0


class DistributionReport(Model):
    """How large amounts are, of those above zero."""

    count: int = Field(description="the number of amounts")
    median: NotNegative = Field(description="half of the amounts are at most this one")
    p95: NotNegative = Field(description="95 in 100 of them are at most this one (nearest rank)")
    p99: NotNegative
    largest: NotNegative

    @classmethod
    def of(cls, amounts: Iterable[float], unit: Unit) -> DistributionReport | None:
        """The model of some amounts in base units."""
        found = Distribution.of(amounts)
        if found is None:
            return None
        several = (found.median, found.p95, found.p99, found.largest)
        median, p95, p99, largest = (amount / unit.factor for amount in several)
        return cls(count=found.count, median=median, p95=p95, p99=p99, largest=largest)


class PeriodReport(Model):
    """What counted in one period of a calendar."""

    start: Instant
    end: Instant
    whole: bool = Field(description="whether all of the period was simulated")
    usage: DistributionReport | None


class SharesReport(Model):
    """What a limit would have denied."""

    limit: NotNegative
    users: Share = Field(description="the share of active users with a launch that it denies")
    launches: Share = Field(description="the share of launches that it denies")


class PolicyReport(Model):
    """What would have become of the users whose limit is this policy's."""

    policy: str = Field(description="its name; where limits are summed, all of them, with ` + `")
    resource: str
    window: str = Field(description="for example `7 days`")
    limit: NotNegative = Field(description="without adjustments")
    unit: str = Field(description="the unit of the limit, in which all amounts are")
    when_exhausted: str = Field(description="`deny`, `stop` or `warn`")
    shared: bool = Field(description="whether all members draw on one allowance")
    users: int = Field(description="users whose limit it is")
    users_unknown: int = Field(description="those of them whose usage is not known")
    users_active: int = Field(description="those who used anything, or started a server")
    users_over: int = Field(description="those who used it up")
    users_denied: int = Field(description="those with a launch that it would have denied")
    launches: int = Field(description="launches of servers that the policy is about")
    launches_denied: int = Field(description="those that it would have denied")
    launches_warned: int = Field(description="those with a warning, where it only warns")
    servers_stopped: int = Field(description="servers that it would have stopped")
    hours_over: NotNegative = Field(description="for how long it was used up, all users together")
    usage: DistributionReport | None = Field(
        description="by user, the most that counted at any time; of a calendar, in any period"
    )
    usage_at_end: DistributionReport | None = Field(description="by user, what counts at the end")
    periods: tuple[PeriodReport, ...] = Field(
        description=f"by period of a calendar, the last {PERIODS}; empty for other windows"
    )
    at_limit: SharesReport | None = Field(
        description="what the limit denies without adjustments; null where that cannot be said"
    )
    suggested: SharesReport | None = Field(
        description="the smallest round limit that denies at most the chosen share of the active"
        " users anything; null where any limit does, or that cannot be said"
    )
    curve: tuple[SharesReport, ...] = Field(description="what other limits deny")


class GroupReport(Model):
    """What would have become of some users."""

    group: str | None = Field(description="null for all users")
    users: int
    users_active: int = Field(description="those who started a server")
    users_denied: int
    launches: int
    launches_denied: int
    servers_stopped: int
    hours_denied: NotNegative = Field(
        description="for how long launches would have been denied, all users together"
    )

    @classmethod
    def of(cls, group: GroupPast) -> GroupReport:
        """The model of a group."""
        return cls(
            group=group.group or None,
            users=group.users,
            users_active=group.active,
            users_denied=group.denied_users,
            launches=group.launches,
            launches_denied=group.denied,
            servers_stopped=group.stopped,
            hours_denied=group.seconds_denied / HOUR,
        )


class ServerReport(Model):
    """A server of a user."""

    at: Instant
    server: str = Field(description="its name; empty for the default server")
    profile: str = Field(description="the display name of its profile, or its slug")
    policy: str = Field(description="because of which policy")


class DeniedReport(ServerReport):
    """A launch that would have been denied."""

    retry_time: Instant | None = Field(
        description="until when, as the user would have been told; null for never"
    )


class StoppedReport(ServerReport):
    """A server that would have been stopped, without any time of grace."""

    ran_on_seconds: NotNegative = Field(description="for how long it ran after that")


class SpanReport(Model):
    """A time in which nothing remained of a policy."""

    policy: str
    start: Instant
    end: Instant


class UserReport(Model):
    """What would have become of one user."""

    user: str
    groups: tuple[str, ...]
    launches: int
    launches_uncertain: int = Field(
        description="launches that were not denied, though not all that counted then is known"
    )
    denied: tuple[DeniedReport, ...]
    stopped: tuple[StoppedReport, ...]
    over: tuple[SpanReport, ...]
    hours_denied: NotNegative
    unknown: dict[str, str] = Field(description="why usage is not known, by policy")


class SimulationReport(Model):
    """What `simulate --json` prints."""

    assumes: Literal["usage as it was", "without what was denied"] = Field(
        description="whether what a denied launch used is taken away"
    )
    asked_from: Instant = Field(description="from when on was asked for")
    start: Instant = Field(description="from when on was simulated")
    end: Instant = Field(description="until when usage is known, and was simulated")
    known_from: Instant = Field(description="from when on usage is known; missing is not zero")
    missing_hours: NotNegative = Field(
        description="for how long after that it is not known, because the source was not scraped"
    )
    share: Share = Field(description="the chosen share of users for suggestions")
    everybody: GroupReport
    groups: tuple[GroupReport, ...] = Field(description="users in two groups count in both")
    policies: tuple[PolicyReport, ...]
    users: tuple[UserReport, ...] = Field(
        description="those with anything to say of, the most denied launches first"
    )
    not_simulated: tuple[str, ...] = Field(
        description="policies on what is there now: what was there before is not known"
    )


def simulation_report(simulation: Simulation, share: float) -> SimulationReport:
    """What `simulate --json` prints of a simulation."""
    past = simulation.past
    order = [*simulation.hit]
    return SimulationReport(
        assumes="without what was denied" if simulation.without_denied else "usage as it was",
        asked_from=past.asked_from or past.start,
        start=past.start,
        end=past.end,
        known_from=past.known_from,
        missing_hours=past.seconds_missing / HOUR,
        share=share,
        everybody=GroupReport.of(simulation.everybody),
        groups=tuple(GroupReport.of(one) for one in simulation.groups),
        policies=tuple(policy_report(one, share, simulation) for one in simulation.policies),
        users=tuple(user_report(one) for one in order),
        not_simulated=tuple(simulation.not_simulated),
    )


def policy_report(policy: PolicyPast, share: float, simulation: Simulation) -> PolicyReport:
    """The model of what became of a policy."""
    allotment, unit = policy.allotment, policy.allotment.limit.unit
    choice = choice_of(policy, share)
    most: Sequence[float] = [*policy.most.values()]
    if policy.periods:
        most = [one for amounts in policy.periods.values() for one in amounts]
    return PolicyReport(
        policy=policy.name,
        resource=allotment.resource,
        window=str(allotment.window),
        limit=allotment.limit.value if math.isfinite(allotment.limit.value) else 0.0,
        unit=unit.symbol,
        when_exhausted=policy.when_exhausted.value,
        shared=allotment.pool is not None,
        users=policy.users,
        users_unknown=policy.unknown,
        users_active=policy.active,
        users_over=len(policy.over_users),
        users_denied=len(policy.denied_users),
        launches=policy.launches,
        launches_denied=policy.denied,
        launches_warned=policy.warned,
        servers_stopped=policy.stopped,
        hours_over=policy.seconds_over / HOUR,
        usage=DistributionReport.of(most, unit),
        usage_at_end=DistributionReport.of(policy.at_end.values(), unit),
        periods=tuple(_periods(policy, simulation)),
        **_choice(choice, unit),
    )


def _periods(policy: PolicyPast, simulation: Simulation) -> list[PeriodReport]:
    past = simulation.past
    return [
        PeriodReport(
            start=begin,
            end=end,
            whole=past.start <= begin and end <= past.end,
            usage=DistributionReport.of(amounts, policy.allotment.limit.unit),
        )
        for (begin, end), amounts in sorted(policy.periods.items())[-PERIODS:]
    ]


def _choice(choice: Choice | None, unit: Unit) -> dict[str, object]:
    def shares(one: Shares | None) -> SharesReport | None:
        if one is None:
            return None
        limit = float(f"{one.limit / unit.factor:.12g}")
        return SharesReport(limit=limit, users=one.users, launches=one.launches)

    return {
        "at_limit": shares(choice.at_limit) if choice else None,
        "suggested": shares(choice.suggested) if choice else None,
        "curve": tuple(map(shares, choice.curve)) if choice else (),
    }


def user_report(user: UserPast) -> UserReport:
    """The model of what became of a user."""
    return UserReport(
        user=user.subject.name,
        groups=tuple(sorted(user.subject.groups)),
        launches=user.launches,
        launches_uncertain=user.uncertain,
        denied=tuple(
            DeniedReport(at=one.at, retry_time=one.retry_time, **_server(one.server, one.policy))
            for one in user.denied
        ),
        stopped=tuple(
            StoppedReport(at=one.at, ran_on_seconds=one.ran_on, **_server(one.server, one.policy))
            for one in user.stopped
        ),
        over=tuple(_span(name, span) for name in sorted(user.over) for span in user.over[name]),
        hours_denied=user.seconds_denied / HOUR,
        unknown=dict(user.unknown),
    )


def _server(server: ServerAttributes, policy: str) -> dict[str, str]:
    profile = server.profile_name or server.profile
    return {"server": server.name, "profile": profile, "policy": policy}


def _span(policy: str, span: Span) -> SpanReport:
    return SpanReport(policy=policy, start=from_unix(span[0]), end=from_unix(span[1]))
