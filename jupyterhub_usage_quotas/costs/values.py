"""The values of costs: a row of a bill, and what became of a part of it."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

CLUSTER: Final = ""
"""The hub of a cost that is the cluster's, and no one hub's."""
IDLE_COMPONENT: Final = "idle"
"""The component of a cost of which the bill itself says that nobody used what was paid for."""

Usage = Mapping[str, Mapping[str, int]]
"""What users used on a day, by user and resource, in whole units. The user "" is nobody: what was
used and is no known user's.
"""
UsageByHub = Mapping[str, Usage]
"""The same by hub. A hub of which the usage is not known is not in it."""
NOBODY: Final = ""


@dataclass(frozen=True, slots=True)
class CostRow:
    """A row of a bill: what was charged for a component on a day (of UTC).

    `hub` is the name of a hub, `CLUSTER` for what is the cluster's and no one hub's, and None for
    what is not the cluster's, or not known to be. `service` is what the bill calls it. The amount
    is exact, and negative for credits and refunds. A row that is not `final` is an estimate.
    """

    day: datetime.date
    hub: str | None
    component: str
    amount: Decimal
    currency: str
    final: bool = True
    service: str = ""


class Kind(enum.StrEnum):
    """What became of a part of the bill."""

    USER = "user"
    """A user used it."""
    IDLE = "idle"
    """It was paid for and nobody used it."""
    SHARED = "shared"
    """It serves all users of a hub, or all hubs of the cluster."""
    UNATTRIBUTED = "unattributed"
    """It is not known whose it is: nothing says that it is the cluster's, or how much who used."""
    OTHERS = "others"
    """It is of users who are not shown one by one."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """A part of the bill, and what became of it. `user` and `group` are empty for none."""

    day: datetime.date
    hub: str | None
    component: str
    kind: Kind
    user: str
    amount: Decimal
    currency: str
    final: bool = True
    group: str = ""
