"""A source that is made of values: no Prometheus, for what comes after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jupyterhub_usage_quotas.errors import UsageUnknown
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.client.promql import Users
from jupyterhub_usage_quotas.metering.coverage import (
    Span,
    clipped,
    covered_everywhere,
    never_covered,
)
from jupyterhub_usage_quotas.metering.sources.base import StepRange, UsageSegment
from jupyterhub_usage_quotas.metering.timelines import timelines
from jupyterhub_usage_quotas.quotas.policy.selector import ServerAttributes
from jupyterhub_usage_quotas.quotas.usage import ANY_SERVER


@dataclass(frozen=True)
class Session:
    """A server that ran from one instant to another (Unix seconds), and its rates by resource."""

    start: float
    end: float
    rates: Mapping[str, float]
    server: ServerAttributes = ANY_SERVER


@dataclass
class MadeUp:
    """What users did, by username; `alive` as long as it is scraped, `failure` while it fails."""

    sessions: Mapping[str, Sequence[Session]]
    alive: bool = True
    failure: UsageUnknown | None = None
    name: str = "the made-up source"
    namespace: str = ""
    requests_metric: str = ""
    resource: str = ""
    unmeasured: list[Span] = field(default_factory=list)
    """When some server ran whose requests are not known."""
    asked: list[StepRange] = field(default_factory=list)
    """What was asked for."""

    @property
    def identity(self) -> str:
        """See `Source.identity`."""
        return self.name

    async def read(
        self, _prometheus: PrometheusClient, users: Users, steps: StepRange
    ) -> UsageSegment:
        """See `Source.read`."""
        self.asked.append(steps)
        if self.failure:
            raise self.failure
        if not self.alive:
            return UsageSegment({}, never_covered(*steps.span, "anything"))
        pieces: dict[str, Any] = {}
        for user, sessions in self.sessions.items():
            if users is None or user in users:
                by_key = pieces.setdefault(user, {})
                for one in sessions:
                    for resource, rate in one.rates.items():
                        runs = by_key.setdefault((resource, one.server), [])
                        runs.append((one.start, one.end, rate))
        return UsageSegment(
            timelines(pieces, *steps.span),
            covered_everywhere(*steps.span),
            unmeasured=clipped(tuple(self.unmeasured), *steps.span),
        )

    async def was_there(self, _prometheus: PrometheusClient, _steps: StepRange) -> bool:
        """See `Source.was_there`."""
        return self.alive
