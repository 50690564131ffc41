"""Whole decisions, with every kind of rule at once: a table for admins, and what always holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf
from typing import NamedTuple

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from jupyterhub_usage_quotas.quotas.adjustments import Exemption, Grant, Override
from jupyterhub_usage_quotas.quotas.configuration import parse_policies
from jupyterhub_usage_quotas.quotas.decide import Request, decide
from jupyterhub_usage_quotas.quotas.servers import ServerAttributes
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage

HOUR, MINUTE = 3600, timedelta(minutes=1)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = {"last Sat": -2, "last Sun": -1, "Mon": 0, "Tue": 1, "Wed": 2, "Thu": 3, "Sat": 5}


def at(text):
    """ "Wed 08:00" of the week in which all rows are."""
    day, clock = text.rsplit(" ", 1)
    hours, minutes = clock.split(":")
    return MONDAY + timedelta(days=DAYS[day], hours=int(hours), minutes=int(minutes))


NOW = at("Wed 12:30")

WEEK, DAY = {"calendar": "week"}, {"calendar": "day"}
ZURICH = {"calendar": "week", "timezone": "Europe/Zurich"}
SEATS = {"seats": {"promql": "seats", "unit": "seat", "display_name": "Seats"}}
REFILL = {"refill": 2, "every": "6 hours"}  # at 00:00, 06:00, 12:00 and 18:00


def rule(limit, window, resource="time", **more):
    """A policy as an admin writes it; for everyone unless it says for whom."""
    everyone = {"scope": {"everyone": True}}
    return everyone | {"resource": resource, "limit": limit, "window": window} | more


def used(*sessions, server=None):
    """Sessions `(start, end, rate)`; the rate is 1 unless given."""
    buckets = []
    for start, end, *rate in sessions:
        begin, until = at(start).timestamp(), at(end).timestamp()
        amount = (rate[0] if rate else 1) * (until - begin)
        buckets.append(Bucket(begin, until, amount, server or ServerAttributes()))
    return tuple(buckets)


def decide_on(
    policies, time=(), *, used=None, backup=None, asks=None, groups=("students", "staff"),
    admin=False, adjustments=(), bob=(), now=None,
):  # fmt: skip
    """Decide for Ada, who used so much server `time`, and of other resources what `used` says.
    Bob, who used what `bob` says, is the other member of the pool.
    """
    for entry in (backup or {}).get("empty", ()):
        entry.pop("scope", None)
    read = parse_policies(policies, backup, resources=SEATS, credit_prices={"cpu": 1, "gpu": 10})
    everything = dict.fromkeys(read.resources, ()) | {"time": time} | (used or {})
    ada = {name: Fresh(Usage(tuple(buckets), NOW)) for name, buckets in everything.items()}
    return decide(
        read,
        ada,
        Request("ada", frozenset(groups), rates=asks or {"time": 1.0}, admin=admin),
        now or NOW,
        failover_open=False,
        adjustments=adjustments,
        pools={"pool": {"ada": ada, "bob": {"time": Fresh(Usage(bob, NOW))}}},
    )


def told(decision):
    """A decision in the words of the table: "allowed", until when it is denied, or "never"."""
    if decision.allowed:
        return decision.outcome.value
    at = decision.retry_time
    return f"{at:%a %d %H:%M}" if at else "never"


NEXT_WEEK, TOMORROW = "Mon 09 00:00", "Thu 05 00:00"
TEN, TWENTY = used(("Mon 08:00", "Mon 18:00")), used(("Mon 08:00", "Tue 04:00"))
TWENTY_SIX, SEVEN = used(("Mon 08:00", "Tue 10:00")), used(("Wed 05:30", "Wed 12:30"))
TWO, TWELVE = used(("Wed 10:00", "Wed 12:00")), used(("Wed 06:00", "Wed 12:00", 2))
WEEK_OF_20, ROLLING = rule("20 hours", WEEK, name="week"), rule("5 hours", "24h", name="rolling")
STUDENTS, STAFF = {"scope": {"group": ["students"]}}, {"scope": {"group": ["staff"]}}
WEEKS = [rule("9 hours", WEEK, **STUDENTS), rule("15 hours", WEEK, **STAFF)]
ONE_BACK = {"refill": 1, "every": "6 hours"}
REFILLS = [rule("4 hours", ONE_BACK, **STUDENTS), rule("6 hours", REFILL, **STAFF)]
MIN, MAX, SUM = ({"backup": {"intersection": name}} for name in ("min", "max", "sum"))
ADA, WARN = {"scope": {"user": ["ada"]}}, {"when_exhausted": "warn"}
NOBODY = rule("0", WEEK, scope={"group": ["guests"]})
ON_GPU, GPU = rule("2 hours", WEEK, servers={"gpu": True}), {"time": 1, "gpu": 1}
THREE_ON_GPU = used(("Tue 08:00", "Tue 11:00"), server=ServerAttributes(profile="a", gpu=True))
POOL = rule("4 hours", DAY, name="pool", share="pooled", overflow="individual")
BOB = {"bob": used(("Wed 08:00", "Wed 11:00"))}
CREDITS = rule("20 credits", WEEK, "credits", minimum_session="1 hour")
COST_20 = {"gpu": used(("Tue 08:00", "Tue 10:00"))}
COST_18 = {"gpu": used(("Tue 08:00", "Tue 09:00")), "cpu": used(("Tue 08:00", "Tue 12:00", 2))}
SEAT = rule("4 seat-hours", DAY, "seats")
THREE_SEATS, FOUR_SEATS = ({"seats": used(("Wed 08:00", "Wed 09:00", n))} for n in (3, 4))


def row(says, policies, expected, time=(), *, warns=0, **more):
    return pytest.param(policies, expected, time, warns, more, id=says)


def granted(hours, start, until, policy="rolling", **more):
    begin, end = at(start), at(until)
    grant = Grant(policy=policy, start=begin, until=end, amount=hours * HOUR, **more)
    return {"adjustments": (grant,)}


# fmt: off
TABLE = [
    # one calendar window
    row("a week, some is left", [WEEK_OF_20], "allowed", TEN),
    row("a week, all is used", [WEEK_OF_20], NEXT_WEEK, TWENTY),
    row("last week does not count", [WEEK_OF_20], "allowed", used(("last Sat 00:00", "Mon 00:00"))),
    row("a day", [rule("4 hours", DAY)], TOMORROW, SEVEN),
    row("a week in Zurich begins an hour earlier than in UTC", [rule("20 hours", ZURICH)],
        "Sun 08 23:00", used(("last Sun 20:00", "Mon 19:00"))),
    row("what was used in Zurich's last week does not count", [rule("20 hours", ZURICH)],
        "allowed", used(("last Sun 20:00", "Mon 18:59"))),
    # one refilled balance
    row("a refill", [rule("6 hours", REFILL)], "allowed", used(("Wed 06:00", "Wed 12:00"))),
    row("a refill, nothing is left until the next step", [rule("6 hours", REFILL)],
        "Wed 04 18:00", used(("Wed 02:00", "Wed 12:00"))),
    row("a refill, a debt is paid back first", [rule("6 hours", REFILL)],
        "Fri 06 00:00", used(("Wed 02:00", "Wed 12:00", 2))),
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
    row("user over group, a refill", [*REFILLS, rule("1 hour", REFILL, **ADA)],
        "Wed 04 18:00", used(("Wed 09:30", "Wed 12:30"))),
    # nobody covers, somebody is exempt
    row("empty as a list: all of them must fit", [NOBODY], TOMORROW, SEVEN,
        backup={"empty": [rule("9 hours", WEEK), rule("4 hours", DAY)]}),
    row("who is exempt does not fall to `empty`", [rule("0", WEEK, exempt={"user": ["ada"]})],
        "allowed", TWENTY, backup={"empty": [rule("0", WEEK)]}),
    row("admins are exempt", [rule("0", WEEK, exempt={"admin": True})], "allowed", admin=True),
    row("admins are not exempt by themselves", [rule("0", WEEK)], "never", admin=True),
    row("exempt of one only", [WEEK_OF_20, rule("0", DAY, exempt={"group": ["staff"]})],
        NEXT_WEEK, TWENTY),
    # servers
    row("the selector misses", [ON_GPU], "allowed", THREE_ON_GPU),
    row("the selector hits", [ON_GPU], NEXT_WEEK, THREE_ON_GPU, asks=GPU),
    row("other servers do not count", [ON_GPU], "allowed", TWENTY, asks=GPU),
    # pools: Bob used 3 hours from 08:00 on, Ada 2 from 10:00 on; the pool was empty at 11:00
    row("the pool paid first", [POOL, rule("61m", DAY)], "allowed", TWO, **BOB),
    row("the pool is empty and so is one's own", [POOL, rule("1 hour", DAY)], TOMORROW, TWO, **BOB),
    row("one's own is empty and the pool is not", [POOL, rule("0", DAY)], "allowed",
        used(("Wed 11:30", "Wed 12:00")), **BOB),
    # adjustments
    row("no grant", [ROLLING], "Thu 05 07:31", SEVEN),
    row("a grant", [ROLLING], "allowed", SEVEN, **granted(3, "Wed 12:00", "Thu 06:00")),
    row("a grant that shortens the wait", [ROLLING], "Thu 05 06:31", SEVEN,
        **granted(1, "Wed 12:00", "Thu 07:00")),
    row("a grant that ends before the retry time", [ROLLING], "Thu 05 07:31", SEVEN,
        **granted(1, "Wed 12:00", "Thu 06:31")),
    row("a grant that begins before the retry time", [ROLLING], TOMORROW, SEVEN,
        **granted(3, "Thu 00:00", "Thu 06:00")),
    row("somebody else's grant", [ROLLING], "Thu 05 07:31", SEVEN,
        **granted(3, "Wed 12:00", "Thu 06:00", user="bob")),
    # what never fits
    row("a limit of zero", [rule("0", REFILL)], "never"),
    row("a limit of zero and a grant tomorrow", [rule("0", WEEK, name="none")], TOMORROW,
        **granted(1, "Thu 00:00", "Thu 01:00", policy="none")),
    row("it needs too much", [rule("5 hours", WEEK, minimum_session="6 hours")], "never"),
    row("it needs all there is", [rule("5 hours", REFILL, minimum_session="5 hours")],
        "Wed 04 18:00", used(("Wed 12:00", "Wed 12:30"))),
    # what happens when exhausted
    row("warn", [WEEK_OF_20 | WARN], "allowed", TWENTY, warns=1),
    row("nothing to warn of", [WEEK_OF_20 | WARN], "allowed", TEN),
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
        "Sat 07 00:00", TWELVE, asks={"cpu": 3, "time": 1}, admin=True,
        used=COST_18 | FOUR_SEATS, **BOB, warns=1,
        **granted(1 / HOUR, "Sat 00:00", "Sat 01:00", policy="credits")),
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
#
# A history is a list of whole rates per minute, of which the last is the minute that ends at NOW;
# limits are in minutes. `used_by_hand` walks over it and knows nothing of the code under test.

PROPERTY = settings(deadline=None, max_examples=120)
FAR = 3200  # minutes: everything has expired, been reset or refilled by then


class Limit(NamedTuple):
    """A policy in whole minutes; `size` is its window's length, period, or time between steps."""

    kind: str
    size: int
    limit: int
    amount: int = 1
    session: int = 0

    @property
    def name(self):
        return f"{self.kind} {self.size}"

    @property
    def entry(self):
        window = {
            "rolling": f"{self.size} minutes",
            "calendar": {"calendar": "hour" if self.size == 60 else "day"},
            "refill": {"refill": self.amount, "every": f"{self.size} minutes"},
        }[self.kind]
        session = {"minimum_session": f"{self.session} minutes"}
        return rule(f"{self.limit} minutes", window, name=self.name, **session)


def used_by_hand(limit, history):
    """What counts at NOW, a minute later, and so on."""
    now = int(NOW.timestamp()) // 60
    began = now - len(history)
    missing = 0
    for minute in range(began, now + FAR):
        if limit.kind == "refill" and minute % limit.size == 0:
            missing = max(missing - limit.amount, 0)
        if minute >= now:
            begin = minute - limit.size if limit.kind == "rolling" else minute - minute % limit.size
            yield missing if limit.kind == "refill" else sum(history[max(begin - began, 0) :])
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
        left = [
            allowance_by_hand(limit, adjustments, at) / 60 - used
            for limit, used in zip(limits, used_then, strict=True)
        ]
        if all(rest > 0 and rest >= one.session for rest, one in zip(left, limits, strict=True)):
            return at
    return None


def decide_on_history(limits, history, adjustments, now=NOW, order=list):
    begin = NOW.timestamp() - 60 * len(history)
    buckets = [
        Bucket(begin + 60 * minute, begin + 60 * minute + 60, 60.0 * rate)
        for minute, rate in enumerate(history)
        if rate
    ]
    entries = order([limit.entry for limit in limits])
    return decide_on(entries, order(buckets), adjustments=order(adjustments), now=now)


amounts = st.integers(0, 60)
STEPS = [(1, 1), (7, 3), (10, 5), (10, 30), (60, 20), (60, 45)]
WINDOWS = {
    "rolling": st.tuples(st.integers(1, 90), st.just(0)),
    "calendar": st.sampled_from([(60, 0), (1440, 0)]),
    "refill": st.sampled_from(STEPS),
}


def limits_of(*kinds):
    """Limits with windows of these kinds; their sizes and amounts are in whole minutes."""
    return st.sampled_from(kinds).flatmap(
        lambda kind: st.builds(
            lambda window, limit, session: Limit(kind, window[0], limit, window[1], session),
            WINDOWS[kind],
            amounts,
            st.sampled_from([0, 0, 1, 5]),
        )
    )


several = st.lists(limits_of(*WINDOWS), min_size=2, max_size=4, unique_by=lambda limit: limit.name)
histories = st.lists(
    st.tuples(st.sampled_from([0, 1, 1, 2, 5]), st.integers(1, 40)), max_size=5
).map(lambda stretches: [rate for rate, length in stretches for _ in range(length)])


@st.composite
def adjustments_of(draw, limits):
    """Adjustments that come and go, some of them at the same minute."""
    made = []
    for number in range(draw(st.integers(0, 4))):
        name = draw(st.sampled_from([limit.name for limit in limits]))
        begin = NOW + draw(st.integers(-60, 200)) * MINUTE
        times = (name, begin, begin + draw(st.integers(1, 90)) * MINUTE, None, number)
        amount = draw(amounts) * 60.0
        more = [Grant(*times, amount=amount), Override(*times, limit=amount), Exemption(*times)]
        made.append(draw(st.sampled_from(more)))
    return made


ALONE = {kind: st.lists(limits_of(kind), min_size=1, max_size=1) for kind in WINDOWS}


@pytest.mark.parametrize("limits", [*ALONE.values(), several], ids=[*ALONE, "several"])
@PROPERTY
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
        then, before = expected, expected - MINUTE
        assert decide_on_history(limits, history, adjustments, then).allowed
        assert not decide_on_history(limits, history, adjustments, before).allowed


@PROPERTY
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
    """The sooner the server starts, the better."""
    return 0.0 if decision.allowed else -(decision.retry_time or datetime.max).timestamp()


@PROPERTY
@given(data=st.data(), limits=several, history=histories.filter(len))
def test_usage_that_is_added_never_makes_a_decision_more_generous(data, limits, history):
    """Whoever used more is not allowed sooner than whoever used less."""
    adjustments = data.draw(adjustments_of(limits))
    more = list(history)
    more[data.draw(st.integers(0, len(more) - 1))] += data.draw(st.integers(1, 30))
    less_used, more_used = (decide_on_history(limits, one, adjustments) for one in (history, more))
    assert generosity(more_used) <= generosity(less_used)


@PROPERTY
@given(data=st.data(), limits=several, history=histories)
def test_the_order_of_policies_buckets_and_adjustments_decides_nothing(data, limits, history):
    """Whatever is written or measured in another order gives the same decision."""
    adjustments = data.draw(adjustments_of(limits))
    orders = [list, lambda each: each[::-1], lambda each: data.draw(st.permutations(each))]
    decisions = [decide_on_history(limits, history, adjustments, order=order) for order in orders]
    seen = {
        (one.outcome, one.retry_time, frozenset((v.used, v.fits) for v in one.verdicts))
        for one in decisions
    }
    assert len(seen) == 1
