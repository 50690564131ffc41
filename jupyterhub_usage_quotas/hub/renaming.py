"""A user whom an admin renames keeps what was decided about them.

The ledger has people by their names, and nothing in it is ever changed. So what is not over is
written anew for the new name, and voided under the earlier one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.orm import object_session

from ..errors import AlreadyVoided, LedgerUnavailable
from ..ledger.base import PAGE, Journal
from ..ledger.entries import LONGEST_REASON
from ..quotas.adjustments import Adjustment
from ..quotas.messages import printable
from ..quotas.subject import Subject, in_utc
from .types import HubApp

ACTOR: Final = "hub"
WHY: Final = "the user was renamed"
ADDED: Final = f" ({WHY})"
AGAIN: Final = timedelta(seconds=5)
"""How long it is waited where the ledger did not answer."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """A user who had another name before, as the Hub's database has them."""

    user: Any
    before: str


class Renaming:
    """Carries on the adjustments of users who are renamed while the Hub runs."""

    def __init__(self, app: HubApp, journal: Journal) -> None:
        self._app = app
        self._journal = journal
        self._renamed: asyncio.Queue[Renamed] = asyncio.Queue()

    def listen(self, user_class: Any) -> None:
        """Note each change of a name; `user_class` is the Hub's."""
        event.listen(user_class.name, "set", self._is_set, active_history=True)

    def _is_set(self, user: Any, name: object, before: object, _initiator: object) -> None:
        session = object_session(user)
        if session is None or session is not self._app.db:
            return
        if isinstance(before, str) and name != before:
            renamed = Renamed(user, before)
            event.listen(
                session, "after_commit", lambda _: self._renamed.put_nowait(renamed), once=True
            )

    async def keep(self) -> None:
        """Carry on what was decided about each who is renamed, one after the other, until
        cancelled.
        """
        while True:
            one = await self._renamed.get()
            if not await self._carried(one):
                await asyncio.sleep(AGAIN.total_seconds())
                self._renamed.put_nowait(one)

    async def _carried(self, one: Renamed) -> bool:
        log = self._app.log
        try:
            number = await self.carry_on(one)
        except LedgerUnavailable as error:
            log.warning(
                "What was decided about the renamed user %s waits for the ledger: %s",
                printable(one.before),
                error,
            )
            return False
        except Exception:
            log.exception(
                "What was decided about %s does not go on under the new name; give it anew",
                printable(one.before),
            )
            return True
        if number:
            log.info(
                "%s was renamed to %s: %d of the ledger's adjustments go on under the new name",
                printable(one.before),
                printable(str(one.user.name)),
                number,
            )
        return True

    async def carry_on(self, one: Renamed) -> int:
        """Write it anew for the new name, and void it under the one before; returns how many there
        were. Raises `LedgerUnavailable`; to repeat it is harmless.
        """
        name, created = str(one.user.name), in_utc(one.user.created)
        if name == one.before:
            # It was taken back.
            return 0
        theirs = await self._not_over(Subject(one.before, created=created))
        if not theirs:
            return 0
        for each in theirs:
            draft = replace(
                each,
                id=0,
                created=None,
                user=name,
                user_created=created,
                reason=each.reason[: LONGEST_REASON - len(ADDED)] + ADDED,
            )
            # Each by a key of its own: some may be done when it fails, and are not done twice.
            key = f"renamed {sha256(f'{each.id} {name}'.encode()).hexdigest()}"
            await self._journal.record([draft], key=key)
            with suppress(AlreadyVoided):
                await self._journal.void(each.id, actor=ACTOR, reason=WHY)
        return len(theirs)

    async def _not_over(self, subject: Subject) -> Sequence[Adjustment]:
        """What is in force, or will be, in the order in which it was decided."""
        found: list[Adjustment] = []
        before, now = None, datetime.now(UTC)
        while True:
            page = await self._journal.history([subject], before=before, limit=PAGE)
            found += [one for one in page if one.voided is None and one.until > now]
            if len(page) < PAGE:
                return sorted(found, key=lambda one: one.id)
            before = page[-1].id
