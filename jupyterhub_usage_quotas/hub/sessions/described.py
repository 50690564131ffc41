"""Servers as the session log has them: by names that it can keep, with what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from ...ledger.entries import can_be_kept
from ...quotas.in_flight import Running
from ...quotas.messages import printable
from ...quotas.policy.selector import LONGEST_NAME, bounded_name
from ...quotas.resources import BY_RUNNING
from ...quotas.sessions import Session
from ...quotas.subject import Subject
from ...quotas.verdict import Request
from ..launch.kept import kept_of
from ..types import HubSpawner
from .book import Server, new_id


def running_of(
    sessions: Iterable[Session], subject: Subject, needs: Callable[[Session], Mapping[str, float]]
) -> Iterator[Running]:
    for one in sessions:
        request = Request(
            subject,
            one.server_name,
            one.profile,
            one.rates,
            one.profile_name,
            one.choices,
            one.unknown,
            needs=needs(one),
        )
        until = None if one.ended is None else datetime.fromtimestamp(one.ended, UTC)
        yield Running(request, datetime.fromtimestamp(one.started, UTC), until)


def server_of(spawner: HubSpawner) -> Server | None:
    """The server of a spawner, by names; None where its user's cannot be kept."""
    return named(spawner.user.name, spawner.name)


def named(username: str, server_name: str) -> Server | None:
    """A server by its names as they are kept; None where its user's cannot be."""
    if not can_be_kept(username):
        return None
    return username, printable(bounded_name(server_name), LONGEST_NAME)


def session_of(spawner: HubSpawner, server: Server, hub: str, at: float) -> Session:
    """A session that begins: with what its launch was decided on."""
    kept, created = kept_of(spawner), spawner.user.created
    username, server_name = server
    return Session(
        id=new_id(),
        hub=hub,
        username=username,
        server_name=server_name,
        started=at,
        seen=at,
        rates=dict(kept.rates) if kept else BY_RUNNING,
        unknown=kept.unknown if kept else frozenset(),
        profile=kept.profile if kept else "",
        profile_name=kept.profile_name if kept else "",
        choices=kept.choices if kept else (),
        user_created=created.replace(tzinfo=UTC).timestamp() if created else None,
    )
