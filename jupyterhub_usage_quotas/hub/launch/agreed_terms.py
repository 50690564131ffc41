"""What an admin's functions gave for a user, remembered: of policies (`agreed`), and of credits
(`hub/credits/terms`).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ...errors import LedgerUnavailable
from ...ledger.sql.cached import CachedLedger
from ...ledger.sql.terms import assigned_by
from ...quotas.adjustments import Terms
from ...quotas.subject import Subject
from ..types import HubApp
from ..users import users_of
from .request import subject_of_user


class RememberedTerms:
    """Keeps the terms of users: in memory at once, and in the database by and by, since no launch
    waits for that.
    """

    def __init__(self, ledger: CachedLedger, log: logging.Logger) -> None:
        self._ledger = ledger
        self._log = log
        self._writing: set[asyncio.Task[None]] = set()
        self.on_assigned: list[Callable[[], None]] = []
        """Each is called when a user has come to a policy that only terms assign, or left one."""

    def put(self, user: str, policies: Collection[str], terms: Sequence[Terms]) -> None:
        """Let these be all terms that a user has by these policies; those by others stay."""
        before = self._ledger.terms.of(user)
        every = [*(one for one in before if one.policy not in policies), *terms]
        if not self._ledger.terms.put(user, every):
            return
        if assigned_by(before) != assigned_by(every):
            for call in self.on_assigned:
                call()
        task = asyncio.get_running_loop().create_task(self._write(user))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, user: str) -> None:
        try:
            await self._ledger.remember(user, self._ledger.terms.of(user), datetime.now(UTC))
        except LedgerUnavailable as error:
            self._log.warning(
                "What %r has by functions could not be written: %s; it is worked out again at the"
                " next login",
                user,
                error,
            )


def subject_of_login(app: HubApp, model: Mapping[str, Any]) -> Subject:
    """A user who logs in, as the authenticator says: the Hub itself is about to take that over."""
    name, groups, admin = str(model["name"]), model.get("groups"), model.get("admin")
    user = next((one for one in users_of(app) if one.name == name), None)
    subject = subject_of_user(user) if user is not None else Subject(name)
    if groups is not None:
        subject = replace(subject, groups=frozenset(map(str, groups)))
    return subject if admin is None else replace(subject, admin=bool(admin))


async def called(value: Any, *arguments: Any) -> Any:
    """What a function of an admin's returns, or a coroutine does; a value by itself."""
    found = value(*arguments) if callable(value) else value
    return await found if inspect.isawaitable(found) else found
