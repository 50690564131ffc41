"""Metrics of the ledger, on the Hub's metrics endpoint, and what is logged of its failures."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from prometheus_client import Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import REGISTRY, Collector

from ... import conventions
from ...errors import LedgerUnavailable
from ...ledger.drafts import KINDS
from ...ledger.sql.cached import Numbers
from ...ledger.sql.rows import VOID

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


class NumbersCollector(Collector):
    """Exports how many entries and adjustments there are, as they were counted last.

    What was written is counted in the ledger: whoever wrote it, and while the Hub did not run, too.
    """

    def __init__(self) -> None:
        self.numbers: Numbers | None = None

    def collect(self) -> Iterator[Metric]:
        """The metrics; without samples where there is no ledger, or it was not read yet."""
        written = CounterMetricFamily(
            conventions.LEDGER_ENTRIES,
            "Entries of the ledger, by kind: adjustments, and voidings of them",
            labels=["kind"],
        )
        in_force = GaugeMetricFamily(
            conventions.ADJUSTMENTS, "Adjustments in force, by kind", labels=["kind"]
        )
        if self.numbers is not None:
            for kind in KINDS:
                in_force.add_metric([kind], self.numbers.in_force.get(kind, 0))
            for what in (*KINDS, VOID):
                written.add_metric([what], self.numbers.written.get(what, 0))
        yield written
        yield in_force


counted = NumbersCollector()
REGISTRY.register(counted)


class LedgerMetrics:
    """Counts failures to read the ledger, and logs the first of them, and the end; see
    `LedgerEvents`. Where there is no ledger, its age is 0.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._failing = False
        _Read.at = time.time()
        counted.numbers = None

    def read(self) -> None:
        """Note that it is up to date."""
        _Read.at = time.time()
        if self._failing:
            self._log.info("The ledger can be read again")
        self._failing = False

    def counted(self, numbers: Numbers) -> None:
        """Note how many adjustments there are."""
        counted.numbers = numbers

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
