"""The handlers of people's decisions: making adjustments, voiding them, and looking them up."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from tornado.web import HTTPError

from ....ledger.audit import AuditedJournal
from ....ledger.base import Journal
from ....ledger.drafts import Proposal
from ....ledger.reports import recorded_report
from ....quotas.adjustments import Adjustment
from ....quotas.subject import EVERYONE, Everyone, Subject
from ...web.params import BadParameter, Refused
from ..deciding import NO_SUCH_ADJUSTMENT, Decider, adjustment
from ..table import ROWS_AT_MOST
from . import models, openapi
from .bodies import NewAdjustments, Voiding
from .handlers import ViewerApi

READ_AT_ONCE = 500
READ_AT_MOST = 10_000
"""Entries of the ledger that one request goes through."""
NO_LEDGER_HERE = "this JupyterHub keeps no adjustments; c.UsageConfig.ledger_url says where"

Wanted = Callable[[Adjustment], bool]


class DecisionsApi(ViewerApi):
    """An endpoint about people's decisions."""

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
        manager = self.context.configured.manager
        own = self.context.log
        log = manager.make_audit_log("dashboard", own.info, own.error)
        return AuditedJournal(ledger, log, manager.policies)

    @property
    def is_kept(self) -> bool:
        """Whether there is a ledger that can be written."""
        return callable(getattr(self.context.configured.ledger, "record", None))

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

    @property
    def key(self) -> str:
        """The key of the request; empty without one."""
        key = self.request.headers.get("Idempotency-Key")
        if key is not None and not key.strip():
            raise BadParameter("Idempotency-Key", "must not be empty")
        return key or ""

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

    async def answer_history(
        self, about: Collection[Subject] | Everyone, filters: dict[str, str]
    ) -> None:
        """A page of what was decided about these users."""
        limit = self.query.number("limit", 50, 1, ROWS_AT_MOST)
        before = self.query.number("before", openapi.LARGEST_ID, 1, openapi.LARGEST_ID)
        wanted = self._wanted(filters)
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
        address = None
        if following is not None:
            given = {name: value for name, value in filters.items() if value}
            more = urlencode(given | {"limit": limit, "before": following})
            address = f"{self.request.path}?{more}"
        policies = self.context.configured.manager.policies
        items = tuple(recorded_report(one, policies) for one in found)
        self.answer(models.History(items=items, next=address))

    def filters(self, *names: str) -> dict[str, str]:
        """The filters of the request."""
        active = self.query.choice("active", ("true", "false"), "")
        return {name: self.query.text(name) for name in names} | {
            "policy": self.query.text("policy"),
            "active": active,
        }

    def _wanted(self, filters: dict[str, str]) -> Wanted:
        policy, active = filters["policy"], filters["active"]

        def wanted(one: Adjustment) -> bool:
            in_force = one.voided is None and one.active(self.at)
            return (not policy or one.policy == policy) and (
                not active or in_force is (active == "true")
            )

        return wanted


class Adjustments(DecisionsApi):
    """`adjustments`: what was decided, and deciding."""

    operation = openapi.ADJUSTMENTS
    writing = openapi.ADJUST

    async def get(self) -> None:
        """A page of adjustments."""
        filters = self.filters("user", "group")
        user, group = filters["user"], filters["group"]
        about: Collection[Subject] | Everyone
        if self.permissions.everybody:
            # Of those who are no longer there, too.
            about = [Subject(user)] if user else EVERYONE
        elif user:
            about = [await self.seen(user)]
        else:
            about = await self.everybody_seen()
        if group:
            everybody = await self.everybody_seen()
            members = [one for one in everybody if group in one.groups]
            about = [one for one in members if not user or one.name == user]
        await self.answer_history(about, filters)

    head = get

    async def post(self) -> None:
        """Make the same adjustment for each user."""
        decider = self.decider
        given = self.body(NewAdjustments)
        if (given.users is None) is (given.everyone is None):
            raise BadParameter("users", "expected either `users` or `everyone`")
        decider.refuse_beyond(given.kind, everyone=given.users is None)
        subjects = await decider.subjects(given.users or ())
        decider.refuse_other_policies(given.policy, subjects)
        common: dict[str, Any] = {
            **{name: getattr(given, name) for name in ("kind", "policy", "until", "reason")},
            "amount": given.amount or "",
            "start": given.start or "",
            "actor": decider.actor,
        }
        proposals = [
            Proposal(user=one.name, user_created=one.created, **common) for one in subjects
        ] or [Proposal(**common)]
        written, new = await decider.decide(proposals, self.now, self.key)
        self.set_status(201 if new else 200)
        policies = decider.policies
        self.answer(
            models.Adjustments(items=tuple(recorded_report(one, policies) for one in written))
        )


class OneAdjustment(DecisionsApi):
    """`adjustments/{id}`: one adjustment."""

    operation = openapi.ADJUSTMENT

    async def get(self, number: str) -> None:
        """The adjustment, if the visitor may see what was decided about its user."""
        found = await adjustment(self.journal, int(number))
        if found is None or not await self._may_see(found):
            raise Refused(404, NO_SUCH_ADJUSTMENT)
        self.answer(recorded_report(found, self.context.configured.manager.policies))

    head = get

    async def _may_see(self, found: Adjustment) -> bool:
        if self.permissions.everybody:
            return True
        try:
            return found.user is not None and found.is_for(await self.seen(found.user))
        except HTTPError:
            return False


class VoidAdjustment(DecisionsApi):
    """`adjustments/{id}/void`: voiding it."""

    writing = openapi.VOID

    async def post(self, number: str) -> None:
        """Void it."""
        decider = self.decider
        given = self.body(Voiding)
        voided = await decider.void(int(number), given.reason, self.key)
        self.answer(recorded_report(voided, decider.policies))


class UserAdjustments(DecisionsApi):
    """`users/{name}/adjustments`: what was decided about a user."""

    operation = openapi.HISTORY

    async def get(self, name: str) -> None:
        """A page of it; everybody reads their own."""
        await self.answer_history([await self.seen(name)], self.filters())

    head = get
