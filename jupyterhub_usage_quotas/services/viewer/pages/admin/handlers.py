"""The pages on which somebody gives more: finding a user, giving, and taking it back."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tornado.web import HTTPError

from .....quotas.adjustments import Adjustment
from .....quotas.phrases import mark
from .....quotas.subject import Subject
from .....status.chip import Chip
from .....status.users import UserStatus
from ....web.openapi import CSV
from ....web.page_handler import EXPLAINED
from ....web.params import BadParameter, Refused
from ...api.openapi import LARGEST_ID
from ...deciding import adjustment
from ...table import NAMES, STATES, Page, columns, selected
from ..intervals import zone_of
from ..user import cards, row
from .budgeting import budget_policies
from .decided import Entry
from .giving import (
    Fault,
    Mistyped,
    Typed,
    fault_of,
    make_form,
    most_wanted,
    no_reason,
    offers,
    request_of,
    says_why,
)
from .history import HistoryPage
from .totals import Total, totals, users_as_csv

NUMBER = re.compile("[1-9][0-9]{0,14}")
NOT_SENT = mark(
    "Nothing was written: your session has ended, or this form was not on a page of yours. Go back,"
    " copy what you typed, and open the page anew."
)


@dataclass(frozen=True, slots=True)
class NotUndone:
    """Why an adjustment was not taken back, and the status of the page that says so."""

    fault: Fault
    status: int


class DecidingPage(HistoryPage):
    """A page of those who may give more to somebody; nobody else learns that it is there."""

    explained = EXPLAINED | {401: NOT_SENT}

    async def prepare(self) -> None:
        """Identify the visitor, and refuse those who give to nobody."""
        await super().prepare()
        if not self._finished and not self.gives:
            raise HTTPError(404)

    def not_logged_in(self) -> None:
        """Send a browser to log in, except with a form, which would be lost on the way."""
        if self.request.method == "POST":
            raise HTTPError(401)
        super().not_logged_in()

    def as_seen(self, status: UserStatus) -> UserStatus:
        """A user's status, without what the visitor may not see."""
        if self.permissions.may_read(status.subject):
            return status
        subject = replace(status.subject, groups=self.groups_seen(status.subject))
        inputs = replace(status.inputs, subject=subject)
        return replace(status, inputs=inputs, decision=replace(status.decision, verdicts=()))

    def groups_seen(self, subject: Subject) -> frozenset[str]:
        """The groups of a user of which the visitor may know."""
        if self.permissions.may_read(subject):
            return subject.groups
        mine = self.permissions.gives.groups
        return frozenset(one for one in subject.groups if mine.have_any([one]))

    async def reached(self) -> list[UserStatus]:
        """All to whom the visitor may give more, as far as they see them."""
        everybody = await self.context.statuses.of_everyone(self.now)
        may_give = self.permissions.may_give
        return [self.as_seen(one) for one in everybody if may_give(one.subject)]

    def typed(self, name: str) -> str:
        """What is in a field of the form; empty where it is not there."""
        return self.get_body_argument(name, "", strip=False) or ""

    def blank(self) -> Typed:
        """A form into which nothing was typed yet."""
        return Typed(zone=self.zone.key, key=secrets.token_urlsafe(16))

    def again(self, typed: Typed, error: Refused | BadParameter) -> Typed:
        """What was typed, to be sent again; with a key of its own, where another request has it."""
        return (
            replace(typed, key=secrets.token_urlsafe(16))
            if error.name == "Idempotency-Key"
            else typed
        )

    async def adjustment_to_undo(self) -> Adjustment:
        """The adjustment whose number was sent; a page that is not there, where there is none."""
        number = self.typed("void")
        found = await adjustment(self.journal, int(number)) if NUMBER.fullmatch(number) else None
        if found is None:
            raise HTTPError(404)
        return found

    async def undo(self, one: Adjustment) -> NotUndone | None:
        """Take it back, for the reason that was typed, and go on to the page that says so; else why
        it was not.
        """
        reason = self.typed("why")
        if not says_why(reason):
            return NotUndone(Fault("why", no_reason(self.language)), 400)
        try:
            await self.decider.void(one.id, reason, self.typed("key"))
        except (Refused, BadParameter) as error:
            fault = fault_of(error, self.decider.policies, self.language)
            return NotUndone(fault, status_of(error))
        self.written("undone", [one.id])
        return None

    def written(self, done: str, numbers: Sequence[int]) -> None:
        """Go on to the page that says it: whoever loads that again sends nothing again."""
        self.context.statuses.forget()
        said = ",".join(map(str, numbers))
        self.redirect(f"{self.request.path}?{done}={said}", status=303)


class AdminPage(DecidingPage):
    """`/admin`: those to whom the visitor may give more."""

    async def get(self) -> None:
        """A page of the table; or all that is chosen, for a spreadsheet. What is made of thousands
        of users takes a moment, in which others get their turn.
        """
        page = Page.of(self.query)
        reached = await self.reached()
        found = selected(reached, page.filter, self.context.tiers)
        if self.query.choice("format", ("html", "csv"), "html") == "csv":
            self._download(await asyncio.to_thread(users_as_csv, found))
            return
        summed = await asyncio.to_thread(totals, found, self.language)
        self._show_table(page, reached, found, summed, await self.header())

    def _download(self, text: str) -> None:
        self.set_header("Content-Type", f"{CSV}; charset=UTF-8")
        self.set_header("Content-Disposition", 'attachment; filename="usage-quotas.csv"')
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        self.finish(text)

    def _show_table(
        self,
        page: Page,
        reached: Sequence[UserStatus],
        found: Sequence[UserStatus],
        summed: Sequence[Total],
        header: Chip | None,
    ) -> None:
        may_read, language = self.permissions.may_read, self.language
        path = self.request.path
        self.show(
            "usage-quota-admin.html",
            chip=header,
            rows=[row(one, language) for one in page.rows(found)],
            unseen={one.subject.name for one in found if not may_read(one.subject)},
            groups=sorted({group for one in reached for group in one.subject.groups}),
            policies=_policies_of(reached),
            tiers=list(self.context.tiers),
            has_budgets=self.permissions.administers
            and bool(budget_policies(self.decider.policies, self.at)),
            sees_everybody=self.permissions.everybody,
            states=[(one, language.gettext(NAMES[one])) for one in STATES],
            total=len(found),
            totals=summed,
            page=page,
            columns=columns(page, path, language),
            first=page.offset + 1 if found else 0,
            previous=page.previous(path),
            following=page.following(path, len(found)),
            download=f"{page.address(path, 0)}&format=csv",
            now=self.now,
        )

    head = get


@dataclass(frozen=True, slots=True)
class Undoing:
    """Which adjustment is taken back, and why, as it was typed."""

    number: int
    reason: str


class GivePage(DecidingPage):
    """`/admin/users/{name}`: giving one user more, what was decided, and taking it back."""

    async def get(self, name: str) -> None:
        """The form and the history; after something was written, what it was."""
        subject = await self._subject(name)
        await self._show(subject, self.blank())

    head = get

    async def post(self, name: str) -> None:
        """Write what the form says; a page that says so follows."""
        subject = await self._subject(name)
        if self.typed("void"):
            await self._void(subject)
        else:
            await self._give(subject)

    async def _subject(self, name: str) -> Subject:
        try:
            return await self.decider.subject(name)
        except Refused:
            raise HTTPError(404) from None

    async def _give(self, subject: Subject) -> None:
        typed = Typed.of(self.typed)
        decider, policies = self.decider, self.decider.policies
        choices = offers(policies, [subject], self.at, self.language)
        zone = zone_of(typed.zone)
        try:
            body = request_of(typed, [subject.name], choices, self.at, zone, self.language)
            written, _ = await decider.make(body, self.now, typed.key)
        except Mistyped as mistyped:
            await self._show(subject, typed, mistyped.faults, status=400)
        except (Refused, BadParameter) as error:
            fault = fault_of(error, policies, self.language)
            await self._show(subject, self.again(typed, error), [fault], status=status_of(error))
        else:
            self.written("made", [written[0].id])

    async def _void(self, subject: Subject) -> None:
        found = await self.adjustment_to_undo()
        if found.user is None or not found.is_for(subject):
            raise HTTPError(404)
        if refused := await self.undo(found):
            undoing = Undoing(found.id, self.typed("why"))
            await self._show(subject, self.blank(), [refused.fault], refused.status, undoing)

    async def _show(
        self,
        subject: Subject,
        typed: Typed,
        faults: Sequence[Fault] = (),
        status: int = 200,
        undoing: Undoing | None = None,
    ) -> None:
        language, policies = self.language, self.decider.policies
        stands = None
        if self.permissions.may_read(subject):
            stands = await self.context.statuses.of(subject, self.now)
        choices = offers(policies, [subject], self.at, language, stands)
        if not typed.policy:
            typed = replace(typed, policy=most_wanted(choices))
        decided, following = await self.decided(subject, self.decider.actor)
        self.set_status(status)
        self.show(
            "usage-quota-give.html",
            chip=await self.header(),
            name=subject.name,
            groups=sorted(self.groups_seen(subject)),
            sees=self.permissions.may_read(subject),
            cards=cards(stands, None, language) if stands else (),
            form=make_form(typed, choices, faults, self.at, zone_of(typed.zone), language),
            undoing=undoing,
            decided=decided,
            following=following,
            **self._done(decided or ()),
            zone=self.zone.key,
            now=self.now,
        )

    def _done(self, decided: Sequence[Entry]) -> dict[str, Any]:
        """What was just written, where the address says that something was."""
        by_number = {one.number: one for one in decided}
        numbers = {name: self.query.number(name, 0, 0, LARGEST_ID) for name in ("made", "undone")}
        return {name: by_number.get(number) for name, number in numbers.items()}


def _policies_of(statuses: Sequence[UserStatus]) -> list[str]:
    """The names of the policies that limit any of these users, in order."""
    verdicts = (one for status in statuses for one in status.decision.verdicts)
    return sorted({one.name for verdict in verdicts for one in verdict.allotment.candidates})


def status_of(error: Refused | BadParameter) -> int:
    """The status of the page that says why a request was refused."""
    return error.status if isinstance(error, Refused) else 400
