"""The values of a user's page: whether servers may start, a card for each quota and gauge,
sessions; and a row in the table of all users.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ....quotas.forecast import Outlook
from ....quotas.resource import Resource
from ....quotas.serialize import There, there_of
from ....quotas.usage import Fresh, Stale
from ....quotas.verdict import Verdict
from ....status.language import ENGLISH, Language
from ....status.text import (
    NOT_KNOWN,
    SOON,
    Severity,
    VerdictText,
    notice,
    severity,
    severity_of_share,
    used_share,
)
from ....status.users import UserStatus
from ..sessions import Session, known_usage, of_servers, sessions, unit_of
from .admin.decided import Entry, entries
from .plots import DEFAULT_SERVER, Plot, plot

COMPLETE = 0.995
"""The share of a window from which on usage is known of all of it, as far as people care."""
SESSIONS_SHOWN = 50
"""How many sessions the page lists; the CSV has all."""


OLD = timedelta(minutes=3)
"""How long ago usage may be known without saying so: it is scraped, and read, once a minute."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a page says about one verdict. Texts; empty where there is nothing to say.

    `share` is how full the bar is, 0 to 1, None where that is not known.
    """

    title: str
    policy: str
    window: str
    servers: str
    severity: Severity
    label: str
    used: str
    allowance: str
    limited: bool
    remaining: str
    share: float | None
    shared: bool
    only_warns: bool
    never: bool
    to_free: str
    retry_time: datetime | None
    lasts_until: datetime | None
    gets_back: str
    gets_back_count: int
    gets_back_at: datetime | None
    grants: tuple[Entry, ...]
    notice: str
    covered_until: datetime | None
    incomplete: str
    plot: Plot | None = None
    over: str = ""
    """How much more than the allowance was used."""
    old: bool = False
    """Whether there is more to say of when it was than that it is now."""


def cards(
    status: UserStatus, zone: ZoneInfo | None = None, language: Language = ENGLISH
) -> tuple[Card, ...]:
    """The cards of a user's page, in the order in which the policies are written; with plots if a
    time zone for their days is given.
    """
    return tuple(_card(status, outlook, zone, language) for outlook in status.outlooks)


def _card(status: UserStatus, outlook: Outlook, zone: ZoneInfo | None, language: Language) -> Card:
    verdict = outlook.verdict
    allotment, unit = verdict.allotment, verdict.allotment.limit.unit
    share = used_share(verdict)
    back = status.gets_back(verdict)
    reading = verdict.reading
    known = reading.usage if isinstance(reading, Fresh | Stale) else None
    how = severity(verdict, outlook.exhausted_at, status.inputs.now)
    text = VerdictText.of(verdict, language)
    resource = status.inputs.policies.resources[allotment.resource]
    return Card(
        title=language.gettext(resource.display_name),
        policy=allotment.name,
        window=language.say(allotment.window.said),
        servers=text.servers,
        severity=how,
        label=language.gettext(how.label),
        used=text.used,
        allowance=text.allowance,
        limited=not math.isinf(verdict.allowance),
        remaining=text.remaining,
        share=None if share is None else min(max(share, 0.0), 1.0),
        shared=allotment.pool is not None,
        only_warns=not (allotment.denies and status.enforced),
        never=verdict.never,
        to_free="" if verdict.to_free is None else language.amount(verdict.to_free, unit),
        retry_time=verdict.retry_time,
        lasts_until=None if how is Severity.EXHAUSTED else outlook.exhausted_at,
        gets_back="" if back is None else language.amount(back.amount, unit),
        gets_back_count=language.count(back.amount, unit) if back else 0,
        gets_back_at=back.at if back else None,
        grants=entries(status.active(verdict), status.inputs.policies, status.inputs.now, language),
        notice=notice(reading, language, may_start=status.may_start),
        covered_until=known.covered_until if known else None,
        incomplete=_incomplete(status, verdict, language),
        plot=plot(status, verdict, zone, language) if zone else None,
        over=_over(verdict, language),
        old=known is not None and status.inputs.now - known.covered_until > OLD,
    )


def _over(verdict: Verdict, language: Language) -> str:
    unit = verdict.allotment.limit.unit
    more = language.amount(max((verdict.used or 0.0) - verdict.allowance, 0.0), unit)
    return "" if more == language.amount(0.0, unit) else more


def _incomplete(status: UserStatus, verdict: Verdict, language: Language) -> str:
    """What to say where usage was not recorded all the time.

    How completely is known for the longest window of all, so it is said of that alone.
    """
    window, reading = verdict.allotment.window, verdict.reading
    longest = max(one.verdict.allotment.window.reach for one in status.outlooks)
    coverage = reading.usage.coverage if isinstance(reading, Fresh) else None
    pooled = any(policy.pooled for policy in status.inputs.policies)
    if pooled:
        longest = status.inputs.policies.reach
    if coverage is None or coverage >= COMPLETE or window.length != longest:
        return ""
    if coverage < 0.01:  # noqa: PLR2004
        return language.gettext(
            "Usage was recorded for less than 1% of this time only; what was not recorded does not"
            " count."
        )
    return language.gettext(
        "Usage was recorded for {share}% of this time only; what was not recorded does not count.",
        share=f"{100 * coverage:.0f}",
    )


@dataclass(frozen=True, slots=True)
class GaugeCard:
    """What a page says about what is there, for example in a home directory. `allowance` is empty
    where there is no limit; `share` is as in a `Card`.
    """

    resource: str
    title: str
    severity: Severity
    label: str
    used: str
    allowance: str
    remaining: str
    share: float | None
    measured: datetime
    notice: str


def gauge_cards(status: UserStatus, language: Language = ENGLISH) -> tuple[GaugeCard, ...]:
    """The cards: none where nothing is there, or where a quota has a card that says it."""
    limited = {one.allotment.resource for one in status.decision.verdicts}
    resources = status.inputs.policies.resources
    return tuple(
        _gauge_card(resources[name], there, language, fresh=isinstance(reading, Fresh))
        for name, reading in sorted(status.inputs.gauges.items())
        if name not in limited and (there := there_of(reading))
    )


def _gauge_card(resource: Resource, there: There, language: Language, *, fresh: bool) -> GaugeCard:
    share = min(there.amount / there.limit, 1.0) if there.limit else None
    how = severity_of_share(share) if fresh else Severity.UNKNOWN

    def shown(amount: float) -> str:
        return language.amount(amount, resource.fitting_unit(amount))

    return GaugeCard(
        resource.name,
        language.gettext(resource.display_name),
        how,
        language.gettext(how.label),
        shown(there.amount),
        shown(there.limit) if there.limit else "",
        shown(max(there.limit - there.amount, 0.0)) if there.limit else "",
        share,
        there.covered_until,
        "" if fresh else language.gettext("This is out of date."),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """What the table of all users says about one of them."""

    name: str
    groups: tuple[str, ...]
    severity: Severity | None
    label: str
    ends_at: datetime | None
    """When the first of the quotas is used up, if that is soon and nothing is worse."""
    cards: tuple[Card, ...]


def row(status: UserStatus, language: Language = ENGLISH) -> Row:
    """A user's row."""
    subject, last = status.subject, status.inputs.now + SOON
    ends = (one.exhausted_at for one in status.outlooks if one.exhausted_at)
    first = min((end for end in ends if end <= last), default=None)
    return Row(
        subject.name,
        tuple(sorted(subject.groups)),
        status.severity,
        language.gettext(status.severity.label) if status.severity else "",
        first if status.severity is Severity.LOW else None,
        cards(status, None, language),
    )


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One session; `used` are texts in the order of the table's resources."""

    server: str
    profile: str
    start: datetime
    end: datetime
    ongoing: bool
    used: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionTable:
    """The latest sessions. `total` counts all of them; None where nothing is known of any."""

    resources: tuple[str, ...]
    rows: tuple[SessionRow, ...]
    total: int | None

    @property
    def profiles(self) -> bool:
        """Whether any of them was started by a profile."""
        return any(row.profile for row in self.rows)


def session_table(status: UserStatus, language: Language = ENGLISH) -> SessionTable:
    """The latest sessions behind a user's usage."""
    policies = status.inputs.policies
    readings = of_servers(status.inputs.usage, policies)
    known, names = known_usage(readings), sorted(readings)
    if readings and not known:
        return SessionTable((), (), None)
    found = sessions(readings, status.inputs.now)

    def used(session: Session, resource: str) -> str:
        if resource not in known:
            return language.gettext(NOT_KNOWN)
        return language.amount(session.used.get(resource, 0.0), unit_of(policies, resource))

    rows = [
        _session_row(one, [used(one, name) for name in names], language)
        for one in found[:SESSIONS_SHOWN]
    ]
    titles = tuple(language.gettext(policies.resources[name].display_name) for name in names)
    return SessionTable(titles, tuple(rows), len(found))


def _session_row(session: Session, used: Sequence[str], language: Language) -> SessionRow:
    server = session.server
    return SessionRow(
        server=server.name or language.gettext(DEFAULT_SERVER),
        profile=server.profile_name or server.profile,
        start=session.start,
        end=session.end,
        ongoing=session.ongoing,
        used=tuple(used),
    )
