"""Everything that can be written in a policy beside resource, limit and scope, and its faults."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jupyterhub_usage_quotas.quotas.calendars import Calendar, Period
from jupyterhub_usage_quotas.quotas.configuration import parse_policies
from jupyterhub_usage_quotas.quotas.faults import InvalidPolicies
from jupyterhub_usage_quotas.quotas.refill import Refill
from jupyterhub_usage_quotas.quotas.units import RESOURCES, STORAGE, InvalidQuantity, show
from jupyterhub_usage_quotas.quotas.windows import Rolling

BASIC = {"resource": "cpu", "limit": "10 CPU-hours", "window": 7, "scope": {"everyone": True}}
LICENCE = {"promql": "licences_in_use", "unit": "licence", "display_name": "Licences"}


def policy(**changes):
    (read,) = parse_policies([BASIC | changes]).policies
    return read


def faults(entry, **options):
    with pytest.raises(InvalidPolicies) as refused:
        parse_policies([entry], **options)
    return [str(fault) for fault in refused.value.faults]


@pytest.mark.parametrize(
    ("window", "read"),
    [
        (0.5, Rolling(timedelta(hours=12))),
        ("2 weeks", Rolling(timedelta(weeks=2))),
        ({"calendar": "hour"}, Calendar(Period.HOUR)),
        ({"calendar": "day", "hour": 4}, Calendar(Period.DAY, hour=4)),
        ({"calendar": "week"}, Calendar(Period.WEEK)),
        ({"calendar": "week", "starts": "Sunday"}, Calendar(Period.WEEK, weekday=6)),
        ({"calendar": "week", "weekday": "thu"}, Calendar(Period.WEEK, weekday=3)),
        ({"calendar": "month", "starts": 31}, Calendar(Period.MONTH, day=31)),
        (
            {"calendar": "month", "day": 5, "hour": 23, "timezone": "Asia/Kathmandu"},
            Calendar(Period.MONTH, "Asia/Kathmandu", day=5, hour=23),
        ),
        ({"calendar": "quarter", "starts": "february"}, Calendar(Period.QUARTER, month=2)),
        (
            {"calendar": "year", "starts": "October", "day": 15},
            Calendar(Period.YEAR, month=10, day=15),
        ),
        ({"refill": 5, "every": "10 minutes"}, Refill(5 * 3600.0, timedelta(minutes=10))),
        ({"refill": 0.5, "every": "1h"}, Refill(1800.0, timedelta(hours=1))),
    ],
)
def test_a_window_can_be_written(window, read):
    assert policy(window=window).window == read


@pytest.mark.parametrize(
    ("window", "says"),
    [
        ({"calendar": "fortnight"}, ["fortnight", "hour, day, week, month, quarter, year"]),
        ({"calendar": "week", "starts": 3}, ["weekday must be one of monday", "3"]),
        ({"calendar": "week", "starts": "mo"}, ["weekday must be one of monday", "mo"]),
        ({"calendar": "week", "day": 3}, ["day does not go with"]),
        ({"calendar": "month", "weekday": "monday"}, ["weekday does not go with"]),
        ({"calendar": "month", "starts": 0}, ["day must be a number from 1 to 31", "0"]),
        ({"calendar": "month", "day": 32}, ["from 1 to 31", "32"]),
        ({"calendar": "month", "day": True}, ["from 1 to 31", "True"]),
        ({"calendar": "month", "month": "may"}, ["month does not go with"]),
        ({"calendar": "day", "hour": 24}, ["hour must be a number from 0 to 23", "24"]),
        ({"calendar": "hour", "hour": 1}, ["hour does not go with"]),
        ({"calendar": "day", "starts": 4}, ["starts does not go with calendar: day"]),
        ({"calendar": "week", "starts": "monday", "weekday": "monday"}, ["say the same"]),
        ({"calendar": "week", "timezone": "Mars/Olympus"}, ["Mars/Olympus", "Europe/Zurich"]),
        ({"calendar": "week", "timezone": "../etc/passwd"}, ["../etc/passwd", "not known"]),
        ({"calendar": "week", "timezone": 1}, ["timezone: 1"]),
        ({"calendar": "week", "begins": "monday"}, ["unknown key 'begins'", "starts"]),
        ({"refill": 5}, ["every must be a duration", "None"]),
        ({"refill": 5, "every": 10}, ["every must be a duration", "10"]),
        ({"refill": 5, "every": "1s"}, ["at least a minute", "1s"]),
        ({"refill": 0, "every": "1h"}, ["above 0", "0"]),
        ({"refill": "5", "every": "1h"}, ["number above 0", "'5'"]),
        ({"refill": 5, "every": "1h", "cap": 3}, ["unknown key 'cap'"]),
        ({"rolling": 7}, ["rolling", "number of days"]),
        ({}, ["number of days"]),
        ("30 seconds", ["at least a minute"]),
    ],
)
def test_a_window_that_is_none_is_a_fault(window, says):
    (fault,) = faults(BASIC | {"window": window})
    assert fault.startswith("policy[0].window: ")
    for words in says:
        assert words in fault


@pytest.mark.parametrize(
    ("changes", "place", "says"),
    [
        ({"servers": {}}, "servers", "must be a mapping such as"),
        ({"servers": ["*gpu*"]}, "servers", "must be a mapping such as"),
        ({"servers": {"profile": "*gpu*"}}, "servers.profile", "list of patterns"),
        ({"servers": {"profile": []}}, "servers.profile", "at least one pattern"),
        ({"servers": {"name": [1]}}, "servers.name", "all texts"),
        ({"servers": {"gpu": "yes"}}, "servers", "gpu must be true or false; given 'yes'"),
        ({"servers": {"image": ["x"]}}, "servers.image", "right are profile, name, gpu"),
        ({"exempt": ["ada"]}, "exempt", "must be a mapping such as"),
        ({"exempt": {"user": "ada"}}, "exempt.user", "must be a list of names"),
        ({"exempt": {"admin": False}}, "exempt.admin", "can only be true"),
        ({"exempt": {"admins": True}}, "exempt.admins", "right are group, user, admin"),
        ({"share": "shared"}, "share", "right are individual, pooled"),
        ({"share": ["pooled"]}, "share", "right are individual, pooled"),
        ({"overflow": "individual"}, "", "only for policies with share: pooled"),
        ({"share": "pooled", "overflow": "pooled"}, "overflow", "right are individual"),
        ({"when_exhausted": "kill"}, "when_exhausted", "right are deny, stop, warn"),
        ({"minimum_session": 10}, "minimum_session", 'such as "10 minutes"'),
        ({"minimum_session": "10 apples"}, "minimum_session", "not a duration"),
        ({"scope": {"user": [{"glob": ""}]}}, "scope.user", "is neither"),
        ({"scope": {"user": [{"regex": "a"}]}}, "scope.user", '{glob: "class-*"}'),
        ({"scope": {"group": [["a"]]}}, "scope.group", "is neither"),
        ({"resource": "storage"}, "resource", "right are memory, cpu, gpu, time, credits"),
        ({"resource": "licence"}, "resource", "is not known; given 'licence'"),
    ],
)
def test_what_cannot_be_is_a_fault(changes, place, says):
    found = faults(BASIC | changes)
    prefix = "policy[0]" + (f".{place}: " if place else ": ")
    assert any(fault.startswith(prefix) and says in fault for fault in found), found


def test_credits_need_prices():
    credits_policy = BASIC | {"resource": "credits", "limit": "5 credits"}
    (fault,) = faults(credits_policy)
    assert fault.startswith("credit_prices: is empty")
    policies = parse_policies(
        [credits_policy], credit_prices={"cpu": 1, "memory": 0.25, "gpu": 10, "time": 0}
    )
    # Credits per core-second, byte-second and GPU-second; what costs nothing is not read.
    assert policies.prices == {
        "cpu": pytest.approx(1 / 3600),
        "memory": pytest.approx(0.25 / 3600 / 1024**3),
        "gpu": pytest.approx(10 / 3600),
    }
    assert policies.measured("credits") == {"cpu", "memory", "gpu"}


@pytest.mark.parametrize(
    ("prices", "place", "says"),
    [
        ([1], "credit_prices", "must be a mapping"),
        ({"cpus": 1}, "credit_prices['cpus']", "right are memory, cpu, gpu, time"),
        ({"credits": 1}, "credit_prices['credits']", "is not a resource"),
        ({"licence": 1}, "credit_prices['licence']", "is not a resource"),
        ({"cpu": -1}, "credit_prices['cpu']", "not negative; given -1"),
        ({"cpu": "1"}, "credit_prices['cpu']", "given '1'"),
        ({"cpu": True}, "credit_prices['cpu']", "given True"),
        ({"cpu": float("nan")}, "credit_prices['cpu']", "given nan"),
    ],
)
def test_a_price_that_is_none_is_a_fault(prices, place, says):
    found = faults(BASIC, credit_prices=prices, resources={"licence": LICENCE})
    assert any(fault.startswith(f"{place}: ") and says in fault for fault in found), found


def test_a_resource_of_an_admins_own():
    entry = BASIC | {"resource": "licence", "limit": "5 licence-hours"}
    policies = parse_policies([entry], resources={"licence": LICENCE})
    assert policies.policies[0].limit.base == 5 * 3600
    assert policies.resources["licence"].display_name == "Licences"
    minutes = parse_policies(
        [entry | {"limit": "90 licence-minutes"}], resources={"licence": LICENCE}
    )
    assert minutes.policies[0].limit.base == 90 * 60


def test_servers_of_a_resource_that_is_not_kept_by_server_cannot_be_selected():
    entry = BASIC | {
        "resource": "licence", "limit": "5 licence-hours", "servers": {"gpu": True}
    }  # fmt: skip
    (fault,) = faults(entry, resources={"licence": LICENCE})
    assert "servers cannot be selected" in fault


@pytest.mark.parametrize(
    ("resources", "place", "says"),
    [
        (["licence"], "resources", "must be a mapping"),
        ({"memory": LICENCE}, "resources['memory']", "not taken"),
        ({"a b": LICENCE}, "resources['a b']", "letters and digits"),
        ({1: LICENCE}, "resources[1]", "letters and digits"),
        ({"x": {"promql": "up"}}, "resources['x']", "promql, unit and display_name"),
        ({"x": LICENCE | {"units": "y"}}, "resources['x']", "promql, unit and display_name"),
        ({"x": LICENCE | {"unit": ""}}, "resources['x']", "promql, unit and display_name"),
        ({"x": "up"}, "resources['x']", "promql, unit and display_name"),
    ],
)
def test_a_definition_that_is_none_is_a_fault(resources, place, says):
    found = faults(BASIC, resources=resources)
    assert any(fault.startswith(f"{place}: ") and says in fault for fault in found), found


def test_readable_names_are_made_of_what_the_window_is():
    windows = {
        "cpu per 7 days for everyone": 7,
        "cpu per calendar week from Monday (UTC) for everyone": {"calendar": "week"},
        "cpu per calendar year from October at 04:00 (Europe/Zurich) for everyone": {
            "calendar": "year", "starts": "oct", "hour": 4, "timezone": "Europe/Zurich",
        },
        "cpu refilled every 10 minutes for everyone": {"refill": 1, "every": "10m"},
    }  # fmt: skip
    for name, window in windows.items():
        assert policy(window=window).name == name


@pytest.mark.parametrize(
    ("resource", "text", "base", "shown"),
    [
        (STORAGE, "10 GiB", 10 * 1024**3, "10 GiB"),
        (STORAGE, "2TB", 2e12, "2 TB"),
        (RESOURCES["credits"], "100 credits", 100, "100 credits"),
        (RESOURCES["credits"], "1 credit", 1, "1 credits"),
        (RESOURCES["credits"], "0", 0, "0 credits"),
    ],
)
def test_amounts_that_are_not_over_time(resource, text, base, shown):
    quantity = resource.quantity(text)
    assert quantity.base == base
    assert show(quantity.base, quantity.unit) == shown


@pytest.mark.parametrize("text", ["10", "10 GiB-hours", "10 apples", "10 hours"])
def test_what_is_not_such_an_amount_is_refused(text):
    for resource in (STORAGE, RESOURCES["credits"]):
        with pytest.raises(InvalidQuantity):
            resource.quantity(text)
