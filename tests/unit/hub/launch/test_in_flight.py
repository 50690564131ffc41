"""The last minute through the manager: servers that run, and launches that are pending, of several
users at once. The rules alone are in `quotas`.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import MappingProxyType, SimpleNamespace
from typing import Any

import httpx
import pytest
import respx
from jupyterhub import orm
from traitlets.config import Config, Configurable

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.hub.launch.denial import LaunchDenied
from jupyterhub_usage_quotas.quotas.usage import Bucket, Usage
from tests.support.fake_prometheus import alive
from tests.support.hub_objects import hub_spawner, hub_user

HOUR, MINUTE = 3600, 60
NOW = datetime(2026, 3, 4, 12, 34, 56, 789_012, tzinfo=UTC)
"""Neither a whole minute nor a number that a float holds exactly."""


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def usage(*sessions: tuple[float, float, float], covered: float = 90) -> Usage:
    """Sessions `(from, until, rate)`, in seconds before NOW; known until so long ago."""
    return Usage(
        tuple(
            Bucket(ago(start).timestamp(), ago(end).timestamp(), rate * (start - end))
            for start, end, rate in sessions
        ),
        ago(covered),
    )


URL = "http://prometheus.test"


def rule(limit: str, session: str, window: object = 1, **more: Any) -> dict[str, Any]:
    return {
        "resource": "time",
        "limit": limit,
        "window": window,
        "scope": {"everyone": True},
        "minimum_session": session,
    } | more


@pytest.fixture
def prometheus():
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        route = router.route(method="POST")
        route.side_effect = alive
        yield route


class FakeHub(Configurable):
    """What the manager sees of a Hub."""

    users: Any = MappingProxyType({})


class FakeSpawner(SimpleNamespace):
    """A spawner as the Hub leaves it: in the middle of a launch, at first."""

    def __init__(self, user: Any, name: str) -> None:
        started = datetime.now(UTC).replace(tzinfo=None)
        begun = {"pending": "spawn", "active": True, "ready": False}
        stored = SimpleNamespace(started=started, state=None)
        super().__init__(**vars(hub_spawner(name, user=user, orm_spawner=stored, **begun)))
        user.spawners[name] = self

    def becomes_ready(self, since: timedelta = timedelta(0)) -> None:
        self.pending, self.ready = None, True
        self.orm_spawner.started -= since

    def is_gone(self) -> None:
        self.pending, self.ready, self.active = None, False, False
        self.orm_spawner.started = None


@pytest.fixture(scope="module")
def db():
    made = orm.new_session_factory("sqlite:///:memory:")()
    team = orm.Group(name="team")
    made.add(team)
    made.add_all(orm.User(name=name, groups=[team]) for name in ("ada", "bob"))
    made.add(orm.User(name="cleo"))
    made.commit()
    yield made
    made.close()


class Launches:
    """A manager with policies, users and spawners."""

    def __init__(self, db: Any, *policies: dict[str, Any], **options: Any) -> None:
        config = Config()
        config.UsageConfig.prometheus_url = URL
        config.UsageConfig.hub_namespace = "ns"
        config.UsageConfig.deadline = 60.0  # nothing here is to depend on how busy the machine is
        config.UsageQuotaManager.policy = list(policies)
        config.UsageQuotaManager.failover_open = False
        config.UsageQuotaManager.update(options)
        hub = FakeHub(config=config)
        hub.users = self.users = {
            number: hub_user(name, *groups, db=db)
            for number, (name, groups) in enumerate(
                {"ada": ["team"], "bob": ["team"], "cleo": []}.items()
            )
        }
        self.manager = UsageQuotaManager(parent=hub)

    def spawner(self, user: str, name: str = "") -> FakeSpawner:
        owner = next(one for one in self.users.values() if one.name == user)
        return FakeSpawner(owner, name)

    async def allows(self, *spawners: FakeSpawner) -> list[bool]:
        """Which of these launches, all at once, are allowed; a denied one is over."""

        async def allowed(spawner: FakeSpawner) -> bool:
            try:
                await self.manager.pre_spawn_start(spawner.user, spawner)
            except LaunchDenied as denied:
                assert denied.status_code == 429, denied  # noqa: PT017 what is raised is the answer
                spawner.is_gone()
                return False
            return True

        return await asyncio.gather(*(allowed(spawner) for spawner in spawners))

    async def close(self) -> None:
        await self.manager.aclose()


@pytest.fixture
async def launches(prometheus, db):
    made: list[Launches] = []

    def make(*policies: dict[str, Any], **options: Any) -> Launches:
        made.append(Launches(db, *policies, **options))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.mark.parametrize("allowance", [1, 3])
async def test_five_launches_at_once_do_not_pass_on_an_allowance_for_fewer(launches, allowance):
    at = launches(rule(f"{allowance} hours", "1 hour"))
    passed = await at.allows(*(at.spawner("ada", str(number)) for number in range(5)))
    assert sum(passed) == allowance


async def test_five_launches_of_five_users_are_five_allowances(launches):
    at = launches(rule("1 hour", "1 hour"))
    assert await at.allows(at.spawner("ada"), at.spawner("bob"), at.spawner("cleo")) == [True] * 3


async def test_a_launch_does_not_count_against_itself(launches):
    """A hook may be called again for the same launch; and the user may try again."""
    at = launches(rule("1 hour", "1 hour"))
    spawner = at.spawner("ada")
    for _ in range(3):
        assert await at.allows(spawner) == [True]


async def test_a_launch_that_failed_frees_what_it_needed(launches):
    at = launches(rule("1 hour", "1 hour"))
    first, second = at.spawner("ada", "first"), at.spawner("ada", "second")
    assert await at.allows(first) == [True]
    assert await at.allows(second) == [False]
    first.is_gone()
    assert await at.allows(at.spawner("ada", "second")) == [True]


async def test_a_launch_that_was_denied_holds_nothing(launches):
    at = launches(rule("2 hours", "1 hour"), rule("0 hours", "1 hour", servers={"name": ["gpu"]}))
    denied = at.spawner("ada", "gpu")
    assert await at.allows(denied) == [False]
    denied.pending = "spawn"  # for a moment it still is
    assert await at.allows(at.spawner("ada", "a"), at.spawner("ada", "b")) == [True, True]


async def test_a_server_that_runs_keeps_what_is_left_of_its_minimum_session(launches):
    """Of two hours the first server was let in for one: another is, as soon as that leaves one."""
    at = launches(rule("2 hours", "1 hour"))
    first = at.spawner("ada", "first")
    assert await at.allows(first) == [True]
    first.becomes_ready()
    second = at.spawner("ada", "second")
    assert await at.allows(second) == [True]
    # Nothing is used yet, and everything is spoken for, whether they run or not.
    assert await at.allows(at.spawner("ada", "third")) == [False]
    second.becomes_ready()
    for _ in range(3):
        assert await at.allows(at.spawner("ada", "third")) == [False]
    # What stops is no longer spoken for.
    first.is_gone()
    assert await at.allows(at.spawner("ada", "third")) == [True]


async def test_a_session_that_was_used_is_no_longer_reserved(launches):
    at = launches(rule("2 hours", "10 minutes"))
    first = at.spawner("ada", "first")
    assert await at.allows(first) == [True]
    first.becomes_ready(since=timedelta(minutes=30))  # the source knows of none of it
    assert await at.allows(at.spawner("ada", "second")) == [True]


async def test_what_servers_used_since_the_last_scrape_counts(launches, prometheus):
    """The source was last scraped three minutes ago; the server has run for an hour."""

    def late(request: httpx.Request) -> httpx.Response:
        answer = alive(request).json()
        for series in answer["data"]["result"]:
            until = max(instant for instant, _ in series["values"]) - 180
            series["values"] = [one for one in series["values"] if one[0] <= until]
        return httpx.Response(200, json=answer)

    prometheus.side_effect = late
    at = launches(rule("2 minutes", "1 minute"))
    one = at.spawner("ada", "runs")
    assert await at.allows(one) == [True]
    one.becomes_ready(since=timedelta(hours=1))
    assert await at.allows(at.spawner("ada", "second")) == [False]
    one.pending, one.ready = "stop", False
    assert await at.allows(at.spawner("ada", "second")) == [False], "it runs until it has stopped"
    one.is_gone()
    assert await at.allows(at.spawner("ada", "second")) == [True]


@pytest.mark.parametrize("pending", ["check", "rename"])
async def test_a_server_that_runs_counts_whatever_the_hub_does_with_it(launches, pending):
    at = launches(rule("2 minutes", "2 minutes"))
    one = at.spawner("ada", "runs")
    one.becomes_ready(since=timedelta(hours=1))
    one.pending, one.ready, one.server = pending, False, object()
    assert await at.allows(at.spawner("ada", "second")) == [False]


async def test_a_pool_counts_the_pending_launches_of_all_its_members(launches):
    pool = rule("2 hours", "1 hour", share="pooled", scope={"group": ["team"]})
    at = launches(pool)
    three = [at.spawner("ada"), at.spawner("bob"), at.spawner("ada", "more")]
    assert sum(await at.allows(*three, at.spawner("cleo"))) == 3, "two of the team's, and cleo's"
    assert await at.allows(at.spawner("cleo", "more")) == [True]


async def test_servers_of_other_members_run_a_pool_down(launches, prometheus):
    def late(request: httpx.Request) -> httpx.Response:
        asked = httpx.QueryParams(request.content.decode())
        answer = alive(request).json()
        for series in answer["data"]["result"]:
            until = float(asked["end"]) - 300
            series["values"] = [one for one in series["values"] if one[0] <= until]
        return httpx.Response(200, json=answer)

    prometheus.side_effect = late
    at = launches(rule("5 minutes", "1 minute", share="pooled", scope={"group": ["team"]}))
    others = at.spawner("bob")
    others.becomes_ready(since=timedelta(hours=1))
    assert await at.allows(at.spawner("ada")) == [False]
    assert await at.allows(at.spawner("cleo")) == [True], "who is no member"


async def test_selected_servers_are_set_aside_for_alone(launches):
    at = launches(rule("1 hour", "1 hour", servers={"name": ["gpu-*"]}))
    several = [at.spawner("ada", name) for name in ("cpu-1", "cpu-2", "gpu-1", "gpu-2", "")]
    assert await at.allows(*several) == [True, True, True, False, True]


async def test_in_shadow_what_would_be_denied_is_told_as_if_it_were_enforced(launches):
    """Nobody is denied, so all that are under way are; the sixth sees five."""
    at = launches(rule("1 hour", "1 hour"), enforcement="shadow")
    several = [at.spawner("ada", str(number)) for number in range(5)]
    assert await at.allows(*several) == [True] * 5
    assert len(at.manager.pending.besides(None)) == 5


async def test_nothing_is_remembered_of_launches_that_are_over(launches):
    at = launches(rule("9000 hours", "1 hour"))
    for number in range(50):
        one = at.spawner("ada", str(number))
        await at.allows(one)
        one.becomes_ready()
    assert at.manager.pending.besides(None) == []
