"""Why each policy applies to a user, or does not, in words."""

from __future__ import annotations

from typing import Any

import pytest

from jupyterhub_usage_quotas.quotas.applicability import applicability
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.resolve import resolve
from jupyterhub_usage_quotas.quotas.subject import Subject


def rule(name: str, hours: int = 5, **more: Any) -> dict[str, Any]:
    kinds = {key: more.pop(key) for key in ("user", "group") if key in more}
    return {
        "name": name,
        "resource": more.pop("resource", "time"),
        "limit": f"{hours} hours" if "limit" not in more else more.pop("limit"),
        "window": 7,
        "scope": kinds or {"everyone": True},
        **more,
    }


def said(
    *policies: dict[str, Any],
    groups: tuple[str, ...] = ("students",),
    admin: bool = False,
    **backup: Any,
) -> dict[str, tuple[bool, str | None, str]]:
    parsed = parse_policies(list(policies), backup)
    subject = Subject("ada", frozenset(groups), admin)
    found = applicability(parsed, subject, resolve(parsed, subject))
    assert [one.policy for one in found] == [one.name for one in parsed]
    return {one.policy: (one.applies, one.by, one.why) for one in found}


EMPTY = {"name": "rest", "resource": "time", "limit": "1 hour", "window": 7}


@pytest.mark.parametrize(
    ("scope", "applies", "by", "why"),
    [
        ({"user": ["ada"]}, True, "user", "it names the user"),
        (
            {"user": [{"glob": "a*"}]},
            True,
            "user",
            "it names the user (by the pattern a*)",
        ),
        ({"group": ["students", "x"]}, True, "group", "the user is in the group students"),
        (
            {"group": [{"glob": "stud*"}]},
            True,
            "group",
            "the user is in the group students (by the pattern stud*)",
        ),
        ({}, True, "everyone", "it covers everyone"),
        ({"group": ["staff"]}, False, None, "it covers the group staff, and the user is not in it"),
        (
            {"user": ["bob", "eve"], "group": ["staff"]},
            False,
            None,
            "it covers only the users bob, eve and the group staff",
        ),
    ],
)
def test_by_its_scope(scope, applies, by, why):
    assert said(rule("week", **scope))["week"] == (applies, by, why)


@pytest.mark.parametrize(
    ("admin", "scope", "by", "why"),
    [
        (True, {"admin": True}, "admin", "the user is an admin"),
        (False, {"admin": True}, None, "it covers only admins"),
        (
            False,
            {"admin": True, "group": ["staff"]},
            None,
            "it covers only the group staff and admins",
        ),
        (
            True,
            {"admin": True, "group": ["students"]},
            "group",
            "the user is in the group students",
        ),
    ],
)
def test_a_policy_for_the_hubs_admins(admin, scope, by, why):
    found = said(rule("week") | {"scope": scope}, admin=admin)
    assert found["week"] == (by is not None, by, why)


def test_a_user_scoped_policy_takes_precedence():
    found = said(rule("students", 9, group=["students"]), rule("ada", 2, user=["ada"]))
    why = "ada names the user, which takes precedence; the user is in the group students"
    assert found["students"] == (False, "group", why)
    assert found["ada"][0] is True


def test_not_of_another_combination():
    cpu = rule("cpu", resource="cpu", limit="3 CPU-hours")
    found = said(cpu, rule("ada", 2, user=["ada"]))
    assert [one[0] for one in found.values()] == [True, True]


@pytest.mark.parametrize(("intersection", "decides"), [("min", "small"), ("max", "large")])
def test_of_several_one_decides(intersection, decides):
    (other,) = {"small", "large"} - {decides}
    found = said(rule("small", 2), rule("large", 9), intersection=intersection)
    assert found[decides] == (True, "everyone", "it covers everyone")
    why = f"{decides} decides (intersection = {intersection}); it covers everyone"
    assert found[other] == (False, "everyone", why)


def test_of_a_sum_all_apply():
    found = said(rule("small", 2), rule("large", 9), intersection="sum")
    assert [one[0] for one in found.values()] == [True, True]


@pytest.mark.parametrize(
    ("exempt", "why"),
    [
        ({"user": ["ada"]}, "it exempts the user"),
        ({"group": ["students"]}, "it exempts the group students"),
        ({"admin": True}, "it exempts admins"),
    ],
)
def test_exempt(exempt, why):
    found = said(rule("week", exempt=exempt), admin=True, empty=EMPTY)
    assert found["week"] == (False, "everyone", why)
    # Who is exempt is covered: the backup strategy is not for them.
    assert found["rest"] == (
        False,
        None,
        "it is for users whom no policy covers; covered by week",
    )


def test_the_backup_strategy():
    found = said(rule("staff", group=["staff"]), empty=EMPTY)
    how = "no policy covers the user (scope_backup_strategy.empty)"
    assert found["rest"] == (True, "fallback", how)
