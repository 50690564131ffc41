"""What an admin's functions give for a user: called when the user logs in and starts a server,
checked, and remembered in the ledger's database.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from ...config.credits.options import USER_POLICY, project_policy
from ...config.credits.values import InvalidCredits, Refilled, named, refilled
from ...config.credits.written import Written, entry_of
from ...errors import LedgerUnavailable
from ...ledger.sql.cached import CachedLedger
from ...quotas.adjustments import Terms
from ...quotas.messages import printable, shown
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
        self, app: HubApp, written: Written, ledger: CachedLedger, deadline: float
    ) -> None:
        self._app = app
        self._written = written
        self._ledger = ledger
        self._deadline = deadline
        self._projects = {one["name"] for one in written.option.get("projects", ())}
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
                terms = await self._terms_of(subject, auth_state)
        except TimeoutError:
            problem = f"no answer within {self._deadline:g} s"
        except Exception as error:
            # It is the admin's code, which can fail in any way.
            kind = "" if isinstance(error, InvalidCredits) else f"{type(error).__name__}: "
            problem = f"{kind}{error}"
        else:
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
                await self._ledger.remember(user, terms, datetime.now(UTC))
            except LedgerUnavailable as error:
                self._log.warning(
                    "What %r has of credits could not be written: %s; it is worked out again at the"
                    " next login",
                    user,
                    error,
                )

        before = self._ledger.terms.assigned
        if not self._ledger.terms.put(user, terms):
            return
        if any(
            user in members and policy not in {one.policy for one in terms}
            for policy, members in before.items()
        ) or any(user not in before.get(one.policy, ()) for one in terms[1:]):
            for call in self.on_assigned:
                call()
        task = asyncio.get_running_loop().create_task(write())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _terms_of(
        self, subject: Subject, auth_state: Callable[[], Awaitable[Any]] | None
    ) -> list[Terms]:
        who = (subject.name, sorted(subject.groups), subject.admin)
        if self._written.entry is not None:
            user, project = await self._by_entry(self._written.entry, who, auth_state)
        else:
            said = {key: await _called(value, *who) for key, value in self._written.user.items()}
            user = refilled(*(said[key] for key in ("cap", "grant_value", "grant_interval")))
            of_user = self._written.project
            project = await _called(of_user, *who) if of_user is not None else None
        return list(self._made(subject, user, project))

    async def _by_entry(
        self,
        function: Callable[..., Any],
        who: tuple[str, list[str], bool],
        auth_state: Callable[[], Awaitable[Any]] | None,
    ) -> tuple[Refilled, str | None]:
        arguments: list[Any] = [*who]
        if self._written.arity >= WITH_AUTH_STATE:
            arguments.append(await auth_state() if auth_state is not None else None)
        if self._written.arity > WITH_AUTH_STATE:
            arguments.insert(0, getattr(self._app, "authenticator", None))
        _, entry, project = entry_of(await _called(function, *arguments))
        user = refilled(entry["cap"], entry["grant_value"], entry["grant_interval"])
        return user, project["name"] if project else None

    def _made(self, subject: Subject, user: Refilled, project: object) -> Iterator[Terms]:
        name, created = subject.name, subject.created
        yield Terms.of_user(
            USER_POLICY, name, created, user.cap * CENTS, (user.amount * CENTS, user.every)
        )
        if project is None:
            return
        if project not in self._projects:
            line = f"{shown(name)} is in the project {shown(project)}, which is not available"
            if LOGGED.is_new("project", line):
                self._log.warning(
                    "%s; add it to credits_available_projects, or its users have only their own"
                    " credits",
                    line,
                )
            return
        yield Terms.of_user(project_policy(named(project, "project")), name, created)


async def _called(value: Any, *arguments: Any) -> Any:
    found = value(*arguments) if callable(value) else value
    return await found if inspect.isawaitable(found) else found
