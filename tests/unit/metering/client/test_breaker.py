"""The circuit breaker: when it opens, for how long, and that it closes; on the test's clock."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.metering.client.breaker import Breaker


class Clock:
    """Seconds that only the test lets pass."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    fifteen, sixty = timedelta(seconds=15), timedelta(seconds=60)
    return Breaker(failures=3, cool_down=fifteen, longest=sixty, clock=clock)


def remaining(breaker: Breaker) -> float:
    return breaker.remaining.total_seconds()


def test_it_opens_with_the_third_failure_and_for_longer_with_every_further_one(breaker):
    pauses = []
    for _ in range(8):
        breaker.failed()
        pauses.append(remaining(breaker))
    assert pauses == [0, 0, 15, 30, 60, 60, 60, 60]


def test_the_time_runs_down_to_zero_and_not_below(breaker, clock):
    for _ in range(3):
        breaker.failed()
    seen = []
    for _ in range(5):
        seen.append(remaining(breaker))
        clock.seconds += 6
    assert seen == [15, 9, 3, 0, 0]


def test_when_the_time_is_over_another_failure_opens_it_at_once(breaker, clock):
    for _ in range(3):
        breaker.failed()
    clock.seconds += 3600
    assert remaining(breaker) == 0
    breaker.failed()
    assert remaining(breaker) == 30


def test_a_success_closes_it_and_all_begins_anew(breaker):
    for _ in range(5):
        breaker.failed()
    breaker.succeeded()
    assert remaining(breaker) == 0
    breaker.failed()
    breaker.failed()
    assert remaining(breaker) == 0
    breaker.failed()
    assert remaining(breaker) == 15


def test_failures_that_are_not_in_a_row_never_open_it(breaker):
    for _ in range(100):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert remaining(breaker) == 0


def test_a_week_of_failures_is_no_number_that_is_too_large(breaker, clock):
    for _ in range(10_000):
        breaker.failed()
        clock.seconds += 60
    breaker.failed()
    assert remaining(breaker) == 60


@given(st.lists(st.sampled_from(["fail", "succeed", 5, 20, 90])))
def test_whatever_happens_it_is_open_only_after_enough_failures_and_never_for_long(events):
    clock = Clock()
    breaker = Breaker(
        failures=2, cool_down=timedelta(seconds=10), longest=timedelta(seconds=40), clock=clock
    )
    in_a_row, failed_at = 0, 0.0
    for event in events:
        if event == "fail":
            breaker.failed()
            in_a_row, failed_at = in_a_row + 1, clock.seconds
        elif event == "succeed":
            breaker.succeeded()
            in_a_row = 0
        else:
            clock.seconds += event
        since = clock.seconds - failed_at
        if in_a_row < 2 or since >= 40:
            assert remaining(breaker) == 0
        else:
            assert (remaining(breaker) > 0) == (since < {2: 10, 3: 20}.get(in_a_row, 40))
        assert remaining(breaker) <= 40
