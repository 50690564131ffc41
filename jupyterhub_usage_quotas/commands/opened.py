"""What commands open: the configuration of a Hub, and its ledger to write into."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from traitlets.config import Config

from ..config.files.loading import load_config, printable
from ..config.ledger import default_ledger_url
from ..config.quotas import QuotaOptions
from ..config.viewer import errors_in_viewer
from ..errors import AdjustmentRefused, ConfigurationError, LedgerUnavailable, all_errors
from ..ledger.audit import AuditedJournal, AuditLog
from ..ledger.base import Journal, Ledger
from ..ledger.sql.cached import CachedLedger
from ..ledger.sql.store import SqlLedger

WRONG_REQUEST: Final = 2
"""The exit code where the configuration, or what is asked for, is wrong."""
NOT_KNOWN: Final = 4
"""The exit code where something outside does not answer."""


def note(line: str) -> None:
    """Say something that is not the answer."""
    print(f"note: {printable(line)}", file=sys.stderr)


def configured(path: Path, *, needs_ledger: bool = False) -> tuple[QuotaOptions, Ledger]:
    """The options in a configuration file, and the ledger; notes what is doubtful.

    For a command that `needs_ledger` that is the Hub's also where the Hub was not started yet.
    Raises `ConfigurationError` with the errors of all options that would stop the Hub, those of the
    dashboard among them.
    """
    config, lines = load_config(path)
    for line in lines:
        note(line)
    if needs_ledger and (usual := default_ledger_url(config)):
        config.UsageConfig.ledger_url = usual
    quotas, ledger = _made(config)
    for line in quotas.doubts():
        note(line)
    return quotas, ledger


def _made(config: Config) -> tuple[QuotaOptions, Ledger]:
    with all_errors(errors_in_viewer(config)):
        quotas = QuotaOptions(config=config)
        return quotas, quotas.make_ledger()


def audited(journal: Journal, quotas: QuotaOptions) -> Journal:
    """The same journal, with a line of the audit log for everything that it writes."""
    return AuditedJournal(journal, audit_log(quotas), quotas.policies)


def audit_log(quotas: QuotaOptions) -> AuditLog:
    """The audit log of a command, which prints what it wrote anyway."""
    return quotas.make_audit_log("command line", _said if quotas.audit_log else _unsaid, _said)


def _unsaid(_line: str) -> None:
    """Say nothing."""


def _said(line: str) -> None:
    # What was written is, whoever reads about it.
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr)


def journal_of(ledger: Ledger, *, makes_tables: bool = False) -> Journal:
    """The ledger as one that can be written; raises `ConfigurationError` where there is none.

    Who adds to one in SQL `makes_tables` where there are none yet: then nothing can be lost by
    that. To others a ledger that is not there is a failure, and not an empty one: its address may
    be wrong. Only the Hub brings older tables up to date.
    """
    if isinstance(ledger, CachedLedger):
        # To write, and to list what was written, needs nothing in memory.
        ledger.journal.database.makes_tables = makes_tables
        return ledger.journal
    if all(callable(getattr(ledger, name, None)) for name in ("record", "void", "history")):
        journal: Journal = ledger  # type: ignore[assignment]
        return journal
    raise ConfigurationError(
        ["UsageConfig.ledger_url: there is no ledger to write into; set it to the URL of one"]
    )


def sql_ledger_of(ledger: Ledger, *, makes_tables: bool = False) -> SqlLedger:
    """The ledger in SQL, see `journal_of`; raises `ConfigurationError` where it is another."""
    journal = journal_of(ledger, makes_tables=makes_tables)
    if isinstance(journal, SqlLedger):
        return journal
    raise ConfigurationError(
        [
            "UsageQuotaManager.ledger_factory: only a ledger at UsageConfig.ledger_url can be"
            " exported, imported and verified"
        ]
    )


def exit_code_of(run: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """The exit code of a command, with what stopped it on standard error."""
    try:
        return run(options)
    except ConfigurationError as error:
        print(f"{options.config}: {error}", file=sys.stderr)
        return WRONG_REQUEST
    except AdjustmentRefused as error:
        for line in getattr(error, "errors", [str(error)]):
            print(f"error: {printable(line)}", file=sys.stderr)
        return WRONG_REQUEST
    except LedgerUnavailable as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return NOT_KNOWN
