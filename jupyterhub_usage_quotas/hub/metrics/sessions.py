"""Metrics of the session log, and what is logged of failures to write it."""

from __future__ import annotations

import logging
import time

from prometheus_client import Counter, Gauge

from ... import conventions
from ...errors import LedgerUnavailable

age = Gauge(
    conventions.SESSION_LOG_AGE,
    "Seconds since the session log was written; 0 where there is none",
)
unwritten_sessions = Gauge(
    conventions.SESSIONS_UNWRITTEN, "Sessions that are in memory only, and still to be written"
)
failures = Counter(
    conventions.SESSION_LOG_FAILURES, "Attempts to write the session log that failed"
)
dropped_sessions = Gauge(
    conventions.SESSIONS_DROPPED, "Sessions that were dropped since too many were to be written"
)


class _Written:
    at: float | None = None


def _age() -> float:
    return 0.0 if _Written.at is None else time.time() - _Written.at


age.set_function(_age)


class SessionMetrics:
    """Counts failures to write the log, and logs the first of them, and the end; see
    `RecorderEvents`.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._failing = False
        _Written.at = time.time()

    def wrote(self, unwritten: int) -> None:
        """Note that it is up to date."""
        _Written.at = time.time()
        unwritten_sessions.set(unwritten)
        if self._failing:
            self._log.info("The session log can be written again")
        self._failing = False

    def failed(self, error: Exception, unwritten: int, dropped: int) -> None:
        """Count a failure; log it if the one before was none."""
        failures.inc()
        unwritten_sessions.set(unwritten)
        dropped_sessions.set(dropped)
        if self._failing:
            return
        self._failing = True
        bug = None if isinstance(error, LedgerUnavailable) else error
        self._log.error(
            "The session log cannot be written: %s; servers are recorded in memory meanwhile, which"
            " a restart of the Hub would lose; it is tried again until it succeeds",
            error,
            exc_info=bug,
        )
