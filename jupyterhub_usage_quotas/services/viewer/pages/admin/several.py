"""The page on which somebody gives several users more at once: whom it reaches comes first."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from urllib.parse import urlencode

from tornado.web import HTTPError

from .....errors import AlreadyVoided
from .....quotas.subject import EVERYONE
from .....status.users import UserStatus
from ....web.params import BadParameter, Refused
from ...api.bodies import MOST_USERS
from ..intervals import zone_of
from ..user import row
from .decided import Entry, entries
from .giving import (
    Fault,
    Mistyped,
    Typed,
    fault_of,
    make_form,
    no_reason,
    offers,
    request_of,
    says_why,
)
from .handlers import DecidingPage, status_of

NUMBERS = re.compile(f"[1-9][0-9]{{0,14}}(,[1-9][0-9]{{0,14}}){{0,{MOST_USERS - 1}}}")
OFFSET_AT_MOST = 10_000_000


class GiveSeveralPage(DecidingPage):
    """`/admin/give`: those who were selected, or a group, the form, and what was written."""

    async def get(self) -> None:
        """Whom it reaches, and the form."""
        users = {*self.get_query_arguments("users", strip=False)}
        group = self.query.text("group")
        offset = self.query.number("offset", 0, 0, OFFSET_AT_MOST)
        chosen = [
            one
            for one in await self.reached()
            if one.subject.name in users or (group and group in one.subject.groups)
        ]
        await self._show(chosen, self.blank(), group=group, offset=offset)

    head = get

    async def post(self) -> None:
        """Write what the form says for each user, all or none; or take it back."""
        if self.typed("void"):
            await self._void()
            return
        typed = Typed.of(self.typed)
        users = self.get_body_arguments("users", strip=False)
        reached = [one for one in await self.reached() if one.subject.name in users]
        decider, policies = self.decider, self.decider.policies
        choices = offers(policies, [one.subject for one in reached], self.at, self.language)
        try:
            zone = zone_of(typed.zone)
            body = request_of(typed, users, choices, self.at, zone, self.language)
            written, _ = await decider.make(body, self.now, typed.key)
        except Mistyped as mistyped:
            await self._show(reached, typed, mistyped.faults, status=400)
        except (Refused, BadParameter) as error:
            fault = fault_of(error, policies, self.language)
            again = self.again(typed, error)
            await self._show(reached, again, [fault], status=status_of(error))
        else:
            self.written("made", [one.id for one in written])

    async def _void(self) -> None:
        """Take back each of these; what was taken back before is no reason to leave the others."""
        numbers, reason = _numbers(self.typed("void")), self.typed("why")
        fault = None if says_why(reason) else Fault("", no_reason(self.language))
        status = 400
        for number in numbers if fault is None else ():
            try:
                await self.decider.void(number, reason, f"{self.typed('key')}-{number}")
            except Refused as error:
                if isinstance(error.__cause__, AlreadyVoided):
                    continue
                fault = fault_of(error, self.decider.policies, self.language)
                status = error.status
                break
        if fault is not None:
            self.context.statuses.forget()
            made = await self._entries({*numbers})
            await self._show([], self.blank(), [fault], status, made=made)
            return
        self.written("undone", numbers)

    async def _show(
        self,
        chosen: Sequence[UserStatus],
        typed: Typed,
        faults: Sequence[Fault] = (),
        status: int = 200,
        group: str = "",
        offset: int = 0,
        made: tuple[Entry, ...] = (),
    ) -> None:
        language, total = self.language, len(chosen)
        chosen = chosen[offset : offset + MOST_USERS]
        subjects = [one.subject for one in chosen]
        choices = offers(self.decider.policies, subjects, self.at, language)
        following = None
        if offset + len(chosen) < total:
            more = urlencode({"group": group, "offset": offset + MOST_USERS})
            following = f"{self.request.path}?{more}"
        self.set_status(status)
        self.show(
            "usage-quota-several.html",
            chip=await self.header(),
            rows=[row(one, language) for one in chosen],
            group=group,
            offset=offset,
            total=total,
            following=following,
            form=make_form(typed, choices, faults, self.at, zone_of(typed.zone), language),
            made=made or await self._done("made"),
            undone=[one for one in await self._done("undone") if one.voided],
            now=self.now,
        )

    async def _done(self, name: str) -> tuple[Entry, ...]:
        """What was just written, where the address says that something was."""
        given = self.get_query_argument(name, "")
        return await self._entries({*_numbers(given)}) if given else ()

    async def _entries(self, numbers: Collection[int]) -> tuple[Entry, ...]:
        reached = {one.subject.name: one.subject for one in await self.reached()}
        found, _ = await self.history(
            EVERYONE,
            lambda one: (
                one.id in numbers
                and one.user is not None
                and one.user in reached
                and one.is_for(reached[one.user])
            ),
            max(numbers) + 1,
            len(numbers),
        )
        decider = self.decider
        return entries(
            sorted(found, key=lambda one: one.id),
            decider.policies,
            self.at,
            self.language,
            actor=decider.actor,
            administers=self.permissions.administers,
        )


def _numbers(text: str) -> list[int]:
    """The numbers of adjustments, with commas between."""
    if not NUMBERS.fullmatch(text):
        raise HTTPError(404)
    return [int(one) for one in text.split(",")]
