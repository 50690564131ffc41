"""What the handlers of people's decisions share: the ledger, the visitor as somebody who decides,
and about whom it may be seen what was decided.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from tornado.web import HTTPError

from ...ledger.audit import AuditedJournal
from ...ledger.base import Journal
from ...quotas.adjustments import Adjustment
from ...quotas.phrases import Phrase, mark
from ...quotas.subject import Everyone, Subject
from ..web.handler import Handler
from ..web.params import Refused
from .context import ViewerContext
from .deciding import Decider

READ_AT_ONCE = 500
READ_AT_MOST = 10_000
"""Entries of the ledger that one request goes through."""
NO_LEDGER_HERE = Phrase(
    mark("this JupyterHub keeps no adjustments; c.UsageConfig.ledger_url says where")
)

Wanted = Callable[[Adjustment], bool]


class Decisions(Handler):
    """A handler that is about people's decisions."""

    context: ViewerContext

    @cached_property
    def at(self) -> datetime:
        """The instant of the request: adjustments may begin or end at any."""
        return datetime.now(UTC)

    @property
    def journal(self) -> Journal:
        """The ledger, where it can be written."""
        if not self.is_kept:
            raise Refused(404, NO_LEDGER_HERE)
        ledger: Any = self.context.configured.ledger
        manager, own = self.context.configured.manager, self.context.log
        log = manager.make_audit_log("dashboard", own.info, own.error)
        return AuditedJournal(ledger, log, manager.policies)

    @property
    def is_kept(self) -> bool:
        """Whether there is a ledger that can be written."""
        return callable(getattr(self.context.configured.ledger, "record", None))

    @property
    def gives(self) -> bool:
        """Whether there may be somebody to whom the visitor may give more."""
        return self.is_kept and bool(self.permissions.gives)

    @property
    def decider(self) -> Decider:
        """The visitor, as somebody who decides."""
        visitor, policies = self.visitor or {}, self.context.configured.manager.policies
        # No user of a Hub has a slash in their name.
        service = "service/" if self.permissions.visitor is None else ""
        return Decider(
            self.permissions,
            f"{service}{visitor.get('name', '')}",
            self.journal,
            self.context.hub,
            policies,
            self.context.configured.manager.limits_of_granting(policies),
            self.context.log,
        )

    def may_see(self, subject: Subject) -> bool:
        """Whether what was decided about this user may be seen."""
        return self.permissions.may_read(subject) or self.permissions.may_give(subject)

    async def seen(self, name: str) -> Subject:
        """The user of this name, if it may be seen what was decided about them; else the same 404,
        whether there is such a user or not.
        """
        permissions = self.permissions
        if permissions.sees.may_have(name) or permissions.gives.may_have(name):
            found = await self.context.hub.subject(name)
            if found and found.name == name and self.may_see(found):
                return found
        raise HTTPError(404)

    async def everybody_seen(self) -> list[Subject]:
        """All users of whom it may be seen what was decided about them."""
        return [one for one in await self.context.hub.subjects() if self.may_see(one)]

    async def history(
        self, about: Collection[Subject] | Everyone, wanted: Wanted, before: int, limit: int
    ) -> tuple[Sequence[Adjustment], int | None]:
        """The newest decisions about these users below an id, and below which id to go on; None
        after the last. There can be fewer than `limit` although others follow: so many were read.
        """
        found: list[Adjustment] = []
        # Without a ledger there is no page of anything.
        following: int | None = before if self.is_kept else None
        read = 0
        while following is not None and len(found) < limit and read < READ_AT_MOST:
            page = await self.journal.history(about, before=following, limit=READ_AT_ONCE)
            read += len(page)
            following = page[-1].id if len(page) == READ_AT_ONCE else None
            found += filter(wanted, page)
        if len(found) > limit:
            found = found[:limit]
            following = found[-1].id
        return found, following
