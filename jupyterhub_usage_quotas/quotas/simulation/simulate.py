"""The walk: what policies would have done to everybody, by what they used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..adjustments import Adjustment
from ..charge import Charge, PoolAccounts, Readings, charges
from ..decide import Decision, concluded
from ..policy.policy import PolicySet, WhenExhausted
from ..resolve import Allotment, resolve
from ..subject import EVERYONE, Subject
from ..usage import Fresh, Unknown, Usage
from ..verdict import Request, has_room, judge
from ..windows.base import from_unix
from .course import Course, Span, in_any, in_both, seconds
from .launches import Session, sessions_of, without
from .past import Past
from .results import Denied, PolicyPast, Simulation, Stopped, UserPast


def simulate(
    policies: PolicySet,
    past: Past,
    keep_going: Callable[[], None] = lambda: None,
    *,
    without_denied: bool = False,
) -> Simulation:
    """What these policies would have done, usage being as it was; `without_denied`, what launches
    used that they would have denied is taken away, one after the other. That is for policies
    without pools: of those, who was denied changes what is left to others.

    `keep_going` is called before each user; what it raises ends the simulation.
    """
    walk = _Walk(policies, past, without_denied)
    users = []
    for subject in past.subjects:
        keep_going()
        users.append(walk.of(subject))
    gauges = policies.gauges
    left_out = [one.name for one in policies if one.resource in gauges]
    return Simulation(past, users, [*walk.tallies.values()], left_out, without_denied)


@dataclass(frozen=True, eq=False)
class _Held:
    """An allotment of a user over time: what counts, and what is allowed since when."""

    charge: Charge
    course: Course
    allowances: Sequence[tuple[float, float]]
    tally: PolicyPast

    @property
    def allotment(self) -> Allotment:
        return self.charge.allotment

    def allowance(self, at: float) -> float:
        return next(value for since, value in reversed(self.allowances) if since <= at)

    def applies(self, request: Request) -> bool:
        return self.allotment.servers.selects(request.server)

    def known(self, until: float) -> Charge:
        """The charge as it was at an instant, when nobody knew what was to come."""
        reading = self.charge.reading
        if isinstance(reading, Unknown):
            return self.charge
        return replace(self.charge, reading=Fresh(reading.usage.before(until)))


@dataclass(frozen=True, slots=True)
class _Judged:
    """What became of a session's launch; `certain` where all that counted was known."""

    session: Session
    denied: Denied | None
    certain: bool


@dataclass
class _Walk:
    """What is the same for all users, and what is counted of each policy."""

    policies: PolicySet
    past: Past
    without_denied: bool = False
    tallies: dict[str, PolicyPast] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.start, self.end = self.past.start.timestamp(), self.past.end.timestamp()
        self.accounts = PoolAccounts(self.policies, self.past.pools, self.past.adjustments.everyone)
        self.paying_first = {one.measure for one in self.policies if one.overflow}
        self.of_pools: dict[str, Course] = {}
        self.pools_over: dict[str, Sequence[Span]] = {}

    def of(self, subject: Subject) -> UserPast:
        """What would have become of one user."""
        adjustments = self.past.adjustments.of(subject)
        readings = self.past.of(subject)
        sessions = [
            one for one in sessions_of(readings) if one.end > self.start and one.start < self.end
        ]
        began = [one for one in sessions if one.start >= self.start]
        seen = [one for one in began if self.past.saw_begin(one.start)]
        if self.without_denied:
            readings = self._without_denied(subject, readings, seen, adjustments)
        held, unknown = self._held(subject, readings, adjustments)
        over = {one: self._over(one) for one in held}
        for one, spans in over.items():
            self._count(one, subject, spans)
        for name in unknown:
            self.tallies[name].users += 1
            self.tallies[name].unknown += 1
        judged = [self._launch(subject, one, held, adjustments) for one in seen]
        denied = {id(one.session) for one in judged if one.denied}
        denying = _denying(over)
        ran = [one for one in sessions if id(one) not in denied]
        return UserPast(
            subject,
            launches=len(seen),
            unseen=len(began) - len(seen),
            uncertain=sum(1 for one in judged if not one.denied and not one.certain),
            denied=[one.denied for one in judged if one.denied],
            stopped=[stop for one in ran if (stop := self._stop(one, subject, denying, over))],
            over={one.allotment.name: spans for one, spans in over.items() if spans},
            denying=in_any([*denying.values()]),
            unknown=unknown,
        )

    def _without_denied(
        self,
        subject: Subject,
        readings: Readings,
        launches: Sequence[Session],
        adjustments: Sequence[Adjustment],
    ) -> Readings:
        """The readings without what launches used that would have been denied, one after the other:
        what was denied before no longer counts.
        """
        held, _ = self._held(subject, readings, adjustments)
        for one in launches:
            request = one.request(subject)
            lacking = self._lacking(request, one.start, held)
            if not any(each.allotment.denies for each in lacking):
                continue
            if not self._decision(request, one.start, held, adjustments).allowed:
                readings = without(readings, one)
                held, _ = self._held(subject, readings, adjustments)
        return readings

    def _held(
        self, subject: Subject, readings: Readings, adjustments: Sequence[Adjustment]
    ) -> tuple[list[_Held], dict[str, str]]:
        """The user's allotments over time, and why others are not known."""
        gauges = self.policies.gauges
        allotments = [one for one in resolve(self.policies, subject) if one.resource not in gauges]
        held, unknown = [], {}
        for charge in charges(allotments, readings, self.accounts, subject.name):
            allotment = charge.allotment
            tally = self.tallies.setdefault(allotment.name, PolicyPast(allotment))
            chain = allotment.policies[0].measure in self.paying_first
            tally.limit_matters |= chain or self.without_denied
            if isinstance(charge.reading, Unknown):
                unknown[allotment.name] = charge.reading.detail
                continue
            changes = allotment.changes(adjustments, self.past.start)
            allowances = [
                (one.timestamp(), allotment.allowance(adjustments, one))
                for one in [self.past.start, *changes]
            ]
            held.append(
                _Held(charge, self._course(charge, charge.reading.usage), allowances, tally)
            )
        return held, unknown

    def _course(self, charge: Charge, usage: Usage) -> Course:
        """What counted over time; of a pool it is the same for all members."""
        pool = charge.allotment.pool
        if pool and pool.name in self.of_pools:
            return self.of_pools[pool.name]
        course = Course(charge.allotment.window, usage, self.start, self.end)
        if pool:
            self.of_pools[pool.name] = course
        return course

    def _over(self, one: _Held) -> Sequence[Span]:
        """When nothing remained; of a pool it is the same for all members, too."""
        pool = one.allotment.pool
        if pool and pool.name in self.pools_over:
            return self.pools_over[pool.name]
        spans = one.course.over(one.allowances)
        if pool:
            self.pools_over[pool.name] = spans
        return spans

    def _count(self, one: _Held, subject: Subject, spans: Sequence[Span]) -> None:
        """Count what counted, and for how long nothing remained."""
        tally, course, window = one.tally, one.course, one.allotment.window
        tally.users += 1
        if spans:
            tally.over_users.add(subject.name)
            tally.seconds_over += seconds(spans)
        whose = EVERYONE if one.allotment.pool else subject.name
        if whose in tally.most:
            return
        tally.most[whose] = course.most
        tally.at_end[whose] = course.at(self.end)
        for begin, end, most in course.by_period(window):
            tally.periods.setdefault((begin, end), []).append(most)

    def _launch(
        self,
        subject: Subject,
        session: Session,
        held: Sequence[_Held],
        adjustments: Sequence[Adjustment],
    ) -> _Judged:
        """Whether a launch would have been denied: where something seems to be lacking, that is
        decided as in the Hub, by what was known then.
        """
        request, at = session.request(subject), session.start
        certain = True
        for one in held:
            if one.applies(request):
                demand = one.course.at(at) + self._need(one, request)
                one.tally.launches += 1
                one.tally.demands.setdefault(subject.name, []).append(demand)
                certain &= self.past.knows_all(one.allotment.window, at)
        lacking = self._lacking(request, at, held)
        for one in lacking:
            one.tally.warned += not one.allotment.denies
        if not any(one.allotment.denies for one in lacking):
            return _Judged(session, None, certain)
        decision = self._decision(request, at, held, adjustments)
        for verdict in decision.denying:
            tally = self.tallies[verdict.allotment.name]
            tally.denied += 1
            tally.denied_users.add(subject.name)
        return _Judged(session, _denied(decision, session), certain)

    def _need(self, one: _Held, request: Request) -> float:
        allotment = one.allotment
        rate = request.rate(allotment.resource, self.policies)
        return rate * allotment.minimum_session.total_seconds()

    def _lacking(self, request: Request, at: float, held: Sequence[_Held]) -> list[_Held]:
        """Those of which there seems to be too little left for a launch."""
        return [
            one
            for one in held
            if one.applies(request)
            and not has_room(one.allowance(at), one.course.at(at), self._need(one, request))
        ]

    def _decision(
        self,
        request: Request,
        at: float,
        held: Sequence[_Held],
        adjustments: Sequence[Adjustment],
    ) -> Decision:
        now, policies = from_unix(at), self.policies
        verdicts = tuple(judge(one.known(at), policies, adjustments, request, now) for one in held)
        return concluded(policies, verdicts, request, now, adjustments)

    def _stop(
        self,
        session: Session,
        subject: Subject,
        denying: Mapping[object, Sequence[Span]],
        over: Mapping[_Held, Sequence[Span]],
    ) -> Stopped | None:
        """When a server would have been stopped first: as soon as nothing remained."""
        request, first = session.request(subject), None
        for one in over:
            if one.tally.when_exhausted is not WhenExhausted.STOP or not one.applies(request):
                continue
            spans = denying.get(one.charge.alternative, ())
            at = next((begin for begin, _ in spans if session.start < begin < session.end), None)
            if at is not None and (first is None or at < first[0]):
                first = at, one
        if first is None:
            return None
        at, because = first
        because.tally.stopped += 1
        end = min(session.end, self.end)
        return Stopped(from_unix(at), session.server, because.allotment.name, end - at)


def _denied(decision: Decision, session: Session) -> Denied | None:
    if decision.allowed or decision.binding is None:
        return None
    policy = decision.binding.allotment.name
    return Denied(from_unix(session.start), session.server, policy, decision.retry_time)


def _denying(over: Mapping[_Held, Sequence[Span]]) -> dict[object, list[Span]]:
    """When launches would have been denied, by what is an alternative to each other: where all
    pools are used up, and any of the user's own allowances is.
    """
    groups: dict[object, list[_Held]] = {}
    for one in over:
        if one.allotment.denies:
            groups.setdefault(one.charge.alternative, []).append(one)
    found = {}
    for key, group in groups.items():
        own = [over[one] for one in group if not one.allotment.pool]
        ways = [over[one] for one in group if one.allotment.pool] + ([in_any(own)] if own else [])
        spans = [*ways[0]]
        for other in ways[1:]:
            spans = in_both(spans, other)
        found[key] = spans
    return found
