"""What became of users and of policies on the past, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..policy.policy import WhenExhausted
from ..policy.selector import ServerAttributes
from ..resolve import Allotment
from ..subject import EVERYONE, Subject
from .course import Span, seconds
from .past import Past


@dataclass(frozen=True, slots=True)
class Denied:
    """A launch that would have been denied: by which of the policies, and until when, as the user
    would have been told; None where waiting alone would never have helped.
    """

    at: datetime
    server: ServerAttributes
    policy: str
    retry_time: datetime | None


@dataclass(frozen=True, slots=True)
class Stopped:
    """A server that would have been stopped, because of which policy; `ran_on` is for how many
    seconds it ran after that.
    """

    at: datetime
    server: ServerAttributes
    policy: str
    ran_on: float


@dataclass(frozen=True, slots=True)
class UserPast:
    """What would have become of one user.

    Of the `launches`, `uncertain` are those that were not denied, though not all that counted in
    the windows then is known; what ran after a time in which nothing was seen is `unseen`: it is
    not known when it was launched. `over` are the spans in which nothing remained, by policy;
    `denying` those in which a launch would have been denied. `unknown` says why usage is not known,
    by policy.
    """

    subject: Subject
    launches: int = 0
    unseen: int = 0
    uncertain: int = 0
    denied: Sequence[Denied] = ()
    stopped: Sequence[Stopped] = ()
    over: Mapping[str, Sequence[Span]] = field(default_factory=dict)
    denying: Sequence[Span] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds_denied(self) -> float:
        """For how long launches would have been denied."""
        return seconds(self.denying)


@dataclass(slots=True)
class PolicyPast:
    """What would have become of those whose limit is this policy's, while it is counted.

    `most` has the most that counted, by user (of a pool, once); `at_end` what counted at last; and
    `periods` the most in each period of a calendar, by when the period begins and ends. `demands`
    are, by user, what each launch needs the limit to be above. The `limit_matters` for
    what counts where a pool that pays first and its members' own allowances divide what is used,
    and where what was denied is taken away.
    """

    allotment: Allotment
    limit_matters: bool = False
    users: int = 0
    launches: int = 0
    denied: int = 0
    warned: int = 0
    stopped: int = 0
    seconds_over: float = 0.0
    over_users: set[str] = field(default_factory=set)
    denied_users: set[str] = field(default_factory=set)
    unknown: int = 0
    most: dict[str, float] = field(default_factory=dict)
    at_end: dict[str, float] = field(default_factory=dict)
    periods: dict[tuple[datetime, datetime], list[float]] = field(default_factory=dict)
    demands: dict[str, list[float]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the policy; of several whose limits are summed, their names."""
        return self.allotment.name

    @property
    def when_exhausted(self) -> WhenExhausted:
        """What happens when nothing remains."""
        every = {one.when_exhausted for one in self.allotment.policies}
        stops = WhenExhausted.STOP
        return stops if stops in every else self.allotment.policies[0].when_exhausted

    @property
    def active(self) -> int:
        """How many of the users used anything, or started a server; of a pool, only the latter."""
        used = [name for name, most in self.most.items() if name != EVERYONE and most > 0]
        return len({*self.demands, *used})


@dataclass(frozen=True, slots=True)
class GroupPast:
    """What would have become of the members of a group; without a name, of all users."""

    group: str
    users: int
    active: int
    launches: int
    denied: int
    denied_users: int
    stopped: int
    seconds_denied: float


@dataclass(frozen=True, slots=True)
class Simulation:
    """What would have become of everybody, by user, by policy and by group."""

    past: Past
    users: Sequence[UserPast]
    policies: Sequence[PolicyPast]
    not_simulated: Sequence[str] = ()
    """The policies on what is there now: what was there before is not known."""
    without_denied: bool = False
    """Whether what denied launches used was taken away."""

    @property
    def everybody(self) -> GroupPast:
        """All users together."""
        return _group("", self.users)

    @property
    def groups(self) -> Sequence[GroupPast]:
        """By group, in the order of their names; whoever is in two of them counts in both."""
        members: dict[str, list[UserPast]] = {}
        for one in self.users:
            for group in one.subject.groups:
                members.setdefault(group, []).append(one)
        return [_group(name, members[name]) for name in sorted(members)]

    @property
    def hit(self) -> Sequence[UserPast]:
        """Those who had anything used up, or of whom something is not known: those with the most
        launches that would have been denied first.
        """
        some = [one for one in self.users if one.over or one.denied or one.unknown]
        return sorted(some, key=lambda one: (-len(one.denied), -len(one.stopped), one.subject.name))


def _group(name: str, users: Sequence[UserPast]) -> GroupPast:
    return GroupPast(
        name,
        users=len(users),
        active=sum(1 for one in users if one.launches),
        launches=sum(one.launches for one in users),
        denied=sum(len(one.denied) for one in users),
        denied_users=sum(1 for one in users if one.denied),
        stopped=sum(len(one.stopped) for one in users),
        seconds_denied=sum(one.seconds_denied for one in users),
    )
