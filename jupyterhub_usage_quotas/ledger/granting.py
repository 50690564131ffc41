"""How much those who are no admins may give: so much for each user, policy and week."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from ..errors import TooMuchGiven
from ..quotas.adjustments import Adjustment, Grant
from ..quotas.messages import shown
from ..quotas.policy.policy import PolicySet
from ..quotas.subject import Subject
from ..quotas.units import show
from .base import Check, Held

WEEK: Final = timedelta(days=7)
ROUNDING: Final = 1e-9
"""The share of a limit by which a sum may be more than it, since amounts are rounded."""
Limits = Mapping[str, float]
"""By the name of a policy, how much more of it a user can be given in a week, in base units."""


def within(
    drafts: Sequence[Adjustment], limits: Limits, policies: PolicySet, now: datetime
) -> Check:
    """A check for `Journal.record` of these drafts, which are grants to single users.

    A grant counts from its start, or when it was made if that is later, for as long as it is in
    force, and for a week at least. At no time may what counts for a user and a policy, whoever gave
    it, be more than the limit. Raises `TooMuchGiven`.
    """

    def check(held: Held) -> None:
        by_user: dict[str | None, list[Adjustment]] = {}
        for one in (*held(), *drafts):
            by_user.setdefault(one.user, []).append(one)
        for draft in drafts:
            subject = Subject(draft.user or "", created=draft.user_created)
            theirs = [
                one
                for one in by_user[draft.user]
                if isinstance(one, Grant) and one.policy == draft.policy and one.is_for(subject)
            ]
            limit = limits.get(draft.policy, 0.0)
            most = _most_at_once(theirs, draft, now)
            if most > limit * (1 + ROUNDING):
                message = _message(draft, limit, most, policies)
                user, policy = draft.user or "", draft.policy
                raise TooMuchGiven(message, user=user, policy=policy, most=most, limit=limit)

    return check


def _most_at_once(grants: Iterable[Grant], draft: Adjustment, now: datetime) -> float:
    """The most that counts at an instant at which the draft does."""
    first, last = _counts(draft, now)
    counted = [(*_counts(one, now), one.amount) for one in grants]
    # It only grows where something begins to count.
    begins = {max(start, first) for start, until, _ in counted if start < last and until > first}
    return max(
        (math.fsum(amount for start, until, amount in counted if start <= at < until))
        for at in begins
    )


def _counts(one: Adjustment, now: datetime) -> tuple[datetime, datetime]:
    start = max(one.start, one.created or now)
    return start, max(one.until, start + WEEK)


def _message(draft: Adjustment, limit: float, most: float, policies: PolicySet) -> str:
    unit = next(one.limit.unit for one in policies if one.name == draft.policy)
    return (
        f"too much of {shown(draft.policy)} for {shown(draft.user)} within a week: got"
        f" {show(most, unit)}; expected at most {show(limit, unit)}, all grants together. An admin"
        " can give more"
    )
