"""The table of all users: its rows, their order, its headings, and the counts by state.

The page and the API show the same rows.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from urllib.parse import urlencode

from ...quotas.phrases import mark
from ...quotas.verdict import Verdict
from ...status.language import ENGLISH, Language
from ...status.text import Severity, used_share
from ...status.users import UserStatus
from ..web.params import Query

ROWS_AT_MOST = 200
OFFSET_AT_MOST = 10_000_000
NO_QUOTA = "none"
"""The state of a user to whom no quota applies."""
SOME_USAGE = "some"
STATES = (Severity.EXHAUSTED, Severity.LOW, Severity.UNKNOWN, Severity.OK, NO_QUOTA)
"""The states of rows, in the order in which they are shown."""
EARLIER_STATES: Mapping[str, str] = MappingProxyType(
    {"over": Severity.EXHAUSTED, "soon": Severity.LOW, "within": Severity.OK}
)
"""Earlier names of states, in addresses that people may have kept."""
NAMES: Mapping[str, str] = MappingProxyType(
    {NO_QUOTA: mark("No quota"), **{one.value: one.label for one in Severity}}
)
"""The names of the states of rows."""
SORTS = ("name", "-name", "used", "-used", "state", "-state")
SORTABLE = (("name", mark("User")), ("state", mark("State")), ("used", mark("Used")))
"""By what the table is sorted, and the heading that does it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows, in which order; an empty text does not choose.

    `search` is a part of the name, in upper or lower case; with a `policy`, the rows are of those
    who have a verdict by it, and `used` orders by its share alone. With a `tier` of weekly budgets
    they are of those who used something of it, as far as is known, and `used` orders by that. With
    the `usage` "some" they are of those who used something of any quota, as far as is known.
    """

    search: str = ""
    group: str = ""
    policy: str = ""
    state: str = ""
    tier: str = ""
    usage: str = ""
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
            tier=query.text("tier"),
            usage=query.choice("usage", ("", SOME_USAGE), ""),
            state=query.choice("state", ("", *STATES), "", EARLIER_STATES),
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
    """How serious the worst of a user's quotas is, or that there is none."""
    return status.severity or NO_QUOTA


Tiers = Mapping[str, Collection[str]]
"""The tiers of weekly budgets, and the names of the policies of each."""
NO_TIERS: Tiers = MappingProxyType({})


def selected(
    statuses: Sequence[UserStatus], wanted: Filter, tiers: Tiers = NO_TIERS
) -> list[UserStatus]:
    """The chosen statuses in order; equal ones stay in the order of their names."""
    of_tier = frozenset(tiers.get(wanted.tier, ())) if wanted.tier else None
    chosen = [one for one in statuses if _is_wanted(one, wanted, of_tier)]
    by, descending = wanted.sort.removeprefix("-"), wanted.sort.startswith("-")
    match by:
        case "used":
            chosen.sort(key=lambda one: _share(one, wanted.policy, of_tier), reverse=descending)
        case "state":
            chosen.sort(key=lambda one: STATES.index(row_state(one)), reverse=descending)
        case _:
            chosen.sort(key=lambda one: one.subject.name, reverse=descending)
    return chosen


def _is_wanted(status: UserStatus, wanted: Filter, of_tier: frozenset[str] | None) -> bool:
    subject = status.subject
    return (
        wanted.search.casefold() in subject.name.casefold()
        and (not wanted.group or wanted.group in subject.groups)
        and (not wanted.state or wanted.state == row_state(status))
        and (not wanted.policy or any(_verdicts(status, wanted.policy)))
        and (of_tier is None or _used(status, of_tier))
        and (not wanted.usage or _used(status, None))
    )


def _used(status: UserStatus, of_tier: frozenset[str] | None) -> bool:
    """Whether anything was used of these quotas, of any for None; also where it is not known."""
    return any(one.used != 0 for one in _verdicts(status, "", of_tier))


def _share(status: UserStatus, policy: str, of_tier: frozenset[str] | None) -> float:
    """The largest share that is used; below everything where none is known."""
    shares = map(used_share, _verdicts(status, policy, of_tier))
    return max((-math.inf if one is None else one for one in shares), default=-math.inf)


def _verdicts(
    status: UserStatus, policy: str, of_tier: frozenset[str] | None = None
) -> Iterator[Verdict]:
    """The verdicts by a policy (empty: by any), and by one of these of a tier (None: by any)."""
    for outlook in status.outlooks:
        names = {one.name for one in outlook.verdict.allotment.candidates}
        if (not policy or policy in names) and (of_tier is None or names & of_tier):
            yield outlook.verdict


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


def columns(page: Page, path: str, language: Language = ENGLISH) -> dict[str, Column]:
    """The headings that sort the table, by what they sort by."""
    found = {}
    for by, title in SORTABLE:
        now = page.filter.sort
        sort = {by: "ascending", f"-{by}": "descending"}.get(now, "")
        # People look for the users with the most usage first.
        usual = f"-{by}" if by == "used" else by
        other = usual.removeprefix("-") if usual.startswith("-") else f"-{by}"
        wanted = other if now == usual else usual
        found[by] = Column(language.gettext(title), sort, _address(page, path, sort=wanted))
    return found


def counts(
    visible: Sequence[UserStatus],
    page: Page,
    path: str,
    language: Language = ENGLISH,
    tiers: Tiers = NO_TIERS,
) -> list[Count]:
    """How many there are in each state, whichever is chosen now; first of all, all of them."""
    everyone = selected(visible, replace(page.filter, state=""), tiers)
    numbers = Counter(row_state(one) for one in everyone)
    chosen = page.filter.state
    first = Count(
        "", language.gettext("All"), len(everyone), _address(page, path, state=""), not chosen
    )
    return [
        first,
        *(
            Count(
                one,
                language.gettext(NAMES[one]),
                numbers[one],
                _address(page, path, state=one),
                chosen == one,
            )
            for one in STATES
        ),
    ]


def _address(page: Page, path: str, **changed: str) -> str:
    """The address of the first page of the table with something changed."""
    wanted: Filter = replace(page.filter, **changed)
    return replace(page, filter=wanted).address(path, 0)
