"""Whether a launch is allowed and when it will be: a table for admins, and what always holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from itertools import groupby
from math import inf

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.decide import Outcome, Request, decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Stale, Unknown, Usage
from jupyterhub_usage_quotas.quotas.windows.gauge import GaugeReading

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = 3600
GIB = 2**30


# --- the table ----------------------------------------------------------------------------------


def rule(limit, window="24h", *, resource="time", minimum_session=None, **scope):
    """A policy as an admin writes it; for everyone unless `group` or `user` is given."""
    entry = {"resource": resource, "limit": limit, "window": window}
    entry["scope"] = {key: [name] for key, name in scope.items()} or {"everyone": True}
    return entry | ({"minimum_session": minimum_session} if minimum_session else {})


def without_window(entry):
    return {key: value for key, value in entry.items() if key != "window"}


def without_scope(entry):
    return {key: value for key, value in entry.items() if key != "scope"}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    `used` has sessions by resource: (hours ago that it started, hours ago that it ended, rate).
    `expected` is "allowed", "denied, retry in ...", "denied, never" or "failover ...".
    """

    says: str
    policies: list
    expected: str
    used: dict = field(default_factory=dict)
    backup: dict = field(default_factory=dict)
    asks: dict = field(default_factory=lambda: {"time": 1.0})
    groups: tuple = ("students", "staff")
    readings: dict = field(default_factory=dict)
    failover_open: bool = False


def reading_of(sessions):
    """A fresh reading of sessions that are given in hours before NOW."""
    return Fresh(
        Usage(
            tuple(
                Bucket(
                    NOW.timestamp() - started * HOUR,
                    NOW.timestamp() - ended * HOUR,
                    (started - ended) * HOUR * rate,
                )
                for started, ended, rate in sessions
            ),
            NOW,
        )
    )


def told(decision):
    """A decision in the words of the table."""
    if decision.outcome is Outcome.DENIED:
        if decision.retry_time is None:
            return "denied, never"
        minutes, rest = divmod((decision.retry_time - NOW).total_seconds(), 60)
        assert rest == 0
        hours, minutes = divmod(int(minutes), 60)
        return f"denied, retry in {hours}h" + (f" {minutes}m" if minutes else "")
    if decision.failover is not None:
        return f"{decision.outcome.value}: {decision.failover.reason}"
    return decision.outcome.value


def decide_row(row, now=NOW):
    policies = parse_policies(row.policies, row.backup, failover_open=row.failover_open)
    readings = {"time": reading_of(()), "memory": reading_of(()), "gpu": reading_of(())}
    readings |= {resource: reading_of(sessions) for resource, sessions in row.used.items()}
    readings |= row.readings
    request = Request(Subject("ada", frozenset(row.groups)), rates=row.asks)
    return decide(policies, readings, request, now)


FIVE = rule("5 hours")
NO_ANSWER = Unknown("timeout", "Prometheus did not answer in time")
OLD = Stale(Usage((), NOW - timedelta(hours=3)), "unreachable", "seen three hours ago")
STUDENTS_AND_STAFF = [rule("5 hours", group="students"), rule("8 hours", group="staff")]
DAY_AND_WEEK = [rule("5 hours", "24h"), rule("10 hours", "7 days")]
ONE_HOUR_AT_LEAST = rule("5 hours", minimum_session="1 hour")
# A launch needs an hour of the memory that it asks for.
MEMORY = rule("10 GiB-hours", resource="memory", minimum_session="1 hour")
NEEDS_8, NEEDS_10, NEEDS_16 = ({"memory": gib * GIB, "time": 1.0} for gib in (8, 10, 16))

TABLE = [
    Row("nothing was used", [FIVE], "allowed"),
    Row("some is left", [FIVE], "allowed", used={"time": [(4, 0, 1)]}),
    Row("all but a minute is used", [FIVE], "allowed", used={"time": [(5, 1 / 60, 1)]}),
    Row("exactly all is used", [FIVE], "denied, retry in 19h 1m", used={"time": [(5, 0, 1)]}),
    Row("more than all is used", [FIVE], "denied, retry in 19h 1m", used={"time": [(7, 0, 1)]}),
    Row("it ended long ago", [FIVE], "denied, retry in 9h 1m", used={"time": [(16, 10, 1)]}),
    Row("two servers at once", [FIVE], "denied, retry in 21h 31m", used={"time": [(4, 0, 2)]}),
    Row("it left the window", [FIVE], "allowed", used={"time": [(40, 30, 1)]}),
    Row("it partly left the window", [FIVE], "allowed", used={"time": [(30, 20, 1)]}),
    Row("two sessions", [FIVE], "denied, retry in 13h 1m", used={"time": [(12, 9, 1), (3, 0, 1)]}),
    Row("another resource was used", [FIVE], "allowed", used={"memory": [(9, 0, 99 * GIB)]}),
    # a launch needs a minimum session
    Row(
        "too little is left for a session",
        [ONE_HOUR_AT_LEAST],
        "denied, retry in 20h",
        used={"time": [(4.5, 0, 1)]},
    ),
    Row("just enough is left", [ONE_HOUR_AT_LEAST], "allowed", used={"time": [(4, 0, 1)]}),
    Row(
        "too little memory is left for what it asks for",
        [MEMORY],
        "denied, retry in 22h",
        used={"memory": [(3, 0, GIB)]},
        asks=NEEDS_8,
    ),
    Row(
        "enough memory is left for a smaller server",
        [MEMORY],
        "allowed",
        used={"memory": [(3, 0, GIB)]},
        asks={"memory": 4 * GIB},
    ),
    Row("it needs all there is", [MEMORY], "allowed", asks=NEEDS_10),
    Row(
        "it needs all there is and some was used",
        [MEMORY],
        "denied, retry in 24h",
        used={"memory": [(3, 0, GIB)]},
        asks=NEEDS_10,
    ),
    Row(
        "it needs all there is and the last use ended between two minutes",
        [MEMORY],
        "denied, retry in 24h",
        used={"memory": [(3, 30 / HOUR, GIB)]},
        asks=NEEDS_10,
    ),
    Row("it needs more than there ever is", [MEMORY], "denied, never", asks=NEEDS_16),
    Row(
        "it needs more than there ever is of one, and another is exhausted",
        [FIVE, MEMORY],
        "denied, never",
        used={"time": [(5, 0, 1)]},
        asks=NEEDS_16,
    ),
    # a limit of zero
    Row("a limit of zero", [rule("0")], "denied, never"),
    Row("a limit of zero, after use", [rule("0")], "denied, never", used={"time": [(5, 0, 1)]}),
    Row("zero of one resource", [FIVE, rule("0", resource="gpu")], "denied, never"),
    # several policies for the same combination
    *(
        Row(
            f"two groups, {used} hours used, the {name} counts",
            STUDENTS_AND_STAFF,
            expected,
            used={"time": [(used, 0, 1)]},
            backup={"intersection": name},
        )
        for name, used, expected in [
            ("min", 4, "allowed"),
            ("min", 6, "denied, retry in 19h 1m"),
            ("max", 6, "allowed"),
            ("max", 9, "denied, retry in 16h 1m"),
            ("sum", 9, "allowed"),
            ("sum", 12, "allowed"),
            ("sum", 14, "denied, retry in 11h 1m"),
        ]
    ),
    Row(
        "only one of the groups",
        STUDENTS_AND_STAFF,
        "allowed",
        used={"time": [(6, 0, 1)]},
        groups=("staff",),
    ),
    Row(
        "one's own policy gives more than the group's",
        [*STUDENTS_AND_STAFF, rule("20 hours", user="ada")],
        "allowed",
        used={"time": [(14, 0, 1)]},
    ),
    Row(
        "one's own policy gives less than the group's",
        [*STUDENTS_AND_STAFF, rule("1 hour", user="ada")],
        "denied, retry in 23h 1m",
        used={"time": [(2, 0, 1)]},
    ),
    Row(
        "one's own policy for another window replaces nothing",
        [FIVE, rule("20 hours", "7 days", user="ada")],
        "denied, retry in 19h 1m",
        used={"time": [(6, 0, 1)]},
    ),
    Row(
        "somebody else's own policy",
        [FIVE, rule("20 hours", user="adam")],
        "denied, retry in 19h 1m",
        used={"time": [(6, 0, 1)]},
    ),
    # several combinations: all must fit
    Row("a day and a week, both fit", DAY_AND_WEEK, "allowed", used={"time": [(4, 0, 1)]}),
    Row(
        "a day and a week, the day binds",
        DAY_AND_WEEK,
        "denied, retry in 19h 1m",
        used={"time": [(6, 0, 1)]},
    ),
    Row(
        "a day and a week, the week binds",
        DAY_AND_WEEK,
        "denied, retry in 92h 1m",
        used={"time": [(82, 72, 1), (6, 0, 1)]},
    ),
    Row(
        "a day and a week, only the week is exhausted",
        DAY_AND_WEEK,
        "denied, retry in 86h 1m",
        used={"time": [(82, 72, 1)]},
    ),
    Row(
        "two resources, the later retry time counts",
        [FIVE, rule("5 GPU-hours", resource="gpu")],
        "denied, retry in 21h 31m",
        used={"time": [(7, 0, 1)], "gpu": [(6, 0, 2)]},
    ),
    # nobody covers
    Row(
        "no policy covers",
        [rule("0", group="guests")],
        "allowed",
        used={"time": [(24, 0, 9)]},
    ),
    Row("there are no policies", [], "allowed", readings={"time": NO_ANSWER}),
    Row(
        "no policy covers, and `empty` is exhausted",
        [rule("9 hours", group="guests")],
        "denied, retry in 22h 1m",
        used={"time": [(3, 0, 1)]},
        backup={"empty": without_scope(rule("2 hours"))},
    ),
    Row(
        "`empty` is not for those whom a policy covers",
        [FIVE],
        "allowed",
        used={"time": [(3, 0, 1)]},
        backup={"empty": without_scope(rule("2 hours"))},
    ),
    # usage that is not known
    Row("not known, closed", [FIVE], "failover_closed: timeout", readings={"time": NO_ANSWER}),
    Row(
        "not known, open",
        [FIVE],
        "failover_open: timeout",
        readings={"time": NO_ANSWER},
        failover_open=True,
    ),
    Row("stale, closed", [FIVE], "failover_closed: unreachable", readings={"time": OLD}),
    Row(
        "stale, open",
        [FIVE],
        "failover_open: unreachable",
        readings={"time": OLD},
        failover_open=True,
    ),
    Row(
        "no reading at all",
        [rule("5 CPU-hours", resource="cpu")],
        "failover_closed: not_measured",
    ),
    Row(
        "one fits, the other is not known",
        [FIVE, MEMORY],
        "failover_closed: timeout",
        readings={"memory": NO_ANSWER},
    ),
    *(
        Row(
            f"one is exhausted, the other is not known, failover open: {failover_open}",
            policies,
            "denied, retry in 19h 1m",
            used={"time": [(6, 0, 1)]},
            readings={"memory": NO_ANSWER},
            failover_open=failover_open,
        )
        for failover_open in (True, False)
        for policies in ([FIVE, MEMORY], [MEMORY, FIVE])
    ),
    Row(
        "a limit of zero denies although another is not known",
        [MEMORY, rule("0")],
        "denied, never",
        readings={"memory": NO_ANSWER},
        failover_open=True,
    ),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.says)
def test_the_decision_is_what_an_admin_expects(row):
    decision = decide_row(row)
    assert told(decision) == row.expected
    assert decision.allowed == row.expected.startswith(("allowed", "failover_open"))
    assert (decision.binding is not None) == row.expected.startswith("denied")


@pytest.mark.parametrize(
    "row", [row for row in TABLE if "retry in" in row.expected], ids=lambda row: row.says
)
def test_what_is_told_to_retry_is_allowed_then_and_not_a_minute_earlier(row):
    # What is not known is left aside: it is not known at the retry time either.
    row = Row(**{**vars(row), "readings": {}})
    at = decide_row(row).retry_time
    assert decide_row(row, now=at).outcome is Outcome.ALLOWED
    assert decide_row(row, now=at - timedelta(minutes=1)).outcome is Outcome.DENIED


def test_the_binding_verdict_is_the_one_that_is_waited_for():
    week = Row("", DAY_AND_WEEK, "", used={"time": [(82, 72, 1), (6, 0, 1)]})
    decision = decide_row(week)
    assert decision.binding.allotment.window.length == timedelta(days=7)
    assert decision.binding.retry_time == decision.retry_time
    assert [verdict.fits for verdict in decision.verdicts] == [False, False]
    never = Row("", [*DAY_AND_WEEK, rule("0", "1h")], "", used=week.used)
    assert decide_row(never).binding.never
    assert decide_row(never).binding.allotment.window.length == timedelta(hours=1)


def test_a_verdict_says_what_was_used_what_remains_and_what_is_needed():
    row = Row("", [MEMORY, FIVE], "", used={"memory": [(3, 0, GIB)]}, asks=NEEDS_8)
    memory, time = decide_row(row).verdicts
    assert (memory.used, memory.remaining) == (3 * GIB * HOUR, 7 * GIB * HOUR)
    assert (memory.need, memory.fits, memory.never) == (8 * GIB * HOUR, False, False)
    assert memory.retry_time == NOW + timedelta(hours=22)
    assert (time.used, time.remaining, time.need) == (0, 5 * HOUR, 0)
    assert (time.fits, time.never, time.retry_time) == (True, False, None)


def test_a_verdict_on_what_is_not_known_says_nothing_but_the_need():
    for reading in (NO_ANSWER, OLD):
        row = Row("", [MEMORY], "", readings={"memory": reading}, asks=NEEDS_8)
        (verdict,) = decide_row(row).verdicts
        assert (verdict.used, verdict.remaining, verdict.fits) == (None, None, None)
        assert (verdict.retry_time, verdict.never) == (None, False)
        assert verdict.need == 8 * GIB * HOUR
        assert verdict.reading is reading


# --- what needs no usage to be known, or only that of a while ago -------------------------------


ZERO_GPUS = rule("0 GPU-hours", resource="gpu")


def known_until(hours, *sessions):
    """A stale reading of sessions (in hours before NOW), known until so many hours ago."""
    usage = reading_of(sessions).usage.known(NOW - timedelta(hours=hours), 1.0)
    return Stale(usage, "unreachable", "seen some hours ago")


@pytest.mark.parametrize("failover_open", [True, False])
@pytest.mark.parametrize("reading", [NO_ANSWER, OLD, known_until(3, (9, 5, 1))])
def test_a_limit_of_zero_needs_no_usage(reading, failover_open):
    row = Row("", [ZERO_GPUS], "", readings={"gpu": reading}, failover_open=failover_open)
    decision = decide_row(row)
    assert told(decision) == "denied, never"
    assert decision.binding.never
    assert decision.failover is None


@pytest.mark.parametrize("failover_open", [True, False])
@pytest.mark.parametrize("intersection", ["min", "max", "sum"])
@pytest.mark.parametrize("there", [None, 0, 5])
def test_a_gauge_of_zero_needs_no_reading(there, intersection, failover_open):
    """Nothing fits into it, whatever may have been deleted since it was read."""
    reading = NO_ANSWER
    if there is not None:
        level = GaugeReading((), NOW - timedelta(hours=3), None, amount=there * GIB, limit=None)
        reading = Stale(level, "unreachable", "seen three hours ago")
    row = Row(
        "",
        [without_window(rule("0 GiB", resource="storage", group=one)) for one in ("staff", "x")],
        "",
        readings={"storage": reading},
        groups=("staff", "x"),
        backup={"intersection": intersection},
        failover_open=failover_open,
    )
    assert told(decide_row(row)) == "denied, never"


@pytest.mark.parametrize("limit", ["10 GiB", "exported"])
@pytest.mark.parametrize("exported", [0.0, 10.0 * GIB, None])
def test_a_gauge_with_another_limit_needs_one(limit, exported):
    level = GaugeReading((), NOW - timedelta(hours=3), None, amount=99.0 * GIB, limit=exported)
    for reading in (NO_ANSWER, Stale(level, "unreachable", "seen three hours ago")):
        policy = without_window(rule(limit, resource="storage"))
        row = Row("", [policy], "", readings={"storage": reading}, failover_open=True)
        assert decide_row(row).outcome is Outcome.FAILOVER_OPEN


@pytest.mark.parametrize("failover_open", [True, False])
@pytest.mark.parametrize(
    ("policy", "sessions", "expected"),
    [
        # Of 24 hours, six that began at -9 h are over the limit until the first hour has left.
        (rule("5 hours"), [(9, 3, 1)], "denied, retry in 16h 1m"),
        (rule("5 hours"), [(9, 4, 1)], "denied, retry in 15h 1m"),
        (rule("5 hours"), [(9, 5, 1)], "failover"),  # four of five, at the least
        (rule("5 hours", "12h"), [(15, 9, 1)], "failover"),  # half has left since
        (
            rule("5 hours", {"refill": 0.25, "every": "1 hour"}),
            [(15, 3, 1)],
            "denied, retry in 14h",
        ),
        (rule("5 hours", {"refill": 2, "every": "1 hour"}), [(15, 9, 1)], "failover"),
        (rule("5 hours", minimum_session="1 hour"), [(9, 4.5, 1)], "denied, retry in 15h 30m"),
        (rule("100 GiB"), [(9, 3, 1)], None),
    ],
)
def test_what_was_over_and_cannot_have_come_back_is_over(policy, sessions, expected, failover_open):
    """By hand: usage over time only grows, and what leaves a window is known beforehand."""
    if expected is None:
        policy = rule("100 GiB", resource="storage")
        policy.pop("window")
        there = GaugeReading((), NOW - timedelta(hours=3), None, amount=2000 * GIB, limit=None)
        row = Row(
            "files may have been deleted since",
            [policy],
            "",
            readings={"storage": Stale(there, "unreachable", "")},
            failover_open=failover_open,
        )
        expected = "failover"
    else:
        row = Row(
            "",
            [policy],
            "",
            readings={"time": known_until(3, *sessions)},
            failover_open=failover_open,
        )
    if expected == "failover":
        expected = f"failover_{'open' if failover_open else 'closed'}: unreachable"
    assert told(decide_row(row)) == expected


def test_only_the_servers_that_a_policy_selects_count_of_what_was_known():
    """Six hours of another server do not use up the five of the selected one."""
    policy = rule("5 hours") | {"servers": {"name": ["selected"]}}
    row = Row("", [policy], "", readings={"time": known_until(3, (9, 3, 1))})
    policies = parse_policies(row.policies)
    request = Request(Subject("ada"), "selected", rates=row.asks)
    decision = decide(policies, row.readings, request, NOW)
    assert decision.outcome is Outcome.FAILOVER_OPEN


def test_the_usage_that_denies_is_shown_although_it_is_old():
    row = Row("", [rule("5 hours")], "", readings={"time": known_until(3, (9, 3, 1))})
    (verdict,) = decide_row(row).verdicts
    assert (verdict.used, verdict.remaining) == (6 * HOUR, -1 * HOUR)


def test_the_retry_time_is_not_in_the_past_although_it_would_have_been_allowed_then():
    # Half a minute ago 29:45 of the last hour were used, now 30:15, in half a minute 29:45 again.
    now = NOW + timedelta(seconds=30)
    used = {"time": [((3600 - 30) / HOUR, 1800 / HOUR, 1), (15 / HOUR, -30 / HOUR, 1)]}
    row = Row("", [rule("30 minutes", "1h")], "", used=used)
    assert decide_row(row, now=NOW).allowed
    assert not decide_row(row, now=now).allowed
    assert decide_row(row, now=now).retry_time == NOW + timedelta(minutes=1)


def test_who_needs_nothing_is_denied_only_where_nothing_remains():
    bucket = Bucket(NOW.timestamp() - 60 * 83, NOW.timestamp(), 0.1 * 60 * 83)
    readings = {"cpu": Fresh(Usage((bucket,), NOW))}
    row = Row("", [rule("8.3 CPU-minutes", resource="cpu")], "", readings=readings)
    (verdict,) = decide_row(row).verdicts
    assert (verdict.need, verdict.fits) == (0, False)
    assert verdict.remaining <= 0


def test_the_time_zone_in_which_now_is_given_decides_nothing():
    row = Row("", DAY_AND_WEEK, "", used={"time": [(82, 72, 1), (6, 0, 1)]})
    elsewhere = decide_row(row, now=NOW.astimezone(timezone(timedelta(hours=-9, minutes=-30))))
    assert elsewhere.retry_time == decide_row(row).retry_time


def test_of_equal_limits_the_order_in_which_they_are_written_decides_nothing():
    policies = [
        rule("5 hours", minimum_session="1 hour", group="students"),
        rule("5 hours", minimum_session="10 minutes", group="staff"),
    ]
    used = {"time": [(4.5, 0, 1)]}
    there, back = (Row("", order, "", used=used) for order in (policies, policies[::-1]))
    assert told(decide_row(there)) == told(decide_row(back))


# --- what always holds --------------------------------------------------------------------------
#
# A history is a list of whole rates per minute: the last is the minute that ends at NOW. A need
# and a limit are in minutes at rate 1. `fits_by_hand` and `retry_by_hand` walk over that list,
# minute by minute, and know nothing of the code under test.

UNITS = {"time": "minutes", "gpu": "GPU-minutes", "cpu": "CPU-minutes", "memory": "B-minutes"}


@dataclass(frozen=True)
class Limit:
    """A policy in whole minutes."""

    resource: str
    limit: int
    window: int
    session: int = 0

    def entry(self):
        return {
            "resource": self.resource,
            "limit": f"{self.limit} {UNITS[self.resource]}",
            "window": f"{self.window} minutes",
            "scope": {"everyone": True},
            "minimum_session": f"{self.session} minutes",
        }


def used_by_hand(history, window, later):
    """What was used in the `window` minutes that end `later` minutes after NOW."""
    used = 0
    for ago, rate in enumerate(reversed(history)):
        if ago + 1 + later <= window:
            used += rate
    return used


def fits_by_hand(limits, histories, asks, later):
    for limit in limits:
        remaining = limit.limit - used_by_hand(histories[limit.resource], limit.window, later)
        if remaining <= 0 or remaining < limit.session * asks[limit.resource]:
            return False
    return True


def retry_by_hand(limits, histories, asks):
    """How many minutes after NOW the launch fits; None for never."""
    longest = max(limit.window for limit in limits)
    return next(
        (later for later in range(longest + 1) if fits_by_hand(limits, histories, asks, later)),
        None,
    )


def usage_of(history, per_minute=False, ended=NOW):
    """A history as usage: a bucket for every minute, or for every stretch of one rate."""
    if per_minute:
        stretches = [(rate, 60) for rate in history]
    else:
        stretches = [(rate, 60 * len(list(minutes))) for rate, minutes in groupby(history)]
    buckets, at = [], ended.timestamp() - 60 * len(history)
    for rate, length in stretches:
        if rate:
            buckets.append(Bucket(at, at + length, rate * length))
        at += length
    return Fresh(Usage(tuple(buckets), ended))


def decide_on(limits, histories, asks, now=NOW, **options):
    policies = parse_policies(
        [limit.entry() for limit in limits], options.pop("backup", None), failover_open=False
    )
    readings = {name: usage_of(history, **options) for name, history in histories.items()}
    return decide(policies, readings, Request(Subject("ada"), rates=asks), now)


def limits_of(resources):
    return st.builds(
        Limit,
        resource=st.sampled_from(resources),
        limit=st.integers(min_value=0, max_value=80) | st.sampled_from([5, 10, 30, 60, 90]),
        window=st.integers(min_value=1, max_value=90),
        session=st.sampled_from([0, 0, 1, 5, 30]),
    )


history = st.one_of(
    st.lists(st.sampled_from([0, 0, 1, 1, 2, 7]), max_size=100),
    # sessions: stretches of one rate
    st.lists(st.tuples(st.sampled_from([0, 1, 2, 3]), st.integers(1, 40)), max_size=6).map(
        lambda stretches: [rate for rate, length in stretches for _ in range(length)]
    ),
)
one_policy = st.lists(limits_of(list(UNITS)), min_size=1, max_size=1)
several_policies = st.lists(
    limits_of(["time", "memory"]),
    min_size=2,
    max_size=4,
    unique_by=lambda limit: (limit.resource, limit.window),
)
all_histories = st.fixed_dictionaries(dict.fromkeys(UNITS, history))
all_asks = st.fixed_dictionaries(dict.fromkeys(UNITS, st.integers(min_value=0, max_value=3)))


@pytest.mark.parametrize("policies", [one_policy, several_policies], ids=["one", "several"])
@given(data=st.data(), histories=all_histories, asks=all_asks, per_minute=st.booleans())
def test_the_retry_time_is_true(policies, data, histories, asks, per_minute):
    """A launch that is denied is allowed at the retry time if nothing more was used, and is not
    allowed a minute earlier; one that is denied for ever never fits."""
    limits = data.draw(policies)
    decision = decide_on(limits, histories, asks, per_minute=per_minute)
    later = retry_by_hand(limits, histories, asks)
    event("allowed" if later == 0 else "never" if later is None else "later")
    if later == 0:
        assert told(decision) == "allowed"
        return
    assert decision.outcome is Outcome.DENIED
    expected = None if later is None else NOW + timedelta(minutes=later)
    assert decision.retry_time == expected
    if expected:
        then = decide_on(limits, histories, asks, expected)
        assert then.outcome is Outcome.ALLOWED
        before = decide_on(limits, histories, asks, expected - timedelta(minutes=1))
        assert before.outcome is Outcome.DENIED


@given(
    limits=one_policy | several_policies,
    histories=all_histories,
    asks=all_asks,
    seconds=st.integers(min_value=1, max_value=59),
)
def test_the_retry_time_is_a_whole_minute_that_is_yet_to_come(limits, histories, asks, seconds):
    """Between two minutes, too, a denial names the first whole minute ahead that all fit in."""
    # Here the last minute of a history ends so many seconds after NOW, and that is when we ask.
    now = NOW + timedelta(seconds=seconds)
    decision = decide_on(limits, histories, asks, now, ended=now)

    def fits(later):
        return all(
            has_room_by_hand(limit, histories[limit.resource], asks, later) for limit in limits
        )

    if fits(0):
        assert decision.outcome is Outcome.ALLOWED
        return
    assert decision.outcome is Outcome.DENIED
    longest = max(limit.window for limit in limits)
    ahead = range(60 - seconds, 60 * longest + 60, 60)
    later = next((later for later in ahead if fits(later)), None)
    assert decision.retry_time == (None if later is None else now + timedelta(seconds=later))


def has_room_by_hand(limit, history, asks, later):
    """As `fits_by_hand`, in seconds: a minute may be partly outside the window by now."""
    used = 0
    for ago, rate in enumerate(reversed(history)):
        inside = 60 * limit.window - later - 60 * ago
        used += rate * min(max(inside, 0), 60)
    remaining = 60 * limit.limit - used
    return remaining > 0 and remaining >= 60 * limit.session * asks[limit.resource]


@given(
    tenths=st.integers(min_value=1, max_value=30),
    session=st.tuples(st.integers(1, 300), st.integers(1, 300)).map(sorted),
)
def test_the_retry_time_is_true_for_rates_that_are_no_whole_numbers(tenths, session):
    """A rate of, for example, 0.1 CPU makes the retry time no earlier and no later by rounding."""
    limit, length = session  # in minutes: the limit is exactly the last part of the session
    entry = rule(f"{limit * tenths / 10} CPU-minutes", resource="cpu")
    bucket = Bucket(NOW.timestamp() - 60 * length, NOW.timestamp(), tenths / 10 * 60 * length)
    readings = {"cpu": Fresh(Usage((bucket,), NOW))}
    decision = decide(
        parse_policies([entry], failover_open=False), readings, Request(Subject("ada")), NOW
    )
    assert decision.outcome is Outcome.DENIED
    assert decision.retry_time == NOW + timedelta(hours=24) - timedelta(minutes=limit - 1)


@given(limits=several_policies, histories=all_histories, asks=all_asks)
def test_the_joint_retry_time_is_never_earlier_than_that_of_any_verdict(limits, histories, asks):
    """Where all must fit, the launch waits at least as long as each alone would make it wait."""
    decision = decide_on(limits, histories, asks)
    denying = [verdict for verdict in decision.verdicts if not verdict.fits]
    assert (decision.outcome is Outcome.DENIED) == bool(denying)
    if any(verdict.never for verdict in denying):
        assert decision.retry_time is None
        assert decision.binding.never
    else:
        for verdict in denying:
            assert decision.retry_time >= verdict.retry_time
    for limit in limits:
        assert generosity(decision) <= generosity(decide_on([limit], histories, asks))


def generosity(decision):
    """How good a decision is for the user: the sooner the server starts, the better."""
    if decision.allowed:
        return 0.0
    return (
        -inf if decision.retry_time is None else NOW.timestamp() - decision.retry_time.timestamp()
    )


@given(limits=one_policy | several_policies, histories=all_histories, asks=all_asks, data=st.data())
def test_usage_that_is_added_never_makes_a_decision_more_generous(limits, histories, asks, data):
    """Whoever used more is not allowed sooner than whoever used less."""
    name = data.draw(st.sampled_from([limit.resource for limit in limits]))
    more = list(histories[name]) or [0]
    for _ in range(data.draw(st.integers(min_value=1, max_value=3))):
        more[data.draw(st.integers(min_value=0, max_value=len(more) - 1))] += data.draw(
            st.integers(min_value=1, max_value=40)
        )
    less_used = decide_on(limits, histories, asks)
    more_used = decide_on(limits, histories | {name: more}, asks)
    assert generosity(more_used) <= generosity(less_used)


@given(data=st.data(), histories=all_histories, asks=all_asks)
def test_the_order_of_policies_and_groups_decides_nothing(data, histories, asks):
    """The same policies and groups in another order give the same decision, and the same again
    when asked twice."""
    session = data.draw(st.sampled_from([0, 5, 30]))  # equal limits have a test of their own
    scopes = [{"group": ["a"]}, {"group": ["b"]}, {"user": ["ada"]}, {"everyone": True}]
    entries = [
        Limit(limit.resource, limit.limit, limit.window // 30 + 1, session).entry()
        | {"scope": scope}
        for limit, scope in data.draw(
            st.lists(st.tuples(limits_of(["time", "gpu"]), st.sampled_from(scopes)), max_size=6)
        )
    ]
    backup = {"intersection": data.draw(st.sampled_from(["min", "max", "sum"]))}
    readings = {name: usage_of(each) for name, each in histories.items()}
    if data.draw(st.booleans()):
        readings["gpu"] = NO_ANSWER
    seen = set()
    groups = ["a", "b", "c"]
    for order, member_of in (
        (entries, groups),
        (data.draw(st.permutations(entries)), data.draw(st.permutations(groups))),
        (entries[::-1], groups[::-1]),
        (entries, groups),
    ):
        request = Request(Subject("ada", frozenset(member_of)), rates=asks)
        decision = decide(parse_policies(order, backup, failover_open=True), readings, request, NOW)
        verdicts = frozenset(
            (
                verdict.allotment.resource,
                verdict.used,
                verdict.remaining,
                verdict.need,
                verdict.fits,
            )
            for verdict in decision.verdicts
        )
        seen.add((decision.outcome, decision.retry_time, decision.failover, verdicts))
    assert len(seen) == 1


@given(
    limits=st.lists(limits_of(list(UNITS)), max_size=3, unique_by=lambda each: each.window),
    histories=all_histories,
    asks=all_asks,
    position=st.integers(min_value=0, max_value=3),
    resource=st.sampled_from(list(UNITS)),
)
def test_a_limit_of_zero_always_denies_for_ever(limits, histories, asks, position, resource):
    """Whatever was used or not, and whatever else is limited, nothing ever fits into zero."""
    limits.insert(position, Limit(resource, 0, 91))
    decision = decide_on(limits, histories, asks)
    assert decision.outcome is Outcome.DENIED
    assert decision.retry_time is None
    assert decision.binding.never
