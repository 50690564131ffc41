"""Forgetting a person: the entries of a ledger without their name, for a new ledger.

A ledger is never changed. What is forgotten is left out of a copy, whose hashes are made anew; the
ledger that it was made from is then deleted. Nobody can prove by the copy alone what was left out:
who looks after it notes the last hashes of both.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..errors import InvalidAdjustment
from ..quotas.messages import shown, wrong
from .granting import WEEK
from .sql.rows import FIRST, VOID, Row, hash_of, instant

REASON: Final = "(forgotten)"
"""In place of a reason."""
MOST_NAMED: Final = 20
"""Entries that are named as still needed; there may be thousands."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The entries of the new ledger, how many of them are not as they were, and by which names
    people go there.
    """

    rows: tuple[Row, ...]
    changed: int
    names: Mapping[str, str]
    """The pseudonyms, by name."""


def _pseudonym() -> str:
    """A name of nobody: it says nothing of the one that it stands for."""
    return f"forgotten-{secrets.token_hex(6)}"


def forget(
    rows: Sequence[Row],
    names: Collection[str],
    reasons: Collection[int],
    now: datetime,
    *,
    pseudonym: Callable[[], str] = _pseudonym,
    elsewhere: Collection[str] = (),
) -> Forgotten:
    """The entries without these people, whom they are about or who decided them, and without the
    reasons of those with these numbers.

    Who is forgotten gets the same pseudonym everywhere. What was decided and when stays. Raises
    `InvalidAdjustment` where one of these entries is needed yet, since it is not voided, and in
    force, to come, or of the last week; or where there is none of a name or number, unless the name
    is known `elsewhere`.
    """
    concerned = [one for one in rows if _names_of(one) & set(names) or one["id"] in reasons]
    errors = [
        *_not_there(rows, set(names) - set(elsewhere), reasons),
        *_needed(rows, concerned, now),
    ]
    if errors:
        raise InvalidAdjustment(errors)
    given = {name: pseudonym() for name in sorted(names)}
    changed = {one["id"] for one in concerned}
    made: list[Row] = []
    before = FIRST
    for row in rows:
        new = _without(row, given) if row["id"] in changed else dict(row)
        before = new["hash"] = hash_of(new, before)
        made.append(new)
    return Forgotten(tuple(made), len(changed), given)


def _names_of(row: Row) -> set[str | None]:
    return {row["username"], row["actor"]}


def _without(row: Row, given: dict[str, str]) -> dict[str, Any]:
    """The entry without what a person wrote in it, and with these names in place of theirs."""
    user = row["username"]
    return {
        **row,
        "username": given.get(user, user),
        "user_created": None if user in given else row["user_created"],
        "actor": given.get(row["actor"], row["actor"]),
        "reason": REASON,
    }


def _not_there(
    rows: Sequence[Row], names: Collection[str], reasons: Collection[int]
) -> Iterator[str]:
    named = set[str | None]().union(*map(_names_of, rows))
    for name in names:
        if name not in named:
            yield wrong("nothing to forget", name, "somebody whom an entry names")
    for number in reasons:
        if not 0 < number <= len(rows):
            yield wrong("no such entry", number, f"a number up to {len(rows)}")


def _needed(rows: Sequence[Row], concerned: Sequence[Row], now: datetime) -> Iterator[str]:
    """A line for each of these entries that still counts."""
    voided = {one["voids"] for one in rows}
    by_id = {one["id"]: one for one in rows}
    # A voiding is of something voided, which counts no longer.
    numbers = [one["id"] for one in concerned if one["kind"] != VOID and one["id"] not in voided]
    late = []
    for row in map(by_id.__getitem__, numbers):
        counted = instant(max(row["created"], row["starts"])) + WEEK
        until = max(counted, instant(row["ends"]))
        if until > now:
            late.append((row["id"], until))
    for number, until in late[:MOST_NAMED]:
        yield (
            f"adjustment {shown(number)} is needed until {until:%Y-%m-%d %H:%M} UTC: it is in force"
            " or to come, or the limits of granting count it; wait, or void it"
        )
    if more := late[MOST_NAMED:]:
        yield f"and {len(more)} adjustments more are needed yet"
