"""The refresh loop calls every listener, whatever one of them does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm
from prometheus_client import REGISTRY

from jupyterhub_usage_quotas.hub.refresh import RefreshLoop, UnmatchedKeys
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.policy import PolicySet

LOG = logging.getLogger("test_refresh")
POLICIES = parse_policies(
    [{"resource": "time", "limit": "1 hours", "window": 3, "scope": {"everyone": True}}]
)


class Refreshes:
    """A meter that refreshes a few times."""

    def __init__(self, times: int = 1) -> None:
        self.times = times
        self.reach: timedelta | None = None

    async def keep(self, reach: timedelta, refreshed: Any) -> None:
        self.reach = reach
        for _ in range(self.times):
            await refreshed()


class Listener:
    """Notes when it is called."""

    def __init__(self, calls: list[str], name: str) -> None:
        self.calls, self.name = calls, name
        self.at: list[datetime] = []

    async def refreshed(self, now: datetime) -> None:
        self.calls.append(self.name)
        self.at.append(now)


class Failing(Listener):
    """Notes it, and fails."""

    async def refreshed(self, now: datetime) -> None:
        await super().refreshed(now)
        raise RuntimeError("the database is away")


def internal_errors() -> float:
    name = "jupyterhub_usage_quotas_refreshes_total"
    return REGISTRY.get_sample_value(name, {"outcome": "internal_error"}) or 0.0


async def test_listeners_are_called_in_their_order_after_every_refresh():
    calls: list[str] = []
    first, second = Listener(calls, "first"), Listener(calls, "second")
    meter, before = Refreshes(2), datetime.now(UTC)
    await RefreshLoop(meter, POLICIES, [first, second], LOG).run()
    assert calls == ["first", "second", "first", "second"]
    assert meter.reach == timedelta(days=3)
    assert all(before <= at <= datetime.now(UTC) for at in first.at)


async def test_one_that_fails_keeps_no_other_from_being_called(caplog):
    calls: list[str] = []
    listeners = [Failing(calls, "failing"), Listener(calls, "next")]
    before = internal_errors()
    with caplog.at_level(logging.ERROR):
        await RefreshLoop(Refreshes(2), POLICIES, listeners, LOG).run()
    assert calls == ["failing", "next"] * 2
    assert internal_errors() == before + 2
    assert [record.getMessage() for record in caplog.records] == [
        "Failing failed after a refresh; it is called again after the next"
    ] * 2
    assert all("the database is away" in str(record.exc_info[1]) for record in caplog.records)


async def test_to_be_cancelled_is_no_failure_of_a_listener():
    class Waiting:
        async def refreshed(self, now: datetime) -> None:
            waits.set()
            await asyncio.Event().wait()

    waits, before = asyncio.Event(), internal_errors()
    running = asyncio.ensure_future(RefreshLoop(Refreshes(), POLICIES, [Waiting()], LOG).run())
    await waits.wait()
    running.cancel()
    (ended,) = await asyncio.gather(running, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError)
    assert internal_errors() == before


async def test_without_policies_nothing_is_refreshed():
    calls: list[str] = []
    await RefreshLoop(Refreshes(), PolicySet(), [Listener(calls, "one")], LOG).run()
    assert calls == []


@pytest.fixture
def db():
    """The Hub's, with one user. To make it takes the handlers off the root logger."""
    made = orm.new_session_factory("sqlite:///:memory:")()
    made.add(orm.User(name="ada"))
    made.commit()
    yield made
    made.close()


class Homes:
    """A gauge of which something is there from some time on."""

    name = "home storage"
    source = SimpleNamespace(keys="home directories", hint="UsageConfig.home_storage_directory")

    def __init__(self) -> None:
        self.values: dict[str, Any] | None = None

    def unmatched(self, users: Iterable[str]) -> set[str]:
        return set(self.values or ()) - set(users)


async def test_keys_that_match_no_user_are_logged_once_when_they_are_known(db, caplog):
    homes = Homes()
    app = SimpleNamespace(db=db, log=logging.getLogger("test_refresh.homes"))
    listener = UnmatchedKeys(app, SimpleNamespace(gauges=[homes]))
    with caplog.at_level(logging.WARNING):
        await listener.refreshed(datetime.now(UTC))
        homes.values = {}
        await listener.refreshed(datetime.now(UTC))
        assert caplog.messages == []
        homes.values = dict.fromkeys(("ada", "zoe", "yan"))
        for _ in range(2):
            await listener.refreshed(datetime.now(UTC))
    assert caplog.messages == [
        "2 of 3 home directories match no user (for example 'yan', 'zoe'). Check"
        " UsageConfig.home_storage_directory"
    ]
