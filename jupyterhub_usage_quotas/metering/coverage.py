"""Coverage: when a source was scraped, which separates "nothing used" from "unknown".

Instants are seconds since the Unix epoch.
"""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

Span = tuple[float, float]
"""`(start, end]`."""


def clipped(spans: Iterable[Span], start: float, end: float) -> tuple[Span, ...]:
    """The parts of spans that are in `(start, end]`."""
    return tuple(
        (max(begin, start), min(until, end))
        for begin, until in spans
        if begin < end and until > start
    )


@dataclass(frozen=True, slots=True)
class ScrapeCoverage:
    """What is known of a source's scrapes in `(start, end]`.

    `gaps` are the spans in which it was not seen, in time order and without overlap. `interval`
    is the distance of scrapes that was found, in seconds (at least that of the instants at which
    was looked). `missing` names the metric that was seen least recently.
    """

    start: float
    end: float
    gaps: tuple[Span, ...]
    last_scrape: float | None
    interval: float | None = None
    missing: str = ""

    def missed(self, start: float, end: float) -> float:
        """For how many seconds of `(start, end]` the source was not seen."""
        first = bisect_right(self.gaps, start, key=lambda gap: gap[1])
        inside = 0.0
        for begin, until in self.gaps[first:]:
            if begin >= end:
                break
            inside += min(until, end) - max(begin, start)
        before = max(min(self.start, end) - start, 0.0)
        return inside + before

    def in_gap(self, start: float, end: float) -> bool:
        """Whether the source was not seen at any instant between these two."""
        return any(gap[0] <= start and end <= gap[1] for gap in self.gaps)

    def gap_at(self, instant: float) -> Span | None:
        """The gap that this instant is in, its ends included."""
        index = bisect_right(self.gaps, instant, key=lambda gap: gap[0]) - 1
        return self.gaps[index] if index >= 0 and instant <= self.gaps[index][1] else None

    def within(self, start: float, end: float) -> ScrapeCoverage:
        """The part in `(start, end]`."""
        gaps = clipped(self.gaps, start, end)
        return replace(self, start=max(self.start, start), end=min(self.end, end), gaps=gaps)

    def then(self, later: ScrapeCoverage) -> ScrapeCoverage:
        """This, and what is known of the time right after it."""
        gaps = [*self.gaps]
        for begin, until in later.gaps:
            if gaps and gaps[-1][1] >= begin:
                gaps[-1] = (gaps[-1][0], until)
            else:
                gaps.append((begin, until))
        return ScrapeCoverage(
            self.start,
            later.end,
            tuple(gaps),
            later.last_scrape or self.last_scrape,
            later.interval or self.interval,
            later.missing or self.missing,
        )


def never_covered(start: float, end: float, missing: str) -> ScrapeCoverage:
    """Of a source that was not seen at all."""
    return ScrapeCoverage(start, end, ((start, end),), None, None, missing)


def covered_everywhere(start: float, end: float) -> ScrapeCoverage:
    """Of a source that needs no evidence."""
    return ScrapeCoverage(start, end, (), end)


ScrapeInstants = Sequence[tuple[float, float]]
"""`(instant, when the newest sample was scraped)`, at those instants at which there was one."""


def coverage_in(
    metrics: dict[str, ScrapeInstants], start: float, end: float, step: float
) -> ScrapeCoverage:
    """What was seen of a source at every `step` in `(start, end]`: all of its metrics, or nothing.

    Looks before `start` only help to find the interval.
    """
    least = min(metrics, key=lambda metric: max((at for _, at in metrics[metric]), default=0.0))
    newest = max((scraped for _, scraped in metrics[least]), default=None)
    instants = set.intersection(*({at for at, _ in looks} for looks in metrics.values()))
    inside = sorted(at for at in instants if start < at <= end)
    if newest is None or not inside:
        return ScrapeCoverage(start, end, ((start, end),), newest, None, least)
    edges = [start, *inside]
    gaps = [(before, after - step) for before, after in pairwise(edges) if after - before > step]
    if inside[-1] < end:
        gaps.append((inside[-1], end))
    scrapes = sorted({scraped for _, scraped in metrics[least]})
    return ScrapeCoverage(start, end, tuple(gaps), min(newest, end), _interval(scrapes), least)


def _interval(scrapes: Iterable[float]) -> float | None:
    distances = [after - before for before, after in pairwise(scrapes)]
    return statistics.median(distances) if distances else None
