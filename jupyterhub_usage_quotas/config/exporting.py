"""The options about whose usage is on the Hub's metrics endpoint, and under which names."""

from __future__ import annotations

from typing import Any, Final

from traitlets import Bool, HasTraits, TraitError, validate

from ..quotas.messages import wrong
from .traits import Anything

ACTIVE: Final = "active"
"""In place of groups whose usage is exported: of users who are active, or near a limit."""


class ExportOptions(HasTraits):
    """Whose usage is exported."""

    export_usage = Anything(
        ACTIVE,
        help="""
        Whose usage, limits and remaining amounts are exported on the Hub's metrics endpoint, a
        series for each user and policy: "active" for those who used something in the last hour and
        those who used 80 % or more of a limit, and for all users as long as users times policies
        are 2,000 at most; True for all users, whose scrape takes seconds on a Hub with thousands of
        them; False for none, or a list of groups for their members.
        """,
    ).tag(config=True)

    @validate("export_usage")
    def _is_whose(self, proposal: Any) -> bool | str | list[str]:
        given = proposal.value
        groups = isinstance(given, list | tuple) and all(isinstance(name, str) for name in given)
        if not (isinstance(given, bool) or given == ACTIVE or (groups and given)):
            expected = '"active", True, False or a list of groups'
            raise TraitError(wrong(got=given, expected=expected))
        return list(given) if groups else given

    earlier_metrics = Bool(
        False,
        help="""
        Whether the Hub also exports metrics under the names and labels of 2i2c's package of the
        same name, for dashboards and alerts that were written for it: usage, limits, launches that
        were allowed because usage was not known, and failed requests to Prometheus; and whether the
        dashboard counts the pages that could not show usage on a `/metrics` of its own.

        The default is True where `metrics_exporter_token` is set, which only that package needs.
        """,
    ).tag(config=True)
