"""Answers of kube-state-metrics about pods: whose they are, when they ran, what they requested."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import merge

from ... import conventions as names
from ...conventions import NOTEBOOK_CONTAINER
from ...quotas.policy.selector import ServerAttributes
from ..client.pod_queries import PodLabels, Pods
from ..client.series import Series
from ..minutes import Minutes
from .base import having


@dataclass(frozen=True, slots=True)
class Pod:
    user: str
    name: str
    server: ServerAttributes
    shared: bool = False
    """Whether it is only this user's if it runs now."""


Requests = Mapping[tuple[str, str], float]
"""The most that pods requested, by uid and resource as kube-state-metrics calls it."""


@dataclass(frozen=True, slots=True)
class PodAnswers:
    """The answers about pods: their users by uid, in which minutes they ran, what they requested,
    which of them `changed` that, and (instant by instant) what those requested. `brief` are those
    that ran within a step and at neither end of it, `others` the kinds of those that run no
    server. It is `unmeasured` when some ran without requests, and nothing said then what any pod
    requested. `samples` are how many were read of them.
    """

    pods: Pods
    owned: Mapping[str, Pod]
    running: Minutes
    brief: Sequence[Series] = ()
    requests: Requests = field(default_factory=dict)
    changed: Collection[str] = ()
    rates: Sequence[Series] = ()
    brief_rates: Sequence[Series] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    unmeasured: bool = False
    samples: int = 0


@dataclass(frozen=True, slots=True)
class Containers:
    """What containers requested in a span: the most of each pod, the pods that did not always
    request the same, and those that have the container of KubeSpawner's servers.
    """

    most: Requests
    changed: frozenset[str]
    servers: frozenset[str]

    @classmethod
    def of(cls, most: Iterable[Series], least: Iterable[Series]) -> Containers:
        """What the queries of both extremes say."""
        largest, smallest = _by_container(most, max), _by_container(least, min)
        amounts: dict[tuple[str, str], list[float]] = {}
        for (uid, _, resource), amount in largest.items():
            amounts.setdefault((uid, resource), []).append(amount)
        return cls(
            {at: math.fsum(of_pod) for at, of_pod in amounts.items()},
            frozenset(at[0] for at, most in largest.items() if smallest.get(at, most) < most),
            frozenset(uid for uid, container, _ in largest if container == NOTEBOOK_CONTAINER),
        )


def _by_container(
    found: Iterable[Series], extreme: Callable[[float, float], float]
) -> dict[tuple[str, str, str], float]:
    amounts: dict[tuple[str, str, str], float] = {}
    for one in having(list(found), "uid", "resource"):
        at = one.labels["uid"], one.labels.get("container", ""), one.labels["resource"]
        known = amounts.get(at)
        amounts[at] = one.last if known is None else extreme(known, one.last)
    return amounts


def owned_by(found: Sequence[Series], labels: PodLabels) -> dict[str, Pod]:
    """The pods that were found, by uid.

    A pod may have been exported with fewer annotations at another time: what is there counts.
    """
    known: dict[str, dict[str, str]] = {}
    for series in having(found, "uid", names.KSM_USERNAME_LABEL, labels.pod):
        of_pod = known.setdefault(series.labels.get("uid", ""), {})
        of_pod.update({label: value for label, value in series.labels.items() if value})
    return {
        uid: Pod(
            said[names.KSM_USERNAME_LABEL],
            said.get(labels.pod, ""),
            ServerAttributes(
                profile=said.get(names.KSM_PROFILE_LABEL, ""),
                profile_name=said.get(names.KSM_PROFILE_NAME_LABEL, ""),
                name=said.get(names.KSM_SERVERNAME_LABEL, ""),
            ),
        )
        for uid, said in known.items()
    }


def kinds_of(found: Sequence[Series], owned: Mapping[str, Pod]) -> dict[str, str]:
    """The kinds of pods that run no server, by uid: the first of their containers' names.

    What has annotations of a server is one, whatever runs in it.
    """
    containers: dict[str, list[str]] = {}
    for one in having(found, "uid"):
        name = one.labels.get("exported_container") or one.labels.get("container", "")
        containers.setdefault(one.labels["uid"], []).append(name)
    return {
        uid: min(called)
        for uid, called in containers.items()
        if uid in owned and owned[uid].server == ServerAttributes() and min(called)
    }


def unmistaken(owned: Mapping[str, Pod], running: Minutes, end: float) -> Mapping[str, Pod]:
    """Without the pods that may have been of another server of the same pod name: those that do not
    run at the end.
    """
    if not any(pod.shared for pod in owned.values()):
        return owned
    return {uid: pod for uid, pod in owned.items() if not pod.shared or running.last(uid) >= end}


def grouped(found: Iterable[Series], *labels: str) -> dict[tuple[str, ...], list[Series]]:
    """Series by the values of labels."""
    groups: dict[tuple[str, ...], list[Series]] = {}
    for one in found:
        groups.setdefault(tuple(one.labels.get(label, "") for label in labels), []).append(one)
    return groups


def merged(found: Sequence[Series]) -> Iterable[tuple[float, float]]:
    """The samples of series that are one and the same thing, as of one series."""
    if len(found) == 1:
        return zip(found[0].instants, found[0].values, strict=True)
    return dict(merge(*(one.samples for one in found))).items()


def silent(uids: Iterable[str], requests: Requests) -> set[str]:
    """Those of these pods that request nothing."""
    return set(uids) - {uid for uid, _ in requests}


def resized(parts: Iterable[PodAnswers]) -> set[str]:
    """The uids of pods that did not always request the same, or did not under other labels."""
    found = {uid for part in parts for uid in part.changed}
    before: dict[str, set[tuple[str, float]]] = {}
    for part in parts:
        requests: dict[str, set[tuple[str, float]]] = {}
        for (uid, resource), amount in part.requests.items():
            requests.setdefault(uid, set()).add((resource, amount))
        found |= {uid for uid in before.keys() & requests.keys() if before[uid] != requests[uid]}
        before |= requests
    return found
