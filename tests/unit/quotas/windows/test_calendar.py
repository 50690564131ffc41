"""Calendar windows: when their periods begin, all over the world and across changes of clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.usage import Bucket, Usage
from jupyterhub_usage_quotas.quotas.windows.calendar import Calendar, Period

MINUTE = timedelta(minutes=1)


def utc(text):
    """ "2026-03-29 01:00" as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def starts_from(window, first, count):
    """The instants at which periods begin, from the period on that an instant is in."""
    found = [window.start(first)]
    while len(found) < count:
        found.append(window.next_start(found[-1]))
    return found


def zoned(period, timezone, **more):
    return Calendar(Period(period), timezone=timezone, **more)


BOUNDARIES = [
    # window, an instant in the first period, when it and the next ones begin
    (Calendar(Period.HOUR), "2026-03-04 12:30", ["2026-03-04 12:00", "2026-03-04 13:00"]),
    (Calendar(Period.DAY), "2026-02-28 12:30", ["2026-02-28 00:00", "2026-03-01 00:00"]),
    (Calendar(Period.DAY, hour=6), "2026-03-01 05:59", ["2026-02-28 06:00", "2026-03-01 06:00"]),
    # the first of January 2001 was a Monday; so were the second of March 2026 and 2020-02-24
    (Calendar(Period.WEEK), "2026-03-04 12:30", ["2026-03-02 00:00", "2026-03-09 00:00"]),
    (Calendar(Period.WEEK), "2026-03-01 23:59", ["2026-02-23 00:00", "2026-03-02 00:00"]),
    (Calendar(Period.WEEK), "2020-03-01 23:59", ["2020-02-24 00:00", "2020-03-02 00:00"]),
    (Calendar(Period.WEEK), "2000-01-02 23:59", ["1999-12-27 00:00", "2000-01-03 00:00"]),
    (
        Calendar(Period.WEEK, weekday=6, hour=23),
        "2026-03-08 22:59",
        ["2026-03-01 23:00", "2026-03-08 23:00", "2026-03-15 23:00"],
    ),
    (
        Calendar(Period.MONTH),
        "2026-01-31 23:59",
        ["2026-01-01 00:00", "2026-02-01 00:00", "2026-03-01 00:00"],
    ),
    (
        # counted from the anchor: after a shorter month it comes back to the 31st
        Calendar(Period.MONTH, day=31),
        "2026-01-31 00:00",
        [
            "2026-01-31 00:00",
            "2026-02-28 00:00",
            "2026-03-31 00:00",
            "2026-04-30 00:00",
            "2026-05-31 00:00",
        ],
    ),
    (
        Calendar(Period.MONTH, day=30),
        "2024-02-28 12:00",
        ["2024-01-30 00:00", "2024-02-29 00:00", "2024-03-30 00:00"],
    ),
    (
        Calendar(Period.MONTH, day=15, hour=8),
        "2026-12-20 12:00",
        ["2026-12-15 08:00", "2027-01-15 08:00"],
    ),
    (
        Calendar(Period.QUARTER),
        "2026-02-10 12:00",
        ["2026-01-01 00:00", "2026-04-01 00:00", "2026-07-01 00:00", "2026-10-01 00:00"],
    ),
    (
        Calendar(Period.QUARTER, month=2, day=31),
        "2026-02-10 12:00",
        ["2025-11-30 00:00", "2026-02-28 00:00", "2026-05-31 00:00", "2026-08-31 00:00"],
    ),
    (Calendar(Period.YEAR), "2026-12-31 23:59", ["2026-01-01 00:00", "2027-01-01 00:00"]),
    (
        Calendar(Period.YEAR, month=9, day=15),
        "2026-03-04 00:00",
        ["2025-09-15 00:00", "2026-09-15 00:00", "2027-09-15 00:00"],
    ),
    (
        Calendar(Period.YEAR, month=2, day=29),
        "2024-02-29 00:00",
        ["2024-02-29 00:00", "2025-02-28 00:00", "2026-02-28 00:00"],
    ),
    # Zurich: UTC+1, from 2026-03-29 01:00 UTC on UTC+2, from 2026-10-25 01:00 UTC on UTC+1
    (
        zoned("day", "Europe/Zurich"),
        "2026-03-28 22:59",
        ["2026-03-27 23:00", "2026-03-28 23:00", "2026-03-29 22:00", "2026-03-30 22:00"],
    ),
    (
        zoned("day", "Europe/Zurich", hour=2),  # which does not exist on the 29th: 03:00
        "2026-03-28 12:00",
        ["2026-03-28 01:00", "2026-03-29 01:00", "2026-03-30 00:00"],
    ),
    (
        zoned("day", "Europe/Zurich", hour=2),  # which exists twice on the 25th: the first
        "2026-10-24 12:00",
        ["2026-10-24 00:00", "2026-10-25 00:00", "2026-10-26 01:00"],
    ),
    (
        zoned("week", "Europe/Zurich"),
        "2026-03-29 21:59",
        ["2026-03-22 23:00", "2026-03-29 22:00", "2026-04-05 22:00"],
    ),
    (
        zoned("month", "America/New_York"),  # UTC-5, from 2026-03-08 to 2026-11-01 UTC-4
        "2026-03-20 12:00",
        ["2026-03-01 05:00", "2026-04-01 04:00", "2026-05-01 04:00"],
    ),
    (
        zoned("day", "America/New_York"),
        "2026-11-01 12:00",
        ["2026-11-01 04:00", "2026-11-02 05:00"],
    ),
    (
        zoned("day", "Australia/Lord_Howe"),  # UTC+11, from 2026-04-05 on UTC+10:30
        "2026-04-04 13:30",
        ["2026-04-04 13:00", "2026-04-05 13:30", "2026-04-06 13:30"],
    ),
    (
        zoned("day", "Asia/Kathmandu"),  # UTC+5:45
        "2026-03-04 12:00",
        ["2026-03-03 18:15", "2026-03-04 18:15"],
    ),
    (zoned("hour", "Asia/Kathmandu"), "2026-03-04 12:00", ["2026-03-04 11:15", "2026-03-04 12:15"]),
    (
        zoned("week", "Pacific/Apia"),  # UTC-10; 2011-12-30 did not exist; then UTC+14
        "2011-12-30 12:00",
        ["2011-12-26 10:00", "2012-01-01 10:00", "2012-01-08 10:00"],
    ),
    (
        zoned("day", "America/Sao_Paulo"),  # 2018-11-04 began at 01:00, UTC-2 from UTC-3
        "2018-11-03 12:00",
        ["2018-11-03 03:00", "2018-11-04 03:00", "2018-11-05 02:00"],
    ),
    (
        zoned("day", "Asia/Beirut"),  # 2022-03-27 began at 01:00, UTC+3 from UTC+2
        "2022-03-26 12:00",
        ["2022-03-25 22:00", "2022-03-26 22:00", "2022-03-27 21:00"],
    ),
    (
        zoned("day", "America/Havana"),  # 2023-11-05 had two midnights, UTC-4 and UTC-5
        "2023-11-05 04:30",
        ["2023-11-05 04:00", "2023-11-06 05:00"],
    ),
    (zoned("day", "America/Havana"), "2023-11-05 05:30", ["2023-11-05 04:00", "2023-11-06 05:00"]),
]


@pytest.mark.parametrize(("window", "inside", "expected"), BOUNDARIES)
def test_periods_begin_at_these_instants(window, inside, expected):
    assert starts_from(window, utc(inside), len(expected)) == [utc(text) for text in expected]


@pytest.mark.parametrize(("window", "inside", "expected"), BOUNDARIES)
def test_a_period_has_its_first_instant_and_not_its_last(window, inside, expected):
    first, following = utc(expected[0]), utc(expected[1])
    just_before = following - timedelta(microseconds=1)
    assert window.start(first) == window.start(just_before) == first
    assert window.next_start(first) == window.next_start(just_before) == following
    assert window.start(following) == following


def test_a_day_that_did_not_exist_is_skipped():
    """Samoa went from the 29th to the 31st of December 2011."""
    window = zoned("day", "Pacific/Apia")
    assert window.start(utc("2011-12-30 09:59")) == utc("2011-12-29 10:00")
    assert window.start(utc("2011-12-30 10:00")) == utc("2011-12-30 10:00")
    assert window.next_start(utc("2011-12-29 10:00")) == utc("2011-12-30 10:00")
    assert window.next_start(utc("2011-12-30 10:00")) == utc("2011-12-31 10:00")


def test_hours_do_not_care_for_the_clocks():
    window = zoned("hour", "Europe/Zurich")
    begin = utc("2026-03-28 22:00")
    assert starts_from(window, begin, 30) == [begin + timedelta(hours=n) for n in range(30)]


@pytest.mark.parametrize("month", [4, 7, 10])
def test_quarters_that_begin_at_the_same_instants_are_equal(month):
    """ "Values of one kind are equal when they mean the same": only then are they combined."""
    here, there = Calendar(Period.QUARTER), Calendar(Period.QUARTER, month=month)
    now = utc("2026-03-04 12:30")
    assert starts_from(here, now, 9) == starts_from(there, now, 9)
    assert here == there


# --- what always holds --------------------------------------------------------------------------

ZONES = sorted(available_timezones())
SOME_TIME = st.datetimes(datetime(2000, 1, 2), datetime(2037, 12, 30), timezones=st.just(UTC))


@lru_cache
def clock_changes(timezone):
    """The hours of 2000 to 2037 in which the clocks were changed."""
    zone = ZoneInfo(timezone)

    def changed(begin, step):
        return begin.astimezone(zone).utcoffset() != (begin + step).astimezone(zone).utcoffset()

    week, hour = timedelta(days=7), timedelta(hours=1)
    weeks = (datetime(2000, 1, 2, tzinfo=UTC) + number * week for number in range(1970))
    hours = (begin + n * hour for begin in weeks if changed(begin, week) for n in range(168))
    return [begin for begin in hours if changed(begin, hour)]


@st.composite
def windows_and_instants(draw):
    """A window, and an instant of which many are near a change of the clocks."""
    window, instant = draw(windows), draw(SOME_TIME)
    if changes := clock_changes(window.timezone):
        near = draw(st.sampled_from(changes)) + draw(st.integers(-3000, 3000)) * MINUTE
        instant = draw(st.sampled_from([near, near, instant]))
    return window, instant


windows = st.builds(
    Calendar,
    st.sampled_from(Period),
    timezone=st.sampled_from(ZONES),
    weekday=st.integers(0, 6),
    day=st.sampled_from([1, 2, 15, 28, 29, 30, 31]),
    month=st.integers(1, 12),
    hour=st.sampled_from([0, 0, 1, 2, 3, 12, 23]),
)


def local_times(timezone, instant):
    return instant.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)


def when_by_hand(timezone, local):
    """The first instant at which the clocks show a local time; None where they never do. Found
    by reading the clocks, never by setting them.
    """
    middle = local.replace(tzinfo=UTC)
    days = [middle + timedelta(hours=hours) for hours in range(-48, 49, 6)]
    offsets = {local_times(timezone, day) - day.replace(tzinfo=None) for day in days}
    shown = [middle - offset for offset in offsets]
    return min((one for one in shown if local_times(timezone, one) == local), default=None)


def is_configured(window, local):
    """Whether a local time is one at which a period is meant to begin."""
    last = (local.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    months = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}.get(window.period)
    clock = (local.hour, local.minute, local.second) == (window.hour, 0, 0)
    if window.period is Period.WEEK:
        return clock and local.weekday() == window.weekday
    if months:
        month = (local.month - window.month) % months == 0
        return clock and month and local.day == min(window.day, last.day)
    return clock


@given(given_=windows_and_instants())
def test_periods_tile_the_time_line(given_):
    """Every instant is in one period, which has a number, begins before it and ends after it."""
    window, instant = given_
    number = window.number(instant)
    start, end = window.start(instant), window.next_start(instant)
    assert (start, end) == (window.boundary(number), window.boundary(number + 1))
    assert start <= instant < end
    assert end - start <= window.reach
    for each in range(number - 3, number + 4):
        begin, following = window.boundary(each), window.boundary(each + 1)
        assert begin <= following
        if begin < following:
            assert window.number(begin) == window.number(following - MINUTE) == each
    assert window.next_start(start) == end
    assert window.start(end) == end


@given(given_=windows_and_instants().filter(lambda given_: given_[0].period is not Period.HOUR))
def test_a_period_begins_at_the_configured_local_time(given_):
    """Where that time exists, the first time that it does; else while the clocks skip it."""
    window, instant = given_
    start = window.start(instant)
    local = local_times(window.timezone, start)
    if is_configured(window, local):
        assert when_by_hand(window.timezone, local) == start
        return
    skipped = [local - number * MINUTE for number in range(1, 1441)]
    meant = [one for one in skipped if is_configured(window, one)]
    assert any(when_by_hand(window.timezone, one) is None for one in meant)


@given(
    given_=windows_and_instants(),
    sessions=st.lists(st.tuples(st.integers(-5000, 0), st.integers(1, 600)), max_size=6),
)
def test_what_is_used_is_what_was_used_since_the_period_began(given_, sessions):
    """Minute by minute: a minute counts where it began at the period's begin or later."""
    window, instant = given_
    now = instant.replace(second=0, microsecond=0)
    start = window.start(now)
    begins = [now + (begin - length) * MINUTE for begin, length in sessions]
    buckets = tuple(
        Bucket(begin.timestamp(), (begin + length * MINUTE).timestamp(), 60.0 * length)
        for begin, (_, length) in zip(begins, sessions, strict=True)
    )
    minutes = [
        begin + number * MINUTE
        for begin, (_, length) in zip(begins, sessions, strict=True)
        for number in range(length)
    ]
    usage = Usage(buckets, now)
    used = sum(minute >= start for minute in minutes)
    assert window.used(usage, now) == 60 * used
    end = window.next_start(now)
    assert window.used(usage, end) == 0
    # All of it counts until the period ends, and nothing from then on.
    for limit, expected in [(used + 1, now), (used, end if used else None), (0, None)]:
        found = window.earliest(usage, lambda amount, most=limit: amount < 60 * most, now)
        assert found == expected


@pytest.mark.parametrize("period", [Period.DAY, Period.WEEK, Period.MONTH])
def test_no_zone_on_earth_has_a_gap_or_an_overlap(period):
    """Each period begins where the one before ends, also where a day did not exist."""
    for timezone in ZONES:
        window = zoned(period, timezone, hour=ZONES.index(timezone) % 24)
        last = window.number(utc("2011-12-17 03:00"))
        for number in range(last - 3, last + 17):
            begin, end = window.boundary(number), window.boundary(number + 1)
            assert begin <= end
            if begin < end:
                assert window.start(begin) == window.start(end - MINUTE) == begin
                assert window.next_start(begin) == window.next_start(end - MINUTE) == end


def test_the_period_of_an_instant_and_those_after_it():
    """Over the change to winter time in Zurich, a week is an hour longer: by the calendar."""
    zurich = zoned("week", "Europe/Zurich")
    at = datetime(2026, 10, 25, 12, tzinfo=UTC)
    before, since = datetime(2026, 10, 18, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)
    assert zurich.period_at(at) == (before, since)
    assert zurich.period_at(at, 1) == (since, since + timedelta(days=7))
    assert zurich.period_at(since) == zurich.period_at(at, 1)
