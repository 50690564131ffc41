"""`check`: the decision that the Hub would make now, explained."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from ..config.loading import load_config, printable
from ..config.quotas import Enforcement, QuotaOptions
from ..conventions import HOME_STORAGE
from ..errors import ConfigurationError, QueryRejected
from ..ledger.base import NO_LEDGER, Ledger
from ..quotas.decide import Decision, Outcome
from ..quotas.messages import wrong
from ..quotas.resources import Resource, Resources
from ..quotas.serialize import (
    DecisionReport,
    GaugeReport,
    HomeStorage,
    NotNegative,
    iso,
    report_gauges,
    report_home,
    there_of,
)
from ..quotas.subject import Subject
from ..quotas.units import InvalidQuantity, show_duration
from ..quotas.usage import Fresh, Reading, Stale, Unknown
from ..quotas.verdict import Request, Verdict
from ..status.hub_database import made_at
from ..status.inputs import DecisionInputs
from ..status.members import Members
from ..status.text import NOT_KNOWN, VerdictText
from ..status.users import UserStatuses, forecast

EXIT_CODES = {
    Outcome.ALLOWED: 0,
    Outcome.DENIED: 3,
    Outcome.FAILOVER_OPEN: 4,
    Outcome.FAILOVER_CLOSED: 4,
}
WRONG_CONFIGURATION = 2
ASKED = [one for one in QuotaOptions.BUILT_IN.values() if one.asked]
"""The resources that a server can ask for."""
FULL_COVERAGE = 0.99


class CheckReport(DecisionReport):
    """What `check --json` prints."""

    failover_detail: str | None = Field(description="why usage is not known, in a sentence")
    lasts_seconds: NotNegative | None = Field(
        description="how long the server could run if no other server of the user ran: 0 where"
        " it is denied; null where nothing ends it within a month, or usage is not known"
    )
    enforcement: Enforcement = Field(
        description="whether the Hub acts on this decision: only with `enforcement = 'enforce'`"
    )
    gauges: dict[str, GaugeReport] = Field(
        description="what the user has now, by resource, with or without a policy; without"
        " resources that nothing exports"
    )
    home_storage: HomeStorage | None = Field(
        description="what is in the user's home directory, with or without a policy; null where"
        " nothing exports home storage, or `home_storage = False`"
    )


def check_report(
    decision: Decision,
    lasts: timedelta | None,
    gauges: Mapping[str, GaugeReport],
    enforcement: Enforcement,
) -> CheckReport:
    """What `check --json` prints of a decision."""
    why = decision.failover
    return CheckReport.of(
        decision,
        failover_detail=why.detail if isinstance(why, Stale | Unknown) else None,
        lasts_seconds=lasts.total_seconds() if lasts is not None else None,
        enforcement=enforcement,
        gauges=dict(gauges),
        home_storage=report_home(gauges.get(HOME_STORAGE)),
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
    check.add_argument("--user", required=True, metavar="NAME", help="the user of the server")
    several = "may be given several times"
    check.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a group of the user; {several}",
    )
    for one in ASKED:
        kind = partial(_amount, one)
        what = f"{one.in_a_sentence} that the server asks for"
        check.add_argument(
            f"--server-{one.name}", type=kind, default=0.0, metavar=one.asked, help=what
        )
    check.add_argument("--profile", default="", metavar="SLUG", help="slug of the server's profile")
    check.add_argument(
        "--profile-name", default="", metavar="DISPLAY-NAME", help="display name of the profile"
    )
    check.add_argument(
        "--server", default="", metavar="NAME", help="server name (default: the default server)"
    )
    check.add_argument("--admin", action="store_true", help="the user is an admin")
    check.add_argument(
        "--member",
        action="append",
        default=[],
        metavar="NAME",
        help=f"another user who draws on the same pools; {several}",
    )
    check.add_argument("--json", action="store_true", help="print JSON with a stable schema")
    check.set_defaults(run=run_check)


def _amount(resource: Resource, text: str) -> float:
    try:
        amount = resource.amount(text)
    except InvalidQuantity as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not 0 <= amount < float("inf"):
        raise argparse.ArgumentTypeError(wrong("not an amount that a server can ask for", text))
    return amount


def run_check(options: argparse.Namespace) -> int:
    """Decide and explain one launch."""
    try:
        config, lines = load_config(Path(options.config))
        for line in lines:
            print(f"note: {line}", file=sys.stderr)
        quotas = QuotaOptions(config=config)
        for line in quotas.doubts():
            print(f"note: {line}", file=sys.stderr)
        ledger = quotas.make_ledger()
    except ConfigurationError as error:
        print(f"{options.config}: {error}", file=sys.stderr)
        return WRONG_CONFIGURATION
    # A user made anew under the same name has none of the adjustments of the one before.
    adjusted = ledger is not NO_LEDGER
    created = made_at(quotas.hub_database, options.user) if adjusted else None
    request = Request(
        Subject(options.user, frozenset(options.group), options.admin, created),
        server_name=options.server,
        profile=options.profile,
        profile_name=options.profile_name,
    ).asking({one.name: getattr(options, f"server_{one.name}") for one in ASKED})
    inputs = asyncio.run(_gather(quotas, ledger, request.subject, {options.user, *options.member}))
    launch, resources = forecast(inputs, request), quotas.policies.resources
    decision, lasts, enforcement = launch.decision, launch.lasts, quotas.enforcement
    if options.json:
        gauges = report_gauges(inputs.gauges, resources)
        found = check_report(decision, lasts, gauges, enforcement)
        print(json.dumps(found.model_dump(by_alias=True), allow_nan=False, indent=2))
    else:
        lines = _explained(decision, lasts, enforcement, resources)
        for name, reading in sorted(inputs.gauges.items()):
            lines += _gauge_lines(resources[name], reading)
        print("\n".join(lines))
    return EXIT_CODES[decision.outcome]


async def _gather(
    options: QuotaOptions, ledger: Ledger, subject: Subject, members: Collection[str]
) -> DecisionInputs:
    """The inputs of the decision, and what the user has now, limited or not."""
    policies, meter = options.policies, options.make_meter()
    pools: Members = {
        one.name: None if one.scope.everyone else members for one in policies if one.pooled
    }
    statuses = UserStatuses(policies, meter, ledger)
    try:
        inputs = await statuses.inputs(subject, datetime.now(UTC), pools)
        if any(_was_refused(reading) for reading in inputs.usage.values()):
            # Stores can limit how long a time a query is about. The Hub has read in pieces by now.
            await meter.read_history(policies.reach)
            inputs = await statuses.inputs(subject, datetime.now(UTC), pools)
        return inputs
    finally:
        await meter.aclose()
        await ledger.aclose()


def _was_refused(reading: Reading) -> bool:
    return isinstance(reading, Unknown) and reading.reason == QueryRejected.reason


def _explained(
    decision: Decision, lasts: timedelta | None, enforcement: Enforcement, resources: Resources
) -> list[str]:
    request = decision.request
    groups = ", ".join(map(printable, sorted(request.subject.groups))) or "none"
    lines = [
        f"{printable(request.subject.name)} (groups: {groups}): {_headline(decision, resources)}"
    ]
    if enforcement is not Enforcement.enforce:
        lines.append(f"Enforcement is {enforcement.value}: the Hub denies no launch.")
    if not decision.verdicts:
        return [*lines, "No policy covers this user."]
    rows: list[tuple[str, ...]] = [
        ("POLICY", "RESOURCE", "WINDOW", "USED", "ALLOWANCE", "REMAINING", "FITS", "RETRY")
    ]
    rows += [_row(verdict, resources) for verdict in decision.verdicts]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines.append("")
    lines += [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if lasts:
        how_long = show_duration(lasts)
        lines += ["", f"The server could run for {how_long} before a quota is used up."]
    return [*lines, *_notes(decision)]


def _freed(verdict: Verdict, resources: Resources) -> str:
    resource = resources[verdict.allotment.resource]
    amount = resource.show_more_than(verdict.to_free or 0.0)
    return f"at least {amount} of {resource.in_a_sentence} is freed"


def _gauge_lines(resource: Resource, reading: Reading) -> list[str]:
    there = there_of(reading)
    if there is None:
        return []
    limit = f" of {resource.show(there.limit)}" if there.limit else ""
    when = f"measured at {iso(there.covered_until)}"
    if not isinstance(reading, Fresh):
        when += ", too long ago to be sure"
    return ["", f"{resource.display_name}: {resource.show(there.amount)}{limit} used, {when}."]


def _headline(decision: Decision, resources: Resources) -> str:
    match decision.outcome:
        case Outcome.ALLOWED:
            return "a launch is allowed"
        case Outcome.DENIED if decision.retry_time:
            return f"a launch is DENIED until {iso(decision.retry_time)}"
        case Outcome.DENIED if decision.freeing:
            freed = " and ".join(_freed(one, resources) for one in decision.freeing)
            after = f", and until {iso(decision.once_freed)}" if decision.once_freed else ""
            return f"a launch is DENIED until {freed}{after}"
        case Outcome.DENIED:
            return "a launch is DENIED, and waiting will not help"
        case Outcome.FAILOVER_OPEN:
            return "usage is UNKNOWN; a launch is allowed (failover_open = True)"
        case Outcome.FAILOVER_CLOSED:
            return "usage is UNKNOWN; a launch is denied (failover_open = False)"


def _row(verdict: Verdict, resources: Resources) -> tuple[str, ...]:
    text = VerdictText.of(verdict)
    return (
        printable(verdict.allotment.name),
        verdict.allotment.resource,
        str(verdict.allotment.window),
        text.used,
        text.allowance,
        text.remaining,
        _fits(verdict),
        _retry(verdict, resources),
    )


def _retry(verdict: Verdict, resources: Resources) -> str:
    if verdict.to_free is not None:
        resource = resources[verdict.allotment.resource]
        return f"free {resource.show_more_than(verdict.to_free)}"
    return iso(verdict.retry_time) or ("never" if verdict.never else "")


def _fits(verdict: Verdict) -> str:
    if not verdict.applies:
        return "(other servers)"
    if verdict.fits is False and not verdict.allotment.denies:
        return "no (warns)"
    return {True: "yes", False: "NO", None: NOT_KNOWN}[verdict.fits]


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
