"""The ledger in the Hub: it makes the tables, reads them before it serves anybody, and keeps what
is in memory up to date.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from ..errors import ConfigurationError, LedgerNewer, LedgerUnavailable
from ..ledger.base import Ledger
from ..ledger.sql.cached import CachedLedger
from ..ledger.sql.database import Database
from .metrics.ledger import LedgerMetrics

LONGEST_START: Final = timedelta(seconds=10)
"""How long the Hub's start may wait for a database."""


def open_ledger(ledger: Ledger, log: logging.Logger) -> None:
    """Make or upgrade the tables of a ledger in SQL, and read them; of others, do nothing.

    A database that is away does not stop the Hub: it is read once it is there, and until then
    launches are left to failover. Tables of a newer version do: `ConfigurationError`.
    """
    if not isinstance(ledger, CachedLedger):
        return
    ledger.events = LedgerMetrics(log)
    ledger.journal.database.upgrades = True
    try:
        ledger.load_now(LONGEST_START)
    except LedgerNewer as error:
        raise ConfigurationError([f"UsageConfig.ledger_url: {error}"]) from None
    except LedgerUnavailable:
        # It was logged, and is tried again twice a second.
        return


def database_of(ledger: Ledger) -> Database | None:
    """The database of a ledger in SQL, in which the Hub keeps its other tables, too; None for
    another ledger. It has one thread, and so one writer in this process.
    """
    return ledger.journal.database if isinstance(ledger, CachedLedger) else None
