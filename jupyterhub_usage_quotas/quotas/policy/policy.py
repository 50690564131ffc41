"""Policies and sets of them: what an admin can write, as frozen values.

`parse.py` reads them from a configuration, with every mistake in it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    SkipValidation,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ..messages import not_among, one_of, wrong
from ..resource import Resource
from ..resources import RESOURCES
from ..subject import Subject
from ..units import Quantity, Unit, parse_duration
from ..windows.base import Window
from .limits import no_window, parse_limit, parse_window
from .patterns import not_on_one_line
from .scope import Exempt, Scope
from .selector import ALL_SERVERS, ServerSelector
from .stopping import parse_grace, parse_warnings

NOBODY = Exempt.model_construct()

LONGEST_NAME = 200
"""Characters of a policy's name, which is the value of labels and a part of lines in logs."""

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_LEFT_OUT: Final = object()
"""In place of a window that nobody wrote, for a resource that has none."""


class Intersection(enum.StrEnum):
    """How several policies for the same combination become one limit."""

    MIN = "min"
    MAX = "max"
    SUM = "sum"


class Share(enum.StrEnum):
    """How the allowance is shared: each user has their own, or all members draw on one."""

    INDIVIDUAL = "individual"
    POOLED = "pooled"


class WhenExhausted(enum.StrEnum):
    """What happens when nothing remains."""

    DENY = "deny"
    """Launches are denied."""
    STOP = "stop"
    """Launches are denied, and running servers are stopped, after warnings and a grace."""
    WARN = "warn"
    """Nothing is denied; it is counted and shown."""


class Policy(BaseModel):
    """One rule: so much of a resource, over a window, for a scope.

    Only the servers that `servers` selects count, and only those are denied. `minimum_session`
    is how long a launch must be able to run on what remains. A pool with `overflow` pays first;
    what it cannot pay falls to the members' own allowances.

    A gauge is not used over time: it has no window, and `servers` only says which are denied.

    A server that is going to be stopped is given `grace`, and its user is warned so long before
    nothing remains; None for what the manager's options say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str = ""
    resource: str
    limit: Quantity
    window: SkipValidation[Window]
    scope: Scope
    exempt: Exempt = NOBODY
    servers: ServerSelector = ALL_SERVERS
    share: Share = Share.INDIVIDUAL
    overflow: Share | None = None
    minimum_session: timedelta = timedelta(0)
    when_exhausted: WhenExhausted = WhenExhausted.DENY
    grace: timedelta | None = None
    warn_before: tuple[timedelta, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _has_a_window_or_needs_none(cls, given: object, info: ValidationInfo) -> object:
        if not isinstance(given, dict) or not _is_a_gauge(given.get("resource"), info):
            return given
        # A value in its place has an error of its own.
        return {**given, "window": given.get("window", _LEFT_OUT)}

    @field_validator("name", mode="before")
    @classmethod
    def _name_is_text(cls, value: object) -> object:
        if not isinstance(value, str) or not value.strip():
            raise ValueError(wrong("must be a text that is not empty", value))
        name = value.strip()
        if len(name) > LONGEST_NAME:
            problem = f"name of {len(name)} characters"
            raise ValueError(wrong(problem, value, f"at most {LONGEST_NAME}"))
        if not_on_one_line(name):
            raise ValueError(wrong("name that is not one line of text", value))
        return name

    @field_validator("resource", mode="before")
    @classmethod
    def _resource_is_known(cls, value: object, info: ValidationInfo) -> object:
        known = _resources(info)
        if not isinstance(value, str) or value not in known:
            meant = value if isinstance(value, str) else ""
            raise ValueError(not_among(wrong("unknown resource", value), meant, list(known)))
        return value

    @field_validator("limit", mode="before")
    @classmethod
    def _limit_fits_resource(cls, value: object, info: ValidationInfo) -> Quantity:
        resource = _resources(info).get(info.data.get("resource", ""))
        # An unknown resource has an error of its own; the unit cannot be judged.
        return parse_limit(value, resource) if resource else Quantity(0.0, Unit("", 1.0))

    @field_validator("window", mode="before")
    @classmethod
    def _window_is_one(cls, value: object, info: ValidationInfo) -> object:
        limit = info.data.get("limit")
        if _is_a_gauge(info.data.get("resource"), info):
            if value is not _LEFT_OUT:
                raise ValueError(
                    wrong(
                        f"{info.data['resource']} is what is there now, not what is used over time,"
                        " so it has no window; leave it out",
                        value,
                    )
                )
            return no_window(limit)
        return parse_window(value, limit.unit if limit else None)

    @field_validator("share", "overflow", "when_exhausted", mode="before")
    @classmethod
    def _is_one_of(cls, value: object, info: ValidationInfo) -> object:
        choices: Sequence[str] = {
            "share": tuple(Share),
            "overflow": (Share.INDIVIDUAL,),
            "when_exhausted": tuple(WhenExhausted),
        }[info.field_name or ""]
        if value not in choices:
            raise ValueError(wrong(got=value, expected=one_of(choices)))
        return value

    @field_validator("minimum_session", mode="before")
    @classmethod
    def _session_is_a_duration(cls, value: object) -> timedelta:
        if not isinstance(value, str):
            raise ValueError(wrong("must be a duration", value, 'for example "10 minutes"'))
        return parse_duration(value)

    @field_validator("grace", mode="before")
    @classmethod
    def _grace_is_a_duration(cls, value: object) -> timedelta:
        return parse_grace(value)

    @field_validator("warn_before", mode="before")
    @classmethod
    def _warnings_are_durations(cls, value: object) -> tuple[timedelta, ...]:
        return parse_warnings(value)

    @model_validator(mode="after")
    def _goes_together(self, info: ValidationInfo) -> Policy:
        if self.overflow and self.share is not Share.POOLED:
            raise ValueError("overflow is only for policies with share: pooled")
        for key in ("grace", "warn_before"):
            if getattr(self, key) is not None and not self.stops:
                raise ValueError(f"{key} is only for policies with when_exhausted: stop")
        resource = _resources(info)[self.resource]
        if resource.is_gauge:
            self._is_for_a_gauge()
        elif not resource.by_server and self.servers != ALL_SERVERS:
            raise ValueError(f"servers cannot be selected: {self.resource} is not kept by server")
        if why := self.window.cannot_hold(self.limit.base):
            raise ValueError(why)
        return self

    def _is_for_a_gauge(self) -> None:
        """Refuse what means something over time only."""
        if self.pooled:
            raise ValueError(f"{self.resource} cannot be pooled: every user has their own")
        if self.minimum_session:
            raise ValueError(
                f"minimum_session is not for {self.resource}: a server does not use it by running"
            )
        if self.when_exhausted is WhenExhausted.STOP:
            why = f"when_exhausted: without a server nobody frees any {self.resource}"
            raise ValueError(wrong(why, "stop", one_of(("deny", "warn"))))

    @property
    def pooled(self) -> bool:
        """Whether all users it covers draw on one allowance."""
        return self.share is Share.POOLED

    @property
    def denies(self) -> bool:
        """Whether launches are denied when nothing remains."""
        return self.when_exhausted is not WhenExhausted.WARN

    @property
    def stops(self) -> bool:
        """Whether running servers are stopped when nothing remains."""
        return self.when_exhausted is WhenExhausted.STOP

    @property
    def reach(self) -> timedelta:
        """How much history it needs."""
        return self.window.reach_for(self.limit.base)

    @property
    def for_everybody(self) -> bool:
        """Whether it covers all users."""
        exempt = self.exempt
        return self.scope.everyone and not (exempt.user or exempt.group or exempt.admin)

    def covers(self, subject: Subject) -> bool:
        """Whether a subject is in its scope, and not exempt from it."""
        return self.scope.covers(subject) and not self.exempt.exempts(subject)

    @property
    def measure(self) -> tuple[object, ...]:
        """What a pool that pays first shares with the policies that the rest falls to."""
        return (self.resource, self.window.measure, self.servers)

    @property
    def combination(self) -> tuple[object, ...]:
        """What two policies must share for the intersection strategy to make them one.

        Pools are never combined: each has members of its own.
        """
        own = self.name if self.pooled else None
        return (self.resource, self.window.combination, self.servers, self.denies, own)

    def on_terms(self, limit: float, refill: tuple[float, timedelta] | None) -> Policy:
        """The same with another limit, in base units, and with what comes back in steps."""
        unit = self.limit.unit
        window = self.window.refilled(*refill) if refill else self.window
        return self.model_copy(
            update={"limit": Quantity(limit / unit.factor, unit), "window": window}
        )


def _resources(info: ValidationInfo) -> Mapping[str, Resource]:
    context: Mapping[str, Mapping[str, Resource]] = info.context or {}
    return context.get("resources", RESOURCES)


def _is_a_gauge(resource: object, info: ValidationInfo) -> bool:
    known = _resources(info).get(resource) if isinstance(resource, str) else None
    return known is not None and known.is_gauge


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies of a configuration, and the backup strategy: what happens where no policy covers
    a user (`empty`), where several do (`intersection`), and where usage is not known
    (`failover_open`: the launch is allowed or denied).

    `resources` are those that policies can limit, by name; `prices`, by such a resource, what a
    base unit of others costs of it.
    """

    policies: tuple[Policy, ...] = ()
    empty: tuple[Policy, ...] = ()
    intersection: Intersection = Intersection.MIN
    failover_open: bool = True
    resources: Mapping[str, Resource] = field(default_factory=lambda: RESOURCES)
    prices: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: NOTHING)
    default_names: frozenset[str] = frozenset()
    """The names of policies that the admin gave none: they change with the policies' entries."""

    def __iter__(self) -> Iterator[Policy]:
        yield from self.policies
        yield from self.empty

    @property
    def reach(self) -> timedelta:
        """How much history the longest of their windows needs; zero where there is no policy."""
        return max((policy.reach for policy in self), default=timedelta(0))

    @property
    def all_measured(self) -> frozenset[str]:
        """The resources whose usage must be read for all of these policies."""
        return frozenset().union(*(self.measured(policy.resource) for policy in self))

    def of_gauges(self) -> PolicySet:
        """Only the policies on what is there now, which is not used over time."""
        gauges = self.gauges
        return replace(
            self,
            policies=tuple(one for one in self.policies if one.resource in gauges),
            empty=tuple(one for one in self.empty if one.resource in gauges),
        )

    @property
    def measured_over_time(self) -> frozenset[str]:
        """Those of them that are used over time: without gauges."""
        return self.all_measured - self.gauges

    @property
    def gauges(self) -> frozenset[str]:
        """The limited resources that are gauges."""
        return frozenset(one.name for one in self.resources.values() if one.is_gauge)

    def measured(self, resource: str) -> frozenset[str]:
        """The resources whose usage must be read to know that of `resource`."""
        prices = self.prices_of(resource)
        return frozenset(prices) if self.bought(resource) else frozenset({resource})

    def prices_of(self, resource: str) -> Mapping[str, float]:
        """What a base unit of others costs of a resource; empty where it is no price."""
        return self.prices.get(resource, NOTHING)

    @property
    def fixed_prices(self) -> Mapping[str, Mapping[str, float]]:
        """The prices of what is worked out once, when a server is launched."""
        return {name: one for name, one in self.prices.items() if one and not self.bought(name)}

    def bought(self, resource: str) -> bool:
        """Whether a resource is bought: the price of others."""
        known = self.resources.get(resource)
        return known is not None and known.bought
