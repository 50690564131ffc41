"""Amounts are read exactly, and split and rounded so that nothing is lost."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.costs.money import InvalidAmount, read_amount, rounded, split

amounts = st.decimals(-(10**12), 10**12, places=None, allow_nan=False, allow_infinity=False).map(
    read_amount
)
weights = st.lists(st.integers(0, 10**18), min_size=1, max_size=20).filter(any)


def exact(numbers) -> Fraction:
    return sum(map(Fraction, numbers), Fraction(0))


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("12.50", "12.50"),
        (" 0.0000000212 ", "2.12E-8"),
        ("-7", "-7"),
        (0.1, "0.1"),
        ("1e3", "1000"),
        ("0.1234567890123456789012345", "0.12345678901234567890"),
    ],
)
def test_an_amount_is_read_as_it_is_written(text, amount):
    assert read_amount(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "12,50", "NaN", "Infinity", "1e16", "12 USD", None, "0x1"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(InvalidAmount, match="no amount of money"):
        read_amount(text)


def test_a_dollar_in_three_parts():
    parts = split(Decimal(1), [1, 1, 1])
    assert parts == [Decimal("0.3333333334"), Decimal("0.3333333333"), Decimal("0.3333333333")]


def test_what_is_left_goes_to_who_lost_most():
    # 10 units by 5:3:2 of 11 are 4.54..., 2.72... and 1.81..., and one part is of no weight.
    parts = split(Decimal("10e-10"), [5, 3, 0, 2, 1])
    assert [int(one.scaleb(10)) for one in parts] == [4, 3, 0, 2, 1]


def test_a_credit_is_split_as_a_charge_is():
    assert split(Decimal("-0.10"), [1, 2]) == [-one for one in split(Decimal("0.10"), [1, 2])]


def test_what_is_smaller_than_parts_are_goes_to_the_largest():
    assert split(Decimal("1.00000000000000000001"), [1, 3]) == [
        Decimal("0.25"),
        Decimal("0.75000000000000000001"),
    ]
    assert split(Decimal("1e-15"), [0, 2, 3]) == [0, 0, Decimal("1e-15")]


@pytest.mark.parametrize("of", [[], [0], [0, 0], [1, -1], [2, -1]])
def test_nothing_can_be_split_by_no_weights(of):
    with pytest.raises(ValueError, match="cannot be split"):
        split(Decimal(1), of)


@given(amounts, weights)
def test_parts_are_in_proportion_and_add_up(amount, of):
    parts = split(amount, of)
    assert exact(parts) == Fraction(amount)
    for part, weight in zip(parts, of, strict=True):
        assert abs(Fraction(part) - Fraction(amount) * weight / sum(of)) < Fraction(2, 10**10)
        assert weight or not part


@given(st.dictionaries(st.integers(), amounts, max_size=30), st.integers(0, 6))
def test_rounded_parts_add_up_to_the_rounded_sum(parts, decimals):
    made = rounded(parts, decimals)
    step = Fraction(1, 10**decimals)
    assert abs(exact(made.values()) - exact(parts.values())) <= step / 2
    for key, part in parts.items():
        assert abs(Fraction(made[key]) - Fraction(part)) < step
        assert Fraction(made[key]) % step == 0


def test_thirds_of_a_dollar_are_a_dollar_in_cents():
    third = Decimal("0.3333333333")
    made = rounded({"a": third, "b": third, "c": third + Decimal("1e-10")}, 2)
    assert made == {"a": Decimal("0.33"), "b": Decimal("0.33"), "c": Decimal("0.34")}
