"""What grants, overrides and exemptions make of a limit, and of retry times."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.adjustments import (
    Adjustment,
    Exemption,
    Grant,
    Override,
    allowance,
)
from jupyterhub_usage_quotas.quotas.configuration import parse_policies
from jupyterhub_usage_quotas.quotas.decide import Decision, Outcome, decide
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
"""A Wednesday, at noon."""
HOUR = timedelta(hours=1)
BEFORE, AFTER = NOW - HOUR, NOW + HOUR


def rule(limit: str, window: object = 1, **more: object) -> dict[str, object]:
    return {
        "name": "p", "resource": "time", "limit": limit, "window": window,
        "scope": {"everyone": True},
    } | more  # fmt: skip


def grant(hours: float, start: datetime = BEFORE, until: datetime = AFTER, **more: object) -> Grant:
    return Grant("p", start, until, amount=hours * 3600, **more)


def override(hours: float, number: int = 0, **more: object) -> Override:
    times = {"start": BEFORE, "until": AFTER} | more
    return Override("p", number=number, limit=hours * 3600, **times)


@pytest.mark.parametrize(
    ("adjustments", "hours"),
    [
        ([], 5),
        ([grant(2)], 7),
        ([grant(2), grant(1)], 8),
        ([grant(2, voided=True)], 5),
        ([grant(2, start=NOW)], 7),
        ([grant(2, until=NOW)], 5),
        ([grant(2, start=AFTER, until=AFTER + HOUR)], 5),
        ([grant(2, start=AFTER, until=BEFORE)], 5),
        ([grant(2, user="ada")], 7),
        ([grant(2, user="bob")], 5),
        ([override(9)], 9),
        ([override(1)], 1),
        ([override(0)], 0),
        ([override(9, number=1), override(3, number=2)], 3),
        ([override(3, number=2), override(9, number=1)], 3),
        ([override(9, number=1, user="ada"), override(3, number=2)], 9),
        ([override(9, voided=True, number=7), override(3, number=2)], 3),
        ([override(9), grant(2)], 11),
        ([Exemption("p", BEFORE, AFTER)], math.inf),
        ([Exemption("p", BEFORE, AFTER), override(1)], math.inf),
        ([Exemption("p", BEFORE, AFTER, user="bob")], 5),
        ([Exemption("another", BEFORE, AFTER)], 5),
    ],
)
def test_the_allowance_at_an_instant(adjustments, hours):
    (policy,) = parse_policies([rule("5 hours")]).policies
    assert allowance(policy, adjustments, "ada", NOW) == hours * 3600


@pytest.mark.parametrize("amount", [-1, math.inf, math.nan])
def test_what_cannot_be_granted_is_refused(amount):
    with pytest.raises(ValueError, match="must not be negative or infinite"):
        Grant("p", BEFORE, AFTER, amount=amount)
    with pytest.raises(ValueError, match="must not be negative or infinite"):
        Override("p", BEFORE, AFTER, limit=amount)


def used(*spans: tuple[float, float]) -> dict[str, Fresh]:
    """Usage at rate 1, from so many hours ago to so many hours ago."""
    unix = NOW.timestamp()
    buckets = (
        Bucket(unix - begin * 3600, unix - end * 3600, (begin - end) * 3600) for begin, end in spans
    )
    return {"time": Fresh(Usage(tuple(buckets), NOW))}


def asked(policies, usage, *adjustments: Adjustment, now: datetime = NOW) -> Decision:
    return decide(
        parse_policies(policies),
        usage,
        Request("ada"),
        now,
        failover_open=False,
        adjustments=adjustments,
    )


@pytest.mark.parametrize(
    ("policies", "usage", "adjustments", "hours"),
    [
        # Eight of five hours are used, at the beginning of a day: three leave it 13 to 16 hours
        # from now, and something remains a minute later.
        ([rule("5 hours")], [(11, 3)], [], 16 + 1 / 60),
        # With two more hours it is one that must leave.
        ([rule("5 hours")], [(11, 3)], [grant(2, until=NOW + 99 * HOUR)], 14 + 1 / 60),
        # The grant ends an hour before that, so it is of no use.
        ([rule("5 hours")], [(11, 3)], [grant(2, until=NOW + 13 * HOUR)], 16 + 1 / 60),
        # It ends an hour after that.
        ([rule("5 hours")], [(11, 3)], [grant(2, until=NOW + 15 * HOUR)], 14 + 1 / 60),
        # It begins when two thirds of what must leave have.
        ([rule("5 hours")], [(11, 3)], [grant(2, NOW + 15 * HOUR, NOW + 99 * HOUR)], 15),
        # It is not for long, but it is enough.
        ([rule("5 hours")], [(11, 3)], [grant(4, NOW + 2 * HOUR, NOW + 3 * HOUR)], 2),
        # Half a minute is not for long enough: nobody is told a time within a minute.
        (
            [rule("5 hours")],
            [(11, 3)],
            [grant(4, NOW + timedelta(seconds=10), NOW + timedelta(seconds=40))],
            16 + 1 / 60,
        ),
        ([rule("5 hours")], [(11, 3)], [Exemption("p", NOW + 3 * HOUR, NOW + 9 * HOUR)], 3),
        # This week everything is used up; next week, and only then, there is less than before.
        (
            [rule("5 hours", {"calendar": "week"}, minimum_session="3h")],
            [(8, 3)],
            [override(2, start=NOW + 108 * HOUR, until=NOW + (108 + 168) * HOUR)],
            108 + 168,
        ),
        # A limit of zero, until somebody is granted something.
        ([rule("0")], [], [grant(1, NOW + 5 * HOUR, NOW + 6 * HOUR)], 5),
        ([rule("0")], [], [grant(1, NOW - 6 * HOUR, NOW - 5 * HOUR)], None),
        # A grant for one of two policies that must both fit, over before the other does.
        (
            [rule("5 hours"), rule("5 hours", 2, name="q")],
            [(11, 3)],
            [grant(9, NOW + HOUR, NOW + 30 * HOUR)],
            40 + 1 / 60,
        ),
    ],
)
def test_retry_times_reckon_with_what_comes_and_goes(policies, usage, adjustments, hours):
    decision = asked(policies, used(*usage), *adjustments)
    assert decision.outcome is Outcome.DENIED
    expected = None if hours is None else NOW + timedelta(minutes=round(hours * 60))
    assert decision.retry_time == expected
    if expected:
        at = asked(policies, used(*usage), *adjustments, now=expected)
        assert at.outcome is Outcome.ALLOWED
        before = asked(policies, used(*usage), *adjustments, now=expected - timedelta(minutes=1))
        assert before.outcome is Outcome.DENIED


HISTORIES = st.lists(
    st.tuples(st.integers(1, 40), st.integers(1, 8)).map(lambda one: (one[0] + one[1], one[0])),
    max_size=5,
)
HOURS = st.integers(-20, 60)
GRANTS = st.tuples(st.integers(0, 9), HOURS, st.integers(1, 40)).map(
    lambda one: grant(one[0], NOW + one[1] * HOUR, NOW + (one[1] + one[2]) * HOUR)
)
POLICIES = st.sampled_from(
    [
        [rule("6 hours")],
        [rule("6 hours", {"calendar": "day"})],
        [rule("6 hours", {"refill": 1, "every": "2h"})],
        [rule("6 hours"), rule("7 hours", 1, name="q")],
        [rule("6 hours", minimum_session="2h"), rule("20 hours", 2, name="q")],
    ]
)
INTERSECTIONS = st.sampled_from(["min", "max", "sum"])


def told(decision: Decision) -> tuple[bool, float]:
    """How generous: allowed, or how soon (never is the latest)."""
    retry = decision.retry_time
    soon = -math.inf if retry is None else -retry.timestamp()
    return (decision.allowed, 0.0 if decision.allowed else soon)


def settled(policies, intersection, history, adjustments) -> tuple[bool, float]:
    return told(
        decide(
            parse_policies(policies, {"intersection": intersection}),
            used(*history),
            Request("ada"),
            NOW,
            failover_open=False,
            adjustments=adjustments,
        )
    )


@given(POLICIES, INTERSECTIONS, HISTORIES, st.lists(GRANTS, max_size=4), GRANTS)
@settings(max_examples=250, deadline=None)
def test_a_grant_never_makes_a_decision_less_generous(
    policies, intersection, history, before, more
):
    """One grant more: allowed stays allowed, and a retry time comes no later."""
    without = settled(policies, intersection, history, before)
    assert settled(policies, intersection, history, [*before, more]) >= without


@given(POLICIES, INTERSECTIONS, HISTORIES, st.lists(GRANTS, max_size=3), GRANTS)
@settings(max_examples=100, deadline=None)
def test_a_voided_grant_is_as_if_it_had_never_been(policies, intersection, history, before, gone):
    """Adding and voiding a grant changes nothing, wherever in the ledger it stands."""
    voided = Grant(gone.policy, gone.start, gone.until, voided=True, amount=gone.amount)
    without = settled(policies, intersection, history, before)
    assert settled(policies, intersection, history, [voided, *before]) == without
