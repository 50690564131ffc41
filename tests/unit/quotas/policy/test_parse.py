"""What an admin can write is read as meant, and every mistake is named where it was made."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from datetime import timedelta
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jupyterhub_usage_quotas.quotas.policy.doubts import limits_without_unit
from jupyterhub_usage_quotas.quotas.policy.errors import InvalidPolicies
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.resources import RESOURCES

GIB_HOUR = 2**30 * 3600

FINE = {
    "name": "x",
    "resource": "memory",
    "limit": {"value": 1000, "unit": "GiB-hours"},
    "window": 7,
    "scope": {"group": ["group-0"]},
}
OTHER = {**FINE, "name": "other", "resource": "cpu", "limit": "100 CPU-hours"}
LEFT_OUT = object()


def entry(changes=None, **fields):
    """The entry FINE with some fields changed; LEFT_OUT takes a field away."""
    changed = FINE | (changes or {}) | fields
    return {key: value for key, value in changed.items() if value is not LEFT_OUT}


def errors_of(policy, backup_strategy=None):
    with pytest.raises(InvalidPolicies) as refused:
        parse_policies(policy, backup_strategy)
    assert str(refused.value) == "\n".join(map(str, refused.value.errors))
    return [str(error) for error in refused.value.errors]


# --- what is accepted ---------------------------------------------------------------------------


def test_the_configuration_of_the_quickstart_is_accepted():
    policies = parse_policies(
        [
            {
                "resource": "memory",
                "limit": {"value": 1000, "unit": "GiB-hours"},
                "window": 7,
                "scope": {"group": ["group-0"]},
            }
        ],
        {"intersection": "min"},
    )
    (policy,) = policies.policies
    assert policy.resource == "memory"
    assert policy.limit.base == 1000 * GIB_HOUR
    assert policy.window.length == timedelta(days=7)
    assert policy.scope.group.exact == ("group-0",)
    assert not policy.scope.user
    assert not policy.scope.everyone
    assert policy.minimum_session == timedelta(0)
    assert policies.empty == ()
    assert policies.intersection == "min"


@pytest.mark.parametrize(
    ("limit", "base"),
    [
        ({"value": 1000, "unit": "GiB-hours"}, 1000 * GIB_HOUR),
        ({"unit": "GiB-hours", "value": 0.5}, GIB_HOUR / 2),
        ({"value": 0, "unit": "GiB-hours"}, 0),
        ("1000 GiB-hours", 1000 * GIB_HOUR),
        ("5000G", 5000 * GIB_HOUR),
        ("0", 0),
        (0, 0),
        (0.0, 0),
    ],
)
def test_a_limit_can_be_written_as_a_mapping_or_a_text(limit, base):
    assert parse_policies([entry(limit=limit)]).policies[0].limit.base == base


@pytest.mark.parametrize(
    ("limit", "hours"),
    # As 2i2c's package multiplies them, each by ten more than the one before.
    [("5K", 5000), ("5M", 50_000), ("5G", 500_000), ("5T", 5_000_000), ("0K", 0)],
)
def test_suffixes_of_cpu_are_what_2i2cs_package_reads_them_as(limit, hours):
    written = entry(resource="cpu", limit=limit)
    (policy,) = parse_policies([written]).policies
    assert policy.limit.base == hours * 3600
    assert policy.limit.unit.symbol == "CPU-hours"
    said = [*limits_without_unit("policy", [written], RESOURCES)]
    assert said == [
        f"policy[0].limit '{limit}' is taken as {hours} CPU-hours, as 2i2c's package reads it;"
        f" write '{hours} CPU-hours'"
    ]


@pytest.mark.parametrize("limit", ["5k", "5 K", "5.5K", "-5K", "5P", "K", "٥K", "5Ki", "5KK"])
def test_other_suffixes_of_cpu_are_refused(limit):
    with pytest.raises(InvalidPolicies):
        parse_policies([entry(resource="cpu", limit=limit)])


@pytest.mark.parametrize(
    ("window", "length"),
    [
        (7, timedelta(days=7)),
        (0.5, timedelta(hours=12)),
        ("36h", timedelta(hours=36)),
        ("30 days", timedelta(days=30)),
        ("1 minute", timedelta(minutes=1)),
        (3660, timedelta(days=3660)),
    ],
)
def test_a_window_can_be_written_as_days_or_a_duration(window, length):
    assert parse_policies([entry(window=window)]).policies[0].window.length == length


@pytest.mark.parametrize(
    ("scope", "groups", "users", "everyone"),
    [
        ({"group": ["a", "b"]}, {"a", "b"}, set(), False),
        ({"group": ("a",)}, {"a"}, set(), False),
        ({"group": {"a", "b"}}, {"a", "b"}, set(), False),
        ({"user": ["ada"]}, set(), {"ada"}, False),
        ({"group": ["a"], "user": ["ada"]}, {"a"}, {"ada"}, False),
        ({"everyone": True}, set(), set(), True),
        (MappingProxyType({"group": ["a"]}), {"a"}, set(), False),
        ({"group": ["<b>\"'{}\\\n", "é" * 300]}, {"<b>\"'{}\\\n", "é" * 300}, set(), False),
    ],
)
def test_a_scope_can_name_groups_and_users_or_everyone(scope, groups, users, everyone):
    read = parse_policies([entry(scope=scope)]).policies[0].scope
    assert (set(read.group.exact), set(read.user.exact), read.everyone) == (groups, users, everyone)


def test_a_minimum_session_is_a_duration():
    (policy,) = parse_policies([entry(minimum_session="10 minutes")]).policies
    assert policy.minimum_session == timedelta(minutes=10)


def test_entries_keep_their_order_and_may_be_a_tuple_of_any_mappings():
    policies = parse_policies((MappingProxyType(OTHER), FINE))
    assert [policy.name for policy in policies.policies] == ["other", "x"]


def test_no_policies_are_a_configuration_too():
    assert list(parse_policies([])) == []
    assert list(parse_policies([], {})) == []
    assert list(parse_policies([], None)) == []


@pytest.mark.parametrize("intersection", ["min", "max", "sum"])
def test_every_intersection_is_accepted(intersection):
    assert parse_policies([], {"intersection": intersection}).intersection == intersection


def test_the_intersection_is_min_unless_the_admin_says_otherwise():
    assert parse_policies([]).intersection == "min"
    assert parse_policies([], {"empty": []}).intersection == "min"


@pytest.mark.parametrize(
    ("empty", "names"),
    [
        ({}, []),
        ([], []),
        (None, []),
        (entry(scope=LEFT_OUT), ["x"]),
        ([entry(scope=LEFT_OUT)], ["x"]),
        ([entry(scope=LEFT_OUT), entry(scope=LEFT_OUT, name="y", window=1)], ["x", "y"]),
    ],
)
def test_empty_can_be_nothing_one_policy_or_a_list(empty, names):
    policies = parse_policies([OTHER], {"empty": empty})
    assert [policy.name for policy in policies.empty] == names
    assert [policy.name for policy in policies] == ["other", *names]


def test_policies_are_frozen():
    (policy,) = parse_policies([FINE]).policies
    with pytest.raises(ValidationError):
        policy.resource = "cpu"
    with pytest.raises(ValidationError):
        policy.scope.group = ("everyone-else",)


# --- what is refused ----------------------------------------------------------------------------

ERRORS = [
    # what is changed in an entry that was fine; the field that is named; what the error says
    ({"resource": "tape"}, "resource", ["'tape'", "memory, cpu, gpu"]),
    ({"resource": None}, "resource", ["None", "memory"]),
    ({"resource": "Memory"}, "resource", ["'Memory'", "memory"]),
    ({"resource": LEFT_OUT}, "resource", ["missing"]),
    ({"limit": {"value": 9, "unit": "CPU-hours"}}, "limit", ["'CPU-hours'", "memory", "GiB-hours"]),
    ({"limit": "9 GPU-hours"}, "limit", ["'GPU-hours'", "GiB-hours"]),
    ({"limit": "20h"}, "limit", ["'h'", "GiB-hours"]),
    ({"limit": "1000"}, "limit", ["'1000'", "no unit", "GiB-hours"]),
    ({"limit": 1000}, "limit", ["1000", "no unit", "GiB-hours"]),
    ({"limit": {"value": -1, "unit": "GiB-hours"}}, "limit", ["-1", "not be negative"]),
    ({"limit": "-1 GiB-hours"}, "limit", ["-1 GiB-hours", "not be negative"]),
    ({"limit": "1,5 GiB-hours"}, "limit", ["'1,5 GiB-hours'", "expected '1.5 GiB-hours'"]),
    ({"limit": "1e999 GiB-hours"}, "limit", ["1e999 GiB-hours", "finite"]),
    ({"limit": {"value": float("nan"), "unit": "GiB-hours"}}, "limit", ["nan"]),
    ({"limit": {"value": float("inf"), "unit": "GiB-hours"}}, "limit", ["inf"]),
    ({"limit": {"value": "1000", "unit": "GiB-hours"}}, "limit", ["'1000'", "number"]),
    ({"limit": {"value": True, "unit": "GiB-hours"}}, "limit", ["True", "number"]),
    ({"limit": {"value": 9, "unit": 3}}, "limit", ["3", "GiB-hours"]),
    ({"limit": {"value": 9}}, "limit", ["value and unit", "got ['value']"]),
    ({"limit": {}}, "limit", ["value and unit"]),
    ({"limit": {"value": 9, "unit": "GiB-hours", "per": 1}}, "limit", ["value and unit", "per"]),
    ({"limit": True}, "limit", ["True", "GiB-hours"]),
    ({"limit": None}, "limit", ["None", "GiB-hours"]),
    ({"limit": [1000, "GiB-hours"]}, "limit", ["[1000, 'GiB-hours']", "GiB-hours"]),
    ({"limit": LEFT_OUT}, "limit", ["missing"]),
    ({"window": -7}, "window", ["-7", "between 0 and 3660 days"]),
    ({"window": 0}, "window", ["got 0", "at least a minute"]),
    ({"window": "0h"}, "window", ["'0h'", "at least a minute"]),
    ({"window": "30 seconds"}, "window", ["'30 seconds'", "at least a minute"]),
    ({"window": True}, "window", ["True", "number of days", "36h"]),
    ({"window": 10**9}, "window", ["1000000000", "3660 days"]),
    ({"window": 1e308}, "window", ["1e+308", "3660 days"]),
    ({"window": 10**400}, "window", ["3660 days"]),
    ({"window": float("nan")}, "window", ["nan", "3660 days"]),
    ({"window": "100 years"}, "window", ["'100 years'", "weeks"]),
    ({"window": "7"}, "window", ["'7'", "36h"]),
    ({"window": None}, "window", ["None", "number of days"]),
    ({"window": LEFT_OUT}, "window", ["missing"]),
    ({"polcy": 1}, "polcy", ["unknown key", "resource, limit, window, scope"]),
    ({1: 2}, "1", ["1", "string"]),
    ({"scope": {"groups": ["a"]}}, "scope.groups", ["unknown key", "group, user, everyone"]),
    ({"scope": {"group": "students"}}, "scope.group", ["'students'", "['students']", "list"]),
    ({"scope": {"user": "ada"}}, "scope.user", ["'ada'", "['ada']", "list"]),
    ({"scope": {"group": []}}, "scope.group", ["empty list", "nobody"]),
    ({"scope": {"user": []}}, "scope.user", ["empty list", "nobody"]),
    ({"scope": {"group": [7]}}, "scope.group", ["7", "list of names"]),
    ({"scope": {"group": [""]}}, "scope.group", ["''", "list of names"]),
    ({"scope": {"group": None}}, "scope.group", ["None", "list of names"]),
    ({"scope": {"everyone": False}}, "scope.everyone", ["False", "true"]),
    ({"scope": {"everyone": "yes"}}, "scope.everyone", ["'yes'", "true"]),
    ({"scope": {}}, "scope", ["nobody", "group", "user", "everyone"]),
    ({"scope": "students"}, "scope", ["'students'"]),
    ({"scope": LEFT_OUT}, "scope", ["missing"]),
    ({"minimum_session": 10}, "minimum_session", ["10", '"10 minutes"']),
    ({"minimum_session": "soon"}, "minimum_session", ["'soon'"]),
    ({"minimum_session": "-5 minutes"}, "minimum_session", ["'-5 minutes'"]),
]


@pytest.mark.parametrize(("changes", "field", "said"), ERRORS)
def test_an_error_names_the_entry_the_field_what_was_given_and_what_would_be_right(
    changes, field, said
):
    (error,) = errors_of([OTHER, entry(changes)])
    where, _, problem = error.partition(": ")
    assert where == f"policy[1] ('x').{field}"
    for text in said:
        assert text in problem


@pytest.mark.parametrize(
    ("changes", "field", "said"), [row for row in ERRORS if "scope" not in row[0]]
)
def test_the_same_errors_are_found_in_the_backup_strategy(changes, field, said):
    (error,) = errors_of([], {"empty": entry(changes, scope=LEFT_OUT)})
    where, _, problem = error.partition(": ")
    assert where == f"scope_backup_strategy.empty[0] ('x').{field}"
    for text in said:
        assert text in problem


@pytest.mark.parametrize("name", ["", "  ", 7, None, ["x"]])
def test_a_name_is_a_text_that_says_something(name):
    (error,) = errors_of([entry(name=name)])
    assert error.startswith("policy[0]")
    assert ".name: " in error
    assert repr(name) in error


@pytest.mark.parametrize("given_entry", ["memory", None, 7, ["memory"], True])
def test_an_entry_is_a_mapping(given_entry):
    (error,) = errors_of([OTHER, given_entry])
    assert error.startswith(f"policy[1]: must be a mapping: got {given_entry!r}; expected ")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"limit": {"value": 1, "unt": "GiB-hours"}}, "got ['value', 'unt']; expected value and "),
        ({"window": {"calendar": "week", "starts": "mo"}}, ".window: starts: got 'mo'; expected "),
        ({"window": {"calendar": "month", "starts": 0}}, ".window: starts: got 0; expected a num"),
        ({"window": {"calendar": "week", "weekday": "mo"}}, ".window: weekday: got 'mo'; expect"),
        ({"window": {"refill": 5}}, ".window: every: is missing: expected a duration, for example"),
        ({"window": {"refill": 5, "every": None}}, ".window: every: got None; expected a durat"),
    ],
)
def test_an_error_names_the_key_that_is_written(changes, says):
    (error,) = errors_of([entry(**changes)])
    assert says in error


@pytest.mark.parametrize("policy", [None, "memory", 7, FINE, {}, True])
def test_the_policies_are_a_list(policy):
    (error,) = errors_of(policy)
    assert error.startswith("policy: must be a list of policies")
    assert repr(policy) in error


@pytest.mark.parametrize(
    ("backup_strategy", "where", "said"),
    [
        ("min", "scope_backup_strategy", ["'min'", "intersection: min"]),
        (["min"], "scope_backup_strategy", ["['min']", "intersection: min"]),
        ({"intersection": "avg"}, "scope_backup_strategy.intersection", ["'avg'", "min, max, sum"]),
        ({"intersection": None}, "scope_backup_strategy.intersection", ["None", "min, max, sum"]),
        ({"intersection": ["min"]}, "scope_backup_strategy.intersection", ["['min']", "min, max"]),
        ({"intersect": "min"}, "scope_backup_strategy.intersect", ["unknown key", "intersection"]),
        ({"empty": "none"}, "scope_backup_strategy.empty", ["'none'", "list of policies"]),
        ({"empty": ["none"]}, "scope_backup_strategy.empty[0]", ["'none'", "mapping"]),
        (
            {"empty": FINE},
            "scope_backup_strategy.empty[0] ('x').scope",
            ["not allowed here", "leave it out"],
        ),
    ],
)
def test_an_error_of_the_backup_strategy_says_what_would_be_right(backup_strategy, where, said):
    (error,) = errors_of([OTHER], backup_strategy)
    assert error.partition(": ")[0] == where
    for text in said:
        assert text in error.partition(": ")[2]


@pytest.mark.parametrize(
    ("policy", "backup_strategy"),
    [
        ([FINE, OTHER, FINE], None),
        ([FINE, entry(name=" x ")], None),
        ([FINE], {"empty": entry(scope=LEFT_OUT)}),
    ],
)
def test_two_policies_cannot_have_one_name(policy, backup_strategy):
    (error,) = errors_of(policy, backup_strategy)
    assert "'x'" in error
    assert "2 policies" in error
    assert "unique" in error


def test_all_errors_of_a_configuration_are_reported_at_once():
    errors = errors_of(
        [
            entry(name="first", resource="tape", window=0, scope={"group": "a", "users": ["b"]}),
            7,
            entry(name="third", limit="-1 GiB-hours", color="red", minimum_session=True),
            OTHER,
        ],
        {"intersection": "avg", "emtpy": {}, "empty": [entry(window=-1), "none"]},
    )
    assert sorted(error.partition(": ")[0] for error in errors) == [
        "policy[0] ('first').resource",
        "policy[0] ('first').scope.group",
        "policy[0] ('first').scope.users",
        "policy[0] ('first').window",
        "policy[1]",
        "policy[2] ('third').color",
        "policy[2] ('third').limit",
        "policy[2] ('third').minimum_session",
        "scope_backup_strategy.empty[0] ('x').scope",
        "scope_backup_strategy.empty[0] ('x').window",
        "scope_backup_strategy.empty[1]",
        "scope_backup_strategy.emtpy",
        "scope_backup_strategy.intersection",
    ]


def test_a_name_given_twice_is_reported_although_one_of_the_two_has_another_error():
    errors = errors_of([FINE, entry(window=0)])
    assert any("unique" in error for error in errors)


@pytest.mark.parametrize("resource", [["memory"], {"memory": 1}])
def test_a_resource_that_is_not_a_text_is_an_error(resource):
    (error,) = errors_of([entry(resource=resource)])
    assert "resource" in error


def test_a_limit_beyond_all_floats_is_an_error():
    (error,) = errors_of([entry(limit={"value": 10**400, "unit": "GiB-hours"})])
    assert "limit" in error


@pytest.mark.parametrize("limit", ["1e300 GiB-hours", {"value": 1e300, "unit": "GiB-hours"}])
def test_a_limit_that_is_infinite_in_base_units_is_an_error(limit):
    (error,) = errors_of([entry(limit=limit)])
    assert "limit" in error


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_limit_that_is_not_finite_is_not_called_negative(value):
    (error,) = errors_of([entry(limit={"value": value, "unit": "GiB-hours"})])
    assert "negative" not in error


@pytest.mark.parametrize("scope", ["students", None, ["students"]])
def test_a_scope_that_is_not_a_mapping_says_how_to_write_one(scope):
    (error,) = errors_of([entry(scope=scope)])
    assert "{group: [" in error
    assert "instance of" not in error


@pytest.mark.parametrize("empty", [0, False, ""])
def test_an_empty_that_is_no_policy_is_not_silently_ignored(empty):
    (error,) = errors_of([FINE], {"empty": empty})
    assert "scope_backup_strategy.empty" in error


# --- nothing is changed -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "backup_strategy"),
    [
        ([FINE, OTHER], {"intersection": "max", "empty": [entry(scope=LEFT_OUT, name="e")]}),
        ([entry(name=LEFT_OUT)], {"empty": entry(scope=LEFT_OUT, name=LEFT_OUT)}),
        ([entry(window=0, color="red")], {"empty": [FINE], "emtpy": {}}),
    ],
)
def test_what_the_admin_wrote_is_never_changed(policy, backup_strategy):
    before = deepcopy((policy, backup_strategy))
    for _ in range(2):
        with suppress(InvalidPolicies):
            parse_policies(policy, backup_strategy)
    assert (policy, backup_strategy) == before


def test_what_was_read_does_not_change_when_the_configuration_does_later():
    groups = ["a"]
    scope = {"group": groups}
    (policy,) = parse_policies([entry(scope=scope)]).policies
    groups.append("b")
    scope["user"] = ["ada"]
    assert (policy.scope.group.exact, policy.scope.user.exact) == (("a",), ())


# --- names --------------------------------------------------------------------------------------


def test_a_policy_without_a_name_gets_a_readable_one():
    policies = parse_policies(
        [
            entry(name=LEFT_OUT),
            entry(name=LEFT_OUT, window="36h", scope={"everyone": True}),
            entry(name=LEFT_OUT, scope={"group": ["a", "b"], "user": ["ada"]}),
        ],
        {"empty": entry(name=LEFT_OUT, scope=LEFT_OUT)},
    )
    assert [policy.name for policy in policies] == [
        "memory per 7 days for group-0",
        "memory per 36 hours for everyone",
        "memory per 7 days for a, b, ada",
        "memory per 7 days for no other policy",
    ]


def test_default_names_are_unique_even_where_an_admin_gave_the_same_name():
    unnamed = entry(name=LEFT_OUT)
    taken = "memory per 7 days for group-0"
    policies = parse_policies(
        [unnamed, entry(name=f"{taken} (2)"), unnamed, entry(name=taken), unnamed],
        {"empty": [entry(name=LEFT_OUT, scope=LEFT_OUT)] * 2},
    )
    names = [policy.name for policy in policies]
    assert len(set(names)) == len(names)
    assert all(name.startswith("memory per 7 days for ") for name in names)
    assert names[1] == f"{taken} (2)"
    assert names[3] == taken


# --- anything at all ----------------------------------------------------------------------------

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["group", "user", "everyone", "value", "unit"]), inner)
    ),
    max_leaves=6,
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "name": anything,
        # A resource that is not hashable has its own test above.
        "resource": scalars | st.just("memory"),
        "limit": anything | st.just("5 GiB-hours"),
        "window": anything | st.just(7),
        "scope": anything | st.just({"everyone": True}),
        "minimum_session": anything,
        "other": anything,
    },
)
backups = st.fixed_dictionaries(
    {}, optional={"empty": anything | st.lists(entries, max_size=2), "intersection": anything}
)


@given(policy=anything | st.lists(entries | anything, max_size=3), backup=anything | backups)
def test_whatever_is_written_is_read_or_refused_with_errors_that_say_where(policy, backup):
    """Nothing in a configuration raises anything but `InvalidPolicies`, whose errors say where."""
    before = deepcopy((policy, backup))
    names, errors = [], None
    try:
        names = [each.name for each in parse_policies(policy, backup)]
    except InvalidPolicies as refused:
        errors = refused.errors
    assert all(names)
    assert len(set(names)) == len(names)
    assert errors is None or errors
    for error in errors or ():
        assert error.where.startswith(("policy", "scope_backup_strategy"))
        assert error.problem
    assert repr((policy, backup)) == repr(before)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"limit": "500GiBh"}, "not a unit of memory: got 'GiBh'; expected for example '1000 GiB"),
        ({"window": "1 month"}, "not a duration: got '1 month'; expected for example"),
        ({"window": "30"}, "not a duration: got '30'; expected for example"),
        ({"resource": "gpu", "limit": "20 GPUh"}, "not a unit of gpu: got 'GPUh'"),
        ({"resource": "nvidia.com/gpu"}, "unknown resource: got 'nvidia.com/gpu'; expected one of"),
        ({"resource": "time", "limit": "20:00"}, "wrong number: got '20:00'; expected"),
        ({"scope": {"groups": ["a"]}}, "scope.groups: unknown key; did you mean group?"),
        ({"scope": {"user": [12345]}}, "a name of digits needs quotes: '12345'"),
        ({"scope": {"group": [2026]}}, "a name of digits needs quotes: '2026'"),
    ],
)
def test_a_spelling_of_other_systems_is_refused_with_what_is_right(changes, says):
    entry = {"name": "x", "resource": "memory", "limit": "1 GiB-hours", "window": 7}
    with pytest.raises(InvalidPolicies) as refused:
        parse_policies([entry | {"scope": {"everyone": True}} | changes])
    (error,) = refused.value.errors
    assert says in str(error)


def test_a_space_for_the_hyphen_of_a_unit_and_a_price_by_the_hour_are_read():
    entry = {"resource": "memory", "limit": "500 GiB hours", "window": 7}
    (policy,) = parse_policies([entry | {"scope": {"everyone": True}}])
    assert policy.limit.base == 500 * 2**30 * 3600
    priced = parse_policies([], credit_prices={"time": 60})
    assert priced.prices["credits"]["time"] * 3600 == pytest.approx(60)
