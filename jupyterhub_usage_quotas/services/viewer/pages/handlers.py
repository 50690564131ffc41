"""The viewer's pages: a user's own, another user's, and the table of all users."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import jinja2
from jupyterhub.services.auth import HubOAuthCallbackHandler
from tornado.web import HTTPError

from ....quotas.subject import Subject
from ...web.handler import Visit
from ...web.hub_api import HubUnavailable
from ...web.params import BadParameter
from ...web.rendering import PageUser
from . import table as tables
from .cards import cards, row
from .homes import home_card
from .intervals import zone_of
from .listing import NAMES, columns, counts
from .overview import if_enforced, session_table, summary

EXPLAINED = {
    401: "Please log in.",
    403: "You are not allowed to see this page.",
    404: "There is no such page, or it is not for you to see.",
    405: "This page can only be looked at.",
    503: "The JupyterHub does not answer at the moment. Please try again in a few minutes.",
}


ZONE_COOKIE = "usage-quota-zone"
"""In which a script of the page tells the browser's time zone."""
PART_HEADER = "X-Usage-Quota-Part"
"""With which a script of the page asks for the part of it that changes."""


class Page(Visit):
    """A page for subjects."""

    explained = EXPLAINED
    """What to say about errors, by status."""

    @property
    def in_part(self) -> bool:
        """Whether only the part of the page is asked for that changes: what the data say."""
        return PART_HEADER in self.request.headers

    @property
    def zone(self) -> ZoneInfo:
        """The browser's time zone; UTC until it has told."""
        return zone_of(unquote(self.get_cookie(ZONE_COOKIE, "") or ""))

    def set_default_headers(self) -> None:
        """Pages also depend on which part is asked for."""
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
            user = PageUser(self.permissions.visitor.name, self.permissions.visitor.admin)
        self.set_header(
            "Content-Security-Policy", self.services.pages.content_security_policy(self.nonce)
        )
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        layout = "usage-quota-page.html"
        if self.in_part:
            layout, token = "usage-quota-part.html", ""
            self.set_header("Cache-Control", "private, no-cache")
        variables |= {"usage_quota_layout": layout, "xsrf_token": token, "xsrf": token}
        self.finish(self.services.pages.render(template, user, self.nonce, **variables))

    async def show_standing(self, subject: Subject) -> None:
        """The page of one user."""
        manager = self.services.configured.manager
        standing = await self.services.standings.of(subject, self.now)
        is_own = subject == self.permissions.visitor
        would = None if standing.enforced or is_own else if_enforced(standing)
        self.show(
            "usage-quota-user.html",
            standing=standing,
            would_be=would,
            home=home_card(standing),
            cards=cards(standing, self.zone),
            summary=summary(standing),
            sessions=session_table(standing),
            zone=self.zone.key,
            is_own=is_own,
            sees_others=self.permissions.sees_others,
            contact=manager.contact,
            enforcement=manager.enforcement.value,
            now=self.now,
        )

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """A Hub that does not answer is worth a line, not a traceback."""
        if isinstance(value, HubUnavailable):
            self.services.configured.viewer.log.warning("The Hub does not answer: %s", value)
        elif not isinstance(value, BadParameter):
            super().log_exception(typ, value, tb)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A page that says what is wrong, and nothing about the inside."""
        error = _error(kwargs)
        if isinstance(error, HubUnavailable):
            status_code = 503
        elif isinstance(error, BadParameter):
            status_code = 400
        self.set_status(status_code)
        if status_code == 405:  # noqa: PLR2004
            self.set_header("Allow", ", ".join(self.allowed_methods))
        reason = self.reason_of(status_code)
        message = self.explained.get(status_code, "Something went wrong. It has been logged.")
        if isinstance(error, BadParameter):
            message = f"{error.name}: {error}"
        try:
            self.show(
                "usage-quota-error.html", status_code=status_code, reason=reason, message=message
            )
        except (HTTPError, jinja2.TemplateError):
            self.set_header("Content-Type", "text/plain; charset=UTF-8")
            self.finish(f"{status_code} {reason}. {message}")


def _error(kwargs: dict[str, Any]) -> BaseException | None:
    info = kwargs.get("exc_info")
    return info[1] if info else None


class OwnPage(Page):
    """`/`: where the visitor stands."""

    async def get(self) -> None:
        """The page; a service has none."""
        if self.permissions.visitor is None:
            raise HTTPError(404)
        await self.show_standing(self.permissions.visitor)

    head = get


class UserPage(Page):
    """`/users/{name}`: where somebody stands."""

    async def get(self, name: str) -> None:
        """The page, for those who may see it."""
        await self.show_standing(await self.subject(name))

    head = get


class UsersPage(Page):
    """`/users`: where everybody stands, as far as the visitor may see it."""

    async def get(self) -> None:
        """A page of the table, for those who may see others."""
        if not self.permissions.sees_others:
            raise HTTPError(404)
        page = tables.Page.of(self.query)
        standings = await self.services.standings.of_everybody(self.now)
        visible = [one for one in standings if self.permissions.may_read(one.subject)]
        found = tables.selected(visible, page.filter)
        self.show(
            "usage-quota-users.html",
            enforcement=self.services.configured.manager.enforcement.value,
            rows=[row(one) for one in page.rows(found)],
            total=len(found),
            page=page,
            names=NAMES,
            columns=columns(page, self.request.path),
            counts=counts(visible, page, self.request.path),
            zone=self.zone.key,
            first=page.offset + 1 if found else 0,
            previous=page.previous(self.request.path),
            following=page.following(self.request.path, len(found)),
            now=self.now,
        )

    head = get


class Callback(Page, HubOAuthCallbackHandler):  # type: ignore[misc]
    """Where the Hub sends browsers back to after logging in."""

    needs_login = False
    explained = dict.fromkeys((400, 403, 500), "Logging in did not work. Please try again.")


class NoPage(Page):
    """Whatever is not there."""

    needs_login = False

    async def prepare(self) -> None:
        """Not found, whatever the method."""
        raise HTTPError(404)
