"""The dashboard's own metrics, as 2i2c's package has them (`UsageQuotaManager.earlier_metrics`)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, generate_latest

from ...conventions import EARLIER_SERVICE_ERROR


class ServiceErrors:
    """Counts users' own pages that could not be shown with what they used."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._registry = CollectorRegistry()
        self._errors = Counter(
            EARLIER_SERVICE_ERROR,
            "Pages of the dashboard that could not show what their user used",
            ["namespace", "username"],
            registry=self._registry,
        )

    def count(self, username: str) -> None:
        """Count one page of this user's."""
        self._errors.labels(self._namespace, username).inc()

    def as_text(self) -> bytes:
        """All metrics, in Prometheus' text format."""
        return generate_latest(self._registry)
