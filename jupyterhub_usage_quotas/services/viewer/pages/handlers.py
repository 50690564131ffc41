"""The viewer's pages: a user's own, another user's, and the table of all users."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from prometheus_client import CONTENT_TYPE_LATEST
from tornado.web import HTTPError

from ....quotas.subject import Subject
from ....status.chip import Chip, chip
from ....status.language import Language
from ....status.text import Severity
from ....status.users import UserStatus
from ...web.page_handler import PageHandler
from ..context import ViewerContext
from ..decisions import Decisions
from ..table import Page, columns, counts, selected
from .intervals import zone_of
from .own_costs import user_months
from .summary import if_enforced, summary
from .user import cards, gauge_cards, row, session_table

ZONE_COOKIE = "usage-quota-zone"
"""The cookie in which a script of the page sends the browser's time zone."""


class ViewerPage(Decisions, PageHandler):
    """A page of the viewer."""

    context: ViewerContext

    @property
    def zone(self) -> ZoneInfo:
        """The browser's time zone; UTC until the page has sent it."""
        return zone_of(unquote(self.get_cookie(ZONE_COOKIE, "") or ""))

    @property
    def language(self) -> Language:
        """The language of pages."""
        return self.context.renderer.language

    async def header(self) -> Chip | None:
        """The visitor's tightest quota, as in the header of the Hub's pages."""
        visitor = self.permissions.visitor
        if visitor is None or not self.context.configured.manager.show_in_header:
            return None
        return chip(await self.context.statuses.of(visitor, self.now), language=self.language)

    async def show_status(self, subject: Subject) -> UserStatus:
        """The page of one user; where they stand."""
        manager = self.context.configured.manager
        status = await self.context.statuses.of(subject, self.now)
        is_own = subject == self.permissions.visitor
        would = None if status.enforced or is_own else if_enforced(status, self.language)
        self.show(
            "usage-quota-user.html",
            chip=await self.header(),
            status=status,
            would_be=would,
            gauges=gauge_cards(status, self.language),
            cards=cards(status, self.zone, self.language),
            summary=summary(status, self.language),
            sessions=session_table(status, self.language),
            zone=self.zone.key,
            is_own=is_own,
            sees_others=self.permissions.sees_others,
            gives=self.gives,
            kept=self.is_kept,
            costs=await self.costs_of(subject),
            has_costs=self.context.costs is not None,
            may_give=self.gives and self.permissions.may_give(subject),
            over_time=self.context.configured.viewer.enable_compute,
            contact=self.language.gettext(manager.contact),
            enforcement=manager.enforcement.value,
            now=self.now,
        )
        return status

    async def costs_of(self, subject: Subject) -> Sequence[object]:
        """What a user cost in the last months; nothing where that is not known."""
        if self.context.costs is None:
            return ()
        today = self.now.date()
        months = await self.context.costs.of_user(subject.name, today)
        return user_months(months or (), subject.name, today, self.language)


class OwnPage(ViewerPage):
    """`/`: where the visitor stands."""

    async def get(self) -> None:
        """The page; a service has none."""
        visitor = self.permissions.visitor
        if visitor is None:
            raise HTTPError(404)
        is_known = False
        try:
            status = await self.show_status(visitor)
            verdicts = status.decision.verdicts
            is_known = all(status.severity_of(one) is not Severity.UNKNOWN for one in verdicts)
        finally:
            # A page that stays open is counted once.
            if not is_known and not self.in_part:
                self.context.errors.count(visitor.name)

    head = get


class Metrics(ViewerPage):
    """`/metrics`: the dashboard's own, for those who may see everybody."""

    async def get(self) -> None:
        """Answer with them where they are wanted."""
        if not self.context.configured.manager.earlier_metrics:
            raise HTTPError(404)
        if not self.permissions.everybody:
            raise HTTPError(403)
        self.set_header("Content-Type", CONTENT_TYPE_LATEST)
        self.finish(self.context.errors.as_text())


class UserPage(ViewerPage):
    """`/users/{name}`: where somebody stands."""

    async def get(self, name: str) -> None:
        """The page, for those who may see it."""
        await self.show_status(await self.subject(name))

    head = get


class UsersPage(ViewerPage):
    """`/users`: where everybody stands, as far as the visitor may see it."""

    async def get(self) -> None:
        """A page of the table, for those who may see others."""
        if not self.permissions.sees_others:
            raise HTTPError(404)
        page = Page.of(self.query)
        statuses = await self.context.statuses.of_everyone(self.now)
        visible = [one for one in statuses if self.permissions.may_read(one.subject)]
        tiers = self.context.tiers
        found = selected(visible, page.filter, tiers)
        self.show(
            "usage-quota-users.html",
            chip=await self.header(),
            gives=self.gives,
            has_costs=self.context.costs is not None,
            sees_everybody=self.permissions.everybody,
            enforcement=self.context.configured.manager.enforcement.value,
            rows=[row(one, self.language) for one in page.rows(found)],
            total=len(found),
            page=page,
            columns=columns(page, self.request.path, self.language),
            counts=counts(visible, page, self.request.path, self.language, tiers),
            zone=self.zone.key,
            first=page.offset + 1 if found else 0,
            previous=page.previous(self.request.path),
            following=page.following(self.request.path, len(found)),
            now=self.now,
        )

    head = get
