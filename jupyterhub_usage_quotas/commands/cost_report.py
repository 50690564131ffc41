"""`cost-report`: what a month cost, as a page or a table."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import sys
from pathlib import Path
from typing import Any

from ..config.costs import CostMonitor, costs_shown
from ..config.files.loading import load_config
from ..config.ledger import default_ledger_url
from ..costs.cost_store import CostStore
from ..costs.known import Attribution, Costs, Span
from ..costs.monthly import Month, monthly
from ..costs.sources.base import DAY
from ..costs.usage_store import UsageStore
from ..errors import ConfigurationError
from ..ledger.sql.database import Database
from ..ledger.sql.url import parse_ledger_url
from ..quotas.messages import wrong
from ..services.web.cost_texts import month_as_csv, month_as_html
from .calibrate import a_month, days_of, last_month
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
    command.add_argument(
        "--config",
        type=Path,
        default=Path("jupyterhub_config.py"),
        metavar="FILE",
        help="the configuration of the Hub or of the cost monitor (default: jupyterhub_config.py)",
    )
    command.add_argument(
        "--month",
        type=a_month,
        default=None,
        metavar="YYYY-MM",
        help="the month (default: the last one that is over)",
    )
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
    config, lines = load_config(options.config)
    for line in lines:
        note(line)
    if usual := default_ledger_url(config):
        config.UsageConfig.ledger_url = usual
    monitor = costs_shown(config)
    if monitor is None:
        raise ConfigurationError([wrong("CostMonitor.sources", [], "for example ['prices']")])
    first = options.month or last_month(datetime.datetime.now(datetime.UTC).date())
    month, missing = asyncio.run(_of_month(monitor, days_of(first), frozenset(options.group)))
    if missing:
        note(f"the costs of {missing} days are not known; they are in no sum")
    if not month.users and not month.groups:
        note("nothing of this month is known")
        return NOT_KNOWN
    sys.stdout.write(FORMATS[options.format](month, first, monitor.texts))
    return 0


async def _of_month(monitor: CostMonitor, span: Span, groups: frozenset[str]) -> tuple[Month, int]:
    """The month, and of how many days nothing is known."""
    database = Database(parse_ledger_url(monitor.ledger_url))
    try:
        how = Attribution(
            monitor.rules,
            monitor.spread_idle,
            monitor.spread_shared,
            tuple(monitor.primary_groups),
            dict(monitor.group_weights),
        )
        costs = Costs(CostStore(database), UsageStore(database), list(monitor.sources), how)
        missing = await costs.missing(span)
        made = monthly(
            await costs.totals(span),
            await costs.memberships(span.until - DAY),
            monitor.own_hub,
            sees_user=lambda _: not groups,
            sees_group=groups.__contains__,
            whole=not groups,
        )
        return made, len(missing)
    finally:
        await database.aclose()
