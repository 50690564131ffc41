"""Which usage an allotment is held against: chains of pools, credits, and what is not known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_usage_quotas.quotas.adjustments import Grant, Override
from jupyterhub_usage_quotas.quotas.decide import Decision, Outcome, decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Stale, Unknown, Usage, priced
from jupyterhub_usage_quotas.quotas.verdict import Request

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = 3600.0
GPU, CPU = ServerAttributes(gpu=True), ServerAttributes()
PRICES = {"cpu": 1, "gpu": 10}


def rule(name: str, limit: str, **more: object) -> dict[str, object]:
    return {
        "name": name, "resource": "time", "limit": limit, "window": 1,
        "scope": {"everyone": True},
    } | more  # fmt: skip


def pool(name: str, limit: str, **more: object) -> dict[str, object]:
    return rule(name, limit, share="pooled", overflow="individual", **more)


def hours(*spans: tuple[float, float], rate: float = 1.0, server=CPU) -> Fresh:
    """Usage from so many hours ago to so many hours ago."""
    unix = NOW.timestamp()
    return Fresh(
        Usage(
            tuple(
                Bucket(unix - begin * HOUR, unix - end * HOUR, rate * (begin - end) * HOUR, server)
                for begin, end in spans
            ),
            NOW,
        )
    )


def asked(policies, own, members, *adjustments, user="ada", prices=None) -> Decision:
    """`members`: by pool, the readings of `time` of each member."""
    return decide(
        parse_policies(policies, credit_prices=prices, failover_open=False),
        own,
        Request(Subject(user)),
        NOW,
        adjustments=adjustments,
        pools={
            name: {one: {"time": reading} for one, reading in whose.items()}
            for name, whose in members.items()
        },
    )


def used(decision: Decision) -> dict[str, float]:
    """Hours used, by policy."""
    return {one.allotment.name: (one.used or 0.0) / HOUR for one in decision.verdicts}


def test_several_pools_pay_one_after_the_other():
    """Ada uses six hours: pool a pays the first two, pool b three, and one is left to her. Of pool
    a bob has used nothing, of pool b cleo an hour before anybody else.
    """
    ada = hours((8, 2))
    policies = [rule("own", "9 hours"), pool("b", "4 hours"), pool("a", "2 hours")]
    members = {
        "a": {"ada": ada, "bob": hours()},
        "b": {"ada": ada, "cleo": hours((20, 19))},
    }
    assert used(asked(policies, {"time": ada}, members)) == pytest.approx(
        {"a": 2, "b": 4, "own": 1}
    )


def test_a_pool_pays_for_members_whom_another_paid_for_as_well():
    """Pool a pays two of bob's four hours, so pool b is left with two of his and two of ada's."""
    ada, bob = hours((4, 2)), hours((12, 8))
    policies = [
        pool("a", "2 hours", scope={"user": ["bob"]}),
        pool("b", "3 hours"),
        rule("o", "9h"),
    ]
    members = {"a": {"bob": bob}, "b": {"ada": ada, "bob": bob}}
    assert used(asked(policies, {"time": ada}, members)) == pytest.approx({"b": 3, "o": 1})


def test_a_pool_whose_members_are_not_known_does_not_pay_for_others():
    """What is not known of a pool that the user is not in does not stop the others from paying."""
    ada = hours((4, 2))
    policies = [pool("a", "2 hours", scope={"user": ["bob"]}), pool("b", "1 hour"), rule("o", "9h")]
    decision = asked(policies, {"time": ada}, {"b": {"ada": ada}})
    assert used(decision) == pytest.approx({"b": 1, "o": 1})


def test_a_pool_that_is_not_known_is_not_known():
    policies = [pool("a", "2 hours"), rule("own", "1 hour")]
    ada = hours((3, 1))
    away = Unknown("timeout", "no answer")
    decision = asked(policies, {"time": ada}, {"a": {"ada": ada, "bob": away}})
    assert [one.fits for one in decision.verdicts] == [None, False]
    # It may have room, so she is not told that everything is used up.
    assert decision.outcome is Outcome.FAILOVER_CLOSED
    assert decision.failover == away


def test_who_is_in_no_pool_pays_everything_alone():
    policies = [pool("a", "2 hours", scope={"group": ["x"]}), rule("own", "9 hours")]
    decision = asked(policies, {"time": hours((5, 1))}, {}, user="dan")
    assert used(decision) == pytest.approx({"own": 4})


def test_what_a_pool_was_granted_it_pays():
    """From three hours ago on the pool has two hours more; the hour before is ada's."""
    ada = hours((6, 1))
    policies = [pool("a", "2 hours"), rule("own", "9 hours")]
    begin = NOW - timedelta(hours=3)
    grant = Grant("a", begin, NOW + timedelta(hours=9), amount=2 * HOUR)
    decision = asked(policies, {"time": ada}, {"a": {"ada": ada}}, grant)
    assert used(decision) == pytest.approx({"a": 4, "own": 1})


def test_a_grant_for_a_member_is_not_one_for_the_pool():
    ada = hours((6, 1))
    policies = [pool("a", "2 hours"), rule("own", "9 hours")]
    grant = Grant(
        "a", NOW - timedelta(days=3), NOW + timedelta(days=3), user="ada", amount=2 * HOUR
    )
    decision = asked(policies, {"time": ada}, {"a": {"ada": ada}}, grant)
    assert used(decision) == pytest.approx({"a": 2, "own": 3})


def test_a_refilled_pool_pays_again_after_each_refill():
    """Two hours, and half an hour back at each whole hour. From seven hours ago on ada uses one
    hour an hour: all of four hours is paid (2 + 4 x 0.5), and half of each hour after.
    """
    ada = hours((7, 1))
    window = {"refill": 0.5, "every": "1h"}
    policies = [pool("a", "2 hours", window=window), rule("own", "9 hours", window=window)]
    decision = asked(policies, {"time": ada}, {"a": {"ada": ada}})
    # Paid: 2 + 0.5 at each of the hours 6, 5, 4, 3 and 2 ago; of it came back, until now, 3.5.
    assert used(decision)["a"] == pytest.approx(2 + 5 * 0.5 - 7 * 0.5)
    # Left: 1.5, in the last three hours half an hour each; and each of it came back at once.
    assert used(decision)["own"] == pytest.approx(0)


def test_credits_of_selected_servers():
    """What a server costs counts where the server does: four hours with a GPU, two without."""
    readings = {
        "cpu": Fresh(
            Usage((*hours((9, 5), server=GPU).usage.buckets, *hours((4, 2)).usage.buckets), NOW)
        ),
        "gpu": hours((9, 5), server=GPU),
    }
    policies = [
        rule("all", "100 credits", resource="credits"),
        rule("gpu", "100 credits", resource="credits", servers={"gpu": True}),
        rule("cpu", "100 credits", resource="credits", servers={"gpu": False}),
    ]
    decision = decide(
        parse_policies(policies, credit_prices=PRICES, failover_open=False),
        readings,
        Request(Subject("ada")),
        NOW,
    )
    credits_used = {one.allotment.name: one.used for one in decision.verdicts}
    assert credits_used == pytest.approx({"all": 46, "gpu": 44, "cpu": 2})


def test_credits_of_a_pool():
    readings = {"cpu": hours((4, 2)), "gpu": hours()}
    policies = [rule("pool", "100 credits", resource="credits", share="pooled")]
    decision = decide(
        parse_policies(policies, credit_prices=PRICES, failover_open=False),
        readings,
        Request(Subject("ada")),
        NOW,
        pools={"pool": {"ada": readings, "bob": readings}},
    )
    assert decision.verdicts[0].used == pytest.approx(4)


@pytest.mark.parametrize("missing", ["cpu", "gpu"])
def test_credits_are_not_known_when_what_they_are_the_price_of_is_not(missing):
    away = Unknown("timeout", "no answer")
    readings = {"cpu": hours((4, 2)), "gpu": hours()} | {missing: away}
    decision = decide(
        parse_policies(
            [rule("p", "100 credits", resource="credits")],
            credit_prices=PRICES,
            failover_open=False,
        ),
        readings,
        Request(Subject("ada")),
        NOW,
    )
    assert decision.failover == away


def test_credits_are_known_as_far_as_the_least_of_what_they_are_the_price_of():
    earlier = NOW - timedelta(minutes=3)
    usages = {"cpu": Usage((), NOW, 0.5), "gpu": Usage((), earlier, None)}
    bought = priced(usages, {"cpu": 1.0, "gpu": 2.0})
    assert (bought.covered_until, bought.coverage) == (earlier, 0.5)


def test_a_pool_whose_allowance_was_made_smaller_pays_nothing_until_enough_has_left():
    """Ten hours until five hours ago, then two. Ada used one hour an hour from 26 to 18 hours ago
    (all paid), and again in the last two hours, when six paid hours still counted: all hers.
    """
    ada = hours((26, 18), (2, 0))
    policies = [pool("a", "10 hours"), rule("own", "9 hours")]
    less = Override("a", NOW - timedelta(hours=5), NOW + timedelta(days=9), limit=2 * HOUR)
    decision = asked(policies, {"time": ada}, {"a": {"ada": ada}}, less)
    assert used(decision) == pytest.approx({"a": 6, "own": 2})


def test_a_pool_pays_again_once_enough_has_left():
    """As before, but her second session began when three paid hours counted: after the hour in
    which one of them leaves the window the pool pays as fast as the others do.
    """
    ada = hours((34, 26), (5, 0))
    policies = [pool("a", "10 hours"), rule("own", "9 hours")]
    less = Override("a", NOW - timedelta(hours=6), NOW + timedelta(days=9), limit=2 * HOUR)
    decision = asked(policies, {"time": ada}, {"a": {"ada": ada}}, less)
    # Five hours ago three hours count (29 to 26 hours ago); one hour later two, and from then on
    # one leaves each hour, which the pool pays: two until two hours ago, then nothing old is left
    # and the two of the pool's own last payments are all it may have.
    assert used(decision) == pytest.approx({"a": 2, "own": 3})


def test_a_users_own_grant_is_waited_for():
    policies = [rule("own", "2 hours")]
    begin = NOW + timedelta(hours=3)
    grant = Grant("own", begin, NOW + timedelta(hours=9), user="ada", amount=HOUR * 5)
    assert asked(policies, {"time": hours((4, 1))}, {}, grant).retry_time == begin
    other = asked(policies, {"time": hours((4, 1))}, {}, grant, user="bob").retry_time
    assert other is not None
    assert other > NOW + timedelta(hours=9)


# --- what is known of a while ago ---------------------------------------------------------------

AWAY = Unknown("timeout", "no answer")


def old(reading: Fresh) -> Stale:
    """What was read three hours ago, and nothing since."""
    usage = reading.usage.known(NOW - timedelta(hours=3), 1.0)
    return Stale(usage, "unreachable", "three hours ago")


TEN, MANY = rule("p", "10 hours", window=7), hours((50, 40), (30, 20))
POOL = TEN | {"share": "pooled"}


@pytest.mark.parametrize(
    ("bob", "expected"),
    [
        (old(hours()), (Outcome.DENIED, 20.0)),  # ada's alone are over
        (MANY, (Outcome.DENIED, 40.0)),
        (AWAY, (Outcome.FAILOVER_OPEN, None)),
    ],
)
def test_a_pool_that_was_over_and_cannot_have_come_back_is_over(bob, expected):
    policies = parse_policies([POOL], failover_open=True)
    members = {"p": {"ada": {"time": old(MANY)}, "bob": {"time": bob}}}
    decision = decide(policies, {}, Request(Subject("ada")), NOW, pools=members)
    (verdict,) = decision.verdicts
    seen = verdict.used / HOUR if verdict.used is not None else None
    assert (decision.outcome, seen) == expected


def test_members_that_were_under_the_limit_each_are_over_it_together():
    policies = parse_policies([POOL], failover_open=True)
    six = {"time": old(hours((20, 14)))}
    pools = {"p": {"ada": six, "bob": six}}
    decision = decide(policies, {}, Request(Subject("ada")), NOW, pools=pools)
    assert decision.outcome is Outcome.DENIED
    # Both began 20 hours ago: one of their twelve hours each has left when eleven would.
    assert decision.retry_time == NOW + timedelta(days=7, hours=-19, minutes=1)


@pytest.mark.parametrize("small", [True, False])
def test_a_pool_that_pays_first_and_the_rest_of_a_user_are_over(small):
    """Of 20 hours three days' pool pays ten, and ten are left of an allowance of nine, or 12."""
    own = rule("own", "9 hours" if small else "12 hours", window=7)
    first = POOL | {"overflow": "individual"}
    policies = parse_policies([first, own], failover_open=True)
    ada = {"time": old(MANY)}
    pools = {"p": {"ada": ada, "bob": {"time": hours()}}}
    decision = decide(policies, ada, Request(Subject("ada")), NOW, pools=pools)
    assert decision.outcome is (Outcome.DENIED if small else Outcome.FAILOVER_OPEN)


@pytest.mark.parametrize(
    ("gpu", "expected"),
    [
        (old(hours((30, 28))), Outcome.DENIED),  # 20 and, for ten each, 20
        (hours((30, 28)), Outcome.DENIED),
        (old(hours()), Outcome.FAILOVER_OPEN),
        (AWAY, Outcome.FAILOVER_OPEN),
    ],
)
@pytest.mark.parametrize("pooled", [False, True])
def test_credits_that_were_spent_and_cannot_have_come_back_are_spent(gpu, expected, pooled):
    entry = rule("p", "30 credits", resource="credits", window=7)
    entry |= {"share": "pooled"} if pooled else {}
    policies = parse_policies([entry], credit_prices=PRICES, failover_open=True)
    readings = {"cpu": old(MANY), "gpu": gpu}
    pools = {"p": {"ada": readings}} if pooled else {}
    decision = decide(policies, readings, Request(Subject("ada")), NOW, pools=pools)
    assert decision.outcome is expected
