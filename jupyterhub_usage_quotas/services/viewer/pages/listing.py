"""What surrounds the rows of the table of all users: headings to sort by, and how many are over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ....status.users import UserStatus
from .table import STATES, Filter, Page, row_state, selected

NAMES = {
    "over": "Used up",
    "soon": "Used up within a day",
    "unknown": "Not known",
    "within": "Within quota",
}
"""What the states of rows are called."""
SORTABLE = (("name", "User"), ("state", "State"), ("used", "Used"))


@dataclass(frozen=True, slots=True)
class Column:
    """A heading: `sort` is how the table is sorted by it now ("ascending", "descending" or
    empty), `address` that of the table sorted by it, or the other way round.
    """

    title: str
    sort: str
    address: str


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows are in a state, and the address of the table with them alone."""

    state: str
    name: str
    number: int
    address: str
    chosen: bool


def columns(page: Page, path: str) -> dict[str, Column]:
    """The headings that sort the table, by what they sort by."""
    found = {}
    for by, title in SORTABLE:
        now = page.filter.sort
        sort = {by: "ascending", f"-{by}": "descending"}.get(now, "")
        # Who used most is what people look for first.
        usual = f"-{by}" if by == "used" else by
        other = usual.removeprefix("-") if usual.startswith("-") else f"-{by}"
        wanted = other if now == usual else usual
        found[by] = Column(title, sort, _address(page, path, sort=wanted))
    return found


def counts(visible: Sequence[UserStatus], page: Page, path: str) -> list[Count]:
    """How many there are in each state, whichever is chosen now; first of all, all of them."""
    everyone = selected(visible, replace(page.filter, state=""))
    numbers = Counter(row_state(one) for one in everyone)
    chosen = page.filter.state
    first = Count("", "All", len(everyone), _address(page, path, state=""), not chosen)
    return [
        first,
        *(
            Count(one, NAMES[one], numbers[one], _address(page, path, state=one), chosen == one)
            for one in STATES
        ),
    ]


def _address(page: Page, path: str, **changed: str) -> str:
    """The address of the first page of the table with something changed."""
    wanted: Filter = replace(page.filter, **changed)
    return replace(page, filter=wanted).address(path, 0)
