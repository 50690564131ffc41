"""The option about weekly budgets, and what is doubted of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from traitlets.config import LoggingConfigurable

from ...quotas.messages import Verbatim, not_among, shown, wrong
from ..traits import Anything
from .budgets import (
    OPTION,
    USUAL_PAIRS,
    Entry,
    WeeklyBudgets,
    parse_weekly_budgets,
    policy_name,
    variable,
    written_amount,
)

LONGEST_WEEK: Final = 169 * 3600
"""Seconds of the week in which clocks go back."""
_ANY_VARIABLE = re.compile(r"QUOTA_\w+_S", re.ASCII)


class WeeklyBudgetOptions(LoggingConfigurable):
    """The option about weekly budgets."""

    weekly_budgets = Anything(
        False,
        help="""
        Server time per week by the tier of the server's profile and the role of its user: True for
        what is usual, or what differs from it,

            {"tiers": [{"tier": "gpu", "profile": ["*[Gg][Pp][Uu]*"]}],    # all others: cpu
             "roles": [{"role": "admin", "admin": True}],                  # all others: user
             "budgets": {"user": {"gpu": "20 hours"}},                     # by role and tier
             "starts": "monday", "hour": 0, "timezone": "UTC",
             "when_exhausted": "stop", "minimum_session": "0 minutes",
             "grace": "5 minutes", "warn_before": ["30 minutes", "10 minutes"]}

        A budget that is left out is that of the environment variable `QUOTA_USER_GPU_S` (for
        example; in seconds), else 20 hours. Each becomes a policy, for example "gpu-user-week". The
        first tier and the first role that fit count; a pattern with a slash is one of a choice in a
        profile.
        """,
    ).tag(config=True, written="True, False or a dict")

    @cached_property
    def budgets(self) -> WeeklyBudgets | None:
        """The configured budgets, None for none; raises `InvalidPolicies`."""
        return parse_weekly_budgets(self.weekly_budgets, os.environ)

    @property
    def weekly_budgets_in_full(self) -> Any:
        """The option with all budgets in it, for processes that have other variables."""
        if self.budgets is None:
            return self.weekly_budgets
        amounts: dict[str, Entry] = {}
        for (role, tier), amount in self.budgets.budgets.items():
            amounts.setdefault(role, {})[tier] = written_amount(amount)
        given = self.weekly_budgets
        return {**(given if isinstance(given, Mapping) else {}), "budgets": amounts}

    def doubts_of_budgets(self) -> Iterator[str]:
        """A line about everything that is accepted and is probably not meant."""
        place = f"UsageQuotaManager.{OPTION}"
        if self.budgets is None:
            names = [variable(*pair) for pair in USUAL_PAIRS if variable(*pair) in os.environ]
            if names:
                yield (
                    f"{', '.join(names)}: the environment has budgets, and {place} is off, so they"
                    " have no effect; set it to True, or remove the variables"
                )
            return
        yield from (f"{place}: {line}" for line in self._doubts_of_variables(self.budgets))
        for pair, amount in self.budgets.budgets.items():
            if amount.base > LONGEST_WEEK:
                what = f"{policy_name(*pair)} is longer than a week, so no server alone uses it up"
                yield f"{place}: {wrong(what, Verbatim(amount))}"

    def _doubts_of_variables(self, budgets: WeeklyBudgets) -> Iterator[str]:
        given = self.weekly_budgets if isinstance(self.weekly_budgets, Mapping) else {}
        in_option = {(role, tier) for role, of in given.get("budgets", {}).items() for tier in of}
        used = {variable(*pair): pair for pair in budgets.budgets}
        roles = {role for role, _ in budgets.budgets}
        usual = {variable(*pair): pair for pair in USUAL_PAIRS}
        for name in sorted(filter(_ANY_VARIABLE.fullmatch, os.environ)):
            if name in used:
                if used[name] in in_option:
                    yield f"{name} has no effect: budgets has the same role and tier"
            elif name in usual:
                role, tier = usual[name]
                kind, what = ("tier", tier) if role in roles else ("role", role)
                yield f"{name} has no effect: no {kind} is {shown(what)}; add it to {kind}s"
            else:
                problem = f"{name} has no effect: it is of no role and tier"
                yield not_among(problem, name, sorted({*used, *usual}), "remove it")
