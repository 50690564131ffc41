"""Rolling up: what each user of each hub used on a day is read once the day is complete, and kept.

It goes back as far as Prometheus does. A day that was seen not at all is not kept: it is not known.
"""

from __future__ import annotations

import datetime
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from .. import conventions as names
from ..errors import LedgerUnavailable, UsageUnknown
from ..metering.client import promql
from ..metering.client.prometheus import PrometheusClient
from ..metering.client.worker import run_in_worker
from ..metering.snapshot import UsageSnapshot
from ..metering.sources.base import Source, having
from ..metering.sources.exported_gauge import ExportedGauge
from ..metering.sync import SourceSync
from ..metering.timelines import parts_of
from ..quotas.messages import said_by
from ..quotas.resources import Resources
from .sources.base import DAY, Date, days_between
from .usage_store import UsageStore, Used
from .values import NOBODY

LOG: Final = logging.getLogger("cost_monitor")
MARGIN: Final = datetime.timedelta(minutes=10)
"""How much after a day is read with it: its last scrape is seen by the one that follows."""
SETTLED: Final = datetime.timedelta(hours=1)
"""How long after its end a day is read: samples may come late."""
NOT_THERE: Final = 7
"""After so many days in a row that were not seen, Prometheus is taken to go back no further."""
NO_GROUPS: Final = ("none", "multiple")
"""What the exporter of groups calls those who are in none, or in several: no groups."""

HubsFound = Callable[[Date], Collection[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Reading:
    """How usage is read: the source of what servers ask for in a namespace, what homes take up,
    and the resources that there are.
    """

    source_of: Callable[[str], Source]
    homes: Sequence[ExportedGauge]
    resources: Resources
    max_gap: datetime.timedelta
    late: datetime.timedelta
    users_metric: str
    """A metric with a series for each namespace in which a user has a server."""
    users_label: str


class UsageRolling:
    """Reads complete days of hubs, and keeps them.

    `hubs` are the namespaces of hubs by name; where there are none, each namespace in which users
    have servers is a hub, and called so. Without a Prometheus they must be given; homes and groups
    are not known then.
    """

    def __init__(
        self,
        store: UsageStore,
        prometheus: PrometheusClient | None,
        reading: Reading,
        hubs: Mapping[str, str],
        *,
        reach: datetime.timedelta,
        clock: Callable[[], datetime.datetime],
    ) -> None:
        self._store, self._prometheus, self._reading = store, prometheus, reading
        self._hubs, self._reach, self._clock = hubs, reach, clock
        self.problem = ""
        """Why the last reading failed; empty when it did not."""

    async def aclose(self) -> None:
        """Close the connections to Prometheus."""
        if self._prometheus:
            await self._prometheus.aclose()

    async def roll(self) -> int:
        """Read and keep what is not kept yet, the newest day first; returns how many days of hubs
        that were. Never raises: what failed is the `problem`, and tried again.
        """
        done, self.problem = 0, ""
        today = (self._clock() - SETTLED).astimezone(datetime.UTC).date()
        unseen: dict[str, int] = {}
        try:
            kept = await self._store.days(today - self._reach, today)
            hubs = {hub: self._hubs.get(hub, hub) for _, hub in kept}
            empty = 0
            for day in reversed(days_between(today - self._reach, today)):
                # A hub that had no users on a day was there all the same.
                hubs |= await self._hubs_of(day)
                empty = 0 if hubs else empty + 1
                for hub, namespace in hubs.items():
                    if (day, hub) in kept:
                        unseen[hub] = 0
                    elif unseen.get(hub, 0) < NOT_THERE:
                        seen = await self._roll(day, hub, namespace)
                        unseen[hub] = 0 if seen else unseen.get(hub, 0) + 1
                        done += seen
                if min(unseen.values(), default=empty) >= NOT_THERE:
                    break
        except (UsageUnknown, LedgerUnavailable) as error:
            self.problem = str(error)
            LOG.warning("Daily usage is not read: %s; it is tried again", error)
        except Exception as error:
            # What is kept is shown all the same.
            self.problem = said_by(error)
            LOG.exception("Daily usage is not read")
        return done

    async def again(self, day: Date, hub: str) -> bool:
        """Read a day of a hub again; returns whether it is another than what was kept. Raises
        `UsageUnknown` and `LedgerUnavailable`.
        """
        namespace = (await self._hubs_of(day)).get(hub, hub)
        before = (await self._store.days(day, day + DAY)).get((day, hub))
        await self._roll(day, hub, namespace)
        after = (await self._store.days(day, day + DAY)).get((day, hub))
        return (after.restated if after else 0) > (before.restated if before else 0)

    async def note_groups(self, *, without: Collection[str] = ()) -> None:
        """Keep who is in which groups today, `without` those hubs of which something else says
        that. Raises `UsageUnknown`, `LedgerUnavailable`.
        """
        if self._prometheus is None:
            return
        now = self._clock()
        metric = promql.select(names.USER_GROUP_INFO, 'username!=""')
        found = await self._prometheus.query(
            f"group by (namespace, username, usergroup) (last_over_time({metric}[1h]))", now
        )
        by_hub: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        called = {namespace: hub for hub, namespace in self._hubs.items()}
        for series in having(found, "namespace", "username"):
            namespace = series.labels["namespace"]
            if not called or namespace in called:
                groups = by_hub[called.get(namespace, namespace)][series.labels["username"]]
                group = series.labels.get("usergroup", "")
                if group and group not in NO_GROUPS:
                    groups.append(group)
        for hub in by_hub.keys() - set(without):
            of_users = by_hub[hub]
            await self._store.note_groups(now.astimezone(datetime.UTC).date(), hub, of_users)

    async def _hubs_of(self, day: Date) -> Mapping[str, str]:
        """The namespaces of the hubs that had users on a day, by name."""
        if self._hubs or self._prometheus is None:
            return self._hubs
        metric = promql.select(self._reading.users_metric, f'{self._reading.users_label}!=""')
        found = await self._prometheus.query(
            f"group by (namespace) (present_over_time({metric}[1d]))", _end_of(day)
        )
        every = [series.labels["namespace"] for series in having(found, "namespace")]
        return dict(zip(every, every, strict=True))

    async def _roll(self, day: Date, hub: str, namespace: str) -> bool:
        """Read a day of a hub and keep it; returns whether it was seen."""
        end = _end_of(day)
        source = self._reading.source_of(namespace)
        sync = SourceSync(
            source,
            DAY + 2 * MARGIN,
            late=self._reading.late,
            max_gap=self._reading.max_gap,
        )
        snapshot = await sync.read_all(end + MARGIN)
        if snapshot is None or snapshot.coverage.last_scrape is None:
            return False
        begin, until = (end - DAY).timestamp(), end.timestamp()
        seen = 1 - snapshot.coverage.missed(begin, until) / DAY.total_seconds()
        if seen <= 0:
            return False
        sums = await run_in_worker(amounts_of, snapshot, begin, until)
        for gauge in self._reading.homes if self._prometheus else ():
            users = {user for user, _, _ in sums} | set(await self._store.users(hub))
            for user, amount in (await self._homes(gauge, namespace, users, end)).items():
                sums[user, "", gauge.resource] = amount * DAY.total_seconds()
        used = [
            Used(user, kind, resource, round(amount / self._reading.resources[resource].daily_unit))
            for (user, kind, resource), amount in sums.items()
            # What is bought is no usage of its own.
            if resource in self._reading.resources
        ]
        if await self._store.write(day, hub, used, seen, self._clock()):
            LOG.warning("Daily usage was restated: %s of %s", day, hub)
        return True

    async def _homes(
        self, gauge: ExportedGauge, namespace: str, users: Collection[str], end: datetime.datetime
    ) -> Mapping[str, float]:
        """How much homes took up on average, by user; `NOBODY` has those that match no user."""
        metric = promql.select(
            gauge.amounts, promql.equals("namespace", namespace), f'{gauge.label}!=""'
        )
        query = f"max by ({gauge.label}) (avg_over_time({metric}[1d]))"
        owners = dict(_keys_of(gauge, users))
        sums: dict[str, float] = defaultdict(float)
        assert self._prometheus  # noqa: S101 who calls this has looked
        for series in having(await self._prometheus.query(query, end), gauge.label):
            sums[owners.get(series.labels[gauge.label], NOBODY)] += max(series.last, 0.0)
        return sums


def amounts_of(
    snapshot: UsageSnapshot, begin: float, until: float
) -> dict[tuple[str, str, str], float]:
    """What was used in `(begin, until]` in base units, by user, kind of server and resource."""
    sums: dict[tuple[str, str, str], float] = defaultdict(float)
    for user, kept in snapshot.usage.items():
        for (resource, server), timeline in parts_of(kept):
            for start, end, rate in timeline.within(begin, until):
                sums[user, server.profile, resource] += rate * (end - start)
    return sums


def _keys_of(gauge: ExportedGauge, users: Collection[str]) -> Iterator[tuple[str, str]]:
    for user in users:
        try:
            yield gauge.key_of(user), user
        except UnicodeError:
            continue  # such a name has no home


def _end_of(day: Date) -> datetime.datetime:
    after = day + DAY
    return datetime.datetime(after.year, after.month, after.day, tzinfo=datetime.UTC)
