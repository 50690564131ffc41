"""What an admin can write beyond a limit and a number of days, and what is said of mistakes."""

from __future__ import annotations

from datetime import timedelta

import pytest
import yaml

from jupyterhub_usage_quotas.quotas.policy.errors import InvalidPolicies
from jupyterhub_usage_quotas.quotas.policy.limits import WINDOWS as KINDS
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.policy import Share, WhenExhausted
from jupyterhub_usage_quotas.quotas.policy.selector import ALL_SERVERS
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.windows.calendar import Calendar, Period
from jupyterhub_usage_quotas.quotas.windows.refill import Refill

GIB = 2**30
RESOURCES = {"seats": {"promql": "sum by (username) (seats)", "unit": "seat"}}
PRICES = {"cpu": 1, "gpu": 10}


def entry(**fields):
    fine = {"name": "x", "resource": "gpu", "limit": "20 GPU-hours", "window": 7}
    return fine | {"scope": {"everyone": True}} | fields


def read(resources=RESOURCES, credit_prices=PRICES, backup=None, **fields):
    policies = parse_policies(
        [entry(**fields)], backup, resources=resources, credit_prices=credit_prices
    )
    return policies.policies[0]


def errors_of(*entries, resources=RESOURCES, credit_prices=PRICES):
    with pytest.raises(InvalidPolicies) as refused:
        parse_policies(list(entries), resources=resources, credit_prices=credit_prices)
    return [str(error) for error in refused.value.errors]


def the_error(*entries, **more):
    (error,) = errors_of(*entries, **more)
    return error.partition(": ")[::2]


# --- windows ------------------------------------------------------------------------------------

WEEK, MONTH, QUARTER, YEAR = Period.WEEK, Period.MONTH, Period.QUARTER, Period.YEAR
WINDOWS = [
    ({"calendar": "hour"}, Calendar(Period.HOUR)),
    ({"calendar": "day"}, Calendar(Period.DAY)),
    ({"calendar": "day", "hour": 6}, Calendar(Period.DAY, hour=6)),
    ({"calendar": "week"}, Calendar(WEEK)),
    ({"calendar": "week", "starts": "monday"}, Calendar(WEEK)),
    ({"calendar": "week", "starts": "Sunday"}, Calendar(WEEK, weekday=6)),
    ({"calendar": "week", "starts": "thu"}, Calendar(WEEK, weekday=3)),
    ({"calendar": "week", "weekday": "SAT", "hour": 23}, Calendar(WEEK, weekday=5, hour=23)),
    (
        {"calendar": "week", "starts": "monday", "timezone": "Europe/Zurich"},
        Calendar(WEEK, "Europe/Zurich"),
    ),
    ({"calendar": "month"}, Calendar(MONTH)),
    ({"calendar": "month", "starts": 31}, Calendar(MONTH, day=31)),
    ({"calendar": "month", "day": 15, "hour": 8}, Calendar(MONTH, day=15, hour=8)),
    ({"calendar": "quarter", "starts": "february"}, Calendar(QUARTER, month=2)),
    ({"calendar": "quarter", "month": "Feb", "day": 28}, Calendar(QUARTER, month=2, day=28)),
    ({"calendar": "year", "starts": "sep"}, Calendar(YEAR, month=9)),
    ({"calendar": "year", "starts": "September", "day": 15}, Calendar(YEAR, month=9, day=15)),
    # what a refill gives back is in the unit of the limit: GPU-hours
    ({"refill": 5, "every": "10 minutes"}, Refill(5 * 3600, timedelta(minutes=10))),
    ({"refill": 0.5, "every": "1 day"}, Refill(1800, timedelta(days=1))),
    ({"refill": 1, "every": "1 minute"}, Refill(3600, timedelta(minutes=1))),
]


@pytest.mark.parametrize(("written", "window"), WINDOWS)
def test_a_window_can_be_a_calendar_period_or_a_refill(written, window):
    assert read(window=written).window == window


def test_a_refill_is_in_the_unit_that_the_limit_is_in():
    back = {"refill": 2, "every": "1h"}
    for resource, limit, base in [
        ("gpu", "90 GPU-minutes", 2 * 60),
        ("memory", {"value": 100, "unit": "GiB-hours"}, 2 * GIB * 3600),
        ("memory", "5000G", 2 * GIB * 3600),
        ("time", "20 hours", 2 * 3600),
        ("credits", "100 credits", 2),
        ("seats", "4 seat-days", 2 * 86400),
    ]:
        assert read(resource=resource, limit=limit, window=back).window.amount == base


def test_what_is_no_window_is_answered_with_an_example_of_every_kind_which_can_be_read():
    _where, said = the_error(entry(window={"rolling": 7}))
    for key, kind in KINDS.items():
        assert kind.example in said
        written = yaml.safe_load(kind.example)
        assert key in written
        assert read(window=written).window == kind.read(written, read().limit.unit)


WINDOW_ERRORS = [
    ({}, ["calendar: week", "refill: 5", "36h"]),
    ({"rolling": 7}, ["calendar: week", "refill: 5", "'rolling'"]),
    ({"calendar": "fortnight"}, ["'fortnight'", "hour, day, week, month, quarter, year"]),
    ({"calendar": 7}, ["7", "week"]),
    ({"calendar": None}, ["None", "week"]),
    ({"calendar": "week", "begins": "monday"}, ["'begins'", "starts, weekday, day, month, hour"]),
    ({"calendar": "week", "every": "1h"}, ["'every'", "timezone"]),
    ({"calendar": "week", "timezone": "Europe/Zuerich"}, ["timezone", "'Europe/Zuerich'"]),
    ({"calendar": "week", "timezone": ""}, ["timezone", "''", "Europe/Zurich"]),
    ({"calendar": "week", "timezone": "Europe"}, ["timezone", "'Europe'"]),
    ({"calendar": "week", "timezone": "../../etc/passwd"}, ["timezone", "not known"]),
    ({"calendar": "week", "timezone": "UTC\0"}, ["timezone", "not known"]),
    ({"calendar": "week", "timezone": None}, ["timezone", "None"]),
    ({"calendar": "week", "timezone": 2}, ["timezone", "2"]),
    ({"calendar": "week", "starts": "someday"}, ["starts: ", "'someday'", "monday, tuesday"]),
    ({"calendar": "week", "starts": "mo"}, ["starts: ", "'mo'", "monday"]),
    ({"calendar": "week", "starts": 1}, ["starts: ", "1", "monday"]),
    ({"calendar": "week", "starts": "monday", "weekday": "monday"}, ["starts and weekday"]),
    ({"calendar": "week", "day": 3}, ["day", "leave it out"]),
    ({"calendar": "week", "month": "may"}, ["month", "leave it out"]),
    ({"calendar": "week", "hour": 24}, ["hour", "0 to 23", "24"]),
    ({"calendar": "week", "hour": "6"}, ["hour", "number", "'6'"]),
    ({"calendar": "week", "hour": True}, ["hour", "number", "True"]),
    ({"calendar": "day", "starts": 6}, ["starts", "day", "hour"]),
    ({"calendar": "day", "weekday": "monday"}, ["weekday", "leave it out"]),
    ({"calendar": "hour", "hour": 6}, ["hour", "leave it out"]),
    ({"calendar": "hour", "starts": 6}, ["starts", "hour"]),
    ({"calendar": "month", "weekday": "monday"}, ["weekday", "leave it out"]),
    ({"calendar": "month", "starts": "monday"}, ["starts: ", "1 to 31", "'monday'"]),
    ({"calendar": "month", "starts": 0}, ["starts: ", "1 to 31", "0"]),
    ({"calendar": "month", "starts": 32}, ["starts: ", "1 to 31", "32"]),
    ({"calendar": "month", "day": 1.5}, ["day", "1 to 31", "1.5"]),
    ({"calendar": "month", "starts": 1, "day": 1}, ["starts and day"]),
    ({"calendar": "month", "month": "may"}, ["month", "leave it out"]),
    ({"calendar": "year", "starts": "mai"}, ["starts: ", "'mai'", "january, february"]),
    ({"refill": 5}, ["every: is missing", "10 minutes"]),
    ({"refill": 5, "every": 10}, ["every", "10 minutes", "10"]),
    ({"refill": 5, "every": "soon"}, ["'soon'", "number"]),
    ({"refill": 5, "every": "30 seconds"}, ["every", "at least a minute", "'30 seconds'"]),
    ({"refill": 5, "every": "11 years"}, ["'11 years'"]),
    ({"refill": -1, "every": "1h"}, ["refill", "0 or more", "the limit's unit", "-1"]),
    ({"refill": -0.5, "every": "1h"}, ["refill", "0 or more", "-0.5"]),
    ({"refill": True, "every": "1h"}, ["refill", "number", "True"]),
    ({"refill": float("nan"), "every": "1h"}, ["refill", "nan"]),
    ({"refill": float("inf"), "every": "1h"}, ["inf", "too large"]),
    ({"refill": "5 GPU-hours", "every": "1h"}, ["refill", "number", "'5 GPU-hours'"]),
    ({"refill": 5, "every": "1h", "cap": 9}, ["'cap'", "refill, every"]),
    ({"refill": 5, "every": "1h", "calendar": "week"}, ["unknown key"]),
]


@pytest.mark.parametrize(("window", "said"), WINDOW_ERRORS)
def test_an_error_of_a_window_says_what_was_given_and_what_is_right(window, said):
    where, problem = the_error(entry(), entry(name="y", window=window))
    assert where == "policy[1] ('y').window"
    for words in said:
        assert words in problem


# --- everything else in a policy ----------------------------------------------------------------


def test_what_is_left_out_means_this():
    policy = read()
    assert policy.servers == ALL_SERVERS
    assert not policy.exempt.exempts(Subject("ada", frozenset({"staff"}), admin=True))
    assert (policy.share, policy.overflow) == (Share.INDIVIDUAL, None)
    assert policy.when_exhausted is WhenExhausted.DENY
    assert policy.minimum_session == timedelta(0)


def test_what_is_written_is_read_as_meant():
    policy = read(
        scope={"group": ["staff", {"glob": "class-*"}], "user": ["ada"]},
        exempt={"group": [{"glob": "t*"}], "user": ["bob"], "admin": True},
        servers={"profile": ["*gpu*"], "gpu": True, "name": ["work-*"]},
        share="pooled",
        overflow="individual",
        minimum_session="10 minutes",
        when_exhausted="stop",
    )
    assert (policy.scope.group.exact, policy.scope.group.globs) == (("staff",), ("class-*",))
    assert policy.exempt.group.globs == ("t*",)
    assert (policy.exempt.user.exact, policy.exempt.admin) == (("bob",), True)
    assert policy.servers.profile == ("*gpu*",)
    assert (policy.servers.gpu, policy.servers.name) == (True, ("work-*",))
    assert (policy.pooled, policy.overflow) == (True, Share.INDIVIDUAL)
    assert policy.minimum_session == timedelta(minutes=10)
    assert policy.when_exhausted is WhenExhausted.STOP
    assert policy.denies


@pytest.mark.parametrize(("written", "denies"), [("deny", True), ("stop", True), ("warn", False)])
def test_only_warn_does_not_deny(written, denies):
    assert read(when_exhausted=written).denies == denies


SEAT = {"resource": "seats", "limit": "4 seat-hours"}
ERRORS = [
    # what is changed in an entry that was fine; the field that is named; what the error says
    ({"scope": {"group": [{"glob": ""}]}}, "scope.group", ["''", "patterns"]),
    ({"scope": {"group": [{"glob": 7}]}}, "scope.group", ["glob", "7"]),
    ({"scope": {"group": [{"globs": "a*"}]}}, "scope.group", ["glob", "globs"]),
    ({"scope": {"user": {"glob": "a*"}}}, "scope.user", ["list"]),
    ({"exempt": "admin"}, "exempt", ["'admin'", "admin: true"]),
    ({"exempt": {"admins": True}}, "exempt.admins", ["unknown key", "group, user, admin"]),
    ({"exempt": {"admin": False}}, "exempt.admin", ["False", "true"]),
    ({"exempt": {"user": "ada"}}, "exempt.user", ["'ada'", "['ada']"]),
    ({"exempt": {"group": []}}, "exempt.group", ["empty list"]),
    ({"exempt": {"everyone": True}}, "exempt.everyone", ["unknown key", "group, user, admin"]),
    ({"servers": {}}, "servers", ["{}", "gpu: true"]),
    ({"servers": "gpu"}, "servers", ["'gpu'", "profile"]),
    ({"servers": {"profile": None}}, "servers.profile", ["None"]),
    ({"exempt": {}}, "exempt", ["{}", "admin: true"]),
    ({"servers": {"profile": "*gpu*"}}, "servers.profile", ["'*gpu*'", "list"]),
    ({"servers": {"profile": []}}, "servers.profile", ["[]", "at least one"]),
    ({"servers": {"name": [7]}}, "servers.name", ["7", "texts"]),
    ({"servers": {"gpu": "yes"}}, "servers", ["gpu", "'yes'", "true or false"]),
    ({"servers": {"gpu": 1}}, "servers", ["gpu", "1", "true or false"]),
    ({"servers": {"profiles": ["a"]}}, "servers.profiles", ["unknown key", "profile, name, gpu"]),
    ({"share": "group"}, "share", ["'group'", "individual, pooled"]),
    ({"share": True}, "share", ["True", "individual, pooled"]),
    ({"share": "pooled", "overflow": "pooled"}, "overflow", ["'pooled'", "individual"]),
    ({"share": "pooled", "overflow": True}, "overflow", ["True", "individual"]),
    ({"overflow": "individual"}, "", ["overflow", "share: pooled"]),
    ({"share": "individual", "overflow": "individual"}, "", ["overflow", "share: pooled"]),
    ({"when_exhausted": "kill"}, "when_exhausted", ["'kill'", "deny, stop, warn"]),
    ({"when_exhausted": False}, "when_exhausted", ["False", "deny, stop, warn"]),
    ({"minimum_session": 10}, "minimum_session", ["10", '"10 minutes"']),
    ({"minimum_session": "11 years"}, "minimum_session", ["'11 years'"]),
    (SEAT | {"servers": {"gpu": True}}, "", ["servers", "seats", "not kept by server"]),
    (SEAT | {"limit": "4 GPU-hours"}, "limit", ["'GPU-hours'", "10 seat-hours"]),
    ({"resource": "seat"}, "resource", ["'seat'", "memory, cpu, gpu", "credits", "seats"]),
    ({"resource": "credits"}, "limit", ["'GPU-hours'", "100 credits"]),
]


@pytest.mark.parametrize(("changes", "field", "said"), ERRORS)
def test_an_error_names_the_field_and_says_what_is_right(changes, field, said):
    where, problem = the_error(entry(), entry(name="y") | changes)
    assert where.rstrip(".") == f"policy[1] ('y').{field}".rstrip(".")
    for words in said:
        assert words in problem


# --- resources and credits ----------------------------------------------------------------------


def test_a_resource_of_ones_own_is_limited_in_its_unit_over_time():
    for limit, base in [("4 seat-hours", 4 * 3600), ("2 seat-days", 2 * 86400), ("0", 0)]:
        assert read(resource="seats", limit=limit).limit.base == base
    named = {"seats": RESOURCES["seats"] | {"display_name": "Licences"}}
    policies = parse_policies([], resources=named)
    assert policies.resources["seats"].display_name == "Licences"
    assert parse_policies([], resources=RESOURCES).resources["seats"].display_name == "seats"


RESOURCE_ERRORS = [
    ("seats", "resources", ["mapping", "'seats'"]),
    ([], "resources", ["mapping", "[]"]),
    *(
        ({name: {"promql": "x", "unit": "y"}}, f"resources[{name!r}]", ["name", "not taken"])
        for name in ("gpu", "credits", "time", "", "a b", "7", "a-b", 7)
    ),
    *(
        ({"seats": given}, "resources['seats']", ["promql, unit and display_name"])
        for given in (
            None,
            "up",
            {},
            {"promql": "up"},
            {"unit": "seat"},
            {"promql": "", "unit": "seat"},
            {"promql": "up", "unit": 7},
            {"promql": "up", "unit": "seat", "display_name": ""},
            {"promql": "up", "unit": "seat", "color": "red"},
        )
    ),
]


@pytest.mark.parametrize(("resources", "place", "said"), RESOURCE_ERRORS)
def test_an_error_of_a_resource_says_what_is_right(resources, place, said):
    where, problem = the_error(resources=resources)
    assert where == place
    for words in said:
        assert words in problem


@pytest.mark.parametrize("unit", ["floating licences", "A*B", "seat·slot"])
def test_the_example_that_an_error_gives_can_be_written(unit):
    """A unit that cannot be written in a limit must be refused where it is defined."""
    resources = {"seats": {"promql": "up", "unit": unit}}
    try:
        defined = parse_policies([], resources=resources).resources["seats"]
    except InvalidPolicies as refused:
        assert "resources['seats']" in str(refused)  # noqa: PT017 - either is right
    else:
        assert read(resources, resource="seats", limit=defined.example).limit.value == 10


def test_the_price_of_credits_is_per_hour_of_one_unit():
    prices = {"memory": 0.5, "cpu": 1, "gpu": 10.5, "time": 2}
    policies = parse_policies([], credit_prices=prices)
    assert policies.prices["credits"] == pytest.approx(
        {"memory": 0.5 / GIB / 3600, "cpu": 1 / 3600, "gpu": 10.5 / 3600, "time": 2 / 3600}
    )
    assert policies.measured("credits") == {"memory", "cpu", "gpu", "time"}
    assert policies.measured("cpu") == {"cpu"}


def test_what_costs_nothing_need_not_be_measured():
    policies = parse_policies([], credit_prices={"cpu": 0, "gpu": 10})
    assert policies.measured("credits") == {"gpu"}


CREDITS = entry(resource="credits", limit="100 credits")
PRICE_ERRORS = [
    ("cpu", "credit_prices", ["mapping", "'cpu'"]),
    ({"cpus": 1}, "credit_prices['cpus']", ["not a resource", "memory, cpu, gpu"]),
    ({"credits": 1}, "credit_prices['credits']", ["not a resource", "memory, cpu, gpu"]),
    ({7: 1}, "credit_prices[7]", ["not a resource"]),
    ({"cpu": -1}, "credit_prices['cpu']", ["credits per hour", "-1"]),
    ({"cpu": "1"}, "credit_prices['cpu']", ["number", "'1'"]),
    ({"cpu": True}, "credit_prices['cpu']", ["number", "True"]),
    ({"cpu": None}, "credit_prices['cpu']", ["number", "None"]),
    ({"cpu": float("nan")}, "credit_prices['cpu']", ["number", "nan"]),
    ({"cpu": float("inf")}, "credit_prices['cpu']", ["number", "inf"]),
]


@pytest.mark.parametrize(("prices", "place", "said"), PRICE_ERRORS)
def test_an_error_of_a_price_says_what_is_right(prices, place, said):
    where, problem = the_error(credit_prices=prices)
    assert where == place
    for words in said:
        assert words in problem


@pytest.mark.parametrize("prices", [None, {}, {"cpu": 0}])
def test_credits_without_prices_are_an_error(prices):
    where, problem = the_error(CREDITS, credit_prices=prices)
    assert where == "credit_prices"
    assert "gpu: 10" in problem


def test_all_errors_are_told_at_once():
    errors = errors_of(
        entry(window={"refill": 5}, share="all", servers={"gpu": "yes"}),
        resources={"gpu": {}},
        credit_prices={"gpus": 1},
    )
    places = [error.partition(": ")[0] for error in errors]
    fields = [f"policy[0] ('x').{field}" for field in ("window", "servers", "share")]
    assert places == ["resources['gpu']", "credit_prices['gpus']", *fields]
