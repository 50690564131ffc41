"""The page on which an admin sets another budget, for this period of a calendar or the next."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tornado.web import HTTPError

from .....errors import LedgerUnavailable
from .....ledger.entries import LONGEST_REASON, SHORTEST_REASON
from .....quotas.adjustments import Adjustment
from ....web.params import BadParameter, Refused
from ...api.openapi import LARGEST_ID
from ...deciding import adjustment
from .budgeting import (
    NEXT,
    THIS,
    Budget,
    TypedBudget,
    budget_policies,
    budgets,
    proposal_of,
    tier_rows,
)
from .decided import entries
from .giving import Fault, Mistyped, fault_of
from .handlers import DecidingPage, Undoing, status_of


class BudgetsPage(DecidingPage):
    """`/admin/budgets`: the budgets of this period and the next, for admins."""

    async def prepare(self) -> None:
        """Refuse those who decide nothing about everyone."""
        await super().prepare()
        if not self._finished and not self.permissions.administers:
            raise HTTPError(404)

    async def get(self) -> None:
        """The budgets, with the form of one that was selected; after something was written, what it
        was.
        """
        period = self.query.choice("period", (THIS, NEXT), THIS)
        await self._show(TypedBudget(policy=self.query.text("policy"), period=period))

    head = get

    async def post(self) -> None:
        """Write what a form says; a page that says so follows."""
        if self.typed("void"):
            await self._void()
        else:
            await self._set(TypedBudget.of(self.typed))

    async def _set(self, typed: TypedBudget) -> None:
        decider, policies = self.decider, self.decider.policies
        try:
            proposal = proposal_of(typed, policies, self.at, self.language, decider.actor)
            written, _ = await decider.decide([proposal], self.now, typed.key)
        except Mistyped as mistyped:
            await self._show(typed, mistyped.faults, status=400)
        except (Refused, BadParameter) as error:
            fault = fault_of(error, policies, self.language)
            again = replace(typed, key="") if error.name == "Idempotency-Key" else typed
            await self._show(again, [fault], status=status_of(error))
        else:
            self.written("made", [written[0].id])

    async def _void(self) -> None:
        found = await self.adjustment_to_undo()
        names = budget_policies(self.decider.policies, self.at)
        if found.user is not None or found.policy not in names:
            raise HTTPError(404)
        if refused := await self.undo(found):
            undoing = Undoing(found.id, self.typed("why"))
            await self._show(TypedBudget(), [refused.fault], refused.status, undoing)

    async def _show(
        self,
        typed: TypedBudget,
        faults: Sequence[Fault] = (),
        status: int = 200,
        undoing: Undoing | None = None,
    ) -> None:
        done, found = await self._done(), await self._budgets()
        self.set_status(status)
        self.show(
            "usage-quota-budgets.html",
            chip=await self.header(),
            budgets=found,
            tiers=tier_rows(found or ()),
            typed=typed if typed.key else replace(typed, key=secrets.token_urlsafe(16)),
            faults={one.field: one for one in faults},
            undoing=undoing,
            **done,
            shortest=SHORTEST_REASON,
            longest=LONGEST_REASON,
            zone=self.zone.key,
            now=self.now,
        )

    async def _budgets(self) -> list[Budget] | None:
        """All of them; None where what was decided cannot be read."""
        try:
            decided = await self.journal.active([], self.at)
        except LedgerUnavailable as error:
            self.context.log.warning("The ledger does not answer: %s", error)
            return None
        decider = self.decider
        return budgets(
            decider.policies,
            decided.everyone,
            self.at,
            self.language,
            decider.actor,
            self.context.roles_and_tiers,
        )

    async def _done(self) -> Mapping[str, Any]:
        """What was just written, where the address says that something was."""
        found: dict[str, Any] = {}
        for name in ("made", "undone"):
            number = self.query.number(name, 0, 0, LARGEST_ID)
            one = await self._one(number) if number else None
            about_all = one is not None and one.user is None
            said = entries([one], self.decider.policies, self.at, self.language) if one else ()
            found[name] = said[0] if said and about_all else None
        return found

    async def _one(self, number: int) -> Adjustment | None:
        try:
            return await adjustment(self.journal, number)
        except LedgerUnavailable:
            return None
