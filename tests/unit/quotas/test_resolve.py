"""Who is covered by which policies, and how several become one limit."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.resolve import resolve
from jupyterhub_usage_quotas.quotas.subject import Subject

HOUR = 3600


def rule(limit, *, resource="time", window=7, **more):
    """One entry; for everyone unless `group`, `user` or `empty` says otherwise."""
    whom = {key: more.pop(key) for key in ("group", "user") if key in more}
    scope = {} if more.pop("empty", False) else {"scope": whom or {"everyone": True}}
    return {"resource": resource, "limit": limit, "window": window, **scope, **more}


def limits(policies, user="ada", groups=("students",), **backup):
    """What somebody is given: resource, days of the window, limit in hours."""
    return [
        (
            allotment.resource,
            allotment.window.length / timedelta(days=1),
            pytest.approx(allotment.limit.base / HOUR, rel=1e-12),
        )
        for allotment in resolve(parse_policies(policies, backup), Subject(user, frozenset(groups)))
    ]


STUDENTS = rule("5 hours", group=["students"])
STAFF = rule("8 hours", group=["staff"])
ADA = rule("20 hours", user=["ada"])
EVERYONE = rule("1 hour")


@pytest.mark.parametrize(
    ("policies", "user", "groups", "expected"),
    [
        ([STUDENTS], "ada", ["students"], [5]),
        ([STUDENTS], "ada", ["others", "students"], [5]),
        ([STUDENTS], "ada", ["staff"], []),
        ([STUDENTS], "ada", [], []),
        ([STUDENTS], "students", [], []),
        ([ADA], "ada", [], [20]),
        ([ADA], "bob", [], []),
        ([ADA], "bob", ["ada"], []),
        ([EVERYONE], "ada", [], [1]),
        ([EVERYONE], "", [], [1]),
        # names are matched whole, and as they are written
        ([ADA], "ad", [], []),
        ([ADA], "adam", [], []),
        ([ADA], "Ada", [], []),
        ([STUDENTS], "ada", ["student", "students2", "Students"], []),
        ([rule("5 hours", group=["stud*"])], "ada", ["students"], []),
    ],
)
def test_a_policy_covers_the_groups_and_users_that_it_names(policies, user, groups, expected):
    assert limits(policies, user, groups) == [("time", 7, hours) for hours in expected]


@pytest.mark.parametrize(
    ("policies", "groups", "expected"),
    [
        # replaces what is for a group and for everyone, whether it is more or less
        ([STUDENTS, ADA], ["students"], [("time", 7, 20)]),
        ([EVERYONE, ADA, STUDENTS], ["students"], [("time", 7, 20)]),
        ([STUDENTS, rule("2 hours", user=["ada"])], ["students"], [("time", 7, 2)]),
        ([STUDENTS, rule("0", user=["ada"])], ["students"], [("time", 7, 0)]),
        # another window or another resource is another combination
        (
            [STUDENTS, rule("20 hours", user=["ada"], window=1)],
            ["students"],
            [("time", 7, 5), ("time", 1, 20)],
        ),
        (
            [STUDENTS, rule("20 GPU-hours", resource="gpu", user=["ada"])],
            ["students"],
            [("time", 7, 5), ("gpu", 7, 20)],
        ),
        # somebody else's replaces nothing
        ([STUDENTS, rule("20 hours", user=["bob"])], ["students"], [("time", 7, 5)]),
        # what is for a group does not replace what is for everyone
        ([EVERYONE, STUDENTS], ["students"], [("time", 7, 1)]),
        # several that name the user are combined as others are
        ([STUDENTS, ADA, rule("9 hours", user=["bob", "ada"])], ["students"], [("time", 7, 9)]),
    ],
)
def test_a_policy_that_names_the_user_replaces_others_for_the_same_combination(
    policies, groups, expected
):
    assert limits(policies, "ada", groups) == expected


@pytest.mark.parametrize(
    ("intersection", "expected"), [("min", 5), ("max", 8), ("sum", 13), (None, 5)]
)
@pytest.mark.parametrize("policies", [[STUDENTS, STAFF], [STAFF, STUDENTS]])
def test_several_policies_are_combined_as_the_admin_says(policies, intersection, expected):
    backup = {"intersection": intersection} if intersection else {}
    assert limits(policies, groups=["students", "staff"], **backup) == [("time", 7, expected)]
    assert limits(policies, groups=["students"], **backup) == [("time", 7, 5)]
    assert limits(policies, groups=["staff"], **backup) == [("time", 7, 8)]


def test_windows_written_differently_but_as_long_are_the_same_combination():
    policies = [rule("5 hours", window=7), rule("6 hours", window="1 week")]
    assert limits(policies, intersection="sum") == [("time", 7, 11)]


def test_different_combinations_are_kept_apart_in_the_order_in_which_they_are_written():
    policies = [
        rule("5 GPU-hours", resource="gpu"),
        rule("8 hours", window=1),
        rule("5 hours"),
        rule("7 hours", window=1),
        rule("9 CPU-hours", resource="cpu"),
    ]
    assert limits(policies, intersection="sum") == [
        ("gpu", 7, 5),
        ("time", 1, 15),
        ("time", 7, 5),
        ("cpu", 7, 9),
    ]


@pytest.mark.parametrize(
    ("written", "total", "symbol"),
    [
        (["1 GiB-hours", "1 GB-hours"], (2**30 + 10**9) * HOUR, "GiB-hours"),
        (["1 GB-hours", "1 GiB-days"], 10**9 * HOUR + 2**30 * 24 * HOUR, "GiB-days"),
        (["512 MiB-hours", "0.5 GiB-hours"], 2**30 * HOUR, "GiB-hours"),
        (["0", "3 MiB-hours"], 3 * 2**20 * HOUR, None),
    ],
)
def test_a_sum_of_differing_units_is_the_sum_of_the_amounts(written, total, symbol):
    for order in (written, written[::-1]):
        policies = [rule(limit, resource="memory") for limit in order]
        (allotment,) = resolve(parse_policies(policies, {"intersection": "sum"}), Subject("ada"))
        assert allotment.limit.base == pytest.approx(total, rel=1e-12)
        if symbol:
            assert allotment.limit.unit.symbol == symbol


def test_the_smallest_and_the_largest_are_found_across_units():
    policies = [rule("90 minutes"), rule("2 hours"), rule("0.1 days")]
    assert limits(policies, intersection="min") == [("time", 7, 1.5)]
    assert limits(policies, intersection="max") == [("time", 7, 2.4)]


def test_an_allotment_is_named_after_the_policies_that_decide_it():
    policies = [
        {**STUDENTS, "name": "students"},
        {**STAFF, "name": "staff"},
    ]
    named = {
        intersection: resolve(
            parse_policies(policies, {"intersection": intersection}),
            Subject("ada", frozenset({"students", "staff"})),
        )[0].name
        for intersection in ("min", "max", "sum")
    }
    assert named == {"min": "students", "max": "staff", "sum": "staff + students"}


def test_the_minimum_session_is_the_longest_unless_the_most_generous_counts():
    policies = [
        {**STUDENTS, "minimum_session": "10 minutes"},
        {**STAFF, "minimum_session": "20 minutes"},
    ]
    sessions = {
        intersection: resolve(
            parse_policies(policies, {"intersection": intersection}),
            Subject("ada", frozenset({"students", "staff"})),
        )[0].minimum_session
        / timedelta(minutes=1)
        for intersection in ("min", "max", "sum")
    }
    assert sessions == {"min": 20, "max": 10, "sum": 20}


# --- nobody covers ------------------------------------------------------------------------------

EMPTY = [rule("2 hours", empty=True), rule("3 GPU-hours", resource="gpu", empty=True)]


@pytest.mark.parametrize(
    ("user", "groups", "expected"),
    [
        ("bob", [], [("time", 7, 2), ("gpu", 7, 3)]),
        ("bob", ["others"], [("time", 7, 2), ("gpu", 7, 3)]),
        # one policy that covers is enough for `empty` not to count, whatever it limits
        ("bob", ["students"], [("time", 7, 5)]),
        ("ada", [], [("time", 7, 20)]),
    ],
)
def test_empty_is_for_those_whom_no_policy_covers(user, groups, expected):
    assert limits([STUDENTS, ADA], user, groups, empty=EMPTY) == expected


def test_without_empty_whoever_is_not_covered_is_given_no_limit():
    assert limits([STUDENTS], "bob", []) == []
    assert limits([], "bob", ["students"]) == []


def test_several_empty_policies_for_one_combination_are_combined_too():
    empty = [rule("2 hours", empty=True), rule("3 hours", empty=True)]
    assert limits([], empty=empty, intersection="min") == [("time", 7, 2)]
    assert limits([], empty=empty, intersection="sum") == [("time", 7, 5)]


# --- order --------------------------------------------------------------------------------------

names = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True)
rules = st.builds(
    lambda minutes, window, scope: {
        "resource": "time",
        "limit": f"{minutes} minutes",
        "window": window,
        "scope": scope,
    },
    minutes=st.integers(min_value=0, max_value=600),
    window=st.sampled_from([1, 7]),
    scope=st.one_of(
        st.builds(lambda group: {"group": group}, names),
        st.builds(lambda user: {"user": user}, names),
        st.just({"everyone": True}),
    ),
)


def by_hand(policies, user, groups, intersection):
    """The limits in minutes by window, worked out from the entries themselves."""
    combine = {"min": min, "max": max, "sum": sum}[intersection]
    result = {}
    for window in (1, 7):
        same = [policy for policy in policies if policy["window"] == window]
        own = [policy for policy in same if user in policy["scope"].get("user", ())]
        others = [
            policy
            for policy in same
            if policy["scope"] == {"everyone": True}
            or any(group in policy["scope"].get("group", ()) for group in groups)
        ]
        if own or others:
            result[window] = combine(
                Fraction(policy["limit"].split()[0]) for policy in own or others
            )
    return result


@given(
    policies=st.lists(rules, max_size=6),
    user=st.sampled_from("abcde"),
    groups=st.lists(st.sampled_from("abcde"), unique=True),
    intersection=st.sampled_from(["min", "max", "sum"]),
    data=st.data(),
)
def test_what_somebody_is_given_does_not_depend_on_any_order(
    policies, user, groups, intersection, data
):
    """Policies and groups in any order give the limits that follow from the entries by hand."""
    shuffled = data.draw(st.permutations(policies))
    shuffled_groups = data.draw(st.permutations(groups))
    backup = {"intersection": intersection}
    expected = by_hand(policies, user, groups, intersection)
    for entries, member_of in ((policies, groups), (shuffled, shuffled_groups)):
        given_limits = {
            allotment.window.length // timedelta(days=1): allotment.limit.base / 60
            for allotment in resolve(
                parse_policies(entries, backup), Subject(user, frozenset(member_of))
            )
        }
        assert given_limits == expected


@pytest.mark.parametrize(
    ("scope", "covered", "others"),
    [
        (
            {"user": ["Ada@Uni.edu"]},
            ("Ada@Uni.edu", []),
            [("ada@uni.edu", []), ("Ada@Uni.edu.org", []), ("xAda@Uni.edu", [])],
        ),
        (
            {"user": ["google-oauth2|1"]},
            ("google-oauth2|1", []),
            [("google-oauth2", []), ("1", []), ("google-oauth2|10", [])],
        ),
        ({"user": ["0012345"]}, ("0012345", []), [("12345", []), ("00123450", [])]),
        ({"user": ["a.b"]}, ("a.b", []), [("axb", [])]),
        (
            {"group": ["/Realm/Students"]},
            ("x", ["/Realm/Students"]),
            [("x", ["Students"]), ("x", ["/realm/students"]), ("x", ["/Realm/Students/a"])],
        ),
        ({"group": ["research:power"]}, ("x", ["research:power"]), [("x", ["research", "power"])]),
    ],
)
def test_names_are_matched_exactly(scope, covered, others):
    """As identity providers write them: nothing in them is a pattern, and case counts."""
    policies = [rule("5 hours", **scope)]
    assert limits(policies, *covered) == [("time", 7, 5)]
    assert [limits(policies, *other) for other in others] == [[]] * len(others)
