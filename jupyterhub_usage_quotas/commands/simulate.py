"""`simulate`: policies tried on the past."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from ..config.files.loading import printable
from ..config.quotas import QuotaOptions
from ..config.sessions import sessions_of
from ..errors import ConfigurationError, DatabaseUnreadable
from ..ledger.base import Ledger
from ..ledger.drafts import instant_of
from ..quotas.messages import shown, wrong
from ..quotas.policy.policy import PolicySet
from ..quotas.simulation.past import Past
from ..quotas.simulation.report import SimulationReport, simulation_report
from ..quotas.simulation.simulate import simulate
from ..quotas.subject import Subject
from ..quotas.units import InvalidQuantity, parse_duration
from ..quotas.usage import Unknown
from ..status.hub_database import reading, subjects_in
from ..status.past import gather_past, reach_of
from .opened import NOT_KNOWN, WRONG_REQUEST, configured, exit_code_of, note
from .simulated import simulated_lines

LONGEST = timedelta(days=366)
"""The longest past that policies are tried on."""


def add_simulate(commands: Any) -> None:
    """Add the command to the command line's."""
    command = commands.add_parser(
        "simulate",
        help="try policies on the past: who would have been denied, and which limits deny few",
        description="What the policies would have done to everybody in the last weeks: launches"
        " denied, servers stopped, how usage is distributed, and limits that would have denied few."
        " Usage is as it was: what a denied launch used is not taken away. Groups are those in the"
        " Hub's database today. Exit code: 0 done, 2 wrong configuration or policies, 4 usage"
        " is not known.",
    )
    command.add_argument("--config", required=True, metavar="FILE", help="jupyterhub_config.py")
    command.add_argument(
        "--policy",
        metavar="FILE",
        help="JSON with policies to try in place of the configured ones: a list, as in"
        " UsageQuotaManager.policy, or an object with policy, scope_backup_strategy and"
        " credit_prices",
    )
    command.add_argument(
        "--since",
        default="30d",
        metavar="WHEN",
        help="how long ago the past begins, for example 30d, or an instant, for example"
        " 2026-11-01T00:00Z (default: %(default)s); no earlier than usage is known",
    )
    command.add_argument(
        "--share",
        default=5.0,
        type=_percentage,
        metavar="PERCENT",
        help="suggest limits that deny at most so many in 100 users anything (default: 5)",
    )
    command.add_argument(
        "--without-denied",
        action="store_true",
        help="take away what denied launches used, as if nobody had tried again; not with pools",
    )
    command.add_argument("--json", action="store_true", help="print JSON with a stable schema")
    command.set_defaults(run=partial(exit_code_of, run_simulate))


def _percentage(text: str) -> float:
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:  # noqa: PLR2004 a percentage
        raise argparse.ArgumentTypeError(wrong("not a percentage", text, "for example 5"))
    return value


def run_simulate(options: argparse.Namespace) -> int:
    """Try the policies, and print what they would have done."""
    now = datetime.now(UTC)
    try:
        start = _since(options.since, now)
    except InvalidQuantity as error:
        _failed(f"--since: {error}")
        return WRONG_REQUEST
    quotas, ledger = configured(Path(options.config))
    policies = quotas.policies
    if options.policy:
        try:
            policies = quotas.in_place(_read(Path(options.policy)))
        except ConfigurationError as error:
            raise ConfigurationError([f"{options.policy}: {one}" for one in error.errors]) from None
    if options.without_denied and (pools := [one.name for one in policies if one.pooled]):
        _failed(f"--without-denied does not go with pools; leave it out, or {shown(pools[0])}")
        return WRONG_REQUEST
    subjects = _subjects(quotas)
    if subjects is None:
        return NOT_KNOWN
    past = asyncio.run(_gather(quotas, policies, ledger, subjects, start, now))
    if isinstance(past, Unknown):
        _failed(f"usage is not known: {past.detail} ({past.reason})")
        return NOT_KNOWN
    simulation = simulate(policies, past, without_denied=options.without_denied)
    found = simulation_report(simulation, options.share / 100)
    _print(found, past, as_json=options.json)
    return 0


def _failed(line: str) -> None:
    print(f"error: {printable(line)}", file=sys.stderr)


def _print(found: SimulationReport, past: Past, *, as_json: bool) -> None:
    for line in _notes(past):
        note(line)
    if as_json:
        print(json.dumps(found.model_dump(), allow_nan=False, indent=2))
    else:
        print("\n".join(simulated_lines(found)))


def _notes(past: Past) -> list[str]:
    """What is not known, for the admin."""
    notes = []
    if past.problem:
        notes.append(f"usage could not be read to the end: {past.problem}")
    if past.strangers:
        notes.append(f"left out: {past.strangers} users who used something and are not in the Hub")
    return notes


def _since(text: str, now: datetime) -> datetime:
    """An instant, or so long before now. Raises `InvalidQuantity`."""
    try:
        start = now - parse_duration(text)
    except InvalidQuantity:
        try:
            start = instant_of(text)
        except InvalidQuantity:
            expected = "a duration, for example 30d, or an instant, for example 2026-11-01T00:00Z"
            raise InvalidQuantity(wrong(got=text, expected=expected)) from None
    if not now - LONGEST <= start < now:
        raise InvalidQuantity(wrong(got=text, expected=f"within the last {LONGEST.days} days"))
    return start


def _read(path: Path) -> object:
    """What is in a file of policies. Raises `ConfigurationError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError([error.strerror or str(error)]) from error
    except (ValueError, RecursionError) as error:
        expected = (
            'for example [{"resource": "memory", "limit": "100 GiB-hours", "window": 7, ...}]'
        )
        raise ConfigurationError([wrong(f"not JSON ({error})", expected=expected)]) from error


def _subjects(quotas: QuotaOptions) -> Sequence[Subject] | None:
    """The users of the Hub with their groups; None where they cannot be read."""
    try:
        with reading(quotas.hub_database) as session:
            return subjects_in(session)
    except DatabaseUnreadable as error:
        _failed(f"the users of the Hub, and their groups, are not known: {error}")
        return None


async def _gather(
    quotas: QuotaOptions,
    policies: PolicySet,
    ledger: Ledger,
    subjects: Sequence[Subject],
    start: datetime,
    now: datetime,
) -> Past | Unknown:
    meter = quotas.make_meter(sessions=sessions_of(ledger))
    try:
        await meter.read_history(reach_of(policies, start, now))
        return await gather_past(policies, meter, ledger, subjects, start, now)
    finally:
        await meter.aclose()
        await ledger.aclose()
