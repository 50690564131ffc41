"""The card of home storage, for users who have a home directory and no quota on it but its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ....quotas.serialize import home_of
from ....quotas.units import STORAGE, show_bytes
from ....quotas.usage import Fresh
from ....status.text import LEVELS, SHORT
from ....status.users import UserStatus


@dataclass(frozen=True, slots=True)
class HomeCard:
    """What a page says about a home directory. `allowance` is empty where there is no limit;
    `level`, `label` and `share` are as in a `Card`.
    """

    title: str
    level: str
    label: str
    used: str
    allowance: str
    remaining: str
    share: float | None
    measured: datetime
    notice: str


def home_card(status: UserStatus) -> HomeCard | None:
    """The card; None where there is no directory, or a quota on storage has a card that says it."""
    home = home_of(status.home)
    limited = any(one.allotment.resource == STORAGE.name for one in status.decision.verdicts)
    if home is None or limited:
        return None
    fresh = isinstance(status.home, Fresh)
    share = min(home.amount / home.limit, 1.0) if home.limit else None
    level = "within" if share is None or share < SHORT else "short" if share < 1 else "over"
    level = level if fresh else "unknown"
    return HomeCard(
        STORAGE.display_name,
        level,
        LEVELS[level],
        show_bytes(home.amount),
        show_bytes(home.limit) if home.limit else "",
        show_bytes(max(home.limit - home.amount, 0.0)) if home.limit else "",
        share,
        home.covered_until,
        "" if fresh else "This is only known as it was a while ago.",
    )
