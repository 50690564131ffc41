"""Another balance or cap, as adjustments in the ledger: with who wrote it, and why.

A balance is worked out from what was used, and is not written. So one that is to be higher becomes
a grant of the difference. One that is to be lower becomes a lower limit, until as much would have
come back; a cap becomes another limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from ...errors import UsageQuotasError
from ...quotas.adjustments import Adjustment, Grant, Override
from ...quotas.messages import not_among, wrong
from ...quotas.units import LARGEST_AMOUNT, LONGEST_DURATION
from ...quotas.verdict import Verdict
from .balances import CENTS, Balance

KNOWN: Final = (
    *("balance", "cap", "grant_value", "grant_interval", "reason"),
    *("name", "project", "project_name"),
)
FIXED: Final = ("grant_value", "grant_interval")
LASTS: Final = timedelta(days=30)
"""How long a higher balance is there to be used."""
USUAL_REASON: Final = "written through the credits API"


class Unwritable(UsageQuotasError, ValueError):
    """What somebody wants to write is no balance or cap; the message says why."""


def wanted(body: object, key: str) -> float | None:
    """A number of credits in a request; None where it is not there. Raises `Unwritable`."""
    given = body.get(key) if isinstance(body, dict) else None
    if given is None:
        return None
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number or not 0 <= given <= LARGEST_AMOUNT:
        raise Unwritable(wrong(key, given, "a number of credits, 0 or more"))
    return float(given) * CENTS


def drafts_for(
    body: object,
    verdict: Verdict,
    balance: Balance,
    adjustments: Sequence[Adjustment],
    user: str | None,
    actor: str,
    now: datetime,
) -> list[Adjustment]:
    """The adjustments that make a balance what a request wants. `user` is None for a project's.
    Raises `Unwritable`.
    """
    if not isinstance(body, Mapping):
        raise Unwritable(wrong("not an object of JSON", body, "balance or cap"))
    _refuse_others(body, balance)
    if verdict.used is None or not math.isfinite(verdict.allowance):
        raise Unwritable(
            "what was used is not known, or there is no limit, so no balance can be set"
        )
    cap, left = wanted(body, "cap"), wanted(body, "balance")
    reason = str(body.get("reason") or USUAL_REASON)
    common: dict[str, Any] = {
        "policy": verdict.allotment.policies[0].name,
        "start": now,
        "user": user,
        "actor": actor,
        "reason": reason,
    }
    granted = math.fsum(
        one.amount
        for one in adjustments
        if isinstance(one, Grant) and one.policy == common["policy"] and one.active(now)
    )
    drafts: list[Adjustment] = []
    limit = verdict.allowance - granted
    if cap is not None and cap != limit:
        drafts.append(Override(**common, until=now + LONGEST_DURATION, limit=cap))
        limit = cap
    if left is not None:
        if left > limit + granted:
            raise Unwritable(wrong("balance above the cap", body["balance"], f"at most {limit:g}"))
        drafts += _to(left - (limit + granted - verdict.used), limit, verdict, common, now)
    return drafts


def _to(
    more: float, limit: float, verdict: Verdict, common: Mapping[str, Any], now: datetime
) -> list[Adjustment]:
    amount, every = verdict.allotment.window.refilled_by or (math.inf, timedelta(0))
    if more > 0:
        return [Grant(**common, until=now + LASTS, amount=more)]
    if more == 0:
        return []
    if limit + more < 0:
        raise Unwritable("the balance is so high because of grants: void these first")
    back = LONGEST_DURATION
    if amount and -more / amount * every.total_seconds() < back.total_seconds():
        back = math.ceil(-more / amount) * every
    return [Override(**common, until=now + back, limit=limit + more)]


def _refuse_others(body: Mapping[Any, Any], balance: Balance) -> None:
    for key in body:
        if key not in KNOWN:
            raise Unwritable(not_among(wrong("unknown key", key), str(key), KNOWN))
    model = balance.model()
    for key in FIXED:
        if body.get(key) is not None and body[key] != model[key]:
            raise Unwritable(
                wrong(f"{key} is what the configuration says", body[key], f"{model[key]}, or none")
            )
