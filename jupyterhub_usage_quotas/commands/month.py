"""What commands about the costs of a month have in common: their options, and what they open."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from traitlets.config import Config

from ..config.costs import CostMonitor
from ..config.files.loading import load_config
from ..config.ledger import default_ledger_url
from ..costs.months import Span, month_before, parse_month
from ..ledger.sql.database import Database
from ..ledger.sql.url import parse_ledger_url
from ..quotas.messages import wrong
from .opened import note


def add_month_options(command: argparse.ArgumentParser) -> None:
    """Add the configuration's file, and the month."""
    command.add_argument(
        "--config",
        type=Path,
        default=Path("jupyterhub_config.py"),
        metavar="FILE",
        help="the configuration of the Hub or of the cost monitor (default: jupyterhub_config.py)",
    )
    command.add_argument(
        "--month",
        type=_month,
        default=month_before(datetime.datetime.now(datetime.UTC).date()),
        metavar="YYYY-MM",
        help="the month (default: the last one that is over)",
    )


def _month(text: str) -> Span:
    if (found := parse_month(text)) is None:
        raise argparse.ArgumentTypeError(wrong(got=text, expected="for example 2026-10"))
    return found


def configured(file: Path) -> Config:
    """A configuration, with the ledger that the Hub has by default; prints its lines."""
    config, lines = load_config(file)
    for line in lines:
        note(line)
    if usual := default_ledger_url(config):
        config.UsageConfig.ledger_url = usual
    return config


@asynccontextmanager
async def database_of(monitor: CostMonitor) -> AsyncIterator[Database]:
    """The database in which the cost monitor keeps what it knows."""
    database = Database(parse_ledger_url(monitor.ledger_url))
    try:
        yield database
    finally:
        await database.aclose()
