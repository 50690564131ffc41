"""What a visitor may decide about whom, and how it gets into the ledger."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...errors import (
    AdjustmentRefused,
    InvalidAdjustment,
    KeyReused,
    LedgerUnavailable,
    TooMuchGiven,
    UnknownAdjustment,
)
from ...ledger.base import Check, Held, Journal, no_check
from ...ledger.drafts import Proposal, draft_of, record_proposals
from ...ledger.entries import LONGEST_KEY, another_request
from ...ledger.granting import Limits, within
from ...quotas.adjustments import Adjustment, Grant
from ...quotas.messages import shown, wrong
from ...quotas.phrases import Phrase, mark
from ...quotas.policy.policy import PolicySet
from ...quotas.resolve import resolve
from ...quotas.subject import EVERYONE, Subject
from ...status.permissions import Permissions
from ..web.hub_api import HubClient
from ..web.params import BadParameter, Refused
from .api.bodies import NewAdjustments

AT_ONCE = 10
"""Of how many users the Hub is queried at the same time."""
NO_SUCH_USER = mark("no such user, or you don't have access: {name}")
NO_SUCH_ADJUSTMENT = Phrase(mark("no such adjustment, or you don't have access"))
IN_DOUBT = Phrase(
    mark(
        "The JupyterHub, or its ledger, does not answer. It may or may not be written: repeat the"
        " request with the same Idempotency-Key"
    )
)


@dataclass(frozen=True, slots=True)
class Decider:
    """A visitor who decides: what of it they may, of whom, and as whom it is written.

    Everything raises `Refused`, with the status of the answer.
    """

    permissions: Permissions
    actor: str
    journal: Journal
    hub: HubClient
    policies: PolicySet
    limits: Limits
    log: logging.Logger

    def __post_init__(self) -> None:
        if not self.permissions.gives:
            raise Refused(403, Phrase(mark("you may not give more to anybody")))

    async def subjects(self, names: Sequence[str]) -> list[Subject]:
        """The users of these names, as the Hub has them now, if this visitor may give them more."""
        twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
        if twice is not None:
            text = mark("named twice: got {got}; expected each user once")
            raise BadParameter("users", Phrase(text, values={"got": shown(twice)}))
        queries = asyncio.Semaphore(AT_ONCE)

        async def found(name: str) -> Subject:
            async with queries:
                return await self.subject(name)

        return await asyncio.gather(*map(found, names))

    async def subject(self, name: str) -> Subject:
        """One of them. Users who are not there and those of others are refused alike."""
        own = self.permissions.visitor
        if own is not None and name == own.name and not self.permissions.administers:
            text = mark("you cannot decide about yourself: got {got}")
            raise Refused(403, Phrase(text, values={"got": shown(name)}), "users")
        if self.permissions.gives.may_have(name):
            subject = await self.hub.subject(name, fresh=True)
            # A database may take a name for another's, for example in capital letters.
            if subject and subject.name == name and self.permissions.may_give(subject):
                return subject
        raise Refused(404, Phrase(NO_SUCH_USER, values={"name": shown(name)}), "users")

    def refuse_beyond(self, kind: str, *, everyone: bool) -> None:
        """Refuse what only admins decide, since no limit could hold it."""
        if self.permissions.administers:
            return
        if kind != "grant":
            text = mark("only admins make others than grants: got {got}")
            raise Refused(403, Phrase(text, values={"got": kind}), "kind")
        if everyone:
            raise Refused(403, Phrase(mark("only admins decide about everyone")), "everyone")

    def refuse_other_policies(self, policy: str, subjects: Sequence[Subject]) -> None:
        """Refuse a policy that limits not all of these users: to others than admins there is none
        of its name.
        """
        if self.permissions.administers:
            return
        for subject in subjects:
            allotments = resolve(self.policies, subject)
            if all(policy != one.name for each in allotments for one in each.candidates):
                text = mark("no policy of this name limits {user}: got {got}")
                values = {"user": shown(subject.name), "got": shown(policy)}
                raise Refused(400, Phrase(text, values=values), "policy")

    async def make(
        self, given: NewAdjustments, now: datetime, key: str
    ) -> tuple[Sequence[Adjustment], bool]:
        """What is requested, written for each user, all or none; see `decide`."""
        if (given.users is None) is (given.everyone is None):
            raise BadParameter("users", "expected either `users` or `everyone`")
        self.refuse_beyond(given.kind, everyone=given.users is None)
        subjects = await self.subjects(given.users or ())
        self.refuse_other_policies(given.policy, subjects)
        common: dict[str, Any] = {
            **{name: getattr(given, name) for name in ("kind", "policy", "until", "reason")},
            "amount": given.amount or "",
            "start": given.start or "",
            "actor": self.actor,
        }
        proposals = [
            Proposal(user=one.name, user_created=one.created, **common) for one in subjects
        ] or [Proposal(**common)]
        return await self.decide(proposals, now, key)

    async def decide(
        self, proposals: Sequence[Proposal], now: datetime, key: str
    ) -> tuple[Sequence[Adjustment], bool]:
        """The adjustments, once they are written, and whether they are new: with a key, the same
        request may have been carried out before. What starts at once starts `now`: the minute that
        answers are about, so that it is shown at once, too.
        """
        with_limits: Check = no_check
        new = False

        def limits(held: Held) -> None:
            # Only what is new has to be within them, and can still be drafted.
            drafts = [draft_of(one, self.policies, now) for one in proposals]
            within(drafts, self.limits, self.policies, now)(held)

        def check(held: Held) -> None:
            nonlocal new
            with_limits(held)
            new = True

        with self._refusals(key):
            if not self.permissions.administers:
                with_limits = limits
            written = await record_proposals(
                self.journal, proposals, self.policies, now=now, key=self.own_key(key), check=check
            )
        return written, new

    async def void(self, number: int, reason: str, key: str) -> Adjustment:
        """The adjustment with this id, voided."""
        one = await adjustment(self.journal, number)
        if one is None:
            raise Refused(404, NO_SUCH_ADJUSTMENT)
        if not self.permissions.administers:
            await self._refuse_to_void(one)
        with self._refusals(key):
            return await self.journal.void(
                number, actor=self.actor, reason=reason, key=self.own_key(key)
            )

    async def _refuse_to_void(self, one: Adjustment) -> None:
        """Refuse to void what somebody else decided, or about somebody out of reach."""
        try:
            is_theirs = one.user is not None and one.is_for(await self.subject(one.user))
        except Refused:
            is_theirs = False
        if not is_theirs:
            raise Refused(404, NO_SUCH_ADJUSTMENT)
        if one.actor != self.actor or not isinstance(one, Grant):
            raise Refused(403, Phrase(mark("only admins void what others decided")))

    def own_key(self, key: str) -> str:
        """The key in the ledger: nobody meets the keys of others, by chance or on purpose."""
        if not key:
            return ""
        if len(key) > LONGEST_KEY or not key.isprintable():
            expected = f"at most {LONGEST_KEY} printable characters"
            raise BadParameter("Idempotency-Key", wrong(got=key, expected=expected))
        return f"api:{hashlib.sha256(json.dumps([self.actor, key]).encode()).hexdigest()}"

    @contextmanager
    def _refusals(self, key: str) -> Iterator[None]:
        try:
            yield
        except KeyReused as error:
            # The ledger has it in another form.
            raise Refused(409, another_request(key), "Idempotency-Key") from error
        except AdjustmentRefused as error:
            raise Refused(_status_of(error), str(error)) from error
        except LedgerUnavailable as error:
            self.log.warning("The ledger does not answer: %s", error)
            raise Refused(503, IN_DOUBT) from error


def _status_of(error: AdjustmentRefused) -> int:
    match error:
        case InvalidAdjustment():
            return 400
        case TooMuchGiven():
            return 403
        case UnknownAdjustment():
            return 404
        case _:
            return 409


async def adjustment(journal: Journal, number: int) -> Adjustment | None:
    """The adjustment with this id, voided or not; None where there is none."""
    found = await journal.history(EVERYONE, before=number + 1, limit=1)
    return found[0] if found and found[0].id == number else None
