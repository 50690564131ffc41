"""The servers of a Hub that run now, and its pending launches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ...quotas.in_flight import Running
from ...quotas.resources import Resources
from ...quotas.verdict import Request
from .request import PROFILE_NAME, profile_of, rates_of, subject_of_user


def running_spawners(users: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """The Hub's users, each with those spawners that have a running server."""
    for user in users:
        for spawner in list(user.spawners.values()):
            # A server that is being stopped, checked or renamed still runs.
            if spawner.active and spawner.pending != "spawn":
                yield user, spawner


def running_servers(users: Iterable[Any], resources: Resources) -> Mapping[str, Sequence[Running]]:
    """The servers that run, by username, and since when."""
    servers: dict[str, list[Running]] = {}
    for user, spawner in running_spawners(users):
        if since := _started(spawner):
            request = Request(
                subject_of_user(user),
                server_name=spawner.name,
                profile=profile_of(spawner),
                profile_name=getattr(spawner, PROFILE_NAME, ""),
                rates=rates_of(spawner, resources),
            )
            servers.setdefault(user.name, []).append(Running(request, since))
    return servers


def _started(spawner: Any) -> datetime | None:
    started = getattr(getattr(spawner, "orm_spawner", None), "started", None)
    # JupyterHub keeps UTC without saying so.
    return started.replace(tzinfo=UTC) if isinstance(started, datetime) else None


class Pending:
    """The launches that were allowed and do not run yet."""

    def __init__(self) -> None:
        self._launches: dict[int, tuple[Any, Request]] = {}

    def add(self, spawner: Any, request: Request) -> None:
        """Note a launch that was allowed."""
        self._launches[id(spawner)] = (spawner, request)

    def besides(self, spawner: Any) -> list[Request]:
        """The requests of all launches that are still pending but this spawner's."""
        self._launches = {
            key: launch
            for key, launch in self._launches.items()
            if getattr(launch[0], "pending", None) == "spawn"
        }
        return [request for other, request in self._launches.values() if other is not spawner]
