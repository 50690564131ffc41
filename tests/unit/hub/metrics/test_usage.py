"""Everybody's usage as gauges: read back with the parser of prometheus_client."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from traitlets import TraitError
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.config.quotas import QuotaOptions
from jupyterhub_usage_quotas.hub.metrics.exported import Exported
from jupyterhub_usage_quotas.hub.metrics.usage import UsageGauges
from jupyterhub_usage_quotas.hub.refresh import make_refresh_loop
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.readers import Timing
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.snapshot import StatusSnapshot
from jupyterhub_usage_quotas.status.standings import PolicyStatus
from tests.support.made_up import MadeUp, Session
from tests.support.standing import rows_of

NOW = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)
HOUR, GIB = 3600.0, 1024**3
USED, LIMIT, REMAINING = (
    f"jupyterhub_usage_quotas_{name}" for name in ("used", "limit", "remaining")
)
NAMESPACE = 'hub "1"'

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""By name and labels, in order; a duplicate is an error."""


def rule(name: str, limit: str, window: object = 7, **more: Any) -> dict[str, Any]:
    scope = {"everyone": True}
    return {
        "name": name,
        "resource": "memory",
        "limit": limit,
        "window": window,
        "scope": scope,
    } | more


def scraped(*collectors: Collector) -> Samples:
    registry = CollectorRegistry()
    for one in collectors:
        registry.register(one)
    found: Samples = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def of(samples: Samples, name: str, **labels: str) -> list[float]:
    return [
        value
        for (metric, given), value in samples.items()
        if metric == name and labels.items() <= dict(given).items()
    ]


async def standings_of(
    rules: Iterable[dict[str, Any]],
    sessions: dict[str, list[Session]],
    users: Iterable[Request],
    now: datetime = NOW,
    *,
    alive: bool = True,
    members: dict[str, Any] | None = None,
) -> tuple[UsageGauges, StatusSnapshot]:
    policies = parse_policies(
        list(rules),
        credit_prices={"cpu": 1.0},
        resources={"seats": {"promql": "seats", "unit": "seat", "display_name": "Seats"}},
    )
    source = MadeUp(sessions, alive=alive)
    meter = Meter(PrometheusClient("http://nowhere.test"), [source], clock=lambda: now)
    await meter.refresh(max(one.window.reach for one in policies))
    while await meter.extend():
        pass
    snapshot = StatusSnapshot(policies, meter, NO_LEDGER)
    await snapshot.rebuild(users, members or {}, now)
    return UsageGauges(lambda: rows_of(snapshot), policies, NAMESPACE), snapshot


def session(hours_ago: float, hours: float, **rates: float) -> Session:
    start = NOW.timestamp() - hours_ago * HOUR
    return Session(start, start + hours * HOUR, rates)


def users(*names: str, groups: Iterable[str] = ()) -> list[Subject]:
    return [Subject(name, frozenset(groups)) for name in names]


async def test_amounts_are_hours_of_every_resource_and_credits_are_credits():
    rules = [
        rule("memory", "10 GiB-hours"),
        rule("cpu", "8 CPU-hours", resource="cpu"),
        rule("gpu", "4 GPU-hours", resource="gpu"),
        rule("time", "20 server-hours", resource="time"),
        rule("credits", "30 credits", resource="credits"),
        rule("seats", "5 seat-hours", resource="seats"),
    ]
    rates = {"memory": 2.0 * GIB, "cpu": 1.5, "gpu": 1.0, "time": 1.0, "seats": 0.5}
    gauges, _ = await standings_of(rules, {"ada": [session(5, 2, **rates)]}, users("ada"))
    samples = scraped(gauges)
    found = {
        resource: [of(samples, name, resource=resource) for name in (USED, LIMIT, REMAINING)]
        for resource in ("memory", "cpu", "gpu", "time", "credits", "seats")
    }
    assert found == {
        "memory": [[4 * GIB], [10 * GIB], [6 * GIB]],
        "cpu": [[3], [8], [5]],
        "gpu": [[2], [4], [2]],
        "time": [[2], [20], [18]],
        "credits": [[3], [30], [27]],
        "seats": [[1], [5], [4]],
    }


async def test_who_used_nothing_is_there_with_zero_and_who_used_too_much_is_below_it():
    rules = [rule("memory", "1 GiB-hours")]
    sessions = {"ada": [session(5, 2, memory=GIB)]}
    samples = scraped((await standings_of(rules, sessions, users("ada", "bob")))[0])
    assert of(samples, USED, username="bob") == [0]
    assert of(samples, REMAINING, username="bob") == [GIB]
    assert of(samples, REMAINING, username="ada") == [-GIB]


async def test_what_is_not_known_is_nan_and_the_limit_is_known_all_the_same():
    rules = [rule("memory", "1 GiB-hours")]
    samples = scraped((await standings_of(rules, {}, users("ada"), alive=False))[0])
    for name in (USED, REMAINING, "jupyterhub_memory_usage_byte_hours_total"):
        (value,) = of(samples, name, username="ada")
        assert math.isnan(value)
    assert of(samples, LIMIT) == [GIB]
    assert of(samples, "jupyterhub_memory_limit_byte_hours_total") == [GIB]


async def test_labels_are_the_namespace_the_user_the_policy_and_the_resource():
    samples = scraped((await standings_of([rule("week", "1 GiB-hours")], {}, users("ada")))[0])
    labels = {
        "namespace": NAMESPACE,
        "username": "ada",
        "policy": "week",
        "resource": "memory",
    }
    new = {name: dict(given) for name, given in samples if name in (USED, LIMIT, REMAINING)}
    assert new == dict.fromkeys((USED, LIMIT, REMAINING), labels)


async def test_a_pool_has_one_series_without_a_user():
    rules = [rule("team", "5 GiB-hours", share="pooled")]
    sessions = {"ada": [session(5, 1, memory=GIB)], "bob": [session(3, 1, memory=GIB)]}
    gauges, _ = await standings_of(
        rules, sessions, users("ada", "bob"), members={"team": {"ada", "bob"}}
    )
    samples = scraped(gauges)
    assert of(samples, USED) == of(samples, USED, username="", policy="team") == [2 * GIB]
    assert {name for name, _ in samples} == {USED, LIMIT, REMAINING}


def test_metrics_are_described_without_a_hub_and_before_anything_is_known():
    def not_yet() -> tuple[PolicyStatus, ...]:
        raise AssertionError("describing asks for no sample")

    gauges = UsageGauges(not_yet, parse_policies([rule("week", "1 GiB-hours")]), "")
    assert len([*gauges.describe()]) == 7
    empty = UsageGauges(lambda: (), parse_policies([rule("week", "1 GiB-hours")]), "")
    assert scraped(empty) == {}


HOSTILE = [
    'a"b\\c',
    "line\nbreak",
    'x{y="z"} 5',
    "\\n",
    "\\",
    "# HELP jupyterhub_usage_quotas_used x",
    "ünïcode 用户 🦊",
    "tab\tand\rreturn",
    "long" * 100,
    "<script>alert(1)</script>",
    "\u2028",
    "\x00",
    "a,b",
    "}",
]


async def test_hostile_names_are_read_back_as_they_were():
    names = [f"u{name}" for name in HOSTILE]
    # A policy's name is the admin's, who is asked for one line of no more than 200 characters.
    policies = [f"p{i}{' '.join(one.split())[:99]}".strip("\0") for i, one in enumerate(HOSTILE)]
    rules = [
        rule(policy, "1 GiB-hours", scope={"user": [name]})
        for policy, name in zip(policies, names, strict=True)
    ]
    sessions = {name: [session(5, 1, memory=2.0**number)] for number, name in enumerate(names)}
    samples = scraped((await standings_of(rules, sessions, users(*names)))[0])
    found = {
        (dict(given)["username"], dict(given)["policy"]): value
        for (name, given), value in samples.items()
        if name == USED
    }
    assert found == {
        (name, policy): 2.0**number
        for number, (name, policy) in enumerate(zip(names, policies, strict=True))
    }


# --- under the earlier names ----------------------------------------------------------------------

BY_GROUP = {
    "memory": (
        "jupyterhub_memory_usage_byte_hours_total",
        "jupyterhub_memory_limit_byte_hours_total",
    ),
    "cpu": ("jupyterhub_cpu_usage_core_hours_total", "jupyterhub_cpu_limit_core_hours_total"),
}


async def test_the_earlier_names_have_the_same_values_and_their_own_labels():
    rules = [
        rule("a", "10 GiB-hours", 30, scope={"group": ["group-0"]}),
        rule("b", "8 CPU-hours", 7, resource="cpu", scope={"group": ["group-1", "group-0"]}),
    ]
    sessions = {"ada": [session(5, 2, memory=2.0 * GIB, cpu=1.5)]}
    gauges, _ = await standings_of(rules, sessions, users("ada", groups=["group-0"]))
    samples = scraped(gauges)

    def key(name: str, group: str, window: str) -> Any:
        labels = {"namespace": NAMESPACE, "username": "ada", "policy_group": group}
        return (name, tuple(sorted((labels | {"window": window}).items())))

    expected = {
        key(BY_GROUP["memory"][0], "group-0", "30"): 4 * GIB,
        key(BY_GROUP["memory"][1], "group-0", "30"): 10 * GIB,
        key(BY_GROUP["cpu"][0], "group-0,group-1", "7"): 3,
        key(BY_GROUP["cpu"][1], "group-0,group-1", "7"): 8,
    }
    by_group = [name for names in BY_GROUP.values() for name in names]
    assert {key: value for key, value in samples.items() if key[0] in by_group} == expected


async def test_what_the_earlier_names_could_not_say_is_not_exported_under_them():
    """Two series with the same labels would be an error in every scrape."""
    rules = [
        rule("on GPUs", "3 GiB-hours", servers={"gpu": True}),
        rule("all", "10 GiB-hours"),
        rule("warns", "5 GiB-hours", when_exhausted="warn"),
        rule("week", "7 GiB-hours", {"calendar": "week"}),
        rule("pool", "9 GiB-hours", share="pooled"),
        rule("time", "9 server-hours", resource="time"),
    ]
    on_a_gpu = Session(
        NOW.timestamp() - 3600, NOW.timestamp(), {"memory": GIB}, ServerAttributes(gpu=True)
    )
    sessions = {"ada": [session(5, 2, memory=2.0 * GIB), on_a_gpu]}
    gauges, _ = await standings_of(rules, sessions, users("ada"), members={"pool": {"ada"}})
    samples = scraped(gauges)
    assert of(samples, BY_GROUP["memory"][0], username="ada", window="7") == [5 * GIB]
    assert of(samples, BY_GROUP["memory"][1], username="ada", window="7") == [10 * GIB]
    assert len(of(samples, USED)) == 6


# --- over time ------------------------------------------------------------------------------------


async def test_label_sets_are_the_same_at_every_scrape_whatever_is_used():
    rules = [
        rule("everyone", "10 GiB-hours"),
        rule("red", "5 GiB-hours", scope={"group": ["red"]}),
        rule("balance", "4 CPU-hours", {"refill": 1, "every": "6 hours"}, resource="cpu"),
        rule("team", "9 server-hours", 2, resource="time", share="pooled"),
    ]
    sessions = {
        "ada": [session(30, 20, memory=GIB, cpu=1, time=1)],
        "bob": [session(5, 2, memory=3.0 * GIB, cpu=1, time=1)],
    }
    everybody = users("ada", "bob", "cleo", groups=["red"])
    kinds, values = set(), set()
    for hours in range(-30, 12, 3):
        now = NOW + timedelta(hours=hours)
        gauges, _ = await standings_of(
            rules, sessions, everybody, now, members={"team": {"ada", "bob", "cleo"}}
        )
        samples = scraped(gauges)
        kinds.add(frozenset(samples))
        values.add(tuple(samples.values()))
    assert len(kinds) == 1
    assert len(values) > 10


# --- whose usage is exported ----------------------------------------------------------------------


@pytest.fixture
def db():
    made = orm.new_session_factory("sqlite:///:memory:")()
    groups = {name: orm.Group(name=name) for name in ("red", "blue")}
    made.add_all(groups.values())
    for name, of_them in {
        "ada": ["red"],
        "bob": ["blue"],
        "cleo": ["red", "blue"],
        "dan": [],
    }.items():
        made.add(orm.User(name=name, groups=[groups[one] for one in of_them]))
    made.add_all(orm.User(name=f"many-{number}") for number in range(500))
    made.commit()
    yield made
    made.close()


async def kept(db: Any, export_usage: Any = True) -> tuple[StatusSnapshot, MadeUp]:
    """A snapshot after the refresh loop has run for a while."""
    refreshed = asyncio.Event()

    class Counted(MadeUp):
        async def read(self, *arguments: Any) -> Any:
            # When it is read for the third time, what came after the second is done.
            if len(self.asked) == 2:
                refreshed.set()
            return await super().read(*arguments)

    source = Counted({"ada": []})
    config = Config()
    config.UsageQuotaManager.export_usage = export_usage
    config.UsageQuotaManager.policy = [rule("hour", "1 GiB-hours", "1h")]
    options = QuotaOptions(config=config)
    timing = Timing(refresh_every=timedelta(0))
    meter = Meter(PrometheusClient("http://nowhere.test"), [source], timing)
    app = SimpleNamespace(db=db, log=logging.getLogger("hub"))
    snapshot = StatusSnapshot(options.policies, meter, NO_LEDGER)
    running = asyncio.ensure_future(make_refresh_loop(app, options, meter, snapshot).run())
    await asyncio.wait_for(refreshed.wait(), 60)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return snapshot, source


@pytest.mark.parametrize(
    ("export_usage", "exported"),
    [
        (True, ["ada", "bob", "cleo", "dan", *(f"many-{number}" for number in range(500))]),
        (False, []),
        (["red"], ["ada", "cleo"]),
        (["red", "blue"], ["ada", "bob", "cleo"]),
        (["nobody's"], []),
    ],
    ids=["everybody", "nobody", "a group", "two groups", "a group of nobody"],
)
async def test_everybody_is_exported_or_nobody_or_the_members_of_groups(db, export_usage, exported):
    snapshot, source = await kept(db, export_usage)
    assert sorted(one.username for one in rows_of(snapshot)) == sorted(exported)
    assert len(source.asked) >= 2, "the meter is kept for decisions all the same"


async def test_on_a_large_hub_those_are_exported_who_are_active_or_near_a_limit():
    """Pools always; what is known of all the others is how many they are."""
    many = [f"user-{number}" for number in range(1000)]
    rules = [rule(name, "10 GiB-hours") for name in ("a", "b")]
    rules = [one | {"window": days} for one, days in zip(rules, (7, 6), strict=True)]
    rules.append(rule("team", "900 GiB-hours", share="pooled"))
    sessions = {
        "user-1": [session(0.5, 0.1, memory=GIB)],
        "user-2": [session(90, 8, memory=GIB)],
        "user-3": [session(90, 7.9, memory=GIB)],
        "user-4": [session(2, 0.9, memory=GIB)],
    }
    _, snapshot = await standings_of(rules, sessions, users(*many), members={"team": {"user-1"}})
    assert len({one.username for one in rows_of(snapshot)}) == 1001

    def exported(*, everybody: bool = False) -> tuple[set[str], dict[str, float]]:
        made = Exported(snapshot, NAMESPACE, everybody=everybody)
        samples = scraped(made, UsageGauges(made.rows, parse_policies(rules), NAMESPACE))
        names = {dict(labels)["username"] for name, labels in samples if name == USED}
        numbers = {
            dict(labels)["exported"]: value
            for (name, labels), value in samples.items()
            if name == "jupyterhub_usage_quotas_users"
        }
        return names, numbers

    assert exported() == ({"", *many}, {"true": 1000, "false": 0})
    await snapshot.rebuild(users(*many, "one-more"), {"team": {"user-1"}}, NOW)
    few = {"", "user-1", "user-2"}
    assert exported() == (few, {"true": 2, "false": 999})
    assert exported(everybody=True) == ({"", *many, "one-more"}, {"true": 1001, "false": 0})


@pytest.mark.parametrize("wrong", ["red", [], [1], None, {"red": True}, 1])
def test_what_is_neither_is_refused_with_what_would_be_right(wrong):
    with pytest.raises(TraitError, match="True, False or a list of groups"):
        UsageQuotaManager(export_usage=wrong)


async def test_a_user_who_is_deleted_is_gone_with_the_next_refresh_and_a_new_one_is_there(db):
    snapshot, _ = await kept(db)
    assert len(rows_of(snapshot)) == 504
    db.delete(db.query(orm.User).filter_by(name="dan").one())
    db.add(orm.User(name="eve"))
    db.commit()
    snapshot, _ = await kept(db)
    names = {one.username for one in rows_of(snapshot)}
    assert ("dan" in names, "eve" in names, len(names)) == (False, True, 504)
