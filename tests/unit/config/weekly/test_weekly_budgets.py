"""Weekly budgets by tier and role become policies, of which exactly one is about each launch."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traitlets.config import Config

from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.config.weekly.budgets import parse_weekly_budgets
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.quotas.applicability import applicability
from jupyterhub_usage_quotas.quotas.decide import Decision, Request, decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.policy import Policy, PolicySet
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.resolve import resolve
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage

HOUR = 3600
COLLAB = {"role": "collab", "group": ["collaborative"]}
ADMIN = {"role": "admin", "admin": True, "group": ["instructors"]}
UZH = {"roles": [COLLAB, ADMIN]}
"""Roles as UZH has them: servers of a collaboration group, admins with course owners, the rest."""
SECONDS = {
    "QUOTA_USER_CPU_S": 3600,
    "QUOTA_USER_GPU_S": 7200,
    "QUOTA_ADMIN_CPU_S": 10800,
    "QUOTA_ADMIN_GPU_S": 14400,
    "QUOTA_COLLAB_CPU_S": 18000,
    "QUOTA_COLLAB_GPU_S": 21601,
}
"""A budget of its own in each variable."""
NAMES = {
    "cpu-user-week",
    "gpu-user-week",
    "cpu-admin-week",
    "gpu-admin-week",
    "cpu-collab-week",
    "gpu-collab-week",
}


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in SECONDS:
        monkeypatch.delenv(name, raising=False)


def made(budgets: object, environment: Mapping[str, str] | None = None) -> PolicySet:
    """The policies of these budgets."""
    parsed = parse_weekly_budgets(budgets, environment or {})
    return parse_policies([], further=parsed.entries() if parsed else [])


def options(budgets: object, **more: Any) -> QuotaOptions:
    config = Config()
    config.UsageQuotaManager.weekly_budgets = budgets
    config.UsageQuotaManager.update(more)
    return QuotaOptions(config=config)


def about(policies: PolicySet, subject: Subject, server: ServerAttributes) -> list[Policy]:
    """The policies that limit a launch."""
    return [one for one in policies if one.covers(subject) and one.servers.selects(server)]


CPU = ServerAttributes("mini-cpu", "Minimal environment")
GPU = ServerAttributes("bme-gpu-dedicated", "BME GPU Server (Dedicated GPU)")
SUBJECTS = {
    "user": Subject("student", frozenset({"course-1", "collaborative-1"})),
    "admin": Subject("boss", frozenset(), admin=True),
    "collab": Subject("project-collab", frozenset({"collaborative"})),
}

# --- the seed's six budgets -----------------------------------------------------------------------


def test_true_is_twenty_hours_a_week_of_each_tier_for_users_and_admins():
    policies = options(True).policies
    assert {one.name for one in policies} == {one for one in NAMES if "collab" not in one}
    for one in policies:
        assert (one.resource, one.limit.base, str(one.limit)) == ("time", 72000, "20 hours")
        assert str(one.window) == "calendar week from Monday (UTC)"
        assert one.when_exhausted == "stop"


@pytest.mark.parametrize("role", ["user", "admin", "collab"])
@pytest.mark.parametrize(("tier", "server"), [("cpu", CPU), ("gpu", GPU)])
def test_each_role_has_its_budget_of_each_tier_from_its_variable(role, tier, server, monkeypatch):
    for name, seconds in SECONDS.items():
        monkeypatch.setenv(name, str(seconds))
    (policy,) = about(options(UZH).policies, SUBJECTS[role], server)
    assert policy.name == f"{tier}-{role}-week"
    assert policy.limit.base == SECONDS[f"QUOTA_{role.upper()}_{tier.upper()}_S"]


def test_what_the_option_says_comes_before_the_variable_and_the_rest_is_usual(monkeypatch):
    monkeypatch.setenv("QUOTA_USER_GPU_S", "3600")
    monkeypatch.setenv("QUOTA_USER_CPU_S", "1800")
    budgets = {"user": {"gpu": "5 hours"}, "collab": {"cpu": {"value": 90, "unit": "minutes"}}}
    limits = {one.name: str(one.limit) for one in options(UZH | {"budgets": budgets}).policies}
    assert limits == dict.fromkeys(NAMES, "20 hours") | {
        "gpu-user-week": "5 hours",
        "cpu-user-week": "30 minutes",
        "cpu-collab-week": "90 minutes",
    }


@pytest.mark.parametrize(
    ("seconds", "limit"),
    [("72000", "20 hours"), (" 72000\n", "20 hours"), ("90", "90 seconds"), ("0", "0 hours")],
)
def test_seconds_become_an_amount_that_people_read(seconds, limit):
    policies = made(True, {"QUOTA_USER_CPU_S": seconds})
    (policy,) = [one for one in policies if one.name == "cpu-user-week"]
    assert str(policy.limit) == limit
    assert policy.limit.base == int(seconds)


@settings(max_examples=60, deadline=None)
@given(seconds=st.integers(0, 10**9))
def test_no_second_is_lost(seconds):
    policies = made(True, {"QUOTA_USER_CPU_S": str(seconds)})
    (policy,) = [one for one in policies if one.name == "cpu-user-week"]
    assert policy.limit.base == seconds


WRONG = ["", "20h", "-1", "1.5", "1e5", "nan", "inf", "72 000", "７２０００", "True", "9" * 16]


@pytest.mark.parametrize("text", WRONG)
@pytest.mark.parametrize("name", ["QUOTA_USER_CPU_S", "QUOTA_COLLAB_GPU_S"])
def test_a_wrong_variable_stops_the_hub(name, text, monkeypatch):
    # Also one of a role that there is not.
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigurationError) as refused:
        options(True)
    (error,) = refused.value.errors
    assert error == (
        f"UsageQuotaManager.weekly_budgets: environment variable {name}: got {text!r}; expected a"
        " whole number of seconds, for example 72000"
    )
    assert not list(options(False).policies)  # it is no matter where there are no budgets


# --- tiers ----------------------------------------------------------------------------------------


def of_gpu(policies: PolicySet, server: ServerAttributes) -> bool:
    (policy,) = about(policies, SUBJECTS["user"], server)
    return policy.name == "gpu-user-week"


NAMED = st.text(st.sampled_from("gpuGPU -uſＧ"), max_size=8) | st.text(max_size=6)
SLUG = st.text(st.sampled_from("gpuGPU-x"), max_size=7)


@settings(max_examples=300, deadline=None)
@given(slug=SLUG, name=NAMED, kept=st.booleans())
def test_a_profile_is_of_the_gpu_tier_where_its_name_or_slug_contains_gpu(slug, name, kept):
    name = name if kept else f"{name} gPu"
    expected = "gpu" in name.lower() or "gpu" in slug.lower()
    assert of_gpu(USUAL, ServerAttributes(slug, name)) == expected


USUAL = made(True)


def test_what_is_chosen_in_a_profile_or_what_else_a_server_has_makes_no_other_tier():
    for tail in ("", "/memory=gpu", "/gpu=yes", "/gpu-count=2/image=gpu"):
        assert not of_gpu(USUAL, ServerAttributes(f"large{tail}", "Large", "gpu", gpu=True))
        assert of_gpu(USUAL, ServerAttributes(f"large-gpu{tail}", "Large", gpu=False))
    assert not of_gpu(USUAL, ServerAttributes())  # without profiles


PATTERNS = st.lists(
    st.sampled_from(["a", "b*", "*", "?", "a/x", "*/x", "*/o=y", "b/*", "[ab]", "A*"]),
    min_size=1,
    max_size=3,
)


def matches(pattern: str, server: ServerAttributes, chosen: Mapping[str, str]) -> bool:
    """Whether a pattern is of the profile, or of a choice in it where it has a slash."""
    slug = server.profile.split("/")[0]
    names = [one for one in (slug, server.profile_name) if one]
    if "/" in pattern:
        for option, choice in chosen.items():
            names += [f"{slug}/{choice}", f"{slug}/{option}={choice}"]
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


@settings(max_examples=300, deadline=None)
@given(
    tiers=st.lists(PATTERNS, max_size=4),
    slug=st.sampled_from(["", "a", "b", "bb", "c"]),
    name=st.sampled_from(["", "A", "b", "Big"]),
    chosen=st.dictionaries(st.sampled_from("op"), st.sampled_from("xyz"), max_size=2),
)
def test_every_server_is_in_the_first_tier_that_has_its_profile_and_in_no_other(
    tiers: Sequence[Sequence[str]], slug: str, name: str, chosen: Mapping[str, str]
):
    written = [{"tier": f"t{at}", "profile": list(one)} for at, one in enumerate(tiers)]
    profile = "/".join([slug, *(f"{option}={choice}" for option, choice in chosen.items())])
    server = ServerAttributes(profile, name)
    fitting = [
        f"t{at}"
        for at, patterns in enumerate(tiers)
        if any(matches(pattern, server, chosen) for pattern in patterns)
    ]
    first = [*fitting, "cpu"][0]
    policies = made({"tiers": written})
    assert [one.name for one in about(policies, SUBJECTS["user"], server)] == [f"{first}-user-week"]


def test_without_tiers_there_is_one_budget_for_all_servers():
    policies = made({"tiers": [], "roles": []})
    assert [one.name for one in policies] == ["cpu-user-week"]
    assert [one.name for one in about(policies, SUBJECTS["admin"], GPU)] == ["cpu-user-week"]


# --- roles ----------------------------------------------------------------------------------------

MEMBERS = st.sampled_from(["staff", "collab-1", "collab-2", "students"])
WHOM = st.fixed_dictionaries(
    {},
    optional={
        "group": st.lists(MEMBERS | st.just({"glob": "collab-*"}), min_size=1, max_size=2),
        "user": st.lists(st.sampled_from(["ada", {"glob": "*-c"}]), min_size=1, max_size=2),
        "admin": st.just(True),
    },
).filter(bool)


def has_role(whom: Mapping[str, Any], subject: Subject) -> bool:
    def listed(names: Sequence[Any], name: str) -> bool:
        return any(
            fnmatch.fnmatchcase(name, one["glob"]) if isinstance(one, dict) else one == name
            for one in names
        )

    return (
        listed(whom.get("user", []), subject.name)
        or any(listed(whom.get("group", []), group) for group in subject.groups)
        or (whom.get("admin", False) and subject.admin)
    )


@settings(max_examples=200, deadline=None)
@given(
    roles=st.lists(WHOM, max_size=3),
    name=st.sampled_from(["ada", "bob", "x-c"]),
    groups=st.frozensets(MEMBERS),
    admin=st.booleans(),
)
def test_every_user_has_the_first_role_that_covers_them_and_no_other(roles, name, groups, admin):
    written = [{"role": f"r{at}", **one} for at, one in enumerate(roles)]
    subject = Subject(name, groups, admin)
    first = next((f"r{at}" for at, one in enumerate(roles) if has_role(one, subject)), "user")
    policies = made({"roles": written})
    for server, tier in ((CPU, "cpu"), (GPU, "gpu")):
        assert [one.name for one in about(policies, subject, server)] == [f"{tier}-{first}-week"]
    # And it is what decides, as resolved, and as `check` and the pages have it.
    resolved = resolve(policies, subject)
    assert {one.name for one in resolved} == {f"gpu-{first}-week", f"cpu-{first}-week"}
    said = applicability(policies, subject, resolved)
    assert {one.policy for one in said} == {one.name for one in policies}
    assert {one.policy for one in said if one.applies} == {one.name for one in resolved}


@pytest.mark.parametrize(
    ("subject", "role"),
    [
        (Subject("a", frozenset({"collaborative", "instructors"}), admin=True), "collab"),
        (Subject("a", frozenset({"instructors"})), "admin"),
        (Subject("a", frozenset({"instructors", "course"}), admin=True), "admin"),
        (Subject("a", frozenset({"course"})), "user"),
        (Subject("a"), "user"),
    ],
)
def test_of_several_roles_the_first_counts(subject, role):
    assert {one.name for one in resolve(made(UZH), subject)} == {
        f"cpu-{role}-week",
        f"gpu-{role}-week",
    }


# --- decisions and weeks --------------------------------------------------------------------------

WEDNESDAY = datetime(2026, 3, 4, 12, tzinfo=UTC)
MONDAY = datetime(2026, 3, 9, tzinfo=UTC)


def start(
    policies: PolicySet,
    used: Mapping[ServerAttributes, float],
    server: ServerAttributes,
    now: datetime = WEDNESDAY,
    until: datetime | None = None,
) -> Decision:
    """The decision on a launch after so many hours on each of some servers."""
    end = (until or now).timestamp()
    buckets = tuple(
        Bucket(end - hours * HOUR, end, hours * HOUR, one) for one, hours in used.items()
    )
    request = Request(
        Subject("student"),
        profile=server.profile,
        profile_name=server.profile_name,
        rates={"time": 1.0},
    )
    return decide(policies, {"time": Fresh(Usage(buckets, now))}, request, now)


def test_a_used_up_tier_denies_until_monday_and_the_other_goes_on():
    used = {GPU: 20.0, CPU: 19.5}
    denied = start(USUAL, used, GPU)
    assert not denied.allowed
    assert denied.retry_time == MONDAY
    assert [one.allotment.name for one in denied.denying] == ["gpu-user-week"]
    assert start(USUAL, used, CPU).allowed
    # What is chosen in a profile is of its tier.
    chosen = ServerAttributes("bme-gpu-dedicated/memory=mem_488", GPU.profile_name)
    assert not start(USUAL, used, chosen).allowed
    # Another profile of the tier pays from the same budget.
    assert not start(USUAL, used, ServerAttributes("other", "Another GPU")).allowed


def test_a_week_ends_at_its_boundary_and_what_runs_over_it_counts_from_there():
    # Twenty hours that ended two hours into the week: eighteen of them were in the last one.
    after = MONDAY + timedelta(hours=2)
    assert start(USUAL, {GPU: 20.0}, GPU, after).verdicts[0].used == 2 * HOUR
    assert start(USUAL, {GPU: 20.0}, GPU, MONDAY).allowed
    second_before = MONDAY - timedelta(seconds=1)
    assert not start(USUAL, {GPU: 20.0}, GPU, second_before).allowed


def boundaries(zone: str, weekday: int, hour: int, year: int = 2026) -> list[datetime]:
    """Every beginning of a week in a year, day by day."""
    days = (datetime(year, 1, 1) + timedelta(days=n) for n in range(365))
    return [
        one.replace(hour=hour, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        for one in days
        if one.weekday() == weekday
    ]


@pytest.mark.parametrize(
    ("week", "zone", "weekday", "hour"),
    [
        ({"hour": 0}, "UTC", 0, 0),
        ({"timezone": "Europe/Zurich"}, "Europe/Zurich", 0, 0),
        ({"timezone": "America/New_York", "starts": "sunday"}, "America/New_York", 6, 0),
        ({"timezone": "Europe/Zurich", "starts": "sunday", "hour": 4}, "Europe/Zurich", 6, 4),
        ({"starts": "thursday", "hour": 12}, "UTC", 3, 12),
    ],
)
def test_weeks_begin_where_the_admin_says_also_when_clocks_change(week, zone, weekday, hour):
    (policy, *others) = made(week)
    assert {one.window for one in others} == {policy.window}
    expected = boundaries(zone, weekday, hour)
    second = timedelta(seconds=1)
    for begin, end in pairwise(expected):
        for inside in (begin, begin + timedelta(days=3), end - second):
            assert policy.window.start(inside) == begin
            assert policy.window.next_start(inside) == end
    if zone == "Europe/Zurich":
        lengths = {end - begin for begin, end in pairwise(expected)}
        assert lengths == {timedelta(hours=hours) for hours in (167, 168, 169)}


# --- policies among others ------------------------------------------------------------------------


def test_names_depend_on_nothing_but_tier_and_role():
    assert {one.name for one in made(UZH)} == NAMES
    others = {
        "roles": [ADMIN | {"group": ["owners"]}, COLLAB | {"user": [{"glob": "*-collab"}]}],
        "tiers": [{"tier": "gpu", "profile": ["large"]}],
        "budgets": {"admin": {"cpu": "1 hour"}},
        "starts": "sunday",
        "when_exhausted": "warn",
        "minimum_session": "10 minutes",
    }
    policies = made(others)
    assert {one.name for one in policies} == NAMES
    assert {one.when_exhausted.value for one in policies} == {"warn"}
    assert {one.minimum_session for one in policies} == {timedelta(minutes=10)}
    assert not policies.default_names


def test_they_stand_beside_policies_of_the_admin():
    own = {"name": "memory", "resource": "memory", "limit": "9 GiB-hours", "window": 7}
    own |= {"scope": {"everyone": True}}
    names = [one.name for one in options(True, policy=[own]).policies]
    assert names[0] == "memory"
    assert len(names) == 5
    with pytest.raises(ConfigurationError, match="2 policies have the name 'cpu-user-week'"):
        options(True, policy=[own | {"name": "cpu-user-week"}])


def test_they_are_the_same_in_a_process_with_other_variables(monkeypatch):
    for given_as in (
        True,
        UZH | {"budgets": {"user": {"cpu": "1 hour"}}, "timezone": "Asia/Tokyo"},
    ):
        with monkeypatch.context() as there:
            for name, seconds in SECONDS.items():
                there.setenv(name, str(seconds))
            hub = options(given_as)
            handed = json.loads(json.dumps(hub.weekly_budgets_in_full))
        assert options(handed).policies == hub.policies
        assert options(handed).policies != options(given_as).policies
    assert options(False).weekly_budgets_in_full is False


def test_where_pods_are_known_by_name_the_option_is_named():
    config = Config()
    config.UsageConfig.identify_pods_by = "name"
    config.UsageConfig.hub_namespace = "hub"
    config.UsageQuotaManager.weekly_budgets = True
    with pytest.raises(ConfigurationError) as refused:
        QuotaOptions(config=config)
    assert "UsageQuotaManager.weekly_budgets: cpu-user-week selects servers by profile" in str(
        refused.value
    )


# --- mistakes and doubts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budgets", "says"),
    [
        ({}, ": got {}; expected True, False, or a mapping with some of tiers, roles, budgets,"),
        (None, ": got None; expected True, False"),
        ("yes", ": got 'yes'; expected True, False"),
        (1, ": got 1; expected True, False"),
        ({"tier": []}, ": unknown key: got 'tier'; did you mean tiers?"),
        ({"tiers": {"gpu": ["*"]}}, ".tiers: must be a list: got {'gpu': ['*']}; expected [{tier"),
        ({"tiers": ["gpu"]}, ".tiers[0]: must be a mapping: got 'gpu'; expected as in [{tier"),
        ({"tiers": [{"profile": ["*"]}]}, ".tiers[0].tier: got None; expected at most 30 lower"),
        ({"tiers": [{"tier": "G P", "profile": ["*"]}]}, ".tiers[0].tier: got 'G P'; expected"),
        ({"tiers": [{"tier": "cpu", "profile": ["*"]}]}, ".tiers[0].tier: cpu is the tier of all"),
        ({"tiers": [{"tier": "gpu", "profile": "*"}]}, ".tiers[0].profile: must be a list: got '"),
        ({"tiers": [{"tier": "gpu", "profile": ["[a"]}]}, ".tiers[0].profile: pattern with a [ th"),
        ({"tiers": [{"tier": "gpu"}]}, ".tiers[0].profile: must be a list: got None; expected a"),
        ({"tiers": [{"tier": "a", "profile": ["a"]}] * 2}, ".tiers[1].tier: a is there twice"),
        ({"tiers": [0] * 31}, ".tiers: too many: got 31; expected at most 30"),
        ({"roles": [{"role": "admin"}]}, ".roles[0]: covers nobody; add group: [...], user: [...]"),
        ({"roles": [{"role": "user", "admin": True}]}, ".roles[0].role: user is the role of all o"),
        ({"roles": [{"role": "a", "group": "b"}]}, ".roles[0].group: must be a list of names: got"),
        ({"roles": [{"role": "a", "admin": False}]}, ".roles[0].admin: can only be true: got Fals"),
        ({"roles": [ADMIN | {"everyone": True}]}, ".roles[0]: unknown key: got 'everyone'; expect"),
        ({"budgets": {"user": "20 hours"}}, ".budgets['user']: must be a mapping: got '20 hours'"),
        ({"budgets": {"usr": {}}}, ".budgets: no role: got 'usr'; did you mean user? Expected one"),
        ({"budgets": {"user": {"gpus": 1}}}, ".budgets['user']: no tier: got 'gpus'; did you mean"),
        ({"budgets": {"user": {"gpu": 20}}}, ".budgets['user']['gpu']: has no unit and could be m"),
        ({"budgets": {"user": {"gpu": "2 GiB"}}}, ".budgets['user']['gpu']: "),
        ({"budgets": {"user": {"gpu": "-1 h"}}}, ".budgets['user']['gpu']: must not be negative"),
        ({"starts": "lundi"}, ": starts: got 'lundi'; expected one of: monday, tuesday"),
        ({"hour": 24}, ": hour: got 24; expected a number from 0 to 23"),
        ({"timezone": "Zürich"}, ": timezone: not known: got 'Zürich'; expected for example 'Eur"),
        ({"when_exhausted": "kill"}, ".when_exhausted: got 'kill'; expected one of: deny, stop, w"),
        ({"minimum_session": 5}, ".minimum_session: must be a duration: got 5; expected for examp"),
    ],
)
def test_a_mistake_is_one_error_that_names_it(budgets, says):
    with pytest.raises(ConfigurationError) as refused:
        options(budgets)
    (error,) = refused.value.errors
    assert error.startswith(f"UsageQuotaManager.weekly_budgets{says}")


def test_all_mistakes_are_said_at_once_and_no_mistake_is_said_for_another():
    wrong = {
        "tiers": [{"tier": "gpu", "profile": []}],
        "roles": [{"role": "admin", "group": "owners"}],
        "budgets": {"admin": {"gpu": "x"}},  # of a tier and a role that have errors of their own
        "starts": 1,
    }
    with pytest.raises(ConfigurationError) as refused:
        options(wrong, policy=[{"resource": "nothing"}])
    places = [error.partition(": ")[0] for error in refused.value.errors]
    assert sorted(set(places)) == [
        "UsageQuotaManager.policy[0].limit",
        "UsageQuotaManager.policy[0].resource",
        "UsageQuotaManager.policy[0].scope",
        "UsageQuotaManager.policy[0].window",
        "UsageQuotaManager.weekly_budgets",
        "UsageQuotaManager.weekly_budgets.budgets['admin']['gpu']",
        "UsageQuotaManager.weekly_budgets.roles[0].group",
        "UsageQuotaManager.weekly_budgets.tiers[0].profile",
    ]


PLACE = "UsageQuotaManager.weekly_budgets"


@pytest.mark.parametrize(
    ("budgets", "variables", "lines"),
    [
        (False, {}, []),
        (True, {}, []),
        (True, {"QUOTA_USER_CPU_S": "60", "QUOTA_ADMIN_GPU_S": "60", "QUOTAS": "1"}, []),
        (UZH, {"QUOTA_COLLAB_CPU_S": "60"}, []),
        (
            False,
            {"QUOTA_USER_CPU_S": "20h", "QUOTA_COLLAB_GPU_S": "60", "QUOTA_X_S": "1"},
            [
                f"QUOTA_USER_CPU_S, QUOTA_COLLAB_GPU_S: the environment has budgets, and {PLACE} is"
                " off, so they have no effect; set it to True, or remove the variables"
            ],
        ),
        (
            True,
            {"QUOTA_COLLAB_CPU_S": "60"},
            [f"{PLACE}: QUOTA_COLLAB_CPU_S has no effect: no role is 'collab'; add it to roles"],
        ),
        (
            {"tiers": []},
            {"QUOTA_USER_GPU_S": "60"},
            [f"{PLACE}: QUOTA_USER_GPU_S has no effect: no tier is 'gpu'; add it to tiers"],
        ),
        (
            True,
            {"QUOTA_USERS_CPU_S": "60"},
            [
                f"{PLACE}: QUOTA_USERS_CPU_S has no effect: it is of no role and tier; did you mean"
                " QUOTA_USER_CPU_S? Expected one of: QUOTA_ADMIN_CPU_S, QUOTA_ADMIN_GPU_S,"
                " QUOTA_COLLAB_CPU_S, QUOTA_COLLAB_GPU_S, QUOTA_USER_CPU_S, QUOTA_USER_GPU_S"
            ],
        ),
        (
            {"budgets": {"user": {"cpu": "2 hours"}}},
            {"QUOTA_USER_CPU_S": "60"},
            [f"{PLACE}: QUOTA_USER_CPU_S has no effect: budgets has the same role and tier"],
        ),
        (
            True,
            {"QUOTA_USER_CPU_S": "72000000"},  # milliseconds
            [
                f"{PLACE}: cpu-user-week is longer than a week, so no server alone uses it up: got"
                " 20000 hours"
            ],
        ),
        ({"budgets": {"user": {"cpu": "169 hours"}}}, {}, []),
    ],
)
def test_what_is_probably_not_meant_is_doubted(budgets, variables, lines, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert options(budgets).doubts() == lines
