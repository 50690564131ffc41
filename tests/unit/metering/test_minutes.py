"""Minutes as bits, against sets of minutes."""

from __future__ import annotations

from array import array
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.metering.client.series import Series
from jupyterhub_usage_quotas.metering.minutes import MINUTE, Minutes, bits_of, spans_of
from jupyterhub_usage_quotas.metering.timelines import runs_of

FIRST = 1_764_000_000
some_minutes = st.sets(st.integers(0, 200))


def series(ones: set[int], zeros: set[int], uid: str = "u", **labels: str) -> Series:
    at = sorted(ones | zeros)
    instants = array("d", [FIRST + place * MINUTE for place in at])
    return Series({"uid": uid, **labels}, instants, array("d", [float(one in ones) for one in at]))


def as_set(bits: int) -> set[int]:
    return {place for place in range(bits.bit_length()) if bits >> place & 1}


@given(some_minutes, some_minutes, some_minutes)
def test_minutes_are_those_at_which_any_of_the_series_is_one(first, second, zeros):
    both = [series(one, zeros, instance=str(one)) for one in (first, second) if one | zeros]
    bits = bits_of(both, FIRST, lambda one: one.labels["uid"])
    assert as_set(bits.get("u", 0)) == first | second


@given(st.integers(0, 100), st.integers(1, 100))
def test_a_row_of_ones_is_all_of_its_minutes(begin, number):
    ones = set(range(begin, begin + number))
    bits = bits_of([series(ones, set())], FIRST, lambda one: one.labels["uid"])
    assert as_set(bits["u"]) == ones


@given(some_minutes)
def test_spans_are_the_rows_of_ones(ones):
    bits = sum(1 << place for place in ones)
    spans = list(spans_of(bits, FIRST))
    inside = {(at - FIRST) // MINUTE for a, b in spans for at in range(a, b + 1, MINUTE)}
    assert inside == ones
    assert all(before[1] + MINUTE < after[0] for before, after in pairwise(spans))


@given(some_minutes, st.sampled_from([0.0, 60.0, 600.0]))
def test_runs_are_those_of_the_samples(ones, longest):
    minutes = Minutes(FIRST, {"u": sum(1 << place for place in ones)})
    samples = [(FIRST + place * 60.0, 1.0) for place in sorted(ones)]
    expected = runs_of(samples, 60.0, lambda last, next_: next_ - 60 - last <= longest)
    assert minutes.runs("u", longest) == expected
    assert minutes.last("u") == max((at for at, _ in samples), default=float("-inf"))


@given(some_minutes, some_minutes)
def test_some_can_be_left_out(ones, others):
    left = Minutes(FIRST, {"u": sum(1 << place for place in ones)}).without(
        {"u": sum(1 << place for place in others)}
    )
    assert as_set(left.bits.get("u", 0)) == ones - others
