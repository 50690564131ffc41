"""Adjustments as people ask for them, in words: on the command line and in requests.

"2 GiB-hours" of a policy "for 7d" becomes an amount in base units and an instant here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeVar, get_args

from ..errors import InvalidAdjustment, KeyReused
from ..quotas.adjustments import Adjustment, Exemption, Grant, Override
from ..quotas.messages import wrong
from ..quotas.policy.policy import PolicySet
from ..quotas.units import InvalidQuantity, parse_duration
from .base import Check, Held, Journal, no_check
from .entries import EARLIEST, LATEST, checked, errors_with_policies

Value = TypeVar("Value")
Kind = Literal["grant", "override", "exemption"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_INSTANT: Final = re.compile(r"\s*[0-9]{4}-?[0-9]{2}-?[0-9]{2}", re.ASCII)
"""How an instant begins, and no duration of at most ten years does."""
AN_INSTANT: Final = "an instant with its zone in ISO 8601, for example 2026-11-24T10:05:00Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An adjustment in words. Without a `user` it is for everyone whom the policy covers.

    `amount` is how much more a grant gives, or the limit of an override, with its unit; empty for
    an exemption. `start` and `until` are instants in ISO 8601; `until` may be a duration from the
    start, and without a `start` it starts at once.
    """

    kind: Kind
    policy: str
    user: str | None = None
    user_created: datetime | None = None
    amount: str = ""
    start: str = ""
    until: str
    actor: str
    reason: str


def draft_of(proposal: Proposal, policies: PolicySet, now: datetime) -> Adjustment:
    """The adjustment that is proposed, checked, to be written into a ledger.

    Raises `InvalidAdjustment` with everything that is wrong with it.
    """
    errors: list[str] = []

    def read(name: str, reading: Callable[[], Value], otherwise: Value) -> Value:
        """What is read, or else something so that the rest can be checked."""
        try:
            return reading()
        except InvalidQuantity as error:
            errors.append(f"{name}: {error}")
            return otherwise

    start = read("start", lambda: _start(proposal.start, now), now)
    until = read("until", lambda: _until(proposal.until, start), start + timedelta(days=1))
    amount = read("amount", lambda: _amount(proposal, policies), 1.0)
    draft = _of_kind(proposal, amount, start, until)
    errors += errors_with_policies(draft, policies)
    try:
        made = checked(draft)
    except InvalidAdjustment as error:
        errors += error.errors
    if errors:
        raise InvalidAdjustment(errors)
    return made


async def record_proposals(
    journal: Journal,
    proposals: Sequence[Proposal],
    policies: PolicySet,
    *,
    now: datetime,
    key: str = "",
    check: Check = no_check,
) -> Sequence[Adjustment]:
    """Write proposals into a journal, all or none; see `Journal.record` and `draft_of`.

    "At once" and "for 7d" are said anew at every repetition with the same key. They mean what they
    meant the first time, also once all of it is over.
    """

    def drafts(at: datetime) -> Sequence[Adjustment]:
        return [draft_of(one, policies, at) for one in proposals]

    made, check = _first_of(drafts, proposals, now, key, check)
    try:
        return await journal.record(made, key=key, check=check)
    except KeyReused as reused:
        if reused.start is None:
            raise
        return await journal.record(drafts(reused.start), key=key, check=check)


def _first_of(
    drafts: Callable[[datetime], Sequence[Adjustment]],
    proposals: Sequence[Proposal],
    now: datetime,
    key: str,
    check: Check,
) -> tuple[Sequence[Adjustment], Check]:
    """What is sent first, and the check of it. What would be over before it begins may have been
    written while it was not: it is sent as of before its end, and refused where the key is new.
    """
    try:
        return drafts(now), check
    except InvalidAdjustment as error:
        refused = error
    ends = list(_ends_of(proposals))
    if not key or not ends or min(ends) > now:
        raise refused

    def refuse(_held: Held) -> None:
        raise refused

    try:
        return drafts(min(ends) - timedelta(seconds=1)), refuse
    except InvalidAdjustment:
        raise refused from None


def _ends_of(proposals: Sequence[Proposal]) -> Iterator[datetime]:
    """The instants until which these are proposed; without those that are none."""
    for one in proposals:
        if _INSTANT.match(one.until):
            with suppress(InvalidQuantity):
                yield instant_of(one.until)


def _of_kind(proposal: Proposal, amount: float, start: datetime, until: datetime) -> Adjustment:
    common: dict[str, Any] = {
        "policy": proposal.policy,
        "start": start,
        "until": until,
        "user": proposal.user,
        "user_created": proposal.user_created,
        "actor": proposal.actor,
        "reason": proposal.reason,
    }
    match proposal.kind:
        case "grant":
            return Grant(**common, amount=amount)
        case "override":
            return Override(**common, limit=amount)
        case _:
            return Exemption(**common)


def _amount(proposal: Proposal, policies: PolicySet) -> float:
    """In base units; 1 where it cannot be read since the policy is not known."""
    if proposal.kind == "exemption":
        if proposal.amount:
            raise InvalidQuantity(wrong("an exemption has none", proposal.amount))
        return 1.0
    policy = next((one for one in policies if one.name == proposal.policy), None)
    if policy is None:
        return 1.0
    amount = policies.resources[policy.resource].quantity(proposal.amount).base
    if amount < 0 or (amount == 0 and proposal.kind == "grant"):
        expected = "more than 0" if proposal.kind == "grant" else "0 or more"
        raise InvalidQuantity(wrong(got=proposal.amount, expected=expected))
    return amount


def _start(text: str, now: datetime) -> datetime:
    return instant_of(text) if text else now


def _until(text: str, start: datetime) -> datetime:
    if _INSTANT.match(text):
        return instant_of(text)
    try:
        return start + parse_duration(text)
    except InvalidQuantity:
        expected = f"a duration, for example 7d, or {AN_INSTANT}"
        raise InvalidQuantity(wrong(got=text, expected=expected)) from None


def instant_of(text: str) -> datetime:
    """Read an instant in ISO 8601, with a time zone. Raises `InvalidQuantity`."""
    try:
        found = datetime.fromisoformat(text.strip().upper())
        if found.tzinfo is None or not EARLIEST <= found < LATEST:
            raise ValueError
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidQuantity(wrong(got=text, expected=AN_INSTANT)) from None
