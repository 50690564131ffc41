"""The ledger in SQL: a `Journal` in SQLite, PostgreSQL or MariaDB."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from ...quotas.adjustments import Adjustment, Adjustments, group_by_user
from ...quotas.subject import EVERYONE, Everyone, Subject
from ..base import PAGE, Check, no_check
from ..entries import can_be_kept, checked, checked_key, checked_voiding
from . import statements
from .database import AT_ONCE, Database
from .rows import ChainReport, Noted, Row
from .statements import Clock
from .url import POSTGRESQL, parse_ledger_url


def _now() -> datetime:
    return datetime.now(UTC)


class SqlLedger:
    """A `Journal` in a database, which any number of processes may share.

    Entries are only added, one transaction after the other: each continues the chain of hashes. It
    queries the database for everything; `CachedLedger` answers from memory.
    """

    def __init__(self, database: Database, *, clock: Clock = _now) -> None:
        self.database = database
        self._clock = clock

    @classmethod
    def at(cls, url: str, *, upgrade: bool = False, clock: Clock = _now) -> SqlLedger:
        """The ledger at a URL, which is connected when it is first used; raises `InvalidLedgerUrl`.

        Only the Hub makes its tables, and brings them up to date: with `upgrade`.
        """
        return cls(Database(parse_ledger_url(url), upgrade=upgrade), clock=clock)

    async def active(self, subjects: Collection[Subject] | Everyone, at: datetime) -> Adjustments:
        """See `Ledger`."""
        names = _names(subjects)
        found = await self.database.read(
            lambda connection: list(statements.in_force(connection, names, at))
        )
        return group_by_user(found)

    async def record(
        self, drafts: Sequence[Adjustment], *, key: str = "", check: Check = no_check
    ) -> Sequence[Adjustment]:
        """See `Journal`."""
        made = [checked(draft) for draft in drafts]
        key = checked_key(key)
        return await self.database.write(
            lambda connection: statements.record(connection, made, key, check, self._clock)
        )

    async def void(
        self, number: int, *, actor: str, reason: str, key: str = "", check: Check = no_check
    ) -> Adjustment:
        """See `Journal`."""
        by = checked_voiding(actor, reason, self._clock())
        key = checked_key(key)
        return await self.database.write(
            lambda connection: statements.void(connection, number, by, key, check)
        )

    async def history(
        self,
        subjects: Collection[Subject] | Everyone,
        *,
        before: int | None = None,
        limit: int = PAGE,
    ) -> Sequence[Adjustment]:
        """See `Journal`."""
        names = _names(subjects)
        by_name = None if subjects == EVERYONE else {one.name: one for one in subjects}
        found: list[Adjustment] = []
        below = statements.LARGEST_NUMBER if before is None else before
        while len(found) < limit:
            page = await self.database.read(
                partial(statements.page_before, names=names, before=below, limit=limit)
            )
            found += [one for one in page if _is_about(one, by_name)]
            if len(page) < limit:
                break
            below = page[-1].id
        return found[:limit]

    async def entries(self, after: int = 0, *, limit: int = statements.ROWS_AT_ONCE) -> list[Row]:
        """At most `limit` entries with numbers above `after`, voidings included, as stored."""
        return await self.database.read(partial(statements.rows_after, number=after, limit=limit))

    async def copy(self, rows: Sequence[Row]) -> int:
        """Append the entries of another ledger, which `transfer.read_entries` has read, as they
        are, all or none; returns how many were not there yet. Raises `InvalidAdjustment` where
        there are others.
        """
        return await self.database.write(partial(statements.copy, rows=rows))

    async def verify(self, noted: Noted | None = None) -> ChainReport:
        """Look whether all entries are as they were written, and those noted are among them."""
        return await self.database.read(partial(statements.verify, noted=noted))

    async def journal_mode(self) -> str:
        """How SQLite writes: "wal" or "delete", a rollback journal; empty of other databases."""
        if self.database.where.file is None:
            return ""
        return await self.database.read(
            lambda connection: str(connection.exec_driver_sql("PRAGMA journal_mode").scalar())
        )

    async def late_writes(self) -> Mapping[str, str]:
        """The settings of a server by which it acknowledges what may be lost in a power cut."""
        wanted = AT_ONCE.get(self.database.where.database, {})
        if not wanted:
            return {}
        names = ", ".join(f"'{name}'" for name in wanted)
        query = (
            f"SELECT name, setting FROM pg_settings WHERE name IN ({names})"  # noqa: S608 names of ours
            if self.database.where.database == POSTGRESQL
            else f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})"
        )
        found = await self.database.read(
            lambda connection: [(str(a), str(b)) for a, b in connection.exec_driver_sql(query)]
        )
        return {name: value for name, value in found if value.lower() != wanted[name].lower()}

    async def aclose(self) -> None:
        """See `Ledger`."""
        await self.database.aclose()


def _names(subjects: Collection[Subject] | Everyone) -> list[str] | None:
    """The names that a ledger can have; None for everyone's."""
    if subjects == EVERYONE:
        return None
    return [one.name for one in subjects if can_be_kept(one.name)]


def _is_about(one: Adjustment, by_name: Mapping[str, Subject] | None) -> bool:
    """Whether it is about a user of these, and about nobody who had the name before."""
    if by_name is None:
        return True
    subject = by_name.get(one.user or "")
    return subject is not None and one.is_for(subject)
