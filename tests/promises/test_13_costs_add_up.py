"""Promise 13: attributed, idle, shared and not attributed costs are the bill, to the cent, for
every filter and every rounding; nobody is counted twice.

The oracle adds up the rows of the bill in fractions.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_usage_quotas.costs.attribute import DayUsage, Rules, attribute
from jupyterhub_usage_quotas.costs.groups import Memberships
from jupyterhub_usage_quotas.costs.money import read_amount
from jupyterhub_usage_quotas.costs.report import FIELDS, Selection, report
from jupyterhub_usage_quotas.costs.spreading import spread
from jupyterhub_usage_quotas.costs.values import CostRow, Kind

FIRST = date(2026, 10, 1)
DAYS = [FIRST + timedelta(days=number) for number in range(3)]
# Whatever names are made of; a hub may be called as the words that we have for kinds.
NAMES = ["ada", "bob", "idle", "All", "{a,b}", "\ud800", "support"]
GROUPS = ["physics", "maths", "ada"]
COMPONENTS = ["compute", "home storage", "core", "idle", "Tax"]

days = st.sampled_from(DAYS)
hubs = st.sampled_from(["prod", "staging", "", "idle"])
amounts = st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False).map(read_amount)
rows = st.builds(
    CostRow,
    days,
    st.none() | hubs,
    st.sampled_from(COMPONENTS),
    amounts,
    st.sampled_from(["USD", "CHF"]),
    st.booleans(),
)
resources = st.dictionaries(
    st.sampled_from(["memory", "cpu", "storage"]), st.integers(0, 10**15), max_size=3
)
used = st.dictionaries(
    hubs, st.dictionaries(st.sampled_from([*NAMES, ""]), resources, max_size=4), max_size=3
)
usage = st.dictionaries(
    days, st.builds(DayUsage, used, st.dictionaries(hubs, resources, max_size=2))
)
rules = st.builds(
    Rules,
    st.fixed_dictionaries(
        {},
        optional={
            "compute": st.dictionaries(
                st.sampled_from(["memory", "cpu"]), st.integers(0, 10**12), max_size=2
            ),
            "home storage": st.just({"storage": 1}),
        },
    ),
    st.booleans(),
)


def some(names):
    return st.none() | st.frozensets(st.sampled_from(names), max_size=3)


selections = st.builds(
    Selection,
    some(["prod", "staging", "", "nowhere"]),
    some(COMPONENTS),
    some(NAMES),
    some([*GROUPS, ""]),
)
memberships = st.builds(
    Memberships,
    st.dictionaries(
        st.tuples(hubs, st.sampled_from(NAMES)), st.lists(st.sampled_from(GROUPS)).map(tuple)
    ),
    st.lists(st.sampled_from(GROUPS), max_size=2),
    st.dictionaries(st.sampled_from(GROUPS), st.integers(-1, 5)),
)


def billed(rows) -> dict[str, Fraction]:
    """What was charged in each currency."""
    sums: dict[str, Fraction] = defaultdict(Fraction)
    for row in rows:
        sums[row.currency] += Fraction(row.amount)
    return dict(sums)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(rows, max_size=8),
    usage,
    rules,
    selections,
    st.lists(st.sampled_from(FIELDS), unique=True),
    st.none() | memberships,
    st.booleans(),
    st.booleans(),
    st.none() | st.integers(0, 3),
    st.none() | st.integers(0, 4),
)
def test_costs_add_up(
    rows, usage, rules, selection, by, memberships, idle, shared, most_users, decimals
):
    allocations = list(spread(attribute(rows, usage, rules), idle=idle, shared=shared))
    assert billed(allocations) == billed(rows)

    made = report(
        allocations,
        by,
        selection,
        memberships=memberships,
        most_users=most_users,
        decimals=decimals,
    )
    expected = billed(rows)
    shown: dict[str, Fraction] = billed(made.rows)
    step = Fraction(0) if decimals is None else Fraction(1, 10**decimals)
    assert made.rest.keys() == made.bill.keys() == expected.keys()
    for currency, bill in expected.items():
        parts = shown.get(currency, Fraction(0)) + Fraction(made.rest[currency])
        assert parts == Fraction(made.bill[currency])
        assert abs(parts - bill) <= step / 2

    # Nobody is shown twice: there is one row for whatever they are summed up by.
    keys = [(row.currency, *(getattr(row, name) for name in by)) for row in made.rows]
    assert len(keys) == len(set(keys))
    if most_users is not None and "user" in by:
        users = {(row.currency, row.user) for row in made.rows if row.user}
        assert len(users) <= most_users


@settings(max_examples=50, deadline=None)
@given(st.lists(rows, max_size=8), usage, rules, memberships)
def test_users_cost_the_same_in_all_their_groups_together(rows, usage, rules, memberships):
    allocations = list(attribute(rows, usage, rules))
    alone = report(allocations, ["hub", "kind", "user"])
    in_groups = report(allocations, ["hub", "kind", "user", "group"], memberships=memberships)
    sums: dict = defaultdict(Fraction)
    for row in in_groups.rows:
        sums[row.currency, row.hub, row.kind, row.user] += Fraction(row.amount)
    assert sums == {
        (row.currency, row.hub, row.kind, row.user): Fraction(row.amount) for row in alone.rows
    }


@settings(max_examples=50, deadline=None)
@given(st.lists(rows, max_size=8), usage, rules, selections)
def test_of_users_and_groups_only_what_is_theirs_is_shown(rows, usage, rules, selection):
    made = report(attribute(rows, usage, rules), FIELDS, selection, memberships=Memberships())
    for row in made.rows:
        assert selection.users is None or (row.kind is Kind.USER and row.user in selection.users)
        assert selection.hubs is None or row.hub in selection.hubs
