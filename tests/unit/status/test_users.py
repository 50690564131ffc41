"""Where users stand: the same for one as in the list of all, with what was granted to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_usage_quotas.config.quotas import Enforcement
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from jupyterhub_usage_quotas.quotas.adjustments import Exemption, Grant, Override, Voided
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.serialize import DecisionReport
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.services.viewer.api import serialize
from jupyterhub_usage_quotas.services.viewer.pages.summary import Summary, if_enforced, summary
from jupyterhub_usage_quotas.services.viewer.pages.user import cards, row
from jupyterhub_usage_quotas.services.viewer.table import Filter, Page, counts, row_state, selected
from jupyterhub_usage_quotas.status.everyone import EveryoneStatuses
from jupyterhub_usage_quotas.status.inputs import gather
from tests.support.viewer import UNKNOWN, FakeMeter

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = 3600.0
POLICIES = [
    {"name": "week", "resource": "cpu", "limit": "10 CPU-hours", "window": 7}
    | {"scope": {"everyone": True}},
    {"name": "team", "resource": "gpu", "limit": "6 GPU-hours", "window": 7, "share": "pooled"}
    | {"scope": {"group": ["red"]}},
    {"name": "tell", "resource": "time", "limit": "1 hours", "window": 1}
    | {"scope": {"group": ["red"]}, "when_exhausted": "warn"},
]
PAYING_FIRST = [
    POLICIES[1] | {"overflow": "individual"},
    {"name": "own", "resource": "gpu", "limit": "2 GPU-hours", "window": 7}
    | {"scope": {"group": ["red"]}},
]
PEOPLE = [
    Subject("ann", frozenset({"red"})),
    Subject("bob", frozenset({"red"})),
    Subject("cyd"),
    Subject("dan"),
    Subject("eve", admin=True),
]


class People:
    """A Hub with these users, and how often they were listed."""

    def __init__(self) -> None:
        self.listed = 0

    async def subjects(self) -> Sequence[Subject]:
        self.listed += 1
        return PEOPLE


def used(amount: float, *, ongoing: bool = False, server: str = "") -> Fresh:
    end = NOW.timestamp() - (0 if ongoing else 5 * HOUR)
    bucket = Bucket(end - 2 * HOUR, end, amount * HOUR, ServerAttributes(name=server))
    return Fresh(Usage((bucket,), NOW))


def statuses(
    *adjustments, entries=POLICIES, enforced=True, **readings
) -> tuple[EveryoneStatuses, FakeMeter, People]:
    meter, hub = FakeMeter(dict(readings)), People()
    policies = parse_policies(entries, {}, failover_open=True)
    ledger = MemoryLedger(adjustments)
    made = EveryoneStatuses(policies, meter, hub, ledger, enforced=enforced)
    return made, meter, hub


READINGS = {
    "ann": {"cpu": used(4, ongoing=True), "gpu": used(2), "time": used(2)},
    "bob": {"cpu": used(11), "gpu": used(3)},
    "dan": {"cpu": UNKNOWN},
}


async def test_one_and_all_are_the_same_from_a_single_reading():
    made, meter, _ = statuses(**READINGS)
    everybody = await made.of_everyone(NOW)
    assert meter.asked == [None]
    assert [one.subject for one in everybody] == PEOPLE
    for one in everybody:
        alone = await made.of(one.subject, NOW)
        assert serialize.status(alone, Enforcement.enforce) == serialize.status(
            one, Enforcement.enforce
        )
        assert serialize.row(alone) == serialize.row(one)


async def test_a_pool_is_what_all_its_members_used():
    made, _, hub = statuses(**READINGS)
    status = await made.of(PEOPLE[0], NOW)
    pool = next(one for one in status.decision.verdicts if one.allotment.name == "team")
    assert pool.used == pytest.approx(5 * HOUR)
    assert hub.listed == 1


@pytest.mark.parametrize("entries", [POLICIES, PAYING_FIRST], ids=["", "pays first"])
@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
async def test_decisions_are_those_that_the_hub_makes(person, entries):
    """Which gathers for one user at a time, as the command line does."""
    made, meter, _ = statuses(entries=entries, **READINGS)
    request = Request(Subject(person.name, person.groups, admin=person.admin))
    members = {"team": {"ann", "bob"}}
    gathered = await gather(made.policies, meter, NO_LEDGER, [person], NOW, members)
    expected = DecisionReport.of(gathered.of(person).decide(request))
    assert DecisionReport.of((await made.of(person, NOW)).decision) == expected
    everybody = {one.subject: one for one in await made.of_everyone(NOW)}
    assert DecisionReport.of(everybody[person].decision) == expected


async def test_a_pool_is_used_up_by_the_servers_of_all_its_members():
    """1 of 6 GPU-hours is left, and two members run a GPU each; a third who runs none, and
    somebody with a server who is no member, change nothing.
    """
    readings = {
        "ann": {"gpu": used(2, ongoing=True)},
        "bob": {"gpu": used(3), "cpu": used(2, ongoing=True)},
        "cyd": {"gpu": used(2, ongoing=True)},
    }
    made, _, _ = statuses(**readings)
    for person in PEOPLE[:2]:
        status = await made.of(person, NOW)
        pool = next(one for one in status.outlooks if one.verdict.allotment.pool)
        assert pool.exhausted_at == NOW + timedelta(hours=1)
    readings["bob"] = {"gpu": used(3, ongoing=True)}
    made, _, _ = statuses(**readings)
    status = await made.of(PEOPLE[0], NOW)
    pool = next(one for one in status.outlooks if one.verdict.allotment.pool)
    # One and a half GPUs more: 1 GPU-hour lasts 24 minutes at 2.5 GPUs.
    assert pool.exhausted_at == NOW + timedelta(minutes=24)


async def test_a_pool_that_pays_first_is_used_up_by_the_servers_of_all_its_members():
    """6 GPU-hours, of which 5 were used; two members run 1 and 1.5 GPUs."""
    readings = {"ann": {"gpu": used(2, ongoing=True)}, "bob": {"gpu": used(3, ongoing=True)}}
    made, _, _ = statuses(entries=PAYING_FIRST, **readings)
    for person in PEOPLE[:2]:
        for status in (await made.of(person, NOW), (await made.of_everyone(NOW))[0]):
            pool = next(one for one in status.outlooks if one.verdict.allotment.pool)
            assert pool.verdict.used == pytest.approx(5 * HOUR)
            assert pool.exhausted_at == NOW + timedelta(minutes=24)


async def test_of_what_one_member_used_that_is_not_known_the_pool_is_not():
    made, _, _ = statuses(ann={"gpu": used(2)}, bob={"gpu": UNKNOWN})
    status = await made.of(PEOPLE[0], NOW)
    pool = next(one for one in status.decision.verdicts if one.allotment.pool)
    assert (pool.used, pool.fits) == (None, None)


async def test_all_are_worked_out_once_for_each_instant():
    made, meter, _ = statuses(**READINGS)
    assert await made.of_everyone(NOW) is await made.of_everyone(NOW)
    await made.of_everyone(NOW + timedelta(minutes=1))
    assert len(meter.asked) == 2


async def test_who_is_over_who_will_be_and_of_whom_it_is_not_known():
    """Ann uses 2 cores, and has 6 CPU-hours left: until this afternoon."""
    made, _, _ = statuses(**READINGS)
    everybody = {one.subject.name: one for one in await made.of_everyone(NOW)}
    states = {name: one.severity for name, one in everybody.items()}
    assert states == {
        "ann": "exhausted",  # of what only warns
        "bob": "exhausted",
        "cyd": "ok",
        "dan": "unknown",
        "eve": "ok",
    }
    week = everybody["ann"].outlooks[0]
    assert week.exhausted_at == NOW + timedelta(hours=3)
    assert [one.rates for one in everybody["ann"].servers] == [{"cpu": 2.0}]


async def test_where_quotas_are_not_enforced_servers_may_start():
    """In shadow mode users are told figures, admins also what users would be told."""
    made, _, _ = statuses(enforced=False, **READINGS)
    enforcing, _, _ = statuses(**READINGS)
    found = {one.subject.name: one for one in await made.of_everyone(NOW)}
    not_enforced = "Quotas are not enforced at the moment."
    told = {name: summary(found[name]) for name in ("bob", "cyd", "dan")}
    assert told == {
        "bob": Summary("low", f"A quota is used up. Servers may start. {not_enforced}"),
        "cyd": Summary("ok", f"Servers may start. {not_enforced}"),
        "dan": Summary("unknown", f"Usage is not known. Servers may start. {not_enforced}"),
    }
    for one in await enforcing.of_everyone(NOW):
        would_be = if_enforced(found[one.subject.name])
        assert would_be == summary(one)
        assert not_enforced not in would_be.text
    over = cards(found["bob"])[0]
    assert (over.severity, over.used, over.only_warns) == ("exhausted", "11 CPU-hours", True)
    assert not cards(await enforcing.of(PEOPLE[1], NOW))[0].only_warns


async def test_what_was_granted():
    start, until = NOW - timedelta(days=1), NOW + timedelta(days=1)
    given = [
        Grant("week", start, until, "ann", 1, actor="tutor", reason="late", amount=5 * HOUR),
        Grant("week", NOW + timedelta(hours=1), until, "ann", 2, amount=HOUR),
        Grant("week", start, until, "bob", 3, amount=HOUR),
        Override("tell", start, until, "ann", 4, limit=3 * HOUR),
        Exemption("week", start, until, "cyd", 5),
        Exemption("week", start, until, "eve", 6, voided=Voided("tutor", NOW, "a slip")),
    ]
    made, _, _ = statuses(*given, **READINGS)
    everybody = {one.subject.name: one for one in await made.of_everyone(NOW)}
    week, _, tell = cards(everybody["ann"])
    assert week.allowance == "15 CPU-hours"
    assert [(one.what, one.until) for one in week.grants] == [("5 CPU-hours more", until)]
    assert [(one.what, one.until) for one in tell.grants] == [("3h instead", until)]
    written = serialize.status(everybody["ann"], Enforcement.enforce).model_dump()["verdicts"]
    end = "2026-11-24T12:00:00Z"
    (first,), (third,) = written[0]["grants"], written[2]["grants"]
    assert first == {
        **{"id": 1, "kind": "grant", "policy": "week", "user": "ann", "amount": 5.0},
        **{"unit": "CPU-hours", "start": "2026-11-22T12:00:00Z", "until": end},
        **{"actor": "tutor", "reason": "late"},
    }
    assert (third["id"], third["kind"], third["amount"], third["until"]) == (4, "override", 3, end)
    (free,) = cards(everybody["cyd"])
    assert (free.allowance, free.remaining, free.share) == ("unlimited", "unlimited", None)
    assert [(one.what, one.until) for one in free.grants] == [("no limit", until)]
    (written,) = serialize.status(everybody["cyd"], Enforcement.enforce).model_dump()["verdicts"]
    (exempted,) = written["grants"]
    assert (exempted["kind"], exempted["amount"], exempted["until"]) == ("exemption", None, end)
    assert (written["allowance"], written["remaining"], written["fits"]) == (None, None, True)
    (limited,) = cards(everybody["eve"])
    assert (limited.allowance, limited.grants) == ("10 CPU-hours", ())


async def test_cards_in_words():
    made, _, _ = statuses(**READINGS)
    everybody = {one.subject.name: one for one in await made.of_everyone(NOW)}
    over = cards(everybody["bob"])[0]
    assert (over.severity, over.used) == ("exhausted", "11 CPU-hours")
    assert (over.remaining, over.share) == ("0 CPU-hours", 1)
    # Whole minutes: 1 of 11 CPU-hours has left the window when a little more than 1/11 of the
    # two hours have, and nothing is enough before something remains.
    began = NOW - timedelta(hours=7) + timedelta(days=7)
    assert over.retry_time == began + timedelta(minutes=11)
    unknown = cards(everybody["dan"])[0]
    assert (unknown.severity, unknown.used, unknown.remaining, unknown.share) == (
        "unknown",
        "not known",
        "not known",
        None,
    )
    assert unknown.notice == "Usage is not known at the moment. Until it is, servers may start."
    unused = cards(everybody["cyd"])[0]
    assert (unused.severity, unused.used, unused.gets_back) == ("ok", "0 CPU-hours", "")
    short = row((await statuses(cyd={"cpu": used(8)})[0].of_everyone(NOW))[2])
    assert short.cards[0].severity == "low"


NAMES = {
    Filter(): ["ann", "bob", "cyd", "dan", "eve"],
    Filter(sort="-name"): ["eve", "dan", "cyd", "bob", "ann"],
    Filter(search="N"): ["ann", "dan"],
    Filter(group="red"): ["ann", "bob"],
    Filter(state="exhausted"): ["ann", "bob"],
    Filter(state="unknown"): ["dan"],
    Filter(policy="team"): ["ann", "bob"],
    Filter(policy="nothing"): [],
    Filter(sort="-used"): ["ann", "bob", "cyd", "eve", "dan"],
    Filter(sort="-used", policy="week"): ["bob", "ann", "cyd", "eve", "dan"],
    Filter(sort="used", policy="week"): ["dan", "cyd", "eve", "ann", "bob"],
    Filter(sort="state"): ["ann", "bob", "dan", "cyd", "eve"],
}


@pytest.mark.parametrize("wanted", NAMES, ids=str)
async def test_choosing_and_ordering_rows(wanted):
    """Ann used twice what she is only told of; nothing is known of Dan."""
    made, _, _ = statuses(**READINGS)
    chosen = selected(await made.of_everyone(NOW), wanted)
    assert [one.subject.name for one in chosen] == NAMES[wanted]


LIMITED = [POLICIES[0] | {"exempt": {"admin": True}, "scope": {"user": ["bob", "cyd", "dan"]}}]
"""By which no quota applies to Ann, nor to Eve, an admin."""


async def test_people_without_quota_are_counted_apart_from_those_within():
    made, _, _ = statuses(entries=LIMITED, **READINGS)
    everybody = await made.of_everyone(NOW)
    assert {one.subject.name: row_state(one) for one in everybody} == {
        "ann": "none",
        "bob": "exhausted",
        "cyd": "ok",
        "dan": "unknown",
        "eve": "none",
    }
    assert serialize.row(everybody[4]).state == "none"
    page = Page(Filter(state="none"), 0, 50)
    shown = {one.state: (one.name, one.number, one.chosen) for one in counts(everybody, page, "/")}
    assert shown == {
        "": ("All", 5, False),
        "exhausted": ("Used up", 1, False),
        "low": ("Nearly used up", 0, False),
        "unknown": ("Not known", 1, False),
        "ok": ("OK", 1, False),
        "none": ("No quota", 2, True),
    }
    assert sum(number for _, number, _ in shown.values()) == 2 * len(everybody)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (Filter(state="none"), ["ann", "eve"]),
        (Filter(state="ok"), ["cyd"]),
        (Filter(sort="state"), ["bob", "dan", "cyd", "ann", "eve"]),
        (Filter(sort="-used"), ["bob", "cyd", "ann", "dan", "eve"]),
    ],
)
async def test_people_without_quota_are_chosen_apart_and_come_last(wanted, names):
    made, _, _ = statuses(entries=LIMITED, **READINGS)
    chosen = selected(await made.of_everyone(NOW), wanted)
    assert [one.subject.name for one in chosen] == names


async def test_a_quota_without_end_is_a_quota():
    """Who is exempt from a policy for a while is within it, and is shown what they used."""
    exempt = Exemption("week", NOW, NOW + timedelta(days=3), user="bob")
    made, _, _ = statuses(exempt, entries=LIMITED, **READINGS)
    bob = next(one for one in await made.of_everyone(NOW) if one.subject.name == "bob")
    assert (row_state(bob), cards(bob)[0].used) == ("ok", "11 CPU-hours")
