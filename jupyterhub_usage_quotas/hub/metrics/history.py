"""How much usage is cached: gauges on the Hub's metrics endpoint, and a line in its log."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from ...metering.meter import Meter
from ...metering.snapshot import UsageSnapshot
from ...quotas.units import show_duration
from . import own as metrics

GAPS_SHOWN = 5


class HistoryGauges:
    """Shows how much usage of each source is cached, and logs it once."""

    def __init__(self, meter: Meter, log: logging.Logger) -> None:
        self._meter = meter
        self._log = log
        self._logged: set[str] = set()

    async def refreshed(self, now: datetime) -> None:  # noqa: ARG002 the listeners'
        """See `RefreshListener`."""
        for known in self._meter.snapshots:
            self._show(known)

    def _show(self, known: UsageSnapshot) -> None:
        name, coverage = known.source.name, known.coverage
        length = max(coverage.end - coverage.start, 1.0)
        missed = coverage.missed(coverage.start, coverage.end)
        metrics.history.labels(source=name).set(length)
        metrics.coverage.labels(source=name).set(1 - missed / length)
        if coverage.interval:
            metrics.scrape_interval.labels(source=name).set(coverage.interval)
        if name not in self._logged and self._meter.complete and coverage.last_scrape:
            self._logged.add(name)
            self._log.info("%s", history_for_log(known, self._meter.timing.max_gap))


def history_for_log(known: UsageSnapshot, longest_bridged: timedelta) -> str:
    """A line about how far back usage is known, and what is missing."""
    coverage = known.coverage
    how_long = show_duration(timedelta(seconds=round(coverage.end - coverage.start)))
    line = f"The usage of the last {how_long} from {known.source.name} is cached"
    gaps = [gap for gap in coverage.gaps if gap[1] - gap[0] > longest_bridged.total_seconds()]
    if not gaps:
        return f"{line}, without gaps"
    longest = sorted(gaps, key=lambda gap: gap[0] - gap[1])[:GAPS_SHOWN]
    shown = [
        f"{show_duration(timedelta(seconds=round(end - start)))} from {_minute(start)}"
        for start, end in sorted(longest)
    ]
    more = f", and {len(gaps) - len(shown)} more" if len(gaps) > len(shown) else ""
    return f"{line}. It was not scraped, and nothing is counted, for {', '.join(shown)}{more} (UTC)"


def _minute(instant: float) -> str:
    return f"{datetime.fromtimestamp(instant, UTC):%Y-%m-%d %H:%M}"
