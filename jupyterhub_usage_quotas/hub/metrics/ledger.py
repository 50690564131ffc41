"""Metrics of the ledger, on the Hub's metrics endpoint, and what is logged of its failures."""

from __future__ import annotations

import logging
import time

from prometheus_client import Counter, Gauge

from ... import conventions
from ...errors import LedgerUnavailable

age = Gauge(
    conventions.LEDGER_AGE,
    "Seconds since the ledger was read; since the Hub's start where it was not yet",
)
failures = Counter(conventions.LEDGER_FAILURES, "Attempts to read the ledger that failed")


class _Read:
    at: float | None = None


def _age() -> float:
    return 0.0 if _Read.at is None else time.time() - _Read.at


age.set_function(_age)


class LedgerMetrics:
    """Counts failures to read the ledger, and logs the first of them, and the end; see
    `LedgerEvents`. Where there is no ledger, its age is 0.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._failing = False
        _Read.at = time.time()

    def read(self) -> None:
        """Note that it is up to date."""
        _Read.at = time.time()
        if self._failing:
            self._log.info("The ledger can be read again")
        self._failing = False

    def failed(self, error: Exception) -> None:
        """Count a failure; log it if the one before was none."""
        failures.inc()
        if self._failing:
            return
        self._failing = True
        bug = None if isinstance(error, LedgerUnavailable) else error
        self._log.error(
            "The ledger cannot be read: %s; grants, overrides and exemptions that were read before"
            " go on counting, and it is tried again twice a second",
            error,
            exc_info=bug,
        )
