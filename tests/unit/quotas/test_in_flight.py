"""The last minute: what the Hub knows and Prometheus does not yet, added once; and launches that
are pending, for which what they need is set aside. The Hub's side is in `hub/launch`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.decide import Outcome, decide
from jupyterhub_usage_quotas.quotas.in_flight import (
    Running,
    add_running,
    add_running_to_pools,
)
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import REST, Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Stale, Unknown, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request

HOUR, MINUTE = 3600, 60
NOW = datetime(2026, 3, 4, 12, 34, 56, 789_012, tzinfo=UTC)
"""Neither a whole minute nor a number that a float holds exactly."""


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def usage(*sessions: tuple[float, float, float], covered: float = 90) -> Usage:
    """Sessions `(from, until, rate)`, in seconds before NOW; known until so long ago."""
    return Usage(
        tuple(
            Bucket(ago(start).timestamp(), ago(end).timestamp(), rate * (start - end))
            for start, end, rate in sessions
        ),
        ago(covered),
    )


def running(since: float, user: str = "ada", name: str = "", **rates: float) -> Running:
    return Running(
        Request(Subject(user), server_name=name, rates=rates or {"time": 1.0}), ago(since)
    )


def used(reading: Any, since: float = 86400, until: float = 0) -> float:
    assert isinstance(reading, Fresh), reading
    return reading.usage.between(ago(since).timestamp(), ago(until).timestamp())


# --- servers that run -----------------------------------------------------------------------------


def test_a_server_is_counted_by_prometheus_until_it_is_known_and_by_the_hub_from_there():
    recorded = usage((3600, 90, 1.0))
    readings = add_running({"time": Fresh(recorded)}, [running(3600)], NOW)
    assert used(readings["time"]) == pytest.approx(3600)
    assert used(readings["time"], until=90) == pytest.approx(3510)
    assert readings["time"].usage.covered_until == ago(90)


def test_a_server_that_started_since_is_counted_from_its_start():
    readings = add_running({"time": Fresh(usage())}, [running(20)], NOW)
    assert used(readings["time"]) == pytest.approx(20, abs=1e-5)


def test_every_resource_of_a_server_is_counted_at_its_rate_and_no_other():
    known = {name: Fresh(usage()) for name in ("time", "memory", "gpu", "seats")}
    readings = add_running(known, [running(600, time=1, memory=2.5, gpu=0)], NOW)
    assert {name: used(one) for name, one in readings.items()} == pytest.approx(
        {"time": 90, "memory": 225, "gpu": 0, "seats": 0}
    )


def test_what_is_not_fresh_is_left_as_it_is():
    readings = {"time": Stale(usage(), "stale", ""), "cpu": Unknown("timeout", "")}
    assert add_running(readings, [running(600, time=1, cpu=1)], NOW) == readings


def test_it_is_kept_by_what_selectors_can_name_of_the_server():
    request = Request(
        Subject("ada"), server_name="x", profile="gpu", profile_name="G", rates={"gpu": 1}
    )
    readings = add_running({"gpu": Fresh(usage())}, [Running(request, ago(30))], NOW)
    (bucket,) = readings["gpu"].usage.buckets
    assert bucket.server == ServerAttributes("gpu", "G", "x", gpu=True)


def test_a_clock_that_is_ahead_adds_nothing():
    """A start in the future, or usage that is known further than now."""
    readings = {"time": Fresh(usage(covered=-30))}
    assert used(add_running(readings, [running(-5)], NOW)["time"], until=-60) == 0
    assert used(add_running(readings, [running(600)], NOW)["time"], until=-60) == 0


servers = st.lists(
    st.tuples(st.floats(-60, 7200), st.sampled_from([0.0, 0.5, 1.0, 4e9])), max_size=5
)


@given(servers, st.floats(0, 600))
def test_usage_grows_by_what_ran_since_it_was_known(started, covered):
    recorded = usage((5000, 4000, 2.0), covered=covered)
    those = [running(since, memory=rate) for since, rate in started]
    more = add_running({"memory": Fresh(recorded)}, those, NOW)["memory"]
    truth = sum(rate * max(min(since, covered), 0) for since, rate in started)
    # Instants of today are known to a quarter of a microsecond.
    rounding = 1e-3 + 2e-6 * sum(rate for _, rate in started)
    assert used(more) - used(Fresh(recorded)) == pytest.approx(truth, abs=rounding)
    assert used(more, until=covered) == pytest.approx(used(Fresh(recorded), until=covered))


def test_members_of_pools_are_each_counted_and_others_only_where_all_are_members():
    unused = {"time": Fresh(usage())}
    pools = {"ours": {"ada": unused, "bob": unused}, "all": {"ada": unused, REST: unused}}
    those = {name: [running(60, name)] for name in ("ada", "cleo")}
    more = add_running_to_pools(pools, those, NOW)
    assert {name: set(members) for name, members in more.items()} == {
        "ours": {"ada", "bob"},
        "all": {"ada", "cleo", REST},
    }
    sums = {
        name: sum(used(readings["time"]) for readings in members.values())
        for name, members in more.items()
    }
    assert sums == pytest.approx({"ours": 60, "all": 120}, abs=1e-4)
    assert used(pools["all"]["ada"]["time"]) == 0, "what was known is not changed"


# --- launches that are pending, as values ---------------------------------------------------------


def rule(limit: str, session: str, window: object = 1, **more: Any) -> dict[str, Any]:
    return {
        "resource": "time",
        "limit": limit,
        "window": window,
        "scope": {"everyone": True},
        "minimum_session": session,
    } | more


def decision(policies, recorded: Usage, pending: list[Request], now=NOW, **request: Any):
    return decide(
        parse_policies(policies, credit_prices={"time": 1.0, "gpu": 10.0}, failover_open=False),
        dict.fromkeys(("time", "gpu"), Fresh(recorded)),
        Request(Subject("ada"), **request),
        now,
        reserving=[Running(one, NOW) for one in pending],
    )


WINDOWS = [1, "36h", {"calendar": "day"}, {"calendar": "month"}, {"refill": 1, "every": "6 hours"}]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@given(
    allowance=st.integers(1, 7),
    microseconds=st.integers(0, 10**6 - 1),
    recorded=st.integers(0, 3),
)
def test_exactly_as_many_launches_pass_as_the_allowance_is_for(
    window, allowance, microseconds, recorded
):
    """An allowance for seven launches is one for seven, not for six because of rounding."""
    now = NOW.replace(microsecond=microseconds)
    # So many hours, used just before, each of which is one launch less.
    before = usage((1800, 600, recorded * 3.0)) if recorded else usage()
    pending: list[Request] = []
    while decision([rule(f"{allowance} hours", "1 hour", window)], before, pending, now).allowed:
        pending.append(Request(Subject("ada"), server_name=str(len(pending))))
    assert len(pending) == max(allowance - recorded, 0)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("since", [timedelta(milliseconds=2), timedelta(milliseconds=300)])
def test_what_is_spoken_for_is_not_forgotten_when_a_period_has_just_begun(window, since):
    """Everybody who was told to come back at midnight does."""
    now = NOW.replace(hour=0, minute=0, second=0, microsecond=0, day=1) + since
    pending = [Request(Subject("ada"), server_name="first")]
    policies = [rule("119 minutes", "1 hour", window)]
    assert not decision(policies, Usage((), now), pending, now).allowed


def test_a_launch_that_is_pending_sets_aside_what_it_needs_and_no_more():
    policies = [rule("10 GPU-hours", "30 minutes", resource="gpu")]
    pending = [Request(Subject("ada"), rates={"time": 1.0, "gpu": 4.0})]
    (verdict,) = decision(policies, usage(), pending, rates={"gpu": 1.0}).verdicts
    assert verdict.used == pytest.approx(2 * HOUR)
    assert verdict.need == pytest.approx(HOUR / 2)


def test_launches_of_others_are_theirs_to_pay_for():
    pending = [Request(Subject("bob")), Request(Subject("al")), Request(Subject(""))]
    assert decision([rule("1 hour", "1 hour")], usage(), pending).allowed


def test_credits_are_set_aside_by_their_prices():
    policies = [rule("30 credits", "1 hour", resource="credits")]
    pending = [Request(Subject("ada"), rates={"time": 1.0, "gpu": 2.0})]
    (verdict,) = decision(policies, usage(), pending, rates={"time": 1.0}).verdicts
    assert verdict.used == pytest.approx(21)


@pytest.mark.parametrize(
    ("servers", "counts"),
    [
        ({"gpu": True}, True),
        ({"gpu": False}, False),
        ({"name": ["wo*"]}, True),
        ({"name": [""]}, False),
        ({"profile": ["large"]}, True),
        ({"profile": ["La?ge one"]}, True),
        ({"profile": ["small"]}, False),
    ],
)
def test_only_the_selected_servers_are_set_aside_for(servers, counts):
    pending = [Request(Subject("ada"), server_name="work", profile="large", profile_name="Large one", rates={"time": 1.0, "gpu": 1.0})]  # fmt: skip  # noqa: E501 one case, one line
    policies = [rule("2 hours", "1 hour", servers=servers)]
    (verdict,) = decision(policies, usage(), pending).verdicts
    assert verdict.used == pytest.approx(HOUR if counts else 0)


@pytest.mark.parametrize("state", [Stale(usage(), "stale", ""), Unknown("timeout", "")])
def test_where_usage_is_not_known_failover_decides_whatever_is_pending(state):
    made = decide(
        parse_policies([rule("1 hour", "1 hour")], failover_open=True),
        {"time": state},
        Request(Subject("ada")),
        NOW,
        reserving=[Running(Request(Subject("ada")), NOW)] * 5,
    )
    assert made.outcome is Outcome.FAILOVER_OPEN


sessions = st.tuples(st.integers(2, 40), st.integers(1, 40)).map(
    lambda pair: (pair[0] * HOUR, max(pair[0] - pair[1], 0.1) * HOUR, 1.0)
)


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@given(st.lists(sessions, max_size=4), st.integers(0, 4), st.integers(1, 30))
def test_the_retry_time_is_true_with_launches_that_are_pending(window, recorded, pending, limit):
    """At the retry time the launch is allowed if those that are pending use what they need and
    nothing more is used, and a minute before it is not.
    """
    policies = [rule(f"{limit} hours", "1 hour", window)]
    before = usage(*recorded, covered=0)
    denied = decision(policies, before, [Request(Subject("ada"))] * pending)
    if denied.allowed or denied.retry_time is None:
        return
    spoken_for = [(1.0, 0.0, float(HOUR))] * pending
    with_those = usage(*recorded, *spoken_for, covered=0)
    assert decision(policies, with_those, [], denied.retry_time).allowed
    earlier = denied.retry_time - timedelta(minutes=1)
    if earlier > NOW:
        assert not decision(policies, with_those, [], earlier).allowed


def pool_decision(user: str, pending: list[Request], **more: Any):
    policies = [rule("3 hours", "1 hour", name="pool", share="pooled", **more)]
    unused = {"time": Fresh(usage())}
    return decide(
        parse_policies(policies, failover_open=False),
        unused,
        Request(Subject(user)),
        NOW,
        pools={"pool": {"ada": unused, "bob": unused}},
        reserving=[Running(one, NOW) for one in pending],
    )


def test_a_pool_sets_aside_for_all_its_members_and_for_nobody_else():
    others = [Request(Subject("cleo"))] * 5
    assert pool_decision("ada", [Request(Subject("bob")), Request(Subject("ada")), *others]).allowed
    assert not pool_decision(
        "ada", [Request(Subject("bob")), Request(Subject("bob")), Request(Subject("ada"))]
    ).allowed


def test_everyones_pool_sets_aside_for_whomever_it_is():
    unused = {"time": Fresh(usage())}
    policies = parse_policies(
        [rule("3 hours", "1 hour", name="pool", share="pooled")], failover_open=False
    )
    pools = {"pool": {"ada": unused, REST: unused}}
    pending = [Request(Subject("zoe")), Request(Subject("yan")), Request(Subject("bob"))]
    several = [
        decide(
            policies,
            unused,
            Request(Subject("ada")),
            NOW,
            pools=pools,
            reserving=[Running(one, NOW) for one in those],
        )
        for those in (pending, pending[1:])
    ]
    assert [one.allowed for one in several] == [False, True]
