"""A ledger in memory, for tests and for embedding the package. It ends with its process."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ..errors import AlreadyVoided, KeyReused, UnknownAdjustment
from ..quotas.adjustments import Adjustment, Adjustments, group_by_user
from ..quotas.subject import EVERYONE, Everyone, Subject
from .base import PAGE, Check, no_check
from .entries import (
    another_request,
    checked,
    checked_key,
    checked_voiding,
    unknown_adjustment,
    voided_before,
)


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryLedger:
    """A `Journal` that keeps adjustments for as long as it is kept itself.

    It begins with `adjustments`, numbered in their order where they have no id. Not for several
    threads: nothing is awaited between reading and writing, which is what makes writing atomic.
    """

    def __init__(
        self, adjustments: Iterable[Adjustment] = (), *, clock: Callable[[], datetime] = _now
    ) -> None:
        self._clock = clock
        self._numbers = itertools.count(1)
        self._kept: dict[int, Adjustment] = {}
        """By id, in the order in which they were made."""
        self._answers: dict[str, tuple[object, tuple[int, ...]]] = {}
        """By idempotency key, the request and the ids that answered it."""
        for one in adjustments:
            self._keep(one if one.id else replace(one, id=next(self._numbers)))
            self._numbers = itertools.count(max(self._kept) + 1)

    async def active(self, subjects: Collection[Subject] | Everyone, at: datetime) -> Adjustments:
        """See `Ledger`."""
        concerns = _about(subjects, and_everyone=True)
        return group_by_user(
            one
            for one in self._kept.values()
            if one.voided is None and one.until > at and concerns(one)
        )

    async def record(
        self, drafts: Sequence[Adjustment], *, key: str = "", check: Check = no_check
    ) -> Sequence[Adjustment]:
        """See `Journal`."""
        made = [checked(draft) for draft in drafts]
        if (ids := self._answered(key, made)) is not None:
            return [replace(self._kept[number], voided=None) for number in ids]
        users = {one.user for one in made}
        kept = self._kept.values()
        check(lambda: [one for one in kept if one.voided is None and one.user in users])
        created = self._clock()
        written = [replace(one, id=next(self._numbers), created=created) for one in made]
        for one in written:
            self._keep(one)
        self._answer(key, made, written)
        return written

    async def void(
        self, number: int, *, actor: str, reason: str, key: str = "", check: Check = no_check
    ) -> Adjustment:
        """See `Journal`."""
        voided = checked_voiding(actor, reason, self._clock())
        request = (number, voided.actor, voided.reason)
        if self._answered(key, request) is not None:
            return self._kept[number]
        kept = self._kept.get(number)
        if kept is None:
            raise UnknownAdjustment(unknown_adjustment(number))
        if kept.voided:
            raise AlreadyVoided(voided_before(number, kept.voided))
        check(lambda: [kept])
        self._kept[number] = replace(kept, voided=voided)
        self._answer(key, request, [kept])
        return self._kept[number]

    async def history(
        self,
        subjects: Collection[Subject] | Everyone,
        *,
        before: int | None = None,
        limit: int = PAGE,
    ) -> Sequence[Adjustment]:
        """See `Journal`."""
        concerns = _about(subjects, and_everyone=False)
        newest_first = (self._kept[number] for number in sorted(self._kept, reverse=True))
        found = (
            one for one in newest_first if (before is None or one.id < before) and concerns(one)
        )
        return list(itertools.islice(found, limit))

    async def aclose(self) -> None:
        """See `Ledger`."""

    def _keep(self, adjustment: Adjustment) -> None:
        self._kept[adjustment.id] = adjustment

    def _answered(self, key: str, request: object) -> tuple[int, ...] | None:
        """The ids that answered a request with this key before."""
        before = self._answers.get(checked_key(key))
        if before is None:
            return None
        if before[0] != request:
            drafts = before[0] if isinstance(before[0], list) else []
            raise KeyReused(another_request(key), drafts[0].start if drafts else None)
        return before[1]

    def _answer(self, key: str, request: object, written: Sequence[Adjustment]) -> None:
        if key and written:
            self._answers[key] = (request, tuple(one.id for one in written))


def _about(
    subjects: Collection[Subject] | Everyone, *, and_everyone: bool
) -> Callable[[Adjustment], bool]:
    """Whether an adjustment is about one of these subjects."""
    if subjects == EVERYONE:
        return lambda _one: True
    by_name = {one.name: one for one in subjects}

    def is_about(one: Adjustment) -> bool:
        if one.user is None:
            return and_everyone
        return one.user in by_name and one.is_for(by_name[one.user])

    return is_about
