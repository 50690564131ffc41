"""What an admin's functions give for a user, of limits and scopes of policies: called when the user
logs in and starts a server, checked, and remembered in the ledger's database.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from typing import Any

from ...config.functions import PolicyFunctions
from ...ledger.sql.cached import CachedLedger
from ...quotas.adjustments import Terms
from ...quotas.messages import printable, shown, wrong
from ...quotas.policy.limits import parse_limit
from ...quotas.policy.policy import PolicySet
from ...quotas.policy.scope import Scope
from ...quotas.subject import Subject
from ..types import HubApp, HubSpawner, HubUser
from .agreed_terms import RememberedTerms, called, subject_of_login
from .logged_once import LOGGED
from .prices import TermsUnknown
from .request import subject_of_user


class PolicyTerms:
    """Calls the functions of these policies; what they gave is in force at once."""

    def __init__(
        self,
        app: HubApp,
        policies: PolicySet,
        functions: Mapping[str, PolicyFunctions],
        ledger: CachedLedger,
        deadline: float,
    ) -> None:
        self._app = app
        self._resources = policies.resources
        self._policies = {one.name: one for one in policies if one.name in functions}
        self._functions = {name: functions[name] for name in self._policies}
        self._scopes = {
            name: Scope.model_validate(one.written_scope)
            for name, one in self._functions.items()
            if one.scope is None
        }
        self._deadline = deadline
        self._log: logging.Logger = app.log
        self.remembered = RememberedTerms(ledger, app.log)

    def watch_logins(self, authenticator: Any) -> None:
        """Have the functions called at every login, too."""
        original = getattr(authenticator, "run_post_auth_hook", None)
        if original is None:
            return

        async def with_terms(handler: Any, model: Any) -> Any:
            found = await original(handler, model)
            if found:
                await self.logged_in(found)
            return found

        authenticator.run_post_auth_hook = with_terms

    async def before_launch(self, user: HubUser, _spawner: HubSpawner) -> None:
        """Look up what the user has now. Raises `TermsUnknown`."""
        await self.agree(subject_of_user(user))

    async def logged_in(self, model: Mapping[str, Any]) -> None:
        """Look up what the user has who logs in; what goes wrong is logged, and nobody is kept
        from it.
        """
        try:
            await self.agree(subject_of_login(self._app, model))
        except TermsUnknown as error:
            if LOGGED.is_new("policy", str(error)):
                self._log.warning("%s; correct the function in the configuration", error)

    async def agree(self, subject: Subject) -> None:
        """Call the functions for a user, and remember what they give. Raises `TermsUnknown`: what
        they gave before goes on counting.
        """
        terms, name = list[Terms](), ""
        try:
            async with asyncio.timeout(self._deadline):
                for name in self._policies:
                    if (found := await self._of_policy(name, subject)) is not None:
                        terms.append(found)
        except TimeoutError:
            problem = f"no answer within {self._deadline:g} s"
        except Exception as error:
            # It is the admin's code, which can fail in any way.
            problem = f"{type(error).__name__}: {error}"
        else:
            self.remembered.put(subject.name, self._policies, terms)
            return
        raise TermsUnknown(
            f"what {shown(subject.name)} has by policy {shown(name)} cannot be worked out:"
            f" {printable(problem)}"
        )

    async def _of_policy(self, name: str, subject: Subject) -> Terms | None:
        policy, functions = self._policies[name], self._functions[name]
        if functions.scope is not None:
            covers = await called(functions.scope, subject)
            if not isinstance(covers, bool):
                raise TypeError(wrong("scope", covers, "True or False"))
        else:
            covers = self._scopes[name].covers(subject)
        if not covers:
            return None
        limit = None
        if functions.limit is not None:
            given = await called(functions.limit, subject)
            limit = parse_limit(given, self._resources[policy.resource]).base
            if not math.isfinite(limit) or policy.window.cannot_hold(limit):
                raise ValueError(policy.window.cannot_hold(limit) or wrong("limit", given))
        return Terms.of_user(name, subject.name, subject.created, limit)
