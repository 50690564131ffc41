"""The metrics of the cost monitor: how it is with its sources, and what it was queried for."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from ... import conventions as names
from ...costs.keeping import SourceStatus
from ...costs.sources.base import SourceState

METHODS = ("GET", "HEAD", "POST", "OPTIONS")


class Metrics:
    """All of them, in a registry of their own. Labels are states and addresses of ours only."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._asked = Counter(
            names.COST_REQUESTS,
            "Requests to AWS Cost Explorer",
            ["outcome"],
            registry=self.registry,
        )
        self._state = Gauge(
            names.COST_STATE,
            "1 for the state that a source of costs is in",
            ["source", "state"],
            registry=self.registry,
        )
        self._until = Gauge(
            names.COST_UNTIL,
            "The end of the last day whose costs are known",
            ["source"],
            registry=self.registry,
        )
        self._http = Counter(
            names.COST_HTTP,
            "Requests that were answered",
            ["method", "code", "endpoint"],
            registry=self.registry,
        )

    def asked(self, outcome: str) -> None:
        """Count a request to Cost Explorer."""
        self._asked.labels(outcome).inc()

    def answered(self, method: str, code: int, endpoint: str) -> None:
        """Count an answer of ours."""
        self._http.labels(method if method in METHODS else "other", code, endpoint).inc()

    def noted(
        self,
        states: Mapping[str, SourceStatus],
        until: Mapping[str, datetime.datetime | None],
    ) -> None:
        """Show how it is with each source."""
        for source, status in states.items():
            for state in SourceState:
                self._state.labels(source, state.value).set(state is status.state)
        for source, end in until.items():
            if end is not None:
                self._until.labels(source).set(end.timestamp())
