"""The options that are other ways to write policies: weekly budgets, and credits."""

from __future__ import annotations

from ..quotas.policy.errors import InvalidPolicies, PolicyError
from .credits.options import CreditOptions
from .functions import FunctionOptions
from .weekly.budgets import Entry
from .weekly.options import WeeklyBudgetOptions


class FurtherOptions(WeeklyBudgetOptions, CreditOptions, FunctionOptions):
    """Options that stand for policies."""

    def further_policies(self) -> tuple[list[Entry], tuple[PolicyError, ...]]:
        """The policies that they stand for, as an admin would write them; and what is wrong."""
        further, found = list[Entry](), tuple[PolicyError, ...]()
        for parsed in (lambda: self.budgets, lambda: self.parsed_credits):
            try:
                further += made.entries() if (made := parsed()) else []
            except InvalidPolicies as error:
                found += error.errors
        return further, found
