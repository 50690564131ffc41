"""A ledger in SQL that answers from memory: for the Hub, its services, and the command line."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Protocol

from sqlalchemy import Connection

from ...errors import LedgerUnavailable
from ...quotas.adjustments import Adjustment, Adjustments
from ...quotas.subject import EVERYONE, Everyone, Subject
from ..base import PAGE, Check, Ledger, no_check
from . import statements
from .rows import VOID, Row, adjustment_of, kind_of
from .statements import Position
from .store import SqlLedger

EVERY: Final = timedelta(seconds=0.5)
"""How often it is looked whether anything is new."""
COUNTED_EVERY: Final = timedelta(seconds=10)
"""How often adjustments are counted by kind: more often than metrics are scraped."""
AT_ONCE: Final = 2000
"""Adjustments, or users, that are gone through without giving others the event loop."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many entries were ever written, voidings included, and how many adjustments are in force,
    by their kind as a row has it.
    """

    written: Mapping[str, int]
    in_force: Mapping[str, int]


class LedgerEvents(Protocol):
    """Gets what comes of every look at the ledger's database."""

    def read(self) -> None:
        """It was read, and what is in memory is what is there."""
        ...

    def counted(self, numbers: Numbers) -> None:
        """So much of it is there; counted at the start, then every `COUNTED_EVERY`."""
        ...

    def failed(self, error: Exception) -> None:
        """It could not be read; what was read before goes on counting."""
        ...


class NoLedgerEvents:
    """Does nothing with them."""

    def read(self) -> None:
        """See `LedgerEvents`."""

    def counted(self, numbers: Numbers) -> None:
        """See `LedgerEvents`."""

    def failed(self, error: Exception) -> None:
        """See `LedgerEvents`."""


@dataclass(frozen=True, slots=True)
class Known:
    """The adjustments that are not voided, by username, None for everyone's, as of a position."""

    position: Position
    by_user: Mapping[str | None, tuple[Adjustment, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )
    number: int = 0
    """How many there are."""
    written: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """How many entries there are of each kind, voidings and voided ones included."""
    changed: Collection[str | None] = (None,)
    """Those about whom something was read last: None for everyone, also where all was read."""

    def with_entries(self, rows: Sequence[Row]) -> Known:
        """The same once these entries were read, too: those of whom they are about are replaced."""
        changed: dict[str | None, dict[int, Adjustment]] = {}
        for row in rows:
            user = row["username"]
            if user not in changed:
                changed[user] = {one.id: one for one in self.by_user.get(user, ())}
            if row["kind"] == VOID:
                changed[user].pop(row["voids"], None)
            else:
                changed[user][row["id"]] = adjustment_of(row)
        before = sum(len(self.by_user.get(user, ())) for user in changed)
        after = sum(map(len, changed.values()))
        by_user = {**self.by_user, **{user: _in_order(kept) for user, kept in changed.items()}}
        position = self.position.after([row["id"] for row in rows])
        kinds = Counter(self.written) + Counter(str(row["kind"]) for row in rows)
        number = self.number - before + after
        return Known(
            position, MappingProxyType(by_user), number, MappingProxyType(kinds), frozenset(changed)
        )

    def numbers(self, at: datetime) -> Numbers:
        """How many there are, and are in force at an instant."""
        active = (one for theirs in self.by_user.values() for one in theirs if one.active(at))
        return Numbers(self.written, Counter(map(kind_of, active)))

    def in_force(self, names: Collection[str] | None, at: datetime) -> Adjustments:
        """Those of these users, and of everyone, that are not over; of all users for None."""
        wanted = self.by_user.keys() - {None} if names is None else names
        found = {}
        for name in wanted:
            if theirs := tuple(one for one in self.by_user.get(name, ()) if one.until > at):
                found[str(name)] = theirs
        everyone = tuple(one for one in self.by_user.get(None, ()) if one.until > at)
        return Adjustments(everyone, MappingProxyType(found))


def _in_order(kept: Mapping[int, Adjustment]) -> tuple[Adjustment, ...]:
    return tuple(kept[number] for number in sorted(kept))


class CachedLedger:
    """A `Journal` whose `active` answers from memory, while `keep` reads what is new.

    Without `keep`, for example in a command, it is read when it is first queried. While its
    database cannot be read, what was read last goes on counting; before it was read for the first
    time, `active` raises `LedgerUnavailable`: nobody's decisions are none.
    """

    def __init__(self, journal: SqlLedger, events: LedgerEvents | None = None) -> None:
        self.journal = journal
        self.events: LedgerEvents = events or NoLedgerEvents()
        self._known: Known | None = None
        self._kept = False
        self._next_count = 0.0
        self._reading = asyncio.Lock()
        self.on_change: list[Callable[[Collection[str | None]], None]] = []
        """Each gets the names of the users about whom something was read, None for everyone."""

    async def keep(self) -> None:
        """Look for what is new twice a second, until cancelled."""
        self._kept = True
        while True:
            # Its events have what goes wrong. What is known stays, and the next look may succeed.
            with contextlib.suppress(Exception):
                await self.refresh()
                await self._count()
            await asyncio.sleep(EVERY.total_seconds())

    async def refresh(self) -> None:
        """Read what is new. Raises `LedgerUnavailable`; what is known stays then."""
        async with self._reading:
            work = partial(_read, known=self._known)
            self._note(await self._noting_failures(self.journal.database.read(work)))

    def load_now(self, within: timedelta) -> None:
        """Read everything before there is an event loop. Raises `LedgerUnavailable`."""
        try:
            known = self.journal.database.read_now(partial(_read, known=None), within)
        except LedgerUnavailable as error:
            self.events.failed(error)
            raise
        self._note(known)
        self.events.counted(known.numbers(datetime.now(UTC)))

    async def active(self, subjects: Collection[Subject] | Everyone, at: datetime) -> Adjustments:
        """See `Ledger`."""
        if self._known is None:
            if self._kept:
                where = self.journal.database.where.shown
                raise LedgerUnavailable(f"the ledger at {where} was not read yet")
            await self.refresh()
        known = self._known
        assert known is not None  # noqa: S101 it was read
        names = None if subjects == EVERYONE else [one.name for one in subjects]
        if (known.number if names is None else len(names)) > AT_ONCE:
            return await asyncio.to_thread(known.in_force, names, at)
        return known.in_force(names, at)

    async def record(
        self, drafts: Sequence[Adjustment], *, key: str = "", check: Check = no_check
    ) -> Sequence[Adjustment]:
        """See `Journal`; what was written is in memory when it returns."""
        written = await self.journal.record(drafts, key=key, check=check)
        await self._catch_up()
        return written

    async def void(
        self, number: int, *, actor: str, reason: str, key: str = "", check: Check = no_check
    ) -> Adjustment:
        """See `Journal`; what was written is in memory when it returns."""
        voided = await self.journal.void(number, actor=actor, reason=reason, key=key, check=check)
        await self._catch_up()
        return voided

    async def history(
        self,
        subjects: Collection[Subject] | Everyone,
        *,
        before: int | None = None,
        limit: int = PAGE,
    ) -> Sequence[Adjustment]:
        """See `Journal`; it is read from the database."""
        return await self.journal.history(subjects, before=before, limit=limit)

    async def aclose(self) -> None:
        """See `Ledger`."""
        await self.journal.aclose()

    async def _catch_up(self) -> None:
        # What was to be written is; `keep` reads it once the database answers.
        with contextlib.suppress(LedgerUnavailable):
            await self.refresh()

    async def _count(self) -> None:
        if self._known is None or time.monotonic() < self._next_count:
            return
        self._next_count = time.monotonic() + COUNTED_EVERY.total_seconds()
        # In a thread, since there may be very many.
        numbers = await asyncio.to_thread(self._known.numbers, datetime.now(UTC))
        self.events.counted(numbers)

    async def _noting_failures(self, reading: Coroutine[Any, Any, Known]) -> Known:
        try:
            return await reading
        except Exception as error:
            self.events.failed(error)
            raise

    def _note(self, known: Known) -> None:
        before, self._known = self._known, known
        self.events.read()
        if known is not before and self.on_change:
            for each in self.on_change:
                each(known.changed)


def keeping(ledger: Ledger) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    """What has to run beside whoever uses a ledger, so that it stays up to date."""
    return [ledger.keep] if isinstance(ledger, CachedLedger) else []


def _read(connection: Connection, known: Known | None) -> Known:
    """What is in the database, by what was known of it: it is only ever added to."""
    newest = statements.newest(connection)
    # Fewer than before are those of another database in its place, for example a backup.
    if known is None or newest < known.position.last:
        position = statements.position(connection)
        everything: dict[str | None, list[Adjustment]] = {}
        for one in statements.in_force(connection, None, None):
            everything.setdefault(one.user, []).append(one)
        by_user = {user: tuple(theirs) for user, theirs in everything.items()}
        number = sum(map(len, by_user.values()))
        written = MappingProxyType(statements.numbers_by_kind(connection))
        return Known(position, MappingProxyType(by_user), number, written)
    if newest == known.position.whole:
        return known
    return known.with_entries(statements.entries_beyond(connection, known.position))
