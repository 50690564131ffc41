"""The base of all handlers of a service: it identifies the visitor and protects answers."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from http.client import responses
from typing import Any

from jupyterhub.services.auth import HubOAuth, HubOAuthenticated, UserNotAllowed
from tornado.web import HTTPError, RequestHandler

from ...errors import HubUnavailable, LedgerUnavailable
from ...quotas.subject import Subject
from ...status.permissions import Granters, Permissions, permissions_of
from .hub_api import HUB_PATIENCE, HubClient
from .params import BadParameter, Query, Refused

READING = ("GET", "HEAD", "OPTIONS")
"""The methods that change nothing."""
AUTHORIZATION = re.compile(r"(?:token|bearer) [\x21-\x7e]+", re.IGNORECASE)
"""A header that can hold a token of the Hub's."""


@dataclass(frozen=True, slots=True)
class AppContext:
    """The context of the handlers of every service; a service adds its own in a subclass."""

    auth: HubOAuth
    hub: HubClient
    log: logging.Logger
    granters: Granters


class Handler(HubOAuthenticated, RequestHandler):  # type: ignore[misc]
    """One request to a service."""

    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

    needs_login = True
    context: AppContext

    def initialize(self, context: AppContext) -> None:
        """Called by Tornado with what the application was made with."""
        self.context = context
        self.hub_auth = context.auth

    @cached_property
    def now(self) -> datetime:
        """The instant that this answer is about: the whole minute, so that within one, answers
        are the same.
        """
        return datetime.now(UTC).replace(second=0, microsecond=0)

    @cached_property
    def query(self) -> Query:
        """The parameters of the request."""
        return Query(lambda name: self.get_query_argument(name, None, strip=False))

    @property
    def visitor(self) -> Mapping[str, Any] | None:
        """The Hub's model of the visitor; None where the Hub was not queried or knows no such
        visitor.
        """
        found: Mapping[str, Any] | None = getattr(self, "_hub_auth_user_cache", None)
        return found

    @cached_property
    def permissions(self) -> Permissions:
        """What the visitor may see and do."""
        model = self.visitor or {"kind": "nobody"}
        return permissions_of(model, by_token=self.by_token, granters=self.context.granters)

    @property
    def by_token(self) -> bool:
        """Whether the visitor is known by a token, and not by a session of a browser."""
        return bool(getattr(self, "_token_authenticated", False))

    def set_default_headers(self) -> None:
        """Headers of every answer, errors included."""
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "private, no-store")
        self.set_header("Vary", "Cookie, Authorization")

    async def prepare(self) -> None:
        """Identify the visitor, without keeping others waiting for the Hub."""
        if str(self.request.method) not in self.allowed_methods:
            raise HTTPError(405)
        if self.needs_login:
            await self._identify()

    @property
    def allowed_methods(self) -> list[str]:
        """The methods that this handler has: not just Tornado's, which refuse."""
        return [
            name
            for name in self.SUPPORTED_METHODS
            if getattr(type(self), name.lower()) is not getattr(RequestHandler, name.lower())
        ]

    async def _identify(self) -> None:
        header = self.request.headers.get("Authorization", "")
        if header and not AUTHORIZATION.fullmatch(header):
            # A text that cannot be a token is not sent to the Hub.
            self._hub_auth_user_cache = None
            self.not_logged_in()
            return
        try:
            async with asyncio.timeout(HUB_PATIENCE):
                model = await self._model()
        except TimeoutError as error:
            raise HTTPError(503, "the Hub does not answer in time") from error
        except HTTPError as error:
            # Its message names addresses that are none of the visitor's business.
            raise HTTPError(503, "the Hub does not answer: %s", error.log_message) from error
        if not model:
            self._hub_auth_user_cache = None
            self.not_logged_in()
            return
        try:
            self._hub_auth_user_cache = self.check_hub_user(model)
        except UserNotAllowed:
            self._hub_auth_user_cache = None
            raise HTTPError(403) from None

    async def _model(self) -> Mapping[str, Any] | None:
        """The Hub's model of the visitor: for reading, it may be as old as answers are kept.

        Whoever changes something must have the right to at that moment, and a session must show by
        its token against forged requests that a page of ours sent this one.
        """
        model: Mapping[str, Any] | None = await self.hub_auth.get_user(self, sync=False)
        if not model or self.request.method in READING:
            return model
        if not self.by_token and self.request.headers.get("Sec-Fetch-Mode") == "websocket":
            # The only case in which JupyterHub accepts a session without that.
            return None
        token = self.hub_auth.get_token(self)
        session = self.hub_auth.get_session_id(self)
        fresh: Mapping[str, Any] | None = await self.hub_auth.user_for_token(
            token, use_cache=False, session_id=session, sync=False
        )
        return fresh

    def not_logged_in(self) -> None:
        """The answer to visitors that the Hub does not know."""
        raise HTTPError(401)

    async def subject(self, name: str) -> Subject:
        """The user of this name, if the visitor may see their usage.

        Otherwise it is the same 404, whether there is such a user or not.
        """
        permissions = self.permissions
        if (
            permissions.visitor
            and name == permissions.visitor.name
            and permissions.may_read(permissions.visitor)
        ):
            return permissions.visitor
        if permissions.sees.may_have(name):
            found = await self.context.hub.subject(name)
            if found and permissions.may_read(found):
                return found
        raise HTTPError(404)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """What a visitor got wrong is not logged; a Hub that does not answer is worth a line, not
        a traceback.
        """
        if isinstance(value, HubUnavailable):
            self.context.log.warning("The Hub does not answer: %s", value)
        elif isinstance(value, LedgerUnavailable):
            self.context.log.warning("The ledger does not answer: %s", value)
        elif not isinstance(value, BadParameter | Refused):
            super().log_exception(typ, value, tb)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with what is wrong, and with nothing about the inside."""
        info = kwargs.get("exc_info")
        error = info[1] if info else None
        if isinstance(error, BadParameter):
            status_code = 400
        elif isinstance(error, Refused):
            status_code = error.status
        elif isinstance(error, HubUnavailable | LedgerUnavailable):
            status_code = 503
        self.set_status(status_code)
        if status_code == 405:  # noqa: PLR2004
            self.set_header("Allow", ", ".join(self.allowed_methods))
        known = error if isinstance(error, BadParameter | Refused) else None
        self.write_problem(status_code, responses.get(status_code, "Error"), known)

    def write_problem(self, status: int, reason: str, why: BadParameter | Refused | None) -> None:
        """Answer with a status, the usual words for it, and what caused it if that is known."""
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.finish(f"{status} {reason}. {why or ''}".strip())
