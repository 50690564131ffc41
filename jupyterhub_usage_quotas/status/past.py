"""Gathering the past: everybody's usage, over as long as is simulated and as counts before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ..conventions import Reason
from ..ledger.base import Ledger
from ..metering.client.worker import run_in_worker
from ..metering.coverage import ScrapeCoverage
from ..metering.meter import Meter, merged
from ..metering.snapshot import UsageSnapshot
from ..quotas.charge import Readings
from ..quotas.policy.policy import PolicySet
from ..quotas.simulation.course import in_any
from ..quotas.simulation.launches import RUNNING
from ..quotas.simulation.past import Past
from ..quotas.subject import EVERYONE, REST, Subject
from ..quotas.usage import Unknown
from .inputs import pool_readings
from .members import members_of_pools

NOTHING_READ = Unknown(Reason.NOT_READ_YET, "no usage has been read")
NOT_FRESH = timedelta(0)
"""How old usage may be to be called fresh: of the past it does not matter."""


def reach_of(policies: PolicySet, start: datetime, now: datetime) -> timedelta:
    """How far back usage is needed: what counted at the start began before it."""
    return now - start + policies.reach


async def gather_past(
    policies: PolicySet,
    meter: Meter,
    ledger: Ledger,
    subjects: Sequence[Subject],
    start: datetime,
    now: datetime,
) -> Past | Unknown:
    """What the meter has cached of everybody since `start`, and before that as far as it counted;
    as much of it as is known. Unknown with the reason where nothing is. May raise
    `LedgerUnavailable`.
    """
    resources = policies.measured_over_time | {RUNNING}
    snapshots = [
        one for one in meter.snapshots if not (of := one.source.resource) or of in resources
    ]
    problem = next(iter(meter.problems), None)
    if not snapshots:
        return problem or NOTHING_READ
    # What is prepared for readings is others': this may run beside them.
    own = [replace(one, _prepared={}) for one in snapshots]
    readings = await run_in_worker(_readings, own, resources, now)
    running = readings[REST][RUNNING]
    if isinstance(running, Unknown):
        return problem or running
    # Of a source that was never seen nothing is known, which its readings say.
    seen = [one.coverage for one in own if one.coverage.last_scrape is not None]
    known_from = max(map(_known_from, seen))
    end = min(min(one.last_scrape or 0.0, one.end) for one in seen)
    begin = max(start.timestamp(), known_from)
    if begin >= end:
        detail = f"usage is known up to {_instant(end):%Y-%m-%d %H:%M} UTC only"
        return problem or Unknown(Reason.STALE, detail)
    gaps = in_any([one.within(known_from, end).gaps for one in seen])
    return Past(
        subjects=subjects,
        readings=readings,
        start=_instant(begin),
        end=_instant(end),
        known_from=_instant(known_from),
        gaps=[gap for gap in gaps if gap[1] > gap[0]],
        pools=pool_readings(readings, members_of_pools(policies, subjects)),
        adjustments=await ledger.active(EVERYONE, start - policies.reach),
        asked_from=start,
        problem=problem.detail if problem else "",
    )


def _readings(
    snapshots: Sequence[UsageSnapshot], resources: Set[str], now: datetime
) -> Mapping[str, Readings]:
    with_source = {one.source.resource for one in snapshots}
    parts = []
    for one in snapshots:
        own = one.source.resource
        of_source = {own} if own else resources - with_source
        over = now - one.start
        parts.append(one.readings(None, of_source, over, now, NOT_FRESH))
    return merged(parts)


def _known_from(coverage: ScrapeCoverage) -> float:
    """From when on a source was seen."""
    gap = coverage.gap_at(coverage.start)
    return gap[1] if gap else coverage.start


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
