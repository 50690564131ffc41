"""What is left of a person whom a ledger is to forget, and what it is still needed for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jupyterhub_usage_quotas.errors import InvalidAdjustment
from jupyterhub_usage_quotas.ledger.forgetting import forget
from jupyterhub_usage_quotas.ledger.sql.rows import Row
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.ledger.transfer import line_of, read_entries
from tests.support.ledgers import DAY, NOW, Clock, grant

SECRET = "Ada Lovelace is ill"
LATER = NOW + 30 * DAY


async def rows_of(tmp_path: Path, name: str = "ledger.sqlite") -> list[Row]:
    """Grants of ada, one that she voided, and of bob, one that she gave."""
    ledger = SqlLedger.at(f"sqlite:///{tmp_path / name}", upgrade=True, clock=Clock())
    await ledger.record(
        [grant(1, reason=SECRET), grant(2, "bob", actor="ada", reason="as agreed")], key="k"
    )
    await ledger.record([grant(3, "bob", reason=f"because {SECRET}")])
    await ledger.record([grant(4, until=NOW + 300 * DAY, reason=SECRET)])
    await ledger.void(4, actor="ada", reason=f"no longer: {SECRET}")
    rows = await ledger.entries()
    await ledger.aclose()
    return rows


def text_of(rows: Sequence[Row]) -> str:
    return "".join(f"{line_of(one)}\n" for one in rows)


async def test_nothing_of_a_person_is_left_and_all_else_is(tmp_path: Path):
    rows = await rows_of(tmp_path)
    done = forget(rows, ["ada"], [3], LATER, pseudonym=lambda: "forgotten-1")
    text = text_of(done.rows)
    assert done.changed == 5
    assert "Lovelace" not in text
    assert '"ada"' not in text
    # Who reads it knows still what was decided, when, and for how many.
    same = ("id", "kind", "policy", "starts", "ends", "amount", "voids", "created", "request_key")
    for old, new in zip(rows, done.rows, strict=True):
        assert {name: old[name] for name in same} == {name: new[name] for name in same}
    assert [one["username"] for one in done.rows] == [
        *("forgotten-1", "bob", "bob"),
        *("forgotten-1", "forgotten-1"),
    ]
    assert [one["actor"] for one in done.rows] == [
        *("tutor", "forgotten-1", "tutor"),
        *("tutor", "forgotten-1"),
    ]
    assert done.rows[1]["user_created"] == rows[1]["user_created"], "of bob, who stays"
    assert done.rows[0]["user_created"] is None


async def test_the_chain_of_what_is_left_verifies_in_a_new_ledger(tmp_path: Path):
    rows = await rows_of(tmp_path)
    done = forget(rows, ["ada"], [], LATER)
    assert done.rows[-1]["hash"] != rows[-1]["hash"]
    ledger = SqlLedger.at(f"sqlite:///{tmp_path / 'new.sqlite'}", upgrade=True)
    assert await ledger.copy(read_entries(text_of(done.rows).splitlines())) == 5
    report = await ledger.verify()
    assert (report.entries, report.head, report.broken_at) == (5, done.rows[-1]["hash"], None)
    await ledger.aclose()


async def test_entries_before_the_first_that_changes_keep_their_hashes(tmp_path: Path):
    rows = await rows_of(tmp_path)
    done = forget(rows, [], [3], LATER)
    equal = [old["hash"] == new["hash"] for old, new in zip(rows, done.rows, strict=True)]
    assert equal == [True, True, False, False, False]
    assert [one["reason"] for one in done.rows[:3]] == [SECRET, "as agreed", "(forgotten)"]


async def test_a_pseudonym_says_nothing_of_a_name_and_is_another_each_time(tmp_path: Path):
    rows = await rows_of(tmp_path)
    made = {forget(rows, ["ada"], [], LATER).rows[0]["username"] for _ in range(20)}
    assert len(made) == 20
    assert not any("ada" in str(one).removeprefix("forgotten-") for one in made)


@pytest.mark.parametrize(
    ("at", "needed"),
    [
        # In force until in seven days; of the voided one nothing counts any more.
        (NOW, (1, 2)),
        (NOW + 7 * DAY - timedelta(seconds=1), (1, 2)),
        (NOW + 7 * DAY + timedelta(minutes=1), ()),
    ],
)
async def test_what_still_counts_is_named_and_nothing_is_forgotten(
    tmp_path: Path, at: datetime, needed: tuple[int, ...]
):
    rows = await rows_of(tmp_path)
    if not needed:
        assert forget(rows, ["ada"], [], at).changed == 4
        return
    with pytest.raises(InvalidAdjustment) as refused:
        forget(rows, ["ada"], [], at)
    assert [line.split(" is needed until ")[0] for line in refused.value.errors] == [
        f"adjustment {number}" for number in needed
    ]
    assert "2026-11-30 12:00 UTC" in refused.value.errors[0]


async def test_an_hour_of_yesterday_still_counts_for_what_may_be_given_this_week(tmp_path: Path):
    ledger = SqlLedger.at(f"sqlite:///{tmp_path / 'l'}", upgrade=True, clock=Clock())
    await ledger.record([replace(grant(), start=NOW - DAY, until=NOW - DAY / 2)])
    rows = await ledger.entries()
    await ledger.aclose()
    with pytest.raises(InvalidAdjustment, match="needed until 2026-11-30 12:00 UTC"):
        forget(rows, ["ada"], [], NOW + 6 * DAY)
    assert forget(rows, ["ada"], [], NOW + 8 * DAY).changed == 1


@pytest.mark.parametrize(
    ("names", "reasons", "says"),
    [
        (["eve"], [], "nothing to forget: got 'eve'"),
        (["ADA"], [], "nothing to forget: got 'ADA'"),
        (["ada"], [6], "no such entry: got 6; expected a number up to 5"),
    ],
)
async def test_who_is_not_there_is_named(tmp_path: Path, names, reasons, says):
    rows = await rows_of(tmp_path)
    with pytest.raises(InvalidAdjustment, match=says):
        forget(rows, names, reasons, LATER)
