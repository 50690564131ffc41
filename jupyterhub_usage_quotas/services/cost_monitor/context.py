"""The context of the cost monitor's handlers."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from jupyterhub.services.auth import HubOAuth

from ...costs.keeping import CostKeeping
from ...costs.known import Costs
from ...status.permissions import NO_GRANTERS, Granters
from ..web.hub_api import HubClient
from .metrics import Metrics

Clock = Callable[[], datetime.datetime]


@dataclass(frozen=True, slots=True)
class CostContext:
    """What handlers answer from, and who may query them: with the token, by the Hub's leave, or
    anybody.
    """

    costs: Costs
    keeping: CostKeeping
    metrics: Metrics
    log: logging.Logger
    clock: Clock
    support_name: str
    token: str
    anybody: bool
    auth: HubOAuth | None = None
    hub: HubClient | None = None
    granters: Granters = field(default_factory=lambda: NO_GRANTERS)
