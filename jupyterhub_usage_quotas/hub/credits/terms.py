"""What an admin's functions give for a user: called when the user logs in and starts a server,
checked, and remembered in the ledger's database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from ...config.credits.entries import Entry, entries_of
from ...config.credits.options import Credits, project_policy
from ...config.credits.values import USUAL_NAME, InvalidCredits, named, refilled
from ...config.credits.written import Written
from ...ledger.sql.cached import CachedLedger
from ...quotas.adjustments import Terms
from ...quotas.messages import printable, shown, wrong
from ...quotas.resources import CREDITS
from ...quotas.subject import Subject
from ..launch.agreed_terms import RememberedTerms, called, subject_of_login
from ..launch.logged_once import LOGGED
from ..launch.prices import TermsUnknown
from ..launch.request import subject_of_user
from ..types import HubApp, HubSpawner, HubUser

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
        self._deadline = deadline
        self.entries: dict[str, Sequence[Entry]] = {}
        """By username, what `credits_user` returned last."""
        self._log: logging.Logger = app.log
        self.remembered = RememberedTerms(ledger, app.log)

    async def before_launch(self, user: HubUser, _spawner: HubSpawner) -> None:
        """Look up what the user has now. Raises `TermsUnknown`."""
        if not self._written.resolves:
            return
        await self.agree(subject_of_user(user), user.get_auth_state)

    async def logged_in(self, model: Mapping[str, Any], _handler: object) -> None:
        """Look up what the user has who logs in; what goes wrong is logged, and nobody is kept
        from it.
        """

        async def auth_state() -> Any:
            return model.get("auth_state")

        await self.agree(subject_of_login(self._app, model), auth_state, logs=True)

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
            own = {one.policy for one in self._credits.accounts}
            own |= set(map(project_policy, self._credits.projects))
            self.remembered.put(subject.name, own, terms)
            return
        line = f"the credits of {shown(subject.name)} cannot be worked out: {printable(problem)}"
        if not logs:
            raise TermsUnknown(line)
        if LOGGED.is_new("credits", line):
            self._log.warning("%s; correct the function in the configuration", line)

    async def _entries_of(
        self, subject: Subject, auth_state: Callable[[], Awaitable[Any]] | None
    ) -> Sequence[Entry]:
        who = (subject.name, sorted(subject.groups), subject.admin)
        if self._written.entry is not None:
            return await self._by_entry(self._written.entry, who, auth_state)
        said = {key: await called(value, *who) for key, value in self._written.user.items()}
        has = refilled(*(said[key] for key in ("cap", "grant_value", "grant_interval")))
        of_user = self._written.project
        project = await called(of_user, *who) if of_user is not None else None
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
        entries = entries_of(await called(function, *arguments)).entries
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
