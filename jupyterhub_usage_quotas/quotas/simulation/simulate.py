"""The walk: what policies would have done to everybody, by what they used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..adjustments import Adjustment
from ..charge import Charge, PoolAccounts, charges
from ..decide import Decision, concluded
from ..policy.policy import PolicySet, WhenExhausted
from ..resolve import Allotment, resolve
from ..subject import EVERYONE, Subject
from ..usage import Fresh, Unknown, Usage
from ..verdict import Request, has_room, judge
from ..windows.base import from_unix
from .course import Course, Span, in_any, in_both, seconds
from .launches import Session, sessions_of
from .past import Past
from .results import Denied, PolicyPast, Simulation, Stopped, UserPast


def simulate(
    policies: PolicySet, past: Past, keep_going: Callable[[], None] = lambda: None
) -> Simulation:
    """What these policies would have done, usage being as it was.

    `keep_going` is called before each user; what it raises ends the simulation.
    """
    walk = _Walk(policies, past)
    users = []
    for subject in past.subjects:
        keep_going()
        users.append(walk.of(subject))
    gauges = policies.gauges
    left_out = [one.name for one in policies if one.resource in gauges]
    return Simulation(past, users, [*walk.tallies.values()], left_out)


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
        held, unknown = self._held(subject, adjustments)
        over = {one: self._over(one) for one in held}
        for one, spans in over.items():
            self._count(one, subject, spans)
        sessions = [
            one
            for one in sessions_of(self.past.of(subject))
            if one.end > self.start and one.start < self.end
        ]
        began = [one for one in sessions if one.start >= self.start]
        seen = [one for one in began if self.past.saw_begin(one.start)]
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

    def _held(
        self, subject: Subject, adjustments: Sequence[Adjustment]
    ) -> tuple[list[_Held], dict[str, str]]:
        """The user's allotments over time, and why others are not known."""
        gauges = self.policies.gauges
        allotments = [one for one in resolve(self.policies, subject) if one.resource not in gauges]
        readings = self.past.of(subject)
        held, unknown = [], {}
        for charge in charges(allotments, readings, self.accounts, subject.name):
            allotment = charge.allotment
            tally = self.tallies.setdefault(allotment.name, PolicyPast(allotment))
            tally.users += 1
            tally.of_chain |= allotment.policies[0].measure in self.paying_first
            if isinstance(charge.reading, Unknown):
                tally.unknown += 1
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
        lacking, certain = [], True
        for one in held:
            if not one.applies(request):
                continue
            allotment = one.allotment
            rate = request.rate(allotment.resource, self.policies)
            need = rate * allotment.minimum_session.total_seconds()
            used = one.course.at(at)
            one.tally.launches += 1
            one.tally.demands.setdefault(subject.name, []).append(used + need)
            if not has_room(one.allowance(at), used, need):
                lacking.append(one)
            elif not self.past.knows_all(allotment.window, at):
                certain = False
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
