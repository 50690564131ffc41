"""What a user's page says beside its cards: whether servers may start, and which sessions ran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ....quotas.decide import Outcome
from ....quotas.policy.selector import ALL_SERVERS
from ....quotas.units import show
from ....status.text import NOT_ENFORCED
from ....status.users import UserStatus
from .plots import DEFAULT_SERVER
from .sessions import Session, known_usage, of_servers, sessions, unit_of

SESSIONS_SHOWN = 50
"""How many sessions the page lists; the CSV has all."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Whether servers may start, in a sentence that goes on with the retry time if there is one."""

    level: str
    text: str
    retry_time: datetime | None = None


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


def summary(status: UserStatus) -> Summary:
    """Whether a server that asks for nothing but to run may start now."""
    if status.enforced:
        return if_enforced(status)
    fits = [one.fits for one in status.decision.verdicts if one.allotment.denies]
    if False in fits:
        return Summary("short", f"A quota is used up. Servers may start. {NOT_ENFORCED}")
    if None in fits:
        return Summary("unknown", f"Usage is not known. Servers may start. {NOT_ENFORCED}")
    return Summary("within", f"Servers may start. {NOT_ENFORCED}")


def if_enforced(status: UserStatus) -> Summary:
    """The same as if quotas were enforced, be they or not: what a decision says."""
    decision = status.decision
    match decision.outcome:
        case Outcome.FAILOVER_OPEN:
            return Summary("unknown", "Usage is not known at the moment. Servers may start.")
        case Outcome.FAILOVER_CLOSED:
            text = "Usage is not known at the moment. Until it is, no server is started."
            return Summary("unknown", text)
        case Outcome.ALLOWED:
            others = [one for one in decision.verdicts if one.fits is False]
            denying = any(one.allotment.denies for one in others)
            text = "Servers may start, but not all of them: see below." if denying else ""
            return Summary("short" if denying else "within", text or "Servers may start.")
    some = any(one.allotment.servers != ALL_SERVERS for one in decision.denying)
    who = "Some servers may not start" if some else "No server may start"
    if decision.retry_time is None:
        helps = any(one.to_free is not None for one in decision.denying)
        until = " until something is deleted" if helps else ", and waiting does not help"
        return Summary("over", f"{who}{until}.")
    return Summary("over", f"{who} before", decision.retry_time)


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
            return "not known"
        return show(session.used.get(resource, 0.0), unit_of(policies, resource))

    rows = [_row(one, [used(one, name) for name in names]) for one in found[:SESSIONS_SHOWN]]
    titles = tuple(policies.resources[name].display_name for name in names)
    return SessionTable(titles, tuple(rows), len(found))


def _row(session: Session, used: Sequence[str]) -> SessionRow:
    server = session.server
    return SessionRow(
        server=server.name or DEFAULT_SERVER,
        profile=server.profile_name or server.profile,
        start=session.start,
        end=session.end,
        ongoing=session.ongoing,
        used=tuple(used),
    )
