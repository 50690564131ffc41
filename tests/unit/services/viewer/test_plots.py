"""The plots on cards: what their bars add up to, where days begin, and whose usage is in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Reading, Stale, Unknown, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.services.viewer.pages.intervals import intervals, zone_of
from jupyterhub_usage_quotas.services.viewer.pages.plots import Plot, plot
from jupyterhub_usage_quotas.status.inputs import DecisionInputs
from jupyterhub_usage_quotas.status.users import UserStatus

NOW = datetime(2026, 10, 27, 12, 30, tzinfo=UTC)
ZURICH = ZoneInfo("Europe/Zurich")
HOUR = 3600.0
LAB, GPU = ServerAttributes(name="lab"), ServerAttributes("big", "Big", "gpu", gpu=True)


# --- intervals ----------------------------------------------------------------------------------


def test_days_begin_at_local_midnight_also_when_clocks_change():
    name, found = intervals(NOW - timedelta(days=3, minutes=1), NOW, ZURICH)
    assert str(name) == "day"
    # Clocks go back on Sunday the 25th.
    assert [f"{one.start:%d %H:%M}" for one in found] == [
        *("24 12:29", "24 22:00", "25 23:00", "26 23:00"),
    ]
    assert found[1].end - found[1].start == timedelta(hours=25)
    assert [one.name for one in found[:2]] == ["Saturday, 24 October", "Sunday, 25 October"]
    assert found[-1].end == NOW


@pytest.mark.parametrize(
    ("length", "name", "most"),
    [
        (timedelta(minutes=10), "5 minutes", 3),
        (timedelta(hours=12), "30 minutes", 25),
        (timedelta(hours=36), "hour", 37),
        (timedelta(days=31), "day", 32),
        (timedelta(days=365), "week", 54),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/St_Johns", "Europe/Zurich"])
def test_intervals_are_whole_and_without_gaps(length, name, most, zone):
    called, found = intervals(NOW - length, NOW, ZoneInfo(zone))
    assert str(called) == name
    assert len(found) <= most
    assert (found[0].start, found[-1].end) == (NOW - length, NOW)
    for one, following in pairwise(found):
        assert one.start < one.end == following.start


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../../etc/passwd",
        "/etc/passwd",
        "Europe",
        "No/Where",
        "x" * 300,
        "Europe/Zurich\n",
        "é",
    ],
)
def test_a_zone_that_is_none_is_utc(name):
    assert zone_of(name).key == "UTC"


def test_zones_of_browsers_are_known():
    for name in ("Europe/Zurich", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "UTC"):
        assert zone_of(name).key == name


# --- plots --------------------------------------------------------------------------------------


def bucket(hours_ago: float, hours: float, rate: float, server: ServerAttributes = LAB) -> Bucket:
    end = NOW.timestamp() - hours_ago * HOUR
    return Bucket(end - hours * HOUR, end, rate * hours * HOUR, server)


def usage(*buckets: Bucket) -> Fresh:
    return Fresh(Usage(buckets, NOW))


def plotted(reading: Reading, others: Reading | None = None, **policy) -> Plot | None:
    """The plot of a policy on CPUs, whose amounts are CPU-seconds."""
    written = {"resource": "cpu", "limit": "10 CPU-hours", "window": 7, "scope": EVERYONE} | policy
    policies = parse_policies([written], {})
    mine = {"cpu": reading}
    pools = {
        one.name: {"ann": mine, "bob": {"cpu": others}} for one in policies if one.pooled and others
    }
    person = Subject("ann", frozenset(), admin=False)
    inputs = DecisionInputs(person, policies, mine, pools, (), NOW)
    decision = inputs.decide(Request(person))
    (verdict,) = decision.verdicts
    return plot(UserStatus(inputs, decision), verdict, ZURICH)


EVERYONE = {"everyone": True}


def test_bars_are_divided_by_server_and_add_up():
    found = plotted(usage(bucket(50, 2, 1), bucket(20, 1, 1), bucket(20, 4, 1, GPU)))
    assert found is not None
    assert found.series == ("gpu (Big)", "lab")
    totals = {bar.name: bar.total for bar in found.bars if bar.total != "0 CPU-hours"}
    assert totals == {"Sunday, 25 October": "2 CPU-hours", "Monday, 26 October": "5 CPU-hours"}
    last = found.bars[-1]
    assert last.counted == "7 CPU-hours"
    assert found.limit is not None
    assert last.counts == pytest.approx(found.limit * 0.7)
    assert found.begins == 0
    assert found.bars[-2].said == (
        "Monday, 26 October: 5 CPU-hours (gpu (Big) 4 CPU-hours, lab 1 CPU-hour);"
        " 7 of 10 CPU-hours by then"
    )


def test_only_the_window_and_the_selected_servers_are_in_it():
    found = plotted(
        usage(bucket(20, 1, 1), bucket(20, 4, 1, GPU), bucket(200, 9, 1)), servers={"gpu": False}
    )
    assert found is not None
    assert found.series == ("lab",)
    assert found.bars[-1].counted == "1 CPU-hour"


def test_many_servers_are_told_apart_up_to_five():
    servers = [ServerAttributes(name=f"s{number}") for number in range(9)]
    some = [bucket(20, 1, 1 + number, one) for number, one in enumerate(servers)]
    found = plotted(usage(*some))
    assert found is not None
    assert found.series == ("s8", "s7", "s6", "s5", "5 other servers")
    busiest = max(found.bars, key=lambda bar: sum(part.height for part in bar.parts))
    assert [part.amount for part in busiest.parts] == [
        *("9 CPU-hours", "8 CPU-hours", "7 CPU-hours", "6 CPU-hours", "15 CPU-hours")
    ]


def test_a_limit_that_is_far_above_is_not_drawn():
    found = plotted(usage(bucket(20, 1, 1)), limit="1000 CPU-hours")
    assert found is not None
    assert found.limit is None
    assert found.allowance == "1,000 CPU-hours"
    assert max(bar.counts or 0 for bar in found.bars) > 0.9


def test_everything_is_within_the_plot():
    for rate in (0.001, 1, 77.7, 12345.6):
        found = plotted(usage(bucket(20, 1, rate), bucket(50, 3, rate)))
        assert found is not None
        heights = [sum(part.height for part in bar.parts) for bar in found.bars]
        assert 0 <= max([*heights, found.limit or 0, *(bar.counts for bar in found.bars)]) <= 1
        assert 3 <= len(found.ticks) <= 8
        assert [height for height, _ in found.ticks] == sorted(one for one, _ in found.ticks)


def test_a_refilled_balance_comes_back():
    """Five CPU-hours at once, of which one comes back every six hours."""
    found = plotted(usage(bucket(48, 1, 5)), window={"refill": 1, "every": "6h"})
    assert found is not None
    counts = [bar.counted for bar in found.bars]
    assert counts[-1] == "0 CPU-hours"
    assert "5 CPU-hours" in [bar.total for bar in found.bars]


def test_the_line_begins_with_what_was_used_before_the_plot_does():
    """Thirty CPU-hours eight hours before it begins, of which two came back since."""
    before = bucket(7.5 * 24 + 8, 1, 30)
    refilled = {"refill": 1, "every": "6h"}
    found = plotted(usage(before, bucket(20, 1, 1)), window=refilled, limit="40 CPU-hours")
    assert found is not None
    assert found.limit is not None
    assert found.begins == pytest.approx(found.limit * 28 / 40)
    assert found.line.startswith(f"0.00,{100 - 100 * found.begins:.2f} ")


def test_of_a_pool_only_ones_own_part_is_plotted():
    secret = ServerAttributes(name="secret-of-bob")
    found = plotted(usage(bucket(20, 1, 1)), usage(bucket(30, 3, 1, secret)), share="pooled")
    assert found is not None
    assert found.own_part
    assert found.series == ("lab",)
    assert "secret" not in repr(found)
    assert found.bars[-1].counted == "1 CPU-hour"


def test_what_is_not_known_is_not_zero():
    until = NOW - timedelta(days=2)
    stale = Stale(Usage((bucket(100, 1, 1),), until), "stale", "for admins")
    found = plotted(stale)
    assert found is not None
    assert (found.bars[-1].total, found.bars[-1].counted) == ("not known", "not known")
    assert found.bars[-1].said.endswith("not known")
    assert found.bars[-1].counts is None
    assert found.line.count(",") < len(found.bars)
    assert plotted(Unknown("unreachable", "for admins")) is None
    assert plotted(usage()) is None


def test_a_window_that_has_just_begun():
    month = {"calendar": "day", "hour": 12, "timezone": "UTC"}
    found = plotted(usage(bucket(0, 0.25, 1)), window=month)
    assert found is not None
    assert found.interval == "5 minutes"
    assert found.bars[-1].counted == "0.25 CPU-hours"
