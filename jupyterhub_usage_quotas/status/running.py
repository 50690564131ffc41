"""Running servers as users and pages see them: where each stands with the policies that may stop
it, and what was said about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from ..quotas.phrases import mark
from ..quotas.stopping.notices import Notice, NoticeKind
from ..quotas.stopping.states import State
from .language import ENGLISH, SOON, Language


@dataclass(frozen=True, slots=True)
class RunningServer:
    """One running server, and where it stands with the policies that may stop it.

    `exhausted_at` is when nothing remains if what runs goes on, `stops_at` when it is stopped
    unless somebody gives more: each None where that is not known, or not within sight. `policies`
    are those that its state comes from. It is `certain` where all of that was known when it was
    checked last. Instants have a time zone.
    """

    name: str
    started: datetime
    state: State = State.OK
    over_since: datetime | None = None
    exhausted_at: datetime | None = None
    stops_at: datetime | None = None
    policies: tuple[str, ...] = ()
    certain: bool = True


class GuardView(Protocol):
    """What the guard knows, at hand: no query, and nothing to wait for."""

    @property
    def enforced(self) -> bool:
        """Whether servers are stopped: else states say what would happen."""
        ...

    def servers_of(self, user: str) -> Sequence[RunningServer]:
        """The running servers of a user, in the order of their names."""
        ...

    def notices_of(self, user: str) -> Sequence[Notice]:
        """What the user was told of late, the newest first; all of servers that run, and of those
        that were stopped within a day.
        """
        ...


class NoGuard:
    """The view where running servers are not watched."""

    enforced = False

    def servers_of(self, user: str) -> Sequence[RunningServer]:  # noqa: ARG002 the view's
        """See `GuardView`."""
        return ()

    def notices_of(self, user: str) -> Sequence[Notice]:  # noqa: ARG002 the view's
        """See `GuardView`."""
        return ()


NO_GUARD: GuardView = NoGuard()

_TEXTS: Mapping[NoticeKind, tuple[str, str]] = {
    NoticeKind.WARNING: (
        mark(
            "{server} can run until {time}. Then the quota “{policy}” is used up, and it is stopped"
            " soon after. Save your work."
        ),
        mark("{server} is stopped soon: the quota “{policy}” is nearly used up. Save your work."),
    ),
    NoticeKind.GRACE: (
        mark("{server} is stopped at {time}: the quota “{policy}” is used up. Save your work now."),
        mark("{server} is stopped soon: the quota “{policy}” is used up. Save your work now."),
    ),
    NoticeKind.STOPPED: (
        mark(
            "{server} was stopped: the quota “{policy}” is used up. It can start again at {time}."
        ),
        mark("{server} was stopped: the quota “{policy}” is used up."),
    ),
    NoticeKind.CONTINUES: (
        mark("{server} is not stopped: it can run on until {time}."),
        mark("{server} is not stopped: there is enough left of the quota “{policy}” again."),
    ),
}
"""By kind: with an instant, and without one."""


def notice_form(kind: NoticeKind, *, timed: bool) -> str:
    """The text of a notice, to be translated, with placeholders for `server`, `policy` and, where
    it is `timed`, `time`.
    """
    return _TEXTS[kind][0 if timed else 1]


def named_server(server: str, language: Language = ENGLISH) -> str:
    """A user's server, as notices begin."""
    if server:
        return language.gettext("Your server {name}", name=server)
    return language.gettext("Your server")


def notice_text(
    kind: NoticeKind,
    server: str,
    policy: str,
    until: datetime | None,
    language: Language = ENGLISH,
) -> str:
    """What a notice says, as plain text; the instant is in UTC."""
    form, named = notice_form(kind, timed=until is not None), named_server(server, language)
    if until is None:
        return language.gettext(form, server=named, policy=policy)
    when = language.instant(until.astimezone(UTC), SOON)
    return language.gettext(form, server=named, policy=policy, time=when)
