"""Which running servers policies may stop, and what is found about each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_usage_quotas.conventions import Reason
from jupyterhub_usage_quotas.quotas.adjustments import Exemption, Grant
from jupyterhub_usage_quotas.quotas.charge import PoolAccounts
from jupyterhub_usage_quotas.quotas.in_flight import Running, add_running
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.stopping.steps import Exhausted, NotKnown, Remains, Rules
from jupyterhub_usage_quotas.quotas.stopping.watching import find_pool, watch_servers
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import (
    ANY_SERVER,
    Bucket,
    Fresh,
    Stale,
    Unknown,
    Usage,
)
from jupyterhub_usage_quotas.quotas.verdict import Request

# A Wednesday.
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
READ = NOW - timedelta(seconds=40)
ADA = Subject("ada", frozenset({"lab"}))
USUAL = Rules(timedelta(minutes=5), (timedelta(minutes=10),))
HOUR = 3600


def rule(limit="10 hours", resource="time", window=7, **more):
    entry = {"resource": resource, "limit": limit, "window": window, "scope": {"everyone": True}}
    return entry | {"when_exhausted": "stop", "name": resource} | more


def server(name="", started=60, who=ADA, unknown=(), profile_known=True, **rates):
    request = Request(
        who,
        name,
        rates={"time": 1.0} | rates,
        unknown=frozenset(unknown),
        profile_known=profile_known,
    )
    return Running(request, NOW - timedelta(minutes=started))


def used(hours, rate=1.0, ended=2, by=ANY_SERVER):
    """So many hours at a rate, until some hours ago."""
    end = NOW.timestamp() - ended * HOUR
    start = end - hours * HOUR
    buckets = (Bucket(start, end, rate * hours * HOUR, by),) if hours else ()
    return Fresh(Usage(buckets, READ))


def watch(rules, readings, servers=None, adjustments=(), pools=None):
    """What was found, by server and policy."""
    servers = [server()] if servers is None else servers
    policies = parse_policies(rules)
    readings = {
        name: reading
        if hasattr(reading, "reason")
        else add_running({name: reading}, servers, NOW)[name]
        for name, reading in readings.items()
    }
    found = watch_servers(
        policies, readings, ADA, servers, NOW, USUAL, adjustments=adjustments, pools=pools or {}
    )
    return {(one.server, one.policy): one for one in found}


def judged(*args, **more):
    return {server: one.judgement for (server, _), one in watch(*args, **more).items()}


def test_what_remains_lasts_until_the_forecast():
    # Forty seconds were used since usage was known.
    found = judged([rule()], {"time": used(9)})[""]
    assert found == Remains(NOW + timedelta(hours=1, seconds=-40), 10 * HOUR)


def test_nothing_remains():
    assert judged([rule()], {"time": used(10)}) == {"": Exhausted(READ, 10 * HOUR)}


@pytest.mark.parametrize("what", ["deny", "warn"])
def test_policies_that_stop_nothing_watch_nothing(what):
    assert judged([rule(when_exhausted=what)], {"time": used(11)}) == {}


def test_what_is_not_fresh_says_nothing():
    stale = Stale(used(30).usage, Reason.STALE, "an hour old")
    assert judged([rule()], {"time": stale}) == {"": NotKnown()}
    assert judged([rule()], {"time": Unknown(Reason.TIMEOUT, "no answer")}) == {"": NotKnown()}
    assert judged([rule()], {}) == {"": NotKnown()}


def test_the_session_that_a_launch_needs_stops_no_server():
    found = judged([rule(minimum_session="2 hours")], {"time": used(9)})[""]
    assert isinstance(found, Remains)


def test_a_budget_of_gpus_stops_no_server_without_one():
    rules = [rule("1 GPU-hour", "gpu"), rule(servers={"gpu": True})]
    servers = [server("cpu"), server("gpu", gpu=1.0)]
    readings = {"gpu": used(2), "time": used(12)}
    assert set(watch(rules, readings, servers)) == {("gpu", "gpu"), ("gpu", "time")}


def test_a_server_that_may_be_another_is_not_stopped():
    rules = [rule(servers={"profile": ["big"]})]
    one = server(profile_known=False)
    assert judged(rules, {"time": used(12, by=ServerAttributes("big"))}, [one]) == {"": NotKnown()}
    rules = [rule("1 GPU-hour", "gpu")]
    assert judged(rules, {"gpu": used(2)}, [server(unknown=["gpu"])]) == {"": NotKnown()}


def test_a_grant_and_an_exemption_count_at_once():
    about = {
        "id": 1,
        "policy": "time",
        "user": "ada",
        "start": NOW - timedelta(minutes=1),
        "until": NOW + timedelta(days=1),
        "actor": "lin",
        "reason": "exam",
    }
    grant = Grant(**about, amount=0.5 * HOUR)
    found = judged([rule()], {"time": used(10)}, adjustments=[grant])[""]
    assert found == Remains(NOW + timedelta(minutes=30, seconds=-40), 10.5 * HOUR)
    found = judged([rule()], {"time": used(10)}, adjustments=[Exemption(**about)])[""]
    # The limit is in force again tomorrow.
    assert found == Remains(NOW + timedelta(days=1), float("inf"))


def test_minutes_before_a_new_period_servers_run_on():
    begins = {"calendar": "day", "hour": 12, "timezone": "UTC"}
    nine_minutes_before = NOW - timedelta(minutes=9)
    buckets = (Bucket((NOW - timedelta(hours=8)).timestamp(), READ.timestamp(), 8 * 3600.0),)
    usage = Usage(buckets, nine_minutes_before)
    policies = parse_policies([rule("1 hour", window=begins)])
    for before, needed in ((9, False), (11, True)):
        now = NOW - timedelta(minutes=before)
        (found,) = watch_servers(policies, {"time": Fresh(usage)}, ADA, [server()], now, USUAL)
        assert found.judgement == Exhausted(nine_minutes_before, HOUR, needed=needed)


def coming_back(rate):
    """Ten hours of a day's window, of which at this rate the first come back from now on."""
    start = NOW.timestamp() - 24 * HOUR
    return Fresh(Usage((Bucket(start, start + 10 * HOUR / rate, 10.0 * HOUR),), NOW))


def needed(rules, readings, servers):
    found = watch_servers(parse_policies(rules), readings, ADA, servers, NOW, USUAL)
    return {one.server for one in found if one.judgement.needed}


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(1, {"old", "new"}), (2, {"new"}), (3, set())],
)
def test_as_many_go_as_more_is_used_than_comes_back_the_last_one_first(rate, expected):
    servers = [server("old", 300), server("new", 30)]
    assert needed([rule(window=1)], {"time": coming_back(rate)}, servers) == expected


def test_the_server_that_uses_most_goes_first():
    servers = [server("big", 300, cpu=8.0), server("small", 30, cpu=1.0)]
    rules = [rule("10 CPU-hours", "cpu", 1)]
    assert needed(rules, {"cpu": coming_back(2)}, servers) == {"big"}


def test_a_pool_stops_all_where_nothing_comes_back():
    policies = parse_policies([rule(share="pooled", scope={"group": ["lab"]}, name="pool")])
    readings = {"ada": {"time": used(6)}, "bob": {"time": used(6)}}
    accounts = PoolAccounts(policies, {"pool": readings}, ())
    (pool,) = policies
    servers = [server("a"), server("b")]
    found = find_pool(pool, accounts, servers, (), NOW)
    assert found.verdict.fits is False
    assert found.ends_at == NOW
    every = watch_servers(
        policies, readings["ada"], ADA, servers, NOW, USUAL, pools=accounts, found={"pool": found}
    )
    assert [one.judgement for one in every] == [Exhausted(READ, 10 * HOUR)] * 2
    without = watch_servers(policies, readings["ada"], ADA, servers, NOW, USUAL, pools=accounts)
    assert [one.judgement for one in without] == [one.judgement for one in every]


BOB = Subject("bob", frozenset({"lab"}))


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        # All of them use three in an hour.
        (1, {("ada", "b"), ("ada", "a"), ("bob", "a")}),
        (1.5, {("ada", "b"), ("ada", "a")}),
        (2.5, {("ada", "b")}),
        (3.5, set()),
    ],
)
def test_of_all_that_draw_on_a_pool_the_fewest_stop_the_last_one_first(rate, expected):
    policies = parse_policies(
        [rule(share="pooled", scope={"group": ["lab"]}, name="pool", window=1)]
    )
    readings = {"ada": {"time": coming_back(rate)}, "bob": {"time": used(0)}}
    accounts = PoolAccounts(policies, {"pool": readings}, ())
    (pool,) = policies
    servers = [server("a", 60), server("a", 300, who=BOB), server("b", 30)]
    found = {"pool": find_pool(pool, accounts, servers, (), NOW)}
    needed = set()
    for who in (ADA, BOB):
        theirs = [one for one in servers if one.request.subject == who]
        every = watch_servers(
            policies, readings[who.name], who, theirs, NOW, USUAL, pools=accounts, found=found
        )
        assert len(every) == len(theirs)
        needed |= {(who.name, one.server) for one in every if one.judgement.needed}
    assert needed == expected


def test_what_a_pool_cannot_pay_falls_to_a_user_who_may_run_on():
    rules = [
        rule(share="pooled", overflow="individual", scope={"group": ["lab"]}, name="pool"),
        rule("5 hours", name="own"),
    ]
    policies = parse_policies(rules)
    readings = {"ada": {"time": used(12)}}
    accounts = PoolAccounts(policies, {"pool": readings}, ())
    (found,) = watch_servers(policies, readings["ada"], ADA, [server()], NOW, USUAL, pools=accounts)
    assert found.policy == "pool + own"
    assert isinstance(found.judgement, Remains)
    # Two of the twelve hours fell to the user.
    assert found.judgement.ends_at == NOW + timedelta(hours=3)


def test_the_rules_are_those_of_the_policy_where_it_has_some():
    own = rule(grace="1 hour", warn_before=[])
    assert watch([own], {"time": used(1)})["", "time"].rules == Rules(timedelta(hours=1), ())
    assert watch([rule()], {"time": used(1)})["", "time"].rules == USUAL
