"""Which servers and which users a policy is about: selectors, patterns, exemptions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.adjustments import Exemption
from jupyterhub_usage_quotas.quotas.decide import Outcome, Request, decide
from jupyterhub_usage_quotas.quotas.policy.doubts import doubts
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes, ServerSelector
from jupyterhub_usage_quotas.quotas.resolve import resolve
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Unknown, Usage

HOUR = 3600
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)

PLAIN = ServerAttributes()
SMALL = ServerAttributes("small-cpu", "Small (2 CPU)")
BIG = ServerAttributes("big-gpu", "Big with A100", "training", gpu=True)
WORK = ServerAttributes("small-cpu", "Small (2 CPU)", "work-1")
ALL = {"plain": PLAIN, "small": SMALL, "big": BIG, "work": WORK}


def rule(limit="2 hours", **more):
    """A policy as an admin writes it; for everyone unless it says for whom."""
    entry = {"resource": "time", "limit": limit, "window": "24h", "scope": {"everyone": True}}
    return entry | more


def only(**selector):
    return rule(servers=selector)


# --- servers ------------------------------------------------------------------------------------

SELECTED = [
    ({"profile": ["big-gpu"]}, "big"),  # the slug
    ({"profile": ["Big with A100"]}, "big"),  # the display name
    ({"profile": ["*gpu*"]}, "big"),
    ({"profile": ["*A100"]}, "big"),
    ({"profile": ["*a100"]}, ""),  # upper and lower case differ
    ({"profile": ["gpu"]}, ""),  # a pattern is for the whole name
    ({"profile": ["*"]}, "small big work"),  # whoever has no profile is not selected
    ({"profile": ["[sb]*-?pu"]}, "small big work"),
    ({"profile": ["big-*", "small-*"]}, "small big work"),
    ({"profile": ["*(2 CPU)"]}, "small work"),
    ({"gpu": True}, "big"),
    ({"gpu": False}, "plain small work"),
    ({"name": ["work-*"]}, "work"),
    ({"name": ["*"]}, "plain small big work"),
    ({"name": [""]}, "plain small"),  # the default server
    ({"name": ["?*"]}, "big work"),  # all that are named
    ({"profile": ["small-cpu"], "name": ["work-*"]}, "work"),
    ({"profile": ["*cpu*"], "gpu": True}, ""),
    ({"except_profile": ["big-gpu"]}, "plain small work"),  # also what has no profile
    ({"except_profile": ["*(2 CPU)"]}, "plain big"),
    ({"except_profile": ["*"]}, "plain"),
    ({"except_profile": ["nothing"]}, "plain small big work"),
    ({"profile": ["*"], "except_profile": ["*gpu*"]}, "small work"),
    ({"profile": ["*gpu*"], "except_profile": ["*gpu*"]}, ""),
    ({"except_profile": ["*gpu*"], "name": ["work-*"]}, "work"),
    ({"profile": ["*"], "name": ["*"], "gpu": True}, "big"),
]


@pytest.mark.parametrize(("selector", "names"), SELECTED)
def test_a_server_is_selected_when_all_that_is_given_applies(selector, names):
    (policy,) = parse_policies([only(**selector)]).policies
    assert {name for name, server in ALL.items() if policy.servers.selects(server)} == set(
        names.split()
    )


def test_a_server_of_unknown_profile_may_be_any_of_those_with_and_without():
    (some,) = parse_policies([only(profile=["*gpu*"])]).policies
    (others,) = parse_policies([only(except_profile=["*gpu*"])]).policies
    for policy, server in ((some, SMALL), (others, BIG)):
        assert not policy.servers.selects(server)
        assert policy.servers.selects(server, {"profile"})
        assert policy.servers.depends_on({"profile"})
        assert not policy.servers.depends_on({"gpu"})


def test_a_policy_that_names_no_servers_is_about_all():
    (policy,) = parse_policies([rule()]).policies
    assert all(policy.servers.selects(server) for server in ALL.values())


def used(**hours):
    """So many hours until NOW on each of the servers above."""
    now = NOW.timestamp()
    return Usage(
        tuple(
            Bucket(now - length * HOUR, now, length * HOUR, ALL[name])
            for name, length in hours.items()
        ),
        NOW,
    )


def start(server, gpu=0):
    return Request(
        Subject("ada"),
        server_name=server.name,
        profile=server.profile,
        profile_name=server.profile_name,
        rates={"time": 1.0, "gpu": gpu},
    )


def decide_on(policies, request, usage, now=NOW):
    readings = {"time": Fresh(usage)}
    return decide(parse_policies(policies, failover_open=False), readings, request, now)


def test_an_exhausted_gpu_budget_leaves_a_cpu_profile_startable():
    policies = [only(gpu=True), rule("9 hours")]
    usage = used(big=3, small=2)
    assert not decide_on(policies, start(BIG, gpu=1), usage).allowed
    assert decide_on(policies, start(SMALL), usage).allowed
    budget, everything = decide_on(policies, start(SMALL), usage).verdicts
    assert (budget.applies, budget.fits, budget.used) == (False, False, 3 * HOUR)
    assert (everything.applies, everything.fits, everything.used) == (True, True, 5 * HOUR)


def test_whether_it_has_a_gpu_is_what_it_asks_for():
    usage = used(big=3)
    for gpu, allowed in [(0, True), (1, False), (0.5, False)]:
        assert decide_on([only(gpu=True)], start(PLAIN, gpu), usage).allowed == allowed
        other = [rule(servers={"gpu": False}, limit="0")]
        assert decide_on(other, start(PLAIN, gpu), usage).allowed != allowed


@pytest.mark.parametrize(("selector", "names"), SELECTED)
def test_a_selector_says_both_what_counts_and_what_is_denied(selector, names):
    usage = used(plain=1, small=2, big=4, work=8)
    hours = {"plain": 1, "small": 2, "big": 4, "work": 8}
    expected = sum(hours[name] for name in names.split())
    for name, server in ALL.items():
        decision = decide_on(
            [only(**selector) | {"limit": "1 hour"}], start(server, server.gpu), usage
        )
        assert decision.verdicts[0].used == expected * HOUR
        assert decision.allowed == (name not in names.split())


def test_a_launch_that_is_not_selected_needs_nothing_and_waits_for_nothing():
    (verdict,) = decide_on(
        [only(gpu=True) | {"minimum_session": "1 hour"}], start(SMALL), used(big=3)
    ).verdicts
    assert (verdict.need, verdict.applies, verdict.counts) == (0, False, False)


def test_policies_for_different_servers_are_not_combined():
    policies = [only(gpu=True), only(gpu=False) | {"limit": "5 hours"}, rule("9 hours")]
    decision = decide_on(policies, start(SMALL), used(big=3, small=4))
    assert [verdict.used for verdict in decision.verdicts] == [3 * HOUR, 4 * HOUR, 7 * HOUR]
    assert decision.allowed


def test_the_retry_time_is_that_of_the_selected_servers():
    sessions = [(-20, -15, SMALL), (-9, -6, BIG), (-3, 0, SMALL)]
    begin = NOW.timestamp()
    buckets = [
        Bucket(begin + first * HOUR, begin + last * HOUR, (last - first) * HOUR, server)
        for first, last, server in sessions
    ]
    decision = decide_on([only(gpu=True)], start(BIG, gpu=1), Usage(tuple(buckets), NOW))
    # three hours on GPUs, from 03:00 to 06:00: one of them is over at 04:00 tomorrow
    assert decision.retry_time == NOW + timedelta(hours=16, minutes=1)


@given(
    hours=st.dictionaries(st.sampled_from(sorted(ALL)), st.integers(1, 20)),
    selector=st.sampled_from([row[0] for row in SELECTED]),
)
def test_what_is_selected_and_what_is_not_is_all_there_is(hours, selector):
    """Usage of a selector's servers and of all the others add up to the usage."""
    (policy,) = parse_policies([only(**selector)]).policies
    usage = used(**hours)
    inside = usage.of(policy.servers).buckets
    outside = [one for one in usage.buckets if not policy.servers.selects(one.server)]
    assert sorted([*inside, *outside], key=repr) == sorted(usage.buckets, key=repr)


# --- users --------------------------------------------------------------------------------------


def names_of(policies, user="ada", groups=(), backup=None, *, admin=False, **more):
    """The names of the policies that decide for a user."""
    read = parse_policies(policies, backup)
    return [one.name for one in resolve(read, Subject(user, frozenset(groups), admin), **more)]


def glob(pattern):
    return {"glob": pattern}


GLOBS = [
    # whom the policy covers, who asks, in which groups, whether they are covered
    ({"group": [glob("class-*")]}, "ada", ["class-1"], True),
    ({"group": [glob("class-*")]}, "ada", ["class-"], True),
    ({"group": [glob("class-*")]}, "ada", ["my-class-1"], False),
    ({"group": [glob("class-*")]}, "ada", ["Class-1"], False),
    ({"group": [glob("class-*")]}, "class-1", [], False),
    ({"group": [glob("class-*")]}, "ada", ["staff", "class-1"], True),
    ({"group": [glob("class-*")]}, "ada", ["class-\n<b>"], True),
    ({"group": [glob("*")]}, "ada", [], False),
    ({"group": [glob("*")]}, "ada", ["x"], True),
    ({"group": ["staff", glob("class-?")]}, "ada", ["class-1"], True),
    ({"group": ["staff", glob("class-?")]}, "ada", ["staff"], True),
    ({"group": ["staff", glob("class-?")]}, "ada", ["class-12"], False),
    ({"user": [glob("*@example.org")]}, "ada@example.org", [], True),
    ({"user": [glob("*@example.org")]}, "ada@example.org.evil", [], False),
    ({"user": [glob("*@example.org")]}, "ada", ["ada@example.org"], False),
    ({"user": [glob("guest-[0-9]")]}, "guest-7", [], True),
    ({"user": [glob("guest-[0-9]")]}, "guest-x", [], False),
    ({"user": [glob("al")]}, "alice", [], False),
    # a name that is written as a name is one, whatever it is made of
    ({"user": ["a*"]}, "ada", [], False),
    ({"user": ["a*"]}, "a*", [], True),
    ({"user": ["guest-[0-9]"]}, "guest-7", [], False),
    ({"user": ["guest-[0-9]"]}, "guest-[0-9]", [], True),
    ({"group": ["*"]}, "ada", ["staff"], False),
    ({"group": ["*"]}, "ada", ["*"], True),
    ({"group": ["class-?"]}, "ada", ["class-1"], False),
]


@pytest.mark.parametrize(("scope", "user", "groups", "covered"), GLOBS)
def test_names_are_literal_and_patterns_are_marked(scope, user, groups, covered):
    policies = [rule(name="x", scope=scope)]
    assert names_of(policies, user, groups) == (["x"] if covered else [])


@pytest.mark.parametrize(("scope", "user", "groups", "covered"), GLOBS)
def test_who_is_exempt_is_named_in_the_same_way(scope, user, groups, covered):
    policies = [rule(name="x", exempt=scope)]
    assert names_of(policies, user, groups) == ([] if covered else ["x"])


def test_a_pattern_of_users_replaces_what_groups_have():
    policies = [
        rule("1 hour", name="group", scope={"group": ["staff"]}),
        rule("2 hours", name="pattern", scope={"user": [glob("a*")]}),
        rule("3 hours", name="everyone"),
    ]
    assert names_of(policies, "ada", ["staff"]) == ["pattern"]
    assert names_of(policies, "bob", ["staff"]) == ["group"]
    assert names_of(policies, "bob") == ["everyone"]


def test_a_name_and_a_pattern_of_users_are_combined():
    policies = [
        rule("1 hour", name="pattern", scope={"user": [glob("a*")]}),
        rule("2 hours", name="name", scope={"user": ["ada"]}),
    ]
    assert names_of(policies, "ada") == ["pattern"]
    assert names_of(policies, "ada", backup={"intersection": "max"}) == ["name"]


EXEMPT = [
    ({"user": ["ada"]}, {}, True),
    ({"user": ["al"]}, {}, False),
    ({"user": [glob("a*")]}, {}, True),
    ({"group": ["staff"]}, {"groups": ["staff"]}, True),
    ({"group": ["staff"]}, {"groups": ["students"]}, False),
    ({"group": [glob("st*")]}, {"groups": ["students"]}, True),
    ({"admin": True}, {"admin": True}, True),
    ({"admin": True}, {"admin": False}, False),
    ({"admin": True, "user": ["ada"]}, {}, True),
    ({"admin": True, "group": ["staff"]}, {"groups": ["staff"]}, True),
    ({"user": ["bob"], "group": ["staff"]}, {"groups": ["students"]}, False),
]


@pytest.mark.parametrize(("exempt", "who", "is_exempt"), EXEMPT)
def test_who_is_exempt_is_not_limited_by_this_policy(exempt, who, is_exempt):
    policies = [rule(name="x", exempt=exempt), rule(name="y", window=7)]
    assert names_of(policies, **who) == (["y"] if is_exempt else ["x", "y"])


@pytest.mark.parametrize(("exempt", "who", "is_exempt"), EXEMPT)
def test_who_is_exempt_does_not_fall_to_empty(exempt, who, is_exempt):
    backup = {"empty": {"name": "empty", "resource": "time", "limit": "0", "window": 1}}
    policies = [rule(name="x", exempt=exempt)]
    assert names_of(policies, backup=backup, **who) == ([] if is_exempt else ["x"])
    nobody = [rule(name="x", scope={"user": ["bob"]})]
    assert names_of(nobody, backup=backup, **who) == ["empty"]


@pytest.mark.parametrize(("exempt", "who", "is_exempt"), EXEMPT)
def test_policies_in_empty_may_exempt_too(exempt, who, is_exempt):
    entry = {"name": "empty", "resource": "time", "limit": "0", "window": 1, "exempt": exempt}
    assert names_of([], backup={"empty": [entry]}, **who) == ([] if is_exempt else ["empty"])


def test_who_is_exempt_from_the_policy_that_names_them_has_the_others():
    policies = [
        rule("1 hour", name="hers", scope={"user": ["ada"]}, exempt={"admin": True}),
        rule("2 hours", name="everyone"),
    ]
    assert names_of(policies) == ["hers"]
    assert names_of(policies, admin=True) == ["everyone"]


def test_who_is_exempt_for_a_time_needs_no_reading():
    """Prometheus is away; who may use any amount is not denied for that."""
    policies = [rule("1 hour", name="p")]
    exemption = Exemption("p", NOW - timedelta(hours=1), NOW + timedelta(hours=1), user="ada")
    unknown = {"time": Unknown("timeout", "no answer")}
    decisions = [
        decide(
            parse_policies(policies, failover_open=False),
            unknown,
            Request(Subject(user)),
            NOW,
            adjustments=[exemption],
        )
        for user in ("ada", "bob")
    ]
    assert [one.outcome for one in decisions] == [Outcome.ALLOWED, Outcome.FAILOVER_CLOSED]


def test_a_pool_that_has_nowhere_to_overflow_to_is_doubted():
    pool = rule("1 hour", name="pool", share="pooled", overflow="individual")
    (line,) = doubts(parse_policies([pool, rule("9 hours", window=7)]))
    assert "'pool'" in line
    assert "overflow has no effect" in line
    assert list(doubts(parse_policies([pool, rule("9 hours")]))) == []


@pytest.mark.parametrize("gpu", [True, False])
def test_of_a_server_that_may_have_a_gpu_usage_counts_for_neither(gpu: bool):
    servers = ServerSelector(gpu=gpu)
    assert not servers.selects(ServerAttributes(gpu=None))
    assert ServerSelector(name=[""]).selects(ServerAttributes(gpu=None))
