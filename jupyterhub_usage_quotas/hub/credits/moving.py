"""The balances of the credit service's tables, as adjustments: what has to be in the ledger so that
users and projects go on with what they had.

Here a balance begins full, and is worked out from what is used. So one that was not full becomes
lower limits, which rise to the cap as the credits come back that were missing; one that is above
the configured cap becomes a grant.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ...config.credits.options import Credits, project_policy
from ...config.credits.values import InvalidCredits, Refilled, refilled
from ...quotas.adjustments import Adjustment, Grant, Override, Terms
from ...quotas.messages import printable, shown
from ...quotas.subject import Subject
from ...quotas.units import LONGEST_DURATION
from ...status.credit_tables import CreditTables, StoredBalance
from .balances import CENTS
from .writing import LASTS

STEPS: Final = 8
"""Limits at most on the way to the cap: so many entries in the ledger, for each balance."""
REASON: Final = "the balance in the credit service"


@dataclass(frozen=True, slots=True)
class Moving:
    """What is to be written: adjustments, and `terms` by username, which are what functions gave
    last. `full` balances need nothing, and `left_out` has a line for everything that is not read.
    """

    drafts: tuple[Adjustment, ...]
    terms: Mapping[str, tuple[Terms, ...]]
    full: int
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a balance belongs here: a policy, whose user (None for a project's), and its cap."""

    subject: Subject | None
    policy: str
    has: Refilled


def moving(
    tables: CreditTables,
    credits_: Credits,
    subjects: Iterable[Subject],
    actor: str,
    now: datetime,
    *,
    by_functions: bool,
) -> Moving:
    """What these tables come to. Where an admin's functions say what a user has (`by_functions`),
    what they said last is in the tables.
    """
    users = {one.name: one for one in subjects}
    drafts: list[Adjustment] = []
    terms: dict[str, list[Terms]] = {}
    left_out, full = list(tables.unreadable), 0
    for one in tables.balances:
        place = _place(one, credits_, users, by_functions=by_functions)
        if isinstance(place, str):
            left_out.append(printable(f"{_said(one)}: {place}"))
            continue
        subject = place.subject
        common = {
            "policy": place.policy,
            "user": subject.name if subject else None,
            "user_created": subject.created if subject else None,
            "actor": actor,
            "reason": REASON,
        }
        made = list(_drafts(one.at(now).balance, place.has, common, now))
        drafts += made
        full += not made
        if subject is not None and by_functions:
            terms.setdefault(subject.name, []).extend(_terms(one, place, subject, credits_))
    return Moving(tuple(drafts), {n: tuple(t) for n, t in terms.items()}, full, tuple(left_out))


def _said(one: StoredBalance) -> str:
    if not one.owner:
        return f"project {shown(one.project)}"
    return f"{shown(one.owner)}, credits {shown(one.credit)}"


def _place(
    one: StoredBalance, credits_: Credits, users: Mapping[str, Subject], *, by_functions: bool
) -> _Place | str:
    """Where it belongs; a text says why it is not read."""
    if not one.owner:
        if one.project not in credits_.projects:
            return "it is not in credits_available_projects"
        return _Place(None, project_policy(one.project), credits_.projects[one.project])
    if one.owner not in users:
        return "the Hub has no user of this name"
    account = credits_.account(one.credit)
    if account is None:
        names = " and ".join(shown(one.entry.name) for one in credits_.accounts)
        return f"the credits of users are called {names}"
    has = account.entry.refilled
    if by_functions:
        try:
            has = refilled(one.cap, one.value, one.interval)
        except InvalidCredits as error:
            return str(error)
    return _Place(users[one.owner], account.policy, has)


def _terms(
    one: StoredBalance, place: _Place, subject: Subject, credits_: Credits
) -> Iterator[Terms]:
    has = place.has
    refill = (has.amount * CENTS, has.every)
    yield Terms.of_user(place.policy, subject.name, subject.created, has.cap * CENTS, refill)
    if one.project in credits_.projects:
        yield Terms.of_user(project_policy(one.project), subject.name, subject.created)


def _drafts(
    balance: float, has: Refilled, common: Mapping[str, Any], now: datetime
) -> Iterator[Adjustment]:
    if balance > has.cap:
        amount = (balance - has.cap) * CENTS
        yield Grant(**common, start=now, until=now + LASTS, amount=amount)
        return
    for start, until, limit in _steps(balance, has, now):
        yield Override(**common, start=start, until=until, limit=limit * CENTS)


def _steps(
    balance: float, has: Refilled, now: datetime
) -> Iterator[tuple[datetime, datetime, float]]:
    """`(start, until, limit)` of every limit on the way to the cap: never more than would have been
    granted by then, and at most an eighth of what is missing less.
    """
    start, latest = now, now + LONGEST_DURATION
    if not has.amount:
        if balance < has.cap:
            yield start, latest, balance
        return
    grants = math.ceil((has.cap - balance) / has.amount)
    together = math.ceil(grants / STEPS)
    for come in range(0, grants, together or 1):
        until = min(start + min(together, grants - come) * has.every, latest)
        if start >= until:
            return
        yield start, until, balance + come * has.amount
        start = until
