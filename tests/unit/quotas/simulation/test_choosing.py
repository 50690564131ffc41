"""Which limit: percentiles, shares, and suggestions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.conventions import Reason
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.simulation.choosing import (
    Distribution,
    above,
    choice_of,
    nearest_rank,
)
from jupyterhub_usage_quotas.quotas.simulation.past import Past
from jupyterhub_usage_quotas.quotas.simulation.report import simulation_report
from jupyterhub_usage_quotas.quotas.simulation.simulate import simulate
from jupyterhub_usage_quotas.quotas.subject import REST, Subject
from jupyterhub_usage_quotas.quotas.units import Unit
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Unknown, Usage

HOUR = 3600.0
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
ZERO = NOON.timestamp()
START = NOON - timedelta(days=2)
NOTHING = {"time": Fresh(Usage((), NOON))}


def ran(*sessions):
    """Sessions `(start, end)` in hours before noon."""
    buckets = (Bucket(ZERO - a * HOUR, ZERO - b * HOUR, (a - b) * HOUR) for a, b in sessions)
    return {"time": Fresh(Usage(tuple(buckets), NOON))}


def tried(users, *policies, pools=(), **more):
    """Policies tried on what these users ran."""
    read = parse_policies([{"scope": {"everyone": True}} | one for one in policies])
    known = {REST: NOTHING, **users}
    past = Past(
        [Subject(name, frozenset({"all"})) for name in users],
        known,
        START,
        NOON,
        START - timedelta(days=30),
        pools=dict.fromkeys(pools, users),
        **more,
    )
    return simulate(read, past)


def day(limit, **more):
    return {"name": "day", "resource": "time", "limit": limit, "window": 1} | more


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=40), st.integers(1, 100))
def test_nearest_rank_is_the_least_that_so_many_are_at_most(amounts, percent):
    ordered = sorted(amounts)
    found = nearest_rank(ordered, percent)
    assert found in ordered
    assert 100 * sum(one <= found for one in ordered) >= percent * len(ordered)
    below = [one for one in ordered if one < found]
    assert 100 * len(below) < percent * len(ordered)


def test_those_who_used_nothing_are_no_part_of_a_distribution():
    assert Distribution.of([0, 3, 0, 1]) == Distribution(2, 1, 3, 3, 3)
    assert Distribution.of([0, 0]) is None


@given(st.floats(0, 1e12), st.sampled_from([1.0, 3600.0, 1024**3 * 3600.0]))
def test_a_round_limit_is_above_and_not_far(amount, factor):
    found = above(amount, Unit("x", factor))
    assert found > amount
    assert found <= max(1.11 * amount, factor) * (1 + 1e-9)
    digits = f"{found / factor:.6e}".partition("e")[0].rstrip("0").replace(".", "")
    assert len(digits) <= 2


thresholds = st.lists(st.integers(0, 30), min_size=1, max_size=12)


@given(thresholds, st.sampled_from([0.0, 0.05, 0.2, 0.5, 0.9]))
def test_a_suggestion_keeps_its_promise_when_it_is_tried(before, share):
    """The oracle is the simulation with that limit: at most the share of users is denied, and with
    less than what was used before, more.
    """
    users = {
        f"user-{number}": ran(*([(40, 40 - hours / 2)] if hours else []), (20, 19.5))
        for number, hours in enumerate(before)
    }
    (policy,) = tried(users, day("10 hours")).policies
    choice = choice_of(policy, share)
    assert choice.at_limit.users == len(policy.denied_users) / len(users)
    assert choice.at_limit.launches == policy.denied / policy.launches
    suggested = choice.suggested
    (again,) = tried(users, day(f"{suggested.limit} seconds")).policies
    assert len(again.denied_users) / len(users) == pytest.approx(suggested.users)
    assert suggested.users <= share
    for point in choice.curve:
        (other,) = tried(users, day(f"{point.limit} seconds")).policies
        assert len(other.denied_users) / len(users) == pytest.approx(point.users)


def test_a_pool_that_pays_first_suggests_nothing():
    """Its limit changes what is left to its members."""
    users = {"ada": ran((20, 10), (8, 7)), "bob": ran((20, 10), (8, 7))}
    pool = day("15 hours", name="pool", share="pooled", overflow="individual")
    found = tried(users, pool, day("4 hours"), pools=["pool"])
    assert [choice_of(one, 0.05) for one in found.policies] == [None, None]
    # Each used 10, of which the pool paid 7.5: 2.5 of 4 are left, though the pool is used up.
    assert [one.denied for one in found.users] == [[], []]
    (less,) = (one for one in tried(users, pool, day("2 hours"), pools=["pool"]).users[:1])
    assert [launch.policy for launch in less.denied] == ["pool"] or less.denied[0].policy == "day"
    assert less.denied[0].at == NOON - timedelta(hours=8)


def test_a_report_of_everything():
    unknown = {"time": Unknown(Reason.METRIC_MISSING, "no series")}
    users = {"ada": ran((20, 10), (8, 7)), "bob": ran((9, 8)), "cid": unknown, "dan": NOTHING}
    month = {"name": "month", "resource": "time", "limit": "2 hours", "when_exhausted": "stop"}
    found = tried(users, day("9 hours"), month | {"window": {"calendar": "month"}})
    report = simulation_report(found, 0.05).model_dump()
    assert [one["user"] for one in report["users"]] == ["ada", "cid"]
    ada, cid = report["users"]
    assert cid["unknown"] == {"day": "no series", "month": "no series"}
    assert [(one["policy"], one["at"]) for one in ada["denied"]] == [
        ("month", "2026-03-04T04:00:00Z")
    ]
    assert ada["stopped"] == (
        {
            "at": "2026-03-03T18:00:00Z",
            "server": "",
            "profile": "",
            "policy": "month",
            "ran_on_seconds": 8 * HOUR,
        },
    )
    of_day, of_month = report["policies"]
    assert (of_day["users"], of_day["users_unknown"], of_day["users_active"]) == (4, 1, 2)
    assert of_day["periods"] == ()
    (march,) = of_month["periods"]
    assert (march["whole"], march["usage"]["largest"]) == (False, 11)
    assert (of_month["when_exhausted"], of_month["servers_stopped"]) == ("stop", 1)
    assert report["everybody"]["launches"] == 3
    assert report["groups"][0]["users_denied"] == 1
    home = {"name": "home", "resource": "storage", "limit": "1 GiB"}
    assert tried(users, home, day("9 hours")).not_simulated == ["home"]
    assert simulation_report(tried(users), 0.05).policies == ()


def test_what_is_not_known_to_be_allowed():
    """Where what counts may go back farther than anybody knows."""
    users = {"ada": ran((20, 19))}
    past_of = {"day": 0, "week": 1}
    for window, uncertain in past_of.items():
        days = {"day": 1, "week": 7}[window]
        read = parse_policies([day("9 hours", window=days) | {"scope": {"everyone": True}}])
        known_from = NOON - timedelta(days=2)
        found = simulate(read, Past([Subject("ada")], users, START, NOON, known_from))
        assert found.users[0].uncertain == uncertain
