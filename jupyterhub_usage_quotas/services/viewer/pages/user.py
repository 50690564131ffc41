"""The values of a user's page: whether servers may start, a card for each quota and gauge,
sessions; and a row in the table of all users.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ....quotas.adjustments import Adjustment, Grant, Override
from ....quotas.decide import Outcome
from ....quotas.forecast import Outlook
from ....quotas.policy.selector import ALL_SERVERS
from ....quotas.resources import Resource
from ....quotas.serialize import There, there_of
from ....quotas.units import Unit, show
from ....quotas.usage import Fresh, Stale
from ....quotas.verdict import Verdict
from ....status.text import (
    NOT_ENFORCED,
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
from .plots import DEFAULT_SERVER, Plot, plot

COMPLETE = 0.995
"""The share of a window from which on usage is known of all of it, as far as people care."""
SESSIONS_SHOWN = 50
"""How many sessions the page lists; the CSV has all."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Whether servers may start, in a sentence that goes on with the retry time if there is one."""

    severity: Severity
    text: str
    retry_time: datetime | None = None


def summary(status: UserStatus) -> Summary:
    """Whether a server that asks for nothing but to run may start now."""
    if status.enforced:
        return if_enforced(status)
    fits = [one.fits for one in status.decision.verdicts if one.allotment.denies]
    if False in fits:
        return Summary(Severity.LOW, f"A quota is used up. Servers may start. {NOT_ENFORCED}")
    if None in fits:
        return Summary(Severity.UNKNOWN, f"Usage is not known. Servers may start. {NOT_ENFORCED}")
    return Summary(Severity.OK, f"Servers may start. {NOT_ENFORCED}")


def if_enforced(status: UserStatus) -> Summary:
    """The summary as if quotas were enforced."""
    decision = status.decision
    match decision.outcome:
        case Outcome.FAILOVER_OPEN:
            return Summary(Severity.UNKNOWN, "Usage is not known at the moment. Servers may start.")
        case Outcome.FAILOVER_CLOSED:
            text = "Usage is not known at the moment. Until it is, no server is started."
            return Summary(Severity.UNKNOWN, text)
        case Outcome.ALLOWED:
            others = [one for one in decision.verdicts if one.fits is False]
            denying = any(one.allotment.denies for one in others)
            text = "Servers may start, but not all of them: see below." if denying else ""
            return Summary(Severity.LOW if denying else Severity.OK, text or "Servers may start.")
    some = any(one.allotment.servers != ALL_SERVERS for one in decision.denying)
    who = "Some servers may not start" if some else "No server may start"
    if decision.retry_time is None:
        helps = any(one.to_free is not None for one in decision.denying)
        until = " until something is deleted" if helps else ", and waiting does not help"
        return Summary(Severity.EXHAUSTED, f"{who}{until}.")
    return Summary(Severity.EXHAUSTED, f"{who} before", decision.retry_time)


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
    used: str
    allowance: str
    remaining: str
    share: float | None
    shared: bool
    only_warns: bool
    never: bool
    to_free: str
    retry_time: datetime | None
    lasts_until: datetime | None
    gets_back: str
    gets_back_at: datetime | None
    grants: tuple[tuple[str, datetime], ...]
    notice: str
    covered_until: datetime | None
    incomplete: str
    plot: Plot | None = None


def cards(status: UserStatus, zone: ZoneInfo | None = None) -> tuple[Card, ...]:
    """The cards of a user's page, in the order in which the policies are written; with plots if a
    time zone for their days is given.
    """
    return tuple(_card(status, outlook, zone) for outlook in status.outlooks)


def _card(status: UserStatus, outlook: Outlook, zone: ZoneInfo | None) -> Card:
    verdict = outlook.verdict
    allotment, unit = verdict.allotment, verdict.allotment.limit.unit
    share = used_share(verdict)
    back = status.gets_back(verdict)
    reading = verdict.reading
    known = reading.usage if isinstance(reading, Fresh | Stale) else None
    how = severity(verdict, outlook.exhausted_at, status.inputs.now)
    text = VerdictText.of(verdict)
    return Card(
        title=status.inputs.policies.resources[allotment.resource].display_name,
        policy=allotment.name,
        window=allotment.window.phrase,
        servers=text.servers,
        severity=how,
        used=text.used,
        allowance=text.allowance,
        remaining=text.remaining,
        share=None if share is None else min(max(share, 0.0), 1.0),
        shared=allotment.pool is not None,
        only_warns=not (allotment.denies and status.enforced),
        never=verdict.never,
        to_free="" if verdict.to_free is None else show(verdict.to_free, unit),
        retry_time=verdict.retry_time,
        lasts_until=None if how is Severity.EXHAUSTED else outlook.exhausted_at,
        gets_back="" if back is None else show(back.amount, unit),
        gets_back_at=back.at if back else None,
        grants=tuple((_grant(one, unit), one.until) for one in status.active(verdict)),
        notice=notice(reading, may_start=status.may_start),
        covered_until=known.covered_until if known else None,
        incomplete=_incomplete(status, verdict),
        plot=plot(status, verdict, zone) if zone else None,
    )


def _incomplete(status: UserStatus, verdict: Verdict) -> str:
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
    share = f"{coverage:.0%}" if coverage >= 0.01 else "less than 1%"  # noqa: PLR2004
    return (
        f"Usage was recorded for {share} of this time only; what was not recorded does not count."
    )


def _grant(adjustment: Adjustment, unit: Unit) -> str:
    if isinstance(adjustment, Grant):
        return f"{show(adjustment.amount, unit)} more"
    if isinstance(adjustment, Override):
        return f"{show(adjustment.limit, unit)} instead"
    return "no limit"


@dataclass(frozen=True, slots=True)
class GaugeCard:
    """What a page says about what is there, for example in a home directory. `allowance` is empty
    where there is no limit; `share` is as in a `Card`.
    """

    resource: str
    title: str
    severity: Severity
    used: str
    allowance: str
    remaining: str
    share: float | None
    measured: datetime
    notice: str


def gauge_cards(status: UserStatus) -> tuple[GaugeCard, ...]:
    """The cards: none where nothing is there, or where a quota has a card that says it."""
    limited = {one.allotment.resource for one in status.decision.verdicts}
    resources = status.inputs.policies.resources
    return tuple(
        _gauge_card(resources[name], there, fresh=isinstance(reading, Fresh))
        for name, reading in sorted(status.inputs.gauges.items())
        if name not in limited and (there := there_of(reading))
    )


def _gauge_card(resource: Resource, there: There, *, fresh: bool) -> GaugeCard:
    share = min(there.amount / there.limit, 1.0) if there.limit else None
    return GaugeCard(
        resource.name,
        resource.display_name,
        severity_of_share(share) if fresh else Severity.UNKNOWN,
        resource.show(there.amount),
        resource.show(there.limit) if there.limit else "",
        resource.show(max(there.limit - there.amount, 0.0)) if there.limit else "",
        share,
        there.covered_until,
        "" if fresh else "This is out of date.",
    )


@dataclass(frozen=True, slots=True)
class Row:
    """What the table of all users says about one of them."""

    name: str
    groups: tuple[str, ...]
    severity: Severity | None
    ends_at: datetime | None
    """When the first of the quotas is used up, if that is soon and nothing is worse."""
    cards: tuple[Card, ...]


def row(status: UserStatus) -> Row:
    """A user's row."""
    subject, last = status.subject, status.inputs.now + SOON
    ends = (one.exhausted_at for one in status.outlooks if one.exhausted_at)
    first = min((end for end in ends if end <= last), default=None)
    return Row(
        subject.name,
        tuple(sorted(subject.groups)),
        status.severity,
        first if status.severity is Severity.LOW else None,
        cards(status),
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


def session_table(status: UserStatus) -> SessionTable:
    """The latest sessions behind a user's usage."""
    policies = status.inputs.policies
    readings = of_servers(status.inputs.usage, policies)
    known, names = known_usage(readings), sorted(readings)
    if readings and not known:
        return SessionTable((), (), None)
    found = sessions(readings, status.inputs.now)

    def used(session: Session, resource: str) -> str:
        if resource not in known:
            return NOT_KNOWN
        return show(session.used.get(resource, 0.0), unit_of(policies, resource))

    rows = [
        _session_row(one, [used(one, name) for name in names]) for one in found[:SESSIONS_SHOWN]
    ]
    titles = tuple(policies.resources[name].display_name for name in names)
    return SessionTable(titles, tuple(rows), len(found))


def _session_row(session: Session, used: Sequence[str]) -> SessionRow:
    server = session.server
    return SessionRow(
        server=server.name or DEFAULT_SERVER,
        profile=server.profile_name or server.profile,
        start=session.start,
        end=session.end,
        ongoing=session.ongoing,
        used=tuple(used),
    )
