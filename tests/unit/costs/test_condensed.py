"""Costs that are added up as they are made are what allocations add up to: to the last digit."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as some

from jupyterhub_usage_quotas.costs.attribute import DayUsage, Rules, attribute
from jupyterhub_usage_quotas.costs.condensed import Sums
from jupyterhub_usage_quotas.costs.known import pieces
from jupyterhub_usage_quotas.costs.money import EXACT, ZERO
from jupyterhub_usage_quotas.costs.months import Span, months_of
from jupyterhub_usage_quotas.costs.values import CostRow, Kind

FIRST = date(2026, 10, 30)
RULES = Rules({"compute": {"memory": 3, "cpu": 7}, "home storage": {"storage": 1}})
DAYS = [FIRST + timedelta(days=number) for number in range(3)]

amounts = some.decimals("-1000", "1000", places=15, allow_nan=False)
rows = some.lists(
    some.builds(
        CostRow,
        some.sampled_from(DAYS),
        some.sampled_from(["prod", "staging", "", None]),
        some.sampled_from(["compute", "home storage", "core", "idle"]),
        amounts,
        some.sampled_from(["USD", "CHF"]),
        some.booleans(),
    ),
    max_size=12,
)
used = some.dictionaries(
    some.sampled_from(["ada", "bob", "eve", ""]),
    some.dictionaries(
        some.sampled_from(["memory", "cpu", "storage"]), some.integers(0, 10**12), max_size=3
    ),
    max_size=4,
)
usage = some.dictionaries(
    some.sampled_from(DAYS),
    some.builds(DayUsage, some.dictionaries(some.sampled_from(["prod", "staging"]), used)),
)


def added(allocations, *, on=None, users=None):
    """What they add up to, by everything that tells them apart."""
    sums: dict = defaultdict(lambda: [ZERO, True])
    for one in allocations:
        kind, user = one.kind, one.user
        if user and users is not None and user not in users:
            kind, user = Kind.OTHERS, ""
        at = sums[on or one.day, one.hub, one.component, kind, user, one.currency]
        at[0] = EXACT.add(at[0], one.amount)
        at[1] = at[1] and one.final
    return {at: tuple(found) for at, found in sums.items()}


@given(rows=rows, usage=usage, on=some.sampled_from([None, FIRST]), split=some.booleans())
def test_sums_are_what_allocations_add_up_to(rows, usage, on, split):
    rules = Rules(RULES.drivers, split)
    allocations = list(attribute(rows, usage, rules))
    for users in (None, frozenset({"ada"}), frozenset()):
        quick, slow = Sums(on=on, users=users), Sums(on=on, users=users)
        quick.attribute(rows, usage, rules)
        slow.add(allocations)
        expected = added(allocations, on=on, users=users)
        assert added(quick.allocations()) == expected
        assert added(slow.allocations()) == expected


@given(parts=some.lists(rows, max_size=3), usage=usage)
def test_sums_of_parts_are_the_sum_of_all(parts, usage):
    together = Sums(on=FIRST)
    for part in parts:
        one = Sums()
        one.attribute(part, usage, RULES)
        together.merge(one)
    every = [one for part in parts for one in attribute(part, usage, RULES)]
    assert added(together.allocations()) == added(every, on=FIRST)


@given(
    since=some.dates(date(2024, 1, 1), date(2028, 1, 1)),
    days=some.integers(0, 800),
    length=some.integers(1, 40),
)
def test_a_span_is_cut_into_pieces_without_a_gap(since, days, length):
    span = Span(since, since + timedelta(days=days))
    for found in (list(pieces(span, length)), list(months_of(span))):
        at = span.since
        for one in found:
            assert one.since == at < one.until
            at = one.until
        assert at == span.until
    assert all(one.until.day == 1 for one in list(months_of(span))[:-1])
    assert Decimal(len(list(months_of(span)))) <= days / 28 + 2
