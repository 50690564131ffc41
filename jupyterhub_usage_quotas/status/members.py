"""The members of pools: the users that a pooled policy covers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from ..metering.client.promql import Users
from ..quotas.adjustments import Adjustments
from ..quotas.policy.policy import Policy
from ..quotas.subject import Subject

Members = Mapping[str, Users]
"""By the name of a pooled policy, the usernames of its members; None where it is everyone's."""

NO_MEMBERS: Members = MappingProxyType({})


class Directory(Protocol):
    """The users of the Hub, as one of its services sees them."""

    async def subjects(self) -> Sequence[Subject]:
        """All users, in the order of their names. May raise `HubUnavailable`."""
        ...


def members_of_pools(policies: Iterable[Policy], subjects: Collection[Subject]) -> Members:
    """The members of every pooled policy among these subjects."""
    return {
        policy.name: None
        if policy.for_everybody
        else {one.name for one in subjects if policy.covers(one)}
        for policy in policies
        if policy.pooled
    }


def with_assigned(members: Members, adjustments: Adjustments) -> Members:
    """The same with the users to whom an admin's function assigns a pool."""
    more = {
        policy: {*(members.get(policy) or ()), *names}
        for policy, names in adjustments.assigned.items()
        if members.get(policy, ()) is not None
    }
    return {**members, **more}
