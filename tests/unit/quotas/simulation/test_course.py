"""How what counts goes up and down, by hand; and what was known when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.simulation.course import Course, in_any, in_both, seconds
from jupyterhub_usage_quotas.quotas.simulation.past import Past
from jupyterhub_usage_quotas.quotas.usage import Bucket, Usage
from jupyterhub_usage_quotas.quotas.windows.calendar import Calendar, Period
from jupyterhub_usage_quotas.quotas.windows.refill import Refill
from jupyterhub_usage_quotas.quotas.windows.rolling import Rolling

HOUR = 3600.0
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
ZERO = NOON.timestamp()


def used(*sessions):
    """Sessions `(start, end, rate)` in hours after noon."""
    return Usage(
        tuple(
            Bucket(ZERO + a * HOUR, ZERO + b * HOUR, rate * (b - a) * HOUR)
            for a, b, rate in sessions
        ),
        NOON,
    )


def over(window, usage, *allowances, until=24.0):
    """The spans in hours in which nothing remained of allowances `(since, hours)`."""
    course = Course(window, usage, ZERO, ZERO + until * HOUR)
    given = [(ZERO + since * HOUR, hours * HOUR) for since, hours in allowances]
    return [((b - ZERO) / HOUR, (e - ZERO) / HOUR) for b, e in course.over(given)]


DAY = Rolling(timedelta(hours=6))


def test_a_rolling_window_is_over_until_enough_has_left_it():
    # Four hours' worth at one o'clock and three quarters; it begins to leave at six and is below
    # three at half past.
    assert over(DAY, used((0, 2, 2)), (0, 3)) == [(1.5, 6.5)]


def test_a_server_that_runs_longer_than_the_window():
    """What it uses leaves as fast as it comes: six hours at most."""
    long = used((0, 20, 1))
    assert over(DAY, long, (0, 7)) == []
    assert over(DAY, long, (0, 5.5), until=30.0) == [(5.5, 20.5)]


def test_an_allowance_that_changes():
    assert over(DAY, used((0, 4, 1)), (0, 2), (3, 10), (5, 3.5)) == [(2, 3), (5, 6.5)]


def test_a_limit_of_nothing_is_always_used_up():
    assert over(DAY, used(), (0, 0)) == [(0, 24)]
    assert over(DAY, used(), (0, float("inf"))) == []


def test_a_calendar_begins_anew():
    window = Calendar(Period.DAY)
    usage = used((0, 4, 1), (13, 14, 1))
    assert over(window, usage, (0, 3)) == [(3, 12)]
    course = Course(window, usage, ZERO, ZERO + 24 * HOUR)
    periods = [(begin - NOON, most / HOUR) for begin, _, most in course.by_period(window)]
    assert periods == [(timedelta(hours=-12), 4), (timedelta(hours=12), 1)]
    assert Course(DAY, usage, ZERO, ZERO + HOUR).by_period(DAY) == []


def test_a_refilled_balance_comes_back_in_steps():
    assert over(Refill(HOUR, timedelta(hours=2)), used((0, 3, 1)), (0, 2)) == [(3.0, 4.0)]


def test_what_came_before_the_span_counts():
    course = Course(DAY, used((-4, 1, 1)), ZERO, ZERO + 10 * HOUR)
    assert course.at(ZERO) == 4 * HOUR
    assert course.most == 5 * HOUR
    assert course.at(ZERO + 10 * HOUR) == 0


sessions = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 20), st.integers(1, 3)), max_size=6
)
windows = st.sampled_from(
    [
        DAY,
        Rolling(timedelta(hours=1)),
        Calendar(Period.DAY, "Pacific/Auckland"),
        Calendar(Period.HOUR),
        Refill(1800.0, timedelta(hours=1)),
    ]
)


@given(sessions, windows, st.lists(st.integers(0, 24 * 60), min_size=1, max_size=20))
def test_a_course_is_what_the_window_itself_says(some, window, minutes):
    usage = used(*((start / 2, (start + length) / 2, rate) for start, length, rate in some))
    course = Course(window, usage, ZERO, ZERO + 24 * HOUR)
    for minute in minutes:
        at = NOON + timedelta(minutes=minute)
        assert course.at(at.timestamp()) == pytest.approx(window.used(usage, at), abs=1e-4)
        assert course.most >= window.used(usage, at) - 1e-4 or minute == 24 * 60


@given(sessions, windows, st.integers(0, 30 * 60))
def test_usage_before_an_instant_is_what_was_known_then(some, window, minute):
    usage = used(*((start / 2, (start + length) / 2, rate) for start, length, rate in some))
    at = NOON + timedelta(minutes=minute)
    known = usage.before(at.timestamp())
    again = Usage(known.buckets, known.covered_until)
    assert known.end <= at.timestamp()
    for later in (0, 1, 90, 600):
        then = at + timedelta(minutes=later)
        assert window.used(known, then) == pytest.approx(window.used(again, then), abs=1e-4)
    assert window.used(known, at) == pytest.approx(window.used(usage, at), abs=1e-4)


@pytest.mark.parametrize(
    ("some", "others", "both", "any_"),
    [
        ([(0, 2), (4, 6)], [(1, 5)], [(1, 2), (4, 5)], [(0, 6)]),
        ([(0, 1)], [(1, 2)], [], [(0, 2)]),
        ([], [(1, 2)], [], [(1, 2)]),
        ([(0, 9)], [(1, 2), (3, 4)], [(1, 2), (3, 4)], [(0, 9)]),
    ],
)
def test_spans_together(some, others, both, any_):
    assert in_both(some, others) == in_both(others, some) == both
    assert in_any([some, others]) == any_
    assert seconds(both) == sum(end - begin for begin, end in both)


def test_what_was_seen_to_begin():
    start = NOON - timedelta(hours=5)
    past = Past([], {}, start, NOON, start, gaps=[(ZERO - 3 * HOUR, ZERO - 2 * HOUR)])
    seen = {-5.0: False, -4.99: False, -4.5: True, -3.5: True, -2.5: False, -2: False, -1.9: True}
    assert {at: past.saw_begin(ZERO + at * HOUR) for at in seen} == seen
    assert past.seconds_missing == HOUR


def test_when_all_that_counts_is_known():
    past = Past([], {}, NOON, NOON, NOON - timedelta(hours=5))
    assert past.knows_all(Rolling(timedelta(hours=5)), ZERO)
    assert not past.knows_all(DAY, ZERO)
    assert past.knows_all(DAY, ZERO + HOUR)
    assert not past.knows_all(Calendar(Period.DAY), ZERO)
    assert past.knows_all(Calendar(Period.DAY, "Asia/Tokyo"), ZERO + 4 * HOUR)
