"""Forecasts, against a walk over minutes: how long servers can go on, what could be started."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import inf

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.adjustments import Exemption, Grant, Override
from jupyterhub_usage_quotas.quotas.decide import Request, decide
from jupyterhub_usage_quotas.quotas.forecast import largest_that_fits, launch_times, outlooks
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Unknown, Usage

MINUTE = timedelta(minutes=1)
NOW = datetime(2026, 3, 4, 12, 17, tzinfo=UTC)


def after(minutes):
    return NOW + minutes * MINUTE


def used(*sessions):
    """Sessions `(start, end, rate)` in minutes from NOW."""
    return Usage(
        tuple(
            Bucket(after(start).timestamp(), after(end).timestamp(), 60.0 * (end - start) * rate)
            for start, end, rate in sessions
        ),
        NOW,
    )


def rule(limit, window="24h", resource="time", **more):
    entry = {"resource": resource, "limit": limit, "window": window, "scope": {"everyone": True}}
    return entry | more


def ask(gpu=0.0, **rates):
    return Request(Subject("ada"), rates={"time": 1.0, "gpu": gpu} | rates)


def forecast(policies, usage, running=(), adjustments=(), prices=None, **more):
    """When each policy is exhausted, in minutes from NOW."""
    readings = {"time": Fresh(usage)} | more.pop("readings", {})
    parsed = parse_policies(policies, credit_prices=prices)
    found = outlooks(parsed, readings, ask(), running, NOW, adjustments=adjustments, **more)
    ends = [one.exhausted_at for one in found]
    return [None if end is None else (end - NOW) / MINUTE for end in ends]


def launch(policies, usage, profiles, running=(), adjustments=(), **more):
    """How long each profile could run, in minutes."""
    readings = {"time": Fresh(usage)} | more.pop("readings", {})
    parsed = parse_policies(policies)
    times = launch_times(parsed, readings, profiles, running, NOW, adjustments=adjustments, **more)
    return {name: None if time is None else time / MINUTE for name, time in times.items()}


ONE = [ask()]
NOTHING = used()
DAY = {"calendar": "day"}  # the next one begins in 703 minutes
TEN_BACK = {"refill": 10, "every": "1 hour"}  # at 13:00, in 43 minutes, and then every hour
ON_GPU = ServerAttributes(gpu=True)

OUTLOOKS = [
    # says, policy, used before, servers, minutes from NOW
    ("one server", rule("1 hour"), NOTHING, ONE, 60),
    ("two servers", rule("1 hour"), NOTHING, ONE * 2, 30),
    ("no server", rule("1 hour"), NOTHING, [], None),
    ("some was used", rule("1 hour"), used((-90, -50, 1)), ONE, 20),
    ("exhausted already", rule("1 hour"), used((-90, -30, 1)), [], 0),
    ("more than exhausted", rule("1 hour"), used((-90, -10, 1)), ONE, 0),
    ("a limit of zero", rule("0"), NOTHING, [], 0),
    ("rolling: as much expires as is used", rule("61m", "1 hour"), NOTHING, ONE, None),
    ("rolling: what was used expires first", rule("1h", "2h"), used((-110, -70, 1)), ONE, 60),
    ("a day is long enough", rule("703 minutes", DAY), NOTHING, ONE, 703 + 703),
    ("a day is a minute too long", rule("702 minutes", DAY), NOTHING, ONE, 702),
    ("a new day begins", rule("20 hours", DAY), used((-480, 0, 1)), ONE, 703 + 1200),
    ("a day of 24 hours", rule("24 hours", DAY), NOTHING, ONE, None),
    ("a refill comes in time", rule("60 minutes", TEN_BACK), NOTHING, ONE, 43 + 27),
    (
        "a refill is fast enough",
        rule("60 minutes", TEN_BACK | {"refill": 60}),
        NOTHING,
        ONE,
        None,
    ),
    ("a refill comes too late", rule("40 minutes", TEN_BACK), NOTHING, ONE, 40),
    ("other servers do not count", rule("1 hour", servers={"gpu": True}), NOTHING, ONE, None),
    ("these do", rule("1 hour", servers={"gpu": True}), NOTHING, [ask(1), ask()], 60),
    ("longer than anybody looks ahead", rule("40 days", 3000), NOTHING, ONE, None),
]


@pytest.mark.parametrize(
    ("policy", "usage", "servers", "minutes"),
    [row[1:] for row in OUTLOOKS],
    ids=[row[0] for row in OUTLOOKS],
)
def test_an_outlook_says_when_nothing_remains(policy, usage, servers, minutes):
    assert forecast([policy], usage, servers) == [minutes]


def test_adjustments_that_come_and_go_move_the_end():
    times = {"policy": "x", "start": after(0), "until": after(50)}
    policy = rule("1 hour", name="x")
    for adjustment, minutes in [
        (Grant(**times, amount=1200.0), 60),  # at 50 the grant ends, and 50 are used
        (Grant(**times | {"until": after(70)}, amount=1200.0), 70),  # when 70 are used
        (Grant(**times | {"until": after(100)}, amount=1200.0), 80),
        (Override(**times, limit=1800.0), 30),
        (Override(**times | {"start": after(40)}, limit=1800.0), 40),
        (Exemption(**times), 60),
        (Exemption(**times | {"until": after(200)}), 200),
    ]:
        assert forecast([policy], NOTHING, ONE, [adjustment]) == [minutes]


def test_credits_are_used_up_by_all_that_has_a_price():
    servers = [ask(gpu=1, cpu=2)]  # 12 an hour
    readings = {"cpu": Fresh(NOTHING), "gpu": Fresh(NOTHING)}
    policies = [rule("6 credits", resource="credits")]
    prices = {"cpu": 1, "gpu": 10}
    (minutes,) = forecast(policies, NOTHING, servers, readings=readings, prices=prices)
    assert minutes == pytest.approx(30)


def test_nothing_is_foretold_of_what_is_not_known():
    unknown = {"time": Unknown("timeout", "")}
    assert forecast([rule("1 hour")], NOTHING, ONE, readings=unknown) == [None]
    assert launch([rule("1 hour")], NOTHING, {"a": ask()}, readings=unknown) == {"a": None}


def test_what_denies_because_nothing_remains_is_exhausted_now():
    """0.1 CPUs for 83 minutes are 8.3 CPU-minutes, up to the rounding of floating point."""
    readings = {"cpu": Fresh(used((-83, 0, 0.1)))}
    policies = [rule("8.3 CPU-minutes", resource="cpu")]
    denied = decide(parse_policies(policies, failover_open=False), readings, ask(), NOW)
    assert not denied.allowed
    assert forecast(policies, NOTHING, readings=readings) == [0]


# --- what could be started ----------------------------------------------------------------------


def test_a_profile_could_run_until_the_first_policy_is_exhausted():
    policies = [rule("1 hour"), rule("2 hours", 7), rule("40 GPU-minutes", resource="gpu")]
    readings = {"gpu": Fresh(NOTHING)}
    profiles = {"cpu": ask(), "one": ask(gpu=1), "four": ask(gpu=4)}
    assert launch(policies, NOTHING, profiles, readings=readings) == {
        "cpu": 60,
        "one": 40,
        "four": 10,
    }
    assert launch(policies, NOTHING, profiles, ONE, readings=readings) == {
        "cpu": 30,
        "one": 30,
        "four": 10,
    }


def test_a_profile_that_would_be_denied_could_run_for_no_time_at_all():
    gpus = rule("1 hour", servers={"gpu": True})
    profiles = {"cpu": ask(), "gpu": ask(gpu=1)}
    buckets = (Bucket(after(-60).timestamp(), NOW.timestamp(), 3600.0, ON_GPU),)
    assert launch([gpus], Usage(buckets, NOW), profiles) == {"cpu": None, "gpu": 0}
    session = rule("1 hour", minimum_session="30 minutes")
    assert launch([session], used((-31, 0, 1)), profiles) == {"cpu": 0, "gpu": 0}
    assert launch([session], used((-30, 0, 1)), profiles) == {"cpu": 30, "gpu": 30}


def test_what_only_warns_ends_nothing():
    policies = [rule("1 hour", when_exhausted="warn"), rule("2 hours")]
    assert launch(policies, NOTHING, {"a": ask()}) == {"a": 120}
    assert launch([policies[0]], used((-70, 0, 1)), {"a": ask()}) == {"a": None}


POOL = rule("1 hour", name="pool", share="pooled", overflow="individual")


@pytest.mark.parametrize(
    ("policies", "bob", "minutes"),
    [
        ([POOL], 0, 60),
        ([POOL], 20, 40),
        ([POOL], 60, 0),
        ([POOL, rule("30 minutes")], 0, 90),  # the pool pays an hour, she the rest
        ([POOL, rule("30 minutes")], 20, 70),
        ([POOL, rule("30 minutes")], 60, 30),
        ([POOL, rule("0")], 20, 40),
        ([POOL, rule("50 minutes", DAY)], 0, 50),  # another window: it must fit besides
        ([POOL, rule("10 minutes"), POOL | {"name": "b", "limit": "5 minutes"}], 0, 75),
    ],
)
def test_a_pool_that_pays_first_makes_it_longer(policies, bob, minutes):
    members = {"ada": {"time": Fresh(NOTHING)}}
    members |= {"bob": {"time": Fresh(used((-90, bob - 90, 1)))}} if bob else {}
    pools = {"pool": members, "b": {"ada": members["ada"]}}
    found = launch(policies, NOTHING, {"a": ask()}, pools=pools)
    assert found["a"] == pytest.approx(minutes, abs=0.01)


def test_what_lasts_longer_than_the_horizon_with_a_pool_is_not_told_of():
    """A pool of 20 days and then 25 days of one's own are more than the 31 that are looked at."""
    policies = [POOL | {"limit": "20 days", "window": 40}, rule("25 days", 40)]
    pools = {"pool": {"ada": {"time": Fresh(NOTHING)}}}
    assert launch(policies, NOTHING, {"a": ask()}, pools=pools) == {"a": None}


def test_the_largest_profile_that_fits_is_told_of():
    profiles = {"small": ask(), "one": ask(gpu=1), "four": ask(gpu=4), "eight": ask(gpu=8)}
    session = {"resource": "gpu", "minimum_session": "1 hour"}
    for hours, largest in [(9, "eight"), (8, "eight"), (7, "four"), (2, "one"), (0.5, "small")]:
        policies = parse_policies([rule(f"{hours} GPU-hours", **session)])
        assert largest_that_fits(policies, profiles, "gpu", NOW) == largest
    nothing = parse_policies([rule("0")])
    assert largest_that_fits(nothing, profiles, "gpu", NOW) is None
    assert largest_that_fits(nothing, {}, "gpu", NOW) is None


def test_the_largest_profile_fits_into_pools_and_credits_too():
    profiles = {"one": ask(gpu=1), "four": ask(gpu=4)}
    more = {"resource": "credits", "minimum_session": "1 hour", "share": "pooled", "name": "c"}
    policies = parse_policies([rule("20 credits", **more)], credit_prices={"gpu": 10})
    assert largest_that_fits(policies, profiles, "credits", NOW) == "one"


# --- what always holds --------------------------------------------------------------------------
#
# Histories are whole rates per minute that end at NOW; what is used between two minutes is a
# straight line, so `exhausted_by_hand` walks from one to the next.

FAR = 5000
HISTORY = st.lists(st.tuples(st.sampled_from([0, 1, 2, 5]), st.integers(1, 40)), max_size=5).map(
    lambda stretches: [rate for rate, length in stretches for _ in range(length)]
)
# Of refills, those that one server outruns; others are in `test_refill.py`.
WINDOWS = st.one_of(
    st.tuples(st.just("rolling"), st.integers(1, 120), st.just(0)),
    st.sampled_from([("calendar", 60, 0), ("calendar", 1440, 0)]),
    st.sampled_from([("refill", 2, 1), ("refill", 7, 3), ("refill", 10, 5), ("refill", 60, 45)]),
)


def written(kind, size, back):
    """A window as an admin writes it."""
    if kind == "calendar":
        return {"calendar": "hour" if size == 60 else "day"}
    return {"refill": back, "every": f"{size} minutes"} if back else f"{size} minutes"


def exhausted_by_hand(window, history, rate, limit, grant):
    """Minutes from NOW, or None. `grant` is (from, until, minutes)."""
    kind, size, back = window
    now = int(NOW.timestamp()) // 60
    rates, counts = list(history), 0
    for minute in range(now - len(history), now + FAR):
        later = minute - now
        if kind == "calendar" and minute % size == 0:
            counts = 0
        if kind == "refill" and minute % size == 0:
            counts = max(counts - back, 0)
        if later >= 0:
            rates.append(rate)
        index = minute - now + len(history)
        leaves = rates[index - size] if kind == "rolling" and index >= size else 0
        following = counts + rates[index] - leaves
        if later >= 0:
            allowance = limit + (grant[2] if grant[0] <= later < grant[1] else 0)
            if counts >= allowance:
                return Fraction(later)
            if following > allowance:
                return later + Fraction(allowance - counts, following - counts)
        counts = following
    return None


@given(
    window=WINDOWS,
    history=HISTORY,
    rate=st.integers(0, 4),
    limit=st.integers(0, 90),
    grant=st.tuples(st.integers(-9, 90), st.integers(1, 200), st.integers(0, 60) | st.just(inf)),
)
def test_it_is_exhausted_when_a_walk_over_minutes_says_so(window, history, rate, limit, grant):
    """With a grant or an exemption that comes and goes: the first instant without anything left
    is when the walk finds nothing left, and there is none where it finds none."""
    begin, until, amount = grant
    times = {"policy": "x", "start": after(begin), "until": after(until)}
    more = Exemption(**times) if amount == inf else Grant(**times, amount=60.0 * amount)
    start = -len(history)
    usage = used(*((at, at + 1, each) for at, each in enumerate(history, start) if each))
    expected = exhausted_by_hand(window, history, rate, limit, grant)
    policies = [rule(f"{limit} minutes", written(*window), name="x")]
    (found,) = forecast(policies, usage, [Request(Subject("ada"), rates={"time": rate})], [more])
    event("none" if expected is None else "now" if expected == 0 else "later")
    if expected is None:
        assert found is None
    else:
        assert found == pytest.approx(float(expected), abs=1e-4)
    started = launch(policies, usage, {"a": ask(time=rate)}, (), [more])
    assert started["a"] == (None if expected is None else pytest.approx(float(expected), abs=1e-4))
