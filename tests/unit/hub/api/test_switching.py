"""Switches of profiles: what is kept, and what becomes of each, whatever fails on the way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jupyterhub_usage_quotas.errors import LedgerUnavailable
from jupyterhub_usage_quotas.hub.api import switching
from jupyterhub_usage_quotas.hub.api.switching import ServerNow, Switches
from jupyterhub_usage_quotas.ledger.sql.switches import Switch, SwitchState

LOG = logging.getLogger("test_switching")
LONG_AGO = timedelta(hours=3)


def switch(user: str = "ada", **more: Any) -> Switch:
    made = Switch(
        user=user,
        server="",
        user_created=None,
        wanted={"profile": "gpu"},
        wanted_name="GPU",
        previous={"profile": "cpu"},
        previous_name="CPU",
        requested=datetime.now(UTC),
    )
    return replace(made, **more)


class Table:
    """The table in memory; it can be away."""

    def __init__(self, *rows: Switch) -> None:
        self.rows = {one.key: one for one in rows}
        self.away = False
        self.history: list[SwitchState] = []

    def _check(self) -> None:
        if self.away:
            raise LedgerUnavailable("away")

    async def all(self) -> Sequence[Switch]:
        self._check()
        return list(self.rows.values())

    async def put(self, one: Switch) -> None:
        await asyncio.sleep(0)
        self._check()
        self.history.append(one.state)
        self.rows[one.key] = one

    async def remove(self, one: Switch) -> None:
        self._check()
        self.rows.pop(one.key, None)


class Fake:
    """Servers that do at once what is requested, but for what is said."""

    def __init__(self, *active: str) -> None:
        self.servers = {
            user: ServerNow(active=True, ready=True, started=datetime.now(UTC) - LONG_AGO)
            for user in active
        }
        self.calls: list[tuple[str, str, Mapping[str, Any] | None]] = []
        self.refusal = ""
        self.failure = ""
        self.unreachable = 0
        self.slow = False
        self.on_stop: Callable[[], None] = lambda: None

    def now(self, user: str, server: str) -> ServerNow:
        return self.servers.get(user, ServerNow())

    async def stop(self, user: str, server: str) -> None:
        self._reach()
        self.calls.append(("stop", user, None))
        self.on_stop()
        if self.slow:
            self.servers[user] = replace(self.servers[user], ready=False, pending="stop")
        else:
            self.servers.pop(user, None)

    async def start(self, one: Switch) -> str:
        self._reach()
        user = one.user
        self.calls.append(("start", user, one.wanted))
        if not self.refusal:
            ended = ServerNow(failure=self.failure)
            runs = ServerNow(active=True, ready=True, started=datetime.now(UTC))
            self.servers[user] = ended if self.failure else runs
        return self.refusal

    def _reach(self) -> None:
        if self.unreachable:
            self.unreachable -= 1
            raise ConnectionError("nobody is there")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are over at once; the clock is the real one."""
    monkeypatch.setattr(switching, "PAUSE", 0)


async def settled(switches: Switches) -> None:
    async with asyncio.timeout(20):
        while switches._tasks:
            await asyncio.gather(*switches._tasks.values())


async def test_it_is_kept_first_then_stopped_then_started_then_forgotten():
    table, fake = Table(), Fake("ada")
    fake.on_stop = lambda: kept.extend(one.state for one in table.rows.values())
    kept: list[SwitchState] = []
    switches = Switches(fake, table, LOG)
    await switches.request(switch())
    await settled(switches)
    assert kept == [SwitchState.STOPPING]
    assert fake.calls == [("stop", "ada", None), ("start", "ada", {"profile": "gpu"})]
    assert table.history == [SwitchState.STOPPING, SwitchState.STARTING]
    assert (table.rows, switches.of("ada")) == ({}, [])


async def test_what_cannot_be_kept_is_not_begun():
    table, fake = Table(), Fake("ada")
    table.away = True
    switches = Switches(fake, table, LOG)
    with pytest.raises(LedgerUnavailable):
        await switches.request(switch())
    await asyncio.sleep(0)
    assert (fake.calls, switches.of("ada"), switches.under_way("ada", "")) == ([], [], False)


async def test_a_ledger_that_goes_away_meanwhile_holds_nothing_up():
    table, fake = Table(), Fake("ada")
    fake.on_stop = lambda: setattr(table, "away", True)
    switches = Switches(fake, table, LOG)
    await switches.request(switch())
    await settled(switches)
    assert fake.now("ada", "").ready
    assert switches.of("ada") == []


@pytest.mark.parametrize("how", ["refusal", "failure"])
async def test_a_server_that_does_not_start_says_why_until_it_runs_again(how):
    table, fake = Table(), Fake("ada")
    setattr(fake, how, "No GPU is free.")
    switches = Switches(fake, table, LOG)
    await switches.request(switch())
    await settled(switches)
    (failed,) = switches.of("ada")
    assert (failed.state, failed.message) == (SwitchState.FAILED, "No GPU is free.")
    assert table.rows[failed.key] == failed
    fake.servers["ada"] = ServerNow(active=True, ready=True)
    assert switches.of("ada") == []


async def test_one_that_fails_does_not_hold_up_another():
    table, fake = Table(), Fake("ada", "bob")
    fake.on_stop = lambda: 1 / 0 if len(fake.calls) == 1 else None
    switches = Switches(fake, table, LOG)
    await switches.request(switch())
    await switches.request(switch("bob"))
    await settled(switches)
    assert [one.state for one in switches.of("bob")] == []
    assert fake.now("bob", "").started > datetime.now(UTC) - timedelta(minutes=1)


async def test_a_slow_stop_is_waited_for_and_not_requested_again():
    table, fake = Table(), Fake("ada")
    fake.slow = True
    switches = Switches(fake, table, LOG)
    await switches.request(switch())
    for _ in range(50):
        await asyncio.sleep(0)
    assert [call[0] for call in fake.calls] == ["stop"]
    assert switches.under_way("ada", "")
    fake.servers.pop("ada")
    await settled(switches)
    assert [call[0] for call in fake.calls] == ["stop", "start"]


# --- after a restart of the Hub -----------------------------------------------------------------


async def resumed(table: Table, fake: Fake) -> Switches:
    switches = Switches(fake, table, LOG)
    await switches.resume()
    await settled(switches)
    return switches


@pytest.mark.parametrize("state", [SwitchState.STOPPING, SwitchState.STARTING])
async def test_what_was_kept_is_done(state):
    table, fake = Table(switch(state=state)), Fake()
    await resumed(table, fake)
    assert fake.calls == [("start", "ada", {"profile": "gpu"})]
    assert table.rows == {}


async def test_a_server_that_was_not_stopped_yet_is_stopped():
    table, fake = Table(switch()), Fake("ada")
    await resumed(table, fake)
    assert [call[0] for call in fake.calls] == ["stop", "start"]


async def test_a_server_that_its_user_has_started_since_is_left_alone():
    table, fake = Table(switch(requested=datetime.now(UTC) - timedelta(minutes=2))), Fake()
    fake.servers["ada"] = ServerNow(active=True, ready=True, started=datetime.now(UTC))
    await resumed(table, fake)
    assert (fake.calls, table.rows) == ([], {})


async def test_a_hub_that_was_away_for_long_says_so_and_starts_nothing():
    table, fake = Table(switch(requested=datetime.now(UTC) - LONG_AGO)), Fake()
    switches = await resumed(table, fake)
    (failed,) = switches.of("ada")
    assert (failed.state, fake.calls) == (SwitchState.FAILED, [])
    assert "interrupted" in failed.message


async def test_what_failed_days_ago_is_forgotten():
    old = switch(state=SwitchState.FAILED, requested=datetime.now(UTC) - timedelta(days=2))
    table, fake = Table(old), Fake()
    switches = await resumed(table, fake)
    assert (table.rows, switches.of("ada"), fake.calls) == ({}, [], [])


async def test_a_hub_that_does_not_answer_yet_is_waited_for():
    table, fake = Table(switch(state=SwitchState.STARTING)), Fake()
    fake.unreachable = 1
    await resumed(table, fake)
    assert fake.calls == [("start", "ada", {"profile": "gpu"})]
