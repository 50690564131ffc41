"""The handlers of people's decisions: making adjustments, voiding them, and looking them up."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlencode

from tornado.web import HTTPError

from ....ledger.reports import recorded_report
from ....quotas.adjustments import Adjustment
from ....quotas.subject import EVERYONE, Everyone, Subject
from ...web.params import BadParameter, Refused
from ..deciding import NO_SUCH_ADJUSTMENT, adjustment
from ..decisions import Decisions, Wanted
from ..table import ROWS_AT_MOST
from . import models, openapi
from .bodies import NewAdjustments, Voiding
from .handlers import ViewerApi


class DecisionsApi(Decisions, ViewerApi):
    """An endpoint about people's decisions."""

    @property
    def key(self) -> str:
        """The key of the request; empty without one."""
        key = self.request.headers.get("Idempotency-Key")
        if key is not None and not key.strip():
            raise BadParameter("Idempotency-Key", "must not be empty")
        return key or ""

    async def answer_history(
        self, about: Collection[Subject] | Everyone, filters: dict[str, str]
    ) -> None:
        """A page of what was decided about these users."""
        limit = self.query.number("limit", 50, 1, ROWS_AT_MOST)
        before = self.query.number("before", openapi.LARGEST_ID, 1, openapi.LARGEST_ID)
        found, following = await self.history(about, self._wanted(filters), before, limit)
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
        written, new = await decider.make(given, self.now, self.key)
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
