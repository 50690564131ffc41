"""A decision as JSON keeps its form: other programs read it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from jupyterhub_usage_quotas.quotas.decide import Request, decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.serialize import DecisionReport, iso
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Stale, Unknown, Usage

NOW = datetime(2026, 11, 24, 10, 5, tzinfo=UTC)
GIB, HOUR = 2**30, 3600

MEMORY = {
    "name": "memory-week",
    "resource": "memory",
    "limit": {"value": 100, "unit": "GiB-hours"},
    "window": 7,
    "scope": {"group": ["students"]},
    "minimum_session": "30 minutes",
}
TIME = {
    "name": "time-day",
    "resource": "time",
    "limit": "2 days",
    "window": "36h",
    "scope": {"everyone": True},
}
GROUPS = ["students", "e", "b", "d", "another", "c"]
ASKS = {"memory": 8.0 * GIB, "time": 1.0}
DECISION_KEYS = {
    *("user", "groups", "allow_server_launch", "outcome", "retry_time", "failover"),
    "verdicts",
}
VERDICT_KEYS = {
    *("policy", "resource", "window", "used", "limit", "remaining", "need", "unit", "fits"),
    *("never", "retry_time", "covered_until", "coverage"),
}


def usage(*sessions, coverage=1.0):
    """Sessions given as (hours ago that it started, hours ago that it ended, rate)."""
    buckets = [
        Bucket(NOW.timestamp() - start * HOUR, NOW.timestamp() - end * HOUR, amount)
        for start, end, amount in ((s, e, (s - e) * HOUR * rate) for s, e, rate in sessions)
    ]
    return Usage(tuple(buckets), NOW - timedelta(seconds=30), coverage)


def reported(policies, readings, *, asks=ASKS, failover_open=False, user="ada"):
    """What another program reads: through JSON and back, with nothing that JSON does not have."""
    request = Request(Subject(user, frozenset(GROUPS)), rates=asks)
    decision = decide(parse_policies(policies, failover_open=failover_open), readings, request, NOW)
    return json.loads(json.dumps(DecisionReport.of(decision).model_dump(), allow_nan=False))


def test_a_launch_that_is_allowed_is_reported():
    assert reported([MEMORY], {"memory": Fresh(usage((10, 0, 4 * GIB), coverage=0.97))}) == {
        "user": "ada",
        "groups": ["another", "b", "c", "d", "e", "students"],
        "allow_server_launch": True,
        "outcome": "allowed",
        "retry_time": None,
        "failover": None,
        "verdicts": [
            {
                "policy": "memory-week",
                "resource": "memory",
                "window": "7 days",
                "used": 40,
                "limit": 100,
                "allowance": 100,
                "remaining": 60,
                "applies": True,
                "when_exhausted": "deny",
                "shared": False,
                "need": 4,
                "unit": "GiB-hours",
                "fits": True,
                "never": False,
                "to_free": None,
                "retry_time": None,
                "covered_until": "2026-11-24T10:04:30Z",
                "coverage": 0.97,
            }
        ],
    }


def test_a_denial_is_reported_with_the_retry_time_of_all_and_of_each():
    answer = reported(
        [MEMORY, TIME],
        # 168 GiB-hours of 100, and 30 hours twice of 2 days
        {"memory": Fresh(usage((21, 0, 8 * GIB))), "time": Fresh(usage((30, 0, 2)))},
    )
    assert answer["allow_server_launch"] is False
    assert answer["outcome"] == "denied"
    # 72 of 168 GiB-hours, 9 of 21 hours, must be gone from the window: 7 days - 21 h + 9 h
    assert answer["retry_time"] == "2026-11-30T22:05:00Z"
    memory, time = answer["verdicts"]
    assert (memory["used"], memory["remaining"], memory["limit"]) == (168, -68, 100)
    assert (memory["fits"], memory["never"]) == (False, False)
    assert memory["retry_time"] == "2026-11-30T22:05:00Z"
    assert time["used"] == pytest.approx(60 / 24)
    assert (time["limit"], time["unit"], time["window"]) == (2, "days", "36 hours")
    # more than 6 of 30 hours must be gone: 36 h - 30 h + 6 h, and a minute
    assert time["retry_time"] == "2026-11-24T22:06:00Z"
    assert time["need"] == 0


def test_a_launch_that_can_never_fit_is_reported_without_a_retry_time():
    answer = reported([MEMORY], {"memory": Fresh(usage())}, asks={"memory": 300.0 * GIB})
    (verdict,) = answer["verdicts"]
    assert (answer["outcome"], answer["retry_time"]) == ("denied", None)
    assert (verdict["fits"], verdict["never"], verdict["retry_time"]) == (False, True, None)
    assert (verdict["used"], verdict["remaining"], verdict["need"]) == (0, 100, 150)


@pytest.mark.parametrize(
    ("failover_open", "outcome"), [(True, "failover_open"), (False, "failover_closed")]
)
@pytest.mark.parametrize(
    ("reading", "covered_until", "coverage"),
    [
        (Unknown("timeout", "No answer within 5 s"), None, None),
        (
            Stale(usage((9, 0, GIB), coverage=0.5), "timeout", "No answer within 5 s"),
            "2026-11-24T10:04:30Z",
            0.5,
        ),
    ],
)
def test_what_is_not_known_is_null(reading, covered_until, coverage, failover_open, outcome):
    answer = reported([MEMORY], {"memory": reading}, failover_open=failover_open)
    assert answer["outcome"] == outcome
    assert answer["allow_server_launch"] is failover_open
    assert answer["retry_time"] is None
    assert answer["failover"] == "timeout"
    (verdict,) = answer["verdicts"]
    assert [verdict[key] for key in ("used", "remaining", "fits", "retry_time")] == [None] * 4
    assert (verdict["covered_until"], verdict["coverage"]) == (covered_until, coverage)
    assert (verdict["limit"], verdict["need"], verdict["unit"]) == (100, 4, "GiB-hours")
    assert verdict["never"] is False


def test_whoever_no_policy_covers_gets_a_report_without_verdicts():
    answer = reported([], {})
    assert answer["verdicts"] == []
    assert (answer["outcome"], answer["allow_server_launch"]) == ("allowed", True)


@pytest.mark.parametrize(
    "readings",
    [
        {"memory": Fresh(usage((30, 0, 9 * GIB))), "time": Unknown("timeout", "")},
        {"memory": Fresh(usage()), "time": Fresh(usage())},
        {},
    ],
)
def test_the_keys_are_always_the_same(readings):
    answer = reported([MEMORY, TIME], readings)
    assert set(answer) >= DECISION_KEYS
    assert len(answer["verdicts"]) == 2
    for verdict in answer["verdicts"]:
        assert set(verdict) >= VERDICT_KEYS


def test_any_name_of_a_user_can_be_reported():
    name = "<b>\"'{}\\\n\x00\N{SNOWMAN}" + "x" * 300
    assert reported([MEMORY], {}, user=name)["user"] == name


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (None, None),
        (datetime(2026, 11, 24, 10, 5, tzinfo=UTC), "2026-11-24T10:05:00Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC), "2026-01-02T03:04:05Z"),
        (datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), "2025-12-31T23:30:00Z"),
    ],
)
def test_instants_are_iso_8601_in_utc(instant, text):
    assert iso(instant) == text
    if text:
        assert datetime.fromisoformat(text) == instant.replace(microsecond=0)
