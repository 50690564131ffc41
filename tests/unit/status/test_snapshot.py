"""Where everybody stands is what a decision about each of them would say, all at once and as a
whole: from the meter on, with a source that is made of values.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jupyterhub_usage_quotas.errors import PrometheusUnavailable
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.quotas.adjustments import Exemption, Grant, Override
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.policy import PolicySet
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.inputs import Members, gather
from jupyterhub_usage_quotas.status.snapshot import StatusSnapshot
from jupyterhub_usage_quotas.status.standings import PolicyStatus, Standing
from tests.support.made_up import MadeUp, Session
from tests.support.standing import rows_of

NOW = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)
LATELY = (NOW - timedelta(days=1), NOW + timedelta(days=1))
UNIX = NOW.timestamp()
HOUR = 3600.0
GIB = 1024**3
GROUPS = {"ada": {"red"}, "bob": {"red", "blue"}, "cleo": {"blue"}, "dan": set(), "eve": {"red"}}


def rule(name: str, limit: str, window: object = 7, **more: Any) -> dict[str, Any]:
    scope = {"everyone": True}
    return {
        "name": name,
        "resource": "memory",
        "limit": limit,
        "window": window,
        "scope": scope,
    } | more


RULES = [
    rule("everyone", "20 GiB-hours", minimum_session="1 hour"),
    rule("red", "30 GiB-hours", scope={"group": ["red"]}),
    rule("blue", "25 GiB-hours", scope={"group": ["blue"]}),
    rule("dan alone", "5 GiB-hours", scope={"user": ["dan"]}),
    rule("short", "2 GiB-hours", "12h"),
    rule("today", "8 server-hours", {"calendar": "day"}, resource="time"),
    rule("balance", "40 CPU-hours", {"refill": 1, "every": "6 hours"}, resource="cpu"),
    rule("gpus", "3 GPU-hours", resource="gpu", servers={"gpu": True}),
    rule("warned", "1 CPU-hours", resource="cpu", when_exhausted="warn"),
    rule("spent", "60 credits", resource="credits"),
    rule("team", "15 GiB-hours", "36h", share="pooled", scope={"group": ["red"]}),
    rule("all", "40 server-hours", 3, resource="time", share="pooled"),
    rule("first", "30 CPU-minutes", 9, resource="cpu", share="pooled", overflow="individual",
         scope={"group": ["blue"]}),
    rule("rest", "1 CPU-hours", 9, resource="cpu"),
]  # fmt: skip
MEMBERS: Members = {"team": {"ada", "bob", "eve"}, "all": None, "first": {"bob", "cleo"}}


def policies_of(*rules: dict[str, Any], intersection: str = "min") -> PolicySet:
    return parse_policies(
        list(rules or RULES),
        {"intersection": intersection},
        credit_prices={"cpu": 1, "memory": 0.5, "gpu": 10},
    )


def sessions(seed: int) -> dict[str, list[Session]]:
    """What everybody but eve did in the last ten days; somebody who was deleted, too."""
    chance = random.Random(seed)
    made: dict[str, list[Session]] = {}
    for user in ("ada", "bob", "cleo", "dan", "deleted"):
        for _ in range(chance.randrange(1, 9)):
            start = UNIX - 60 * chance.randrange(2, 10 * 1440)
            gpus = chance.choice([0, 0, 1])
            rates = {"time": 1.0, "memory": chance.choice([1, 2.5]) * GIB, "cpu": 0.5, "gpu": gpus}
            end = min(start + 60 * chance.randrange(1, 400), UNIX)
            server = ServerAttributes("p", "P", chance.choice(["", "x"]), gpu=bool(gpus))
            made.setdefault(user, []).append(Session(start, end, rates, server))
    return made


def subjects(groups=GROUPS) -> Iterator[Subject]:
    for user, theirs in groups.items():
        yield Subject(user, frozenset(theirs))


async def meter_of(source: MadeUp, policies: PolicySet) -> Meter:
    """A meter that has read the whole history."""
    meter = Meter(PrometheusClient("http://nowhere.test"), [source], clock=lambda: NOW)
    reach = policies.reach
    await meter.refresh(reach)
    while await meter.extend():
        pass
    return meter


def by_user_and_policy(rows: Sequence[PolicyStatus]) -> dict[tuple[str, str], PolicyStatus]:
    found = {(one.username, one.policy): one for one in rows}
    assert len(found) == len(rows), "nobody has two series for one policy"
    return found


LEDGERS = {
    "nothing": (),
    "grants for users": (
        Grant("red", *LATELY, "ada", amount=7 * GIB * HOUR),
        Override("short", *LATELY, "bob", limit=HOUR * GIB),
        Exemption("today", *LATELY, "cleo"),
        Grant("everyone", NOW - timedelta(days=9), NOW - timedelta(days=8), "dan", amount=9.0),
    ),
    "grants for all, and for pools": (
        Grant("everyone", NOW - timedelta(days=2), NOW + timedelta(days=1), amount=11 * GIB * HOUR),
        Grant("team", NOW - timedelta(days=2), NOW + timedelta(days=1), amount=13 * GIB * HOUR),
        Grant("first", NOW - timedelta(days=2), NOW + timedelta(days=1), amount=2 * HOUR),
        Override("all", NOW - timedelta(days=2), NOW + timedelta(days=1), limit=5 * HOUR),
    ),
}  # fmt: skip


@pytest.mark.parametrize("intersection", ["min", "max", "sum"])
@pytest.mark.parametrize("adjusted", LEDGERS)
@pytest.mark.parametrize("seed", range(4))
async def test_rows_are_the_verdicts_of_decisions(seed, adjusted, intersection):
    policies = policies_of(intersection=intersection)
    ledger = MemoryLedger(LEDGERS[adjusted])
    meter = await meter_of(MadeUp(sessions(seed)), policies)
    snapshot = StatusSnapshot(policies, meter, ledger)
    await snapshot.rebuild(subjects(), MEMBERS, NOW)

    expected: dict[tuple[str, str], tuple[float | None, float, float | None]] = {}
    for subject in subjects():
        request = Request(subject, rates={})
        gathered = await gather(policies, meter, ledger, [subject], NOW, MEMBERS)
        for verdict in gathered.of(subject).decide(request).verdicts:
            username = "" if verdict.allotment.pool else subject.name
            said = (verdict.used, verdict.allowance, verdict.remaining)
            key = (username, verdict.allotment.name)
            assert expected.setdefault(key, said) == said, "a pool stands the same for its members"
    found = by_user_and_policy(rows_of(snapshot))
    shown = {key: (one.used, one.allowance, one.remaining) for key, one in found.items()}
    assert shown.keys() == expected.keys()
    for key, figures in shown.items():
        # Fractions that are added in another order are rounded in another way.
        assert figures == pytest.approx(expected[key], rel=1e-9), key
    assert len(expected) > 30
    assert any(used for used, _, _ in expected.values())


async def test_who_used_nothing_is_there_with_zero_and_who_is_deleted_is_not():
    policies = policies_of()
    snapshot = StatusSnapshot(policies, await meter_of(MadeUp(sessions(1)), policies), NO_LEDGER)
    await snapshot.rebuild(subjects(), MEMBERS, NOW)
    of_eve = {one.policy: one.used for one in rows_of(snapshot) if one.username == "eve"}
    assert of_eve == dict.fromkeys(
        ["everyone", "short", "today", "balance", "gpus", "warned", "spent", "rest"], 0
    )
    assert {one.username for one in rows_of(snapshot)} == {*GROUPS, ""}


async def test_every_pool_is_there_once_and_belongs_to_nobody():
    policies = policies_of()
    snapshot = StatusSnapshot(policies, await meter_of(MadeUp(sessions(2)), policies), NO_LEDGER)
    await snapshot.rebuild(subjects(), MEMBERS, NOW)
    pools = [one for one in rows_of(snapshot) if one.policy in MEMBERS]
    assert sorted((one.username, one.policy) for one in pools) == [
        ("", "all"),
        ("", "first"),
        ("", "team"),
    ]


async def test_what_everyones_pool_used_includes_who_is_no_user_any_more():
    policies = policies_of(rule("all", "40 server-hours", 10, resource="time", share="pooled"))
    source = MadeUp({"deleted": [Session(UNIX - 7200, UNIX, {"time": 1.0})]})
    snapshot = StatusSnapshot(policies, await meter_of(source, policies), NO_LEDGER)
    await snapshot.rebuild(subjects(), {"all": None}, NOW)
    (pool,) = rows_of(snapshot)
    assert pool.used == 2 * HOUR


async def test_what_is_unknown_is_none_and_never_zero():
    policies = policies_of()
    meter = await meter_of(MadeUp(sessions(1), alive=False), policies)
    snapshot = StatusSnapshot(policies, meter, NO_LEDGER)
    await snapshot.rebuild(subjects(), MEMBERS, NOW)
    assert {one.used for one in rows_of(snapshot)} == {None}
    assert {one.remaining for one in rows_of(snapshot)} == {None}
    assert all(one.allowance > 0 for one in rows_of(snapshot))


async def test_before_anything_was_read_everybody_is_there_and_unknown():
    policies = policies_of()
    meter = Meter(PrometheusClient("http://nowhere.test"), [MadeUp({})], clock=lambda: NOW)
    snapshot = StatusSnapshot(policies, meter, NO_LEDGER)
    await snapshot.rebuild(subjects(), MEMBERS, NOW)
    assert {one.username for one in rows_of(snapshot)} == {*GROUPS, ""}
    assert {one.used for one in rows_of(snapshot)} == {None}


async def test_a_source_that_fails_leaves_what_was_known_until_it_is_stale():
    clock = NOW
    source = MadeUp({"ada": [Session(UNIX - 7200, UNIX, {"time": 1.0})]})
    policies = policies_of(rule("today", "8 server-hours", resource="time"))
    meter = Meter(PrometheusClient("http://nowhere.test"), [source], clock=lambda: clock)
    await meter.refresh(timedelta(days=7))
    while await meter.extend():
        pass
    snapshot = StatusSnapshot(policies, meter, NO_LEDGER)
    used = []
    source.failure = PrometheusUnavailable("HTTP 503")
    for minutes in (0, 9, 10, 11, 60):
        clock = NOW + timedelta(minutes=minutes)
        await meter.refresh(timedelta(days=7))
        await snapshot.rebuild([Subject("ada")], {}, clock)
        used.append(rows_of(snapshot)[0].used)
    assert used == [2 * HOUR, 2 * HOUR, 2 * HOUR, None, None]


# --- while it is made -----------------------------------------------------------------------------


async def test_a_scrape_amid_a_rebuild_sees_the_whole_one_before():
    policies = policies_of()
    source = MadeUp(sessions(1))
    snapshot = StatusSnapshot(policies, await meter_of(source, policies), NO_LEDGER)
    await snapshot.rebuild(subjects(), MEMBERS, NOW)
    before = snapshot.standings
    seen: list[Sequence[Standing]] = []

    def half_read() -> Iterator[Request]:
        for request in subjects({"zoe": {"red"}} | GROUPS):
            seen.append(snapshot.standings)
            yield request
        seen.append(snapshot.standings)

    await snapshot.rebuild(half_read(), MEMBERS, NOW)
    assert len(seen) == len(GROUPS) + 2
    assert all(one is before for one in seen)
    assert {one.username for one in rows_of(snapshot)} == {"zoe", "", *GROUPS}


async def test_a_rebuild_that_breaks_off_leaves_the_whole_one_before():
    policies = policies_of()
    snapshot = StatusSnapshot(policies, await meter_of(MadeUp(sessions(1)), policies), NO_LEDGER)
    await snapshot.rebuild(subjects(), MEMBERS, NOW)
    before = snapshot.standings

    def database_gone() -> Iterator[Request]:
        yield from [*subjects()][:2]
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError):
        await snapshot.rebuild(database_gone(), MEMBERS, NOW)
    assert snapshot.standings is before


async def test_others_run_while_many_users_are_judged():
    """However many there are: what else the Hub has to do is done in between."""
    policies = policies_of(rule("week", "8 server-hours", resource="time"))
    many = {f"user-{number}": set() for number in range(3000)}
    snapshot = StatusSnapshot(policies, await meter_of(MadeUp({}), policies), NO_LEDGER)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while not taken.done():
            turns += 1
            await asyncio.sleep(0)

    taken = asyncio.ensure_future(snapshot.rebuild(subjects(many), {}, NOW))
    await asyncio.gather(taken, others())
    assert turns > 2
    assert len(rows_of(snapshot)) == 3000


# --- what labels are made of ----------------------------------------------------------------------


async def test_groups_and_days_are_those_of_the_policy():
    policies = policies_of(
        rule("a", "1 GiB-hours", 7, scope={"group": ["red", "blue", {"glob": "class-*"}]}),
        rule("b", "1 GiB-hours", "36h"),
        rule("c", "1 GiB-hours", {"calendar": "week"}),
        rule("d", "1 GiB-hours", 30, scope={"user": ["bob"]}),
    )
    snapshot = StatusSnapshot(policies, await meter_of(MadeUp({}), policies), NO_LEDGER)
    await snapshot.rebuild([Subject("bob", frozenset({"red"}))], {}, NOW)
    assert {one.policy: (one.groups, one.days) for one in rows_of(snapshot)} == {
        "a": ("blue,class-*,red", "7"),
        "b": ("", "1.5"),
        "c": ("", ""),
        "d": ("", "30"),
    }
