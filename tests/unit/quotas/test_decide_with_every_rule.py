"""Whole decisions, with every kind of rule at once: a table for admins, and what always holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain
from math import inf
from typing import NamedTuple

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.adjustments import Exemption, Grant, Override
from jupyterhub_usage_quotas.quotas.decide import Request, decide
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage

HOUR, MINUTE, MONDAY = 3600, timedelta(minutes=1), datetime(2026, 3, 2, tzinfo=UTC)
DAYS = {"last Sat": -2, "last Sun": -1, "Mon": 0, "Tue": 1, "Wed": 2, "Thu": 3, "Sat": 5}
PLAIN, ON_A_GPU = ServerAttributes(), ServerAttributes("a", gpu=True)


def at(text):
    """ "Wed 08:00" of the week in which all rows are."""
    day, hours, minutes = text[:-6], int(text[-5:-3]), int(text[-2:])
    return MONDAY + timedelta(days=DAYS[day], hours=hours, minutes=minutes)


NOW = at("Wed 12:30")
EVERYONE, WEEK, DAY = {"everyone": True}, {"calendar": "week"}, {"calendar": "day"}
SEATS = {"seats": {"promql": "seats", "unit": "seat", "display_name": "Seats"}}
REFILL, LESS_BACK = ({"refill": n, "every": "6 hours"} for n in (2, 1))  # at 00:00, 06:00 ...


def rule(limit, window, resource="time", **more):
    """A policy as an admin writes it; for everyone unless it says for whom."""
    entry = {"resource": resource, "limit": limit, "window": window, "scope": EVERYONE} | more
    return {key: value for key, value in entry.items() if value is not None}


def used(*session, rate=1, server=PLAIN):
    """One session, from one clock time to another."""
    begin, until = (at(text).timestamp() for text in session)
    return (Bucket(begin, until, rate * (until - begin), server),)


def decide_on(
    policies, time=(), *, used=None, backup=None, asks=None, groups=("students", "staff"),
    admin=False, adjustments=(), bob=(), now=None,
):  # fmt: skip
    """Decide for Ada, who used so much server `time`, and of other resources what `used` says.
    Bob, who used what `bob` says, is the other member of the pool.
    """
    read = parse_policies(
        policies, backup, resources=SEATS, credit_prices={"cpu": 1, "gpu": 10}, failover_open=False
    )
    everything = dict.fromkeys(read.resources, ()) | {"time": time} | (used or {})
    ada = {name: Fresh(Usage(tuple(buckets), NOW)) for name, buckets in everything.items()}
    return decide(
        read,
        ada,
        Request(Subject("ada", frozenset(groups), admin=admin), rates=asks or {"time": 1.0}),
        now or NOW,
        adjustments=adjustments,
        pools={"pool": {"ada": ada, "bob": {"time": Fresh(Usage(bob, NOW))}}},
    )


def told(decision):
    """A decision in the words of the table: "allowed", until when it is denied, or "never"."""
    until = f"{decision.retry_time:%a %d %H:%M}" if decision.retry_time else "never"
    return decision.outcome.value if decision.allowed else until


NEXT_WEEK, TOMORROW = "Mon 09 00:00", "Thu 05 00:00"
TEN, TWENTY = used("Mon 08:00", "Mon 18:00"), used("Mon 08:00", "Tue 04:00")
TWENTY_SIX, SEVEN = used("Mon 08:00", "Tue 10:00"), used("Wed 05:30", "Wed 12:30")
TWO, TWELVE = used("Wed 10:00", "Wed 12:00"), used("Wed 06:00", "Wed 12:00", rate=2)
WEEK_OF_20, ROLLING = rule("20 hours", WEEK, name="week"), rule("5 hours", "24h", name="rolling")
STUDENTS, STAFF = {"scope": {"group": ["students"]}}, {"scope": {"group": ["staff"]}}
WEEKS = [rule("9 hours", WEEK, **STUDENTS), rule("15 hours", WEEK, **STAFF)]
REFILLS = [rule("4 hours", LESS_BACK, **STUDENTS), rule("6 hours", REFILL, **STAFF)]
MIN, MAX, SUM = ({"backup": {"intersection": name}} for name in ("min", "max", "sum"))
ADA, WARN, EMPTY = {"scope": {"user": ["ada"]}}, {"when_exhausted": "warn"}, {"scope": None}
NOBODY = rule("0", WEEK, scope={"group": ["guests"]})
ON_GPU, GPU = rule("2 hours", WEEK, servers={"gpu": True}), {"time": 1, "gpu": 1}
THREE_ON_GPU = used("Tue 08:00", "Tue 11:00", server=ON_A_GPU)
POOL = rule("4 hours", DAY, name="pool", share="pooled", overflow="individual")
CREDITS = rule("20 credits", WEEK, "credits", minimum_session="1 hour")
BOB, COST_20 = {"bob": used("Wed 08:00", "Wed 11:00")}, {"gpu": used("Tue 08:00", "Tue 10:00")}
COST_18 = {"gpu": used("Tue 08:00", "Tue 09:00"), "cpu": used("Tue 08:00", "Tue 12:00", rate=2)}
SEAT, REFILL_6 = rule("4 seat-hours", DAY, "seats"), rule("6 hours", REFILL)
ZURICH_20 = rule("20 hours", WEEK | {"timezone": "Europe/Zurich"})
THREE_SEATS, FOUR_SEATS = ({"seats": used("Wed 08:00", "Wed 09:00", rate=n)} for n in (3, 4))


def row(says, policies, expected, time=(), *, warns=0, **more):
    return pytest.param(policies, expected, time, warns, more, id=says)


def granted(hours, until, start="Wed 12:00", policy="rolling", **more):
    return {"adjustments": [Grant(policy, at(start), at(until), amount=hours * HOUR, **more)]}


# fmt: off
TABLE = [
    # one calendar window
    row("a week, some is left", [WEEK_OF_20], "allowed", TEN),
    row("a week, all is used", [WEEK_OF_20], NEXT_WEEK, TWENTY),
    row("last week does not count", [WEEK_OF_20], "allowed", used("last Sat 00:00", "Mon 00:00")),
    row("a day", [rule("4 hours", DAY)], TOMORROW, SEVEN),
    row("in Zurich, all is used", [ZURICH_20], "Sun 08 23:00", used("last Sun 20:00", "Mon 19:00")),
    row("in Zurich, some is left", [ZURICH_20], "allowed", used("last Sun 20:00", "Mon 18:59")),
    # one refilled balance
    row("a refill", [REFILL_6], "allowed", used("Wed 06:00", "Wed 12:00")),
    row("a refill, at the next step", [REFILL_6], "Wed 04 18:00", used("Wed 02:00", "Wed 12:00")),
    row("a debt comes first", [REFILL_6], "Fri 06 00:00", used("Wed 02:00", "Wed 12:00", rate=2)),
    # two groups
    row("two groups, a week, min", WEEKS, NEXT_WEEK, TEN, **MIN),
    row("two groups, a week, max", WEEKS, "allowed", TEN, **MAX),
    row("two groups, a week, max is exhausted", WEEKS, NEXT_WEEK, TWENTY, **MAX),
    row("two groups, a week, sum", WEEKS, "allowed", TWENTY, **SUM),
    row("two groups, a week, sum is exhausted", WEEKS, NEXT_WEEK, TWENTY_SIX, **SUM),
    row("two groups, a refill, min", REFILLS, "Fri 06 12:00", TWELVE, **MIN),
    row("two groups, a refill, max", REFILLS, "Thu 05 06:00", TWELVE, **MAX),
    row("two groups, a refill, sum", REFILLS, "allowed", TWELVE, **SUM),
    row("user over group, a week", [*WEEKS, rule("30 hours", WEEK, **ADA)], "allowed", TWENTY_SIX),
    row("user over group, a refill", [*REFILLS, rule("1 hour", REFILL, **ADA)], TOMORROW, SEVEN),
    # nobody covers, somebody is exempt
    row("empty as a list: all of them must fit", [NOBODY], TOMORROW, SEVEN,
        backup={"empty": [rule("9 hours", WEEK, **EMPTY), rule("4 hours", DAY, **EMPTY)]}),
    row("who is exempt does not fall to `empty`", [rule("0", WEEK, exempt={"user": ["ada"]})],
        "allowed", TWENTY, backup={"empty": rule("0", WEEK, **EMPTY)}),
    row("admins are exempt", [rule("0", WEEK, exempt={"admin": True})], "allowed", admin=True),
    row("admins are not exempt by themselves", [rule("0", WEEK)], "never", admin=True),
    row("exempt of one", [WEEK_OF_20, rule("0", DAY, exempt=STAFF["scope"])], NEXT_WEEK, TWENTY),
    # servers
    row("the selector misses", [ON_GPU], "allowed", THREE_ON_GPU),
    row("the selector hits", [ON_GPU], NEXT_WEEK, THREE_ON_GPU, asks=GPU),
    row("other servers do not count", [ON_GPU], "allowed", TWENTY, asks=GPU),
    # pools: Bob used 3 hours from 08:00 on, Ada 2 from 10:00 on; the pool was empty at 11:00
    row("the pool paid first", [POOL, rule("61m", DAY)], "allowed", TWO, **BOB),
    row("pool and one's own are empty", [POOL, rule("1 hour", DAY)], TOMORROW, TWO, **BOB),
    row("only one's own is empty", [POOL, rule("0", DAY)], "allowed", **BOB),
    # adjustments
    row("no grant", [ROLLING], "Thu 05 07:31", SEVEN),
    row("a grant", [ROLLING], "allowed", SEVEN, **granted(3, "Thu 06:00")),
    row("a grant: less to wait", [ROLLING], "Thu 05 06:31", SEVEN, **granted(1, "Thu 07:00")),
    row("a grant that ends before it", [ROLLING], "Thu 05 07:31", SEVEN, **granted(1, "Thu 06:31")),
    row("a grant to come", [ROLLING], TOMORROW, SEVEN, **granted(3, "Thu 06:00", "Thu 00:00")),
    row("Bob's grant", [ROLLING], "Thu 05 07:31", SEVEN, **granted(3, "Thu 06:00", user="bob")),
    # what never fits
    row("a limit of zero", [rule("0", REFILL)], "never"),
    row("zero, and a grant", [ROLLING | {"limit": "0"}], TOMORROW,
        **granted(1, "Thu 01:00", "Thu 00:00")),
    row("it needs too much", [rule("5 hours", WEEK, minimum_session="6 hours")], "never"),
    row("it needs all", [REFILL_6 | {"minimum_session": "6 hours"}], "Thu 05 06:00", SEVEN),
    # what happens when exhausted
    row("warn", [WEEK_OF_20 | WARN], "allowed", TWENTY, warns=1),
    row("stop", [WEEK_OF_20 | {"when_exhausted": "stop"}], NEXT_WEEK, TWENTY),
    row("warn beside deny", [rule("9 hours", WEEK) | WARN, WEEK_OF_20], "allowed", TEN, warns=1),
    # credits and resources of one's own
    row("credits", [CREDITS], NEXT_WEEK, used=COST_20),
    row("2 credits are left, and 2 needed", [CREDITS], "allowed", used=COST_18, asks={"cpu": 2}),
    row("2 credits are left, and 3 needed", [CREDITS], NEXT_WEEK, used=COST_18, asks={"cpu": 3}),
    row("a resource of one's own", [SEAT], "allowed", used=THREE_SEATS),
    row("exhausted seats", [SEAT], TOMORROW, used=FOUR_SEATS),
    # everything at once: the seats fit tomorrow, the balance on Friday at 12:00, and the week of
    # credits next Monday, but a grant of one credit on Saturday lets it in then
    row("everything at once", [SEAT, *REFILLS, CREDITS | {"name": "credits"}, POOL, ON_GPU,
        rule("1 minute", WEEK) | WARN, rule("0", DAY, exempt={"admin": True})],
        "Sat 07 00:00", TWELVE, asks={"cpu": 3, "time": 1}, admin=True, warns=1, **BOB,
        used=COST_18 | FOUR_SEATS, **granted(1 / HOUR, "Sat 01:00", "Sat 00:00", policy="credits")),
]
# fmt: on


@pytest.mark.parametrize(("policies", "expected", "time", "warns", "more"), TABLE)
def test_the_decision_is_what_an_admin_expects(policies, expected, time, warns, more):
    decision = decide_on(policies, time, **more)
    assert told(decision) == expected
    assert len(decision.warnings) == warns
    if at := decision.retry_time:
        assert decide_on(policies, time, now=at, **more).allowed
        assert not decide_on(policies, time, now=at - MINUTE, **more).allowed


# --- what always holds --------------------------------------------------------------------------
# A history is a list of whole rates per minute, the last of which is that of the minute before NOW.

FAR = 3200  # minutes: all is over by then


class Limit(NamedTuple):
    """A policy in whole minutes. `window` is its kind, its size, and what a refill gives back."""

    window: tuple[str, int, int]
    limit: int
    session: int
    name = property(lambda self: "{} {}".format(*self.window))

    @property
    def entry(self):
        kind, size, back = self.window
        length, session = f"{size} minutes", f"{self.session} minutes"
        calendar = {"calendar": "hour" if size == 60 else "day"}
        refill = {"refill": back, "every": length}
        window = {"rolling": length, "calendar": calendar, "refill": refill}[kind]
        return rule(f"{self.limit} minutes", window, name=self.name, minimum_session=session)


def used_by_hand(limit, history):
    """What counts at NOW, a minute later, and so on."""
    kind, size, back = limit.window
    now = int(NOW.timestamp()) // 60
    began, missing = now - len(history), 0
    for minute in range(began, now + FAR):
        missing = max(missing - back, 0) if kind == "refill" and minute % size == 0 else missing
        if minute >= now:
            begin = minute - size if kind == "rolling" else minute - minute % size
            yield missing if kind == "refill" else sum(history[max(begin - began, 0) :])
        else:
            missing += history[minute - began]


def allowance_by_hand(limit, adjustments, at):
    mine = [one for one in adjustments if one.policy == limit.name and one.start <= at < one.until]
    if any(isinstance(one, Exemption) for one in mine):
        return inf
    limits = [60 * limit.limit, *(one.limit for one in mine if isinstance(one, Override))]
    return limits[-1] + sum(one.amount for one in mine if isinstance(one, Grant))


def retry_by_hand(limits, history, adjustments=()):
    """The first whole minute from NOW on at which the launch fits; None for never."""
    ahead = (used_by_hand(limit, history) for limit in limits)
    for later, used_then in enumerate(zip(*ahead, strict=True)):
        at = NOW + later * MINUTE
        allowances = [allowance_by_hand(limit, adjustments, at) / 60 for limit in limits]
        each = zip(limits, allowances, used_then, strict=True)
        if all(most - gone > 0 and most - gone >= limit.session for limit, most, gone in each):
            return at
    return None


def decide_on_history(limits, history, adjustments, now=NOW, order=list):
    begin = NOW.timestamp() - 60 * len(history)
    each = ((begin + 60 * minute, rate) for minute, rate in enumerate(history))
    buckets = [Bucket(start, start + 60, 60.0 * rate) for start, rate in each]
    entries = order([limit.entry for limit in limits])
    return decide_on(entries, order(buckets), adjustments=order(adjustments), now=now)


amounts = st.integers(0, 60)
STEPS = (("refill", *step) for step in [(1, 1), (7, 3), (10, 5), (10, 30), (60, 20), (60, 45)])
WINDOWS = {
    "rolling": st.tuples(st.just("rolling"), st.integers(1, 90), st.just(0)),
    "calendar": st.sampled_from([("calendar", 60, 0), ("calendar", 1440, 0)]),
    "refill": st.sampled_from(list(STEPS)),
}


def limits_of(windows, least, most):
    one = st.builds(Limit, windows, amounts, st.sampled_from([0, 0, 1, 5]))
    return st.lists(one, min_size=least, max_size=most, unique_by=lambda limit: limit.name)


several = limits_of(st.one_of(*WINDOWS.values()), 2, 4)
stretch = st.tuples(st.sampled_from([0, 1, 1, 2, 5]), st.integers(1, 40))
histories = st.lists(stretch.map(lambda each: [each[0]] * each[1]), max_size=5).map(
    lambda stretches: list(chain(*stretches))
)


@st.composite
def adjustments_of(draw, limits):
    """Adjustments that come and go, some of them at the same minute."""
    made = []
    for number in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from([limit.name for limit in limits]))
        begin = NOW + draw(st.integers(-60, 200)) * MINUTE
        times = (name, begin, begin + draw(st.integers(1, 90)) * MINUTE, None, number)
        much = draw(amounts) * 60.0
        each = [Grant(*times, amount=much), Override(*times, limit=much), Exemption(*times)]
        made.append(draw(st.sampled_from(each)))
    return made


KINDS = {kind: limits_of(window, 1, 1) for kind, window in WINDOWS.items()} | {"all": several}


@pytest.mark.parametrize("limits", KINDS.values(), ids=KINDS)
@given(data=st.data(), history=histories)
def test_the_retry_time_is_true(limits, data, history):
    """A launch is allowed at its retry time, and at no whole minute before, if nothing more is
    used; where it is told never, it never is."""
    limits = data.draw(limits)
    adjustments = data.draw(adjustments_of(limits))
    decision = decide_on_history(limits, history, adjustments)
    expected = retry_by_hand(limits, history, adjustments)
    event("now" if expected == NOW else "later" if expected else "never")
    assert decision.allowed == (expected == NOW)
    assert decision.retry_time == (None if expected == NOW else expected)
    if decision.retry_time:
        assert decide_on_history(limits, history, adjustments, expected).allowed
        assert not decide_on_history(limits, history, adjustments, expected - MINUTE).allowed


@given(data=st.data(), limits=several, history=histories)
def test_the_joint_retry_time_is_never_earlier_than_that_of_any_verdict(data, limits, history):
    """Where all must fit, the launch waits at least as long as for each of them alone."""
    adjustments = data.draw(adjustments_of(limits))
    decision = decide_on_history(limits, history, adjustments)
    for limit, verdict in zip(limits, decision.verdicts, strict=True):
        alone = retry_by_hand([limit], history, adjustments)
        assert verdict.fits == (alone == NOW)
        assert verdict.retry_time == (None if alone == NOW else alone)
        assert not (verdict.never and decision.retry_time)
        if verdict.retry_time and decision.retry_time:
            assert decision.retry_time >= verdict.retry_time


def generosity(decision):
    return 0.0 if decision.allowed else -(decision.retry_time or datetime.max).timestamp()


@given(data=st.data(), limits=several, history=histories.filter(len))
def test_usage_that_is_added_never_makes_a_decision_more_generous(data, limits, history):
    """Whoever used more is not allowed sooner than whoever used less."""
    adjustments = data.draw(adjustments_of(limits))
    more = list(history)
    more[data.draw(st.integers(0, len(more) - 1))] += data.draw(st.integers(1, 30))
    less_used, more_used = (decide_on_history(limits, one, adjustments) for one in (history, more))
    assert generosity(more_used) <= generosity(less_used)


@given(data=st.data(), limits=several, history=histories)
def test_the_order_of_policies_buckets_and_adjustments_decides_nothing(data, limits, history):
    """Whatever is written or measured in another order gives the same decision."""
    adjustments = data.draw(adjustments_of(limits))
    orders = [list, lambda each: each[::-1], lambda each: data.draw(st.permutations(each))]
    decisions = [decide_on_history(limits, history, adjustments, order=order) for order in orders]
    assert len({(one.outcome, one.retry_time) for one in decisions}) == 1
    assert len({frozenset((v.used, v.fits) for v in one.verdicts) for one in decisions}) == 1
