"""What `simulate` prints for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from ..config.files.loading import printable
from ..quotas.serialize import iso
from ..quotas.simulation.report import (
    DistributionReport,
    GroupReport,
    PolicyReport,
    SharesReport,
    SimulationReport,
    UserReport,
)
from ..quotas.units import show_duration

USERS = 20
"""As many users are listed; JSON has all of them."""
HOUR = timedelta(hours=1)


def simulated_lines(found: SimulationReport) -> list[str]:
    """The lines about a simulation."""
    lines = [*_span(found), ""]
    lines += [*_table(_policies(found.policies)), ""]
    lines += _table(_usage(found))
    if found.not_simulated:
        names = ", ".join(map(printable, found.not_simulated))
        lines += ["", f"Not tried, since what was there before is not known: {names}."]
    lines += ["", *_table(_groups([found.everybody, *found.groups]))]
    if denied := [one for one in found.users if one.denied or one.stopped]:
        lines += ["", *_table(_users(denied[:USERS]))]
        if len(denied) > USERS:
            lines.append(f"... and {len(denied) - USERS} more; --json lists all of them.")
    if unknown := sum(1 for one in found.users if one.unknown):
        lines += ["", f"Of {unknown} users, what they used is not known."]
    return lines


def _span(found: SimulationReport) -> Iterator[str]:
    yield f"From {iso(found.start)} to {iso(found.end)}, {found.assumes}: what a denied launch"
    is_as_it_was = found.assumes == "usage as it was"
    yield f"used is {'not ' * is_as_it_was}taken away, and groups are those of today."
    if found.start > found.asked_from:
        yield f"Nothing is known before {iso(found.known_from)}: that is left out, and not zero."
    uncertain = sum(one.launches_uncertain for one in found.users)
    if found.missing_hours >= 1 / 60:
        missing = show_duration(found.missing_hours * HOUR)
        yield f"The usage source was not seen for {missing} of it: more may have been used."
    if uncertain:
        yield f"{uncertain} launches seem allowed, but not all that counted then is known."


def _policies(policies: Sequence[PolicyReport]) -> Iterator[tuple[str, ...]]:
    yield "POLICY", "WINDOW", "LIMIT", "USERS", "DENIED USERS", "LAUNCHES", "DENIED", "STOPPED"
    for one in policies:
        denied = f"{one.launches_warned} (warns)" if one.launches_warned else one.launches_denied
        yield (
            printable(one.policy),
            one.window,
            _amount(one.limit, one.unit),
            _number(one.users_active),
            _number(one.users_denied),
            _number(one.launches),
            str(denied),
            _number(one.servers_stopped),
        )


def _usage(found: SimulationReport) -> Iterator[tuple[str, ...]]:
    percent = f"{found.share * 100:g}%"
    yield "POLICY", "MEDIAN", "95%", "99%", "LARGEST", f"DENIES AT MOST {percent}", "(LAUNCHES)"
    for one in found.policies:
        yield (printable(one.policy), *_distribution(one.usage, one.unit), *_suggested(one))


def _distribution(usage: DistributionReport | None, unit: str) -> tuple[str, ...]:
    if usage is None:
        return ("-",) * 4
    return tuple(_amount(one, unit) for one in (usage.median, usage.p95, usage.p99, usage.largest))


def _suggested(policy: PolicyReport) -> tuple[str, str]:
    shares: SharesReport | None = policy.suggested
    if shares is None:
        return "-", ""
    return _amount(shares.limit, policy.unit), f"{shares.launches:.1%}"


def _groups(groups: Sequence[GroupReport]) -> Iterator[tuple[str, ...]]:
    yield "GROUP", "USERS", "ACTIVE", "DENIED USERS", "LAUNCHES", "DENIED", "STOPPED", "TIME DENIED"
    for one in groups:
        yield (
            "(all users)" if one.group is None else printable(one.group),
            _number(one.users),
            _number(one.users_active),
            _number(one.users_denied),
            _number(one.launches),
            _number(one.launches_denied),
            _number(one.servers_stopped),
            show_duration(one.hours_denied * HOUR),
        )


def _users(users: Sequence[UserReport]) -> Iterator[tuple[str, ...]]:
    yield "USER", "LAUNCHES", "DENIED", "STOPPED", "TIME DENIED", "FIRST DENIED", "UNTIL", "BY"
    for one in users:
        first = one.denied[0] if one.denied else None
        yield (
            printable(one.user),
            _number(one.launches),
            _number(len(one.denied)),
            _number(len(one.stopped)),
            show_duration(one.hours_denied * HOUR),
            _instant(first.at) if first else "",
            (_instant(first.retry_time) if first.retry_time else "never") if first else "",
            printable(first.policy if first else one.stopped[0].policy),
        )


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"


def _number(count: int) -> str:
    return f"{count:,}"


def _amount(amount: float, unit: str) -> str:
    return f"{amount:,.4g} {unit}" if amount < 1000 else f"{amount:,.0f} {unit}"  # noqa: PLR2004


def _table(rows: Iterator[tuple[str, ...]]) -> list[str]:
    every = list(rows)
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in every
    ]
