"""A status in words: what the cards of a user's page and the rows of the admins' table say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ....quotas.adjustments import Adjustment, Grant, Override
from ....quotas.forecast import Outlook
from ....quotas.units import Unit, show
from ....quotas.usage import Fresh, Stale
from ....quotas.verdict import Verdict
from ....status.text import (
    LEVELS,
    level,
    notice,
    shown_allowance,
    shown_remaining,
    shown_servers,
    shown_used,
    used_share,
)
from ....status.users import UserStatus
from .plots import Plot, plot
from .table import row_state

COMPLETE = 0.995
"""The share of a window from which on usage is known of all of it, as far as subjects care."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a page says about one verdict. Texts; empty where there is nothing to say.

    `level` is "over", "short", "within" or "unknown", `label` what it is called; `share` how full
    the bar is, 0 to 1, None where that is not known.
    """

    title: str
    policy: str
    window: str
    servers: str
    level: str
    label: str
    used: str
    allowance: str
    remaining: str
    share: float | None
    shared: bool
    only_warns: bool
    never: bool
    to_free: str
    retry_time: datetime | None
    lasts_until: datetime | None
    gets_back: str
    gets_back_at: datetime | None
    grants: tuple[tuple[str, datetime], ...]
    notice: str
    covered_until: datetime | None
    incomplete: str
    plot: Plot | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What the table of all users says about one of them."""

    name: str
    groups: tuple[str, ...]
    state: str
    ends_at: datetime | None
    """When the first of the quotas is used up, for those of whom one will be soon."""
    cards: tuple[Card, ...]

    @property
    def nearly(self) -> bool:
        """Whether most of something is used, by one who is within every quota."""
        return self.state == "within" and any(card.level == "short" for card in self.cards)


def cards(status: UserStatus, zone: ZoneInfo | None = None) -> tuple[Card, ...]:
    """The cards of a user's page, in the order in which the policies are written; with plots if a
    time zone for their days is given.
    """
    return tuple(_card(status, outlook, zone) for outlook in status.outlooks)


def row(status: UserStatus) -> Row:
    """A user's row."""
    subject, state = status.subject, row_state(status)
    ends = [one.exhausted_at for one in status.outlooks if one.exhausted_at]
    return Row(
        subject.name,
        tuple(sorted(subject.groups)),
        state,
        min(ends) if state == "soon" else None,
        cards(status),
    )


def _card(status: UserStatus, outlook: Outlook, zone: ZoneInfo | None) -> Card:
    verdict = outlook.verdict
    allotment, unit = verdict.allotment, verdict.allotment.limit.unit
    share = used_share(verdict)
    back = status.gets_back(verdict)
    reading = verdict.reading
    known = reading.usage if isinstance(reading, Fresh | Stale) else None
    how = level(verdict, outlook.exhausted_at, status.inputs.now)
    return Card(
        title=status.inputs.policies.resources[allotment.resource].display_name,
        policy=allotment.name,
        window=allotment.window.phrase,
        servers=shown_servers(allotment.servers),
        level=how,
        label=LEVELS[how],
        used=shown_used(verdict),
        allowance=shown_allowance(verdict),
        remaining=shown_remaining(verdict),
        share=None if share is None else min(max(share, 0.0), 1.0),
        shared=allotment.pool is not None,
        only_warns=not (allotment.denies and status.enforced),
        never=verdict.never,
        to_free="" if verdict.to_free is None else show(verdict.to_free, unit),
        retry_time=verdict.retry_time,
        lasts_until=None if how == "over" else outlook.exhausted_at,
        gets_back="" if back is None else show(back.amount, unit),
        gets_back_at=back.at if back else None,
        grants=tuple((_grant(one, unit), one.until) for one in status.active(verdict)),
        notice=notice(reading, may_start=status.may_start),
        covered_until=known.covered_until if known else None,
        incomplete=_incomplete(status, verdict),
        plot=plot(status, verdict, zone) if zone else None,
    )


def _incomplete(status: UserStatus, verdict: Verdict) -> str:
    """What to say where usage was not recorded all the time.

    How completely is known for the longest window of all, so it is said of that alone.
    """
    window, reading = verdict.allotment.window, verdict.reading
    longest = max(one.verdict.allotment.window.reach for one in status.outlooks)
    coverage = reading.usage.coverage if isinstance(reading, Fresh) else None
    pooled = any(policy.pooled for policy in status.inputs.policies)
    if pooled:
        longest = status.inputs.policies.reach
    if coverage is None or coverage >= COMPLETE or window.length != longest:
        return ""
    share = f"{coverage:.0%}" if coverage >= 0.01 else "less than 1%"  # noqa: PLR2004
    return (
        f"Usage was recorded for {share} of this time only; what was not recorded does not count."
    )


def _grant(adjustment: Adjustment, unit: Unit) -> str:
    if isinstance(adjustment, Grant):
        return f"{show(adjustment.amount, unit)} more"
    if isinstance(adjustment, Override):
        return f"{show(adjustment.limit, unit)} instead"
    return "no limit"
