"""The option about the ledger: where people's decisions are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from traitlets import Enum, TraitError, Unicode, validate
from traitlets.config import LoggingConfigurable

from ..ledger.audit import AuditLog, Through
from ..ledger.sql.url import InvalidLedgerUrl, parse_ledger_url
from ..quotas.messages import wrong
from ..status.hub_database import DB_URL, SQLITE
from .state import beside, file_of

DEFAULT_FILE: Final = "usage-quotas.sqlite"


class LedgerOptions(LoggingConfigurable):
    """The part of `UsageConfig` about the ledger."""

    ledger_url = Unicode(
        help="""
        Where people's decisions about quotas (grants, overrides, exemptions) are kept: the URL of a
        database, "sqlite:////srv/jupyterhub/usage-quotas.sqlite",
        "postgresql://user:password@host/database" or "mariadb://user:password@host/database". The
        Hub makes the tables, whose names begin with `usage_quotas_`.

        The default is the file `usage-quotas.sqlite` beside the Hub's database, where that is a
        file, and `ledger_factory` names no other ledger. With an empty text there are no decisions.
        """
    ).tag(config=True)

    audit_log = Unicode(
        help="""
        The file to which the Usage Quota Dashboard and the command line append a line for each
        adjustment that they write or void, for example "/srv/jupyterhub/quotas-audit.log". Its path
        begins with a slash. Lines that it does not take are in the dashboard's own log, and on the
        command's standard error.

        By default the lines of the dashboard are in its own log, and those of the command line are
        what it prints.
        """
    ).tag(config=True)

    audit_log_format = Enum(
        ("text", "json"),
        default_value="text",
        help="""
        How lines of the audit log are written: "text", as `name=value`, or "json", an object on
        each line.
        """,
    ).tag(config=True)

    @validate("audit_log")
    def _is_where_every_process_finds_it(self, proposal: Any) -> str:
        given = str(proposal.value)
        if given and not (given.startswith("/") and given.isprintable()):
            raise TraitError(wrong(got=given, expected="a path that begins with a slash"))
        return given

    def make_audit_log(
        self, through: Through, say: Callable[[str], None], complain: Callable[[str], None]
    ) -> AuditLog:
        """The audit log of a process; see `AuditLog`."""
        file = Path(self.audit_log) if self.audit_log else None
        return AuditLog(through, say, complain, file, as_json=self.audit_log_format == "json")

    @validate("ledger_url")
    def _is_of_a_database(self, proposal: Any) -> str:
        if proposal.value:
            try:
                parse_ledger_url(proposal.value)
            except InvalidLedgerUrl as error:
                raise TraitError(str(error)) from None
        return str(proposal.value)


def default_ledger_url(config: Mapping[str, Any], *, in_hub: bool = False) -> str:
    """Where the ledger of a Hub with this configuration is, unless that says where; empty for none,
    or where that is not known: a path that is relative is so to where the Hub starts.

    The option has no such default: the Hub makes the file, and elsewhere one that is not there is
    no ledger.
    """
    ours = config.get("UsageConfig", {})
    own = config.get("UsageQuotaManager", {}).get("ledger_factory")
    if "ledger_url" in ours or own is not None:
        return ""
    database = str(ours.get("hub_database") or config.get("JupyterHub", {}).get("db_url", DB_URL))
    file = file_of(database)
    if not file or not (folder := beside(database)):
        return ""
    if not (in_hub or Path(file).is_absolute() or Path(file).is_file()):
        return ""
    return f"{SQLITE}{Path(folder) / DEFAULT_FILE}"
