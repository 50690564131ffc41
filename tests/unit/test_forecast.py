"""Forecasts against hand-worked cases and a walk minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.adjustments import Exemption, Grant, Override
from jupyterhub_usage_quotas.quotas.configuration import parse_policies
from jupyterhub_usage_quotas.quotas.forecast import largest_that_fits, launch_times, outlooks
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Unknown, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
"""A Wednesday, at noon."""
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def rule(limit: str, window: object = 1, **more: object) -> dict[str, object]:
    return {
        "resource": "time", "limit": limit, "window": window, "scope": {"everyone": True}
    } | more  # fmt: skip


def used(*spans: tuple[float, float], resource: str = "time") -> dict[str, Fresh]:
    """Usage at rate 1, from so many hours ago to so many hours ago."""
    unix = NOW.timestamp()
    buckets = (
        Bucket(unix - begin * 3600, unix - end * 3600, (begin - end) * 3600) for begin, end in spans
    )
    return {resource: Fresh(Usage(tuple(buckets), NOW))}


def lasts(policies, usage, request=None, running=(), **options) -> timedelta | None:
    profiles = {"it": request or Request("ada")}
    return launch_times(parse_policies(policies), usage, profiles, running, NOW, **options)["it"]


@pytest.mark.parametrize(
    ("policies", "usage", "hours"),
    [
        ([rule("5 hours")], used(), 5),
        ([rule("5 hours")], used((3, 1)), 3),
        ([rule("5 hours")], used((6, 0)), 0),
        ([rule("24 hours")], used(), 24),
        ([rule("25 hours")], used(), None),
        # Ten of twelve hours are left to a day in which three leave it before they are used up.
        ([rule("12 hours")], used((20, 17), (1, 0)), 11),
        ([rule("5 hours"), rule("9 hours", 2)], used((30, 27), (3, 1)), 3),
        # Until midnight 12 hours are used, and 13 a day are allowed; tomorrow they are used up.
        ([rule("13 hours", {"calendar": "day"})], used(), 12 + 13),
        ([rule("24 hours", {"calendar": "day"})], used(), None),
        ([rule("5 hours", {"calendar": "week"})], used((62, 60)), 5),
        ([rule("5 hours", {"calendar": "week"})], used((50, 48)), 3),
        # Half an hour comes back every hour, so a balance of three hours lasts for six, less the
        # refill at its very end.
        ([rule("3 hours", {"refill": 0.5, "every": "1h"})], used(), 5.5),
        ([rule("3 hours", {"refill": 1, "every": "1h"})], used(), None),
    ],
)
def test_how_long_a_server_could_run(policies, usage, hours):
    expected = None if hours is None else timedelta(hours=hours)
    assert lasts(policies, usage) == expected


def test_what_runs_already_uses_it_up_faster():
    running = [Request("ada"), Request("ada")]
    assert lasts([rule("6 hours")], used(), running=running) == 2 * HOUR


def test_only_selected_servers_count():
    policies = [rule("6 hours", servers={"gpu": True})]
    gpu = Request("ada", rates={"time": 1.0, "gpu": 1.0})
    assert lasts(policies, used(), Request("ada"), running=[gpu]) is None
    assert lasts(policies, used(), gpu, running=[Request("ada")]) == 6 * HOUR
    assert lasts(policies, used(), gpu, running=[gpu]) == 3 * HOUR


@pytest.mark.parametrize(
    ("adjustment", "hours"),
    [
        (Grant("p", NOW - HOUR, NOW + 50 * HOUR, amount=7200), 7),
        (Grant("p", NOW - HOUR, NOW + 2 * HOUR, amount=7200), 5),
        (Grant("p", NOW - HOUR, NOW + 6 * HOUR, amount=7200), 6),
        (Grant("p", NOW + 4 * HOUR, NOW + 50 * HOUR, amount=7200), 7),
        (Grant("p", NOW + 6 * HOUR, NOW + 50 * HOUR, amount=7200), 5),
        (Override("p", NOW + 2 * HOUR, NOW + 50 * HOUR, limit=3600.0), 2),
        (Exemption("p", NOW - HOUR, NOW + 9 * HOUR), 9),
    ],
)
def test_allowances_that_are_going_to_change_are_reckoned_with(adjustment, hours):
    policies = [rule("5 hours", name="p")]
    assert lasts(policies, used(), adjustments=[adjustment]) == timedelta(hours=hours)


def test_a_pool_pays_first_and_then_the_member():
    policies = [
        rule("2 hours", name="pool", share="pooled", overflow="individual"),
        rule("3 hours", name="own"),
    ]
    pools = {"pool": {"ada": used(), "bob": used((2, 1))}}
    assert lasts(policies, used(), pools=pools) == (1 + 3) * HOUR


def test_what_is_not_known_ends_nothing():
    unknown = {"time": Unknown("timeout", "no answer")}
    assert lasts([rule("5 hours")], unknown) is None
    (outlook,) = outlooks(
        parse_policies([rule("5 hours")]), unknown, Request("ada"), [Request("ada")], NOW
    )
    assert outlook.exhausted_at is None


def test_each_policy_has_an_outlook():
    policies = parse_policies(
        [rule("5 hours", name="day"), rule("9 hours", 7, name="week", when_exhausted="warn")]
    )
    ada = Request("ada")
    found = outlooks(policies, used((3, 1)), ada, [ada], NOW)
    assert {one.verdict.allotment.name: one.exhausted_at for one in found} == {
        "day": NOW + 3 * HOUR,
        "week": NOW + 7 * HOUR,
    }
    still = outlooks(policies, used((3, 1)), ada, [], NOW)
    assert [one.exhausted_at for one in still] == [None, None]


WINDOWS = [
    "3h",
    "10h",
    {"calendar": "hour"},
    {"calendar": "day", "timezone": "Asia/Kathmandu"},
    {"refill": 0.25, "every": "20m"},
    {"refill": 2, "every": "90m"},
]


@given(
    window=st.sampled_from(WINDOWS),
    limit=st.integers(1, 8 * 60),
    past=st.lists(st.booleans(), min_size=40, max_size=40),
)
@settings(max_examples=150, deadline=None)
def test_a_launch_lasts_as_long_as_a_walk_minute_by_minute_finds(window, limit, past):
    """Something remains at every minute before the forecast, and nothing at it: told by deciding
    again and again with what would have been used by then.
    """
    spans = tuple((10 - n / 4, 10 - (n + 1) / 4) for n, there in enumerate(past) if there)
    policies = parse_policies([rule(f"{limit} minutes", window)])
    usage = used(*spans)["time"].usage
    forecast = lasts([rule(f"{limit} minutes", window)], {"time": Fresh(usage)})
    window_read = policies.policies[0].window
    walked = None
    for minute in range(24 * 60):
        at = NOW + minute * MINUTE
        going_on = usage.running(NOW, at, 1.0) if minute else usage
        counts = window_read.used(going_on, at)
        if counts >= limit * 60 - 1e-6:
            walked = minute
            break
    if walked is None:
        assert forecast is None or forecast >= timedelta(hours=23, minutes=59)
    else:
        # Between two minutes a refill or a new period can hide that it was used up.
        assert forecast is not None
        assert forecast <= walked * MINUTE
        assert forecast > (walked - 1) * MINUTE or not isinstance(window, str)


PROFILES = {
    "Small": Request("ada", rates={"time": 1.0, "memory": 1.0 * 1024**3}),
    "Large": Request("ada", rates={"time": 1.0, "memory": 8.0 * 1024**3}),
    "Huge": Request("ada", rates={"time": 1.0, "memory": 64.0 * 1024**3}),
}


@pytest.mark.parametrize(
    ("limit", "largest"), [("100 GiB-hours", "Huge"), ("10 GiB-hours", "Large"), ("0", None)]
)
def test_the_largest_profile_that_could_ever_be_started(limit, largest):
    policies = [
        rule(limit, resource="memory", minimum_session="1h"),
        rule("1 hour", name="pool", share="pooled", minimum_session="1h"),
    ]
    assert largest_that_fits(parse_policies(policies), PROFILES, "memory", NOW) == largest
