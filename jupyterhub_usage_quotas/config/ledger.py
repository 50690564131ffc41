"""The option about the ledger: where people's decisions are kept."""

from __future__ import annotations

from typing import Any

from traitlets import TraitError, Unicode, validate
from traitlets.config import LoggingConfigurable

from ..ledger.url import InvalidLedgerUrl, parse_ledger_url


class LedgerOptions(LoggingConfigurable):
    """The part of `UsageConfig` about the ledger."""

    ledger_url = Unicode(
        help="""
        Where people's decisions about quotas (grants, overrides, exemptions) are kept: the URL of a
        database, "sqlite:////srv/jupyterhub/usage-quotas.sqlite",
        "postgresql://user:password@host/database" or "mariadb://user:password@host/database". The
        Hub makes the tables, whose names begin with `usage_quotas_`. Without one there are no
        decisions, unless `ledger_factory` names a ledger.
        """
    ).tag(config=True)

    @validate("ledger_url")
    def _is_of_a_database(self, proposal: Any) -> str:
        if proposal.value:
            try:
                parse_ledger_url(proposal.value)
            except InvalidLedgerUrl as error:
                raise TraitError(str(error)) from None
        return str(proposal.value)
