"""The servers of a Hub that run now, and its pending launches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from ...quotas.charge import PoolAccounts, PoolReadings
from ...quotas.in_flight import InFlight, Running
from ...quotas.subject import REST, Subject
from ...quotas.verdict import Request
from ..types import HubSpawner, HubUser
from .kept import kept_of
from .request import subject_of_user


def running_spawners(
    users: Iterable[HubUser], *, starting: bool = False
) -> Iterator[tuple[HubUser, HubSpawner]]:
    """The Hub's users, each with those spawners that have a running server.

    `starting` is whether servers count from their launch on: of most spawners nobody else sees
    when they begin to run.
    """
    for user in users:
        for spawner in list(user.spawners.values()):
            # A server that is being stopped, checked or renamed still runs.
            if spawner.active and (
                spawner.pending != "spawn" or (starting and kept_of(spawner) is not None)
            ):
                yield user, spawner


def running_servers(users: Iterable[HubUser]) -> Mapping[str, Sequence[Running]]:
    """The servers that run, by username, and since when. Of one whose launch was not kept it is
    only known that it runs.
    """
    servers: dict[str, list[Running]] = {}
    for user, spawner in running_spawners(users):
        kept, since = kept_of(spawner), started_at(spawner)
        if since:
            subject = subject_of_user(user)
            request = (
                kept.request(subject, spawner.name) if kept else Request(subject, spawner.name)
            )
            servers.setdefault(user.name, []).append(Running(request, since))
    return servers


def started_at(spawner: HubSpawner) -> datetime | None:
    """When a server started; None where it has not yet."""
    started = spawner.orm_spawner.started if spawner.orm_spawner is not None else None
    # JupyterHub keeps UTC without saying so.
    return started.replace(tzinfo=UTC) if started else None


def in_pools(
    users: Sequence[HubUser], pools: PoolReadings | PoolAccounts, user: HubUser
) -> Sequence[HubUser]:
    """A user, and all of these who draw on the same pools."""
    if isinstance(pools, PoolAccounts):
        return users
    names = {user.name}.union(*pools.values())
    return users if REST in names else [one for one in users if one.name in names]


class Seen(Protocol):
    """What else knows which servers of users run, and which ended a while ago: the session log."""

    def in_flight(
        self, users: Iterable[HubUser], subject_of: Callable[[HubUser], Subject]
    ) -> tuple[Mapping[str, Sequence[Running]], Mapping[str, Sequence[Running]]]:
        """Those that run, and those that have only used something, by username."""
        ...


class Pending:
    """What is in flight: the launches that were allowed and do not run yet, and what runs.

    Where usage comes from what was `seen`, servers in flight do, too: nothing is counted twice.
    """

    def __init__(self) -> None:
        self.seen: Seen | None = None
        self._launches: dict[int, tuple[HubSpawner, Request]] = {}

    def in_flight(
        self, users: Iterable[HubUser], besides: HubSpawner | None = None, *, reserved: bool = False
    ) -> InFlight:
        """What of these users, and all launches but this spawner's, is in flight. Where it is
        `reserved`, servers that run keep what they were let in on until they ran for so long; but
        not the one that this spawner would take the place of.
        """
        running, ended = (
            self.seen.in_flight(users, subject_of_user)
            if self.seen
            else (running_servers(users), {})
        )
        own = (besides.user.name, besides.name) if besides and besides.user else None
        holding = [
            one
            for servers in running.values()
            for one in servers
            if reserved and (one.request.subject.name, one.request.server_name) != own
        ]
        return InFlight(running, self.besides(besides), holding, ended)

    def add(self, spawner: HubSpawner, request: Request) -> None:
        """Note a launch that was allowed."""
        self._launches[id(spawner)] = (spawner, request)

    def besides(self, spawner: HubSpawner | None) -> list[Request]:
        """The requests of all launches that are still pending but this spawner's."""
        self._launches = {
            key: launch for key, launch in self._launches.items() if launch[0].pending == "spawn"
        }
        return [request for other, request in self._launches.values() if other is not spawner]
