"""Home storage: how much is in everybody's home directory, and how much may be.

It is told by jupyterhub-home-nfs, or by prometheus-dirsize-exporter, which knows no limits. What
is there now is all that is asked for, of everybody at once. Whose a directory is, is known by
working out what each user's is called: never from the directory's name.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from ... import conventions as names
from ...quotas.charge import Readings
from ...quotas.units import STORAGE
from ...quotas.usage import Fresh, Reading, Stale, Unknown
from ...quotas.windows.gauge import GaugeReading
from ..client import promql
from ..client.prometheus import PrometheusClient
from ..client.response import Series

T = TypeVar("T")

REMEMBERED = timedelta(hours=1)
"""For how long a directory that is no longer told of is unknown; after that it is not there."""


@dataclass(frozen=True, slots=True)
class Home:
    """A directory: bytes in it, its limit (infinite for none, None where that is not told), and
    when that was scraped (Unix seconds).
    """

    size: float
    limit: float | None
    measured: float


@dataclass(frozen=True, slots=True)
class Homes:
    """All directories, as of the last look."""

    directories: Mapping[str, Home]
    where: str = ""
    metric: str = names.HOME_SIZE

    def reading(
        self,
        directory: str,
        now: datetime,
        stale_after: timedelta,
        problem: Unknown | None = None,
    ) -> Reading:
        """What is in a directory: a `GaugeReading`.

        A directory that is not there is empty where an exporter is known to be scraped, else
        Unknown. `problem` is why nothing newer is known, where that has a reason.
        """
        if not self.directories:
            detail = f"{self.metric} has no series{self.where}"
            return problem or Unknown("not_scraped", detail)
        home = self.directories.get(directory)
        last = max(one.measured for one in self.directories.values())
        measured = datetime.fromtimestamp(home.measured if home else last, UTC)
        level = (
            GaugeReading((), measured, None, amount=home.size, limit=home.limit)
            if home
            else GaugeReading((), measured, None, there=False)
        )
        if now - measured <= stale_after:
            return Fresh(level)
        if problem:
            return Stale(level, problem.reason, problem.detail)
        detail = f"home storage was last scraped at {measured:%Y-%m-%d %H:%M} UTC"
        return Stale(level, "stale", detail)


@dataclass(frozen=True)
class HomeStorage:
    """Where home storage is told of.

    `namespace` is a matcher of namespaces, empty for all. `directory_of` gives the name of a user's
    directory; it may raise UnicodeError for names that are not valid Unicode. It is `kept` up to
    date with the rest, or asked for when it is wanted.
    """

    namespace: str
    directory_of: Callable[[str], str]
    kept: bool = True
    size: str = names.HOME_SIZE
    limit: str = names.HOME_LIMIT
    """The metrics of its exporter."""

    async def read(
        self, prometheus: PrometheusClient, now: datetime, stale_after: timedelta
    ) -> Homes:
        """All directories. Raises `PrometheusError`."""
        queries = promql.Directories(self.namespace, self.size, self.limit)
        over = max(REMEMBERED, stale_after)
        told = await prometheus.query(promql.labelled(queries.there(over)), now)
        parts = _by_part(told)
        directories = _homes(parts)
        if gone := parts.get("gone"):
            last = await prometheus.query(promql.labelled(queries.last_told(over)), now)
            before = _homes(_by_part(last))
            directories = {one: before[one] for one in gone if one in before} | directories
        where = f" where {self.namespace}" if self.namespace else ""
        return Homes(directories, where, self.size)


def _by_part(series: Iterable[Series]) -> Mapping[str, Mapping[str, float]]:
    """The newest values by part of the query and directory."""
    parts: dict[str, dict[str, float]] = {}
    for one in series:
        of_part = parts.setdefault(one.labels.get("part", ""), {})
        of_part[one.labels.get("directory", "")] = one.last
    return parts


def _homes(parts: Mapping[str, Mapping[str, float]]) -> dict[str, Home]:
    limits = parts.get("limit", {})
    measured = parts.get("at", {})
    return {
        directory: Home(max(size, 0.0), _limit(limits.get(directory)), at)
        for directory, size in parts.get("size", {}).items()
        if (at := measured.get(directory)) is not None
    }


def _limit(told: float | None) -> float | None:
    """A limit as it is told: 0 for none."""
    return math.inf if told is not None and told <= 0 else told


class Guard(Protocol):
    """Does a step within a time, or says why it could not be done."""

    def __call__(
        self, step: Callable[[], Awaitable[T]], allowed: timedelta
    ) -> Awaitable[T | Unknown]:
        """The result of the step, or why there is none."""
        ...


class HomeMeter:
    """Everybody's home storage: at hand where it is kept, else asked for."""

    def __init__(
        self,
        prometheus: PrometheusClient,
        storage: HomeStorage,
        guard: Guard,
        *,
        stale_after: timedelta,
    ) -> None:
        self.storage = storage
        self._prometheus = prometheus
        self._guard = guard
        self._stale_after = stale_after
        self._homes: Homes | None = None
        self._problem: Unknown | None = None

    @property
    def directories(self) -> Collection[str]:
        """All that are known, where they are kept."""
        return self._homes.directories if self._homes else ()

    def strangers(self, users: Iterable[str]) -> Collection[str]:
        """The directories that are none of these users'."""
        left = set(self.directories)
        for user in users:
            with suppress(UnicodeError):
                left.discard(self.storage.directory_of(user))
        return left

    async def refresh(self, now: datetime, allowed: timedelta) -> Unknown | None:
        """Look anew; what was known stays known if that fails. Returns why it failed."""
        homes = await self._look(now, allowed)
        self._problem = homes if isinstance(homes, Unknown) else None
        if isinstance(homes, Homes):
            # Where it was told of and is not any more, it is not known, rather than not there.
            self._homes = homes if homes.directories or not self._homes else self._homes
        return self._problem

    async def readings(
        self, users: Collection[str], now: datetime, allowed: timedelta
    ) -> Mapping[str, Readings]:
        """Users' readings, by username; each is of a `GaugeReading`, or Unknown."""
        if self._homes is not None:
            return self.peek(users, now)
        homes = await self._look(now, allowed)
        if isinstance(homes, Unknown):
            return _all(users, homes)
        return {user: self._reading(homes, user, now, None) for user in users}

    def peek(self, users: Collection[str], now: datetime) -> Mapping[str, Readings]:
        """The same without asking anybody."""
        if self._homes is None:
            why = self._problem or Unknown("not_read_yet", "home storage is still being read")
            return _all(users, why)
        return {user: self._reading(self._homes, user, now, self._problem) for user in users}

    async def _look(self, now: datetime, allowed: timedelta) -> Homes | Unknown:
        return await self._guard(
            lambda: self.storage.read(self._prometheus, now, self._stale_after), allowed
        )

    def _reading(self, homes: Homes, user: str, now: datetime, problem: Unknown | None) -> Readings:
        try:
            directory = self.storage.directory_of(user)
        except UnicodeError:
            return {STORAGE.name: Unknown("bad_username", f"{user!r} is not valid Unicode text")}
        return {STORAGE.name: homes.reading(directory, now, self._stale_after, problem)}


def _all(users: Collection[str], why: Unknown) -> Mapping[str, Readings]:
    return {user: {STORAGE.name: why} for user in users}
