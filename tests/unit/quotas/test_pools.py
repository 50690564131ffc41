"""Pools: members who draw on one allowance, and who pays where the pool pays first."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.adjustments import Grant, Override
from jupyterhub_usage_quotas.quotas.decide import Request, decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.pools import settle
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Unknown, Usage
from jupyterhub_usage_quotas.quotas.windows.calendar import Calendar, Period
from jupyterhub_usage_quotas.quotas.windows.refill import Refill
from jupyterhub_usage_quotas.quotas.windows.rolling import Rolling

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def after(minutes):
    return NOON + minutes * MINUTE


def used(*sessions):
    """Sessions `(start, end, rate)` in minutes from NOON; so many minutes are used a minute."""
    buckets = (
        Bucket(after(start).timestamp(), after(end).timestamp(), 60.0 * (end - start) * rate)
        for start, end, rate in sessions
    )
    return Usage(tuple(buckets), NOON)


def settled(window, limit, **members):
    """What the pool paid and the members have left, between minutes from NOON."""
    settlement = settle(window, lambda _: 60.0 * limit, [], members)

    def minutes(usage, start, end):
        amount = usage.between(after(start).timestamp(), after(end).timestamp())
        return pytest.approx(amount / 60, abs=1e-2)

    def account(start, end):
        left = {name: minutes(usage, start, end) for name, usage in settlement.left.items()}
        return left | {"pool": minutes(settlement.paid, start, end)}

    return account


DAY = Rolling(timedelta(days=1))
HOUR = Rolling(timedelta(hours=1))


def test_a_pool_pays_first_in_the_order_of_use():
    account = settled(DAY, 100, ada=used((0, 60, 1)), bob=used((60, 120, 1)))
    assert account(0, 60) == {"pool": 60, "ada": 0, "bob": 0}
    assert account(60, 100) == {"pool": 40, "ada": 0, "bob": 0}
    assert account(100, 120) == {"pool": 0, "ada": 0, "bob": 20}


def test_the_order_in_which_members_are_listed_decides_nothing():
    there = settled(DAY, 100, ada=used((60, 120, 1)), bob=used((0, 60, 1)))(0, 120)
    assert there == {"pool": 100, "ada": 20, "bob": 0}


def test_a_pool_that_is_empty_amid_a_session_leaves_the_rest_of_it():
    account = settled(DAY, 30, ada=used((0, 20, 1), (50, 60, 4)))
    assert account(0, 20) == {"pool": 20, "ada": 0}
    assert account(50, 52.5) == {"pool": 10, "ada": 0}
    assert account(52.5, 60) == {"pool": 0, "ada": 30}


def test_two_members_at_once_share_in_proportion():
    # 4 a minute: 40 are paid by minute 10, of which Ada's are 30; after that each pays all
    account = settled(DAY, 40, ada=used((0, 20, 3)), bob=used((0, 20, 1)))
    assert account(0, 10) == {"pool": 40, "ada": 0, "bob": 0}
    assert account(10, 20) == {"pool": 0, "ada": 30, "bob": 10}


def test_what_expires_from_a_rolling_window_is_paid_with_again():
    # 30 paid from 0 to 30, at 1 a minute; it comes back from 60 to 90, at 1 a minute
    account = settled(HOUR, 30, ada=used((0, 30, 1)), bob=used((50, 100, 2)))
    assert account(0, 50) == {"pool": 30, "ada": 0, "bob": 0}
    assert account(50, 60) == {"pool": 0, "ada": 0, "bob": 20}
    assert account(60, 90) == {"pool": 30, "ada": 0, "bob": 30}
    assert account(90, 100) == {"pool": 0, "ada": 0, "bob": 20}


def test_what_expires_is_shared_in_proportion_too():
    account = settled(HOUR, 30, ada=used((0, 30, 1)), bob=used((50, 80, 1)), eve=used((50, 80, 3)))
    assert account(60, 80) == {"pool": 20, "ada": 0, "bob": 15, "eve": 45}


def test_a_calendar_pool_is_full_again_when_the_period_begins():
    account = settled(Calendar(Period.HOUR), 30, ada=used((20, 100, 1)))
    assert account(20, 50) == {"pool": 30, "ada": 0}
    assert account(50, 60) == {"pool": 0, "ada": 10}
    assert account(60, 90) == {"pool": 30, "ada": 0}
    assert account(90, 100) == {"pool": 0, "ada": 10}


def test_a_refilled_pool_pays_with_what_comes_back():
    # 20, and 5 back at minutes 10, 20 and 30: 20 + 5 are paid by minute 12.5
    account = settled(Refill(300.0, 10 * MINUTE), 20, ada=used((0, 40, 2)))
    assert account(0, 12.5) == {"pool": 25, "ada": 0}
    assert account(12.5, 20) == {"pool": 0, "ada": 15}
    assert account(20, 22.5) == {"pool": 5, "ada": 0}
    assert account(22.5, 30) == {"pool": 0, "ada": 15}
    assert account(30, 40) == {"pool": 5, "ada": 15}


def test_a_refilled_pool_is_never_more_than_full():
    account = settled(Refill(300.0, 10 * MINUTE), 20, ada=used((0, 2, 1), (100, 130, 1)))
    assert account(100, 120) == {"pool": 20, "ada": 0}  # and 5 came back at 110, 5 at 120
    assert account(120, 130) == {"pool": 10, "ada": 0}


def test_an_allowance_that_changes_is_followed_from_then_on():
    allowances = {0: 10, 20: 30, 60: 5}

    def allowance(at):
        return 60.0 * [most for begin, most in allowances.items() if after(begin) <= at][-1]

    ada = {"ada": used((0, 80, 1))}
    settlement = settle(DAY, allowance, [after(20), after(60)], ada)
    paid = [
        settlement.paid.between(after(start).timestamp(), after(end).timestamp()) / 60
        for start, end in [(0, 10), (10, 20), (20, 40), (40, 80)]
    ]
    assert paid == pytest.approx([10, 0, 20, 0], abs=1e-2)


# --- decisions ----------------------------------------------------------------------------------


def policy(limit, window="24h", **more):
    entry = {"resource": "time", "limit": limit, "window": window, "scope": {"everyone": True}}
    return entry | more


POOLED = {"name": "pool", "share": "pooled"}
FIRST = POOLED | {"overflow": "individual"}


def decide_on(policies, pool, now=NOON, groups=(), names=("pool",), **more):
    members = {name: {"time": Fresh(usage)} for name, usage in pool.items()}
    return decide(
        parse_policies(policies, failover_open=False),
        {"time": Fresh(pool.get("ada", used()))},
        Request(Subject("ada", frozenset(groups))),
        now,
        pools=dict.fromkeys(names, members),
        **more,
    )


def test_members_of_a_pool_draw_on_one_allowance():
    pool = {"ada": used((-100, -90, 1)), "bob": used((-300, -250, 1))}
    for limit, allowed in [(61, True), (60, False)]:
        decision = decide_on([policy(f"{limit} minutes", **POOLED)], pool)
        assert decision.verdicts[0].used == 60 * 60
        assert decision.allowed == allowed
    assert decision.retry_time == after(1440 - 300 + 1)


def test_a_pool_without_overflow_must_have_room_besides_ones_own():
    pool = {"ada": used((-100, -90, 1)), "bob": used((-300, -250, 1))}
    for limits, allowed in [((61, 11), True), ((60, 11), False), ((61, 10), False)]:
        policies = [policy(f"{limits[0]} minutes", **POOLED), policy(f"{limits[1]} minutes")]
        assert decide_on(policies, pool).allowed == allowed


@pytest.mark.parametrize(
    ("pool_limit", "own_limit", "allowed"),
    [(61, 0, True), (60, 1, True), (60, 0, False), (55, 5, False), (55, 6, True), (0, 11, True)],
)
def test_with_overflow_it_is_enough_that_the_pool_or_ones_own_has_room(
    pool_limit, own_limit, allowed
):
    """Bob used 50 minutes, then Ada 10: what the pool could not pay of these she pays."""
    pool = {"ada": used((-100, -90, 1)), "bob": used((-300, -250, 1))}
    policies = [policy(f"{pool_limit} minutes", **FIRST), policy(f"{own_limit} minutes")]
    assert decide_on(policies, pool).allowed == allowed


def test_a_pool_whose_usage_is_not_known_leaves_ones_own():
    policies = parse_policies(
        [policy("60 minutes", **FIRST), policy("20 minutes")], failover_open=False
    )
    request, unknown = Request(Subject("ada")), {"pool": {"bob": {"time": Unknown("timeout", "")}}}
    for minutes, outcome in [(19, "allowed"), (20, "failover_closed")]:
        readings = {"time": Fresh(used((-minutes, 0, 1)))}
        decision = decide(policies, readings, request, NOON, pools=unknown)
        assert decision.outcome == outcome


def test_the_binding_verdict_is_the_one_that_is_waited_for():
    """The pool has room again at 00:01, one's own allowance only at 10:01: the pool binds."""
    pool = {"ada": used((-720, -600, 1), (-420, 0, 1))}  # the pool paid 120 and 180, she 240
    decision = decide_on([policy("5 hours", **FIRST), policy("2 hours")], pool)
    assert decision.binding.retry_time == decision.retry_time


def test_the_retry_time_is_when_the_first_of_pool_and_own_has_room():
    pool = {"ada": used((-720, -600, 1), (-420, 0, 1))}
    decision = decide_on([policy("5 hours", **FIRST), policy("2 hours")], pool)
    assert [one.used / 60 for one in decision.verdicts] == pytest.approx([300, 240])
    assert decision.retry_time == after(1440 - 720 + 1)


def test_several_pools_pay_one_after_the_other_in_the_order_of_their_names():
    pool = {"ada": used((-100, 0, 1))}
    policies = [
        policy("70 minutes", **FIRST | {"name": "b"}),
        policy("20 minutes", **FIRST | {"name": "a"}),
        policy("30 minutes"),
    ]
    decision = decide_on(policies, pool, names=("a", "b"))
    used_of = {one.allotment.pool and one.allotment.name: one.used for one in decision.verdicts}
    assert used_of == pytest.approx({"a": 20 * 60, "b": 70 * 60, None: 10 * 60}, abs=1)


def test_an_adjustment_of_a_pool_is_for_all_its_members():
    pool = {"ada": used((-100, -90, 1)), "bob": used((-300, -250, 1))}
    times = {"policy": "pool", "start": after(-600), "until": after(600)}
    for adjustment, allowed in [
        (Grant(**times, amount=60.0), True),
        (Grant(**times, amount=60.0, user="ada"), False),
        (Override(**times, limit=3660.0), True),
    ]:
        policies = [policy("60 minutes", **POOLED)]
        assert decide_on(policies, pool, adjustments=[adjustment]).allowed == allowed


# --- what always holds --------------------------------------------------------------------------

windows = st.one_of(
    st.builds(lambda minutes: Rolling(minutes * MINUTE), st.integers(1, 300)),
    st.sampled_from([Calendar(Period.HOUR), Calendar(Period.DAY)]),
    st.builds(
        lambda amount, every: Refill(60.0 * amount, every * MINUTE),
        st.integers(1, 60),
        st.sampled_from([1, 7, 10, 60]),
    ),
)
sessions = st.lists(
    st.tuples(st.integers(-400, -1), st.integers(1, 200), st.sampled_from([0.1, 0.3, 1, 2, 7])),
    max_size=5,
).map(lambda each: [(start, start + length, rate) for start, length, rate in each])
members = st.dictionaries(st.sampled_from(["ada", "bob", "eve"]), sessions, min_size=1)
limits = st.integers(0, 200)


def until_noon(sessions):
    return used(*((start, min(end, 0), rate) for start, end, rate in sessions))


def rates(usage, start, minutes):
    """What was used in each minute, from the buckets themselves."""
    amounts = [0.0] * minutes
    for bucket in usage.buckets:
        first = int((bucket.start - start) // 60)
        last = math.ceil((bucket.end - start) / 60)
        for minute in range(max(first, 0), min(last, minutes)):
            begin = start + 60 * minute
            part = min(bucket.end, begin + 60) - max(bucket.start, begin)
            amounts[minute] += bucket.amount * max(part, 0) / (bucket.end - bucket.start)
    return amounts


def counted(window, paid, start):
    """What counts at the end of every minute, of what was paid in each."""
    gone = 0.0
    for minute in range(1, len(paid) + 1):
        gone += paid[minute - 1]
        now = start // 60 + minute
        if isinstance(window, Rolling):
            length = int(window.length.total_seconds() // 60)
            yield sum(paid[max(minute - length, 0) : minute])
        elif isinstance(window, Calendar):
            # the last minute belongs to the period that is over
            yield gone
            gone = 0.0 if now % (60 if window.period is Period.HOUR else 1440) == 0 else gone
        else:
            yield gone
            every = int(window.every.total_seconds() // 60)
            gone = max(gone - window.amount, 0.0) if now % every == 0 else gone


@given(window=windows, limit=limits, used_by=members)
def test_pool_and_members_pay_what_was_used_and_the_pool_no_more_than_it_has(
    window, limit, used_by
):
    """Minute by minute: payments add up to the usage, the pool keeps to its allowance, and
    members pay only in minutes at some second of which the pool is full."""
    usages = {name: used(*each) for name, each in used_by.items()}
    settlement = settle(window, lambda _: 60.0 * limit, [], usages)
    start, minutes = after(-400).timestamp(), 620
    paid = rates(settlement.paid, start, minutes)
    left = {name: rates(usage, start, minutes) for name, usage in settlement.left.items()}
    whole = {name: rates(usage, start, minutes) for name, usage in usages.items()}
    totals = [sum(each[minute] for each in whole.values()) for minute in range(minutes)]
    for minute, total in enumerate(totals):
        parts = paid[minute] + sum(each[minute] for each in left.values())
        assert parts == pytest.approx(total, rel=1e-9, abs=1e-6)
    for name, each in left.items():
        assert all(-1e-9 <= rest <= own + 1e-6 for rest, own in zip(each, whole[name], strict=True))
    assert sum(paid) + sum(map(sum, left.values())) == pytest.approx(sum(totals), rel=1e-9)
    second = max(totals) / 60
    tolerance = 60.0 * limit * 1e-6 + second
    for minute, counts in enumerate(counted(window, paid, start)):
        assert counts <= 60.0 * limit + tolerance
        leftovers = sum(each[minute] for each in left.values())
        if leftovers > second:
            # At the end of such a minute nothing is left, but for what comes back within it.
            back = paid[minute] if isinstance(window, Rolling) else 0.0
            length = isinstance(window, Rolling) and int(window.length.total_seconds() // 60)
            gone = paid[minute - length] if length and minute >= length else 0.0
            assert counts >= 60.0 * limit - tolerance - max(back, gone)


@given(
    window=st.sampled_from(["90 minutes", "24h"]), limits=st.tuples(limits, limits), used_by=members
)
def test_a_launch_is_allowed_at_its_retry_time_and_not_a_minute_before(window, limits, used_by):
    """Where a pool pays first, too; and it is allowed if either has room."""
    pool = {name: until_noon(used_by.get(name, [])) for name in ("ada", "bob", "eve")}
    each = zip(limits, (FIRST, {}), strict=True)
    policies = [policy(f"{limit} minutes", window, **more) for limit, more in each]
    decision = decide_on(policies, pool)
    assert decision.allowed == any(one.fits for one in decision.verdicts)
    if retry := decision.retry_time:
        assert decide_on(policies, pool, now=retry).allowed
        assert not decide_on(policies, pool, now=retry - MINUTE).allowed
    elif not decision.allowed:
        assert limits == (0, 0)
