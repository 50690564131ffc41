"""`grant`, `override`, `exempt` and `void`: people's decisions, from a shell or a script."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from ..config.quotas import QuotaOptions
from ..errors import DatabaseUnreadable, InvalidAdjustment
from ..ledger.base import Journal
from ..ledger.drafts import Kind, Proposal, draft_of, record_proposals
from ..ledger.reports import RecordedReport, recorded_report
from ..quotas.adjustments import Adjustment
from ..quotas.messages import not_among, shown, wrong
from ..quotas.policy.policy import PolicySet
from ..quotas.subject import Subject
from ..status.hub_database import reading, subjects_in
from .adjusted import adjustment_lines
from .opened import audited, configured, exit_code_of, journal_of, note

STDIN: Final = "-"
MOST_UNKNOWN: Final = 20
"""Users who are not there that are named; there may be thousands."""
KINDS: Final[tuple[tuple[str, Kind, str, str], ...]] = (
    ("grant", "grant", "--amount", "give users more for a while, on top of a policy's limit"),
    ("override", "override", "--limit", "give users another limit for a while"),
    ("exempt", "exemption", "", "lift a policy's limit for users for a while"),
)
"""Command, kind of adjustment, the option with an amount, and what it does."""


def add_adjust(commands: Any) -> None:
    """Add the commands to the command line's."""
    for name, kind, amount, does in KINDS:
        command = commands.add_parser(
            name,
            help=does,
            description=f"{does[0].upper()}{does[1:]}. It is written into the ledger, and in force"
            " in the Hub within a second. Exit code: 0 written, 2 refused (nothing was written),"
            " 4 the ledger does not answer.",
        )
        _add_common(command)
        _add_whom(command)
        command.add_argument(
            "--policy", required=True, metavar="NAME", help="the name of the policy"
        )
        if amount:
            command.add_argument(
                amount,
                dest="amount",
                required=True,
                metavar="AMOUNT",
                help='with its unit, for example "2 GiB-hours"',
            )
        command.add_argument(
            "--until",
            required=True,
            metavar="WHEN",
            help="how long, for example 7d, or an instant, for example 2026-11-30T00:00Z",
        )
        command.add_argument(
            "--start", default="", metavar="INSTANT", help="when it begins (default: at once)"
        )
        command.add_argument(
            "--dry-run", action="store_true", help="check and show it, and write nothing"
        )
        command.set_defaults(run=partial(exit_code_of, _adjust), kind=kind, amount="")
    void = commands.add_parser(
        "void",
        help="take an adjustment back",
        description="Take an adjustment back, from now on. The ledger keeps it, and who voided it.",
    )
    void.add_argument("id", type=int, metavar="ID", help="the number of the adjustment")
    _add_common(void)
    void.set_defaults(run=partial(exit_code_of, _void))


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", required=True, metavar="FILE", help="jupyterhub_config.py")
    command.add_argument("--reason", required=True, metavar="TEXT", help="why, for those who ask")
    command.add_argument(
        "--actor", default=None, metavar="NAME", help="who decides it (default: your login name)"
    )
    command.add_argument(
        "--key",
        default="",
        metavar="KEY",
        help="the same command with the same key is carried out once, however often it is run",
    )
    command.add_argument(
        "--json", action="store_true", help="print each adjustment as an object of JSON on a line"
    )


def _add_whom(command: argparse.ArgumentParser) -> None:
    several = "may be given several times"
    whom = command.add_argument_group("whom it is for")
    whom.add_argument("--user", action="append", default=[], metavar="NAME", help=several)
    whom.add_argument(
        "--users",
        metavar="FILE",
        help=f"a file with a username on each line; {STDIN} reads them from standard input",
    )
    whom.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="NAME",
        help=f"who is a member of this group now; {several}",
    )
    whom.add_argument("--everyone", action="store_true", help="everyone whom the policy covers")


def _adjust(options: argparse.Namespace) -> int:
    quotas, ledger = configured(Path(options.config), needs_ledger=True)
    journal = journal_of(ledger, makes_tables=True)
    proposals = list(_proposals(options, quotas))
    if options.dry_run:
        now = datetime.now(UTC)
        drafts = [draft_of(one, quotas.policies, now) for one in proposals]
        _print(drafts, quotas.policies, options)
        number = "1 adjustment" if len(drafts) == 1 else f"{len(drafts)} adjustments"
        note(f"dry run: {number} would be written, and nothing was")
        return 0
    journal = audited(journal, quotas)
    written = asyncio.run(_record(journal, proposals, quotas.policies, options.key))
    _print(written, quotas.policies, options)
    return 0


async def _record(
    journal: Journal, proposals: Sequence[Proposal], policies: PolicySet, key: str
) -> Sequence[Adjustment]:
    try:
        now = datetime.now(UTC)
        return await record_proposals(journal, proposals, policies, now=now, key=key)
    finally:
        await journal.aclose()


def _void(options: argparse.Namespace) -> int:
    quotas, ledger = configured(Path(options.config), needs_ledger=True)
    journal = audited(journal_of(ledger), quotas)

    async def voided() -> Adjustment:
        actor, reason = actor_of(options), options.reason
        try:
            return await journal.void(options.id, actor=actor, reason=reason, key=options.key)
        finally:
            await journal.aclose()

    _print([asyncio.run(voided())], quotas.policies, options)
    return 0


def actor_of(options: argparse.Namespace) -> str:
    """Who decides: as said, else the login name."""
    if options.actor is not None:
        return str(options.actor)
    return login_name()


def login_name() -> str:
    """Who runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # In a container, users often have no name.
        return f"uid {os.getuid()}"


def _print(
    adjustments: Iterable[Adjustment], policies: PolicySet, options: argparse.Namespace
) -> None:
    print_reports([recorded_report(one, policies) for one in adjustments], as_json=options.json)


def print_reports(reports: Sequence[RecordedReport], *, as_json: bool) -> None:
    """Print adjustments, a line each. Those that were not written have no number."""
    if not as_json:
        print("\n".join(adjustment_lines(reports)))
        return
    for one in reports:
        print(json.dumps(one.model_dump() | {"id": one.id or None}, allow_nan=False))


def _proposals(options: argparse.Namespace, quotas: QuotaOptions) -> Iterator[Proposal]:
    """What is proposed, for each user once."""
    proposal = Proposal(
        kind=options.kind,
        policy=options.policy,
        amount=options.amount,
        start=options.start,
        until=options.until,
        actor=actor_of(options),
        reason=options.reason,
    )
    names = list(dict.fromkeys([*options.user, *_listed(options.users)]))
    if options.everyone:
        if names or options.users is not None or options.group:
            raise InvalidAdjustment(["--everyone goes with no --user, --users and --group"])
        yield proposal
        return
    if not names and not options.group:
        raise InvalidAdjustment(["nobody is named: pass --user, --users, --group or --everyone"])
    policy = next((one for one in quotas.policies if one.name == options.policy), None)
    for subject in _subjects(names, options.group, quotas.hub_database):
        if policy and subject.created and not policy.covers(subject):
            note(f"policy {shown(policy.name)} does not limit {shown(subject.name)} at present")
        yield replace(proposal, user=subject.name, user_created=subject.created)


def _listed(file: str | None) -> list[str]:
    """The usernames in a file."""
    if file is None:
        return []
    try:
        text = (sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()).decode(
            "utf-8-sig"
        )
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidAdjustment([f"--users {file}: {error}"]) from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _subjects(names: Sequence[str], groups: Sequence[str], db_url: str) -> list[Subject]:
    """The users as the Hub has them: an adjustment for somebody who is not there yet would not be
    for who comes under the name later. Raises `InvalidAdjustment` for those who are not.
    """
    try:
        with reading(db_url) as session:
            everybody = {one.name: one for one in subjects_in(session)}
    except DatabaseUnreadable as error:
        if groups:
            raise InvalidAdjustment([f"members of groups are not known: {error}"]) from None
        note(f"{error}; it is for whoever has the name now")
        return [Subject(name) for name in names]
    missing = [name for name in names if name not in everybody]
    # A name that is spelt alike is searched among all users.
    unknown = [
        not_among(wrong("no such user", name), name, everybody.keys(), "a user of the Hub")
        for name in missing[:MOST_UNKNOWN]
    ]
    if more := missing[MOST_UNKNOWN:]:
        unknown.append(f"and {len(more)} users more are not there")
    members = {one.name: one for one in everybody.values() if one.groups.intersection(groups)}
    unknown += [
        wrong("no members", group, "a group of the Hub with at least one member")
        for group in groups
        if not any(group in one.groups for one in members.values())
    ]
    if unknown:
        raise InvalidAdjustment(unknown)
    return list(({name: everybody[name] for name in names} | members).values())
