"""What an admin's functions give for a user: called when the user logs in and starts a server,
checked, and remembered in the ledger's database.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from ...config.credits.entries import Entry, entries_of
from ...config.credits.options import Credits, project_policy
from ...config.credits.values import USUAL_NAME, InvalidCredits, named, refilled
from ...config.credits.written import Written
from ...errors import LedgerUnavailable
from ...ledger.sql.cached import CachedLedger
from ...quotas.adjustments import Terms
from ...quotas.messages import printable, shown, wrong
from ...quotas.resources import CREDITS
from ...quotas.subject import Subject
from ..launch.logged_once import LOGGED
from ..launch.prices import TermsUnknown
from ..launch.request import subject_of_user
from ..types import HubApp, HubSpawner, HubUser
from ..users import users_of

CENTS: Final = CREDITS.usual_unit.factor
"""Base units of one credit."""
WITH_AUTH_STATE: Final = 4
"""From so many arguments on, `credits_user` gets the auth state."""


class CreditTerms:
    """Calls the functions of `written`; what they gave is in force at once."""

    def __init__(
        self,
        app: HubApp,
        written: Written,
        credits_: Credits,
        ledger: CachedLedger,
        deadline: float,
    ) -> None:
        self._app = app
        self._written = written
        self._credits = credits_
        self._ledger = ledger
        self._deadline = deadline
        self.entries: dict[str, Sequence[Entry]] = {}
        """By username, what `credits_user` returned last."""
        self._log: logging.Logger = app.log
        self._writing: set[asyncio.Task[None]] = set()
        self.on_assigned: list[Callable[[], None]] = []
        """Each is called when a user has come to a project, or left one."""

    async def before_launch(self, user: HubUser, _spawner: HubSpawner) -> None:
        """Look up what the user has now. Raises `TermsUnknown`."""
        if not self._written.resolves:
            return
        await self.agree(subject_of_user(user), user.get_auth_state)

    async def logged_in(self, model: Mapping[str, Any], _handler: object) -> None:
        """Look up what the user has who logs in; what goes wrong is logged, and nobody is kept
        from it.
        """
        name, groups = str(model["name"]), model.get("groups")
        user = next((one for one in users_of(self._app) if one.name == name), None)
        subject = subject_of_user(user) if user is not None else Subject(name)
        if groups is not None:
            subject = replace(subject, groups=frozenset(map(str, groups)))
        if model.get("admin") is not None:
            subject = replace(subject, admin=bool(model["admin"]))

        async def auth_state() -> Any:
            return model.get("auth_state")

        await self.agree(subject, auth_state, logs=True)

    async def agree(
        self,
        subject: Subject,
        auth_state: Callable[[], Awaitable[Any]] | None = None,
        *,
        logs: bool = False,
    ) -> None:
        """Call the functions for a user, and remember what they give. Raises `TermsUnknown`, unless
        it only `logs` that: what they gave before goes on counting.
        """
        if not self._written.resolves:
            return
        try:
            async with asyncio.timeout(self._deadline):
                entries = await self._entries_of(subject, auth_state)
                terms = list(self._made(subject, entries))
        except TimeoutError:
            problem = f"no answer within {self._deadline:g} s"
        except Exception as error:
            # It is the admin's code, which can fail in any way.
            kind = "" if isinstance(error, InvalidCredits) else f"{type(error).__name__}: "
            problem = f"{kind}{error}"
        else:
            self.entries[subject.name] = entries
            self._remember(subject.name, terms)
            return
        line = f"the credits of {shown(subject.name)} cannot be worked out: {printable(problem)}"
        if not logs:
            raise TermsUnknown(line)
        if LOGGED.is_new("credits", line):
            self._log.warning("%s; correct the function in the configuration", line)

    def _remember(self, user: str, terms: list[Terms]) -> None:
        """In memory at once, and in the database by and by: no launch waits for that."""

        async def write() -> None:
            try:
                await self._ledger.remember(user, every, datetime.now(UTC))
            except LedgerUnavailable as error:
                self._log.warning(
                    "What %r has of credits could not be written: %s; it is worked out again at the"
                    " next login",
                    user,
                    error,
                )

        before, held = self._ledger.terms.assigned, self._ledger.terms.of(user)
        own = {one.policy for one in self._credits.accounts}
        own |= {project_policy(name) for name in self._credits.projects}
        others = [one for one in held if one.policy not in own]
        every = [*others, *terms]
        if not self._ledger.terms.put(user, every):
            return
        if any(
            user in members and policy not in {one.policy for one in every}
            for policy, members in before.items()
        ) or any(user not in before.get(one.policy, ()) for one in terms[1:]):
            for call in self.on_assigned:
                call()
        task = asyncio.get_running_loop().create_task(write())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _entries_of(
        self, subject: Subject, auth_state: Callable[[], Awaitable[Any]] | None
    ) -> Sequence[Entry]:
        who = (subject.name, sorted(subject.groups), subject.admin)
        if self._written.entry is not None:
            return await self._by_entry(self._written.entry, who, auth_state)
        said = {key: await _called(value, *who) for key, value in self._written.user.items()}
        has = refilled(*(said[key] for key in ("cap", "grant_value", "grant_interval")))
        of_user = self._written.project
        project = await _called(of_user, *who) if of_user is not None else None
        return [Entry(USUAL_NAME, has, {}, named(project, "project") if project else "")]

    async def _by_entry(
        self,
        function: Callable[..., Any],
        who: tuple[str, list[str], bool],
        auth_state: Callable[[], Awaitable[Any]] | None,
    ) -> Sequence[Entry]:
        arguments: list[Any] = [*who]
        if self._written.arity >= WITH_AUTH_STATE:
            arguments.append(await auth_state() if auth_state is not None else None)
        if self._written.arity > WITH_AUTH_STATE:
            arguments.insert(0, getattr(self._app, "authenticator", None))
        entries = entries_of(await _called(function, *arguments)).entries
        several = self._credits.several
        unknown = [one.name for one in entries if several and not self._credits.account(one.name)]
        if unknown or (len(entries) > 1 and not several):
            expected = "all names of its entries in credits_user_names"
            raise InvalidCredits(wrong("credits_user", [one.name for one in entries], expected))
        return entries

    def _made(self, subject: Subject, entries: Sequence[Entry]) -> Iterator[Terms]:
        name, created = subject.name, subject.created
        for entry in entries:
            # Where there is one account, it is theirs, whatever it is called.
            account = self._credits.account(entry.name) or self._credits.accounts[0]
            has = entry.refilled
            refill = (has.amount * CENTS, has.every)
            yield Terms.of_user(account.policy, name, created, has.cap * CENTS, refill)
        for project in dict.fromkeys(one.project for one in entries if one.project):
            if project in self._credits.projects:
                yield Terms.of_user(project_policy(project), name, created)
                continue
            line = f"{shown(name)} is in the project {shown(project)}, which is not available"
            if LOGGED.is_new("project", line):
                self._log.warning(
                    "%s; add it to credits_available_projects, or its users have only their own"
                    " credits",
                    line,
                )


async def _called(value: Any, *arguments: Any) -> Any:
    found = value(*arguments) if callable(value) else value
    return await found if inspect.isawaitable(found) else found
