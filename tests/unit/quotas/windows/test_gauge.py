"""Home storage in the rules: what an admin can write, what follows, and what users are told."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from bs4 import BeautifulSoup

from jupyterhub_usage_quotas.hub.launch.message import denial_message
from jupyterhub_usage_quotas.hub.metrics.usage import UsageGauges
from jupyterhub_usage_quotas.quotas.adjustments import Exemption, Grant, Override
from jupyterhub_usage_quotas.quotas.decide import Outcome, decide
from jupyterhub_usage_quotas.quotas.forecast import launch_times
from jupyterhub_usage_quotas.quotas.policy.errors import InvalidPolicies
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.policy import WhenExhausted
from jupyterhub_usage_quotas.quotas.resources import RESOURCES, STORAGE
from jupyterhub_usage_quotas.quotas.serialize import (
    DecisionReport,
    report_gauges,
    report_home,
    there_of,
)
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Stale, Unknown, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.quotas.windows.gauge import Current, GaugeReading
from jupyterhub_usage_quotas.status.snapshot import PolicyStatus
from jupyterhub_usage_quotas.status.text import for_log

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GIB = 1024**3
HOUR = 3600
KNOWN = parse_policies([]).resources
UNKNOWN = Unknown("unreachable", "Prometheus: no")


def entry(**fields):
    return {"resource": "storage", "limit": "10 GiB", "scope": {"everyone": True}} | fields


def home(gib: float, limit: float | None = None) -> GaugeReading:
    """A home with so much in it; a limit of infinity is none, None is not told."""
    return GaugeReading(
        (), NOW, None, amount=gib * GIB, limit=None if limit is None else limit * GIB
    )


NO_HOME = GaugeReading((), NOW, None, there=False)


def decided(reading, *entries, request=None, failover_open=False, intersection="min", **more):
    policies = parse_policies(
        [*(entries or [entry()])], {"intersection": intersection}, failover_open=failover_open
    )
    reading = Fresh(reading) if isinstance(reading, Usage) else reading
    usage = {"storage": reading} | more.pop("usage", {})
    request = request or Request(Subject("ada"))
    return decide(policies, usage, request, NOW, **more)


def error(**fields) -> str:
    with pytest.raises(InvalidPolicies) as refused:
        parse_policies([entry(**fields)], credit_prices={"cpu": 1})
    (one,) = refused.value.errors
    return str(one)


# --- what an admin writes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "amount"),
    [("10 GiB", 10 * GIB), ("2TB", 2e12), ({"value": 500, "unit": "MB"}, 5e8), (0, 0), ("0", 0)],
)
def test_a_limit_is_an_amount(limit, amount):
    (policy,) = parse_policies([entry(limit=limit)])
    assert policy.limit.base == amount
    assert policy.window == Current()
    assert policy.name == "storage for everyone"


def test_the_exported_limit_is_each_users_own():
    (policy,) = parse_policies([entry(limit="exported", when_exhausted="warn")])
    assert policy.window == Current(exported=True)
    assert policy.when_exhausted is WhenExhausted.WARN


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"window": 7}, "window: storage is what is there now, not what is used over time, so it"),
        ({"window": {"calendar": "week"}}, "has no window; leave it out"),
        ({"window": None}, "leave it out"),
        (
            {"limit": "10 GiB-hours"},
            "not a unit of storage: got 'GiB-hours'; expected for example '10 GiB'",
        ),
        ({"limit": "10"}, "has no unit"),
        ({"limit": "export"}, "does not start with a number"),
        ({"limit": -1}, "has no unit"),
        ({"share": "pooled"}, "storage cannot be pooled: every user has their own"),
        ({"share": "pooled", "overflow": "individual"}, "cannot be pooled"),
        ({"minimum_session": "10 minutes"}, "minimum_session is not for storage"),
        (
            {"when_exhausted": "stop"},
            "without a server nobody frees any storage: got 'stop'; expected one of: deny, warn",
        ),
        ({"resource": "memory", "limit": "exported", "window": 7}, "does not start with a number"),
        ({"resource": "memory", "limit": "1 GiB-hours"}, "window: is missing"),
    ],
)
def test_a_mistake_is_explained(fields, says):
    assert says in error(**fields)


def test_it_costs_no_credits():
    with pytest.raises(InvalidPolicies, match="is not used over time, so it costs no credits"):
        parse_policies([], credit_prices={"storage": 1})


def test_its_name_is_taken():
    with pytest.raises(InvalidPolicies, match="not taken"):
        parse_policies([], resources={"storage": {"promql": "x", "unit": "u"}})


# --- decisions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("level", "limit", "outcome", "to_free"),
    [
        (home(9.99), "10 GiB", Outcome.ALLOWED, None),
        (home(10), "10 GiB", Outcome.DENIED, 0),
        (home(12.5), "10 GiB", Outcome.DENIED, 2.5 * GIB),
        (NO_HOME, "10 GiB", Outcome.ALLOWED, None),
        (home(12, 10), "exported", Outcome.DENIED, 2 * GIB),
        (home(12, 13), "exported", Outcome.ALLOWED, None),
        (home(12, math.inf), "exported", Outcome.ALLOWED, None),
        (NO_HOME, "exported", Outcome.ALLOWED, None),
        (home(12, 10), "20 GiB", Outcome.ALLOWED, None),
    ],
)
def test_what_is_there_is_held_against_the_limit(level, limit, outcome, to_free):
    decision = decided(level, entry(limit=limit))
    (verdict,) = decision.verdicts
    assert decision.outcome is outcome
    assert (verdict.to_free, verdict.never, decision.retry_time) == (to_free, False, None)
    if to_free is not None:
        freed = home((level.amount - to_free) / GIB - 0.001, level.limit and level.limit / GIB)
        assert decided(freed, entry(limit=limit)).allowed


def test_nothing_helps_where_nothing_is_allowed():
    (verdict,) = decided(home(1), entry(limit=0)).verdicts
    assert (verdict.fits, verdict.never, verdict.to_free) == (False, True, None)


@pytest.mark.parametrize("limit", ["10 GiB", "exported"])
@pytest.mark.parametrize(
    "reading", [UNKNOWN, Stale(home(99, 10), "stale", "late"), Stale(home(1, 10), "stale", "late")]
)
def test_what_is_not_known_is_left_to_failover(reading, limit):
    for failover_open, outcome in [
        (True, Outcome.FAILOVER_OPEN),
        (False, Outcome.FAILOVER_CLOSED),
    ]:
        decision = decided(reading, entry(limit=limit), failover_open=failover_open)
        assert decision.outcome is outcome
        json.dumps(DecisionReport.of(decision).model_dump(), allow_nan=False)


def test_without_any_reading_nothing_is_known():
    policies = parse_policies([entry()], failover_open=False)
    decision = decide(policies, {}, Request(Subject("ada")), NOW)
    assert decision.outcome is Outcome.FAILOVER_CLOSED


def test_an_exported_limit_that_is_not_told_is_not_known():
    decision = decided(home(1, None), entry(limit="exported"))
    assert decision.outcome is Outcome.FAILOVER_CLOSED
    assert decision.failover.reason == "metric_missing"
    (verdict,) = DecisionReport.of(decision).verdicts
    assert (verdict.limit, verdict.allowance, verdict.used) == (None, None, None)


def test_only_selected_servers_are_denied_for_all_that_is_there():
    gpus = entry(servers={"gpu": True})
    assert decided(home(12), gpus).allowed
    with_gpu = Request(Subject("ada"), rates={"time": 1.0, "gpu": 1.0})
    assert decided(home(12), gpus, request=with_gpu).outcome is Outcome.DENIED
    assert decided(home(9), gpus, request=with_gpu).allowed


def test_limits_that_were_written_are_combined_and_the_exported_one_is_kept_apart():
    several = (entry(limit="20 GiB"), entry(limit="8 GiB"), entry(limit="exported"))
    for intersection, allowed in [("min", 8), ("max", 20), ("sum", 28)]:
        verdicts = decided(home(1, 5), *several, intersection=intersection).verdicts
        assert [one.allowance / GIB for one in verdicts] == [allowed, 5]


@pytest.mark.parametrize("intersection", ["min", "max", "sum"])
def test_the_exported_limit_counts_once_however_many_policies_mean_it(intersection):
    both = (entry(limit="exported", name="a"), entry(limit="exported", name="b"))
    (verdict,) = decided(home(7, 5), *both, intersection=intersection).verdicts
    assert verdict.allowance == 5 * GIB


def test_adjustments_of_an_exported_limit():
    span = {"start": NOW - timedelta(days=1), "until": NOW + timedelta(days=1), "policy": "x"}
    policy = entry(limit="exported", name="x")
    made = [
        (Grant(**span, amount=3 * GIB), 8 * GIB),
        (Override(**span, limit=9 * GIB), 9 * GIB),
        (Exemption(**span), math.inf),
    ]
    for adjustment, allowance in made:
        (verdict,) = decided(home(7, 5), policy, adjustments=[adjustment]).verdicts
        assert (verdict.allowance, verdict.fits) == (allowance, True)
    assert decided(UNKNOWN, policy, adjustments=[Exemption(**span)]).allowed
    assert not decided(UNKNOWN, policy, adjustments=[Grant(**span, amount=GIB)]).allowed


@pytest.mark.parametrize("intersection", ["min", "max", "sum"])
def test_the_order_of_policies_is_of_no_matter_where_a_limit_is_not_known(intersection):
    span = {"start": NOW - timedelta(days=1), "until": NOW + timedelta(days=1)}
    changed = [Exemption("b", **span), Override("c", **span, limit=GIB)]
    policies = [entry(limit="exported", name=name) for name in "abc"]
    answers = {
        repr([(one.fits, one.allowance) for one in decision.verdicts])
        for some in permutations(policies)
        for decision in [
            decided(UNKNOWN, *some, intersection=intersection, adjustments=changed),
        ]
    }
    assert len(answers) == 1


def test_a_grant_to_come_is_a_time_to_wait_for():
    begin = NOW + timedelta(hours=3)
    grant = Grant("x", begin, begin + timedelta(days=1), amount=5 * GIB)
    decision = decided(home(12), entry(name="x"), adjustments=[grant])
    assert decision.retry_time == begin


def used_up(hours: float):
    """Five hours of which the limit below is four, which ended just now."""
    end = NOW.timestamp()
    return {"time": Fresh(Usage((Bucket(end - hours * HOUR, end, hours * HOUR),), NOW))}


TIME = {"resource": "time", "limit": "4 hours", "window": "10h", "scope": {"everyone": True}}


def test_freeing_and_waiting_may_both_be_needed():
    decision = decided(home(12), entry(), TIME, usage=used_up(5))
    assert decision.outcome is Outcome.DENIED
    assert decision.retry_time is None
    # The oldest hour leaves the window after five more, and a minute more has to.
    assert decision.once_freed == NOW + timedelta(hours=6, minutes=1)
    freed = decided(home(9), entry(), TIME, usage=used_up(5))
    assert freed.retry_time == decision.once_freed


def test_a_server_that_runs_does_not_fill_a_home():
    policies = parse_policies([entry()])
    request = Request(Subject("ada"), rates={"memory": 8 * GIB, "time": 1.0})
    for level, lasts in [(home(9), None), (home(11), timedelta(0))]:
        usage = {"storage": Fresh(level)}
        assert launch_times(policies, usage, {"x": request}, [request], NOW) == {"x": lasts}


def test_it_is_not_usage_over_time():
    level = home(5)
    assert level.between(0, NOW.timestamp() * 2) == 0
    assert level.of(parse_policies([entry(servers={"gpu": True})]).policies[0].servers) is level
    with pytest.raises(TypeError):
        Current().account()
    # And usage over time is no level.
    assert Current().used(used_up(5)["time"].usage, NOW) == 0


# --- what people are told -------------------------------------------------------------------------


def test_the_message_says_how_much_must_be_freed_and_how():
    decision = decided(home(12, 10), entry(limit="exported"))
    message = denial_message(decision, "Ask <us>.", KNOWN)
    assert message.text == (
        "You have used up your home storage quota: 12 GiB of 10 GiB. You cannot start this server"
        " until you have freed at least 2.01 GiB. If a server of yours still runs, delete files"
        " there that you no longer need; it can take some minutes to be noticed. Otherwise ask the"
        " administrators to help you delete them. Ask <us>."
    )
    assert "start this server again from" not in message.text
    assert BeautifulSoup(message.html, "html.parser").find("us") is None


def test_the_message_of_both_says_what_comes_first():
    text = denial_message(decided(home(12), entry(), TIME, usage=used_up(5)), "", KNOWN).text
    assert "until you have freed at least 2.01 GiB" in text
    assert "You have used up your server time quota: 5h of 4h in the last 10 hours." in text
    then = "Once you have, you can start it from Monday, 23 November 2026, 18:01 UTC."
    assert text.endswith(then)


def test_the_log_does_not_say_never():
    assert for_log(decided(home(12))) == (
        "'ada': 'storage for everyone' used 12 of 10 GiB;"
        " retry: when at least 2.01 GiB of storage is freed"
    )


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1,023 B"),
        (1024, "1 KiB"),
        (1.5 * GIB, "1.5 GiB"),
        (3 * 1024**5, "3 PiB"),
        (1e20, "88,818 PiB"),
    ],
)
def test_bytes_are_shown_in_a_unit_that_suits(amount, shown):
    assert STORAGE.show(amount) == shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "1 B"),
        (17, "18 B"),
        (2 * GIB, "2.01 GiB"),
        (2.004 * GIB, "2.01 GiB"),
        (1023.995 * 1024**2, "1,024 MiB"),
    ],
)
def test_who_frees_what_is_shown_has_freed_more(amount, shown):
    assert STORAGE.show_more_than(amount) == shown


def test_the_report():
    decision = decided(home(12.5, 10), entry(limit="exported"))
    (verdict,) = DecisionReport.of(decision).model_dump()["verdicts"]
    assert verdict == verdict | {
        "policy": "storage for everyone",
        "resource": "storage",
        "window": "now",
        "used": 12.5,
        "limit": 10,
        "allowance": 10,
        "remaining": -2.5,
        "to_free": 2.5,
        "unit": "GiB",
        "need": 0,
        "never": False,
        "covered_until": "2026-11-23T12:00:00Z",
        "coverage": None,
    }


@pytest.mark.parametrize(
    ("reading", "values"),
    [
        (None, None),
        (Unknown("not_scraped", "no series"), None),
        (UNKNOWN, ("unknown", "unreachable", None, None, None, None)),
        (Fresh(NO_HOME), ("fresh", None, False, 0, None, "2026-11-23T12:00:00Z")),
        (Fresh(home(2, math.inf)), ("fresh", None, True, 2 * GIB, None, "2026-11-23T12:00:00Z")),
        (Fresh(home(2, 3)), ("fresh", None, True, 2 * GIB, 3 * GIB, "2026-11-23T12:00:00Z")),
        (
            Stale(home(2, 3), "stale", "late"),
            ("stale", "stale", True, 2 * GIB, 3 * GIB, "2026-11-23T12:00:00Z"),
        ),
    ],
)
def test_what_is_reported_of_a_home(reading, values):
    keys = ("state", "reason", "there", "used_bytes", "limit_bytes", "measured_at")
    expected = dict(zip(keys, values, strict=True)) if values else None
    readings = {} if reading is None else {"storage": reading}
    found = report_home(report_gauges(readings, RESOURCES).get("storage"))
    assert (found and found.model_dump()) == expected


def test_only_a_home_that_is_there_is_one():
    assert there_of(Fresh(NO_HOME)) is None
    assert there_of(Fresh(Usage((), NOW))) is None
    assert there_of(UNKNOWN) is None
    assert there_of(Stale(home(2, 3), "stale", "late")).amount == 2 * GIB


def test_gauges_are_in_bytes():
    policies = parse_policies([entry(name="homes")])
    standing = PolicyStatus("ada", "homes", "storage", "", "", 4.0 * GIB, 10.0 * GIB, 6.0 * GIB)
    gauges = UsageGauges(lambda: [standing], policies, "ns")
    values = {family.name: [one.value for one in family.samples] for family in gauges.collect()}
    assert values["jupyterhub_usage_quotas_used"] == [4 * GIB]
    assert values["jupyterhub_usage_quotas_limit"] == [10 * GIB]
    assert values["jupyterhub_usage_quotas_remaining"] == [6 * GIB]
