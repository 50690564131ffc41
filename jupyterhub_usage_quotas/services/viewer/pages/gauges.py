"""The cards of gauges, for users who have some of one and no quota on it but its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ....quotas.resources import Resource
from ....quotas.serialize import There, there_of
from ....quotas.usage import Fresh
from ....status.text import LEVELS, SHORT
from ....status.users import UserStatus


@dataclass(frozen=True, slots=True)
class GaugeCard:
    """What a page says about what is there, for example in a home directory. `allowance` is empty
    where there is no limit; `level`, `label` and `share` are as in a `Card`.
    """

    resource: str
    title: str
    level: str
    label: str
    used: str
    allowance: str
    remaining: str
    share: float | None
    measured: datetime
    notice: str


def gauge_cards(status: UserStatus) -> tuple[GaugeCard, ...]:
    """The cards: none where nothing is there, or where a quota has a card that says it."""
    limited = {one.allotment.resource for one in status.decision.verdicts}
    resources = status.inputs.policies.resources
    return tuple(
        _card(resources[name], there, fresh=isinstance(reading, Fresh))
        for name, reading in sorted(status.inputs.gauges.items())
        if name not in limited and (there := there_of(reading))
    )


def _card(resource: Resource, there: There, *, fresh: bool) -> GaugeCard:
    share = min(there.amount / there.limit, 1.0) if there.limit else None
    level = "within" if share is None or share < SHORT else "short" if share < 1 else "over"
    level = level if fresh else "unknown"
    return GaugeCard(
        resource.name,
        resource.display_name,
        level,
        LEVELS[level],
        resource.show(there.amount),
        resource.show(there.limit) if there.limit else "",
        resource.show(max(there.limit - there.amount, 0.0)) if there.limit else "",
        share,
        there.covered_until,
        "" if fresh else "This is only known as it was a while ago.",
    )
