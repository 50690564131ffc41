"""What a pool that pays first has left, and what its member has, are enough together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.config.credits.options import with_billing
from jupyterhub_usage_quotas.quotas.adjustments import Override, Terms
from jupyterhub_usage_quotas.quotas.decide import decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.resolve import resolve
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOW = NOON + timedelta(seconds=30)
"""Between two steps of every interval here."""
BILLED = with_billing(RESOURCES)
ADA = Subject("ada")


def credits_of(cap, value, seconds, **more):
    window = {"refill": value, "every": f"{seconds} seconds"}
    entry = {"resource": "credits", "limit": f"{cap} credits", "window": window}
    return entry | {"scope": {"everyone": True}} | more


PROJECT = {"name": "p", "share": "pooled", "overflow": "individual"}


def used(amount, at=NOW):
    """So many credits were used in the second before an instant."""
    end = at.timestamp()
    return Usage((Bucket(end - 1, end, amount),) if amount else (), at)


def decided(policies, usage, need, now=NOW, **more):
    asks = Request(ADA, rates={"credits": need / 600}, needs={"credits": need})
    return decide(
        parse_policies(policies, failover_open=False, built_in=BILLED),
        {"credits": Fresh(usage)},
        asks,
        now,
        pools={"p": {"ada": {"credits": Fresh(usage)}}},
        **more,
    )


@pytest.mark.parametrize(
    ("need", "allowed"), [(3, True), (4, True), (7, True), (7.5, False), (8, False)]
)
def test_a_project_and_its_member_pay_together(need, allowed):
    """The project has 3 of 10 left, she has 4 of 4: 7 together."""
    policies = [credits_of(10, 1, 600, **PROJECT), credits_of(4, 1, 600, name="own")]
    assert decided(policies, used(7), need).allowed == allowed


def test_intervals_of_a_project_and_its_members_may_differ():
    policies = [credits_of(10, 5, 3600, **PROJECT), credits_of(4, 1, 600, name="own")]
    decision = decided(policies, used(12), 3)
    # The project paid 10, and she the other 2.
    assert [one.remaining for one in decision.verdicts] == pytest.approx([0, 2], abs=0.02)
    assert not decision.allowed


def test_a_server_that_costs_nothing_starts_without_credits():
    policies = [credits_of(10, 1, 600, name="own")]
    free = Request(ADA, rates={"credits": 0.0}, needs={"credits": 0.0})
    readings = {"credits": Fresh(used(10))}
    parsed = parse_policies(policies, failover_open=False, built_in=BILLED)
    assert decide(parsed, readings, free, NOW).allowed
    assert not decide(parsed, readings, Request(ADA), NOW).allowed


def brute_balances(cap, value, every, spent, minutes):
    """Balances now and at the whole minutes after noon, by a walk, second by second, nothing being
    used.
    """
    at, balance = int(NOW.timestamp()), cap - spent
    found = {0: balance}
    for second in range(at + 1, at + minutes * 60):
        if second % every == 0:
            balance = min(balance + value, cap)
        if second % 60 == 0:
            found[len(found)] = balance
    return found


@given(
    caps=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    values=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    every=st.sampled_from([(60, 120), (120, 180), (300, 60)]),
    spent=st.integers(0, 24),
    # Never what is there exactly: where a pool runs out is known to a millisecond.
    need=st.integers(1, 24).map(lambda whole: whole - 0.5),
)
def test_the_retry_time_is_when_both_together_have_enough(caps, values, every, spent, need):
    policies = [
        credits_of(caps[0], values[0], every[0], **PROJECT),
        credits_of(caps[1], values[1], every[1], name="own"),
    ]
    of_project = min(spent, caps[0])
    project = brute_balances(caps[0], values[0], every[0], of_project, 150)
    hers = brute_balances(caps[1], values[1], every[1], spent - of_project, 150)
    enough = [
        # Who is in debt has nothing to add.
        project[minute] >= need or hers[minute] + max(project[minute], 0) >= need
        for minute in project
    ]
    decision = decided(policies, used(spent), need)
    assert decision.allowed == enough[0]
    if not decision.allowed:
        first = enough.index(True) if True in enough else None
        assert decision.retry_time == (None if first is None else NOON + first * MINUTE)


# --- terms ------------------------------------------------------------------------------------


def terms(policy, user="ada", **said):
    return Terms.of_user(policy, user, None, **said)


GIVEN = {"everyone": True, "assigned": True}


def test_terms_take_the_place_of_limit_and_refill():
    policies = parse_policies([credits_of(100, 10, 600, name="own", scope=GIVEN)], built_in=BILLED)
    hers = [terms("own", limit=30.0, refill=(5.0, timedelta(seconds=300)))]
    (allotment,) = resolve(policies, ADA, adjustments=hers, now=NOON)
    assert allotment.allowance(hers, NOON) == 30
    assert allotment.window.refilled_by == (5.0, timedelta(seconds=300))
    (others,) = resolve(policies, Subject("bob"), adjustments=hers, now=NOON)
    assert others.allowance(hers, NOON) == 100
    assert others.window.refilled_by == (10.0, timedelta(seconds=600))


def test_what_people_decide_comes_on_top_of_terms():
    policies = parse_policies([credits_of(100, 10, 600, name="own", scope=GIVEN)], built_in=BILLED)
    day = timedelta(days=1)
    more = Override("own", NOON - day, NOON + day, "ada", id=1, limit=500)
    (allotment,) = resolve(policies, ADA, adjustments=[terms("own", limit=30.0), more], now=NOON)
    assert allotment.allowance([more], NOON) == 500
    assert allotment.allowance([more], NOON + 2 * day) == 30


@pytest.mark.parametrize("assigned", [True, False])
def test_a_policy_is_assigned_by_terms(assigned):
    entry = credits_of(10, 1, 600, **PROJECT) | {"scope": {"assigned": True}}
    policies = parse_policies([entry], built_in=BILLED)
    hers = [terms("p", assigned=assigned)]
    found = resolve(policies, ADA, adjustments=hers, now=NOON)
    assert [one.name for one in found] == ["p"] * assigned
    assert resolve(policies, ADA) == ()
    assert resolve(policies, Subject("bob"), adjustments=hers, now=NOON) == ()
