"""The terms that an admin's functions gave for users, remembered: what they said last counts until
they are called again, in every process, and after a restart of the Hub.

They are no decisions of people: a row of a user and a policy is written over, and none is voided.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import Connection, func, select

from ...quotas.adjustments import Adjustments, Terms
from .database import Database
from .rows import Row, instant, stored_instant
from .schema import TERMS

LATE: Final = 60_000_000
"""Microseconds by which a row may be committed after one that is younger."""

ByUser = Mapping[str, tuple[Terms, ...]]


@dataclass(frozen=True, slots=True)
class KnownTerms:
    """The terms in a database, by username. They are read again where their number, or the instant
    at which one was written last, is another.
    """

    by_user: ByUser = field(default_factory=lambda: MappingProxyType({}))
    number: int = 0
    newest: int = 0


NO_TERMS: Final = KnownTerms()


class TermsBook:
    """What is known of terms in this process: what is in the database, and what it remembered
    itself, which counts at once.
    """

    def __init__(self) -> None:
        self._known = NO_TERMS
        self._own: dict[str, tuple[Terms, ...]] = {}
        self._assigned: Mapping[str, frozenset[str]] | None = None

    def note(self, known: KnownTerms) -> None:
        """They were read."""
        if known is not self._known:
            self._known, self._assigned = known, None

    def put(self, user: str, terms: Sequence[Terms]) -> bool:
        """Let these be all terms of a user from now on; returns whether they were others."""
        before = self.of(user)
        if tuple(terms) == before:
            return False
        self._own[user] = tuple(terms)
        if assigned_by(before) != assigned_by(terms):
            # Of all users, so not for every one whose amount changed.
            self._assigned = None
        return True

    def of(self, user: str) -> tuple[Terms, ...]:
        """A user's terms."""
        own = self._own.get(user)
        return self._known.by_user.get(user, ()) if own is None else own

    def __len__(self) -> int:
        return len(self._known.by_user) + len(self._own)

    def added_to(self, found: Adjustments, names: Collection[str] | None) -> Adjustments:
        """The adjustments with the terms of these users, of all for None."""
        if not self:
            return found
        wanted = {*self._known.by_user, *self._own} if names is None else names
        by_user = dict(found.by_user)
        for name in wanted:
            if terms := self.of(name):
                by_user[name] = (*terms, *by_user.get(name, ()))
        return Adjustments(found.everyone, MappingProxyType(by_user), self.assigned)

    @property
    def assigned(self) -> Mapping[str, frozenset[str]]:
        """By the name of a policy, the users to whom it is assigned."""
        if self._assigned is None:
            found: dict[str, set[str]] = {}
            for name in {*self._known.by_user, *self._own}:
                for one in self.of(name):
                    if one.assigned:
                        found.setdefault(one.policy, set()).add(name)
            self._assigned = MappingProxyType(
                {policy: frozenset(names) for policy, names in found.items()}
            )
        return self._assigned


def assigned_by(terms: Iterable[Terms]) -> set[str]:
    """The policies that these assign."""
    return {one.policy for one in terms if one.assigned}


def read_terms(connection: Connection, known: KnownTerms) -> KnownTerms:
    """The terms in the database, by what was known of them."""
    counted = select(func.count(), func.max(TERMS.c.at))
    number, newest = connection.execute(counted).one()
    newest = newest or 0
    if (number, newest) == (known.number, known.newest):
        return known
    rows = connection.execute(select(TERMS).where(TERMS.c.at > known.newest - LATE)).mappings()
    by_user = _merged(known.by_user, rows)
    if sum(map(len, by_user.values())) != number:
        by_user = _merged({}, connection.execute(select(TERMS)).mappings())
    return KnownTerms(MappingProxyType(by_user), number, newest)


def _merged(before: ByUser, rows: Iterable[Row]) -> dict[str, tuple[Terms, ...]]:
    changed: dict[str, dict[str, Terms]] = {}
    for row in rows:
        user = row["username"]
        if user not in changed:
            changed[user] = {one.policy: one for one in before.get(user, ())}
        changed[user][row["policy"]] = terms_of_row(row)
    return {**before, **{user: tuple(theirs.values()) for user, theirs in changed.items()}}


async def write_terms(database: Database, user: str, terms: Sequence[Terms], at: datetime) -> None:
    """Let these be all terms of a user in the database. Raises `LedgerUnavailable`."""
    rows = [row_of_terms(one, at) for one in terms]
    await database.write(partial(_write, user=user, rows=rows))


def _write(connection: Connection, user: str, rows: Sequence[dict[str, Any]]) -> None:
    connection.execute(TERMS.delete().where(TERMS.c.username == user))
    if rows:
        connection.execute(TERMS.insert(), rows)


def row_of_terms(terms: Terms, at: datetime) -> dict[str, Any]:
    """What is stored of terms."""
    amount, every = terms.refill or (None, None)
    said = {
        "limit": terms.limit,
        "refill": amount,
        "every": every.total_seconds() if every else None,
        "assigned": terms.assigned,
    }
    created = terms.user_created
    return {
        "username": terms.user,
        "policy": terms.policy,
        "user_created": None if created is None else stored_instant(created),
        "said": json.dumps(said, allow_nan=False),
        "at": stored_instant(at),
    }


def terms_of_row(row: Row) -> Terms:
    """The terms of a row. Of one that cannot be read only the name of the policy is left."""
    created = row["user_created"]
    made = None if created is None else instant(created)
    nothing = Terms.of_user(row["policy"], row["username"], made, assigned=False)
    try:
        said = json.loads(row["said"])
        limit, amount, every = (said[key] for key in ("limit", "refill", "every"))
        numbers = [float(one) for one in (limit, amount, every) if one is not None]
        if not all(0 <= one < math.inf for one in numbers):
            return nothing
        refill = (float(amount), timedelta(seconds=every)) if amount is not None and every else None
        limit = None if limit is None else float(limit)
        return replace(nothing, limit=limit, refill=refill, assigned=said["assigned"] is True)
    except (ValueError, TypeError, KeyError, OverflowError):
        # Somebody else's hand: it must not take the other rows with it.
        return nothing
