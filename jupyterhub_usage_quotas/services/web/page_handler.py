"""Answers for people: pages in the Hub's look, whole or only the part that changes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jinja2
from jupyterhub.services.auth import HubOAuthCallbackHandler
from tornado.web import HTTPError

from ...quotas.phrases import mark
from .handler import AppContext, Handler
from .params import BadParameter, Refused
from .rendering import PageUser, Renderer, new_nonce

EXPLAINED = {
    401: mark("Please log in."),
    403: mark("You are not allowed to see this page."),
    404: mark("Not found, or you don't have access."),
    405: mark("This page is read-only."),
    503: mark("The JupyterHub does not answer at the moment. Please try again in a few minutes."),
}
WENT_WRONG = mark("Something went wrong. It has been logged.")
REASONS = {
    400: mark("Bad Request"),
    401: mark("Unauthorized"),
    403: mark("Forbidden"),
    404: mark("Not Found"),
    405: mark("Method Not Allowed"),
    500: mark("Internal Server Error"),
    503: mark("Service Unavailable"),
}
LAYOUT = "usage-quota-page.html"
LAYOUT_OF_PART = "usage-quota-part.html"
ERROR_PAGE = "usage-quota-error.html"
"""The templates that every service with pages has."""
PART_HEADER = "X-Usage-Quota-Part"
"""The header with which a script of the page requests the part of it that changes."""


@dataclass(frozen=True, slots=True)
class PageContext(AppContext):
    """The context of handlers of pages."""

    renderer: Renderer


class PageHandler(Handler):
    """A page."""

    explained = EXPLAINED
    """The messages of errors, by status."""
    context: PageContext

    @cached_property
    def nonce(self) -> str:
        """The nonce of the scripts of this answer."""
        return new_nonce()

    @property
    def in_part(self) -> bool:
        """Whether the request is only for the part of the page that changes with the data."""
        return PART_HEADER in self.request.headers

    def set_default_headers(self) -> None:
        """Pages also depend on the part that is requested."""
        super().set_default_headers()
        self.set_header("Vary", f"Cookie, Authorization, {PART_HEADER}")

    def not_logged_in(self) -> None:
        """Send a browser to the Hub, to log in and come back; a script cannot go there."""
        if self.in_part:
            raise HTTPError(401)
        self.redirect(self.get_login_url())

    def show(self, template: str, **variables: Any) -> None:
        """Answer with a page, or with the part of it that changes.

        Of the latter, the same is not sent again (Tornado adds the ETag), so there is nothing in
        it that is new each time.
        """
        # Without a session there is nothing for a token against forged requests to protect.
        token = self.xsrf_token.decode() if self.visitor else ""
        user = None
        if self.visitor and self.permissions.visitor:
            visitor = self.permissions.visitor
            user = PageUser(visitor.name, visitor.admin, visitor.groups)
        renderer = self.context.renderer
        self.set_header("Content-Security-Policy", renderer.content_security_policy(self.nonce))
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        layout = LAYOUT
        if self.in_part:
            layout, token = LAYOUT_OF_PART, ""
            self.set_header("Cache-Control", "private, no-cache")
        variables |= {"usage_quota_layout": layout, "xsrf_token": token, "xsrf": token}
        self.finish(renderer.render(template, user, self.nonce, **variables))

    def write_problem(self, status: int, reason: str, why: BadParameter | Refused | None) -> None:
        """A page that says what is wrong; plain text where an admin's template is."""
        language = self.context.renderer.language
        message = language.gettext(self.explained.get(status, WENT_WRONG))
        if why:
            message = language.say(why.phrase) if why.phrase else str(why)
        if isinstance(why, BadParameter):
            message = f"{why.name}: {message}"
        if status in REASONS:
            reason = language.gettext(REASONS[status])
        english = why is not None and why.phrase is None
        said = {"reason": reason, "message": message, "english": english}
        try:
            self.show(ERROR_PAGE, status_code=status, **said)
        except (HTTPError, jinja2.TemplateError):
            self.set_header("Content-Type", "text/plain; charset=UTF-8")
            self.finish(f"{status} {reason}. {message}")


class Callback(PageHandler, HubOAuthCallbackHandler):  # type: ignore[misc]
    """Where the Hub sends browsers back to after logging in."""

    needs_login = False
    explained = dict.fromkeys((400, 403, 500), mark("Logging in did not work. Please try again."))


class NoPage(PageHandler):
    """Every address at which no page is."""

    needs_login = False

    async def prepare(self) -> None:
        """Not found, whatever the method; the page shows visitors as logged in if they are."""
        with suppress(HTTPError):
            await self._identify()
        raise HTTPError(404)

    def not_logged_in(self) -> None:
        """Nothing to log in for."""
