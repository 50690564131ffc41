"""`cost-report`: what a month cost, as a page or a table."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from ..config.costs import CostMonitor, costs_shown
from ..costs.cost_store import CostStore
from ..costs.known import Costs
from ..costs.monthly import Month, monthly
from ..costs.months import Span
from ..costs.usage_store import UsageStore
from ..errors import ConfigurationError
from ..quotas.messages import wrong
from ..services.web.cost_texts import month_as_csv, month_as_html
from .month import add_month_options, configured, database_of
from .opened import NOT_KNOWN, exit_code_of, note

FORMATS = {"html": month_as_html, "csv": lambda month, first, _: month_as_csv(month, first)}


def add_cost_report(commands: Any) -> None:
    """Add the command to the command line's."""
    command = commands.add_parser(
        "cost-report",
        help="print what a month cost",
        description="Prints what a month cost by group and by user, which adds up to the bill, from"
        " what the cost monitor keeps. Exit code: 0 done, 2 refused, 4 nothing of the month is"
        " known.",
    )
    add_month_options(command)
    command.add_argument(
        "--format", choices=tuple(FORMATS), default="html", help="how to print it (default: html)"
    )
    command.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="NAME",
        help="only what this group cost; may be given several times",
    )
    command.set_defaults(run=lambda options: exit_code_of(_run, options))


def _run(options: argparse.Namespace) -> int:
    monitor = costs_shown(configured(options.config))
    if monitor is None:
        raise ConfigurationError([wrong("CostMonitor.sources", [], "for example ['prices']")])
    span: Span = options.month
    month, missing = asyncio.run(_of_month(monitor, span, frozenset(options.group)))
    if missing:
        note(f"the costs of {missing} days are not known; they are in no sum")
    if not month.users and not month.groups:
        note("nothing of this month is known")
        return NOT_KNOWN
    sys.stdout.write(FORMATS[options.format](month, span.since, monitor.texts))
    return 0


async def _of_month(monitor: CostMonitor, span: Span, groups: frozenset[str]) -> tuple[Month, int]:
    """The month, and of how many days nothing is known."""
    async with database_of(monitor) as database:
        usage = UsageStore(database)
        costs = Costs(CostStore(database), usage, list(monitor.sources), monitor.attribution)
        missing = await costs.missing(span)
        made = monthly(
            await costs.totals(span),
            await costs.memberships(span),
            monitor.own_hub,
            sees_user=lambda _: not groups,
            sees_group=groups.__contains__,
            whole=not groups,
        )
        return made, len(missing)
