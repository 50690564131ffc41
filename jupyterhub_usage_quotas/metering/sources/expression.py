"""A resource that an admin defined by PromQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ...quotas.usage import ANY_SERVER
from ..client import promql
from ..client.prometheus import PrometheusClient, all_of
from ..client.promql import Users
from ..client.series import Series
from ..client.worker import run_in_worker
from ..coverage import covered_everywhere, never_covered
from ..timelines import Pieces, runs_of, timelines
from .base import STEP, StepRange, UsageSegment


@dataclass(frozen=True)
class Expression:
    """A resource that an admin defined by PromQL, with the label `username`.

    It counts as seen when it had any series at all within `reach`: an admin's expression cannot
    distinguish "unused" from "not scraped".
    """

    resource: str
    expression: str
    reach: timedelta = timedelta(days=30)
    namespace: str = field(default="", init=False)
    requests_metric: str = field(default="", init=False)

    LOOKS = 500
    """The number of instants at which it is queried."""

    @property
    def name(self) -> str:
        """See `Source.name`."""
        return f"the expression of {self.resource}"

    @property
    def identity(self) -> str:
        """See `Source.identity`."""
        return repr(self)

    async def read(
        self, prometheus: PrometheusClient, users: Users, steps: StepRange
    ) -> UsageSegment:
        """See `Source.read`."""
        rates = promql.defined_rates(self.expression, users)
        series: Sequence[Series]
        ever, series = await all_of(
            self._ever(prometheus, max(self.reach, steps.over), steps.end),
            prometheus.query_range(rates, steps.start, steps.end, steps.step),
        )
        step = steps.step.total_seconds()
        key = (self.resource, ANY_SERVER)
        pieces: Pieces = {
            one.labels.get("username", ""): {key: runs_of(one.samples, step)} for one in series
        }
        coverage = (
            covered_everywhere(*steps.span) if ever else never_covered(*steps.span, self.expression)
        )
        usage = await run_in_worker(timelines, pieces, *steps.span)
        return UsageSegment(usage, coverage, samples=sum(len(one.values) for one in series))

    async def was_there(self, prometheus: PrometheusClient, steps: StepRange) -> bool:
        """See `Source.was_there`."""
        return await self._ever(prometheus, steps.over, steps.end)

    async def _ever(self, prometheus: PrometheusClient, over: timedelta, end: datetime) -> bool:
        there = promql.ever_there(self.expression, over, max(over / self.LOOKS, STEP))
        return bool(await prometheus.query(there, end))
