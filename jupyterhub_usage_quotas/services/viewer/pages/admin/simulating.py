"""What the page about the past shows of a simulation: its form, tables and plots, as texts and
numbers. Templates only lay them out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from .....errors import ConfigurationError
from .....quotas.messages import wrong
from .....quotas.phrases import mark
from .....quotas.policy.policy import PolicySet
from .....quotas.serialize import iso
from .....quotas.simulation.report import (
    DistributionReport,
    PolicyReport,
    SharesReport,
    SimulationReport,
    UserReport,
)
from .....quotas.units import Unit
from .....status.language import Language
from ....web.params import Query
from ....web.spreadsheet import as_csv
from ..plots import round_ticks

LONGEST_POLICIES = 8000
"""Characters of policies that are typed: they are a part of the address."""
DAYS_AT_MOST = 90
USERS_SHOWN = 100
WINDOWS: Mapping[str, object] = MappingProxyType(
    {
        "1": 1,
        "7": 7,
        "14": 14,
        "30": 30,
        "day": {"calendar": "day"},
        "week": {"calendar": "week"},
        "month": {"calendar": "month"},
    }
)
WINDOW_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "1": mark("the last 24 hours"),
        "7": mark("the last 7 days"),
        "14": mark("the last 14 days"),
        "30": mark("the last 30 days"),
        "day": mark("a day of the calendar"),
        "week": mark("a week of the calendar"),
        "month": mark("a month of the calendar"),
    }
)
COLUMNS = (
    "user",
    "groups",
    "launches",
    "launches denied",
    "servers stopped",
    "hours denied",
    "first denied at",
    "until",
    "policy",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a visitor wants to try: policies as JSON, or one of a limit, or the configured ones."""

    policies: str = ""
    resource: str = ""
    limit: str = ""
    window: str = "7"
    group: str = ""
    days: int = 30
    share: int = 5

    @classmethod
    def of(cls, query: Query, policies: str) -> Wanted:
        """What a request says; raises `BadParameter`."""
        return cls(
            policies.strip(),
            query.text("resource"),
            query.text("limit").strip(),
            query.choice("window", tuple(WINDOWS), "7"),
            query.text("group"),
            query.number("days", 30, 1, DAYS_AT_MOST),
            query.number("share", 5, 0, 100),
        )

    @property
    def given(self) -> object:
        """The policies as an admin writes them; None for those that are configured. Raises
        `ConfigurationError`.
        """
        if self.policies:
            try:
                return json.loads(self.policies)
            except (ValueError, RecursionError) as error:
                expected = "a list of policies, or an object with policy"
                problem = wrong(f"not JSON ({error})", expected=expected)
                raise ConfigurationError([problem]) from error
        if not self.limit:
            return None
        scope = {"group": [self.group]} if self.group else {"everyone": True}
        return [
            {
                "resource": self.resource,
                "limit": self.limit,
                "window": WINDOWS[self.window],
                "scope": scope,
            }
        ]


@dataclass(frozen=True, slots=True)
class Point:
    """A limit, and the shares that it denies."""

    limit: str
    users: str
    launches: str


@dataclass(frozen=True, slots=True)
class Curve:
    """The plot of denied shares against limits: points of lines in a square of 100 by 100; `limit`
    and `suggested` are distances from its left; `ticks` are round amounts, each with its distance.
    """

    users: str
    launches: str
    limit: float
    suggested: float | None
    unit: str
    ticks: Sequence[tuple[float, str]]
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy: texts, but for numbers of users, launches and servers."""

    policy: str
    title: str
    window: str
    limit: str
    when_exhausted: str
    active: int
    denied_users: int
    launches: int
    denied: int
    stopped: int
    usage: Sequence[str]
    suggested: Point | None
    curve: Curve | None


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user, and the first launch that would have been denied; None where none would."""

    user: str
    groups: Sequence[str]
    launches: int
    denied: int
    stopped: int
    time: str
    first: datetime | None
    until: datetime | None
    policy: str


def resources(policies: PolicySet, language: Language) -> list[tuple[str, str]]:
    """The resources that a limit can be tried for, and their names."""
    gauges = policies.gauges
    return [
        (name, language.gettext(one.display_name))
        for name, one in policies.resources.items()
        if name not in gauges and (not one.bought or policies.prices_of(name))
    ]


def percent(share: float, language: Language) -> str:
    """A share of 0 to 1 in words."""
    number = f"{100 * share:.1f}".removesuffix(".0")
    return f"{language.number(number)} %"


def policy_rows(
    report: SimulationReport, policies: PolicySet, language: Language
) -> list[PolicyRow]:
    """The policies of a simulation."""
    return [_policy(one, policies, language) for one in report.policies]


def _policy(one: PolicyReport, policies: PolicySet, language: Language) -> PolicyRow:
    resource = policies.resources[one.resource]
    unit = resource.unit(one.unit)

    def amount(value: float) -> str:
        return language.amount(value * unit.factor, unit)

    def point(shares: SharesReport) -> Point:
        users, launches = (percent(it, language) for it in (shares.users, shares.launches))
        return Point(amount(shares.limit), users, launches)

    return PolicyRow(
        policy=one.policy,
        title=language.gettext(resource.display_name),
        window=one.window,
        limit=amount(one.limit),
        when_exhausted=one.when_exhausted,
        active=one.users_active,
        denied_users=one.users_denied,
        launches=one.launches,
        denied=one.launches_denied or one.launches_warned,
        stopped=one.servers_stopped,
        usage=[amount(value) for value in _amounts(one.usage)],
        suggested=point(one.suggested) if one.suggested else None,
        curve=_curve(one, unit, [point(it) for it in one.curve], language),
    )


def _amounts(usage: DistributionReport | None) -> Sequence[float]:
    return (usage.median, usage.p95, usage.p99, usage.largest) if usage else ()


def _curve(
    one: PolicyReport, unit: Unit, points: Sequence[Point], language: Language
) -> Curve | None:
    if not one.curve or not one.curve[-1].limit:
        return None
    top = one.curve[-1].limit

    def line(shares: Sequence[float]) -> str:
        places = [100 * it.limit / top for it in one.curve]
        return " ".join(f"{x:.2f},{100 - 100 * y:.2f}" for x, y in zip(places, shares, strict=True))

    return Curve(
        users=line([it.users for it in one.curve]),
        launches=line([it.launches for it in one.curve]),
        limit=100 * one.limit / top,
        suggested=100 * one.suggested.limit / top if one.suggested else None,
        unit=language.unit(one.unit),
        ticks=[
            (100 * place, text) for place, text in round_ticks(top * unit.factor, unit, language)
        ],
        points=points,
    )


def user_rows(report: SimulationReport, language: Language) -> list[UserRow]:
    """The users with a launch that would have been denied, or a server stopped: not too many."""
    hit = [one for one in report.users if one.denied or one.stopped]
    return [_user(one, language) for one in hit[:USERS_SHOWN]]


def _user(one: UserReport, language: Language) -> UserRow:
    first = one.denied[0] if one.denied else None
    return UserRow(
        one.user,
        one.groups,
        one.launches,
        len(one.denied),
        len(one.stopped),
        language.duration(timedelta(hours=one.hours_denied)),
        first.at if first else None,
        first.retry_time if first else None,
        first.policy if first else one.stopped[0].policy,
    )


def users_as_csv(report: SimulationReport) -> str:
    """All users of whom there is anything to say, for a spreadsheet."""
    rows = []
    for one in report.users:
        first = one.denied[0] if one.denied else None
        rows.append(
            (
                one.user,
                ", ".join(one.groups),
                one.launches,
                len(one.denied),
                len(one.stopped),
                one.hours_denied,
                iso(first.at) if first else None,
                iso(first.retry_time) if first else None,
                first.policy if first else None,
            )
        )
    return as_csv(COLUMNS, rows)
