"""Whoever gathers, the decision is the same: a launch and a page of the Hub, the viewer, and check.

The oracle is `decide` on inputs that are written down by hand from the same sessions.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jupyterhub_usage_quotas.errors import PrometheusUnavailable
from jupyterhub_usage_quotas.ledger.base import Ledger
from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.quotas.adjustments import Adjustment, Exemption, Grant, Override
from jupyterhub_usage_quotas.quotas.charge import Readings
from jupyterhub_usage_quotas.quotas.decide import Decision, Outcome, decide
from jupyterhub_usage_quotas.quotas.in_flight import InFlight
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.policy import PolicySet
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.subject import REST, Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.everyone import EveryoneStatuses
from jupyterhub_usage_quotas.status.inputs import DecisionInputs, gather
from jupyterhub_usage_quotas.status.members import Members
from jupyterhub_usage_quotas.status.snapshot import StatusSnapshot
from jupyterhub_usage_quotas.status.users import UserStatuses
from tests.support.made_up import MadeUp, Session

NOW = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)
UNIX = NOW.timestamp()
HOUR, GIB = 3600.0, 1024.0**3
PEOPLE = [
    Subject("ada", frozenset({"red"})),
    Subject("bob", frozenset({"red", "blue"})),
    Subject("cleo", frozenset({"blue"})),
    Subject("dan"),
    Subject("eve", frozenset({"red"}), admin=True),
]
RESOURCES = ("time", "memory", "cpu", "gpu")


def rule(name: str, limit: str, window: object = 7, **more: Any) -> dict[str, Any]:
    usual = {"resource": "memory", "scope": {"everyone": True}}
    return {"name": name, "limit": limit, "window": window} | usual | more


ALONE = [
    rule("each", "40 GiB-hours", minimum_session="1 hour"),
    rule("red", "50 GiB-hours", scope={"group": ["red"]}, exempt={"admin": True}),
    rule("today", "8 server-hours", {"calendar": "day"}, resource="time"),
    rule("balance", "12 CPU-hours", {"refill": 1, "every": "6 hours"}, resource="cpu"),
    rule("gpus", "3 GPU-hours", resource="gpu", servers={"gpu": True}),
    rule("spent", "90 credits", resource="credits"),
    rule("warned", "1 CPU-hours", resource="cpu", when_exhausted="warn"),
]
POOLED = [
    *ALONE,
    rule("team", "60 GiB-hours", "36h", share="pooled", scope={"group": ["red"]}),
    rule("all", "60 server-hours", 3, resource="time", share="pooled"),
    rule("first", "2 CPU-hours", 9, resource="cpu", share="pooled", overflow="individual",
         scope={"group": ["blue"]}),
    rule("rest", "4 CPU-hours", 9, resource="cpu"),
]  # fmt: skip
MEMBERS: Members = {"team": {"ada", "bob", "eve"}, "all": None, "first": {"bob", "cleo"}}
"""Whom the pooled policies above cover."""
BEGAN, ENDS = NOW - timedelta(days=2), NOW + timedelta(days=1)
DECIDED: tuple[Adjustment, ...] = (
    Grant("each", BEGAN, ENDS, "ada", 1, amount=7 * GIB * HOUR),
    Override("today", BEGAN, ENDS, "bob", 2, limit=2 * HOUR),
    Exemption("spent", BEGAN, ENDS, "cleo", 3),
    Grant("team", BEGAN, ENDS, id=4, amount=13 * GIB * HOUR),
    Grant("first", BEGAN, ENDS, id=5, amount=2 * HOUR),
    Grant("balance", NOW + timedelta(hours=2), ENDS, id=6, amount=3 * HOUR),
)
REQUESTS = [
    {"time": 1.0},
    {"time": 1.0, "memory": 4 * GIB, "cpu": 1.0},
    {"time": 1.0, "memory": 30 * GIB, "cpu": 1.0, "gpu": 1.0},
]


def policies_of(rules: Sequence[dict[str, Any]], *, failover_open: bool = False) -> PolicySet:
    prices = {"cpu": 1, "memory": 0.5, "gpu": 10}
    return parse_policies(list(rules), failover_open=failover_open, credit_prices=prices)


def sessions(seed: int) -> dict[str, list[Session]]:
    """What all but eve did in the last eight days; somebody who was deleted, too."""
    chance = random.Random(seed)
    made: dict[str, list[Session]] = {}
    for user in ("ada", "bob", "cleo", "dan", "deleted"):
        for _ in range(chance.randrange(1, 8)):
            start = UNIX - 60 * chance.randrange(2, 8 * 1440)
            end = min(start + 60 * chance.randrange(1, 500), UNIX)
            gpus = chance.choice([0, 0, 1])
            rates = {"time": 1.0, "memory": chance.choice([1, 2.5]) * GIB, "cpu": 0.5, "gpu": gpus}
            server = ServerAttributes("p", "P", chance.choice(["", "x"]), gpu=bool(gpus))
            made.setdefault(user, []).append(Session(start, end, rates, server))
    return made


# --- the oracle: what is known, written down by hand ----------------------------------------------


def readings_of(happened: Mapping[str, Sequence[Session]], user: str) -> Readings:
    return {
        resource: Fresh(
            Usage(
                tuple(
                    Bucket(one.start, one.end, rate * (one.end - one.start), one.server)
                    for one in happened.get(user, ())
                    if (rate := one.rates.get(resource, 0))
                ),
                NOW,
            )
        )
        for resource in RESOURCES
    }


def expected(
    policies: PolicySet, happened: Mapping[str, Sequence[Session]], request: Request
) -> Decision:
    name = request.subject.name
    everybody = {*happened, REST}
    return decide(
        policies,
        readings_of(happened, name),
        request,
        NOW,
        adjustments=[one for one in DECIDED if one.user in (None, name)],
        pools={
            pool: {one: readings_of(happened, one) for one in (whose or everybody)}
            for pool, whose in MEMBERS.items()
        },
    )


# --- the ways to gather ---------------------------------------------------------------------------


class Directory:
    """A Hub with these users."""

    async def subjects(self) -> Sequence[Subject]:
        return PEOPLE


def new_meter(source: MadeUp) -> Meter:
    return Meter(PrometheusClient("http://nowhere.test"), [source], clock=lambda: NOW)


class World:
    """All who gather, of the same source and ledger."""

    def __init__(self, policies: PolicySet, source: MadeUp, ledger: Ledger) -> None:
        self.policies, self.ledger = policies, ledger
        self.kept, self.cold = new_meter(source), new_meter(source)
        self.members = {one.name: MEMBERS[one.name] for one in policies if one.pooled}
        self.snapshot = StatusSnapshot(policies, self.kept, ledger)
        self.page = UserStatuses(policies, self.kept, ledger, pools=lambda: self.snapshot.pools)
        self.viewer = EveryoneStatuses(policies, self.kept, Directory(), ledger)
        self.check = UserStatuses(policies, self.cold, ledger)

    async def refresh(self) -> World:
        await self.kept.refresh(self.policies.reach)
        while await self.kept.extend():
            pass
        await self.snapshot.rebuild(PEOPLE, self.members, NOW)
        return self

    async def inputs(self, subject: Subject) -> Mapping[str, DecisionInputs]:
        """The inputs of a decision about one user, by who gathers them."""

        async def gathered(meter: Meter, subjects: Sequence[Subject]) -> DecisionInputs:
            found = await gather(self.policies, meter, self.ledger, subjects, NOW, self.members)
            return found.of(subject)

        of_all = await self.viewer.of_everyone(NOW)
        return {
            "a launch": (await gathered(self.kept, [subject])).with_in_flight(InFlight()),
            "a page of the Hub": (await self.page.cached(subject, NOW, InFlight())).inputs,
            "the viewer": await self.viewer.inputs(subject, NOW),
            "the viewer's page": (await self.viewer.of(subject, NOW)).inputs,
            "the viewer's table": next(one.inputs for one in of_all if one.subject == subject),
            "check": await self.check.inputs(subject, NOW, self.members),
            "several at once": await gathered(self.cold, PEOPLE),
        }


def said(decision: Decision) -> Iterator[object]:
    """What a decision says, but for how completely usage is known: that depends on how far back
    it is asked for.
    """
    yield decision.outcome
    yield decision.retry_time
    yield decision.binding.allotment.name if decision.binding else None
    yield getattr(decision.failover, "reason", None)
    for one in decision.verdicts:
        yield one.allotment.name
        yield (one.applies, one.fits, one.never, one.retry_time)
        amounts = (one.used, one.allowance, one.remaining)
        # Sums in another order may differ in the last digits.
        yield [None if amount is None else f"{amount:.9g}" for amount in amounts]


@pytest.mark.parametrize("rules", [ALONE, POOLED], ids=["alone", "pooled"])
@pytest.mark.parametrize("seed", range(5))
async def test_the_decision_is_the_same_by_every_way(seed, rules):
    policies, happened = policies_of(rules), sessions(seed)
    outcomes = set()
    world = await World(policies, MadeUp(happened), MemoryLedger(DECIDED)).refresh()
    for subject in PEOPLE:
        ways = await world.inputs(subject)
        for rates in REQUESTS:
            request = Request(subject, rates=rates)
            right = expected(policies, happened, request)
            outcomes.add(right.outcome)
            for way, inputs in ways.items():
                assert inputs.subject == subject
                assert [*said(inputs.decide(request))] == [*said(right)], way
    assert outcomes == {Outcome.ALLOWED, Outcome.DENIED}


@pytest.mark.parametrize("rules", [ALONE, POOLED], ids=["alone", "pooled"])
@pytest.mark.parametrize("failover_open", [True, False])
@pytest.mark.parametrize("broken", ["fails", "not scraped"])
async def test_where_usage_is_not_known_all_fail_over_alike(rules, failover_open, broken):
    source = MadeUp(sessions(1), alive=broken != "not scraped")
    if broken == "fails":
        source.failure = PrometheusUnavailable("HTTP 503")
    policies = policies_of(rules, failover_open=failover_open)
    outcome = Outcome.FAILOVER_OPEN if failover_open else Outcome.FAILOVER_CLOSED
    reason = "not_scraped" if broken == "not scraped" else "unavailable"
    world = await World(policies, source, MemoryLedger(DECIDED)).refresh()
    for subject in PEOPLE:
        ways = await world.inputs(subject)
        for way, inputs in ways.items():
            decision = inputs.decide(Request(subject))
            assert decision.outcome is outcome, way
            assert decision.failover.reason == reason, way
            assert {one.used for one in decision.verdicts} == {None}, way
