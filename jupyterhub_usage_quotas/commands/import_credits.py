"""`import-credits`: balances of the JupyterHub Credit Service's tables, into the ledger."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from ..config.credits.applying import decided_by_functions
from ..config.files.loading import printable
from ..config.quotas import QuotaOptions
from ..errors import ConfigurationError, DatabaseUnreadable, InvalidAdjustment, KeyReused
from ..hub.credits.moving import Moving, moving
from ..ledger.base import Ledger
from ..ledger.entries import checked
from ..ledger.reports import recorded_report
from ..ledger.sql.cached import CachedLedger
from ..quotas.adjustments import Adjustment, Terms
from ..quotas.messages import wrong
from ..quotas.subject import Subject
from ..status.credit_tables import CreditTables, credit_tables_at
from ..status.hub_database import reading, subjects_in
from .adjust import actor_of, print_reports
from .opened import NOT_KNOWN, audited, configured, exit_code_of, journal_of, note

USUAL_KEY: Final = "import-credits"
MOST_SHOWN: Final = 20
"""Rows that are not read which are named."""
READ_BEFORE: Final = (
    "these tables were read before, and nothing was written now: void what was written then, and"
    " pass another --key to read them once more"
)


def add_import_credits(commands: Any) -> None:
    """Add the command to the command line's."""
    command: argparse.ArgumentParser = commands.add_parser(
        "import-credits",
        help="read balances of the JupyterHub Credit Service's tables into the ledger",
        description="Read the balances of users and projects in the tables of the JupyterHub"
        " Credit Service, of its releases 0.1 and later ones, and show what has to be in the ledger"
        " so that everybody goes on with what they had. With --write it is written, once. Exit"
        " code: 0 shown or written, 2 refused (nothing was written), 4 a database does not answer.",
    )
    command.add_argument("--config", required=True, metavar="FILE", help="jupyterhub_config.py")
    command.add_argument(
        "--from",
        dest="source",
        default="",
        metavar="URL",
        help="the database with its tables (default: the Hub's)",
    )
    command.add_argument("--write", action="store_true", help="write it; else it is only shown")
    command.add_argument(
        "--actor", default=None, metavar="NAME", help="who decides it (default: your login name)"
    )
    command.add_argument(
        "--key",
        default=USUAL_KEY,
        metavar="KEY",
        help="another one to read the tables once more, after what was written was voided",
    )
    command.add_argument(
        "--json", action="store_true", help="print each adjustment as an object of JSON on a line"
    )
    command.set_defaults(run=partial(exit_code_of, _import))


def _import(options: argparse.Namespace) -> int:
    quotas, ledger = configured(Path(options.config), needs_ledger=True)
    credits_ = quotas.parsed_credits
    if credits_ is None:
        expected = "an authenticator that is a CreditsAuthenticator, or UsageQuotaManager.credits"
        raise ConfigurationError([wrong("there are no credits", expected=expected)])
    found = _read(options.source or quotas.hub_database, quotas.hub_database)
    if found is None:
        return NOT_KNOWN
    tables, subjects = found
    by_functions = decided_by_functions(quotas.config)
    plan = moving(
        tables,
        credits_,
        subjects,
        actor_of(options),
        datetime.now(UTC),
        by_functions=by_functions,
    )
    drafts: Sequence[Adjustment] = [checked(one) for one in plan.drafts]
    if options.write:
        try:
            drafts = asyncio.run(_write(ledger, quotas, drafts, plan.terms, options.key))
        except KeyReused:
            raise InvalidAdjustment([READ_BEFORE]) from None
    if drafts:
        print_reports(
            [recorded_report(one, quotas.policies) for one in drafts], as_json=options.json
        )
    _say(plan, tables, wrote=options.write)
    return 0


def _read(source: str, hub: str) -> tuple[CreditTables, Sequence[Subject]] | None:
    """What the tables say, and the users of the Hub; None where a database does not answer."""
    try:
        tables = credit_tables_at(source)
        with reading(hub) as session:
            return tables, subjects_in(session)
    except DatabaseUnreadable as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return None


async def _write(
    ledger: Ledger,
    quotas: QuotaOptions,
    drafts: Sequence[Adjustment],
    terms: Mapping[str, tuple[Terms, ...]],
    key: str,
) -> Sequence[Adjustment]:
    journal = audited(journal_of(ledger, makes_tables=True), quotas)
    try:
        written = await journal.record(drafts, key=key) if drafts else ()
        if isinstance(ledger, CachedLedger) and terms:
            await ledger.refresh()
            now = datetime.now(UTC)
            for user, theirs in terms.items():
                # What a function gave since the switch is newer.
                if not ledger.terms.of(user):
                    await ledger.remember(user, theirs, now)
        return written
    finally:
        await journal.aclose()


def _say(plan: Moving, tables: CreditTables, *, wrote: bool) -> None:
    for line in plan.left_out[:MOST_SHOWN]:
        note(f"not read: {line}")
    if (more := len(plan.left_out) - MOST_SHOWN) > 0:
        note(f"not read: {more} rows more")
    if not tables.release:
        note("there are no balances of the credit service in this database")
        return
    note(f"read from the tables of the release {tables.release}")
    note(f"balances that are full, and need nothing: {plan.full}")
    if wrote:
        note(f"written: {len(plan.drafts)} adjustments")
    else:
        note(f"dry run: {len(plan.drafts)} adjustments would be written with --write")
