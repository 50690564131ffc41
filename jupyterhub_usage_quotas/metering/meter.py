"""Readings: a user's usage of every resource, and whether it can be trusted.

The one thing that the rest of the package asks: `Meter.read`. It never raises for anything that
Prometheus does and never takes longer than its deadline; what went wrong is in the reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from ..errors import PrometheusError
from ..quotas.charge import Readings
from ..quotas.units import show_duration
from ..quotas.usage import Fresh, Reading, Stale, Unknown, Usage, buckets_from_rates
from . import promql
from .prometheus import PrometheusClient, all_of
from .promql import Users
from .sources import Grid, Rates, Source

STEP = timedelta(minutes=1)
"""The distance of the samples that usage is summed from."""

EVERYBODY_ELSE = ""
"""The name under which readings of everybody say what those used who are not in them: nothing."""

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

    `defined` are an admin's own resources, as PromQL by name. `stale_after` is how long ago the
    source may have been seen for its readings to be decided on; `deadline` bounds a whole reading.
    """

    def __init__(
        self,
        prometheus: PrometheusClient,
        source: Source,
        *,
        deadline: timedelta,
        stale_after: timedelta,
        defined: Mapping[str, str] = MappingProxyType({}),
        on_fresh: Callable[[datetime], None] = lambda _covered_until: None,
    ) -> None:
        self._prometheus = prometheus
        self._source = source
        self._deadline = deadline
        self._stale_after = stale_after
        self._defined = defined
        self._on_fresh = on_fresh

    async def aclose(self) -> None:
        """Close the connections to Prometheus."""
        await self._prometheus.aclose()

    async def read(
        self, users: Users, resources: Collection[str], over: timedelta, now: datetime
    ) -> Mapping[str, Readings]:
        """Users' readings of these resources over the time before `now`, by username.

        With None for users, those who used anything, and `EVERYBODY_ELSE`. A resource that was
        not used is zero where the source is known to have been scraped, else Unknown with the
        reason why.
        """
        try:
            async with asyncio.timeout(self._deadline.total_seconds()):
                return await self._read(users, resources, over, now)
        except PrometheusError as error:
            unknown = Unknown(error.reason, f"Prometheus: {error}")
        except TimeoutError:
            allowed = show_duration(self._deadline)
            unknown = Unknown("timeout", f"Prometheus: no answer within {allowed}")
        except promql.InvalidText as error:
            unknown = Unknown("bad_username", str(error))
        nothing_known = dict.fromkeys(resources, unknown)
        return dict.fromkeys([EVERYBODY_ELSE] if users is None else users, nothing_known)

    async def _read(
        self, users: Users, resources: Collection[str], over: timedelta, now: datetime
    ) -> Mapping[str, Readings]:
        # Whole steps, the same for every reading, so that a later one sees the same samples.
        end = _floor(now, STEP)
        grid = Grid(_floor(now - over, STEP) + STEP, end, STEP)
        measured = [resource for resource in resources if resource not in self._defined]
        defined = [resource for resource in resources if resource in self._defined]
        parts = await all_of(
            *([self._measured(users, measured, over, now, grid)] if measured else []),
            *(self._of_defined(users, resource, over, grid) for resource in defined),
        )
        everybody = {user for part in parts for user in part}
        return {
            user: {
                resource: reading
                for part in parts
                for resource, reading in part.get(user, part.get(EVERYBODY_ELSE, {})).items()
            }
            for user in everybody
        }

    async def _measured(
        self,
        users: Users,
        resources: Collection[str],
        over: timedelta,
        now: datetime,
        grid: Grid,
    ) -> Mapping[str, Readings]:
        """Readings of what servers asked for."""
        evidence: Evidence
        rates: Mapping[str, Rates]
        evidence, rates = await all_of(
            self._evidence(over, now), self._source.rates(self._prometheus, users, grid)
        )
        names = {*rates, EVERYBODY_ELSE} if users is None else users
        if evidence.last_seen is None:
            unknown = Unknown("not_scraped", self._never_seen(evidence, over))
            return dict.fromkeys(names, dict.fromkeys(resources, unknown))
        if now - evidence.last_seen <= self._stale_after:
            self._on_fresh(evidence.last_seen)
        return {
            user: {
                resource: self._reading(
                    resource, rates.get(user, {}), evidence, evidence.last_seen, now
                )
                for resource in resources
            }
            for user in names
        }

    def _reading(
        self,
        resource: str,
        rates: Rates,
        evidence: Evidence,
        last_seen: datetime,
        now: datetime,
    ) -> Reading:
        metric = self._source.requests_metric
        if metric and set(rates) == {"time"} and resource != "time":
            return Unknown("metric_missing", f"{metric} has no series for the pods that ran")
        buckets = tuple(
            bucket
            for server, samples in rates.get(resource, {}).items()
            for bucket in buckets_from_rates(samples, STEP.total_seconds(), server)
        )
        usage = Usage(buckets, last_seen, evidence.coverage)
        if now - last_seen <= self._stale_after:
            return Fresh(usage)
        detail = f"{self._source.name} was last scraped at {last_seen:%Y-%m-%d %H:%M} UTC"
        return Stale(usage, "stale", detail)

    async def _of_defined(
        self, users: Users, resource: str, over: timedelta, grid: Grid
    ) -> Mapping[str, Readings]:
        """Readings of a resource that an admin defined."""
        expression = self._defined[resource]
        there = promql.ever_there(expression, over, max(over / COVERAGE_STEPS, STEP))
        seen, series = await all_of(
            self._prometheus.query(there, grid.end),
            self._prometheus.query_range(
                promql.defined_rates(expression, users), grid.start, grid.end, grid.step
            ),
        )
        samples = {one.labels.get("username", ""): one.samples for one in series}
        names = {*samples, EVERYBODY_ELSE} if users is None else users
        if not seen:
            unknown = Unknown(
                "metric_missing", f"the expression of {resource} has no series at all"
            )
            return {user: {resource: unknown} for user in names}
        return {
            user: {
                resource: Fresh(
                    Usage(buckets_from_rates(samples.get(user, ()), STEP.total_seconds()), grid.end)
                )
            }
            for user in names
        }

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
