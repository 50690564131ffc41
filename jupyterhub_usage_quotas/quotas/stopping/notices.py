"""Notices: what users are told about their running servers, each once."""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

LONGEST_HUB: Final = 255
"""Characters of what tells Hubs apart that share a database."""


class NoticeKind(enum.StrEnum):
    """What a notice is about."""

    WARNING = "warning"
    """The server runs out."""
    GRACE = "grace"
    """Nothing remains: the server is going to be stopped."""
    STOPPED = "stopped"
    """The server was stopped."""
    CONTINUES = "continues"
    """The server is not going to be stopped: there is enough again."""
    SUMMARY = "summary"
    """Where the user, or a group, stands this week, or what a month cost: about no server, and
    shown on no page.
    """


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a user is told, once: about which of their servers, because of which policy.

    The `id` is the same wherever and however often it is told. `threshold` is how long before the
    end a warning is given, zero for other kinds; `until` is the instant that it names: when the
    server runs out, is stopped, or may be started again.
    """

    id: str
    user: str
    server: str
    policy: str
    kind: NoticeKind
    threshold: timedelta
    until: datetime | None
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class WatchedServer:
    """One running server and the policies that may stop it. A server that was started again is
    another; `hub` tells those of several Hubs apart.
    """

    hub: str
    user: str
    server: str
    policy: str
    started: datetime

    @property
    def id(self) -> str:
        """The same in every process."""
        return _hashed(self.hub, self.user, self.server, self.policy, self.started.isoformat())

    def notice_id(self, kind: NoticeKind, threshold: timedelta, episode: int) -> str:
        """The id of a notice about it: told again only in another episode."""
        return _hashed(self.id, kind.value, threshold.total_seconds(), episode)


def hub_key(namespace: str, base_url: str) -> str:
    """What a Hub is called in the database: the same in each of its processes."""
    return f"{namespace}{base_url}"[:LONGEST_HUB]


def summary_id(hub: str, user: str, due: datetime) -> str:
    """The id of a user's summary of a week."""
    return _hashed("summary", hub, user, due.timestamp())


def report_id(hub: str, user: str, month: str) -> str:
    """The id of the report of a month's costs that somebody gets."""
    return _hashed("costs", hub, user, month)


def _hashed(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
