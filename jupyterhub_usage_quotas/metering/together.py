"""Asking together: all who wait for usage while a query is under way share the next one.

Right after the Hub starts nothing is cached, and a class may start its servers at once. A query of
everybody's own would take Prometheus so many times as long, and each would wait for the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..conventions import Reason
from ..quotas.usage import Unknown
from .snapshot import UsageSnapshot

MOST = 500
"""Users in one query; more of them make another."""
LONGEST_NAMES = 4000
"""Bytes of names in one query, which has each up to three times: VictoriaMetrics refuses queries of
more than 16 KiB (its `-search.maxQueryLen`).
"""

Known = UsageSnapshot | Unknown
Read = Callable[[Collection[str], timedelta, datetime], Awaitable[Known]]
"""Reads some users' usage over the time before an instant."""


@dataclass(slots=True)
class _Question:
    """What one caller waits for."""

    users: frozenset[str]
    over: timedelta
    now: datetime
    answer: asyncio.Future[Known] = field(default_factory=asyncio.Future)


class Together:
    """Joins questions about some users. What is wrong with one query is so for all who share it,
    but for one that was refused: it may have been about too many.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._most = MOST
        self._waiting: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None

    async def __call__(self, users: Collection[str], over: timedelta, now: datetime) -> Known:
        """What is known of these users over the time before `now`, and perhaps of others."""
        question = _Question(frozenset(users), over, now)
        self._waiting.append(question)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_all())
        return await question.answer

    async def _ask_all(self) -> None:
        while self._waiting:
            batch = self._next_batch()
            try:
                await self._ask(batch)
            except BaseException as error:
                for one in batch:
                    if not one.answer.done():
                        one.answer.set_exception(_of_another(error))
                if not isinstance(error, Exception):
                    raise

    def _next_batch(self) -> Sequence[_Question]:
        """The first who wait, and all whose users fit; those who gave up wait no more."""
        waiting = [one for one in self._waiting if not one.answer.done()]
        batch: list[_Question] = []
        users: frozenset[str] = frozenset()
        for one in waiting:
            if batch and not self._fits(users | one.users):
                break
            batch.append(one)
            users |= one.users
        self._waiting = waiting[len(batch) :]
        return batch

    def _fits(self, users: frozenset[str]) -> bool:
        """Whether one query can be about so many."""
        if len(users) > self._most:
            return False
        return sum(len(name.encode(errors="replace")) + 1 for name in users) <= LONGEST_NAMES

    async def _ask(self, batch: Sequence[_Question]) -> None:
        """Ask about all of a batch at once."""
        if not batch:
            return
        now = max(one.now for one in batch)
        over = now - min(one.now - one.over for one in batch)
        users = frozenset[str]().union(*(one.users for one in batch))
        known = await self._read(users, over, now)
        refused = isinstance(known, Unknown) and known.reason is Reason.QUERY_REJECTED
        if refused and len(batch) > 1:
            half = len(batch) // 2
            self._most = max(min(self._most, len(users) // 2), 1)
            await self._ask(batch[:half])
            await self._ask(batch[half:])
            return
        for one in batch:
            if not one.answer.done():
                one.answer.set_result(known)


def _of_another(error: BaseException) -> Exception:
    """An error as those see it who waited: that others were cancelled does not cancel them."""
    return error if isinstance(error, Exception) else RuntimeError("the query was cancelled")
