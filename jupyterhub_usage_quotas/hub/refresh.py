"""The refresh loop: keeps all users' usage cached while the Hub runs, and after each refresh calls
listeners.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from ..config.quotas import QuotaOptions
from ..conventions import Reason
from ..metering.gauge_reader import GaugeReader
from ..metering.meter import Meter
from ..quotas.policy.policy import PolicySet
from ..status.hub_database import KeptSubjects, pool_members_in, subjects_by_slices
from ..status.snapshot import StatusSnapshot
from .metrics import own as metrics
from .metrics.history import HistoryGauges
from .types import HubApp

KEYS_SHOWN = 5


class RefreshListener(Protocol):
    """Brings something up to date after each refresh of the meter."""

    async def refreshed(self, now: datetime) -> None:
        """Called before the first refresh and after every one, whether it succeeded or not.

        Listeners are called one after the other. It gives others the event loop now and then; what
        it raises is logged and counted, and the next listener is called all the same.
        """
        ...


class RefreshLoop:
    """Refreshes a meter over the reach of the policies, and calls listeners, until cancelled."""

    def __init__(
        self,
        meter: Meter,
        policies: PolicySet,
        listeners: Sequence[RefreshListener],
        log: logging.Logger,
    ) -> None:
        self.listeners = list(listeners)
        self._meter = meter
        self._policies = policies
        self._log = log

    async def run(self) -> None:
        """Refresh, until cancelled. Without policies there is nothing to refresh."""
        if self._policies.all_measured:
            await self._meter.keep(self._policies.reach, self.call_listeners)

    async def call_listeners(self) -> None:
        """Let every listener bring up to date what is its own."""
        for listener in self.listeners:
            try:
                await listener.refreshed(datetime.now(UTC))
            except Exception:
                metrics.refreshes.labels(outcome=Reason.INTERNAL_ERROR).inc()
                self._log.exception(
                    "%s failed after a refresh; it is called again after the next",
                    type(listener).__name__,
                )


def make_refresh_loop(
    app: HubApp,
    options: QuotaOptions,
    meter: Meter,
    snapshot: StatusSnapshot,
    further: Sequence[RefreshListener] = (),
) -> RefreshLoop:
    """The refresh loop of the Hub `app`, which keeps the snapshot and the gauges up to date, and
    calls `further` listeners after that.
    """
    policies, exported = options.policies, options.export_usage
    groups = exported if isinstance(exported, list) else [] if exported else None
    listeners: list[RefreshListener] = [
        HistoryGauges(meter, app.log),
        SnapshotRebuilder(app, policies, snapshot, groups),
        UnmatchedKeys(app, meter),
        *further,
    ]
    return RefreshLoop(meter, policies, listeners, app.log)


class SnapshotRebuilder:
    """Rebuilds the snapshot of where users stand, from the users in the Hub's database.

    Of `groups` only their members are judged, all users if there are none, and nobody for None:
    what is charged to pools is added up all the same.
    """

    def __init__(
        self,
        app: HubApp,
        policies: PolicySet,
        snapshot: StatusSnapshot,
        groups: Collection[str] | None,
    ) -> None:
        self._app = app
        self._policies = policies
        self._snapshot = snapshot
        self._subjects = None if groups is None else KeptSubjects(groups)
        self._pooled = any(one.pooled for one in policies)

    async def refreshed(self, now: datetime) -> None:
        """See `RefreshListener`."""
        if self._pooled or self._subjects is not None:
            users = () if self._subjects is None else self._subjects.read(self._app.db)
            members = pool_members_in(self._app.db, self._policies) if self._pooled else {}
            await self._snapshot.rebuild(users, members, now)


class UnmatchedKeys:
    """Logs once of each gauge which of its keys, for example home directories, match no user: they
    may be named by another scheme.
    """

    def __init__(self, app: HubApp, meter: Meter) -> None:
        self._app = app
        self._meter = meter
        self._logged: set[str] = set()

    async def refreshed(self, now: datetime) -> None:  # noqa: ARG002 the listeners'
        """See `RefreshListener`."""
        for gauge in self._meter.gauges:
            if gauge.values and gauge.name not in self._logged:
                self._logged.add(gauge.name)
                self._log_unmatched(gauge)

    def _log_unmatched(self, gauge: GaugeReader) -> None:
        left = gauge.unmatched(user.name for user in subjects_by_slices(self._app.db))
        if left:
            self._app.log.warning(
                "%d of %d %s match no user (for example %s). Check %s",
                len(left),
                len(gauge.values or ()),
                gauge.source.keys,
                ", ".join(repr(name) for name in sorted(left)[:KEYS_SHOWN]),
                gauge.source.hint,
            )


def start(work: Callable[[], Coroutine[Any, Any, None]], what: str) -> None:
    """Start what never ends on the running event loop; a command without one serves nobody."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return
    task = running.create_task(work(), name=f"usage quotas: {what}")
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


_tasks: set[asyncio.Task[None]] = set()
"""The event loop itself holds tasks only weakly."""
