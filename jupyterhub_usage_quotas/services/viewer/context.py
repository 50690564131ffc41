"""The context of the viewer's handlers, beside that of every service."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ...status.everyone import EveryoneStatuses
from ..web.page_handler import PageContext
from .configuration import Configured
from .costing import ShownCosts
from .own_metrics import ServiceErrors
from .trying import Trying


@dataclass(frozen=True, slots=True)
class ViewerContext(PageContext):
    """The viewer's configuration, the status of users, and what tries policies on the past."""

    configured: Configured
    statuses: EveryoneStatuses
    trying: Trying
    errors: ServiceErrors
    costs: ShownCosts | None = None
    """What the cost monitor keeps; None where there is none."""

    @property
    def tiers(self) -> Mapping[str, Collection[str]]:
        """The tiers of weekly budgets, and the policies of each; none without budgets."""
        budgets = self.configured.manager.budgets
        return budgets.policies_by_tier if budgets else {}

    @property
    def roles_and_tiers(self) -> Mapping[str, tuple[str, str]]:
        """The role and the tier of each policy of weekly budgets, by its name."""
        budgets = self.configured.manager.budgets
        return budgets.pairs_by_policy if budgets else {}
