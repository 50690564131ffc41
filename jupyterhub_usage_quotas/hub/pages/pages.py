"""Quotas on the Hub's own pages: in the header, where servers are started, and where a launch was
denied.

Templates ask for it through a variable of theirs. A page must not suffer from what it shows at its
margin: where something goes wrong, it is logged once, and nothing is shown.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Awaitable, Collection, Sequence
from datetime import UTC, datetime
from typing import TypeGuard, TypeVar
from urllib.parse import unquote, urlsplit

from ...config.credits.options import Credits
from ...config.quotas import QuotaOptions
from ...quotas.resources import CREDITS
from ...quotas.verdict import Request
from ...status.chip import ANY_SERVER, Chip, chip
from ...status.permissions import permissions_of
from ...status.running import NO_GUARD, GuardView
from ...status.users import UserStatus, UserStatuses
from ..launch.denial import LaunchDenied
from ..launch.prices import with_price
from ..launch.rates import asked_by
from ..launch.request import Offer, offers_of, paying_of, subject_of_user
from ..launch.servers import Pending
from ..types import HubSpawner, HubUser
from .credits import CreditsLine, credits_line
from .running import ServerNotice, server_notices
from .text import Banner, banner

T = TypeVar("T")

VARIABLE = "usage_quota"
"""The variable of templates. It is always there, and None where there is nothing to show."""


class HubPages:
    """Shows users of the Hub where they stand.

    `pending` are the launches under way, `viewer` is the name of the service that pages link to.
    """

    def __init__(
        self,
        statuses: UserStatuses,
        options: QuotaOptions,
        pending: Pending,
        viewer: str,
        log: logging.Logger,
        running: GuardView = NO_GUARD,
    ) -> None:
        self.statuses = statuses
        self.running = running
        self.pending = pending
        self.options = options
        self.viewer = viewer
        self._log = log
        self.credits = options.parsed_credits
        self._told: set[str] = set()

    def of(self, user: object) -> UserPages | None:
        """The pages' values for this user; None for services, and where nobody is logged in."""
        return UserPages(self, user) if _is_user(user) else None

    async def guarded(self, what: Awaitable[T]) -> T | None:
        """The value, or None where it cannot be had; each kind of exception is logged once."""
        try:
            return await what
        except Exception:
            self.failed()
            return None

    def failed(self) -> None:
        """Log the exception that is being handled, once of each kind."""
        kind = type(sys.exception()).__name__
        if kind not in self._told:
            self._told.add(kind)
            self._log.exception(
                "Showing usage quotas on a page of the Hub failed; it is shown without them"
            )


class UserPages:
    """What one page shows to one user."""

    def __init__(self, pages: HubPages, user: HubUser) -> None:
        self.viewer = pages.viewer
        self._pages = pages
        self._user = user
        self._now = datetime.now(UTC)
        self._statuses: dict[str, UserStatus] = {}
        self._starts = ANY_SERVER
        self._language = pages.options.texts
        self.language = self._language.tag
        self.gettext = self._language.in_templates["_"]
        """For templates: it escapes texts, and keeps the markup of values."""

    async def header(self) -> Chip | None:
        """The tightest quota of the user. A page that offers the user servers has made its banner
        before, so that both name the same times.
        """
        if not self._pages.options.show_in_header:
            return None
        return await self._pages.guarded(self._header())

    async def credits(self) -> CreditsLine | None:
        """The user's credits, where there are any."""
        pages = self._pages
        if not pages.options.show_in_header or pages.credits is None:
            return None
        return await pages.guarded(self._credits(pages.credits))

    async def launch(self, user: HubUser, url: str, scopes: Collection[str]) -> Banner | None:
        """The quotas of `user`, for whom a server is about to be started, and all that they could
        choose; `url` is the page's, `scopes` are the visitor's.
        """
        if not self._pages.options.show_at_launch:
            return None
        return await self._pages.guarded(self._launch(user, url, scopes))

    async def home(self, spawner: HubSpawner) -> Banner | None:
        """The user's quotas, and how long their default server could run."""
        if not self._pages.options.show_at_launch:
            return None
        return await self._pages.guarded(self._home(spawner))

    async def alternatives(self, user: HubUser, server_name: str) -> Sequence[object]:
        """What `user` could start instead of this server, if its launch was denied by a quota."""
        return await self._pages.guarded(_alternatives(user, server_name)) or ()

    def server_notices(self) -> Sequence[ServerNotice]:
        """What becomes of the user's running servers, and why one was stopped."""
        pages = self._pages
        try:
            return tuple(server_notices(pages.running, self._user, self._now, self._language))
        except Exception:
            pages.failed()
            return ()

    @staticmethod
    def denial(user: HubUser, url: str) -> str | None:
        """Why a quota denied the last launch of the server that a page offers options for, as HTML;
        None where none did. `url` is the page's.
        """
        denied = _denial(_spawner_of(user, url))
        return None if denied is None else denied.jupyterhub_html_message

    @staticmethod
    def denied(user: HubUser, server_name: str) -> LaunchDenied | None:
        """The denial of a server's last launch; None where none was denied."""
        return _denial(user.spawners.get(server_name or ""))

    def shows(self, failure: object) -> None:
        """Let the header name the times of a denial that the page shows, if it is one."""
        if isinstance(failure, LaunchDenied):
            self._starts = failure.usage_quota_starts

    @staticmethod
    def settled(value: object) -> object:
        """The value of what may have to be awaited, for templates that are rendered without an
        event loop, as those of error pages are: None where it would really have to be waited for.
        """
        if not inspect.iscoroutine(value):
            return value
        try:
            value.send(None)
        except StopIteration as done:
            return done.value
        value.close()
        return None

    async def _status(self, user: HubUser) -> UserStatus:
        if user.name not in self._statuses:
            pages = self._pages
            self._statuses[user.name] = await pages.statuses.cached(
                subject_of_user(user), self._now, pages.pending.in_flight([user])
            )
        return self._statuses[user.name]

    async def _header(self) -> Chip | None:
        # What is said of credits already is not said twice.
        without = {CREDITS.name} if self._pages.credits is not None else frozenset[str]()
        return chip(await self._status(self._user), self._starts, self._language, without)

    async def _credits(self, credits_: Credits) -> CreditsLine | None:
        return credits_line(await self._status(self._user), credits_, self._language)

    async def _launch(self, user: HubUser, url: str, scopes: Collection[str]) -> Banner | None:
        if not self._may_see(user, scopes):
            return None
        status = await self._status(user)
        if not status.enforced:
            # Nothing ends what is started.
            return banner(status, [], self._language)
        spawner = _spawner_of(user, url)
        resources = self._pages.options.policies.resources
        made = banner(
            status,
            await offers_of(user, spawner, resources, paying_of(self._pages.options)),
            self._language,
        )
        if made and user.name == self._user.name:
            self._starts = made.starts
        return made

    async def _home(self, spawner: HubSpawner) -> Banner | None:
        status = await self._status(self._user)
        if spawner.active or spawner.options_form or not status.enforced:
            return banner(status, [], self._language)
        asked = asked_by(spawner, self._pages.options.policies.resources)
        request = Request(
            subject_of_user(self._user),
            spawner.name,
            profile_name=self._language.gettext("Your server"),
            rates=asked.rates,
            unknown=asked.unknown,
        )
        request = await with_price(spawner, request)
        made = banner(status, [Offer(request)], self._language)
        if made:
            self._starts = made.starts
        return made

    def _may_see(self, user: HubUser, scopes: Collection[str]) -> bool:
        """Whether the visitor may see this user's quotas, by the same rule as in the viewer."""
        viewing = {"name": self._user.name, "admin": self._user.admin, "scopes": list(scopes)}
        return permissions_of(viewing, by_token=False).may_read(subject_of_user(user))


def _is_user(viewing: object) -> TypeGuard[HubUser]:
    """Whether the visitor of a page is a user: it can be a service, or nobody."""
    return hasattr(viewing, "spawners")


def _spawner_of(user: HubUser, url: str) -> HubSpawner:
    """The spawner for which a page offers options. The Hub passes templates the spawner of the
    default server in any case; the page's address has the server's name.
    """
    _, _, name = urlsplit(url).path.partition(f"/spawn/{user.escaped_name}/")
    return user.spawners.get(unquote(name)) or user.spawner


async def _alternatives(user: HubUser, server_name: str) -> Sequence[object]:
    denied = _denial(user.spawners.get(server_name or ""))
    return denied.usage_quota_alternatives if denied else ()


def _denial(spawner: HubSpawner | None) -> LaunchDenied | None:
    """The denial of a spawner's last launch."""
    launch = spawner._spawn_future if spawner is not None else None
    failure = launch.exception() if launch is not None and launch.done() else None
    return failure if isinstance(failure, LaunchDenied) else None
