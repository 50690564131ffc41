"""The check of the session log: does the Hub write it, and does Prometheus say the same?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from ...config.sessions import NEEDS_LEDGER, sessions_of
from ...errors import LedgerUnavailable, UsageUnknown
from ...ledger.sql.sessions import SqlSessions
from ...metering.coverage import Span
from ...metering.sources.base import StepRange, UsageSegment, whole_step
from ...metering.sources.session_log import SessionLog
from ...metering.timelines import Timeline, parts_of
from ...quotas.resources import BY_RUNNING
from ...quotas.sessions import SessionExtract
from ..deployment import Deployment
from ..findings import Finding, counted, failed, ok, roughly, skipped, warning
from .jupyterhub import SECONDS

COMPARED: Final = timedelta(days=1)
"""How much of the past is compared with Prometheus."""
DIFFERENT: Final = 0.02
"""The share of what was used below which a difference is none."""
OF_A_SESSION: Final = 120.0
"""Seconds by which Prometheus may miss a session's beginning and end."""
HOUR: Final = 3600.0


async def session_log(deployment: Deployment) -> list[Finding]:
    """Whether the Hub writes the session log, and whether Prometheus saw as much as the Hub."""
    manager = deployment.manager
    store, needed = sessions_of(manager.ledger), manager.counts_sessions
    bad = failed if needed else warning
    if store is None:
        where = "Set c.UsageConfig.ledger_url, or choose another usage_source."
        none = "there is no ledger in a database, so the Hub keeps no session log"
        return [failed(NEEDS_LEDGER, where) if needed else skipped(none)]
    now = deployment.clock()
    span = StepRange(now - COMPARED, now)
    try:
        async with asyncio.timeout(SECONDS):
            extract = await store.between(manager.hub_namespace, None, *span.span)
    except (LedgerUnavailable, TimeoutError) as error:
        cure = "The Hub goes on in memory; check the database before the Hub is restarted."
        return [bad(f"the session log cannot be read: {error or 'no answer in time'}", cure)]
    if not extract.watches:
        since = "is the Hub running, and was it restarted since this version was installed?"
        return [bad(f"the Hub has not written into the session log within a day: {since}", RESTART)]
    found = [_written(deployment, extract)]
    if extract.unreadable:
        what = counted(extract.unreadable, "session")
        found.append(warning(f"{what} in the session log cannot be read", UNREADABLE))
    return [*found, *await _compared(deployment, store, span)]


RESTART: Final = (
    "Restart the Hub, and look for 'session log' in its log. Where it has a namespace,"
    " c.UsageConfig.hub_namespace must be the same here."
)
UNREADABLE: Final = (
    "Somebody else wrote into the table usage_quotas_sessions; delete those rows, or correct them."
)


def _written(deployment: Deployment, extract: SessionExtract) -> Finding:
    now = deployment.clock().timestamp()
    age = timedelta(seconds=max(now - max(one.seen for one in extract.watches), 0.0))
    running = sum(one.ended is None for one in extract.sessions)
    says = (
        f"the Hub wrote into the session log {roughly(age)} ago; in the last day there were"
        f" {counted(len(extract.sessions), 'session')}, of which {running} run"
    )
    if age > timedelta(seconds=3 * deployment.manager.session_heartbeat):
        bad = failed if deployment.manager.counts_sessions else warning
        return bad(says, "Is the Hub running? Its log says why it cannot write.")
    return ok(says)


async def _compared(deployment: Deployment, store: SqlSessions, span: StepRange) -> list[Finding]:
    """What both say of the time in which both were there."""
    if deployment.manager.counts_sessions or not deployment.manager.has_prometheus:
        return []
    steps = StepRange(whole_step(span.start), whole_step(span.end))
    log = SessionLog(deployment.manager.hub_namespace, store)
    try:
        hubs = await log.read(None, steps)
        theirs = await deployment.source.read(deployment.prometheus, None, steps)
    except UsageUnknown as error:
        return [skipped(f"Prometheus cannot be compared with the session log: {error}")]
    both = list(covered_by_both(hubs, theirs))
    hub, prometheus = hours_in(hubs, both), hours_in(theirs, both)
    if not both:
        return [skipped("the session log and Prometheus have no time in common yet")]
    seen = f"the Hub saw {hub:.1f} server-hours, Prometheus {prometheus:.1f}"
    says = f"of the last day, {roughly(timedelta(seconds=length(both)))}: {seen}"
    if abs(hub - prometheus) <= DIFFERENT * max(hub, prometheus) + _inexact(hubs):
        return [ok(says)]
    less = "Prometheus did not see all servers: see `source` and `usernames`."
    more = "Prometheus counts servers that are not this Hub's: see hub_namespace and `duplicates`."
    return [warning(says, less if prometheus < hub else more)]


def covered_by_both(*segments: UsageSegment) -> Iterator[Span]:
    """The parts of their time in which all of these were seen."""
    gaps = sorted(gap for one in segments for gap in one.coverage.gaps)
    at = max(one.coverage.start for one in segments)
    end = min(min(one.coverage.end, one.coverage.last_scrape or 0.0) for one in segments)
    for begin, until in [*gaps, (end, end)]:
        if at < min(begin, end):
            yield at, min(begin, end)
        at = max(at, until)


def hours_in(segment: UsageSegment, spans: Sequence[Span]) -> float:
    """The hours of servers in these spans."""
    parts = (timeline.within(*span) for timeline in _running(segment) for span in spans)
    return sum(rate * (end - begin) for part in parts for begin, end, rate in part) / HOUR


def length(spans: Sequence[Span]) -> float:
    """How long they are together, in seconds."""
    return sum(end - begin for begin, end in spans)


def _running(segment: UsageSegment) -> Iterator[Timeline]:
    """When servers ran."""
    for kept in segment.usage.values():
        yield from (line for (resource, _), line in parts_of(kept) if resource in BY_RUNNING)


def _inexact(segment: UsageSegment) -> float:
    """The hours by which scrapes may miss the ends of sessions."""
    runs = sum(1 for timeline in _running(segment) for _ in timeline)
    return (runs + 1) * OF_A_SESSION / HOUR
