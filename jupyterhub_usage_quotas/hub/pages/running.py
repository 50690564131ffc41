"""What the Hub's pages say of running servers, and of those that were stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ...quotas.stopping.notices import NoticeKind
from ...quotas.stopping.states import State
from ...status.chip import Instant, instant
from ...status.language import Language
from ...status.running import GuardView, RunningServer, named_server, notice_form
from ..types import HubUser


@dataclass(frozen=True, slots=True)
class ServerNotice:
    """A sentence about one server, which templates fill in: with `server`, `policy` and, if there
    is one, the time `until`. It is `urgent` where something is lost if nobody does anything.
    """

    kind: str
    form: str
    name: str
    server: str
    policy: str
    until: Instant | None
    urgent: bool


def server_notices(
    view: GuardView, user: HubUser, now: datetime, language: Language
) -> Iterator[ServerNotice]:
    """What a user is to know of their servers: those that run out, and those that were stopped."""
    if not view.enforced:
        return
    for server in view.servers_of(user.name):
        kind, until = _about(server)
        if kind:
            policy = " + ".join(server.policies)
            yield _notice(kind, server.name, policy, until, now, language)
    told = set()
    for notice in view.notices_of(user.name):
        spawner = user.spawners.get(notice.server)
        runs = spawner is not None and spawner.active
        if notice.kind is NoticeKind.STOPPED and not runs and notice.server not in told:
            told.add(notice.server)
            until = notice.until if notice.until and notice.until > now else None
            yield _notice(notice.kind, notice.server, notice.policy, until, now, language)


def _about(server: RunningServer) -> tuple[NoticeKind | None, datetime | None]:
    match server.state:
        case State.WARNED:
            return NoticeKind.WARNING, server.exhausted_at
        case State.GRACE | State.STOPPING:
            return NoticeKind.GRACE, server.stops_at
        case _:
            return None, None


def _notice(
    kind: NoticeKind,
    server: str,
    policy: str,
    until: datetime | None,
    now: datetime,
    language: Language,
) -> ServerNotice:
    return ServerNotice(
        kind.value,
        notice_form(kind, timed=until is not None),
        server,
        named_server(server, language),
        policy,
        instant(until, now, language) if until else None,
        kind is not NoticeKind.STOPPED,
    )
