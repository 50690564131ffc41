"""Diagnosis of a source: why its usage is not known, or doubtful.

The meter queries what it needs; this queries what is wrong when that is missing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .. import conventions as names
from ..errors import QueryRejected
from .client import pod_queries, promql
from .client.pod_queries import LABELS, PodLabels
from .client.prometheus import PrometheusClient, all_of
from .client.series import Series
from .sources.base import StepRange, whole_step
from .sources.kube_state_metrics import KubeStateMetrics
from .sources.server_metrics import ServerMetrics

LAST_HOUR = timedelta(hours=1)
"""Series reported in this time are there."""
DAY = timedelta(days=1)
OVERLAP = timedelta(minutes=10)
"""For how long exporters must have reported the same to count as several."""
SHORTEST_LOOK = timedelta(hours=1)
"""What a store refuses about so short a time it does not refuse for its length."""
LOOKS = 400
"""The number of instants at which the oldest sample is searched."""


@dataclass(frozen=True, slots=True)
class SourceDiagnosis:
    """What a source reported.

    `inside` is the recent number of series by metric in the Hub's namespaces, `anywhere` that in
    all; `namespaces` are those with recent servers of users, or (where no server is known to be a
    user's) those with any series of the source. `users` has the number of servers by user in the
    last day, `nameless` the recent pods that are named like users' pods and have no username.
    `copies` is the number of exporters that report the same thing.
    """

    inside: Mapping[str, int]
    anywhere: Mapping[str, int]
    namespaces: tuple[str, ...]
    users: Mapping[str, int]
    nameless: tuple[str, ...] = ()
    copies: int = 1


async def diagnose(
    prometheus: PrometheusClient,
    source: KubeStateMetrics | ServerMetrics,
    pods_like: Sequence[str],
    now: datetime,
) -> SourceDiagnosis:
    """What the source reported recently; `pods_like` are patterns of the names of users' pods.

    Raises `PrometheusError`.
    """
    if isinstance(source, KubeStateMetrics):
        return await _of_pods(prometheus, source, pods_like, now)
    return await _of_servers(prometheus, source, now)


async def oldest_sample(
    prometheus: PrometheusClient,
    source: KubeStateMetrics | ServerMetrics,
    reach: timedelta,
    now: datetime,
) -> datetime | None:
    """When the source was first seen within `reach`, to one part in `LOOKS` of it; None if never.

    It is asked for in pieces where the store refuses to answer about so long a time at once. Raises
    `PrometheusError`.
    """
    step = timedelta(minutes=max(1, math.ceil(reach / LOOKS / timedelta(minutes=1))))
    end = whole_step(now, step)
    looked = StepRange(end - reach // step * step, end, step)
    steps, query = reach // step, promql.labelled(_evidence(source))
    while True:
        try:
            return await _first_instant(prometheus, query, looked, steps)
        except QueryRejected:
            if steps * step <= SHORTEST_LOOK:
                raise
            steps = max(steps // 2, 1)


async def _first_instant(
    prometheus: PrometheusClient, query: str, looked: StepRange, steps: int
) -> datetime | None:
    """The first instant of any series, of pieces of so many steps; the oldest comes first."""
    start = looked.start
    while start <= looked.end:
        until = min(start + steps * looked.step, looked.end)
        found = await prometheus.query_range(query, start, until, looked.step)
        if found:
            first = min(series.instants[0] for series in found)
            return datetime.fromtimestamp(first, UTC)
        start = until + looked.step
    return None


def _evidence(source: KubeStateMetrics | ServerMetrics) -> Mapping[str, str]:
    if isinstance(source, ServerMetrics):
        return {"one": promql.there(source.evidence, promql.in_namespace(source.namespace))}
    running = 'phase="Running"'
    return {
        kind: promql.there(names.KSM_PHASE, *labels.where(source.namespaces, running))
        for kind, labels in LABELS.items()
    }


async def _of_pods(
    prometheus: PrometheusClient,
    source: KubeStateMetrics,
    pods_like: Sequence[str],
    now: datetime,
) -> SourceDiagnosis:
    each = await all_of(
        *(_of_kind(prometheus, labels, source, pods_like, now) for labels in LABELS.values())
    )
    return SourceDiagnosis(
        sum((Counter(one.inside) for one in each), Counter()),
        sum((Counter(one.anywhere) for one in each), Counter()),
        tuple(sorted({name for one in each for name in one.namespaces})),
        sum((Counter(one.users) for one in each), Counter()),
        tuple(sorted({name for one in each for name in one.nameless})),
        max(one.copies for one in each),
    )


async def _of_kind(
    prometheus: PrometheusClient,
    labels: PodLabels,
    source: KubeStateMetrics,
    pods_like: Sequence[str],
    now: datetime,
) -> SourceDiagnosis:
    """The same, of series with labels of this kind."""
    within = source.namespaces
    anywhere = await prometheus.query(promql.labelled(_counts(labels, ())), now)
    if not anywhere:
        return SourceDiagnosis({}, {}, (), {})
    inside, namespaces, users, nameless, copies = await all_of(
        prometheus.query(promql.labelled(_counts(labels, within)), now),
        prometheus.query(promql.labelled(_namespaces(labels)), now),
        prometheus.query(_users(labels, within), now),
        _nameless(prometheus, labels, within, pods_like, now),
        prometheus.query(_copies(labels, within), now),
    )
    of_users = [one for one in namespaces if one.labels.get("part") == "of users"]
    return SourceDiagnosis(
        _by("part", inside),
        _by("part", anywhere),
        tuple(one.labels.get(labels.namespace, "") for one in of_users or namespaces),
        _by(names.KSM_USERNAME_LABEL, users),
        nameless,
        max((round(one.last) for one in copies), default=1),
    )


def _by(label: str, counts: Iterable[Series]) -> dict[str, int]:
    return {one.labels.get(label, ""): round(one.last) for one in counts}


def _recent(metric: str, *matchers: str, over: timedelta = LAST_HOUR) -> str:
    return f"present_over_time({promql.select(metric, *matchers)}[{promql.duration(over)}])"


def _named() -> str:
    return f'{names.KSM_USERNAME_LABEL}!=""'


def _counts(labels: PodLabels, namespaces: Sequence[str]) -> dict[str, str]:
    """The number of series of each metric, and of annotations with a username."""
    metrics = {
        names.KSM_PHASE: (names.KSM_PHASE, 'phase="Running"'),
        names.KSM_REQUESTS: (names.KSM_REQUESTS,),
        names.KSM_ANNOTATIONS: (names.KSM_ANNOTATIONS,),
        names.KSM_USERNAME_LABEL: (names.KSM_ANNOTATIONS, _named()),
    }
    return {
        name: f"count({_recent(metric, *labels.where(namespaces, *matchers))})"
        for name, (metric, *matchers) in metrics.items()
    }


def _namespaces(labels: PodLabels) -> dict[str, str]:
    by = f"group by ({labels.namespace})"
    of_users = _recent(names.KSM_ANNOTATIONS, *labels.where((), _named()))
    of_pods = _recent(names.KSM_PHASE, *labels.where((), 'phase="Running"'))
    return {"of users": f"{by} ({of_users})", "of pods": f"{by} ({of_pods})"}


def _users(labels: PodLabels, namespaces: Sequence[str]) -> str:
    pods = _recent(names.KSM_ANNOTATIONS, *labels.where(namespaces, _named()), over=DAY)
    user = names.KSM_USERNAME_LABEL
    return f"count by ({user}) (group by ({user}, {labels.identity}) ({pods}))"


async def _nameless(
    prometheus: PrometheusClient,
    labels: PodLabels,
    namespaces: Sequence[str],
    pods_like: Sequence[str],
    now: datetime,
) -> tuple[str, ...]:
    if not pods_like:
        # Users' pods may have any name: none can be distinguished from others.
        return ()
    called = promql.like(labels.pod, pods_like)
    ran = pod_queries.pods_that_ran(labels, namespaces, called, LAST_HOUR)
    named = _recent(names.KSM_ANNOTATIONS, *labels.where(namespaces, called, _named()))
    found = await prometheus.query(f"{ran} unless on ({labels.identity}) {named}", now)
    return tuple(one.labels.get(labels.pod, "") for one in found)


def _copies(labels: PodLabels, namespaces: Sequence[str]) -> str:
    """How many series say that the same pod runs."""
    phase = promql.select(names.KSM_PHASE, *labels.where(namespaces, 'phase="Running"'))
    return _at_least(f"max(count by ({labels.identity}) ({phase} == 1))")


def _at_least(number: str) -> str:
    """The smallest recent value of a number: exporters that take turns overlap for a moment."""
    return f"min_over_time({number}[{promql.duration(OVERLAP)}:1m])"


async def _of_servers(
    prometheus: PrometheusClient, source: ServerMetrics, now: datetime
) -> SourceDiagnosis:
    def counts(matcher: str) -> str:
        metrics = (source.evidence, source.metric)
        return promql.labelled({one: f"count({_recent(one, matcher)})" for one in metrics})

    within = promql.in_namespace(source.namespace)
    servers = _recent(source.metric, within, 'username!=""', over=DAY)
    inside, anywhere, namespaces, users, copies = await all_of(
        prometheus.query(counts(within), now),
        prometheus.query(counts(""), now),
        prometheus.query(f"group by (namespace) ({_recent(source.evidence)})", now),
        prometheus.query(f"count by (username) (group by (username, servername) ({servers}))", now),
        prometheus.query(_at_least(f"count({promql.select(source.evidence, within)})"), now),
    )
    return SourceDiagnosis(
        _by("part", inside),
        _by("part", anywhere),
        tuple(sorted(one.labels.get("namespace", "") for one in namespaces)),
        _by("username", users),
        copies=max((round(one.last) for one in copies), default=1),
    )
