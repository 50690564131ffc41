"""Amounts in time buckets add up to what was used, over any stretch of time."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.usage import Bucket, Usage, buckets_from_rates

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EPOCH_OF_NOW = 1_772_366_400


def usage_of(*buckets):
    return Usage(tuple(Bucket(*bucket) for bucket in buckets), NOW)


def by_hand(buckets, start, end):
    """What was used in (start, end]: every bucket's share of it, in exact fractions."""
    return sum(
        Fraction(bucket.amount)
        * max(Fraction(0), min(Fraction(end), Fraction(bucket.end)) - max(start, bucket.start))
        / (Fraction(bucket.end) - Fraction(bucket.start))
        for bucket in buckets
    )


# --- between ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "amount"),
    [
        (0, 200, 90),  # all of it
        (100, 160, 60),  # exactly one bucket
        (100, 130, 30),  # half of a bucket
        (110, 111, 1),
        (130, 190, 60 / 2 + 30 / 2),  # parts of two, and the gap between them
        (160, 180, 0),  # the gap
        (165, 170, 0),
        (0, 100, 0),  # before
        (200, 300, 0),  # after
        (199, 1e9, 30 / 20),
        (-1e9, 101, 1),
        (150, 150, 0),  # no time at all
        (160, 100, 0),  # backwards
    ],
)
def test_what_was_used_in_between_is_each_buckets_share(start, end, amount):
    usage = usage_of((100, 160, 60), (180, 200, 30))
    assert usage.between(start, end) == pytest.approx(amount, abs=1e-9)


def test_where_nothing_was_used_there_is_nothing():
    assert usage_of().between(0, 1e12) == 0
    assert usage_of().until(1e12) == 0
    assert usage_of().end == float("-inf")


def test_usage_ends_with_its_last_bucket():
    assert usage_of((100, 160, 60), (180, 200, 30)).end == 200


@st.composite
def disjoint_buckets(draw):
    """Up to 12 buckets in time order, of whole seconds or not, some of them touching."""
    at = draw(st.sampled_from([0.0, EPOCH_OF_NOW - 86400.0]))
    buckets = []
    for _ in range(draw(st.integers(min_value=0, max_value=12))):
        start = at + draw(st.sampled_from([0, 0, 1, 30, 3600]))
        at = start + draw(st.sampled_from([0.25, 1, 15, 60, 7 * 60, 86399]))
        amount = draw(st.just(0.0) | st.floats(min_value=1e-6, max_value=1e15))
        buckets.append(Bucket(start, at, amount))
    return tuple(buckets)


@st.composite
def buckets_and_instants(draw, count):
    buckets = draw(disjoint_buckets())
    first, last = (buckets[0].start, buckets[-1].end) if buckets else (0.0, 1.0)
    edges = [edge for bucket in buckets for edge in (bucket.start, bucket.end)] or [0.0]
    instants = st.sampled_from(edges) | st.floats(first - 100, last + 100)
    return buckets, sorted(draw(instants) for _ in range(count))


@given(buckets_and_instants(2))
def test_between_is_the_sum_that_is_made_by_hand(case):
    """What was used between two instants is the sum of every bucket's share."""
    buckets, (start, end) = case
    total = float(sum(bucket.amount for bucket in buckets))
    expected = float(by_hand(buckets, Fraction(start), Fraction(end)))
    got = Usage(buckets, NOW).between(start, end)
    assert got >= 0
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-9 * total)


@given(buckets_and_instants(3))
def test_two_stretches_that_meet_have_used_what_the_whole_has(case):
    """Nothing is lost or counted twice where one stretch of time ends and the next begins."""
    buckets, (first, second, third) = case
    usage = Usage(buckets, NOW)
    total = sum(bucket.amount for bucket in buckets)
    parts = usage.between(first, second) + usage.between(second, third)
    assert parts == pytest.approx(usage.between(first, third), rel=1e-9, abs=1e-9 * total)


@given(
    rates=st.lists(st.integers(min_value=0, max_value=64), min_size=1, max_size=40),
    size=st.sampled_from([1, 2**30]),
    data=st.data(),
)
def test_whole_rates_over_whole_minutes_are_exact(rates, size, data):
    """Whole rates over whole minutes add up without any rounding, however they are cut."""
    samples = [(EPOCH_OF_NOW + 60 * minute, size * rate) for minute, rate in enumerate(rates)]
    usage = Usage(buckets_from_rates(samples, 60), NOW)
    minutes = st.integers(min_value=-3, max_value=len(rates) + 2)
    start, end = sorted((data.draw(minutes), data.draw(minutes)))
    # The sample of minute m stands for the minute before it.
    expected = sum(60 * size * rate for m, rate in enumerate(rates) if start < m <= end)
    got = usage.between(EPOCH_OF_NOW + 60 * start, EPOCH_OF_NOW + 60 * end)
    assert got == expected


# --- what cannot be usage -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("buckets", "said"),
    [
        ([(60, 60, 1)], "empty"),
        ([(60, 0, 1)], "backwards"),
        ([(0, 60, -1)], "negative"),
        ([(0, 60, float("nan"))], "negative"),
        ([(float("nan"), 60, 1)], "empty"),
        ([(0, float("nan"), 1)], "empty"),
        ([(0, 60, 1), (60, 120, -0.001)], "negative"),
    ],
)
def test_buckets_that_cannot_be_are_refused(buckets, said):
    with pytest.raises(ValueError, match=said):
        usage_of(*buckets)


def test_buckets_that_touch_or_use_nothing_are_fine():
    assert usage_of((0, 60, 0), (60, 120, 5), (120, 180, 0)).between(0, 180) == 5


# --- buckets from rates -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "buckets"),
    [
        ([], []),
        ([(60, 0)], []),
        ([(60, 0), (120, 0)], []),
        ([(60, 2)], [(0, 60, 120)]),
        ([(60, 2), (120, 2), (180, 2)], [(0, 180, 360)]),
        ([(60, 2), (120, 3)], [(0, 60, 120), (60, 120, 180)]),
        ([(60, 2), (120, 0), (180, 2)], [(0, 60, 120), (120, 180, 120)]),
        # a gap in the samples is a gap in the usage, although the rate is the same
        ([(60, 2), (180, 2)], [(0, 60, 120), (120, 180, 120)]),
        ([(60, 2), (600, 2), (660, 2)], [(0, 60, 120), (540, 660, 240)]),
        ([(60, 0.5), (120, 0.5)], [(0, 120, 60)]),
        # a source that says less than nothing was used is not believed
        ([(60, 2), (120, -1), (180, 2)], [(0, 60, 120), (120, 180, 120)]),
    ],
)
def test_every_sample_stands_for_the_step_before_it(samples, buckets):
    assert buckets_from_rates(samples, 60) == tuple(Bucket(*bucket) for bucket in buckets)


def test_a_session_is_one_bucket_however_long_it_lasts():
    month = [(EPOCH_OF_NOW + 60 * minute, 2**33) for minute in range(43_200)]
    (bucket,) = buckets_from_rates(month, 60)
    assert (bucket.start, bucket.end) == (EPOCH_OF_NOW - 60, EPOCH_OF_NOW + 60 * 43_199)
    assert bucket.amount == 2**33 * 60 * 43_200


@given(
    gaps=st.lists(
        st.tuples(st.sampled_from([0, 0, 0, 1, 15, 200]), st.sampled_from([0, 0, 1, 1, 2, 0.1])),
        max_size=30,
    ),
    step=st.sampled_from([1, 15, 60]),
)
def test_buckets_have_what_their_samples_say_and_can_be_usage(gaps, step):
    """In the step before every sample the buckets have its rate times the step, and no more."""
    at, samples = EPOCH_OF_NOW, []
    for gap, rate in gaps:
        at += step + gap
        samples.append((at, rate))
    buckets = buckets_from_rates(iter(samples), step)
    Usage(buckets, NOW)  # they are in order and do not overlap
    for instant, rate in samples:
        used = float(by_hand(buckets, Fraction(instant - step), Fraction(instant)))
        assert used == pytest.approx(rate * step, rel=1e-9)
    total = sum(rate * step for _, rate in samples)
    assert sum(bucket.amount for bucket in buckets) == pytest.approx(total, rel=1e-9)
