"""How much those who are no admins may give in a week: examples, and a slow second opinion."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.errors import TooMuchGiven
from jupyterhub_usage_quotas.ledger.granting import within
from jupyterhub_usage_quotas.quotas.adjustments import Exemption, Grant, Override
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from tests.support.ledgers import DAY, HOUR, JOINED, NOW, grant, times, who

WEEK = 7 * DAY
POLICIES = parse_policies(
    [
        {
            "name": name,
            "resource": "time",
            "limit": "8 hours",
            "window": 7,
            "scope": {"everyone": True},
        }
        for name in ("week", "other")
    ],
    {},
)
LIMITS = {"week": 2 * 3600.0, "other": math.inf}


def made(
    hours: float, start: timedelta, until: timedelta, made_at: timedelta | None = None
) -> Grant:
    """A grant of so many hours from and until then, and made then; None where it is a draft."""
    created = None if made_at is None else NOW + made_at
    return grant(hours * 3600.0, start=NOW + start, until=NOW + until, created=created)


def allowed(draft: Grant, *held: Grant) -> bool:
    check = within([draft], LIMITS, POLICIES, NOW)
    try:
        check(lambda: held)
    except TooMuchGiven:
        return False
    return True


ZERO = timedelta(0)


@pytest.mark.parametrize(
    ("draft", "held", "fits"),
    [
        (made(2, ZERO, WEEK), [], True),
        (made(2.01, ZERO, WEEK), [], False),
        (made(1, ZERO, WEEK), [made(1, ZERO, WEEK, ZERO)], True),
        (made(1.1, ZERO, WEEK), [made(1, ZERO, WEEK, ZERO)], False),
        # A week after the last one, and this week and the next.
        (made(2, ZERO, WEEK), [made(2, -WEEK, ZERO, -WEEK)], True),
        (made(2, WEEK, 2 * WEEK), [made(2, ZERO, WEEK, ZERO)], True),
        (made(2, 6 * DAY, 2 * WEEK), [made(2, ZERO, WEEK, ZERO)], False),
        # One for a day counts for its week.
        (made(2, 2 * DAY, 3 * DAY), [made(2, ZERO, DAY, ZERO)], False),
        (made(2, ZERO, DAY), [made(2, -6 * DAY, -5 * DAY, -6 * DAY)], False),
        (made(2, ZERO, DAY), [made(2, 5 * DAY, 6 * DAY, ZERO)], False),
        # One for long counts as long as it is in force.
        (made(2, ZERO, DAY), [made(2, -9 * WEEK, HOUR, -9 * WEEK)], False),
        (made(1, ZERO, 99 * WEEK), [made(2, 50 * WEEK, 51 * WEEK, ZERO)], False),
        # To say that it began earlier gains nothing.
        (made(2, ZERO, WEEK), [made(2, -3 * WEEK, HOUR, -HOUR)], False),
        (made(2, -3 * WEEK, -2 * WEEK), [made(2, -HOUR, HOUR, -HOUR)], False),
        # Where it already was more, for example by an admin, a draft at another time fits.
        (made(2, 3 * WEEK, 4 * WEEK), [made(9, ZERO, WEEK, ZERO)], True),
        # Of another policy, another user, and one who had the name before.
        (made(2, ZERO, WEEK), [grant(7200.0, policy="other", created=NOW)], True),
        (made(2, ZERO, WEEK), [grant(7200.0, user="bob", created=NOW)], True),
        (made(2, ZERO, WEEK), [grant(7200.0, user_created=JOINED - DAY, created=NOW)], True),
        # What else admins decided is no grant.
        (
            made(2, ZERO, WEEK),
            [
                Override("week", **times(), **who(), limit=9e9),
                Exemption("week", **times(), **who()),
            ],
            True,
        ),
    ],
)
def test_so_much_in_a_week(draft, held, fits):
    assert allowed(draft, *held) is fits


def test_a_policy_without_a_limit_and_one_that_is_not_there():
    no_limit = grant(1e20, policy="other")
    within([no_limit], LIMITS, POLICIES, NOW)(list)
    with pytest.raises(TooMuchGiven, match="expected at most 0s"):
        within([grant(1.0)], {}, POLICIES, NOW)(list)


def test_drafts_count_together():
    one = made(1, ZERO, WEEK)
    within([one, one], LIMITS, POLICIES, NOW)(list)
    with pytest.raises(TooMuchGiven, match="got 3h; expected at most 2h"):
        within([one, one, one], LIMITS, POLICIES, NOW)(list)


hours = st.integers(-400, 400)
grants = st.tuples(st.integers(1, 4), hours, st.integers(1, 500), st.integers(-400, 0))


@given(st.lists(grants, max_size=6), st.tuples(st.integers(1, 4), hours, st.integers(1, 500)))
def test_hour_by_hour_it_is_the_same(held, wanted):
    """The same by looking at each hour: everything here begins and ends on one."""
    amount, start, length = wanted
    draft = made(amount / 2, start * HOUR, (start + length) * HOUR)
    others = [
        made(size / 2, begin * HOUR, (begin + span) * HOUR, at * HOUR)
        for size, begin, span, at in held
    ]
    counted = [(amount, max(start, 0), start + length)]
    counted += [(size, max(begin, at), begin + span) for size, begin, span, at in held]
    counted = [(size, first, max(last, first + 168)) for size, first, last in counted]
    _, first, last = counted[0]
    most = max(
        sum(size for size, begin, end in counted if begin <= hour < end)
        for hour in range(first, last)
    )
    assert allowed(draft, *others) is (most <= 4)
