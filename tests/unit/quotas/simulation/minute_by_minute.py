"""What policies would have done, by stepping from minute to minute with arithmetic of its own.

Everything is in whole minutes since `BASE`, a midnight in UTC. Nothing of the package is used here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DAY = 1440
FOR_EVER = 2500
"""Minutes after which whatever counts in these windows counts no more."""
LAST = 4000


@dataclass(frozen=True)
class Ran:
    """A server that ran in `(start, end]`, and its rates by resource."""

    user: str
    server: str
    start: int
    end: int
    rates: Mapping[str, int]


@dataclass(frozen=True)
class More:
    """A grant of a policy, for a user or everyone, in `[start, until)`."""

    policy: str
    user: str | None
    start: int
    until: int
    amount: int


@dataclass(frozen=True)
class Rule:
    """A policy. `kind` and `length` are its window: rolling, so long; a calendar's hour or day; or
    refilled by `back` every so often.
    """

    name: str
    resource: str
    limit: int
    kind: str
    length: int
    back: int
    groups: frozenset[str]
    servers: str
    pooled: bool
    session: int
    then: str

    @property
    def combination(self):
        own = self.name if self.pooled else None
        back = () if self.kind == "refill" else (self.back,)
        measure = self.resource, self.kind, self.length, *back, self.servers
        return *measure, self.then == "warn", own

    def covers(self, groups):
        return not self.groups or bool(self.groups & groups)


class World:
    """Knows what everybody would have been told."""

    def __init__(self, rules: Sequence[Rule], groups, ran: Sequence[Ran], more: Sequence[More]):
        self.rules, self.groups, self.ran, self.more = rules, groups, ran, more
        self._rates: dict[object, list[int]] = {}
        self._missing: dict[object, list[int]] = {}

    def __repr__(self) -> str:
        return f"World({self.rules}, {self.ran}, {self.more})"

    def allotments(self, user) -> Sequence[Sequence[Rule]]:
        """The rules that are combined for a user; the first has the smallest limit."""
        found: dict[object, list[Rule]] = {}
        for rule in self.rules:
            if rule.covers(self.groups[user]):
                found.setdefault(rule.combination, []).append(rule)
        return [sorted(some, key=lambda one: (one.limit, one.name)) for some in found.values()]

    def rates(self, rule, user) -> list[int]:
        """What is used in each minute of what a rule is about."""
        members = [u for u in self.groups if rule.covers(self.groups[u])] if rule.pooled else [user]
        key = tuple(members), rule.resource, rule.servers
        if key not in self._rates:
            rates = self._rates[key] = [0] * LAST
            for one in self.ran:
                if one.user in members and rule.servers in ("", one.server):
                    for minute in range(one.start, one.end):
                        rates[minute] += one.rates.get(rule.resource, 0)
        return self._rates[key]

    def used(self, rules, user, at, known) -> int:
        """What counts at `at` of what was used before `known`."""
        rule, rates = rules[0], self.rates(rules[0], user)
        if rule.kind == "rolling":
            return sum(rates[max(at - rule.length, 0) : min(at, known)])
        if rule.kind == "calendar":
            return sum(rates[at // rule.length * rule.length : min(at, known)])
        key = id(rates), min(one.back for one in rules), rule.length, known if at > known else LAST
        if key not in self._missing:
            self._missing[key] = _missing(rates[: key[-1]], *key[1:3])
        return self._missing[key][at]

    def allowance(self, rules, user, at) -> int:
        """The smallest allowance of some rules at an instant."""
        return min(
            rule.limit
            + sum(
                one.amount
                for one in self.more
                if one.policy == rule.name
                and one.start <= at < one.until
                and (one.user is None or (one.user == user and not rule.pooled))
            )
            for rule in rules
        )

    def fits(self, rules, ran, at, known) -> bool:
        """Whether a server could be started at an instant, by what was used before `known`."""
        session = max(one.session for one in rules)
        left = self.allowance(rules, ran.user, at) - self.used(rules, ran.user, at, known)
        return left > 0 and left >= session * ran.rates.get(rules[0].resource, 0)

    def over(self, rules, user, at) -> bool:
        """Whether nothing remains at an instant."""
        return self.allowance(rules, user, at) <= self.used(rules, user, at, at)

    def counting(self, ran) -> Sequence[Sequence[Rule]]:
        """The rules because of which a launch can be denied."""
        return [
            rules
            for rules in self.allotments(ran.user)
            if rules[0].servers in ("", ran.server) and rules[0].then != "warn"
        ]

    def retry(self, ran) -> int | None:
        """The first minute at which a launch would have been allowed, if nothing more was used."""
        counting, start = self.counting(ran), ran.start
        for at in range(start, start + FOR_EVER):
            if all(self.fits(rules, ran, at, start) for rules in counting):
                return at
        return None


def _missing(rates, back, every) -> list[int]:
    """What is missing from a balance at every minute."""
    missing, found = 0, [0]
    for minute in range(LAST - 1):
        missing += rates[minute] if minute < len(rates) else 0
        if (minute + 1) % every == 0:
            missing = max(missing - back, 0)
        found.append(missing)
    return found
