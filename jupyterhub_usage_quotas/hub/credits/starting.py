"""Starting credits in a Hub, once its configuration was read."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final

from ...config.credits.written import Written
from ...errors import ConfigurationError
from ...ledger.base import Ledger
from ...ledger.sql.cached import CachedLedger
from ...status.users import UserStatuses
from ..launch.agreed import PolicyTerms
from ..launch.enforcement import UsageQuotaManager
from ..refresh import RefreshLoop
from ..types import HubApp
from .paying import Paying
from .running import RUNNING
from .terms import CreditTerms

MOMENT: Final = 1.0
"""Seconds in which several users may come to a project."""


def require_database(
    written: Written | None, ledger: Ledger, functions: Collection[str] = ()
) -> None:
    """Refuse functions of users without a place where what they give is kept. Raises
    `ConfigurationError`.
    """
    resolves = bool(functions) or (written is not None and written.resolves)
    if resolves and not isinstance(ledger, CachedLedger):
        raise ConfigurationError(
            [
                "UsageConfig.ledger_url: what functions give for users is kept in a database; set"
                " it, and leave UsageQuotaManager.ledger_factory out"
            ]
        )


def start_credits(
    app: HubApp, manager: UsageQuotaManager, written: Written | None, loop: RefreshLoop
) -> None:
    """Have the admin's functions called at logins and launches, where there are any, and servers
    marked by what pays for them.
    """
    _call_functions_of_policies(app, manager, loop)
    credits_ = manager.parsed_credits
    if credits_ is not None:
        manager.paying = Paying(credits_)
    if written is None or credits_ is None:
        return
    if written.resolves and isinstance(manager.ledger, CachedLedger):
        terms = CreditTerms(app, written, credits_, manager.ledger, manager.deadline)
        if written.entry is not None:
            manager.paying = Paying(credits_, terms.entries.get)
        RUNNING[app] = terms
        manager.before_launch.append(terms.before_launch)
        terms.remembered.on_assigned.append(Soon(loop))
    if written.post_hook is not None:
        loop.listeners.append(PostHook(written.post_hook, app.log))


def _call_functions_of_policies(app: HubApp, manager: UsageQuotaManager, loop: RefreshLoop) -> None:
    """Have limits and scopes that are functions called, too."""
    if not manager.policy_functions or not isinstance(manager.ledger, CachedLedger):
        return
    terms = PolicyTerms(
        app, manager.policies, manager.policy_functions, manager.ledger, manager.deadline
    )
    manager.before_launch.append(terms.before_launch)
    terms.remembered.on_assigned.append(Soon(loop))
    terms.watch_logins(getattr(app, "authenticator", None))


def serve_credits(manager: UsageQuotaManager, statuses: UserStatuses, loop: RefreshLoop) -> None:
    """Answer at the endpoints of the credit service, where there are credits."""
    credits_ = manager.parsed_credits
    if credits_ is None:
        return
    # JupyterHub's handlers, which need its database models.
    from .handlers import Desk, add_credit_handlers  # noqa: PLC0415
    from .streams import Ticks  # noqa: PLC0415

    ticks = Ticks()
    loop.listeners.append(ticks)
    add_credit_handlers(Desk(statuses, manager, credits_, ticks))


class Soon:
    """Brings what is shown of pools up to date before the next refresh, once for all who come to
    one within a moment.
    """

    def __init__(self, loop: RefreshLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[None] | None = None

    def __call__(self) -> None:
        """Do it in a moment."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        await asyncio.sleep(MOMENT)
        await self._loop.call_listeners()


class PostHook:
    """Calls an admin's `credits_task_post_hook` after every refresh."""

    def __init__(self, hook: Callable[[], Any], log: logging.Logger) -> None:
        self._hook = hook
        self._log = log

    async def refreshed(self, now: datetime) -> None:  # noqa: ARG002 the listeners'
        """See `RefreshListener`."""
        try:
            found = self._hook()
            if inspect.isawaitable(found):
                await found
        except Exception:
            # It is the admin's.
            self._log.exception("credits_task_post_hook failed; it is called again after the next")
