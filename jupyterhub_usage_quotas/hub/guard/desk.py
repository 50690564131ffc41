"""The desk at which notices are made: each once, shown to its user, and handed on to be sent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from ...quotas.stopping.notices import Notice, NoticeKind, WatchedServer
from ...status.language import Language
from ...status.running import notice_text
from ..launch.kept import server_for_log
from ..metrics import guard as metrics
from .memory import SHOWN, Memory

MOST = 50
"""Notices of a user that are shown; a server whose quota comes back bit by bit can have many."""


class NoticeDesk:
    """Makes notices in a language. Where nothing is `enforced`, they are logged, and nobody is
    told.
    """

    def __init__(
        self, memory: Memory, language: Language, log: logging.Logger, *, enforced: bool
    ) -> None:
        self._memory = memory
        self._language = language
        self._log = log
        self._enforced = enforced
        self._recent: dict[str, list[Notice]] = {}
        self._ids: set[str] = set()

    def restore(self, notices: Sequence[Notice]) -> None:
        """Show what was told before this Hub started, the oldest first."""
        for one in notices:
            self._show(one)

    def tell(
        self,
        about: WatchedServer,
        kind: NoticeKind,
        now: datetime,
        *,
        until: datetime | None = None,
        threshold: timedelta = timedelta(0),
        episode: int = 0,
    ) -> None:
        """Tell the user of a server something, unless that was told."""
        number = about.notice_id(kind, threshold, episode)
        if number in self._ids:
            return
        text = notice_text(kind, about.server, about.policy, until, self._language)
        notice = Notice(
            number, about.user, about.server, about.policy, kind, threshold, until, text, now
        )
        self._log.info(
            "%s: %s",
            server_for_log(about.user, about.server).capitalize(),
            " ".join((kind.value, f"until {until:%Y-%m-%d %H:%M} UTC" if until else "")).strip()
            + ("" if self._enforced else "; it would be told, and is not: guard is shadow"),
        )
        metrics.notices.labels(kind=kind).inc()
        self._ids.add(number)
        if self._enforced:
            self._show(notice)
            self._memory.tell(notice)

    def notices_of(self, user: str) -> Sequence[Notice]:
        """What a user was told, the newest first."""
        return tuple(reversed(self._recent.get(user, ())))

    def started(self, user: str, server: str, at: datetime) -> None:
        """Show no more what was told before a server started: that was about another."""
        told = self._recent.get(user)
        if told and any(one.server == server and one.at < at for one in told):
            self._recent[user] = [one for one in told if one.server != server or one.at >= at]

    def forget(self, now: datetime) -> None:
        """Show no more what was told long ago."""
        for user, notices in list(self._recent.items()):
            kept = [one for one in notices if one.at > now - SHOWN][-MOST:]
            self._ids.difference_update(one.id for one in notices if one not in kept)
            if kept:
                self._recent[user] = kept
            else:
                del self._recent[user]

    def _show(self, notice: Notice) -> None:
        self._ids.add(notice.id)
        self._recent.setdefault(notice.user, []).append(notice)
