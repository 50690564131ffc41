"""How much there is to do for the table of all users: counted in calls of functions, which, unlike
time, are the same on every machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.pools import settle
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Usage
from jupyterhub_usage_quotas.status.everyone import EveryoneStatuses
from tests.support.calls import calls_of
from tests.support.viewer import FakeMeter

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = 3600
DAYS = 6
RED = {"scope": {"group": ["red"]}}
OWN = {"name": "own", "resource": "gpu", "limit": "9 GPU-hours", "window": 7} | RED


class People:
    """A Hub with these users."""

    def __init__(self, people: Sequence[Subject]) -> None:
        self._people = people

    async def subjects(self) -> Sequence[Subject]:
        return self._people


def usage(number: int) -> Usage:
    """Three hours on each of some days, of which members share most; the last may go on."""
    begins = (
        NOW.timestamp() - (day * 24 + 3) * HOUR - number * 7 % 120 * 60 for day in range(DAYS)
    )
    return Usage(tuple(Bucket(at, at + 3 * HOUR, 3.0 * HOUR) for at in begins), NOW)


def calls_for(members: int, pool: dict[str, Any]) -> int:
    """How many calls it takes to work out where all of so many members of a pool stand."""
    people = [Subject(f"user-{number}", frozenset({"red"})) for number in range(members)]
    readings = {one.name: {"gpu": Fresh(usage(number))} for number, one in enumerate(people)}
    policies, hub = parse_policies([pool, OWN], failover_open=True), People(people)
    made = EveryoneStatuses(policies, FakeMeter(readings), hub, NO_LEDGER)
    return calls_of(lambda: asyncio.run(made.of_everyone(NOW)))


@pytest.mark.parametrize("share", [0, 0.3, 0.7, 2])
@pytest.mark.parametrize("window", [2, 7])
@pytest.mark.parametrize("overflow", [{}, {"overflow": "individual"}], ids=["pool", "pays first"])
def test_for_twice_as_many_members_of_a_pool_there_is_twice_as_much_to_do(share, window, overflow):
    """Whether it has nothing to begin with, is used up on the way, or never; with a short window
    what was used before comes back meanwhile.
    """

    def pool(members: int) -> dict[str, Any]:
        limit = f"{share * members * DAYS * 3} GPU-hours"
        entry = {"name": "pool", "resource": "gpu", "limit": limit, "window": window}
        return entry | {"share": "pooled"} | overflow | RED

    few, many = calls_for(60, pool(60)), calls_for(120, pool(120))
    assert many < 2.4 * few


def test_what_a_pool_pays_for_is_not_cut_without_need():
    """A hundred members at once; the pool is used up in the middle of it."""
    usages = {
        f"user-{number}": Usage((Bucket(number, 2000 + number, 2000.0),), NOW)
        for number in range(100)
    }
    pool = parse_policies([OWN | {"name": "pool", "share": "pooled"}]).policies[0]
    enough = settle(pool.window, lambda _: 1e9, [], usages)
    assert len(enough.paid.buckets) == 100
    half = settle(pool.window, lambda _: 100_000.0, [], usages)
    assert len(half.paid.buckets) == 100
    assert sum(len(one.buckets) for one in half.left.values()) == 100
