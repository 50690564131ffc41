"""Where users stand with their credits: what the endpoints of the credit service say of it, and the
header of the Hub's pages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ...config.credits.options import Credits, project_policy
from ...quotas.resources import CREDITS
from ...quotas.serialize import iso
from ...quotas.verdict import Verdict
from ...status.users import UserStatus

CENTS: Final = CREDITS.usual_unit.factor
DECIMALS: Final = 2


@dataclass(frozen=True, slots=True)
class Balance:
    """What one policy leaves of credits: None where that is not known, or there is no limit.

    `value` come back every `interval`, at `granted` the last and at `next_grant` the next time;
    None where nothing is missing.
    """

    name: str
    left: float | None
    cap: float | None
    value: float
    interval: timedelta
    granted: datetime
    next_grant: datetime | None

    def model(self) -> dict[str, Any]:
        """As the credit service writes it in JSON: an instant is UTC without saying so there."""
        return {
            "name": self.name,
            "balance": _number(self.left),
            "cap": _number(self.cap),
            "grant_value": _number(self.value),
            "grant_interval": _number(self.interval.total_seconds()),
            "grant_last_update": self.granted.replace(tzinfo=None).isoformat(),
            "next_grant": iso(self.next_grant),
        }


@dataclass(frozen=True, slots=True)
class Balances:
    """A user's own credits, and those of their project, which pays first."""

    own: Balance
    project: Balance | None = None

    def model(self) -> dict[str, Any]:
        """See `Balance.model`."""
        project = {"project": self.project.model()} if self.project else {}
        return {**self.own.model(), **project}

    def in_short(self) -> dict[str, Any]:
        """What a user's server is told."""
        keys = ("balance", "cap")
        own = self.own.model()
        said = {key: own[key] for key in keys}
        if self.project is None:
            return said
        project = self.project.model()
        return {**said, "project": {key: project[key] for key in ("name", *keys)}}


def balances_of(status: UserStatus, credits_: Credits) -> list[Balances]:
    """A user's credits, by their names; none where no policy of theirs is about any."""
    by_name = {one.allotment.name: one for one in about_credits(status.decision.verdicts)}
    now = status.inputs.now
    made = []
    for account in credits_.accounts:
        own, name = by_name.get(account.policy), account.entry.name
        if own is None:
            continue
        projects = [
            balance_of(project, by_name[policy], now)
            for project in credits_.projects
            if (policy := project_policy(project)) in by_name
            and credits_.paying_for.get(project, name) == name
        ]
        made.append(Balances(balance_of(name, own, now), projects[0] if projects else None))
    return made


def about_credits(verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    """Those that are about credits which come back in steps."""
    for one in verdicts:
        if one.allotment.resource == CREDITS.name and one.allotment.window.refilled_by:
            yield one


def balance_of(name: str, verdict: Verdict, now: datetime) -> Balance:
    """The balance of a verdict about credits."""
    amount, every = verdict.allotment.window.refilled_by or (0.0, timedelta(days=1))
    limited = math.isfinite(verdict.allowance)
    left = max(verdict.remaining, 0.0) if limited and verdict.remaining is not None else None
    granted, following = verdict.allotment.window.steps_around(now) or (now, now)
    missing = bool(verdict.used) and limited and amount > 0
    return Balance(
        name,
        None if left is None else left / CENTS,
        verdict.allowance / CENTS if limited else None,
        amount / CENTS,
        every,
        granted,
        following if missing else None,
    )


def _number(amount: float | None) -> float | int | None:
    """A number as short as it can be."""
    if amount is None:
        return None
    rounded = round(amount, DECIMALS)
    return int(rounded) if rounded == int(rounded) else rounded
