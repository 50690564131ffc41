"""A user's month is shown in parts that add up to its total."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.costs.monthly import by_user
from jupyterhub_usage_quotas.costs.values import CLUSTER, Allocation, Kind

CENT = Decimal("0.01")


def part(cost, component, *, user="ada", hub="prod", currency="USD", final=True):
    amount = Decimal(cost)
    return Allocation(
        date(2026, 10, 1), hub, component, Kind.USER, user, amount, currency, final=final
    )


def test_three_parts_of_a_third_are_no_more_than_the_whole():
    (own,) = by_user([part("0.335", name) for name in "abc"], "prod")["ada"]
    # A sum of 1.005 is a dollar, rounded to even.
    assert own.total == Decimal("1.00")
    assert sorted(own.amounts.values()) == [Decimal("0.33"), Decimal("0.33"), Decimal("0.34")]


def test_what_others_cost_or_another_hub_or_in_another_currency_is_kept_apart():
    found = by_user(
        [
            part("1", "compute"),
            part("2", "compute"),
            part("4", "compute", currency="EUR", final=False),
            part("8", "compute", hub="staging"),
            part("16", "compute", hub=CLUSTER),
            part("32", "compute", user="bob"),
        ],
        "prod",
    )
    assert {user: {one.currency: one.total for one in own} for user, own in found.items()} == {
        "ada": {"USD": 3, "EUR": 4},
        "bob": {"USD": 32},
    }
    assert {one.currency: one.final for one in found["ada"]} == {"USD": True, "EUR": False}


@given(st.lists(st.decimals(-1000, 1000, places=6), min_size=1, max_size=12))
def test_the_parts_that_are_shown_add_up_to_the_total_that_is_shown(amounts):
    (own,) = by_user([part(one, f"c{n}") for n, one in enumerate(amounts)], "prod")["ada"]
    assert own.total == own.total.quantize(CENT)
    assert all(one == one.quantize(CENT) for one in own.amounts.values())
    assert sum(own.amounts.values()) == own.total
    assert abs(own.total - sum(amounts)) <= CENT / 2
