"""Verdicts: the answer of one allotment to a request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..conventions import Reason
from .adjustments import Adjustment
from .charge import Charge
from .policy.policy import PolicySet
from .policy.selector import BY_GPU, BY_PROFILE, ServerAttributes
from .resolve import Allotment
from .resources import BY_RUNNING, has_gpu, may_have_gpu
from .sessions import costing
from .subject import Subject
from .units import LONGEST_DURATION
from .usage import Fresh, Reading, Stale, Unknown, Usage
from .windows.base import from_unix

REQUEST_UNKNOWN = Unknown(
    Reason.REQUEST_UNKNOWN, "what the server requests cannot be read from its spawner's options"
)
ROUNDING = 1e-9
"""The share of an allowance below which a difference is none."""


@dataclass(frozen=True, slots=True)
class Request:
    """The server about to start, and the subject who starts it.

    `rates` is what it uses of each resource per second, in base amounts: bytes of memory, cores,
    GPUs, and what every server uses by running. `choices` are what is chosen in the profile, as
    `marks_of` writes them. Of resources that are `unknown` it may use more than `rates` say; the
    profile may not be known either. By resource, `needs` is how much must remain of it (base units)
    for the launch, whatever the policies' `minimum_session` is.
    """

    subject: Subject
    server_name: str = ""
    profile: str = ""
    rates: Mapping[str, float] = field(default_factory=lambda: BY_RUNNING)
    profile_name: str = ""
    choices: tuple[str, ...] = ()
    unknown: frozenset[str] = frozenset()
    profile_known: bool = True
    needs: Mapping[str, float] = field(default_factory=dict)

    @property
    def server(self) -> ServerAttributes:
        """What selectors can name of the server."""
        gpu = has_gpu(self.rates)
        profile = "/".join((self.profile, *self.choices))
        return ServerAttributes(profile, self.profile_name, self.server_name, gpu)

    @property
    def unknown_attributes(self) -> frozenset[str]:
        """What selectors can name of the server and is not known of it."""
        profile = () if self.profile_known else (BY_PROFILE,)
        return frozenset((*profile, *((BY_GPU,) if may_have_gpu(self.rates, self.unknown) else ())))

    def asking(self, amounts: Mapping[str, float]) -> Request:
        """The same, for a server that asks for these amounts and runs."""
        return replace(self, rates={**amounts, **BY_RUNNING}, unknown=frozenset())

    def rate(self, resource: str, policies: PolicySet) -> float:
        """What it uses of a resource per second, in base units; what is bought, by the prices."""
        if resource in self.rates and not policies.bought(resource):
            return self.rates[resource]
        return costing(self.rates, policies.prices_of(resource))

    def priced(self, policies: PolicySet) -> Request:
        """The same with what it costs of the resources whose prices are fixed at its launch."""
        rates, unknown = dict(self.rates), set(self.unknown)
        for name, prices in policies.fixed_prices.items():
            rates[name] = costing(self.rates, prices)
            if not unknown.isdisjoint(prices):
                unknown.add(name)
        return replace(self, rates=rates, unknown=frozenset(unknown))

    def knows(self, resource: str, policies: PolicySet) -> bool:
        """Whether it is known how much it uses of a resource."""
        of_what = {resource, *policies.prices_of(resource)}
        return self.unknown.isdisjoint(of_what)

    def is_free(self, resource: str) -> bool:
        """Whether it is known that it uses nothing of a resource."""
        return self.needs.get(resource) == 0 and not self.rates.get(resource, 0.0)

    def need(
        self, resource: str, session: timedelta, policies: PolicySet, ran: float = 0.0
    ) -> float:
        """How much of a resource must remain, in base units: for a session of at least this length,
        and what it `needs` anyway; once the server `ran` for so many seconds, the rest of that.
        """
        rate = self.rate(resource, policies)
        needed = max(rate * session.total_seconds(), self.needs.get(resource, 0.0))
        return max(needed - rate * ran, 0.0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One allotment's answer.

    `used`, `remaining` and `fits` are None where usage is not known well enough to say. All
    amounts are in base units. `retry_time` is the earliest instant at which this verdict alone
    would fit, if nothing more is used: None when it fits now, when it never will (`never`), or
    when usage is not known. It `applies` where its policies select the server. `certain` is the
    least that was used, as far as anything is known: all of it where the reading is Fresh.
    """

    allotment: Allotment
    reading: Reading
    need: float
    used: float | None
    remaining: float | None
    fits: bool | None
    retry_time: datetime | None
    allowance: float = 0.0
    applies: bool = True
    alternative: object = None
    certain: Usage | None = None

    @property
    def never(self) -> bool:
        """Whether this launch can never fit: the limit is zero, or less than it needs."""
        return self.fits is False and self.retry_time is None and self.to_free is None

    @property
    def to_free(self) -> float | None:
        """Base units of which more must be freed before it fits; None if freeing does not help."""
        freeing = not self.allotment.window.comes_back and self.allowance > 0
        if self.fits is not False or not freeing or self.used is None:
            return None
        return max(self.used - self.allowance, 0.0)

    @property
    def counts(self) -> bool:
        """Whether a launch may be denied because of it."""
        return self.applies and self.allotment.denies


def judge(
    charge: Charge,
    policies: PolicySet,
    adjustments: Sequence[Adjustment],
    request: Request,
    now: datetime,
) -> Verdict:
    """One verdict on a request at the instant `now`."""
    allotment, reading = charge.allotment, charge.reading
    selected = allotment.servers.selects(request.server, request.unknown_attributes)
    applies = selected and not request.is_free(allotment.resource)
    session = allotment.minimum_session
    need = request.need(allotment.resource, session, policies) if applies else 0.0
    allowance = allotment.allowance(adjustments, now)
    used = remaining = retry_time = None
    # An unlimited allowance needs no reading.
    fits = True if math.isinf(allowance) else None
    usage = _certain(charge)
    if usage is not None:
        known = allotment.window.used(usage, now)
        room = has_room(allowance, known, need)
        if isinstance(reading, Fresh) or not room:
            # Where there is room, more may have been used since usage was known.
            fits = room
        if not room:
            retry_time = earliest(allotment, usage, need, adjustments, now)
        if isinstance(reading, Fresh) or (isinstance(reading, Stale) and not room):
            used, remaining = known, rest(allowance, known)
    if applies and fits and not math.isinf(allowance) and not _is_known(charge, policies, request):
        # The least that it may need has room, and more may not have.
        fits, reading, used, remaining = None, REQUEST_UNKNOWN, None, None
    return Verdict(
        allotment,
        reading,
        need,
        used,
        remaining,
        fits,
        retry_time,
        allowance,
        applies,
        charge.alternative,
        usage,
    )


def _is_known(charge: Charge, policies: PolicySet, request: Request) -> bool:
    """Whether a request says if an allotment is about it, and how much of that it needs."""
    allotment = charge.allotment
    selected_for_sure = not allotment.servers.depends_on(request.unknown_attributes)
    return selected_for_sure and request.knows(allotment.resource, policies)


def _certain(charge: Charge) -> Usage | None:
    """The least that was used, as far as anything is known; None where nothing can be said.

    Usage over time only grows: what was known of it a while ago is the least that it can be. What
    is there now may have become less, and nothing at all is the least of everything. Where the
    limit is read with the usage, it is as old.
    """
    window, reading = charge.allotment.window, charge.reading
    if isinstance(reading, Fresh):
        return reading.usage
    if window.exported:
        return None
    if isinstance(reading, Stale) and window.comes_back:
        return reading.usage
    return Usage((), from_unix(0))


def has_room(allowance: float, used: float, need: float) -> bool:
    """The rule: something must remain, and at least what the launch needs."""
    if math.isinf(allowance):
        return True
    remaining = rest(allowance, used)
    return remaining > 0 and remaining >= need - allowance * ROUNDING


def rest(allowance: float, used: float) -> float:
    """What remains of an allowance.

    A difference below `ROUNDING` of it is none: it comes from adding fractions, and must not
    make the same usage fit in one process and not in another.
    """
    remaining = allowance - used
    return 0.0 if abs(remaining) <= allowance * ROUNDING < math.inf else remaining


def earliest(
    allotment: Allotment,
    usage: Usage,
    need: float,
    adjustments: Sequence[Adjustment],
    after: datetime,
) -> datetime | None:
    """The first whole minute from `after` on at which an allotment has room, if nothing more is
    used: under each allowance that is going to be in force, as long as it is. None, never, where
    that is beyond the horizon.
    """
    begin, horizon = after, after + LONGEST_DURATION
    changes = (one for one in allotment.changes(adjustments, after) if one <= horizon)
    for end in [*changes, None]:
        allowance = allotment.allowance(adjustments, begin)

        def enough(used: float, allowance: float = allowance) -> bool:
            return has_room(allowance, used, need)

        found = allotment.window.earliest(usage, enough, begin)
        if found is not None and (end is None or found < end):
            return found if found <= horizon else None
        begin = end or begin
    return None
