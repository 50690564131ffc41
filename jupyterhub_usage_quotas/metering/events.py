"""The events that a meter reports: requests, refreshes and findings, to one observer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ..quotas.usage import Unknown


@dataclass(frozen=True, slots=True)
class Refresh:
    """One attempt to bring a source up to date.

    `failure` is why it failed, None where it succeeded; `bug` the exception, where it was a bug of
    ours. The source has usage `over_time`, or else is a gauge.
    """

    source: str
    failure: Unknown | None = None
    bug: Exception | None = None
    over_time: bool = True


class MeterEvents(Protocol):
    """Gets the events of a meter. It must be quick, and must not raise."""

    def requested(self, outcome: str, seconds: float) -> None:
        """A request to Prometheus ended: its outcome ("success" or an error's reason) and how long
        it took.
        """
        ...

    def covered(self, until: datetime) -> None:
        """Usage is known up to an instant, well enough to decide on."""
        ...

    def refreshed(self, refresh: Refresh) -> None:
        """A source was refreshed, or could not be."""
        ...

    def unowned_pods(self, number: int) -> None:
        """This many pods ran that are named like users' servers and belong to no known server."""
        ...


class NoEvents:
    """Ignores everything; a base for those that want some of it."""

    def requested(self, outcome: str, seconds: float) -> None:
        """See `MeterEvents.requested`."""

    def covered(self, until: datetime) -> None:
        """See `MeterEvents.covered`."""

    def refreshed(self, refresh: Refresh) -> None:
        """See `MeterEvents.refreshed`."""

    def unowned_pods(self, number: int) -> None:
        """See `MeterEvents.unowned_pods`."""


NO_EVENTS = NoEvents()
