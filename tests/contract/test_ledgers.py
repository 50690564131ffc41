"""What every ledger keeps to, whatever it keeps adjustments in.

Another ledger is a line in `LEDGERS`: how it is opened, with a clock, in a folder or on a server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.errors import (
    AdjustmentRefused,
    AlreadyVoided,
    InvalidAdjustment,
    KeyReused,
    UnknownAdjustment,
)
from jupyterhub_usage_quotas.ledger.base import Held, Journal
from jupyterhub_usage_quotas.ledger.drafts import Proposal, record_proposals
from jupyterhub_usage_quotas.quotas.adjustments import (
    Adjustment,
    Exemption,
    Grant,
    Override,
    Voided,
)
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.subject import EVERYONE, Subject
from tests.support.databases import Databases
from tests.support.examples import FEW
from tests.support.ledgers import (
    ADA,
    BOB,
    DAY,
    HOUR,
    JOINED,
    NOW,
    Clock,
    Open,
    cached,
    grant,
    in_memory,
    in_sqlite,
    on,
    subject,
    times,
    who,
)

ALL = {"everyone": True}
WEEK = parse_policies(
    [{"name": "week", "resource": "time", "limit": "9 h", "window": 7, "scope": ALL}]
)
LEDGERS: dict[str, Open] = {
    "memory": in_memory,
    "sqlite": in_sqlite,
    "cached": cached,
    "postgresql": on("postgresql"),
    "mariadb": on("mariadb"),
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=LEDGERS)
async def journal(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, databases: Databases
) -> Any:
    async with LEDGERS[request.param](tmp_path, clock, databases) as opened:
        yield opened


async def active_of(journal: Journal, one: Subject, at: datetime = NOW) -> Sequence[Adjustment]:
    return (await journal.active([one], at)).of(one)


# --- what is written comes back ------------------------------------------------------------------

HOSTILE = [
    "Robert'); DROP TABLE adjustments;--",
    "<script>alert(1)</script>",
    "%s %(name)s {0} $1 :name ?",
    "ünïcödé 学生 \U0001f469‍\U0001f393 \u202eabc",
    "a\\b\"c'd`e",
    "  spaces inside  and é as two: é",
    "NULL",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_text_is_kept_to_the_letter(journal: Journal, text: str):
    """In every place where somebody writes one; the same for idempotency keys."""
    text = text.strip()
    draft = grant(user=text, policy=text, actor=text, reason=text)
    (written,) = await journal.record([draft], key=text)
    assert replace(written, id=0, created=None) == draft
    assert await active_of(journal, subject(text)) == (written,)
    assert await journal.record([draft], key=text) == [written]
    voided = await journal.void(written.id, actor=text, reason=text)
    assert (voided.voided.actor, voided.voided.reason) == (text, text)
    assert await journal.history([subject(text)]) == [voided]


async def test_names_that_differ_a_little_are_different_users(journal: Journal):
    """In databases that fold case, width or accents, they easily become the same."""
    names = ["ada", "Ada", "ADA", "áda", "ada ", "ad", "adaa", "ａda", "ad_", "ad%", "a\u0301da"]
    for number, name in enumerate(names, start=1):
        await journal.record([grant(number, user=name)])
    for number, name in enumerate(names, start=1):
        assert [one.amount for one in await active_of(journal, subject(name))] == [number], name
        (listed,) = await journal.history([subject(name)])
        assert listed.user == name


@pytest.mark.parametrize(
    ("given_amount", "kept"),
    [
        (0.000001, 0.000001),
        (0.1 + 0.2, 0.3),
        (1 / 3, 0.333333),
        (7200, 7200.0),
        (2.0**53 + 1, 2.0**53 + 1),
        (1000 * 1024**3 * 3600 * 24 * 365 * 1000.0, 1000 * 1024**3 * 3600 * 24 * 365 * 1000.0),
        (1e30, 1e30),
    ],
)
async def test_amounts_are_kept_to_six_decimals(journal: Journal, given_amount, kept):
    override = Override("week", **times(), **who(), limit=given_amount)
    written = await journal.record([grant(given_amount), override])
    assert [written[0].amount, written[1].limit] == [kept, kept]
    assert list(await active_of(journal, ADA)) == list(written)


async def test_instants_are_kept_to_the_microsecond_whatever_their_zone(journal: Journal):
    zone = timezone(timedelta(hours=5, minutes=45))
    start = datetime(2026, 11, 23, 17, 44, 59, 999999, tzinfo=zone)
    draft = grant(start=start, until=start + timedelta(microseconds=2), user_created=start)
    (written,) = await journal.record([draft])
    assert (written.start, written.until - written.start) == (start, timedelta(microseconds=2))
    assert written.start.utcoffset() == written.user_created.utcoffset() == timedelta(0)
    assert written.user_created == start
    last = start + timedelta(microseconds=1)
    assert await active_of(journal, subject("ada", start), last) == (written,)
    assert await active_of(journal, subject("ada", start), written.until) == ()


async def test_a_ledger_says_the_id_and_when_it_was(journal: Journal, clock: Clock):
    kinds = [
        grant(),
        Override("week", **times(), **who("bob"), limit=0),
        Exemption("week", **times(), **who(None)),
    ]
    written = await journal.record(kinds)
    assert [replace(one, id=0, created=None) for one in written] == kinds
    assert [type(one) for one in written] == [Grant, Override, Exemption]
    ids = [one.id for one in written]
    assert ids == sorted(set(ids))
    assert min(ids) > 0
    assert {one.created for one in written} == {clock.seen[-1]}
    (later,) = await journal.record([grant()])
    assert later.id > max(ids)
    assert later.created > written[0].created


# --- who sees what -------------------------------------------------------------------------------


async def test_one_question_for_many_users(journal: Journal):
    mine, all_of_us = grant(1), grant(2, user=None)
    await journal.record([mine, all_of_us, grant(3, user="bob"), grant(4, user="cleo")])
    people = [ADA, BOB, *(subject(f"user-{number}") for number in range(2000))]
    for asked in (people, EVERYONE):
        found = await journal.active(asked, NOW)
        assert [one.amount for one in found.everyone] == [2]
        assert [one.amount for one in found.of(ADA)] == [2, 1]
        assert [one.amount for one in found.of(BOB)] == [2, 3]
        assert [one.amount for one in found.of(people[-1])] == [2]
    assert [one.amount for one in (await journal.active([], NOW)).everyone] == [2]


async def test_what_is_over_is_left_out_and_what_is_to_come_is_not(journal: Journal):
    spans = {
        "over": times(-9 * DAY, -DAY),
        "just over": times(-DAY, timedelta(0)),
        "now": times(-DAY, DAY),
        "from now on": times(timedelta(0), DAY),
        "to come": times(DAY, 2 * DAY),
    }
    await journal.record([grant(policy=name, **span) for name, span in spans.items()])
    assert [one.policy for one in await active_of(journal, ADA)] == [
        "now",
        "from now on",
        "to come",
    ]
    before = await active_of(journal, ADA, NOW - 2 * DAY)
    assert [one.policy for one in before] == list(spans)


async def test_a_user_made_anew_under_the_same_name_inherits_nothing(journal: Journal):
    await journal.record([grant(1), grant(2, user=None)])
    again = subject("ada", NOW - DAY)
    assert [one.amount for one in await active_of(journal, again)] == [2]
    assert await journal.history([again]) == []
    assert [one.amount for one in (await journal.active(EVERYONE, NOW)).of(again)] == [2]
    await journal.record([grant(3, user_created=NOW - DAY)])
    assert [one.amount for one in await active_of(journal, again)] == [2, 3]
    assert [one.amount for one in await active_of(journal, ADA)] == [2, 1]


async def test_the_history_of_one_and_of_all_newest_first_a_page_at_a_time(journal: Journal):
    for number in range(1, 8):
        user = [None, "ada", "bob"][number % 3]
        past = times(-9 * DAY, -8 * DAY) if number % 2 else times()
        await journal.record([grant(number, user=user, **past)])
    assert [one.amount for one in await journal.history(EVERYONE)] == [7, 6, 5, 4, 3, 2, 1]
    assert [one.amount for one in await journal.history([ADA])] == [7, 4, 1]
    assert [one.amount for one in await journal.history([ADA, BOB])] == [7, 5, 4, 2, 1]
    pages, before = [], None
    while page := await journal.history(EVERYONE, before=before, limit=3):
        pages.append([one.amount for one in page])
        before = page[-1].id
    assert pages == [[7, 6, 5], [4, 3, 2], [1]]


# --- voiding -------------------------------------------------------------------------------------


async def test_voiding_says_who_when_and_why_and_changes_nothing_else(journal: Journal, clock):
    first, second = await journal.record([grant(1), grant(2)])
    voided = await journal.void(first.id, actor="head", reason="the wrong ada")
    assert voided == replace(first, voided=Voided("head", clock.seen[-1], "the wrong ada"))
    assert await active_of(journal, ADA) == (second,)
    assert await active_of(journal, ADA, NOW - 30 * DAY) == (second,)
    assert await journal.history([ADA]) == [second, voided]


async def test_what_is_voided_cannot_be_voided_again_and_what_is_not_there_not_at_all(journal):
    (written,) = await journal.record([grant()])
    voided = await journal.void(written.id, actor="head", reason="a slip")
    with pytest.raises(AlreadyVoided, match=rf"{written.id}.*by head"):
        await journal.void(written.id, actor="tutor", reason="another reason")
    for number in (written.id + 1, 0, -1):
        with pytest.raises(UnknownAdjustment):
            await journal.void(number, actor="tutor", reason="another reason")
    assert await journal.history(EVERYONE) == [voided]


async def test_a_request_is_answered_as_the_first_time_also_once_it_is_over(journal: Journal):
    proposal = Proposal(
        kind="grant",
        policy="week",
        user="ada",
        amount="2 hours",
        until=(NOW + HOUR).isoformat(),
        actor="tutor",
        reason="a late deadline",
    )
    over = NOW + DAY
    first = await record_proposals(journal, [proposal], WEEK, now=NOW, key="k")
    assert await record_proposals(journal, [proposal], WEEK, now=over, key="k") == first
    other = replace(proposal, amount="3 hours")
    with pytest.raises(KeyReused):
        await record_proposals(journal, [other], WEEK, now=over, key="k")
    for key in ("new", ""):
        with pytest.raises(InvalidAdjustment, match="until to be later than start"):
            await record_proposals(journal, [proposal], WEEK, now=over, key=key)
    for until in ("2026-11-23T11:00:00", "2026-13-01T00:00Z", "2026-11-23T", "99990101T000000Z"):
        no_instant = replace(proposal, until=until)
        with pytest.raises(InvalidAdjustment, match="until: got "):
            await record_proposals(journal, [no_instant], WEEK, now=over, key="k")
    assert list(await journal.history(EVERYONE)) == list(first)


async def test_a_voiding_is_checked_right_before_and_only_where_it_is_new(journal: Journal):
    (written,) = await journal.record([grant()])
    checked: list[Adjustment] = []
    asked = {"actor": "head", "reason": "a slip", "key": "void"}

    def refuse(held: Held) -> None:
        raise InvalidAdjustment([f"not {held()[0].id}"])

    with pytest.raises(InvalidAdjustment, match=f"not {written.id}"):
        await journal.void(written.id, **asked, check=refuse)
    assert await active_of(journal, ADA) == (written,)
    for _ in range(2):
        await journal.void(written.id, **asked, check=lambda held: checked.extend(held()))
    assert checked == [written]


async def test_of_many_who_void_at_once_one_does(journal: Journal):
    (written,) = await journal.record([grant()])
    calls = (journal.void(written.id, actor=f"t{n}", reason=f"reason {n}") for n in range(20))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in answers if isinstance(one, AlreadyVoided)]
    (done,) = [one for one in answers if not isinstance(one, Exception)]
    assert len(refused) == 19
    assert await journal.history([ADA]) == [done]


@pytest.mark.parametrize(
    "wrong",
    [{"actor": ""}, {"reason": ""}, {"reason": "  \n "}, {"reason": "x" * 1001}, {"key": "\x00"}],
)
async def test_voiding_needs_somebody_and_a_reason(journal: Journal, wrong):
    (written,) = await journal.record([grant()])
    with pytest.raises(InvalidAdjustment):
        await journal.void(written.id, **{"actor": "head", "reason": "a slip"} | wrong)
    assert await active_of(journal, ADA) == (written,)


# --- once, however often it is sent --------------------------------------------------------------


async def test_the_same_request_with_the_same_key_is_carried_out_once(journal: Journal):
    drafts = [grant(1), grant(2, user="bob")]
    first = await journal.record(drafts, key="k")
    assert await journal.record(drafts, key="k") == list(first)
    # As it would be written: not the same text, and yet the same.
    sloppy = [replace(one, reason=f" {one.reason}\n") for one in drafts]
    assert await journal.record(sloppy, key="k") == list(first)
    assert len(await journal.history(EVERYONE)) == 2
    # Without a key each is a request of its own.
    await journal.record(drafts)
    await journal.record(drafts)
    assert len(await journal.history(EVERYONE)) == 6


async def test_the_answer_is_the_first_one_also_after_it_was_voided(journal: Journal):
    first = await journal.record([grant()], key="k")
    voided = await journal.void(first[0].id, actor="head", reason="a slip", key="v")
    assert await journal.record([grant()], key="k") == list(first)
    assert await journal.void(first[0].id, actor="head", reason="a slip", key="v") == voided
    assert await active_of(journal, ADA) == ()


@pytest.mark.parametrize(
    "other",
    [
        [grant(2)],
        [grant(1, actor="somebody else")],
        [grant(1, reason="another reason")],
        [grant(1, user="bob")],
        [grant(1, user_created=NOW)],
        [grant(1, until=NOW + DAY)],
        [grant(1), grant(1)],
        [Override("week", **times(), **who(), limit=1)],
        [Exemption("week", **times(), **who())],
    ],
)
async def test_another_request_with_the_same_key_is_refused(journal: Journal, other):
    first = await journal.record([grant(1)], key="k")
    with pytest.raises(KeyReused):
        await journal.record(other, key="k")
    with pytest.raises(KeyReused):
        await journal.void(first[0].id, actor="tutor", reason="a late deadline", key="k")
    assert await journal.history(EVERYONE) == list(first)


async def test_what_is_proposed_again_means_what_it_meant_the_first_time(journal: Journal):

    async def give(amount: str, until: str, at: datetime, key: str = "ticket 7"):
        proposal = Proposal(
            kind="grant",
            policy="week",
            user="ada",
            amount=amount,
            until=until,
            actor="tutor",
            reason="a late deadline",
        )
        return await record_proposals(journal, [proposal], WEEK, now=at, key=key)

    (first,) = await give("2h", "7d", NOW)
    (again,) = await give("2h", "7d", NOW + DAY)
    assert again == first
    assert first.until == NOW + 7 * DAY
    for amount, until in (("3h", "7d"), ("2h", "8d"), ("2h", "2026-11-30T00:00Z")):
        with pytest.raises(KeyReused):
            await give(amount, until, NOW + DAY)
    await journal.void(first.id, actor="tutor", reason="the wrong ada", key="a voiding")
    with pytest.raises(KeyReused):
        await give("2h", "7d", NOW, key="a voiding")
    assert len(await journal.history(EVERYONE)) == 1


async def test_a_key_of_a_voiding_is_no_other_voidings(journal: Journal):
    first, second = await journal.record([grant(1), grant(2)])
    await journal.void(first.id, actor="head", reason="a slip", key="k")
    for number, actor, reason in [
        (second.id, "head", "a slip"),
        (first.id, "tutor", "a slip"),
        (first.id, "head", "another"),
    ]:
        with pytest.raises(KeyReused):
            await journal.void(number, actor=actor, reason=reason, key="k")
    with pytest.raises(KeyReused):
        await journal.record([grant(1)], key="k")
    assert await active_of(journal, ADA) == (second,)


async def test_of_many_with_one_key_at_once_all_get_the_same_answer(journal: Journal):
    calls = (journal.record([grant()], key="double click") for _ in range(20))
    answers = await asyncio.gather(*calls)
    assert len(await journal.history(EVERYONE)) == 1
    assert answers == [answers[0]] * 20


async def test_many_at_once_are_all_there_and_each_once(journal: Journal):
    calls = (journal.record([grant(number + 1)]) for number in range(100))
    answers = await asyncio.gather(*calls)
    ids = [one.id for (one,) in answers]
    assert len(set(ids)) == 100
    found = await active_of(journal, ADA)
    assert sorted(one.amount for one in found) == list(range(1, 101))
    assert [one.id for one in found] == sorted(ids)


# --- all or nothing ------------------------------------------------------------------------------


async def test_of_several_all_are_written_or_none(journal: Journal):
    with pytest.raises(InvalidAdjustment):
        await journal.record([grant(1), grant(2, reason="")], key="k")
    assert await journal.history(EVERYONE) == []
    # What was refused did not use up its key.
    assert len(await journal.record([grant(1)], key="k")) == 1
    assert await journal.record([]) == []


def at_most(most: float) -> Callable[[Sequence[Adjustment]], None]:
    def check(held: Held) -> None:
        if sum(one.amount for one in held() if isinstance(one, Grant)) >= most:
            raise AdjustmentRefused(f"no more than {most}")

    return check


async def test_a_check_sees_all_that_its_users_hold(journal: Journal):
    over = times(-9 * DAY, -8 * DAY)
    first, old, _, for_all, voided = await journal.record(
        [grant(1), grant(2, **over), grant(3, user="bob"), grant(4, user=None), grant(5)]
    )
    await journal.void(voided.id, actor="head", reason="a slip")
    seen: list[Sequence[Adjustment]] = []
    await journal.record([grant(6)], check=lambda held: seen.append(list(held())))
    await journal.record([grant(7, user=None)], check=lambda held: seen.append(list(held())))
    assert seen == [[first, old], [for_all]]


async def test_what_a_check_refuses_is_not_written(journal: Journal):
    await journal.record([grant(5)], key="k", check=at_most(5))
    with pytest.raises(AdjustmentRefused, match="no more than 5"):
        await journal.record([grant(1)], key="m", check=at_most(5))
    assert [one.amount for one in await active_of(journal, ADA)] == [5]
    # A request that was answered is answered again, whatever the check says by now.
    assert len(await journal.record([grant(5)], key="k", check=at_most(5))) == 1
    assert len(await journal.record([grant(1)], key="m", check=at_most(9))) == 1


async def test_two_at_once_cannot_both_pass_a_check(journal: Journal):
    calls = (journal.record([grant(1)], check=at_most(3)) for _ in range(20))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(one, AdjustmentRefused) for one in answers) == 17
    assert len(await active_of(journal, ADA)) == 3


# --- what is refused -----------------------------------------------------------------------------

WRONG: dict[str, tuple[Adjustment, str]] = {
    "no reason": (grant(reason=""), "a reason is required"),
    "a reason of spaces": (grant(reason=" \n\t "), "a reason is required"),
    "a novel": (grant(reason="x" * 1001), "at most 1000 characters"),
    "nobody": (grant(actor=""), "actor must not be empty"),
    "a name without characters": (grant(user=" "), "user must not be empty"),
    "a long name": (grant(user="x" * 256), "at most 255 characters"),
    "no policy": (grant(policy=""), "policy must not be empty"),
    "a null character": (grant(user="a\x00"), "control characters"),
    "a new line in a name": (grant(actor="a\nb"), "control characters"),
    "a lone surrogate": (grant(reason="why \ud800"), "control characters"),
    "an escape": (grant(reason="\x1b[31mred"), "control characters"),
    "nothing": (grant(0), "above 0"),
    "next to nothing": (grant(1e-9), "above 0"),
    "too much": (grant(1.1e30), "at most 1e+30"),
    "too high a limit": (Override("week", **times(), **who(), limit=1e31), "at most 1e+30"),
    "over before it begins": (grant(**times(DAY, DAY)), "later than start"),
    "for ever": (grant(**times(-DAY, 3661 * DAY)), "expected at most 3660 days"),
    "no zone": (grant(until=datetime(2026, 12, 1)), "until must have a time zone"),
    "no zone for the user": (grant(user_created=datetime(2026, 1, 1)), "time zone"),
    "before computers": (grant(start=datetime(1900, 1, 1, tzinfo=UTC)), "in the years 2000"),
    "after us": (grant(until=datetime(9999, 1, 1, tzinfo=UTC)), "in the years 2000 to 9000"),
    "an id": (grant(id=7), "set by the ledger"),
    "when it was": (grant(created=NOW), "set by the ledger"),
    "voided": (grant(voided=Voided("a", NOW, "b")), "set by the ledger"),
    "no kind": (Adjustment("week", **times(), **who()), "expected a Grant"),
    "an identity of nobody": (grant(user=None, user_created=JOINED), "without a user"),
}


@pytest.mark.parametrize(("draft", "says"), WRONG.values(), ids=WRONG)
async def test_what_cannot_be_kept_is_refused(journal: Journal, draft, says):
    with pytest.raises(InvalidAdjustment) as refused:
        await journal.record([draft])
    assert [says in line for line in refused.value.errors] == [True]
    assert await journal.history(EVERYONE) == []


async def test_everything_that_is_wrong_is_said_at_once(journal: Journal):
    with pytest.raises(InvalidAdjustment) as refused:
        await journal.record([grant(0, reason="", actor="", until=NOW - DAY)])
    assert len(refused.value.errors) == 4


@pytest.mark.parametrize("key", ["k" * 201, "\x00", "a\nb", "\ud800", "  "])
async def test_keys_that_cannot_be_kept_are_refused(journal: Journal, key):
    with pytest.raises(InvalidAdjustment, match="key"):
        await journal.record([grant()], key=key)
    assert await journal.history(EVERYONE) == []


# --- against a model -----------------------------------------------------------------------------

USERS = st.sampled_from(["ada", "bob", None])
HOURS = st.integers(-48, 48)
RECORD = st.tuples(
    st.just("record"), USERS, HOURS, st.integers(1, 48), st.integers(1, 9), st.sampled_from("  kl")
)
VOID = st.tuples(st.just("void"), st.integers(1, 8), st.sampled_from("  kl"))


@FEW
@given(steps=st.lists(RECORD | VOID, max_size=12), at=HOURS)
@pytest.mark.parametrize("opened", LEDGERS.values(), ids=LEDGERS)
def test_a_ledger_is_a_list_of_rows_and_a_list_of_what_was_voided(
    opened: Open,
    tmp_path_factory: pytest.TempPathFactory,
    databases: Databases,
    steps: list[Any],
    at: int,
):
    """Whatever is done in whatever order: kept against two plain lists and a dictionary."""

    async def run() -> None:
        async with opened(tmp_path_factory.mktemp("ledger"), Clock(), databases) as journal:
            await compared(journal, steps, NOW + at * HOUR)

    asyncio.run(run())


async def compared(journal: Journal, steps: list[Any], at: datetime) -> None:
    rows: list[Adjustment] = []
    voided: set[int] = set()
    keys: dict[str, tuple[Any, ...]] = {}
    for step in steps:
        key = step[-1].strip()
        repeated = key in keys
        if repeated and keys[key] != step:
            expected: type[Exception] | None = KeyReused
        elif step[0] == "void" and not repeated and step[1] > len(rows):
            expected = UnknownAdjustment
        elif step[0] == "void" and not repeated and step[1] in voided:
            expected = AlreadyVoided
        else:
            expected = None
        done = await attempt(journal, step, rows, key)
        if expected:
            assert isinstance(done, expected)
            continue
        assert not isinstance(done, Exception)
        keys |= {key: step} if key else {}
        if step[0] == "void":
            voided.add(step[1])
        elif not repeated:
            rows.append(done)
    kept = [one for number, one in enumerate(rows, start=1) if number not in voided]
    for user in ("ada", "bob"):
        theirs = [one for one in kept if one.user in (None, user) and one.until > at]
        found = await active_of(journal, subject(user), at)
        assert sorted(found, key=lambda one: one.id) == theirs
    history = await journal.history(EVERYONE, limit=1000)
    assert [replace(one, voided=None) for one in history] == rows[::-1]
    gone = {rows.index(replace(one, voided=None)) + 1 for one in history if one.voided}
    assert gone == voided


async def attempt(journal: Journal, step: Any, rows: list[Adjustment], key: str) -> Any:
    try:
        if step[0] == "void":
            number = rows[step[1] - 1].id if step[1] <= len(rows) else 10**9 + step[1]
            return await journal.void(number, actor="head", reason="a slip", key=key)
        _, user, start, hours, amount, _ = step
        span = times(start * HOUR, (start + hours) * HOUR)
        return (await journal.record([grant(amount, user=user, **span)], key=key))[0]
    except AdjustmentRefused as refused:
        return refused
