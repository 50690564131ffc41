"""Who caused what: users by what they used, each resource by its own weight; else the reason."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from jupyterhub_usage_quotas.costs.attribute import DayUsage, Rules, attribute
from jupyterhub_usage_quotas.costs.groups import Memberships, in_groups
from jupyterhub_usage_quotas.costs.spreading import spread
from jupyterhub_usage_quotas.costs.values import CostRow, Kind

DAY = date(2026, 10, 5)
RULES = Rules({"compute": {"memory": 1, "cpu": 8}, "home storage": {"storage": 1}})
USED = {
    "prod": {
        # 10 + 8 * 5 = 50, 30 + 8 * 0 = 30: memory alone would be 1 to 3.
        "ada": {"memory": 10, "cpu": 5, "storage": 90},
        "bob": {"memory": 30, "storage": 10},
    },
    "staging": {"eve": {"memory": 20}},
}


def bill(*rows: tuple, final: bool = True) -> list[CostRow]:
    return [CostRow(DAY, hub, name, Decimal(cost), "USD", final) for hub, name, cost in rows]


def parts(rows, used=USED, *, rules=RULES, capacity=None, idle=False, shared=False):
    usage = {DAY: DayUsage(used, capacity or {})}
    found = spread(attribute(rows, usage, rules), idle=idle, shared=shared)
    made: dict = {}
    for one in found:
        at = (one.hub, one.component, str(one.kind), one.user)
        made[at] = made.get(at, 0) + one.amount
    return made


def test_users_cost_by_all_that_they_used():
    rows = bill(("prod", "compute", "80"), ("prod", "home storage", "20"))
    assert parts(rows) == {
        ("prod", "compute", "user", "ada"): 50,
        ("prod", "compute", "user", "bob"): 30,
        ("prod", "home storage", "user", "ada"): 18,
        ("prod", "home storage", "user", "bob"): 2,
    }


def test_hubs_are_not_pooled():
    rows = bill(("prod", "compute", "80"), ("staging", "compute", "5"))
    assert parts(rows)["staging", "compute", "user", "eve"] == 5


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ((None, "compute", "5"), "unattributed"),
        ((None, "tax", "5"), "unattributed"),
        (("", "compute", "5"), "shared"),
        (("", "core", "5"), "shared"),
        (("prod", "networking", "5"), "shared"),
        (("prod", "idle", "5"), "idle"),
        (("", "idle", "5"), "idle"),
        # Eve has no home; of a hub that is not measured it is not known who used what.
        (("staging", "home storage", "5"), "idle"),
        (("workshop", "compute", "5"), "unattributed"),
    ],
)
def test_what_no_user_caused_says_why(row, kind):
    assert parts(bill(row)) == {(row[0], row[1], kind, ""): 5}


def test_a_day_without_usage_is_not_known():
    assert parts(bill(("prod", "compute", "5")), {}) == {("prod", "compute", "unattributed", ""): 5}
    assert [one.kind for one in attribute(bill(("prod", "compute", "5")), {}, RULES)] == [
        Kind.UNATTRIBUTED
    ]


def test_a_day_on_which_nobody_used_anything_is_idle():
    used = {"prod": {}}
    assert parts(bill(("prod", "compute", "5")), used) == {("prod", "compute", "idle", ""): 5}


def test_what_there_was_beyond_what_was_used_is_idle():
    # Of 100 and 10 were used 40 and 5: 60 and 8 * 5 are left, as much as 80 that was used.
    capacity = {"prod": {"memory": 100, "cpu": 10}}
    assert parts(bill(("prod", "compute", "180")), capacity=capacity) == {
        ("prod", "compute", "user", "ada"): 50,
        ("prod", "compute", "user", "bob"): 30,
        ("prod", "compute", "idle", ""): 100,
    }
    # More was used than there was: capacity is not negative.
    less = {"prod": {"memory": 1, "cpu": 1}}
    assert parts(bill(("prod", "compute", "80")), capacity=less) == parts(
        bill(("prod", "compute", "80"))
    )


def test_what_is_nobodys_is_idle():
    used = {"prod": {"": {"storage": 300}, "ada": {"storage": 100}}}
    assert parts(bill(("prod", "home storage", "4")), used) == {
        ("prod", "home storage", "user", "ada"): 1,
        ("prod", "home storage", "idle", ""): 3,
    }


def test_a_cluster_without_tags_of_hubs_can_be_split_by_usage():
    rules = Rules(RULES.drivers, split_untagged=True)
    assert parts(bill(("", "compute", "100"), ("", "core", "7")), rules=rules) == {
        ("prod", "compute", "user", "ada"): 50,
        ("prod", "compute", "user", "bob"): 30,
        ("staging", "compute", "user", "eve"): 20,
        ("", "core", "shared", ""): 7,
    }


def test_a_credit_lowers_the_costs_of_those_who_cost():
    rows = bill(("prod", "compute", "80"), ("prod", "compute", "-40"))
    assert parts(rows)["prod", "compute", "user", "ada"] == 25


def test_an_estimate_stays_one():
    rows = bill(("prod", "compute", "1")) + bill(("prod", "compute", "2"), final=False)
    assert {one.final for one in attribute(rows, {DAY: DayUsage(USED)}, RULES)} == {False}


def test_currencies_are_not_added_up():
    rows = [*bill(("prod", "core", "1")), CostRow(DAY, "prod", "core", Decimal(2), "CHF")]
    found = {one.currency: one.amount for one in attribute(rows, {}, RULES)}
    assert found == {"USD": 1, "CHF": 2}


# --- spreading -----------------------------------------------------------------------------------

BILL = bill(
    ("prod", "compute", "80"),
    ("staging", "compute", "20"),
    ("prod", "networking", "16"),
    ("", "core", "10"),
    ("staging", "idle", "3"),
    (None, "tax", "9"),
)


def test_shared_costs_can_be_spread_by_what_users_cost():
    assert parts(BILL, shared=True) == {
        ("prod", "compute", "user", "ada"): 50,
        ("prod", "compute", "user", "bob"): 30,
        ("staging", "compute", "user", "eve"): 20,
        ("prod", "networking", "user", "ada"): 10,
        ("prod", "networking", "user", "bob"): 6,
        ("prod", "core", "user", "ada"): 5,
        ("prod", "core", "user", "bob"): 3,
        ("staging", "core", "user", "eve"): 2,
        ("staging", "idle", "idle", ""): 3,
        (None, "tax", "unattributed", ""): 9,
    }


def test_idle_costs_can_be_spread_for_themselves():
    found = parts(BILL, idle=True)
    assert found["staging", "idle", "user", "eve"] == 3
    assert found["", "core", "shared", ""] == 10


def test_what_nobody_can_bear_stays_what_it_is():
    rows = bill(("workshop", "networking", "5"), ("prod", "compute", "80"), ("", "core", "-8"))
    found = parts(rows, shared=True)
    assert found["workshop", "networking", "shared", ""] == 5
    assert found["prod", "core", "user", "ada"] == -5


def test_less_than_can_be_weighed_is_borne_in_equal_parts():
    rows = bill(("prod", "compute", "1e-15"), ("prod", "networking", "2"))
    found = parts(rows, shared=True)
    assert found["prod", "networking", "user", "ada"] == 2


# --- groups --------------------------------------------------------------------------------------

GROUPS = {("prod", "ada"): ("physics", "maths"), ("prod", "bob"): ("physics",)}


def by_group(memberships: Memberships) -> dict:
    usage = {DAY: DayUsage(USED)}
    rows = bill(("prod", "compute", "80"), ("staging", "compute", "5"), ("", "core", "7"))
    found: dict = {}
    for one in in_groups(attribute(rows, usage, RULES), memberships):
        found[one.group, str(one.kind)] = found.get((one.group, str(one.kind)), 0) + one.amount
    return found


def test_a_user_of_two_groups_counts_half_in_each():
    assert by_group(Memberships(GROUPS)) == {
        ("maths", "user"): 25,
        ("physics", "user"): 55,
        ("", "user"): 5,
        ("", "shared"): 7,
    }


def test_a_user_counts_in_their_primary_group():
    found = by_group(Memberships(GROUPS, primary=["chemistry", "maths"]))
    assert (found["maths", "user"], found["physics", "user"]) == (50, 30)


def test_a_user_counts_by_weights():
    found = by_group(Memberships(GROUPS, weights={"maths": 4}))
    assert (found["maths", "user"], found["physics", "user"]) == (40, 40)
    found = by_group(Memberships(GROUPS, weights={"maths": 0}))
    assert found["physics", "user"] == 80
    assert ("maths", "user") not in found
    # All of whose groups weigh nothing is in them all the same.
    found = by_group(Memberships(GROUPS, weights={"maths": 0, "physics": 0}))
    assert (found["maths", "user"], found["physics", "user"]) == (25, 55)
