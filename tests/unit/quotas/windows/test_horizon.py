"""No retry time leaves the calendar: beyond the horizon it is never, for every kind of window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.adjustments import Exemption, Grant, Override
from jupyterhub_usage_quotas.quotas.decide import Outcome, decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
HOUR = 3600.0
LAST = datetime.max.replace(tzinfo=UTC)
FIRST = datetime.min.replace(tzinfo=UTC)
TEN_YEARS = timedelta(days=3660)
WINDOWS = [
    7,
    "3660 days",
    {"calendar": "hour"},
    {"calendar": "day", "timezone": "Etc/GMT+12"},
    {"calendar": "week", "timezone": "Pacific/Kiritimati"},
    {"calendar": "month", "starts": 31},
    {"calendar": "quarter"},
    {"calendar": "year", "starts": "december"},
    {"refill": 1, "every": "1 hour"},
    {"refill": 0.01, "every": "1 hour"},
    {"refill": 10, "every": "3660 days"},
]


def decided(window, hours, *adjustments, session="0 hours"):
    """A decision on ten hours, of which so many were used until an hour ago."""
    policy = {"name": "x", "resource": "time", "limit": "10 hours", "window": window}
    policy |= {"scope": {"everyone": True}, "minimum_session": session}
    begin, end = NOW.timestamp() - 2 * HOUR, NOW.timestamp() - HOUR
    usage = Fresh(Usage((Bucket(begin, end, hours * HOUR),), NOW))
    request = Request(Subject("ada"), rates={"time": 1.0})
    return decide(parse_policies([policy]), {"time": usage}, request, NOW, adjustments=adjustments)


def grant(start, until, hours=5):
    return Grant("x", start, until, user="ada", amount=hours * HOUR)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(
    ("start", "until"),
    [
        (FIRST, LAST),
        (NOW - timedelta(days=1), LAST),
        (NOW - timedelta(days=1), LAST.replace(hour=0, minute=0)),
        (LAST - timedelta(days=40), LAST),
        (LAST - timedelta(hours=1), LAST),
    ],
)
def test_a_grant_until_the_end_of_the_calendar_is_one_without_end(window, start, until):
    in_force = start <= NOW
    without_end = NOW + timedelta(days=3000)
    for session in ("0 hours", "20 hours"):
        found = decided(window, 5000, grant(start, until), session=session)
        alike = decided(window, 5000, *([grant(start, without_end)] if in_force else []))
        if session == "20 hours":
            # More than there ever is.
            assert (found.outcome, found.retry_time) == (Outcome.DENIED, None)
        else:
            assert (found.outcome, found.retry_time) == (alike.outcome, alike.retry_time)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("years", "expected"), [(9, True), (11, False), (7000, False)])
def test_what_begins_beyond_the_horizon_is_never_waited_for(window, years, expected):
    """A session that never fits, but for an exemption in so many years."""
    start = NOW.replace(year=NOW.year + years)
    found = decided(window, 1, Exemption("x", start, LAST, user="ada"), session="20 hours")
    assert found.outcome is Outcome.DENIED
    assert found.retry_time == (start if expected else None)


ANY_INSTANT = st.datetimes(timezones=st.just(UTC))


@given(
    window=st.sampled_from(WINDOWS),
    hours=st.sampled_from([0, 9, 11, 5000, 1e12]),
    spans=st.lists(st.tuples(ANY_INSTANT, ANY_INSTANT), max_size=3),
    kind=st.sampled_from(["grant", "override", "exemption"]),
    session=st.sampled_from(["0 hours", "20 hours"]),
)
def test_whatever_is_decided_for_whatever_time(window, hours, spans, kind, session):
    make = {
        "grant": grant,
        "override": lambda start, until: Override("x", start, until, user="ada", limit=0.0),
        "exemption": lambda start, until: Exemption("x", start, until, user="ada"),
    }[kind]
    found = decided(window, hours, *(make(*sorted(span)) for span in spans), session=session)
    if found.retry_time is not None:
        assert NOW <= found.retry_time <= NOW + TEN_YEARS
