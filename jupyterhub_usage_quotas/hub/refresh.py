"""Keeping everybody's usage at hand while the Hub runs, and telling how that goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from ..ledger import Ledger
from ..metering.meter import Meter
from ..metering.snapshot import Knowledge
from ..quotas.policy.policy import PolicySet
from ..quotas.units import STORAGE, show_duration
from ..quotas.usage import Unknown
from ..status.hub_database import pool_members_in, subjects_by_slices
from ..status.snapshot import Tally
from .metrics import own as metrics

GAPS_SHOWN = 5


class Keeper:
    """Keeps a meter up to date, and the tally of everybody's standings.

    `app` is the Hub, whose database says who everybody is; `groups` narrow the tally to their
    members, None is nobody.
    """

    def __init__(
        self,
        app: Any,
        policies: PolicySet,
        meter: Meter,
        ledger: Ledger | None,
        groups: Sequence[str] | None,
    ) -> None:
        self.tally = Tally(policies, meter, ledger)
        self._app = app
        self._policies = policies
        self._meter = meter
        self._groups = groups
        self._log: logging.Logger = app.log
        self._told: set[str] = set()

    async def run(self) -> None:
        """Keep, until cancelled. Without policies there is nothing to keep."""
        if self._policies.all_measured:
            await self._meter.keep(self._policies.reach, self._refreshed)

    async def _refreshed(self) -> None:
        for known in self._meter.known:
            self._show(known)
        pooled = any(one.pooled for one in self._policies)
        if pooled or self._groups is not None:
            # Without groups nobody is judged, but what is charged to pools is added up.
            users = () if self._groups is None else subjects_by_slices(self._app.db, self._groups)
            members = pool_members_in(self._app.db, self._policies) if pooled else {}
            await self.tally.take(users, members, datetime.now(UTC))
        self._tell_homes()

    def _tell_homes(self) -> None:
        """Log once which home directories are nobody's: they may be called by another scheme."""
        homes = self._meter.homes
        if homes is None or not homes.directories or STORAGE.name in self._told:
            return
        self._told.add(STORAGE.name)
        left = homes.strangers(user.name for user in subjects_by_slices(self._app.db))
        if left:
            some = ", ".join(repr(name) for name in sorted(left)[:GAPS_SHOWN])
            self._log.warning(
                "%d of %d home directories are no user's, such as %s. If they should be, see"
                " UsageConfig.home_storage_directory",
                len(left),
                len(homes.directories),
                some,
            )

    def _show(self, known: Knowledge) -> None:
        """Show on the metrics endpoint how much is known, and log once what was found."""
        name, seen = known.source.name, known.seen
        length = max(seen.end - seen.start, 1.0)
        missed = seen.missed(seen.start, seen.end)
        metrics.history.labels(source=name).set(length)
        metrics.coverage.labels(source=name).set(1 - missed / length)
        if seen.interval:
            metrics.scrape_interval.labels(source=name).set(seen.interval)
        if name not in self._told and self._meter.complete and seen.last_scrape:
            self._told.add(name)
            self._log.info("%s", history_for_log(known, self._meter.timing.max_gap))


def history_for_log(known: Knowledge, longest_bridged: timedelta) -> str:
    """A line about how far back usage is known, and what is missing."""
    seen = known.seen
    how_long = show_duration(timedelta(seconds=round(seen.end - seen.start)))
    line = f"The usage of the last {how_long} from {known.source.name} is at hand"
    gaps = [gap for gap in seen.gaps if gap[1] - gap[0] > longest_bridged.total_seconds()]
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


def observers(log: logging.Logger) -> Mapping[str, Any]:
    """What counts and logs how a meter does: arguments of `UsageConfig.make_meter`."""
    return {
        "observe_request": metrics.observe_request,
        "on_fresh": metrics.usage_known_until,
        "on_refresh": partial(tell_refresh, log),
        "on_homes": count_homes,
    }


def tell_refresh(log: logging.Logger, why: Unknown | None, error: Exception | None) -> None:
    """Count a refresh; a fault of ours is logged with its traceback."""
    metrics.refreshes.labels(outcome=why.reason if why else "success").inc()
    if error:
        log.error("The usage of all users could not be refreshed", exc_info=error)


def count_homes(why: Unknown | None) -> None:
    """Count a refresh of home storage that failed.

    Not one that succeeded: it says nothing about usage, and would hide from alerts that fails.
    """
    if why:
        metrics.refreshes.labels(outcome=f"{metrics.OF_HOMES}{why.reason}").inc()


def start(keeper: Keeper) -> None:
    """Start keeping on the running event loop; a command without one serves nobody."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    task = loop.create_task(keeper.run(), name="usage quotas: keep the meter")
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


_tasks: set[asyncio.Task[None]] = set()
"""The event loop itself holds tasks only weakly."""
