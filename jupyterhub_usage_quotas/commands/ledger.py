"""`ledger list`, `export`, `import` and `verify`: what is in the ledger."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Collection
from contextlib import aclosing
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from ..costs.forgetting import copy_without, users_in
from ..errors import InvalidAdjustment
from ..ledger.base import PAGE, Ledger
from ..ledger.forgetting import Forgotten, forget
from ..ledger.reports import recorded_report
from ..ledger.sql.database import Database
from ..ledger.sql.rows import ChainReport, Noted, Row
from ..ledger.sql.store import SqlLedger
from ..ledger.sql.url import parse_ledger_url
from ..ledger.transfer import line_of, read_entries
from ..quotas.adjustments import Adjustment
from ..quotas.messages import printable
from ..quotas.subject import EVERYONE, Everyone, Subject
from .adjust import STDIN, login_name, print_reports
from .opened import audit_log, configured, exit_code_of, journal_of, note, sql_ledger_of

_COUNT_AND_HASH: Final = re.compile("[1-9][0-9]{0,17}:[0-9a-fA-F]{64}", re.ASCII)
BROKEN: Final = 1
"""The exit code where the chain of hashes is broken."""


def add_ledger(commands: Any) -> None:
    """Add the command to the command line's."""
    ledger = commands.add_parser(
        "ledger",
        help="list, export, import, forget or verify people's decisions",
        description="People's decisions about quotas. Exit code: 0 done, 1 `verify` found that"
        " entries were changed, 2 refused, 4 the ledger does not answer.",
    )
    does = ledger.add_subparsers(required=True, metavar="WHAT")
    listing = _add(does, "list", "list adjustments, the newest first", _list)
    listing.add_argument(
        "--user", action="append", default=[], metavar="NAME", help="only those of this user"
    )
    listing.add_argument(
        "--limit",
        type=_positive,
        default=PAGE,
        metavar="NUMBER",
        help=f"how many at most (default: {PAGE})",
    )
    export = _add(does, "export", "print all entries as lines of JSON", _export)
    export.set_defaults(json=True)
    importing = _add(
        does, "import", "take all entries of an export into a ledger that has none", _import
    )
    importing.add_argument("file", metavar="FILE", help=f"what was exported; {STDIN} reads it")
    importing.add_argument("--dry-run", action="store_true", help="check it, and write nothing")
    _add_forget(does)
    verifying = _add(does, "verify", "look whether all entries are as they were written", _verify)
    verifying.add_argument(
        "--expect",
        type=_noted,
        default=None,
        metavar="COUNT:HASH",
        help="what `verify` printed earlier: these entries must be there, too, and the same",
    )


def _add_forget(does: Any) -> None:
    forgetting = _add(
        does, "forget", "print an export without people who are to be forgotten", _forget
    )
    forgetting.add_argument("file", metavar="FILE", help=f"what was exported; {STDIN} reads it")
    several = "may be given several times"
    forgetting.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME",
        help=f"about whom entries are, or who decided them; {several}",
    )
    forgetting.add_argument(
        "--reason-of",
        action="append",
        type=_positive,
        default=[],
        metavar="ID",
        help=f"an entry about somebody else whose reason is to be forgotten; {several}",
    )
    forgetting.add_argument(
        "--usage-into",
        default="",
        metavar="URL",
        help="the database of the new ledger: daily usage and costs are copied there, too, with the"
        " same pseudonyms",
    )
    forgetting.set_defaults(json=True)


def _add(does: Any, name: str, what: str, work: Any) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = does.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}."
    )
    command.add_argument("--config", required=True, metavar="FILE", help="jupyterhub_config.py")
    command.add_argument("--json", action="store_true", help="print JSON with a stable schema")
    command.set_defaults(run=partial(exit_code_of, work))
    return command


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**31):
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number above 0")
    return int(text)


def _noted(text: str) -> Noted:
    if not _COUNT_AND_HASH.fullmatch(text):
        expected = "a number of entries, a colon, and the hash of the last"
        raise argparse.ArgumentTypeError(f"got {text!r}; expected {expected}")
    entries, _, head = text.partition(":")
    return Noted(int(entries), head.lower())


def _sql(options: argparse.Namespace) -> SqlLedger:
    _, ledger = configured(Path(options.config), needs_ledger=True)
    return sql_ledger_of(ledger)


def _list(options: argparse.Namespace) -> int:
    quotas, ledger = configured(Path(options.config), needs_ledger=True)
    journal = journal_of(ledger)
    named = [Subject(name) for name in options.user]
    whose: Collection[Subject] | Everyone = named or EVERYONE

    async def found() -> list[Adjustment]:
        try:
            return list(await journal.history(whose, limit=options.limit))
        finally:
            await journal.aclose()

    reports = [recorded_report(one, quotas.policies) for one in asyncio.run(found())]
    if reports:
        print_reports(reports, as_json=options.json)
    return 0


def _export(options: argparse.Namespace) -> int:
    async def print_all() -> None:
        last = 0
        async with aclosing(_sql(options)) as ledger:
            while rows := await ledger.entries(last):
                print("\n".join(map(line_of, rows)))
                last = rows[-1]["id"]

    asyncio.run(print_all())
    return 0


def _import(options: argparse.Namespace) -> int:
    quotas, configured_ledger = configured(Path(options.config), needs_ledger=True)
    ledger = sql_ledger_of(configured_ledger, makes_tables=True)
    rows = _entries_in(options.file)

    async def write() -> int:
        async with aclosing(ledger):
            if options.dry_run:
                return 0
            new = await ledger.copy(rows)
        head = rows[-1]["hash"] if rows else ""
        said = {"entries": len(rows), "new": new, "hash": head, "actor": login_name()}
        await audit_log(quotas).add("imported", [said])
        return new

    new = asyncio.run(write())
    if options.json:
        print(json.dumps({"entries": len(rows), "new": new, "dry_run": options.dry_run}))
    elif options.dry_run:
        print(f"{len(rows)} entries can be imported; nothing was written")
    else:
        print(f"{new} entries imported, {len(rows) - new} were there before")
    return 0


def _entries_in(file: str) -> list[Row]:
    """The entries of an export."""
    try:
        if file == STDIN:
            return read_entries(sys.stdin)
        with Path(file).open(encoding="utf-8-sig") as lines:
            return read_entries(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidAdjustment([f"{file}: {error}"]) from None


def _forget(options: argparse.Namespace) -> int:
    quotas, ledger = configured(Path(options.config), needs_ledger=True)
    if not options.user and not options.reason_of:
        raise InvalidAdjustment(["nobody is named: pass --user or --reason-of"])
    rows = _entries_in(options.file)
    done = asyncio.run(_without_them(options, ledger, rows))
    print("\n".join(map(line_of, done.rows)))
    before, after = (f"{len(rows)}:{one[-1]['hash']}" for one in (rows, done.rows))
    note(f"{done.changed} of {len(rows)} entries are without them; {before} becomes {after}")
    said = {"entries": len(rows), "changed": done.changed, "before": before, "after": after}
    asyncio.run(audit_log(quotas).add("forgotten", [said | {"actor": login_name()}]))
    return 0


async def _without_them(options: argparse.Namespace, ledger: Ledger, rows: list[Row]) -> Forgotten:
    """The entries without them, once their daily usage is copied, where that is wanted."""
    now = datetime.now(UTC)
    if not options.usage_into:
        return forget(rows, options.user, options.reason_of, now)
    target = Database(parse_ledger_url(options.usage_into), upgrade=True)
    target.makes_tables = True
    async with aclosing(sql_ledger_of(ledger)) as source, aclosing(target):
        known = await users_in(source.database)
        done = forget(rows, options.user, options.reason_of, now, elsewhere=known)
        copied = await copy_without(source.database, target, done.names)
        note(f"{copied} rows of daily usage and costs are in the new database, without them")
        return done


def _verify(options: argparse.Namespace) -> int:
    async def looked() -> ChainReport:
        async with aclosing(_sql(options)) as ledger:
            return await ledger.verify(options.expect)

    report = asyncio.run(looked())
    whole = report.broken_at is None
    if options.json:
        print(json.dumps(asdict(report) | {"whole": whole}))
    elif whole:
        last = f"; the last has the hash {report.head}" if report.head else ""
        print(f"{report.entries} entries, all as they were written{last}")
    else:
        print(f"entry {report.broken_at}: {printable(report.why)}")
    return 0 if whole else BROKEN
