"""Matching pods to users by name: exact names of known servers, never prefixes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..client.pod_queries import PodLabels
from ..client.promql import Users
from ..client.series import Series
from .base import having

PodName = tuple[str, str]
"""The namespace and the name of a pod."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The user and the name of the server (empty for the default one) that a pod is of.

    Where it is `shared`, other servers could have a pod of the same name: only the pod that runs
    now is of this one, which runs.
    """

    user: str
    server: str = ""
    shared: bool = False


class PodNames(Protocol):
    """The names of the pods of all known servers; the Hub's side implements it."""

    @property
    def like(self) -> Sequence[str]:
        """Patterns (with `*`) that all such names have, to narrow a search; none for any name."""
        ...

    @property
    def identity(self) -> str:
        """What names are made of, as a text that is the same in every process."""
        ...

    async def owners(self) -> Mapping[PodName, Owner]:
        """The pods of all known servers, running or not. May be called from one thread only."""
        ...

    def left_over(self, pods: Collection[PodName]) -> None:
        """Callback: pods that match the pattern but have no known owner."""
        ...


def names_of(owners: Mapping[PodName, Owner], users: Users) -> set[str] | None:
    """The names of the pods of these users; None for all users."""
    if users is None:
        return None
    wanted = frozenset(users)
    return {name for (_, name), owner in owners.items() if owner.user in wanted}


def sorted_out(
    found: Sequence[Series], labels: PodLabels, owners: Mapping[PodName, Owner], users: Users
) -> tuple[dict[str, tuple[str, Owner]], set[PodName]]:
    """The pods that were found and are these users', by uid, with their names; and those that are
    nobody's. Labels may be those of the exporter itself. Raises `BadAnswer`.
    """
    owned: dict[str, tuple[str, Owner]] = {}
    left: set[PodName] = set()
    for series in having(found, "uid", labels.namespace, labels.pod):
        pod = series.labels[labels.namespace], series.labels[labels.pod]
        owner = owners.get(pod)
        if owner is None:
            left.add(pod)
        elif users is None or owner.user in users:
            owned[series.labels["uid"]] = pod[1], owner
    return owned, left
