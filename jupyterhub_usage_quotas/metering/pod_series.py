"""What is odd about the series of kube-state-metrics: labels that were renamed, a version that is
too old, several clusters in one store, pods that stay behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations

from .. import conventions as names
from .client import pod_queries, promql
from .client.pod_queries import LABELS, RENAMED, PodLabels
from .client.prometheus import PrometheusClient, all_of
from .client.series import Series

RUNNING = promql.equals("phase", "Running")
SUSTAINED = timedelta(minutes=10)
"""Pods of one Hub that overlap for a shorter time are one that was replaced."""
STUCK = timedelta(minutes=5)
"""How long after its deletion a pod may still be there."""
OF_A_SCRAPE = frozenset({"instance", "host", "endpoint", "node", "container", "phase", "__name__"})
"""Labels that may differ from pod to pod within one cluster, where exporters share the pods."""


@dataclass(frozen=True, slots=True)
class FoundLabels:
    """The labels of pods' series: their names, and those (not `namespace`) that have the Hub's
    namespace as their value.
    """

    names: tuple[str, ...]
    with_namespace: tuple[str, ...]


async def found_labels(
    prometheus: PrometheusClient, namespace: str, now: datetime
) -> FoundLabels | None:
    """The labels of what kube-state-metrics exports; None where it exports nothing.

    Raises `PrometheusError`.
    """
    phase = promql.select(names.KSM_PHASE, RUNNING)
    some = await prometheus.query(f"topk(1, {phase})", now)
    if not some:
        return None
    labels = sorted(set(some[0].labels) - {"__name__", "phase"})
    usual = {"namespace", f"{RENAMED}namespace"}
    counts = {
        label: f"count({promql.select(names.KSM_PHASE, promql.equals(label, namespace))})"
        for label in labels
        if label not in usual
    }
    there = await prometheus.query(promql.labelled(counts), now) if counts and namespace else ()
    return FoundLabels(tuple(labels), tuple(sorted(one.labels["part"] for one in there)))


async def is_first_version(prometheus: PrometheusClient, now: datetime) -> bool:
    """Whether kube-state-metrics 1 is scraped, and no later one. Raises `PrometheusError`."""
    with_uids = promql.select(names.KSM_REQUESTS, 'uid!=""')
    old, uids = await all_of(
        prometheus.query(pod_queries.first_version(), now),
        prometheus.query(f"count({with_uids})", now),
    )
    return bool(old) and not uids


async def clusters(
    prometheus: PrometheusClient, namespaces: Sequence[str], now: datetime
) -> Mapping[str, Sequence[str]]:
    """The labels by which Hubs' pods of one namespace, that run at once, differ, and their values.

    Pods of one cluster are exported alike, but for what a scrape adds. Raises `PrometheusError`.
    """
    found: dict[str, set[str]] = {}
    for labels in LABELS.values():
        hubs = f'{labels.pod}=~"{names.HUB_POD}"'
        where = labels.where(namespaces, hubs, RUNNING)
        running = f"{promql.select(names.KSM_PHASE, *where)} == 1"
        before = (
            f"{promql.select(names.KSM_PHASE, *where)} offset {promql.duration(SUSTAINED)} == 1"
        )
        series = await prometheus.query(f"({running}) and ({before})", now)
        for label, values in _differing(series, labels).items():
            found.setdefault(label, set()).update(values)
    return {label: sorted(values) for label, values in found.items()}


def _differing(series: Sequence[Series], labels: PodLabels) -> Mapping[str, set[str]]:
    """The labels of which two pods of one namespace have no value in common, and the values."""
    of_pods: dict[tuple[str, str], dict[str, set[str]]] = {}
    for one in series:
        pod = one.labels.get(labels.namespace, ""), one.labels.get(labels.uid, "")
        values = of_pods.setdefault(pod, {})
        for label, value in one.labels.items():
            values.setdefault(label, set()).add(value)
    own = OF_A_SCRAPE | {"namespace", "pod", "uid"}
    found: dict[str, set[str]] = {}
    for (pod, first), (other, second) in combinations(of_pods.items(), 2):
        if pod[0] != other[0]:
            continue
        for label in first.keys() | second.keys():
            one_has, other_has = first.get(label, {""}), second.get(label, {""})
            renamed = label.removeprefix(RENAMED)
            if renamed not in own and not one_has & other_has:
                found.setdefault(label, set()).update(one_has | other_has)
    return found


async def stuck(
    prometheus: PrometheusClient, namespaces: Sequence[str], now: datetime
) -> Sequence[str]:
    """The names of users' pods that are running long after they were to be deleted.

    Raises `PrometheusError`.
    """
    found: set[str] = set()
    for labels in LABELS.values():
        pod = labels.identity
        where = labels.where(namespaces)
        gone = f"{promql.select(names.KSM_DELETION, *where)} < time() - {STUCK.total_seconds():g}"
        running = f"{promql.select(names.KSM_PHASE, *where, RUNNING)} == 1"
        named = f'{names.KSM_USERNAME_LABEL}!=""'
        users = promql.select(names.KSM_ANNOTATIONS, *where, named)
        query = f"group by ({pod}) ({gone}) and on ({pod}) ({running}) and on ({pod}) ({users})"
        found |= {one.labels.get(labels.pod, "") for one in await prometheus.query(query, now)}
    return sorted(found)
