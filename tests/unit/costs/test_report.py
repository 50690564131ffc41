"""Reports sum up what is selected, say what is hidden, and mark what is an estimate."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from jupyterhub_usage_quotas.costs.groups import Memberships
from jupyterhub_usage_quotas.costs.report import Row, Selection, report
from jupyterhub_usage_quotas.costs.values import Allocation, Kind

FIRST, SECOND = date(2026, 10, 1), date(2026, 10, 2)


def part(cost, user="", hub="prod", component="compute", kind=None, day=FIRST, final=True):
    of = kind or (Kind.USER if user else Kind.SHARED)
    return Allocation(day, hub, component, of, user, Decimal(cost), "USD", final)


PARTS = [
    part("1.005", "ada"),
    part("2", "ada", day=SECOND, final=False),
    part("4", "bob", component="home storage"),
    part("8", "eve", hub="staging"),
    part("16", hub=""),
    part("32", hub=None, component="Tax", kind=Kind.UNATTRIBUTED),
]


def test_rows_are_sums_in_order_and_what_has_no_hub_comes_last():
    made = report(PARTS, ["hub"])
    assert [(row.hub, row.amount, row.final) for row in made.rows] == [
        ("", 16, True),
        ("prod", Decimal("7.005"), False),
        ("staging", 8, True),
        (None, 32, True),
    ]
    assert made.rest == {"USD": 0}
    assert made.bill == {"USD": Decimal("63.005")}


def test_a_sum_of_everything_has_no_other_field():
    assert report(PARTS, []).rows == [Row(Decimal("63.005"), "USD", False)]


def test_what_a_filter_hides_is_the_rest():
    made = report(PARTS, ["user"], Selection(hubs=frozenset({"prod", ""})))
    assert {row.user: row.amount for row in made.rows} == {
        "": 16,
        "ada": Decimal("3.005"),
        "bob": 4,
    }
    assert made.rest == {"USD": 40}
    of_ada = report(PARTS, ["user"], Selection(users=frozenset({"ada"})))
    assert [row.user for row in of_ada.rows] == ["ada"]
    assert of_ada.rest == {"USD": 60}


def test_nobody_is_selected_by_no_names():
    made = report(PARTS, ["user"], Selection(users=frozenset()))
    assert (made.rows, made.rest) == ([], made.bill)


def test_a_group_is_what_its_members_cost_in_it():
    memberships = Memberships({("prod", "ada"): ("maths", "physics"), ("prod", "bob"): ("maths",)})
    made = report(PARTS, ["group"], Selection(groups=frozenset({"maths"})), memberships=memberships)
    assert [(row.group, row.amount) for row in made.rows] == [("maths", Decimal("5.5025"))]
    nobodys = report(PARTS, ["user"], Selection(groups=frozenset({""})), memberships=memberships)
    assert [row.user for row in nobodys.rows] == ["eve"]


def test_those_who_cost_most_are_shown_one_by_one():
    made = report(PARTS, ["kind", "user"], most_users=2)
    assert {(str(row.kind), row.user): row.amount for row in made.rows} == {
        ("user", "eve"): 8,
        ("user", "bob"): 4,
        ("others", ""): Decimal("3.005"),
        ("shared", ""): 16,
        ("unattributed", ""): 32,
    }


def test_cents_add_up_to_the_bill_in_cents():
    made = report(PARTS, ["day", "user"], decimals=2)
    assert sum(row.amount for row in made.rows) == made.bill["USD"] == Decimal("63.00")
    assert {str(row.amount.as_tuple().exponent) for row in made.rows} == {"-2"}


def test_no_costs_are_no_rows():
    made = report([], ["day"])
    assert (made.rows, made.rest, made.bill) == ([], {}, {})
