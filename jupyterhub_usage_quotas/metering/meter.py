"""Readings: a user's usage of every resource, and whether it can be trusted.

The one thing that the rest of the package asks: `Meter.read`. It never raises for anything that
Prometheus does and never takes longer than its deadline; what went wrong is in the reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..errors import PrometheusError
from ..quotas.units import show_duration
from ..quotas.usage import Fresh, Reading, Stale, Unknown, Usage, buckets_from_rates
from . import promql
from .prometheus import PrometheusClient, all_of
from .sources import MetricMissing, Rates, Source

STEP = timedelta(minutes=1)
"""The distance of the samples that usage is summed from."""

COVERAGE_STEPS = 500
"""At how many instants of a window the source is looked for."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """When the source was last scraped, and in what share of the window it was."""

    last_seen: datetime | None
    coverage: float | None
    missing: str = ""
    """The metric that was seen least recently."""


class Meter:
    """Brings usage from one source in one Prometheus.

    `stale_after` is how long ago the source may have been seen for its readings to be decided
    on; `deadline` bounds a whole reading.
    """

    def __init__(
        self,
        prometheus: PrometheusClient,
        source: Source,
        *,
        deadline: timedelta,
        stale_after: timedelta,
        on_fresh: Callable[[datetime], None] = lambda _covered_until: None,
    ) -> None:
        self._prometheus = prometheus
        self._source = source
        self._deadline = deadline
        self._stale_after = stale_after
        self._on_fresh = on_fresh

    async def aclose(self) -> None:
        """Close the connections to Prometheus."""
        await self._prometheus.aclose()

    async def read(
        self, username: str, resources: Collection[str], over: timedelta, now: datetime
    ) -> Mapping[str, Reading]:
        """The user's readings of these resources, over the time before `now`.

        A resource that was not used is zero where the source is known to have been scraped, else
        Unknown with the reason why.
        """
        try:
            async with asyncio.timeout(self._deadline.total_seconds()):
                return await self._read(username, resources, over, now)
        except PrometheusError as error:
            unknown = Unknown(error.reason, f"Prometheus: {error}")
        except TimeoutError:
            allowed = show_duration(self._deadline)
            unknown = Unknown("timeout", f"Prometheus: no answer within {allowed}")
        except MetricMissing as error:
            unknown = Unknown("metric_missing", str(error))
        except promql.InvalidText as error:
            unknown = Unknown("bad_username", str(error))
        return dict.fromkeys(resources, unknown)

    async def _read(
        self, username: str, resources: Collection[str], over: timedelta, now: datetime
    ) -> Mapping[str, Reading]:
        # Whole steps, the same for every reading, so that a later one sees the same samples.
        end = _floor(now, STEP)
        start = _floor(now - over, STEP) + STEP
        evidence: Evidence
        rates: Rates
        evidence, rates = await all_of(
            self._evidence(over, now),
            self._source.rates(self._prometheus, username, start, end, STEP),
        )
        if evidence.last_seen is None:
            unknown = Unknown("not_scraped", self._never_seen(evidence, over))
            return dict.fromkeys(resources, unknown)
        if now - evidence.last_seen <= self._stale_after:
            self._on_fresh(evidence.last_seen)
        return {
            resource: self._reading(rates.get(resource, ()), evidence, evidence.last_seen, now)
            for resource in resources
        }

    def _reading(
        self,
        samples: tuple[tuple[float, float], ...],
        evidence: Evidence,
        last_seen: datetime,
        now: datetime,
    ) -> Reading:
        buckets = buckets_from_rates(samples, STEP.total_seconds())
        usage = Usage(buckets, last_seen, evidence.coverage)
        if now - last_seen <= self._stale_after:
            return Fresh(usage)
        detail = f"{self._source.name} was last scraped at {last_seen:%Y-%m-%d %H:%M} UTC"
        return Stale(usage, "stale", detail)

    async def _evidence(self, over: timedelta, now: datetime) -> Evidence:
        """Whether the source was being scraped: all of its evidence, not just some of it."""
        metrics = self._source.evidence
        hub = promql.in_namespace(self._source.namespace)
        landmark = (hub, *self._source.landmark)
        coarse = max(over / COVERAGE_STEPS, STEP)
        recently = self._stale_after + STEP
        # The most exact answer first: now, else lately, else some time in the window.
        seen_at = [
            expression
            for metric in metrics
            for expression in (
                promql.newest_sample(metric, hub),
                promql.last_seen(metric, hub, over=recently, step=STEP / 2),
                promql.last_seen(metric, *landmark, over=over, step=coarse),
            )
        ]
        times = [promql.times_seen(m, *landmark, over=over, step=coarse) for m in metrics]
        seen, counts = await all_of(
            self._by_metric(" or ".join(seen_at), now), self._by_metric(" or ".join(times), now)
        )
        least = min(metrics, key=lambda metric: seen.get(metric, 0.0))
        last = seen.get(least)
        steps = over / coarse
        return Evidence(
            last_seen=datetime.fromtimestamp(last, UTC) if last else None,
            coverage=min(min(counts.values()) / steps, 1.0) if counts else None,
            missing=least,
        )

    async def _by_metric(self, expression: str, now: datetime) -> dict[str, float]:
        series = await self._prometheus.query(expression, now)
        return {one.labels.get("metric", ""): one.samples[-1][1] for one in series}

    def _never_seen(self, evidence: Evidence, over: timedelta) -> str:
        where = f' in namespace "{self._source.namespace}"' if self._source.namespace else ""
        return (
            f"{self._source.name} was not scraped: no series of {evidence.missing}{where}"
            f" within {show_duration(over)}"
        )


def _floor(instant: datetime, step: timedelta) -> datetime:
    seconds = step.total_seconds()
    return datetime.fromtimestamp(instant.timestamp() // seconds * seconds, UTC)
