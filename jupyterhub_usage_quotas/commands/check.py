"""`check`: the decision that the Hub would make now, explained."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from ..config.quotas import Enforcement, QuotaOptions
from ..config.sessions import sessions_of
from ..conventions import HOME_STORAGE, Reason
from ..errors import (
    DatabaseUnreadable,
    LedgerUnavailable,
    QueryRejected,
)
from ..ledger.base import Ledger
from ..ledger.reports import AdjustmentReport, adjustment_reports
from ..metering.client.promql import Users
from ..quotas.applicability import Applicability, CoveredBy, applicability
from ..quotas.decide import Decision, Outcome
from ..quotas.messages import shown, wrong
from ..quotas.policy.policy import PolicySet
from ..quotas.resource import Resource
from ..quotas.serialize import (
    DecisionReport,
    GaugeReport,
    HomeStorage,
    Model,
    NotNegative,
    report_gauges,
    report_home,
)
from ..quotas.subject import Subject
from ..quotas.units import InvalidQuantity
from ..quotas.usage import Reading, Stale, Unknown
from ..quotas.verdict import Request
from ..status.hub_database import UserInHub, user_at
from ..status.inputs import DecisionInputs, without_usage
from ..status.members import Members
from ..status.users import UserStatuses, forecast
from .adjusted import adjustment_lines
from .explained import explained, gauge_lines
from .opened import NOT_KNOWN, configured, exit_code_of, note

EXIT_CODES = {
    Outcome.ALLOWED: 0,
    Outcome.DENIED: 3,
    Outcome.FAILOVER_OPEN: NOT_KNOWN,
    Outcome.FAILOVER_CLOSED: NOT_KNOWN,
}
ASKED = [one for one in QuotaOptions.BUILT_IN.values() if one.asked]
"""The resources that a server can ask for."""


class PolicyReport(Model):
    """Whether one policy limits the user, and why."""

    policy: str = Field(description="its name")
    applies: bool = Field(description="whether its limit is in a verdict")
    by: CoveredBy | None = Field(
        description="by what its scope covers the user: `user`, `group`, `admin` or `everyone`;"
        " `fallback` where it is of `scope_backup_strategy.empty`; null where it does not"
    )
    why: str = Field(description="why it applies, or does not, in a sentence")


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
    in_hub: bool | None = Field(
        description="whether the Hub's database has a user of this name; null where it cannot be"
        " read from here"
    )
    policies: tuple[PolicyReport, ...] = Field(
        description="every policy of the configuration, in the order in which they are written"
    )
    adjustments: tuple[AdjustmentReport, ...] = Field(
        description="what people decided about the user, or about everyone, that is in force or to"
        " come, in the order in which it was decided"
    )


def check_report(
    decision: Decision,
    lasts: timedelta | None,
    gauges: Mapping[str, GaugeReport],
    enforcement: Enforcement,
    applicabilities: Sequence[Applicability] = (),
    *,
    in_hub: bool | None = None,
    adjustments: tuple[AdjustmentReport, ...] = (),
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
        in_hub=in_hub,
        policies=tuple(
            PolicyReport(policy=one.policy, applies=one.applies, by=one.by, why=one.why)
            for one in applicabilities
        ),
        adjustments=adjustments,
    )


def add_check(commands: Any) -> None:
    """Add the command to the command line's."""
    check = commands.add_parser(
        "check",
        help="decide, as the Hub would, whether a user may start a server now",
        description="The decision that the Hub would make now, against the real Prometheus. Exit"
        " code: 0 allowed, 3 denied, 4 usage is not known, 2 wrong configuration. Groups, and"
        " the members of pools, are those in the Hub's database unless you pass others.",
    )
    check.add_argument("--config", required=True, metavar="FILE", help="jupyterhub_config.py")
    check.add_argument("--user", required=True, metavar="NAME", help="the user of the server")
    several = "may be given several times"
    check.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="NAME",
        help=f"a group of the user, instead of those in the Hub's database; {several}",
    )
    _add_server(check)
    check.add_argument(
        "--admin",
        action="store_true",
        help="the user is an admin, whatever the Hub's database says",
    )
    check.add_argument(
        "--member",
        action="append",
        default=[],
        metavar="NAME",
        help="another user who draws on the same pools, instead of those in the Hub's database;"
        f" {several}",
    )
    check.add_argument("--json", action="store_true", help="print JSON with a stable schema")
    check.set_defaults(run=partial(exit_code_of, run_check))


def _add_server(check: argparse.ArgumentParser) -> None:
    """Add what the server is and asks for."""
    for one in ASKED:
        kind = partial(_amount, one)
        what = f"{one.several or one.in_a_sentence} that the server asks for"
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


def _amount(resource: Resource, text: str) -> float:
    try:
        amount = resource.amount(text)
    except InvalidQuantity:
        example = "8GiB" if resource.in_bytes else "1.5"
        problem = wrong("not an amount", text, f"for example {example}")
        raise argparse.ArgumentTypeError(problem) from None
    if not 0 <= amount < float("inf"):
        raise argparse.ArgumentTypeError(wrong("not an amount that a server can ask for", text))
    return amount


def run_check(options: argparse.Namespace) -> int:
    """Decide and explain one launch."""
    quotas, ledger = configured(Path(options.config))
    who = _who(options, quotas)
    for line in who.notes:
        note(line)
    request = Request(
        who.subject,
        server_name=options.server,
        profile=options.profile,
        profile_name=options.profile_name,
    ).asking({one.name: getattr(options, f"server_{one.name}") for one in ASKED})
    inputs = asyncio.run(_gather(quotas, ledger, who))
    launch, resources = forecast(inputs, request), quotas.policies.resources
    decision, lasts, enforcement = launch.decision, launch.lasts, quotas.enforcement
    allotments = [one.allotment for one in decision.verdicts]
    why = applicability(quotas.policies, who.subject, allotments)
    adjusted = adjustment_reports(inputs.adjustments, quotas.policies, inputs.now)
    if options.json:
        gauges = report_gauges(inputs.gauges, resources)
        found = check_report(
            decision, lasts, gauges, enforcement, why, in_hub=who.in_hub, adjustments=adjusted
        )
        print(json.dumps(found.model_dump(by_alias=True), allow_nan=False, indent=2))
    else:
        lines = explained(decision, lasts, enforcement, resources, why)
        lines += adjustment_lines(adjusted)
        for name, reading in sorted(inputs.gauges.items()):
            lines += gauge_lines(resources[name], reading)
        print("\n".join(lines))
    return EXIT_CODES[decision.outcome]


@dataclass(frozen=True, slots=True)
class Who:
    """The user whom a check is about, with the members of every pool, and lines for the admin.

    `in_hub` is whether the Hub has the user; None where its database cannot be read.
    """

    subject: Subject
    pools: Members
    in_hub: bool | None
    notes: Sequence[str] = ()


def _who(options: argparse.Namespace, quotas: QuotaOptions) -> Who:
    """The user as the Hub's database has them; what is passed on the command line wins."""
    policies, notes = quotas.policies, []
    found = UserInHub(None, "", {})
    in_hub: bool | None = None
    try:
        found = user_at(quotas.hub_database, options.user, policies)
        in_hub = found.subject is not None
    except DatabaseUnreadable as error:
        groups_matter = any(one.scope.group or one.exempt.group for one in policies)
        if groups_matter and not options.group:
            notes = [f"the groups of the user could not be read: {error}; pass them with --group"]
    if in_hub is False:
        meant = f"; did you mean {shown(found.alike)}?" if found.alike else ""
        expected = f"a user of the Hub, added there at the first login{meant}"
        notes = [wrong("no such user", options.user, expected)]
    known = found.subject or Subject(options.user)
    subject = replace(
        known,
        groups=frozenset(options.group) or known.groups,
        admin=options.admin or known.admin,
    )
    pools = _members(options, policies, subject, found.members)
    return Who(subject, pools, in_hub, notes)


def _members(
    options: argparse.Namespace, policies: PolicySet, subject: Subject, in_hub: Members
) -> Members:
    """The members of every pool: those that are passed, else those in the Hub's database."""
    pools: dict[str, Users] = {}
    for policy in policies:
        if policy.pooled:
            known = not options.member and policy.name in in_hub
            others = in_hub[policy.name] if known else options.member
            everyone = others is None or (policy.scope.everyone and not known)
            pools[policy.name] = None if everyone else {subject.name, *(others or ())}
    return pools


async def _gather(options: QuotaOptions, ledger: Ledger, who: Who) -> DecisionInputs:
    """The inputs of the decision, and what the user has now, limited or not."""
    policies, meter = options.policies, options.make_meter(sessions=sessions_of(ledger))
    statuses = UserStatuses(policies, meter, ledger)
    try:
        inputs = await statuses.inputs(who.subject, datetime.now(UTC), who.pools)
        if any(_was_refused(reading) for reading in inputs.usage.values()):
            # Stores can limit how long a time a query is about. The Hub has read in pieces by now.
            await meter.read_history(policies.reach)
            inputs = await statuses.inputs(who.subject, datetime.now(UTC), who.pools)
        return inputs
    except LedgerUnavailable as error:
        unknown = Unknown(Reason.LEDGER_UNAVAILABLE, str(error))
        return without_usage(policies, who.subject, unknown, (), datetime.now(UTC))
    finally:
        await meter.aclose()
        await ledger.aclose()


def _was_refused(reading: Reading) -> bool:
    return isinstance(reading, Unknown) and reading.reason == QueryRejected.reason
