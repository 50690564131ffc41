"""Choosing and ordering the rows of the table of all users."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from ....status.text import SOON, used_share
from ....status.users import UserStatus
from ...web.params import Query

ROWS_AT_MOST = 200
OFFSET_AT_MOST = 10_000_000
STATES = ("over", "soon", "unknown", "within")
SORTS = ("name", "-name", "used", "-used", "state", "-state")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows, in which order; an empty text does not choose.

    `search` is a part of the name, in upper or lower case; with a `policy`, the rows are of those
    who have a verdict by it, and `used` orders by its share alone.
    """

    search: str = ""
    group: str = ""
    policy: str = ""
    state: str = ""
    sort: str = "name"


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of the chosen rows is wanted, and how to ask for another part."""

    filter: Filter
    offset: int
    limit: int

    @classmethod
    def of(cls, query: Query) -> Page:
        """What a request asks for; raises `BadParameter`."""
        wanted = Filter(
            search=query.text("search"),
            group=query.text("group"),
            policy=query.text("policy"),
            state=query.choice("state", ("", *STATES), ""),
            sort=query.choice("sort", SORTS, "name"),
        )
        limit = query.number("limit", 50, 1, ROWS_AT_MOST)
        return cls(wanted, query.number("offset", 0, 0, OFFSET_AT_MOST), limit)

    def rows(self, chosen: Sequence[UserStatus]) -> Sequence[UserStatus]:
        """This part of the chosen rows."""
        return chosen[self.offset : self.offset + self.limit]

    def address(self, path: str, offset: int) -> str:
        """The address of the part that begins elsewhere."""
        given = {name: value for name, value in asdict(self.filter).items() if value}
        return f"{path}?{urlencode(given | {'offset': offset, 'limit': self.limit})}"

    def following(self, path: str, total: int) -> str | None:
        """The address of the next part; None after the last one."""
        after = self.offset + self.limit
        return self.address(path, after) if after < total else None

    def previous(self, path: str) -> str | None:
        """The address of the part before; None before the first one."""
        return self.address(path, max(self.offset - self.limit, 0)) if self.offset else None


def row_state(status: UserStatus) -> str:
    """ "over", "soon" (will be within a day, at the present servers), "unknown" or "within"."""
    fits = [one.fits for one in status.decision.verdicts]
    if False in fits:
        return "over"
    if None in fits:
        return "unknown"
    last = status.inputs.now + SOON
    ends = [one.exhausted_at for one in status.outlooks if one.exhausted_at]
    return "soon" if any(end <= last for end in ends) else "within"


def selected(statuses: Sequence[UserStatus], wanted: Filter) -> list[UserStatus]:
    """The chosen statuses in order; equal ones stay in the order of their names."""
    chosen = [one for one in statuses if _is_wanted(one, wanted)]
    by, descending = wanted.sort.removeprefix("-"), wanted.sort.startswith("-")
    match by:
        case "used":
            chosen.sort(key=lambda one: _share(one, wanted.policy), reverse=descending)
        case "state":
            chosen.sort(key=lambda one: STATES.index(row_state(one)), reverse=descending)
        case _:
            chosen.sort(key=lambda one: one.subject.name, reverse=descending)
    return chosen


def _is_wanted(status: UserStatus, wanted: Filter) -> bool:
    subject = status.subject
    return (
        wanted.search.casefold() in subject.name.casefold()
        and (not wanted.group or wanted.group in subject.groups)
        and (not wanted.state or wanted.state == row_state(status))
        and (not wanted.policy or bool(_shares(status, wanted.policy)))
    )


def _share(status: UserStatus, policy: str) -> float:
    """The largest share that is used; below everything where none is known."""
    return max(_shares(status, policy), default=-math.inf)


def _shares(status: UserStatus, policy: str) -> list[float]:
    shares = []
    for outlook in status.outlooks:
        candidates = {one.name for one in outlook.verdict.allotment.candidates}
        if not policy or policy in candidates:
            share = used_share(outlook.verdict)
            shares.append(-math.inf if share is None else share)
    return shares
