"""Ledgers for tests: what one is opened in, and decisions to write into it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jupyterhub_usage_quotas.ledger.base import Journal
from jupyterhub_usage_quotas.ledger.memory import MemoryLedger
from jupyterhub_usage_quotas.ledger.sql.cached import CachedLedger
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.quotas.adjustments import Grant
from jupyterhub_usage_quotas.quotas.subject import Subject
from tests.support.databases import Databases

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
JOINED = NOW - 400 * DAY


@dataclass
class Clock:
    """Passes a second at every look."""

    at: datetime = NOW
    seen: list[datetime] = field(default_factory=list)

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        self.seen.append(self.at)
        return self.at


Open = Callable[[Path, Clock, Databases], AbstractAsyncContextManager[Journal]]


@asynccontextmanager
async def in_memory(_path: Path, clock: Clock, _databases: Databases) -> AsyncIterator[Journal]:
    journal = MemoryLedger(clock=clock)
    yield journal
    await journal.aclose()


@asynccontextmanager
async def in_sqlite(path: Path, clock: Clock, databases: Databases) -> AsyncIterator[Journal]:
    file = shutil.copy(databases.sqlite, path / "ledger.sqlite")
    journal = SqlLedger.at(f"sqlite:///{file}", clock=clock)
    yield journal
    await journal.aclose()


@asynccontextmanager
async def cached(path: Path, clock: Clock, databases: Databases) -> AsyncIterator[Journal]:
    """One that was read before anything was written: the hardest."""
    async with in_sqlite(path, clock, databases) as journal:
        assert isinstance(journal, SqlLedger)
        made = CachedLedger(journal)
        await made.refresh()
        yield made


def on(server: str) -> Open:
    """A ledger on a server, which is empty."""

    @asynccontextmanager
    async def opened(_path: Path, clock: Clock, databases: Databases) -> AsyncIterator[Journal]:
        databases[server].empty()
        yield SqlLedger(databases[server].database, clock=clock)

    return opened


def times(start: timedelta = -HOUR, until: timedelta = 7 * DAY) -> dict[str, datetime]:
    return {"start": NOW + start, "until": NOW + until}


def who(user: str | None = "ada") -> dict[str, Any]:
    made = JOINED if user else None
    return {"user": user, "user_created": made, "actor": "tutor", "reason": "a late deadline"}


def grant(amount: float = 7200.0, user: str | None = "ada", **more: Any) -> Grant:
    return Grant(**{"policy": "week", **times(), **who(user), "amount": amount} | more)


def subject(name: str, created: datetime | None = JOINED) -> Subject:
    return Subject(name, created=created)


ADA, BOB = subject("ada"), subject("bob")
