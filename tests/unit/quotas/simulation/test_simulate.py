"""Policies on the past, against a walk from minute to minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.adjustments import Grant, group_by_user
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.simulation.past import Past
from jupyterhub_usage_quotas.quotas.simulation.simulate import simulate
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage
from tests.unit.quotas.simulation.minute_by_minute import DAY, More, Ran, Rule, World

BASE = datetime(2026, 3, 2, tzinfo=UTC)
START, END = 150, 500
USERS = {"ada": frozenset({"a"}), "bob": frozenset({"a", "b"}), "cid": frozenset({"b"})}
AMOUNTS = {"time": "minutes", "cpu": "CPU-minutes"}


def instant(minutes):
    return BASE + timedelta(minutes=minutes)


def minute(at):
    return (at - BASE) / timedelta(minutes=1)


@st.composite
def rules(draw):
    kind = draw(st.sampled_from(["rolling", "calendar", "refill"]))
    length = {"rolling": [60, 100, 240], "calendar": [60, DAY], "refill": [10, 30]}[kind]
    every = draw(st.sampled_from(length))
    pooled = draw(st.booleans())
    return Rule(
        name="",
        resource=draw(st.sampled_from([*AMOUNTS])),
        limit=draw(st.integers(0, 200)),
        kind=kind,
        length=every,
        back=draw(st.integers(every // 2, every)) if kind == "refill" else 0,
        groups=draw(
            st.sampled_from([frozenset(), frozenset("a"), frozenset("b"), frozenset("ab")])
        ),
        servers=draw(st.sampled_from(["", "", "gpu"])),
        pooled=pooled,
        session=draw(st.sampled_from([0, 0, 20])),
        then=draw(st.sampled_from(["deny", "deny", "stop", "warn"])),
    )


@st.composite
def sessions(draw):
    found = []
    for user in USERS:
        for server in ("", "gpu"):
            at = draw(st.integers(2, 150))
            for _ in range(draw(st.integers(0, 3))):
                end = at + draw(st.integers(1, 150))
                found.append(
                    Ran(user, server, at, end, {"time": 1, "cpu": draw(st.integers(0, 3))})
                )
                at = end + draw(st.integers(1, 120))
    return [one for one in found if one.start < END]


@st.composite
def worlds(draw):
    some = draw(st.lists(rules(), min_size=1, max_size=3))
    named = [Rule(**vars(one) | {"name": f"p{number}"}) for number, one in enumerate(some)]
    more = [
        More(draw(st.sampled_from(named)).name, user, start, start + length, amount)
        for user, start, length, amount in draw(
            st.lists(
                st.tuples(
                    st.sampled_from([None, *USERS]),
                    st.integers(0, END),
                    st.integers(1, 200),
                    st.integers(0, 60),
                ),
                max_size=2,
            )
        )
    ]
    return World(named, USERS, draw(sessions()), more)


def written(rule):
    """A rule as an admin writes it."""
    window = {
        "rolling": f"{rule.length} minutes",
        "calendar": {"calendar": "day" if rule.length == DAY else "hour"},
        "refill": {"refill": rule.back, "every": f"{rule.length} minutes"},
    }[rule.kind]
    return {
        "name": rule.name,
        "resource": rule.resource,
        "limit": f"{rule.limit} {AMOUNTS[rule.resource]}",
        "window": window,
        "scope": {"group": sorted(rule.groups)} if rule.groups else {"everyone": True},
        "minimum_session": f"{rule.session} minutes",
        "when_exhausted": rule.then,
        **({"share": "pooled"} if rule.pooled else {}),
        **({"servers": {"name": [rule.servers]}} if rule.servers else {}),
    }


def readings(ran, user):
    """What a user used, as the meter reads it."""
    return {
        resource: Fresh(
            Usage(
                tuple(
                    Bucket(
                        instant(one.start).timestamp(),
                        instant(one.end).timestamp(),
                        60.0 * one.rates[resource] * (one.end - one.start),
                        ServerAttributes(name=one.server),
                    )
                    for one in ran
                    if one.user == user and one.rates[resource]
                ),
                instant(END),
            )
        )
        for resource in AMOUNTS
    }


def past_of(world):
    known = {user: readings(world.ran, user) for user in USERS}
    members = {
        rule.name: [user for user, groups in USERS.items() if rule.covers(groups)]
        for rule in world.rules
        if rule.pooled
    }
    grants = [
        Grant(
            one.policy, instant(one.start), instant(one.until), one.user, amount=60.0 * one.amount
        )
        for one in world.more
    ]
    return Past(
        subjects=[Subject(user, groups) for user, groups in USERS.items()],
        readings=known,
        pools={name: {user: known[user] for user in some} for name, some in members.items()},
        adjustments=group_by_user(grants),
        start=instant(START),
        end=instant(END),
        known_from=instant(-40 * DAY),
    )


def simulated(world, **more):
    policies = parse_policies([written(rule) for rule in world.rules], failover_open=False)
    return simulate(policies, past_of(world), **more)


@given(worlds())
def test_who_would_have_been_denied_and_until_when(world):
    found = simulated(world)
    for one in found.users:
        user = one.subject.name
        launches = [ran for ran in world.ran if ran.user == user and ran.start >= START]
        assert one.launches == len(launches)
        expected = {
            (ran.start, ran.server, world.retry(ran))
            for ran in launches
            if not all(
                world.fits(rules, ran, ran.start, ran.start) for rules in world.counting(ran)
            )
        }
        assert {
            (
                minute(denied.at),
                denied.server.name,
                denied.retry_time and minute(denied.retry_time),
            )
            for denied in one.denied
        } == expected
        event(f"denied: {bool(expected)}")


@given(worlds())
def test_without_what_was_denied_nobody_is_denied_because_of_it(world):
    """One launch after the other, as if everybody whose launch is denied had gone home."""
    own = [Rule(**vars(rule) | {"pooled": False}) for rule in world.rules]
    kept = [ran for ran in world.ran if ran.start < START]
    expected = set()
    for ran in sorted(world.ran, key=lambda one: one.start):
        if ran.start >= START:
            now = World(own, USERS, kept, world.more)
            if all(now.fits(rules, ran, ran.start, ran.start) for rules in now.counting(ran)):
                kept.append(ran)
            else:
                expected.add((ran.user, ran.start, ran.server, now.retry(ran)))
    found = simulated(World(own, USERS, world.ran, world.more), without_denied=True)
    assert {
        (
            one.subject.name,
            minute(denied.at),
            denied.server.name,
            denied.retry_time and minute(denied.retry_time),
        )
        for one in found.users
        for denied in one.denied
    } == expected
    left = World(own, USERS, kept, world.more)
    for one in found.users:
        for rules in left.allotments(one.subject.name):
            spans = one.over.get(rules[0].name, ())
            for at in range(START, END, 7):
                if any(begin <= instant(at).timestamp() < end for begin, end in spans):
                    assert left.over(rules, one.subject.name, at)
    event(f"denied: {bool(expected)}")


@given(worlds())
def test_when_nothing_remained_is_known_to_the_minute(world):
    found = simulated(world)
    for one in found.users:
        user = one.subject.name
        for rules in world.allotments(user):
            spans = [
                ((begin - BASE.timestamp()) / 60, (end - BASE.timestamp()) / 60)
                for begin, end in one.over.get(rules[0].name, ())
            ]
            expected = [at for at in range(START, END) if world.over(rules, user, at)]
            inside = [at for at in range(START, END) if any(b <= at < e for b, e in spans)]
            assert set(inside) <= set(expected)
            # What is used up at one instant only, and not right after, lasts no time.
            for at in set(expected) - set(inside):
                left = world.allowance(rules, user, at) - world.used(rules, user, at, at)
                assert left == 0
                used = [world.used(rules, user, one, one) for one in (at, at + 1)]
                assert not world.over(rules, user, at + 1) or used[1] < used[0]
            event(f"over: {bool(expected)}")


@given(worlds())
def test_the_most_that_counted(world):
    """At a whole minute, or right before one in which a period ends or something comes back."""
    found = {one.name: one for one in simulated(world).policies}
    for user in USERS:
        for rules in world.allotments(user):
            tally = found[rules[0].name]
            before = [
                world.used(rules, user, at - 1, at - 1) + _rate(world, rules[0], user, at - 1)
                for at in range(START + 1, END + 1)
            ]
            now = [world.used(rules, user, at, at) for at in range(START, END)]
            most = tally.most["" if rules[0].pooled else user]
            if rules[0].kind == "rolling":
                assert most / 60 == pytest.approx(max([*now, world.used(rules, user, END, END)]))
            else:
                assert most / 60 == pytest.approx(max(before + now))


def _rate(world, rule, user, at):
    members = [u for u in USERS if rule.covers(USERS[u])] if rule.pooled else [user]
    return sum(
        one.rates.get(rule.resource, 0)
        for one in world.ran
        if one.user in members and rule.servers in ("", one.server) and one.start <= at < one.end
    )


@given(worlds())
def test_what_would_have_been_stopped(world):
    """A server is stopped in the first minute in which a policy that stops has nothing left, unless
    it was not let in, or was there already when nothing was left.
    """
    for one in simulated(world).users:
        user = one.subject.name
        denied = {(minute(launch.at), launch.server.name) for launch in one.denied}
        stopping = [rules for rules in world.allotments(user) if _stops(world, rules)]
        for ran in world.ran:
            if ran.user != user or ran.end <= START or (ran.start, ran.server) in denied:
                continue
            first = next(
                (
                    at
                    for at in range(max(ran.start, START - 1) + 1, min(ran.end, END))
                    for rules in stopping
                    if rules[0].servers in ("", ran.server)
                    and world.over(rules, user, at)
                    and (at == START or not world.over(rules, user, at - 1))
                ),
                None,
            )
            stops = [stop for stop in one.stopped if stop.server.name == ran.server]
            at = next((minute(s.at) for s in stops if ran.start < minute(s.at) < ran.end), None)
            if first is not None:
                assert at is not None
                assert at <= first
            # What is used up and given back within a minute is seen by the exact walk alone.
            if all(rules[0].kind == "rolling" for rules in stopping):
                assert (at and -(-at // 1)) == first
            event(f"stopped: {at is not None}")


def _stops(world, rules):
    return rules[0].then == "stop"
