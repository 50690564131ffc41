"""What was given to a user, by whom and why, until when: their own page of it, and others'."""

from __future__ import annotations

from tornado.web import HTTPError

from .....errors import LedgerUnavailable
from .....quotas.subject import Subject
from ...api.openapi import LARGEST_ID
from ..handlers import ViewerPage
from .decided import Entry, entries

ENTRIES_SHOWN = 20


class HistoryPage(ViewerPage):
    """A page with a history."""

    async def decided(
        self, subject: Subject, actor: str = ""
    ) -> tuple[tuple[Entry, ...] | None, int | None]:
        """A part of what was decided about a user, for this actor to take back, and where there is
        more; None where it cannot be read.
        """
        before = self.query.number("before", LARGEST_ID, 1, LARGEST_ID)
        try:
            found, following = await self.history([subject], lambda _: True, before, ENTRIES_SHOWN)
        except LedgerUnavailable as error:
            self.context.log.warning("The ledger does not answer: %s", error)
            return None, None
        said = entries(
            found,
            self.context.configured.manager.policies,
            self.at,
            self.language,
            actor=actor,
            administers=self.permissions.administers,
        )
        return said, following


class GivenPage(HistoryPage):
    """`/users/{name}/given`: what was given to a user."""

    async def get(self, name: str) -> None:
        """The page, for those who may see it; without a ledger there is none."""
        if not self.is_kept:
            raise HTTPError(404)
        subject = await self.seen(name)
        decided, following = await self.decided(subject)
        self.show(
            "usage-quota-given.html",
            chip=await self.header(),
            name=subject.name,
            is_own=subject == self.permissions.visitor,
            sees=self.permissions.may_read(subject),
            decided=decided,
            following=following,
        )

    head = get
