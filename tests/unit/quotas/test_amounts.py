"""Running totals, to which what is new is added, are what `Usage` works out anew."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.amounts import Amounts, RunTotals, bought, together
from jupyterhub_usage_quotas.quotas.usage import Bucket, Usage
from jupyterhub_usage_quotas.quotas.windows.base import from_unix
from jupyterhub_usage_quotas.quotas.windows.refill import Refill

NOW = datetime(2026, 3, 4, tzinfo=UTC)
BALANCES = [
    Refill(7.0, timedelta(seconds=7)),
    Refill(30.0, timedelta(minutes=1), timedelta(seconds=3)),
    Refill(0.0, timedelta(minutes=1)),
]
Runs = Sequence[tuple[float, float, float]]


def packed(runs: Runs) -> array[float]:
    return array("d", [value for run in runs for value in run])


def usage(runs: Runs) -> Usage:
    return Usage(tuple(Bucket(start, end, rate * (end - start)) for start, end, rate in runs), NOW)


def assert_same(made: Amounts, expected: Usage, chance: random.Random) -> None:
    assert made.end == expected.end
    for _ in range(8):
        start = chance.randrange(-10, 700)
        end = start + chance.randrange(400)
        assert made.between(start, end) == pytest.approx(expected.between(start, end), abs=1e-9)
        assert made.used_next(start) == expected.used_next(start)
    runs = list(made.segments())
    assert all(before[1] <= after[0] for before, after in pairwise(runs))
    for minute in range(12):
        parts = (
            rate * max(min(end, 60.0 * (minute + 1)) - max(start, 60.0 * minute), 0.0)
            for start, end, rate in runs
        )
        counts = expected.between(60.0 * minute, 60.0 * (minute + 1))
        assert math.fsum(parts) == pytest.approx(counts, abs=1e-9)
    for window in BALANCES:
        at = from_unix(chance.randrange(700))
        assert window.used(made, at) == pytest.approx(window.used(expected, at), abs=1e-9)


@given(st.integers(0, 2**32))
def test_whatever_comes_and_is_forgotten(seed: int):
    """A minute at a time: servers go on, end and begin, what was known lately is said otherwise,
    the oldest is cut off.
    """
    chance, runs, at = random.Random(seed), list[tuple[float, float, float]](), 0.0
    totals = RunTotals(packed(runs))
    for _ in range(30):
        at += 10
        what = chance.random()
        if what < 0.5 and runs and runs[-1][1] == at - 10:
            runs[-1] = (runs[-1][0], at, runs[-1][2])
        elif what < 0.8:
            runs.append((at - chance.choice([10, 7]), at, chance.choice([0.5, 1.0, 3.0])))
        if chance.random() < 0.2 and runs:
            runs.pop(chance.randrange(len(runs)))
        keep = at - 150
        runs = [(max(start, keep), end, rate) for start, end, rate in runs if end > keep]
        totals.update(packed(runs))
        assert totals.packed == packed(runs)
        anew, now = RunTotals(packed(runs)), from_unix(at)
        assert list(totals.segments()) == list(anew.segments()) == runs
        assert [one.used(totals, now) for one in BALANCES] == pytest.approx(
            [one.used(anew, now) for one in BALANCES], abs=1e-9
        )
        assert_same(totals, usage(runs), chance)


@given(st.integers(0, 2**32))
def test_several_servers_at_once_and_what_is_bought(seed: int):
    chance = random.Random(seed)
    each = [
        [(at, at + chance.randrange(1, 30), chance.choice([0.5, 2.0])) for at in range(0, 600, 40)]
        for _ in range(3)
    ]
    totals = [RunTotals(packed(runs)) for runs in each]
    assert_same(together(totals), usage([run for runs in each for run in runs]), chance)
    prices = {"a": 2.0, "b": 0.25}
    made = bought({"a": totals[0], "b": totals[1]}, prices)
    costs = [
        (start, end, rate * price)
        for runs, price in zip(each, prices.values(), strict=False)
        for start, end, rate in runs
    ]
    assert_same(made, usage(costs), chance)


def test_nothing_was_used():
    nothing = RunTotals(packed([]))
    assert nothing.between(0, 100) == 0
    assert nothing.used_next(0) == math.inf
    assert nothing.end == -math.inf
