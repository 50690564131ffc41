"""The options about who may give users more, and how much."""

from __future__ import annotations

import math
from typing import Any

import pytest
from traitlets.config import Config

from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.quotas.policy.scope import Names

POLICIES: list[dict[str, Any]] = [
    {"name": "memory-week", "resource": "memory", "limit": "5 GiB-hours", "window": 7},
    {"name": "time-week", "resource": "time", "limit": "8 hours", "window": 7},
    {"name": "home", "resource": "storage", "limit": "exported"},
    {"resource": "cpu", "limit": "9 CPU-hours", "window": 7},
]


def options(**given: Any) -> QuotaOptions:
    policies = [one | {"scope": {"everyone": True}} for one in POLICIES]
    return QuotaOptions(config=Config(UsageQuotaManager={"policy": policies, **given}))


def test_nobody_may_give_unless_it_is_said():
    assert options().granters == {}


def test_groups_by_group():
    may = {"lecturers": ["course-1", {"glob": "lab-*"}], "/Realm/Ü b": {"x"}}
    assert options(may_grant=may).granters == {
        "lecturers": Names(("course-1",), ("lab-*",)),
        "/Realm/Ü b": Names(("x",)),
    }


def test_as_much_again_unless_it_is_said():
    made = options(grant_limits={"memory-week": "2 GiB-hours", "time-week": None})
    limits = made.limits_of_granting(made.policies)
    default = next(iter(made.policies.default_names))
    assert limits == {
        "memory-week": 2 * 1024**3 * 3600,
        "time-week": math.inf,
        # How much it is the exporter knows.
        "home": 0,
        default: 9 * 3600,
    }
    assert options().limits_of_granting(made.policies)["memory-week"] == 5 * 1024**3 * 3600


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"may_grant": ["lecturers"]}, "groups by the name of a group"),
        ({"may_grant": None}, "groups by the name of a group"),
        ({"may_grant": {"lecturers": "course-1"}}, "'lecturers': must be a list of names"),
        ({"may_grant": {"lecturers": []}}, "'lecturers': is an empty list"),
        ({"may_grant": {"lecturers": [1]}}, "'lecturers': must be a list of names"),
        ({"may_grant": {"": ["x"]}}, "must be the name of a group"),
        ({"may_grant": {1: ["x"]}}, "must be the name of a group"),
        ({"grant_limits": "2 hours"}, "amounts by policy"),
        ({"grant_limits": {"week": "2 hours"}}, "unknown policy"),
        ({"grant_limits": {"time-week": 2}}, "'time-week': got 2; expected an amount"),
        ({"grant_limits": {"time-week": "2"}}, "'time-week': has no unit"),
        ({"grant_limits": {"time-week": "2 GiB-hours"}}, "'time-week': "),
        ({"grant_limits": {"time-week": "-2 hours"}}, "'time-week': got '-2 hours'"),
        ({"grant_limits": {1: "2 hours"}}, "must be the name of a policy"),
    ],
)
def test_what_is_wrong_is_named(given, says):
    with pytest.raises(ConfigurationError) as refused:
        options(**given)
    (line,) = refused.value.errors
    (option,) = given
    assert line.startswith(f"UsageQuotaManager.{option}: ")
    assert says in line


def test_a_policy_without_a_name_of_its_own_has_no_limit_of_its_own():
    (default,) = options().policies.default_names
    with pytest.raises(ConfigurationError, match="has no name of its own"):
        options(grant_limits={default: "1 CPU-hour"})
