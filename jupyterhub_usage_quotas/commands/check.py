"""`check`: the decision that the Hub would make now, explained."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import Field

from ..config.loading import load_config, printable
from ..config.quotas import Enforcement, QuotaOptions
from ..errors import ConfigurationError
from ..quotas.decide import Decision, Outcome
from ..quotas.policy.parse import doubts
from ..quotas.serialize import (
    DecisionReport,
    HomeStorage,
    NotNegative,
    home_of,
    iso,
    report_home,
)
from ..quotas.subject import Subject
from ..quotas.units import (
    STORAGE,
    InvalidQuantity,
    parse_bytes,
    show,
    show_bytes,
    show_duration,
    show_more_than,
)
from ..quotas.usage import Fresh, Reading, Stale, Unknown
from ..quotas.verdict import Request, Verdict
from ..status.inputs import DecisionInputs
from ..status.members import Members
from ..status.users import UserStatuses, forecast

EXIT_CODES = {
    Outcome.ALLOWED: 0,
    Outcome.DENIED: 3,
    Outcome.FAILOVER_OPEN: 4,
    Outcome.FAILOVER_CLOSED: 4,
}
WRONG_CONFIGURATION = 2
FULL_COVERAGE = 0.99


class CheckReport(DecisionReport):
    """What `check --json` prints."""

    failover_detail: str | None = Field(description="why usage is not known, in a sentence")
    lasts_seconds: NotNegative | None = Field(
        description="how long the server could run, if nothing else of the user's did: 0 where it"
        " is denied; null where nothing ends it for a month, or usage is not known"
    )
    enforcement: Enforcement = Field(
        description="whether the Hub denies what this says it does: only in `enforce`"
    )
    home_storage: HomeStorage | None = Field(
        description="what is in the user's home directory, also without a policy; null where"
        " nothing exports home storage, or `home_storage = False`"
    )


def check_report(
    decision: Decision, lasts: timedelta | None, home: Reading | None, enforcement: Enforcement
) -> CheckReport:
    """What `check --json` prints of a decision."""
    why = decision.failover
    return CheckReport.of(
        decision,
        failover_detail=why.detail if isinstance(why, Stale | Unknown) else None,
        lasts_seconds=lasts.total_seconds() if lasts is not None else None,
        enforcement=enforcement,
        home_storage=report_home(home),
    )


def add_check(commands: Any) -> None:
    """Add the command to the command line's."""
    check = commands.add_parser(
        "check",
        help="decide, as the Hub would, whether a user may start a server now",
        description="The decision that the Hub would make now, against the real Prometheus. Exit"
        " code: 0 allowed, 3 denied, 4 usage is not known, 2 wrong configuration.",
    )
    check.add_argument("--config", required=True, metavar="FILE", help="jupyterhub_config.py")
    check.add_argument("--user", required=True, metavar="NAME")
    check.add_argument("--group", action="append", default=[], metavar="NAME", help="repeatable")
    check.add_argument("--server-memory", type=_memory, default=0.0, metavar="8GiB")
    check.add_argument("--server-cpu", type=_amount, default=0.0, metavar="CORES")
    check.add_argument("--server-gpu", type=_amount, default=0.0, metavar="GPUS")
    check.add_argument("--profile", default="", metavar="SLUG")
    check.add_argument("--profile-name", default="", metavar="DISPLAY-NAME")
    check.add_argument("--server", default="", metavar="NAME", help="of a named server")
    check.add_argument("--admin", action="store_true", help="the user is an admin")
    check.add_argument(
        "--member",
        action="append",
        default=[],
        metavar="NAME",
        help="who else draws on the user's pools; repeatable",
    )
    check.add_argument("--json", action="store_true", help="for machines; a stable form")
    check.set_defaults(run=run_check)


def _memory(text: str) -> float:
    try:
        return _not_negative(parse_bytes(text), text)
    except InvalidQuantity as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _amount(text: str) -> float:
    try:
        return _not_negative(float(text), text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error


def _not_negative(amount: float, text: str) -> float:
    if not 0 <= amount < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount that a server can ask for")
    return amount


def run_check(options: argparse.Namespace) -> int:
    """Decide and explain one launch."""
    try:
        config, lines = load_config(Path(options.config))
        for line in lines:
            print(f"note: {line}", file=sys.stderr)
        quotas = QuotaOptions(config=config)
        for line in doubts(quotas.policies):
            print(f"note: {line}", file=sys.stderr)
    except ConfigurationError as error:
        print(f"{options.config}: {error}", file=sys.stderr)
        return WRONG_CONFIGURATION
    request = Request(
        Subject(options.user, groups=frozenset(options.group), admin=options.admin),
        server_name=options.server,
        profile=options.profile,
        profile_name=options.profile_name,
        rates={
            "memory": options.server_memory,
            "cpu": options.server_cpu,
            "gpu": options.server_gpu,
            "time": 1.0,
        },
    )
    inputs = asyncio.run(_gather(quotas, request.subject, {options.user, *options.member}))
    launch, home = forecast(inputs, request), inputs.usage.get(STORAGE.name)
    decision, lasts, enforcement = launch.decision, launch.lasts, quotas.enforcement
    if options.json:
        found = check_report(decision, lasts, home, enforcement)
        print(json.dumps(found.model_dump(by_alias=True), allow_nan=False, indent=2))
    else:
        print("\n".join([*_explained(decision, lasts, enforcement), *_home_lines(home)]))
    return EXIT_CODES[decision.outcome]


async def _gather(
    options: QuotaOptions, subject: Subject, members: Collection[str]
) -> DecisionInputs:
    """What the decision is made of, and what is in the user's home directory."""
    policies, meter = options.policies, options.make_meter()
    pools: Members = {
        one.name: None if one.scope.everyone else members for one in policies if one.pooled
    }
    try:
        return await UserStatuses(policies, meter).inputs(subject, datetime.now(UTC), pools)
    finally:
        await meter.aclose()


def _explained(decision: Decision, lasts: timedelta | None, enforcement: Enforcement) -> list[str]:
    request = decision.request
    groups = ", ".join(map(printable, sorted(request.subject.groups))) or "none"
    lines = [f"{printable(request.subject.name)} (groups: {groups}): {_headline(decision)}"]
    if enforcement is not Enforcement.enforce:
        lines.append(f"Enforcement is {enforcement.value}: the Hub denies no launch.")
    if not decision.verdicts:
        return [*lines, "No policy covers this user."]
    rows: list[tuple[str, ...]] = [
        ("POLICY", "RESOURCE", "WINDOW", "USED", "ALLOWANCE", "REMAINING", "FITS", "RETRY")
    ]
    rows += [_row(verdict) for verdict in decision.verdicts]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines.append("")
    lines += [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if lasts:
        how_long = show_duration(lasts)
        lines += ["", f"The server could run for {how_long} before something is used up."]
    return [*lines, *_notes(decision)]


def _home_lines(reading: Reading | None) -> list[str]:
    home = home_of(reading)
    if home is None:
        return []
    limit = f" of {show_bytes(home.limit)}" if home.limit else ""
    when = f"measured at {iso(home.covered_until)}"
    if not isinstance(reading, Fresh):
        when += ", too long ago to be sure"
    return ["", f"Home storage: {show_bytes(home.amount)}{limit} used, {when}."]


def _headline(decision: Decision) -> str:
    match decision.outcome:
        case Outcome.ALLOWED:
            return "a launch is allowed"
        case Outcome.DENIED if decision.retry_time:
            return f"a launch is DENIED until {iso(decision.retry_time)}"
        case Outcome.DENIED if decision.to_free is not None:
            freed = f"at least {show_more_than(decision.to_free)} of home storage is freed"
            after = f", and until {iso(decision.once_freed)}" if decision.once_freed else ""
            return f"a launch is DENIED until {freed}{after}"
        case Outcome.DENIED:
            return "a launch is DENIED, and waiting will not help"
        case Outcome.FAILOVER_OPEN:
            return "usage is UNKNOWN; a launch is allowed (failover_open = True)"
        case Outcome.FAILOVER_CLOSED:
            return "usage is UNKNOWN; a launch is denied (failover_open = False)"


def _row(verdict: Verdict) -> tuple[str, ...]:
    unit = verdict.allotment.limit.unit
    known = verdict.used is not None and math.isfinite(verdict.allowance)
    return (
        printable(verdict.allotment.name),
        verdict.allotment.resource,
        str(verdict.allotment.window),
        show(verdict.used or 0.0, unit) if known else "?",
        _allowance(verdict),
        show(verdict.remaining or 0.0, unit) if known else "?",
        _fits(verdict),
        _retry(verdict),
    )


def _allowance(verdict: Verdict) -> str:
    if math.isfinite(verdict.allowance):
        return show(verdict.allowance, verdict.allotment.limit.unit)
    return "?" if math.isnan(verdict.allowance) else "unlimited"


def _retry(verdict: Verdict) -> str:
    if verdict.to_free is not None:
        return f"free {show_more_than(verdict.to_free)}"
    return iso(verdict.retry_time) or ("never" if verdict.never else "")


def _fits(verdict: Verdict) -> str:
    if not verdict.applies:
        return "(other servers)"
    if verdict.fits is False and not verdict.allotment.denies:
        return "no (warns)"
    return {True: "yes", False: "NO", None: "?"}[verdict.fits]


def _notes(decision: Decision) -> list[str]:
    notes = []
    if isinstance(decision.failover, Stale | Unknown):
        notes += ["", f"Why usage is unknown: {decision.failover.detail}"]
    shares = [
        verdict.reading.usage.coverage
        for verdict in decision.verdicts
        if isinstance(verdict.reading, Fresh) and verdict.reading.usage.coverage is not None
    ]
    if shares and min(shares) < FULL_COVERAGE:
        notes += [
            "",
            f"The usage source was seen in {min(shares):.0%} of the longest window; what was used"
            " in the rest is not known and not counted.",
        ]
    return notes
