"""The recorder of sessions against a ledger of every second: whatever starts, stops, is killed, or
is away. The oracle writes down second by second what ran.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_usage_quotas.hub.sessions import book
from jupyterhub_usage_quotas.quotas.sessions import Session, unwatched
from jupyterhub_usage_quotas.quotas.subject import Subject
from tests.support.recording import BEAT, BEGIN, RATES, STEPS, Run, World, live


@given(steps=STEPS, edges=st.tuples(st.integers(0, 3000), st.integers(1, 3000)))
def test_usage_is_that_of_a_ledger_of_every_second(steps, edges):
    async def run() -> None:
        world = World()
        await live(world, steps)
        start = BEGIN + edges[0] - 10
        for user in ("ada", "bob"):
            for resource in ("memory", "gpu", "time"):
                for begin, end in ((BEGIN - 10, world.now), (start, start + edges[1])):
                    until = min(end, world.now)
                    if begin >= until:
                        continue
                    true = world.truth(user, resource, begin, until)
                    for records in (world.recorder, world.database):
                        found = await world.known(records, user, resource, begin, until)
                        assert found == pytest.approx(true, rel=1e-12), (user, resource, steps)

    asyncio.run(run())


@given(steps=STEPS)
def test_where_something_was_lost_it_is_not_called_known(steps):
    async def run() -> None:
        world = World()
        await live(world, steps)
        gaps = unwatched(world.database.watches.values(), BEGIN, world.now)
        assert bool(gaps) or not world.lost

    asyncio.run(run())


async def test_a_kill_loses_no_more_than_a_heartbeat():
    world = World()
    await world.boot()
    await world.start(("ada", ""))
    await world.passes(3 * BEAT + 59)
    world.crash()
    await world.end(("ada", ""))
    await world.passes(1000)
    await world.boot()
    assert world.truth("ada", "time", BEGIN, world.now) == 3 * BEAT
    assert await world.known(world.recorder, "ada", "time", BEGIN, world.now) == 3 * BEAT


async def test_a_server_that_outlives_its_hub_goes_on_counting():
    world = World()
    await world.boot()
    await world.start(("ada", ""))
    await world.passes(100)
    world.crash()
    await world.passes(5000)
    await world.boot()
    await world.passes(30)
    assert await world.known(world.recorder, "ada", "time", BEGIN, world.now) == 5130
    # Whoever ran at neither end of the gap is not known.
    assert unwatched(world.database.watches.values(), BEGIN, BEGIN + 5100) == (
        (BEGIN + 60, BEGIN + 5100),
    )
    assert len(world.database.rows) == 1


async def test_what_is_recent_is_known_while_the_database_is_away():
    world = World()
    await world.boot()
    await world.start(("ada", ""))
    await world.passes(100)
    world.database.away = True
    reads = world.database.reads
    await world.passes(500)
    await world.end(("ada", ""))
    await world.passes(500)
    assert await world.known(world.recorder, "ada", "time", BEGIN, world.now) == 600
    assert world.database.reads == reads
    world.database.away = False
    await world.beat()
    assert await world.known(world.database, "ada", "time", BEGIN, world.now) == 600


async def test_it_waits_until_the_hub_has_looked_for_its_servers():
    """A server that is still checked may be gone."""
    world = World()
    await world.boot()
    await world.start(("ada", ""))
    await world.passes(100)
    world.crash()
    await world.passes(100)
    world.running["ada", ""].spawner.pending = "check"
    spawner = world.spawner
    world.spawner = lambda *a: SimpleNamespace(**vars(spawner(*a)) | {"pending": "check"})
    await world.boot()
    assert not world.recorder.found
    await world.passes(5)
    world.users["ada"].spawners[""].pending = None
    await world.beat()
    assert world.recorder.found
    assert await world.known(world.recorder, "ada", "time", BEGIN, world.now) == 205


async def test_a_server_that_was_launched_anew_meanwhile_is_another():
    world = World()
    await world.boot()
    await world.start(("ada", ""))
    await world.passes(BEAT)
    world.database.away = True
    await world.end(("ada", ""))
    await world.passes(100)
    await world.start(("ada", ""))
    await world.passes(100)
    world.crash()
    world.database.away = False
    await world.boot()
    assert await world.known(world.recorder, "ada", "time", BEGIN, world.now) == BEAT + 100


async def test_a_start_that_nobody_noted_is_found_by_the_next_heartbeat():
    world = World()
    await world.boot()
    user = world.users["bob"]
    user.spawners[""] = world.spawner(user, "", world.now)
    world.running["bob", ""] = run = Run(("bob", ""), world.now, user.spawners[""])
    world.runs.append(run)
    await world.passes(90)
    assert await world.known(world.recorder, "bob", "time", BEGIN, world.now) == 90
    # A spawner of which no end was noted.
    user.spawners[""].active = False
    await world.passes(BEAT)
    known = await world.known(world.recorder, "bob", "time", BEGIN, world.now)
    assert 90 <= known <= 90 + BEAT


def sessions(number: int, **more: Any) -> Iterator[Session]:
    for one in range(number):
        yield Session(f"{one}", "", f"user-{one}", "", BEGIN, BEGIN, **more)


def test_of_too_many_that_cannot_be_written_those_that_ended_are_dropped(monkeypatch):
    monkeypatch.setattr(book, "MOST_UNWRITTEN", 3)
    kept = book.SessionBook("", BEGIN)
    for one in sessions(4):
        kept.begin(one)
        kept.end((one.username, ""), BEGIN + 10)
    kept.begin(replace(next(sessions(1)), id="last"))
    assert (kept.unwritten, kept.dropped) == (3, 2)
    assert {one.id for one in kept.changes(BEGIN).sessions} == {"2", "3", "last"}


def test_an_end_is_not_before_what_was_seen():
    """The clock may be set back."""
    (session,) = sessions(1)
    seen = session.seen_at(BEGIN + 100)
    assert seen.ended_at(BEGIN + 50).ended == BEGIN + 100
    assert seen.seen_at(BEGIN + 50) == seen
    assert seen.ended_at(BEGIN + 200).seen_at(BEGIN + 300).until == BEGIN + 200


async def test_in_flight_is_what_runs_and_what_has_ended():
    world = World()
    await world.boot()
    await world.start(("ada", ""))
    await world.start(("ada", "gpu"))
    await world.passes(10)
    await world.end(("ada", ""))
    await world.passes(10)
    users = [world.users["ada"], world.users["bob"]]
    running, ended = world.recorder.in_flight(users, lambda user: Subject(user.name))
    (gpu,), (other,) = running["ada"], ended["ada"]
    assert (running.keys(), ended.keys()) == ({"ada"}, {"ada"})
    assert (gpu.request.rates, gpu.since.timestamp(), gpu.until) == (RATES["gpu"], BEGIN, None)
    assert (other.since.timestamp(), other.until.timestamp()) == (BEGIN, BEGIN + 10)
    # A launch that is not complete holds what it needs already.
    world.running["ada", "gpu"].spawner.pending = "spawn"
    running, ended = world.recorder.in_flight(users, lambda user: Subject(user.name))
    assert not running
    assert len(ended["ada"]) == 2
