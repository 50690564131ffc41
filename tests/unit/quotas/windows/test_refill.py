"""Refilled balances, against a step by step account in fractions and a walk over minutes."""

from __future__ import annotations

import math
import sys
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.decide import Outcome, Request, decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.units import InvalidQuantity
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage
from jupyterhub_usage_quotas.quotas.windows.base import from_unix
from jupyterhub_usage_quotas.quotas.windows.refill import Refill, read_refill

MINUTE = timedelta(minutes=1)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
TEN = Refill(600.0, timedelta(minutes=10))  # ten minutes back every ten minutes


def after(minutes):
    return NOON + minutes * MINUTE


def used(*sessions, until=NOON):
    """Sessions `(start, end, rate)` in minutes from NOON."""
    return Usage(
        tuple(
            Bucket(after(start).timestamp(), after(end).timestamp(), 60.0 * (end - start) * rate)
            for start, end, rate in sessions
        ),
        until,
    )


def missing(window, usage, minutes):
    return window.used(usage, after(minutes)) / 60


def test_a_balance_starts_full():
    assert missing(TEN, used(), 0) == 0
    assert missing(TEN, used((0, 5, 1)), 0) == 0


def test_a_balance_is_drawn_down_by_usage_and_refilled_at_steps_only():
    usage = used((0, 9, 3))  # 27 minutes
    expected = [(1, 3), (9, 27), (9.5, 27), (9.99, 27), (10, 17), (19.9, 17), (20, 7), (30, 0)]
    assert [(at, missing(TEN, usage, at)) for at, _ in expected] == expected


def test_a_balance_is_never_more_than_full():
    usage = used((0, 3, 1), (55, 57, 2))
    assert [missing(TEN, usage, at) for at in (3, 10, 50, 57, 60)] == [3, 0, 0, 4, 0]


def test_what_is_used_up_to_a_step_comes_before_its_refill():
    usage = used((0, 10, 1), (10, 12, 1))
    assert [missing(TEN, usage, at) for at in (9, 10, 11, 12)] == [9, 0, 1, 2]


def test_steps_are_at_multiples_of_the_interval_since_the_epoch():
    # NOON is minute 29,543,760 since then, which is one more than a multiple of 7.
    window, usage = Refill(60.0, timedelta(minutes=7)), used((0, 3, 1))
    assert [missing(window, usage, at) for at in (3, 5.9, 6, 12, 13, 20)] == [3, 3, 2, 2, 1, 0]


def decide_on(limit, window, usage, now, **more):
    entry = {"resource": "time", "limit": limit, "window": window, "scope": {"everyone": True}}
    policies = parse_policies([entry | more], failover_open=False)
    return decide(policies, {"time": Fresh(usage)}, Request(Subject("ada")), now)


EVERY_TEN = {"refill": 10, "every": "10 minutes"}


def test_debt_is_paid_back_before_anything_is_available():
    usage = used((0, 15, 5))  # 75 minutes of 20, 10 of them given back at 12:10
    decision = decide_on("20 minutes", EVERY_TEN, usage, after(15))
    assert decision.verdicts[0].used == 65 * 60
    assert decision.verdicts[0].remaining == -45 * 60
    # at 12:20 55, 12:30 45, 12:40 35, 12:50 25, 13:00 15 are missing
    assert decision.retry_time == after(60)


def test_a_session_of_the_whole_balance_waits_until_it_is_full():
    usage = used((0, 15, 1))
    decision = decide_on("20 minutes", EVERY_TEN, usage, after(15), minimum_session="20 minutes")
    assert decision.retry_time == after(20)
    decision = decide_on("20 minutes", EVERY_TEN, usage, after(15), minimum_session="21 minutes")
    assert decision.retry_time is None


def test_steps_between_two_minutes_are_told_as_the_next_minute():
    # every 90 seconds, 30 seconds back; the steps are at 12:00:00, 12:01:30, 12:03:00 ...
    window = Refill(30.0, timedelta(seconds=90))
    usage = used((-2, 0, 1))  # 30 s given back at 11:58:30 (of 30), 12:00:00
    assert window.used(usage, after(0)) == 120 - 30 - 30
    for enough, expected in [(45, 2), (20, 3), (0, 3)]:
        assert window.earliest(usage, lambda left, most=enough: left <= most, NOON) == after(
            expected
        )


# --- what always holds --------------------------------------------------------------------------

STEP = st.sampled_from([1, 2, 7, 10, 60, 90])
HISTORY = st.lists(st.tuples(st.sampled_from([0, 1, 2, 5]), st.integers(1, 40)), max_size=6).map(
    lambda stretches: [rate for rate, length in stretches for _ in range(length)]
)


def sessions_of(history):
    """As usage that ends at NOON, a bucket for every minute."""
    begin = -len(history)
    minutes = enumerate(history, begin)
    return used(*((minute, minute + 1, rate) for minute, rate in minutes if rate))


def walk(history, every, amount, ahead):
    """What is missing, minute by minute from NOON on."""
    begin, now, gone = int(NOON.timestamp()) // 60, int(NOON.timestamp()) // 60, 0
    begin -= len(history)
    for minute in range(begin, now + ahead):
        if minute % every == 0:
            gone = max(gone - amount, 0)
        if minute >= now:
            yield gone
        else:
            gone += history[minute - begin]


@given(history=HISTORY, every=STEP, amount=st.integers(1, 30), limit=st.integers(0, 60))
def test_the_retry_time_is_true_minute_by_minute(history, every, amount, limit):
    """The first minute at which less than the limit is missing; none for a limit of zero."""
    window, usage = Refill(60.0 * amount, every * MINUTE), sessions_of(history)
    ahead = list(walk(history, every, amount, every * (sum(history) // amount + 2) + 1))
    for later in (0, 1, len(ahead) // 2, len(ahead) - 1):
        assert missing(window, usage, later) == ahead[later]
    expected = next((later for later, gone in enumerate(ahead) if gone < limit), None)
    found = window.earliest(usage, lambda gone: gone < 60 * limit, NOON)
    assert found == (None if expected is None else after(expected))


FLOATS = st.lists(
    st.tuples(
        st.floats(0.001, 50_000),
        st.floats(0.001, 20_000),
        st.floats(0, 1e12, allow_subnormal=False),
    ),
    max_size=8,
).map(
    lambda sessions: Usage(
        tuple(
            Bucket(NOON.timestamp() - ago - length, NOON.timestamp() - ago, amount)
            for ago, length, amount in sessions
        ),
        NOON,
    )
)
WINDOWS = st.builds(
    Refill,
    st.floats(0.01, 1e11),
    st.sampled_from([60, 61.1, 90, 600, 3600, 86400]).map(
        lambda seconds: timedelta(seconds=seconds)
    ),
)


def by_fractions(window, usage, at):
    """What is missing at `at`: every step from the first usage on, without rounding."""
    every, amount = Fraction(window.every.total_seconds()), Fraction(window.amount)
    end = Fraction(at.timestamp())
    buckets = [
        (Fraction(one.start), Fraction(one.end), Fraction(one.amount)) for one in usage.buckets
    ]
    if not buckets:
        return Fraction(0)

    def between(begin, until):
        return sum(
            (
                amount * max(min(until, finish) - max(begin, start), 0) / (finish - start)
                for start, finish, amount in buckets
            ),
            Fraction(0),
        )

    step = math.floor(min(start for start, *_ in buckets) / every)
    gone = Fraction(0)
    while (step + 1) * every <= end:
        gone = max(gone + between(step * every, (step + 1) * every) - amount, Fraction(0))
        step += 1
    return gone + between(step * every, end)


@given(usage=FLOATS, window=WINDOWS, ahead=st.floats(0, 100_000))
def test_what_is_missing_is_what_an_exact_account_says(usage, window, ahead):
    """Step by step in fractions, up to the rounding of floating point."""
    at = NOON + timedelta(seconds=ahead)
    expected = by_fractions(window, usage, at)
    total = math.fsum(bucket.amount for bucket in usage.buckets)
    assert window.used(usage, at) == pytest.approx(float(expected), rel=1e-9, abs=total * 1e-9)


@given(usage=FLOATS, window=WINDOWS, data=st.data())
def test_followed_through_any_instants_it_is_what_it_is_at_each(usage, window, data):
    """However often an account is interrupted, at steps and between them."""
    instants = [NOON + timedelta(seconds=one) for one in (-80_000, 30_000)]
    stops = sorted(
        data.draw(
            st.lists(st.datetimes(*(one.replace(tzinfo=None) for one in instants)), max_size=5)
        )
    )
    times = [stop.replace(tzinfo=UTC) for stop in stops]
    times += [around for stop in times for around in window.steps_around(stop)]
    times.sort()
    each = [window.used(usage, at) for at in times]
    total = math.fsum(bucket.amount for bucket in usage.buckets)
    assert window.course(usage, times) == pytest.approx(each, rel=1e-9, abs=total * 1e-9)


# --- debts that take long to pay ----------------------------------------------------------------


@example(debt=123, amount=1, minutes=1, limit=1)
@given(
    debt=st.integers(1, 10**9),
    amount=st.integers(1, 10**6),
    minutes=st.sampled_from([1, 7, 60, 24 * 60, 3660 * 24 * 60]),
    limit=st.integers(1, 10**6),
)
def test_the_step_at_which_a_debt_is_paid_is_divided_not_walked_to(debt, amount, minutes, limit):
    """In whole numbers: so many refills until what is missing is below the limit."""
    window = Refill(float(amount), timedelta(minutes=minutes))
    usage = Usage((Bucket(NOON.timestamp() - 60, NOON.timestamp(), float(debt)),), NOON)
    every = minutes * 60
    missing, step = debt, math.floor(NOON.timestamp() / every)
    if NOON.timestamp() % every == 0:
        missing -= amount  # what was used up to a step comes before its refill
    missing = max(missing, 0)
    refills = max(-(-(missing - limit + 1) // amount), 0)
    # Between two whole numbers, so that no rounding of rates matters.
    found = window.earliest(usage, lambda used: used < limit - 0.5, NOON)
    if refills * every > timedelta(days=3660).total_seconds():
        assert found is None
    elif not refills:
        assert found == NOON
    else:
        assert found == datetime.fromtimestamp((step + refills) * every, UTC)


@pytest.mark.parametrize(
    "window", [{"refill": 1, "every": "7 days"}, {"refill": 1e-6, "every": "1 minute"}]
)
def test_beyond_the_horizon_it_is_never(window):
    """No exception, no endless loop: half a million hours, one back each week, are for ever."""
    usage = Usage((Bucket(NOON.timestamp() - 60, NOON.timestamp(), 500_000 * 3600.0),), NOON)
    request = Request(Subject("ada"), rates={"time": 1.0})
    policies = parse_policies(
        [{"resource": "time", "limit": "0.5 hours", "window": window, "scope": {"everyone": True}}]
    )
    decision = decide(policies, {"time": Fresh(usage)}, request, NOON)
    assert (decision.outcome, decision.retry_time) == (Outcome.DENIED, None)


@given(history=HISTORY, every=STEP, amount=st.integers(1, 30), parts=st.integers(2, 5))
def test_splitting_what_was_used_changes_nothing(history, every, amount, parts):
    """A session in one bucket, in a bucket a minute, or as several servers at once."""
    window, whole = Refill(60.0 * amount, every * MINUTE), sessions_of(history)
    pieces, servers = [], []
    for bucket in whole.buckets:
        length = (bucket.end - bucket.start) / 4
        pieces += [
            Bucket(
                bucket.start + number * length,
                bucket.start + (number + 1) * length,
                bucket.amount / 4,
            )
            for number in range(4)
        ]
        servers += [Bucket(bucket.start, bucket.end, bucket.amount / parts)] * parts
    for later in (0, 1, every, 5 * every):
        expected = missing(window, whole, later)
        assert missing(window, Usage(tuple(pieces), NOON), later) == pytest.approx(expected)
        assert missing(window, Usage(tuple(servers), NOON), later) == pytest.approx(expected)


def exhausted_by_hand(history, every, amount, rate, limit, ahead):
    """In minutes from NOON: when what is missing reaches the limit, in fractions of a minute."""
    gone = next(walk(history, every, amount, 1))
    now = int(NOON.timestamp()) // 60
    for later in range(ahead):
        if later and (now + later) % every == 0:
            gone = max(gone - amount, 0)
        if gone >= limit:
            return Fraction(later)
        at_the_step = gone + rate == limit and (now + later + 1) % every == 0
        if rate and gone + rate >= limit and not at_the_step:
            return later + Fraction(limit - gone, rate)
        gone += rate
    return None


@given(
    history=HISTORY,
    every=STEP,
    amount=st.integers(1, 30),
    rate=st.integers(0, 5),
    limit=st.integers(0, 90),
)
def test_it_is_exhausted_when_a_walk_over_minutes_says_so(history, every, amount, rate, limit):
    """Usage that goes on draws the balance down to nothing at that second, or never does."""
    assume(limit >= amount)  # the other case has a test of its own
    window, usage = Refill(60.0 * amount, every * MINUTE), sessions_of(history)
    expected = exhausted_by_hand(history, every, amount, rate, limit, 3000)
    found = window.exhausted(usage, float(rate), 60.0 * limit, NOON, after(3000))
    if expected is None:
        assert found is None
    else:
        assert abs((found - NOON).total_seconds() - 60 * expected) < 1e-3


def test_a_limit_below_what_is_refilled_is_exhausted_within_a_whole_interval():
    """20 minutes, 30 back every 30. At 12:25 one server begins: the 5 minutes it used by 12:30 are
    given back, and from there on it uses 20 minutes by 12:50."""
    window, begin = Refill(1800.0, 30 * MINUTE), after(25)
    found = window.exhausted(used(until=begin), 1.0, 1200.0, begin, after(600))
    assert found == after(50)


SAME = {"resource": "time", "limit": "5 hours", "scope": {"everyone": True}}
GENEROUS = SAME | {"window": {"refill": 5, "every": "1 day"}}
TIGHT = SAME | {"window": {"refill": 1, "every": "1 day"}}


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a"), (None, None)])
def test_of_equal_limits_the_smallest_refill_is_the_minimum(names):
    """Whatever the policies are called, and in whatever order they are written."""
    usage = used((-3000, -2760, 1), (-1560, -1320, 1))  # 4 hours on Monday, 4 on Tuesday
    outcomes = set()
    for order in ((GENEROUS, TIGHT), (TIGHT, GENEROUS)):
        entries = [
            entry | ({"name": name} if name else {})
            for entry, name in zip(order, names, strict=True)
        ]
        policies = parse_policies(entries, failover_open=False)
        decision = decide(policies, {"time": Fresh(usage)}, Request(Subject("ada")), NOON)
        outcomes.add((decision.allowed, decision.retry_time))
    assert outcomes == {(False, NOON + timedelta(hours=36))}


@given(
    amounts=st.lists(st.integers(0, 30), min_size=2, max_size=40),
    amount=st.integers(1, 20),
    cap=st.integers(1, 60),
    forgotten=st.integers(0, 39),
)
def test_what_is_forgotten_gives_nobody_more_than_one_balance(amounts, amount, cap, forgotten):
    """By a ledger of every interval: a user spends what they want to, but no more than there is."""
    every, missing, spent, course = 600, 0, [], []
    for wanted in amounts:
        spent.append(min(wanted, cap - missing))
        missing = max(missing + spent[-1] - amount, 0)
        course.append(missing)
    buckets = [
        Bucket(number * every + 1.0, number * every + 2.0, float(one), ServerAttributes())
        for number, one in enumerate(spent)
        if one
    ]
    at = from_unix(len(amounts) * every)
    window = Refill(float(amount), timedelta(seconds=every))
    whole = window.used(Usage(tuple(buckets), at), at)
    assert whole == course[-1]
    first = forgotten % len(amounts)
    rest = tuple(one for one in buckets if one.start >= first * every)
    given_away = whole - window.used(Usage(rest, at), at)
    assert 0 <= given_away <= cap
    if first == 0 or 0 in course[first - 1 :]:
        assert given_away == 0


@pytest.mark.parametrize(
    ("amount", "limit", "days"), [(10, 100, 30), (10, 1000, 30), (0.1, 100, 70), (0.01, 100, 366)]
)
def test_who_has_much_to_fill_is_looked_at_for_longer(amount, limit, days):
    window = Refill(amount, timedelta(minutes=10))
    assert window.reach_for(limit) == pytest.approx(timedelta(days=days), abs=timedelta(days=1))


class Counted(Usage):
    """Usage that counts how often its history is gone through."""

    times = 0

    def segments(self):
        Counted.times += 1
        return super().segments()


def lines_of(work):
    """How many lines of Python are run for it, whatever the machine is."""
    lines, before = 0, sys.gettrace()

    def note(_frame, event, _arg):
        nonlocal lines
        lines += event == "line"
        return note

    sys.settrace(note)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("amount", [0.0, 59.0, 61.0])
def test_however_long_somebody_used_something_and_however_short_steps_are_it_is_as_quick(amount):
    window = Refill(amount, MINUTE)
    hour, year = (used((-minutes, 0, 1)) for minutes in (60, 366 * 24 * 60))
    expected = {0.0: 60 * 366 * 24 * 60, 59.0: 366 * 24 * 60, 61.0: 0}
    assert window.used(year, NOON) == expected[amount]
    times = [lines_of(lambda one=one: window.used(one, NOON)) for one in (hour, year)]
    assert times[0] == times[1]


def test_a_plot_goes_through_the_history_once():
    """And not once for each of its instants."""
    usage = Counted(used((-10_000, 0, 1)).buckets, NOON)
    instants = [after(minutes) for minutes in range(-5000, 0)]
    before = Counted.times
    assert Refill(59.0, MINUTE).course(usage, instants)[-1] == 10_000 - 1
    assert Counted.times == before + 1


def test_steps_can_be_at_a_time_of_the_day():
    window = read_refill({"refill": 5, "every": "1 day", "at": "07:00"}, None)
    noon = datetime(2026, 11, 28, 12, tzinfo=UTC)
    before, after = window.steps_around(noon)
    assert (before, after) == (noon.replace(hour=7), noon.replace(day=29, hour=7))
    early = Usage(
        (
            Bucket(
                (noon.replace(hour=6)).timestamp(),
                noon.replace(hour=7).timestamp(),
                9.0,
                ServerAttributes(),
            ),
        ),
        noon,
    )
    # What is used up to seven is given back at seven.
    assert window.used(early, noon) == 4
    assert window.earliest(early, lambda missing: missing <= 0, noon) == after
    for wrong in ("7", "25:00", 7):
        with pytest.raises(InvalidQuantity, match="at: got"):
            read_refill({"refill": 5, "every": "1 day", "at": wrong}, None)
