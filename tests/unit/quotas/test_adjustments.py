"""Grants, overrides and exemptions: what is allowed at an instant, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.adjustments import (
    Exemption,
    Grant,
    Override,
    Voided,
    allowance,
    changes,
    group_by_user,
)
from jupyterhub_usage_quotas.quotas.decide import Request, decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.units import InvalidQuantity
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage

HOUR, MINUTE = 3600, timedelta(minutes=1)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)  # a Wednesday
VOIDED = Voided("tutor", NOW, "a slip")


def after(hours):
    return NOW + timedelta(hours=hours)


def during(start, until, policy="five"):
    return {"policy": policy, "start": after(start), "until": after(until)}


def grant(hours, start=-1, until=9, **more):
    return Grant(**during(start, until) | {"amount": hours * HOUR} | more)


def override(hours, start=-1, until=9, **more):
    return Override(**during(start, until) | {"limit": hours * HOUR} | more)


def exemption(start=-1, until=9, **more):
    return Exemption(**during(start, until) | more)


def rule(limit="5 hours", window="24h", **more):
    entry = {"resource": "time", "limit": limit, "window": window, "scope": {"everyone": True}}
    return entry | {"name": "five"} | more


def used(*sessions):
    """Sessions `(start, end)` in hours from NOW, or `(start, end, rate)`."""
    return tuple(
        Bucket(
            after(start).timestamp(),
            after(end).timestamp(),
            (end - start) * HOUR * (rate[0] if rate else 1),
        )
        for start, end, *rate in sessions
    )


def decide_on(policies, buckets=(), adjustments=(), now=NOW, intersection="min"):
    return decide(
        parse_policies(policies, {"intersection": intersection}, failover_open=False),
        {"time": Fresh(Usage(tuple(buckets), NOW))},
        Request(Subject("ada", frozenset({"a", "b"}))),
        now,
        adjustments=adjustments,
    )


# --- what is allowed at an instant --------------------------------------------------------------

AT_NOW = [
    ("nothing", [], 5),
    ("a grant", [grant(3)], 8),
    ("two grants", [grant(3), grant(1, id=1)], 9),
    ("a grant of nothing", [grant(0)], 5),
    ("a grant that is over", [grant(3, -9, -1)], 5),
    ("a grant to come", [grant(3, 1, 9)], 5),
    ("a grant that begins now", [grant(3, 0, 9)], 8),
    ("a grant that ends now", [grant(3, -9, 0)], 5),
    ("a grant that ends before it begins", [grant(3, 9, -9)], 5),
    ("a voided grant", [grant(3, voided=VOIDED)], 5),
    ("a grant for her", [grant(3, user="ada")], 8),
    ("a grant for somebody else", [grant(3, user="al")], 5),
    ("a grant of another policy", [grant(3, policy="six")], 5),
    ("an override", [override(2)], 2),
    ("an override and a grant", [override(2), grant(3)], 5),
    ("an override with zero", [override(0)], 0),
    ("the newest override", [override(2, id=7), override(9, id=8)], 9),
    ("the newest override, listed first", [override(9, id=8), override(2, id=7)], 9),
    ("hers before one for all", [override(2, user="ada"), override(9, id=8)], 2),
    ("a newer one of hers", [override(2, user="ada"), override(9, id=8, user="ada")], 9),
    ("somebody else's", [override(2, user="al", id=9), override(9, id=8)], 9),
    ("the newest is voided", [override(2, id=7), override(9, id=8, voided=VOIDED)], 2),
    ("the newest is over", [override(2, id=7), override(9, -2, -1, id=8)], 2),
    ("hers is over", [override(2, -2, -1, user="ada"), override(9)], 9),
    ("an exemption", [exemption()], inf),
    ("an exemption and an override", [override(0, id=9), exemption()], inf),
    ("an exemption that is over", [exemption(-9, 0)], 5),
    ("a voided exemption", [exemption(voided=VOIDED)], 5),
    ("somebody else's exemption", [exemption(user="al")], 5),
]


@pytest.mark.parametrize(
    ("adjustments", "hours"), [row[1:] for row in AT_NOW], ids=[row[0] for row in AT_NOW]
)
def test_what_is_allowed_at_an_instant(adjustments, hours):
    (policy,) = parse_policies([rule()]).policies
    assert allowance(policy, adjustments, "ada", NOW) == hours * HOUR
    (verdict,) = decide_on([rule()], adjustments=adjustments).verdicts
    assert verdict.allowance == hours * HOUR


def test_an_adjustment_is_in_force_from_its_start_until_before_its_end():
    (policy,) = parse_policies([rule()]).policies
    moment = timedelta(microseconds=1)
    for at, hours in [
        (after(1) - moment, 5),
        (after(1), 8),
        (after(2) - moment, 8),
        (after(2), 5),
    ]:
        assert allowance(policy, [grant(3, 1, 2)], "ada", at) == hours * HOUR


def test_what_changes_are_still_to_come_is_told_in_order():
    policies = parse_policies([rule(), rule(name="six", window=2)]).policies
    given = [
        grant(3, 4, 6),
        override(1, -3, 4),
        grant(1, 2, 3, voided=VOIDED),
        grant(1, 2, 3, user="al"),
        grant(1, 2, 3, policy="seven"),
        exemption(0, 5, policy="six"),
        grant(1, 8, 7),
    ]
    assert changes(policies, given, "ada", NOW) == [after(4), after(5), after(6)]


@pytest.mark.parametrize("amount", [-1, inf, nan])
def test_an_amount_is_a_number_and_not_negative(amount):
    expected = f": got {amount!r}; expected 0, or more than that, and not infinite$"
    with pytest.raises(InvalidQuantity, match=f"^amount of a grant{expected}"):
        Grant(**during(0, 1), amount=amount)
    with pytest.raises(InvalidQuantity, match=f"^limit of an override{expected}"):
        Override(**during(0, 1), limit=amount)


# --- retry times, by hand -----------------------------------------------------------------------

SEVEN = used((-7, 0))  # of five: room again when more than two of them are 24 hours ago

RETRY = [
    # says, adjustments, hours after NOW and a minute (none where it is exact)
    ("no adjustment", [], (19, 1)),
    ("a grant for as long as it takes", [grant(1)], (19, 1)),
    ("a grant until after the retry time", [grant(1, 0, 18.5)], (18, 1)),
    ("a grant until the retry time", [grant(1, 0, 18 + 1 / 60)], (19, 1)),
    ("a grant until a minute after it", [grant(1, 0, 18 + 2 / 60)], (18, 1)),
    ("a grant that ends before, and another", [grant(1, 0, 5), grant(1, 10, 30)], (18, 1)),
    ("two grants that meet", [grant(1, 0, 5), grant(2, 5, 30)], (17, 1)),
    ("a grant that begins later is enough", [grant(3, 4, 5)], (4, 0)),
    ("a grant that begins between two minutes", [grant(3, 4.005, 5)], (4, 1)),
    ("a grant too short to have a minute in it", [grant(3, 4.005, 4.01)], (19, 1)),
    ("an override that is to come", [override(8, 6, 7)], (6, 0)),
    ("an override that takes away", [override(0, 19, 20)], (20, 0)),
    ("a lower limit from tomorrow on", [override(2, 12, 99)], (22, 1)),
    ("a limit of zero from now on", [override(0, 0, 40)], (40, 0)),
    ("an exemption that is to come", [exemption(3, 4)], (3, 0)),
    ("an exemption for somebody else", [exemption(3, 4, user="al")], (19, 1)),
]


@pytest.mark.parametrize(
    ("adjustments", "later"), [row[1:] for row in RETRY], ids=[row[0] for row in RETRY]
)
def test_adjustments_that_come_and_go_are_taken_into_account(adjustments, later):
    decision = decide_on([rule()], SEVEN, adjustments)
    at = NOW + timedelta(hours=later[0], minutes=later[1])
    assert decision.retry_time == at
    assert decide_on([rule()], SEVEN, adjustments, at).allowed
    assert not decide_on([rule()], SEVEN, adjustments, at - MINUTE).allowed


@pytest.mark.parametrize(
    ("row", "subject", "theirs"),
    [
        # user_created of the row, created of the user
        ((NOW, None), NOW, True),
        ((NOW, None), NOW + MINUTE, False),
        ((NOW, None), NOW - MINUTE, False),
        ((NOW, None), None, True),
        # not known when it was made: for who had the name then
        ((None, after(1)), NOW, True),
        ((None, after(-1)), NOW, False),
        ((None, None), NOW, True),
        # MySQL rounds to whole seconds, MariaDB cuts them off, once the Hub reads them back
        ((NOW + timedelta(microseconds=600_000), None), NOW + timedelta(seconds=1), True),
        ((NOW + timedelta(microseconds=600_000), None), NOW, True),
        ((NOW, None), NOW + timedelta(microseconds=400_000), True),
        ((NOW, None), NOW + timedelta(seconds=1), False),
        ((NOW + timedelta(microseconds=1), None), NOW + timedelta(microseconds=2), False),
    ],
)
def test_a_user_made_anew_inherits_nothing(row, subject, theirs):
    user_created, created = row
    given = grant(3, user="ada", user_created=user_created, created=created)
    for_all = grant(2)
    decided = group_by_user([given, for_all, grant(1, user="al", user_created=NOW)])
    assert given.is_for(Subject("ada", created=subject)) == theirs
    assert decided.of(Subject("ada", created=subject)) == (for_all, *[given] * theirs)
    assert not given.is_for(Subject("al", created=NOW))


def test_two_grants_that_are_never_in_force_together_help_nobody():
    policies = [rule("0"), rule("0", "48h", name="six")]
    adjustments = [grant(1, 1, 3), grant(1, 3, 5, policy="six")]
    decision = decide_on(policies, (), adjustments)
    assert not decision.allowed
    assert decision.retry_time is None
    together = [grant(1, 1, 3), grant(1, 2, 5, policy="six")]
    assert decide_on(policies, (), together).retry_time == after(2)


def test_an_override_next_week_of_a_calendar_week():
    """Ten hours a week, of which she used ten by Wednesday; next week it is four."""
    week = rule("10 hours", {"calendar": "week"})
    next_week = {"start": MONDAY + timedelta(days=7), "until": MONDAY + timedelta(days=14)}
    ten = used((-12, -2))
    for limit, expected in [
        (4, MONDAY + timedelta(days=7)),
        (0, MONDAY + timedelta(days=14)),  # nothing next week: the week after
    ]:
        other = replace(override(limit), **next_week)
        assert decide_on([week], ten, [other]).retry_time == expected
        now = MONDAY + timedelta(days=8)
        (verdict,) = decide_on([week], ten, [other], now).verdicts
        assert (verdict.used, verdict.allowance) == (0, limit * HOUR)


def test_an_override_that_begins_amid_a_week_counts_what_was_used_before_it():
    week = rule("10 hours", {"calendar": "week"})
    for limit, expected in [(11, after(24)), (10, MONDAY + timedelta(days=7))]:
        decision = decide_on([week], used((-12, -2)), [override(limit, 24, 48)])
        assert decision.retry_time == expected


def test_a_grant_makes_a_refilled_balance_larger_while_it_lasts():
    """Five hours, one back every six; eight are used at once: at noon seven are missing."""
    refill = rule(window={"refill": 1, "every": "6 hours"})
    eight = used((-8, 0), (-8, 0, 0.001))[:1]
    # steps at 06:00 (2 used, 1 back), 12:00 (7 - 1 = 6), 18:00 (5), 00:00 (4)
    assert decide_on([refill], eight).retry_time == after(12)
    assert decide_on([refill], eight, [grant(2)]).allowed
    assert decide_on([refill], eight, [grant(1)]).retry_time == after(6)
    assert decide_on([refill], eight, [grant(1, 0, 6)]).retry_time == after(12)


# --- what always holds --------------------------------------------------------------------------

REFILL = {"refill": 1, "every": "2 hours"}
WINDOWS = st.sampled_from(
    ["6h", "24h", {"calendar": "day"}, REFILL, REFILL | {"refill": 3}, {"calendar": "hour"}]
)
SCOPES = st.sampled_from([{"everyone": True}, {"group": ["a"]}, {"group": ["b"]}])
hours = st.integers(0, 12)
spans = st.tuples(st.integers(-20, 30), st.integers(1, 30)).map(lambda p: (p[0], p[0] + p[1]))
sessions = st.lists(
    st.tuples(st.integers(-20, -1), st.integers(1, 20), st.sampled_from([1, 2])), max_size=4
).map(lambda each: used(*((start, min(start + length, 0), rate) for start, length, rate in each)))
SESSIONS = st.sampled_from(["0h", "0h", "1h", "4h"])
policies = st.lists(st.tuples(hours, WINDOWS, SCOPES, SESSIONS), min_size=1, max_size=4).map(
    lambda each: [
        rule(f"{limit} hours", window, scope=scope, name=str(number), minimum_session=session)
        for number, (limit, window, scope, session) in enumerate(each)
    ]
)
names = st.sampled_from(["0", "1", "2", "3"])
grants = st.builds(
    lambda amount, span, name: grant(amount, *span, policy=name), hours, spans, names
)
overrides = st.builds(
    lambda limit, span, name, number: override(limit, *span, policy=name, id=number),
    hours,
    spans,
    names,
    st.integers(0, 99),
)
others = st.lists(grants | overrides, max_size=3)
ways = st.sampled_from(["min", "max", "sum"])


def generosity(decision):
    """The sooner the server starts, the better."""
    return 0.0 if decision.allowed else -(decision.retry_time or datetime.max).timestamp()


@given(entries=policies, buckets=sessions, others=others, more=grants, way=ways)
def test_a_grant_never_makes_a_decision_less_generous(entries, buckets, others, more, way):
    """Whoever is given more does not wait longer."""
    without = decide_on(entries, buckets, others, intersection=way)
    granted = decide_on(entries, buckets, [*others, more], intersection=way)
    assert generosity(granted) >= generosity(without)


@given(entries=policies, buckets=sessions, others=others, more=grants | overrides, way=ways)
def test_what_is_voided_might_as_well_never_have_been(entries, buckets, others, more, way):
    """Adding a grant and then voiding it changes nothing, whatever else there is."""
    voided = [*others, replace(more, voided=VOIDED)]
    without = decide_on(entries, buckets, others, intersection=way)
    assert decide_on(entries, buckets, voided, intersection=way) == without


LONG = {"name": "six", "minimum_session": "5 hours"}
ONE_BACK = rule("7 hours", {"refill": 1, "every": "1 day"}, name="six")
TIGHTER = [
    # a longer session, and less that comes back: both belong to the policy that decides
    ([rule("5 hours"), rule("6 hours", **LONG)], (-4, 0), "min", grant(10)),
    ([rule("6 hours"), rule("5 hours", **LONG)], (-4, 0), "max", grant(2, policy="six")),
    ([rule(window={"refill": 5, "every": "1 day"}), ONE_BACK], (-80, -70), "min", grant(10)),
]


@pytest.mark.parametrize(("entries", "session", "way", "more"), TIGHTER)
def test_a_grant_that_makes_another_policy_decide_takes_nothing_away(entries, session, way, more):
    without = decide_on(entries, used(session), intersection=way)
    granted = decide_on(entries, used(session), [more], intersection=way)
    assert generosity(granted) >= generosity(without)


def test_the_retry_time_is_true_where_another_policy_decides_then():
    """Until 15:00 the first policy's limit is the smaller one, from then on the second's, which
    asks for three hours that are only there later."""
    entries = [rule("2 hours"), rule("5 hours", name="six", minimum_session="3 hours")]
    adjustments = [grant(10, 3, 40)]
    decision = decide_on(entries, used((-4, 0)), adjustments)
    assert decide_on(entries, used((-4, 0)), adjustments, decision.retry_time).allowed
