"""Which servers count and are denied, whom a policy covers, and whom it exempts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from jupyterhub_usage_quotas.quotas.configuration import parse_policies
from jupyterhub_usage_quotas.quotas.decide import Outcome, decide
from jupyterhub_usage_quotas.quotas.resolve import resolve
from jupyterhub_usage_quotas.quotas.servers import ServerAttributes, ServerSelector
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Unknown, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
GPU = ServerAttributes(profile="gpu-large", profile_name="Large [GPU]", name="train", gpu=True)
CPU = ServerAttributes(profile="small", profile_name="Small")
PLAIN = ServerAttributes()


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({"gpu": True}, [GPU]),
        ({"gpu": False}, [CPU, PLAIN]),
        ({"profile": ["gpu-*"]}, [GPU]),
        ({"profile": ["Large [[]GPU]"]}, [GPU]),
        ({"profile": ["Small"]}, [CPU]),
        ({"profile": ["SMALL"]}, []),
        ({"profile": ["s?all", "*gpu*"]}, [GPU, CPU]),
        ({"profile": ["*"]}, [GPU, CPU]),
        ({"profile": [""]}, []),
        ({"name": [""]}, [CPU, PLAIN]),
        ({"name": ["*"]}, [GPU, CPU, PLAIN]),
        ({"name": ["tr*", "x"]}, [GPU]),
        ({"profile": ["*"], "gpu": False}, [CPU]),
        ({"profile": ["*"], "name": ["?*"], "gpu": False}, []),
    ],
)
def test_a_server_is_selected_when_all_that_is_given_applies(selector, selected):
    read = ServerSelector.model_validate(selector)
    assert [server for server in (GPU, CPU, PLAIN) if read.selects(server)] == selected


def rule(limit: str, scope: object = None, **more: object) -> dict[str, object]:
    return {
        "resource": "time", "limit": limit, "window": 1, "scope": scope or {"everyone": True}
    } | more  # fmt: skip


def usage(**hours: float) -> dict[str, Fresh]:
    """So many hours of servers with and without a GPU, which ended now, side by side."""
    end = NOW.timestamp()
    servers = {"gpu": GPU, "cpu": CPU}
    buckets = (
        Bucket(end - amount * 3600, end, amount * 3600, servers[name])
        for name, amount in hours.items()
    )
    return {"time": Fresh(Usage(tuple(buckets), NOW))}


def request(server: ServerAttributes) -> Request:
    rates = {"time": 1.0, "gpu": float(server.gpu)}
    return Request("ada", frozenset(), server.name, server.profile, rates, server.profile_name)


def asked(policies, used, server, **backup):
    return decide(
        parse_policies(policies, backup or None), used, request(server), NOW, failover_open=False
    )


def test_an_exhausted_gpu_budget_leaves_other_servers_startable():
    policies = [rule("2 hours", servers={"gpu": True})]
    assert asked(policies, usage(gpu=3), GPU).outcome is Outcome.DENIED
    decision = asked(policies, usage(gpu=3), CPU)
    assert decision.outcome is Outcome.ALLOWED
    (verdict,) = decision.verdicts
    assert (verdict.fits, verdict.applies, verdict.used) == (False, False, 3 * 3600)


def test_what_other_servers_used_does_not_count():
    policies = [rule("2 hours", servers={"gpu": True})]
    decision = asked(policies, usage(cpu=20, gpu=1), GPU)
    assert decision.outcome is Outcome.ALLOWED
    assert decision.verdicts[0].used == 3600


def test_a_policy_about_other_servers_does_not_fail_over_either():
    policies = [rule("2 hours", servers={"gpu": True})]
    unknown = {"time": Unknown("timeout", "no answer")}
    assert asked(policies, unknown, CPU).outcome is Outcome.ALLOWED
    assert asked(policies, unknown, GPU).outcome is Outcome.FAILOVER_CLOSED


def test_policies_for_other_servers_are_kept_apart():
    policies = [rule("2 hours", servers={"gpu": True}), rule("9 hours"), rule("5 hours")]
    decision = asked(policies, usage(gpu=3), GPU)
    assert [one.allotment.limit.value for one in decision.verdicts] == [2, 5]


def test_what_cannot_be_needed_is_not():
    """Of a server that is not selected nothing is needed, however much it asks for."""
    policies = [rule("1 hour", servers={"gpu": True}, minimum_session="20h")]
    assert asked(policies, usage(), CPU).verdicts[0].need == 0
    assert asked(policies, usage(), GPU).verdicts[0].never


def given(policies, user="ada", groups=(), *, admin=False, **backup) -> list[str]:
    """The names of the policies that limit a user."""
    read = parse_policies(policies, backup or None)
    return [one.name for one in resolve(read, user, groups, admin=admin)]


@pytest.mark.parametrize(
    ("exempt", "limited"),
    [
        ({"user": ["ada"]}, {"bob", "root"}),
        ({"user": [{"glob": "?d?"}]}, {"bob", "root"}),
        ({"user": ["?d?"]}, {"ada", "bob", "root"}),
        ({"group": ["staff"]}, {"ada", "root"}),
        ({"group": [{"glob": "st*"}, "x"]}, {"ada", "root"}),
        ({"admin": True}, {"ada", "bob"}),
        ({"admin": True, "user": ["ada"], "group": ["staff"]}, set()),
    ],
)
def test_who_is_exempt_is_not_limited(exempt, limited):
    policies = [rule("1 hour", name="p", exempt=exempt)]
    groups = {"ada": [], "bob": ["staff"], "root": []}
    found = {user for user, of in groups.items() if given(policies, user, of, admin=user == "root")}
    assert found == limited


def test_who_is_exempt_is_not_somebody_whom_no_policy_covers():
    policies = [rule("1 hour", {"group": ["a"]}, name="p", exempt={"admin": True})]
    empty = {"resource": "time", "limit": "2h", "window": 1, "name": "empty"}
    assert given(policies, groups=["a"], empty=empty) == ["p"]
    assert given(policies, groups=["a"], admin=True, empty=empty) == []
    assert given(policies, groups=[], admin=True, empty=empty) == ["empty"]


def test_several_policies_for_whom_none_covers():
    empty = [
        {"resource": "time", "limit": "2h", "window": 1, "name": "a"},
        {"resource": "cpu", "limit": "2 CPU-hours", "window": 1, "name": "b"},
    ]
    assert given([rule("1h", {"user": ["bob"]})], empty=empty) == ["a", "b"]


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({"user": ["a*"]}, {"a*"}),
        ({"user": [{"glob": "a*"}]}, {"a*", "ada", "a\nb"}),
        ({"user": [{"glob": "a[*]"}]}, {"a*"}),
        ({"user": ["bob", {"glob": "a?a"}]}, {"bob", "ada"}),
        ({"group": ["c*"]}, set()),
        ({"group": [{"glob": "c*"}]}, {"bob"}),
    ],
)
def test_a_name_is_literal_and_a_pattern_is_marked_as_one(scope, covered):
    groups = {"ada": ["x"], "bob": ["class-1"], "a*": [], "a\nb": []}
    policies = [rule("1 hour", scope)]
    assert {user for user, of in groups.items() if given(policies, user, of)} == covered


def test_a_pattern_that_names_the_user_replaces_other_scopes_as_a_name_does():
    policies = [
        rule("1 hour", {"group": ["a"]}, name="group"),
        rule("9 hours", {"user": [{"glob": "ad*"}]}, name="user"),
        rule("2 hours", name="everyone"),
    ]
    assert given(policies, "ada", ["a"]) == ["user"]
    assert given(policies, "bob", ["a"]) == ["group"]
