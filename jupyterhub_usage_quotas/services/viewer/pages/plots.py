"""The plot on a card: usage in each interval of the window, by server, and the part that counts
towards the limit. Templates only lay out its texts and heights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ....quotas.charge import reading_of
from ....quotas.phrases import mark
from ....quotas.policy.selector import SERVER, ServerAttributes
from ....quotas.units import TIMES, Unit
from ....quotas.usage import Bucket, Fresh, Stale, Usage
from ....quotas.verdict import Verdict
from ....quotas.windows.base import added_up
from ....status.language import ENGLISH, Language
from ....status.text import NOT_KNOWN
from ....status.users import UserStatus
from .intervals import Interval, intervals

DEFAULT_SERVER = mark("default server")
"""The name shown for the server without a name."""
SERVERS_AT_MOST = 5
"""How many servers have a pattern of their own; the last one stands for all others."""
IN_SIGHT = 4
"""How many times what was used an allowance may be for its line to be in the plot."""
MARKS_AT_MOST = 6


@dataclass(frozen=True, slots=True)
class Part:
    """What one server used in an interval: a share of the height, and a text."""

    height: float
    amount: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One interval. `counts` is a share of the height, None where it is not known yet."""

    name: str
    mark: str
    parts: tuple[Part, ...]
    total: str
    counts: float | None
    counted: str
    said: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot. `series` are the names of servers, in the order of every bar's parts; `ticks` are
    heights and texts; `begins` is what counts at the left end, as a height; `limit` is a height,
    None where that is beyond the plot.
    """

    resource: str
    unit: str
    interval: str
    zone: str
    series: tuple[str, ...]
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    begins: float
    limit: float | None
    allowance: str
    own_part: bool

    @property
    def line(self) -> str:
        """What counts, as points of a line in a square of 100 by 100, from left to right."""
        heights = [self.begins, *(bar.counts for bar in self.bars if bar.counts is not None)]
        step = 100 / len(self.bars)
        return " ".join(f"{step * x:.2f},{100 - 100 * y:.2f}" for x, y in enumerate(heights))


def plot(
    status: UserStatus, verdict: Verdict, zone: ZoneInfo, language: Language = ENGLISH
) -> Plot | None:
    """The plot of one verdict; None where nothing is known, nothing was used, or it is not used
    over a window.
    """
    window, now = verdict.allotment.window, status.inputs.now
    usage = _usage(status, verdict)
    begin = window.plotted_from(now)
    if usage is None or begin is None or begin >= now:
        return None
    name, spans = intervals(begin, now, zone, language)
    by_server = _by_server(usage, begin, now, _names(status, verdict, language), language)
    if not by_server:
        return None
    own_part = verdict.allotment.pool is not None
    resource = status.inputs.policies.resources[verdict.allotment.resource]
    # Of a pool the user's part is what the user used, whatever came back to all.
    course = added_up if own_part else window.course
    counts = course(usage, [begin, *(one.end for one in spans)])
    scale = _Scale(spans, by_server, counts, verdict, language)
    return Plot(
        resource=language.gettext(resource.display_name),
        unit=scale.unit,
        interval=language.say(name),
        zone=zone.key,
        series=tuple(by_server),
        bars=tuple(scale.bars(_marked(len(spans)), usage.covered_until)),
        ticks=tuple(scale.ticks()),
        begins=scale.begins,
        limit=scale.limit,
        allowance=scale.allowance,
        own_part=own_part,
    )


def _usage(status: UserStatus, verdict: Verdict) -> Usage | None:
    """What is plotted: of a pool, only what the user used, for the rest is others'."""
    reading, allotment = verdict.reading, verdict.allotment
    if allotment.pool:
        known = status.inputs
        reading = reading_of(known.policies, allotment.resource, known.usage)
    if not isinstance(reading, Fresh | Stale):
        return None
    return reading.usage.of(allotment.servers)


def _names(status: UserStatus, verdict: Verdict, language: Language) -> dict[ServerAttributes, str]:
    """The names of servers; a resource that is not kept by server has just one."""
    resource = status.inputs.policies.resources[verdict.allotment.resource]
    return {} if resource.by_server else {ServerAttributes(): language.gettext("all servers")}


def server_name(server: ServerAttributes, language: Language = ENGLISH) -> str:
    """The name of a server, with its profile where it has one; else of what runs."""
    if server.kind != SERVER:
        return server.kind
    profile = server.profile_name or server.profile
    return (server.name or language.gettext(DEFAULT_SERVER)) + (f" ({profile})" if profile else "")


def _by_server(
    usage: Usage,
    begin: datetime,
    end: datetime,
    names: dict[ServerAttributes, str],
    language: Language,
) -> dict[str, Usage]:
    """The usage of those servers that used most, and of the others as one."""
    buckets: dict[str, list[Bucket]] = {}
    for bucket in usage.buckets:
        if bucket.end > begin.timestamp() and bucket.start < end.timestamp() and bucket.amount > 0:
            name = names.get(bucket.server) or server_name(bucket.server, language)
            buckets.setdefault(name, []).append(bucket)
    first, last = begin.timestamp(), end.timestamp()
    every = {name: Usage(tuple(some), usage.covered_until) for name, some in buckets.items()}
    ordered = sorted(every, key=lambda name: (-every[name].between(first, last), name))
    kept = ordered if len(ordered) <= SERVERS_AT_MOST else ordered[: SERVERS_AT_MOST - 1]
    shown = {name: every[name] for name in kept}
    if rest := [bucket for name in ordered[len(kept) :] for bucket in buckets[name]]:
        others = language.gettext("{number} other servers", number=len(ordered) - len(kept))
        shown[others] = Usage(tuple(rest), usage.covered_until)
    return shown


def _marked(number: int) -> set[int]:
    """The bars that have a mark beside the axis: not so many that they meet."""
    every = max(math.ceil(number / MARKS_AT_MOST), 1)
    return set(range(0, number, every))


class _Scale:
    """Amounts as shares of a plot's height."""

    def __init__(
        self,
        spans: Sequence[Interval],
        by_server: dict[str, Usage],
        counts: Sequence[float],
        verdict: Verdict,
        language: Language,
    ) -> None:
        self._language = language
        self._spans = spans
        self._names = tuple(by_server)
        self._counts = counts[1:]
        self._amounts = [
            [usage.between(span.start.timestamp(), span.end.timestamp()) for usage in shown]
            for shown in [tuple(by_server.values())]
            for span in spans
        ]
        self._unit = verdict.allotment.limit.unit
        self._limit = verdict.allowance
        highest = max(*counts, *map(math.fsum, self._amounts))
        in_sight = math.isfinite(self._limit) and self._limit <= IN_SIGHT * highest
        self._top = 1.06 * max(highest, self._limit if in_sight else 0.0) or 1.0
        self.begins = counts[0] / self._top
        self.limit = self._limit / self._top if in_sight else None

    @property
    def unit(self) -> str:
        """The unit of the ticks; empty for plain times, which are written as on a clock."""
        return "" if self._unit.symbol in TIMES else self._language.unit(self._unit.symbol)

    @property
    def allowance(self) -> str:
        """The limit in words; empty where there is none."""
        return self._language.amount(self._limit, self._unit) if math.isfinite(self._limit) else ""

    def bars(self, marked: set[int], known_until: datetime) -> list[Bar]:
        """The bars, those in `marked` with a mark."""
        return [
            self._bar(span, amounts, counts, known=span.start < known_until, marked=index in marked)
            for index, (span, amounts, counts) in enumerate(
                zip(self._spans, self._amounts, self._counts, strict=True)
            )
        ]

    def ticks(self) -> list[tuple[float, str]]:
        """See `round_ticks`."""
        return round_ticks(self._top, self._unit, self._language)

    def _bar(
        self, span: Interval, amounts: Sequence[float], counts: float, *, known: bool, marked: bool
    ) -> Bar:
        language, unit = self._language, self._unit
        total, gettext = language.amount(math.fsum(amounts), unit), language.gettext
        parts = tuple(Part(one / self._top, language.amount(one, unit)) for one in amounts)
        of_servers = [
            f"{name} {part.amount}"
            for name, part, amount in zip(self._names, parts, amounts, strict=True)
            if amount > 0
        ]
        counted = language.amount(counts, unit)
        if math.isfinite(self._limit):
            counted = language.part(counts, self._limit, unit)
        said = f"{span.name}: {total}"
        if len(of_servers) > 1:
            said += f" ({', '.join(of_servers)})"
        elif of_servers:
            said += f" ({self._names[_largest(amounts)]})"
        said = gettext("{what}; {amount} by then", what=said, amount=counted)
        not_known = gettext(NOT_KNOWN)
        return Bar(
            name=span.name,
            mark=span.mark if marked else "",
            parts=parts,
            total=total if known else not_known,
            counts=counts / self._top if known else None,
            counted=language.amount(counts, unit) if known else not_known,
            said=said if known else f"{span.name}: {not_known}",
        )


def _largest(amounts: Sequence[float]) -> int:
    return max(range(len(amounts)), key=amounts.__getitem__)


def round_ticks(top: float, unit: Unit, language: Language) -> list[tuple[float, str]]:
    """Round amounts from zero up to the top, four to seven of them, without their unit; each with
    its place as a share of the top.
    """
    step = _round_step(top, unit)
    number = math.floor(top / step)
    return [(step * one / top, language.bare(step * one, unit)) for one in range(number + 1)]


def _round_step(top: float, unit: Unit) -> float:
    """A round amount that goes three to six times into the top."""
    raw = top / unit.factor / 3
    magnitude = 10.0 ** math.floor(math.log10(raw))
    best = max(one for one in (1.0, 2.0, 5.0) if one * magnitude <= raw * 1.0001)
    return best * magnitude * unit.factor
