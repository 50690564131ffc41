"""What windows are called in names, tables and sentences."""

from __future__ import annotations

import pytest

from jupyterhub_usage_quotas.quotas.policy.limits import parse_window
from jupyterhub_usage_quotas.quotas.resources import RESOURCES

HOURS = RESOURCES["time"].unit("hours")

WINDOWS = [
    (7, "7 days", "per 7 days", "in the last 7 days"),
    (1, "1 day", "per 1 day", "in the last day"),
    ("90m", "90 minutes", "per 90 minutes", "in the last 90 minutes"),
    ({"calendar": "hour"}, "calendar hour (UTC)", "per calendar hour (UTC)", "this hour"),
    (
        {"calendar": "day", "hour": 4, "timezone": "Asia/Tokyo"},
        "calendar day at 04:00 (Asia/Tokyo)",
        "per calendar day at 04:00 (Asia/Tokyo)",
        "today",
    ),
    (
        {"calendar": "week", "starts": "sunday"},
        "calendar week from Sunday (UTC)",
        "per calendar week from Sunday (UTC)",
        "this week",
    ),
    (
        {"calendar": "month", "starts": 31},
        "calendar month from day 31 (UTC)",
        "per calendar month from day 31 (UTC)",
        "this month",
    ),
    (
        {"calendar": "quarter", "starts": "december", "hour": 23},
        "calendar quarter from March at 23:00 (UTC)",
        "per calendar quarter from March at 23:00 (UTC)",
        "this quarter",
    ),
    (
        {"calendar": "year", "starts": "october", "day": 15},
        "calendar year from 15 October (UTC)",
        "per calendar year from 15 October (UTC)",
        "this year",
    ),
    ({"calendar": "year"}, "calendar year (UTC)", "per calendar year (UTC)", "this year"),
    (
        {"refill": 5, "every": "10 minutes"},
        "refilled every 10 minutes",
        "refilled every 10 minutes",
        "of a balance that is refilled every 10 minutes",
    ),
    (
        {"refill": 5, "every": "1 day"},
        "refilled every day",
        "refilled every day",
        "of a balance that is refilled every day",
    ),
]


@pytest.mark.parametrize(("written", "name", "short", "phrase"), WINDOWS)
def test_a_window_is_called(written, name, short, phrase):
    window = parse_window(written, HOURS)
    assert (str(window), window.short, window.phrase) == (name, short, phrase)
