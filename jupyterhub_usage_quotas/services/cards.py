"""A standing in words: what the cards of a user's page and the rows of the admins' table say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from ..quotas.adjustments import Adjustment, Grant, Override
from ..quotas.forecast import Outlook
from ..quotas.units import Unit, show
from ..quotas.usage import Fresh, Stale
from .standing import Standing
from .values import row_state, used_share

SHORT = 0.8
"""The share of an allowance from which on a card warns."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a page says about one verdict. Texts; empty where there is nothing to say.

    `level` is "over", "short", "within" or "unknown"; `share` how full the bar is, 0 to 1, None
    where that is not known.
    """

    title: str
    policy: str
    window: str
    level: str
    used: str
    allowance: str
    remaining: str
    share: float | None
    shared: bool
    only_warns: bool
    never: bool
    retry_time: datetime | None
    lasts_until: datetime | None
    gets_back: str
    gets_back_at: datetime | None
    grants: tuple[tuple[str, datetime], ...]
    notice: str
    covered_until: datetime | None


@dataclass(frozen=True, slots=True)
class Row:
    """What the table of all users says about one of them."""

    name: str
    groups: tuple[str, ...]
    state: str
    cards: tuple[Card, ...]


def cards(standing: Standing) -> tuple[Card, ...]:
    """The cards of a user's page, in the order in which the policies are written."""
    return tuple(_card(standing, outlook) for outlook in standing.outlooks)


def row(standing: Standing) -> Row:
    """A user's row."""
    person = standing.person
    return Row(person.name, tuple(sorted(person.groups)), row_state(standing), cards(standing))


def _card(standing: Standing, outlook: Outlook) -> Card:
    verdict = outlook.verdict
    allotment, unit = verdict.allotment, verdict.allotment.limit.unit
    share = used_share(outlook)
    back = standing.gets_back(verdict)
    unlimited = math.isinf(verdict.allowance)
    reading = verdict.reading
    known = reading.usage if isinstance(reading, Fresh | Stale) else None
    over = verdict.fits is False
    return Card(
        title=standing.known.policies.resources[allotment.resource].display_name,
        policy=allotment.name,
        window=allotment.window.phrase,
        level=_level(over=over, share=share, known=verdict.used is not None),
        used="" if verdict.used is None else show(verdict.used, unit),
        allowance="unlimited" if unlimited else show(verdict.allowance, unit),
        remaining=""
        if verdict.remaining is None or unlimited
        else show(max(verdict.remaining, 0.0), unit),
        share=None if share is None else min(max(share, 0.0), 1.0),
        shared=allotment.pool is not None,
        only_warns=not allotment.denies,
        never=verdict.never,
        retry_time=verdict.retry_time,
        lasts_until=None if over else outlook.exhausted_at,
        gets_back="" if back is None else show(back.amount, unit),
        gets_back_at=back.at if back else None,
        grants=tuple((_grant(one, unit), one.until) for one in standing.active(verdict)),
        notice=_notice(standing, outlook),
        covered_until=known.covered_until if known else None,
    )


def _level(*, over: bool, share: float | None, known: bool) -> str:
    if over:
        return "over"
    if not known:
        return "unknown"
    return "short" if share is not None and share >= SHORT else "within"


def _notice(standing: Standing, outlook: Outlook) -> str:
    """What to say where usage is not known, or known only as it was."""
    reading = outlook.verdict.reading
    if isinstance(reading, Fresh):
        return ""
    then = "may start" if standing.decision.allowed else "are not started"
    if isinstance(reading, Stale):
        return f"Usage is only known as it was a while ago. Until it is known, servers {then}."
    return f"Usage is not known at the moment. Until it is, servers {then}."


def _grant(adjustment: Adjustment, unit: Unit) -> str:
    if isinstance(adjustment, Grant):
        return f"{show(adjustment.amount, unit)} more"
    if isinstance(adjustment, Override):
        return f"{show(adjustment.limit, unit)} instead"
    return "no limit"
