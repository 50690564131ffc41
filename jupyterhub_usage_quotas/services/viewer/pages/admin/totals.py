"""The chosen users of the admin page all together, and each of them for a spreadsheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .....quotas.phrases import Phrase, mark
from .....quotas.serialize import iso
from .....quotas.usage import Fresh, Stale
from .....quotas.verdict import Verdict
from .....status.language import Language
from .....status.text import NOT_KNOWN, UNLIMITED, VerdictText
from .....status.users import UserStatus
from ....web.params import BadParameter
from ....web.spreadsheet import Cell, as_csv
from ...table import row_state

MOST_TOTALS = 100
"""As many quotas are added up, the ones of most users first."""
MOST_LINES = 100_000
COLUMNS = (
    "user",
    "groups",
    "state",
    "policy",
    "resource",
    "window",
    "servers",
    "used",
    "allowance",
    "remaining",
    "unit",
    "usage known until",
    "may start again",
)


@dataclass(frozen=True, slots=True)
class Total:
    """One quota of all chosen users: how many have it, of how many usage is known, and what those
    used and have left. Texts, but for the numbers of users.
    """

    title: str
    policy: str
    window: str
    users: int
    known: int
    used: str
    remaining: str


@dataclass(slots=True)
class _Sum:
    first: Verdict
    title: str
    users: int = 0
    used: list[float] = field(default_factory=list)
    remaining: list[float] = field(default_factory=list)


def totals(statuses: Sequence[UserStatus], language: Language) -> list[Total]:
    """The quotas of these users, each added up. What a group shares has no sum over its members."""
    sums: dict[tuple[str, str, str], _Sum] = {}
    for status in statuses:
        for verdict in _own(status):
            allotment = verdict.allotment
            key = (allotment.name, allotment.resource, str(allotment.window))
            if key not in sums:
                resource = status.inputs.policies.resources[allotment.resource]
                sums[key] = _Sum(verdict, language.gettext(resource.display_name))
            one = sums[key]
            one.users += 1
            if verdict.used is not None and verdict.remaining is not None:
                one.used.append(verdict.used)
                one.remaining.append(max(verdict.remaining, 0.0))
    found = sorted(sums.values(), key=lambda one: -one.users)[:MOST_TOTALS]
    return [_total(one, language) for one in found]


def _own(status: UserStatus) -> Iterator[Verdict]:
    verdicts = (outlook.verdict for outlook in status.outlooks)
    return (one for one in verdicts if one.allotment.pool is None)


def _total(one: _Sum, language: Language) -> Total:
    allotment = one.first.allotment
    unit = allotment.limit.unit

    def summed(amounts: Sequence[float]) -> str:
        if not amounts:
            return language.gettext(NOT_KNOWN)
        amount = math.fsum(amounts)
        return language.gettext(UNLIMITED) if math.isinf(amount) else language.amount(amount, unit)

    return Total(
        one.title,
        allotment.name,
        language.say(allotment.window.said),
        one.users,
        len(one.used),
        summed(one.used),
        summed(one.remaining),
    )


def users_as_csv(statuses: Sequence[UserStatus]) -> str:
    """A line for each quota of each of these users. Raises `BadParameter` for too many lines."""
    lines = sum(max(len(one.outlooks), 1) for one in statuses)
    if lines > MOST_LINES:
        text = mark("too many lines: got {got}; expected at most {most}: choose fewer users")
        problem = Phrase(text, values={"got": lines, "most": MOST_LINES})
        raise BadParameter("format", problem)
    return as_csv(COLUMNS, (line for one in statuses for line in _lines(one)))


def _lines(status: UserStatus) -> Iterator[Sequence[Cell]]:
    subject = status.subject
    who = (subject.name, ", ".join(sorted(subject.groups)), row_state(status))
    if not status.outlooks:
        yield (*who, *[""] * (len(COLUMNS) - len(who)))
    for outlook in status.outlooks:
        yield (*who, *_quota(outlook.verdict))


def _quota(verdict: Verdict) -> Sequence[Cell]:
    allotment = verdict.allotment
    unit = allotment.limit.unit

    def amount(base: float | None) -> Cell:
        if base is None or math.isnan(base):
            return None
        return "unlimited" if math.isinf(base) else max(base, 0.0) / unit.factor

    reading, again = verdict.reading, verdict.retry_time
    until = reading.usage.covered_until if isinstance(reading, Fresh | Stale) else None
    return (
        allotment.name,
        allotment.resource,
        str(allotment.window),
        VerdictText.of(verdict).servers,
        amount(verdict.used),
        amount(verdict.allowance),
        amount(verdict.remaining),
        unit.symbol,
        iso(until),
        iso(again),
    )
