"""The events that a meter reports: requests, refreshes and findings, to one observer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
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

    def restored(self, source: str, written: datetime) -> None:
        """What a checkpoint had of a source is used: it was written then."""
        ...

    def followed(self, written: datetime) -> None:
        """From now on usage is what the Hub writes into its checkpoint; it was written then."""
        ...

    def not_restored(self, why: str) -> None:
        """What a checkpoint had is not used, and why: the history is read from Prometheus."""
        ...

    def not_saved(self, path: Path, why: str) -> None:
        """A checkpoint could not be written, and why."""
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

    def restored(self, source: str, written: datetime) -> None:
        """See `MeterEvents.restored`."""

    def followed(self, written: datetime) -> None:
        """See `MeterEvents.followed`."""

    def not_restored(self, why: str) -> None:
        """See `MeterEvents.not_restored`."""

    def not_saved(self, path: Path, why: str) -> None:
        """See `MeterEvents.not_saved`."""


NO_EVENTS = NoEvents()
