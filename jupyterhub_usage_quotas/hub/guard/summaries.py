"""Weekly summaries: to users who want one, what is left of their quotas; to those who may give
more, where the members of their groups stand. Sent like notices, and shown on no page.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from ...config.quotas import QuotaOptions
from ...errors import LedgerUnavailable
from ...quotas.in_flight import InFlight
from ...quotas.messages import printable
from ...quotas.stopping.notices import Notice, NoticeKind, summary_id
from ...quotas.subject import Subject
from ...status.hub_database import subjects_by_slices
from ...status.language import Language
from ...status.pace import Pace
from ...status.text import Severity
from ...status.users import UserStatus, UserStatuses
from ..launch.logged_once import LoggedOnce
from ..pages.text import filled_in
from ..types import HubApp

EVERY: Final = 60.0
"""Seconds between two looks at whether it is time: the clock may be set."""
TOO_LATE: Final = timedelta(days=1)
"""A Hub that was away for longer sends none of that week."""
NAMED: Final = 20
"""Users that are named for each state."""
NOBODY: Final = InFlight({})

Send = Callable[[Sequence[Notice]], Awaitable[None]]


@dataclass(slots=True)
class Class:
    """Where the members of a group stand."""

    members: int = 0
    active: int = 0
    of_state: defaultdict[Severity, list[str]] = field(default_factory=lambda: defaultdict(list))


class Summaries:
    """Makes and sends the summaries of a week once, whenever its time has come."""

    def __init__(
        self,
        app: HubApp,
        options: QuotaOptions,
        statuses: UserStatuses,
        hub: str,
        send: Send,
        is_known: Callable[[datetime], bool],
    ) -> None:
        """`is_known` is whether usage is known well enough to say anything."""
        self._app = app
        self._log: logging.Logger = app.log
        self._options = options
        self._language: Language = options.texts
        self._statuses = statuses
        self._hub = hub
        self._send = send
        self._is_known = is_known
        self._moment = options.summary_moment
        self._sent: datetime | None = None
        self._once = LoggedOnce()

    async def run(self) -> None:
        """Send them when it is time, until cancelled."""
        while True:
            try:
                await self.look(datetime.now(UTC))
            except LedgerUnavailable:
                # Its own log and metrics have why; the next look may succeed.
                pass
            except Exception:
                self._once.exception(
                    self._log, "Making weekly summaries failed; it is tried again; report it"
                )
            await asyncio.sleep(EVERY)

    async def look(self, now: datetime) -> None:
        """Send those of this week, unless they were sent, or it is not known what to say."""
        due = self._moment.last(now)
        if self._sent == due or now - due > TOO_LATE or not self._is_known(now):
            return
        notices = await self._made(now, due)
        # Those that are there already, for example from before a restart, are not sent again.
        await self._send(notices)
        self._sent = due
        self._log.info("Weekly summaries: %d are to be sent", len(notices))

    async def _made(self, now: datetime, due: datetime) -> list[Notice]:
        pace, classes = Pace(), defaultdict[str, Class](Class)
        owners: dict[str, set[str]] = {}
        texts: dict[str, list[str]] = defaultdict(list)
        granters = self._options.granters if self._options.weekly_summary_to_owners else {}
        taught: set[str] = set()
        for subject in subjects_by_slices(self._app.db):
            wants = self._options.wants_summary(subject.groups)
            for group in subject.groups & granters.keys():
                owners.setdefault(subject.name, set()).add(group)
            of = [one for one in subject.groups if any(g.has(one) for g in granters.values())]
            taught.update(of)
            status = await self._status(subject, now) if wants or of else None
            if status is not None:
                if wants and (own := self._own(status)):
                    texts[subject.name].append(own)
                for group in of:
                    _count(classes[group], status)
            await pace.keep()
        for name, of_groups in owners.items():
            theirs = (g for g in sorted(taught) if any(granters[one].has(g) for one in of_groups))
            texts[name] += [self._of_group(group, classes[group]) for group in theirs]
        return [self._notice(name, lines, now, due) for name, lines in texts.items() if lines]

    async def _status(self, subject: Subject, now: datetime) -> UserStatus | None:
        try:
            return await self._statuses.cached(subject, now, NOBODY)
        except LedgerUnavailable:
            raise
        except Exception:
            # A failure of one user's must not reach another's.
            self._once.exception(
                self._log, f"The weekly summary of {subject.name!r} could not be made; report it"
            )
            return None

    def _notice(self, user: str, lines: Sequence[str], now: datetime, due: datetime) -> Notice:
        return Notice(
            id=summary_id(self._hub, user, due),
            user=user,
            server="",
            policy="",
            kind=NoticeKind.SUMMARY,
            threshold=timedelta(0),
            until=None,
            text="\n".join(lines),
            at=now,
        )

    def _own(self, status: UserStatus) -> str:
        """What is left of a user's quotas; empty for somebody who used nothing."""
        shown = filled_in(status, (), (), self._language)
        if shown is None or not _used(status):
            return ""
        gettext = self._language.gettext
        lines = [
            gettext(
                "{resource} ({window}): {remaining} left of {total}. {state}.",
                resource=one.resource,
                window=one.window,
                remaining=one.remaining,
                total=one.total,
                state=one.label,
            )
            for one in shown.policies
        ]
        return "\n".join([gettext("Your usage quotas this week:"), *lines])

    def _of_group(self, group: str, found: Class) -> str:
        gettext = self._language.gettext
        first = gettext(
            "Group {group}: {active} of {members} members used servers.",
            group=printable(group),
            active=str(found.active),
            members=str(found.members),
        )
        return " ".join([first, *self._states(found)])

    def _states(self, found: Class) -> Iterator[str]:
        gettext = self._language.gettext
        for state in (Severity.EXHAUSTED, Severity.LOW):
            names = sorted(found.of_state[state])
            if names:
                said = ", ".join(map(printable, names[:NAMED]))
                if len(names) > NAMED:
                    said = gettext("{names} and {more} more", names=said, more=len(names) - NAMED)
                yield gettext("{state}: {names}.", state=gettext(state.label), names=said)


def _used(status: UserStatus) -> bool:
    return any(one.used for one in status.decision.verdicts)


def _count(found: Class, status: UserStatus) -> None:
    found.members += 1
    found.active += _used(status)
    if status.severity is not None:
        found.of_state[status.severity].append(status.subject.name)
