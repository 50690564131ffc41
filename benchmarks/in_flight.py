"""What is in flight on a Hub with very many running servers: how long it takes to say so."""

from __future__ import annotations

import asyncio
import logging
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from benchmarks.report import Measured
from jupyterhub_usage_quotas.hub.launch.kept import keep
from jupyterhub_usage_quotas.hub.launch.servers import Pending
from jupyterhub_usage_quotas.hub.sessions.recorder import HubServers, SessionRecorder
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request
from tests.support.hub_objects import hub_spawner, hub_user

GIB = 2.0**30
NOW = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)


def of_users(number: int) -> list[Any]:
    """Users with a running server each."""
    users = []
    for at in range(number):
        user = hub_user(f"user-{at}", f"group-{at % 20}")
        spawner = hub_spawner(
            "", user=user, active=True, orm_spawner=SimpleNamespace(started=NOW, state={})
        )
        rates = {"memory": GIB, "cpu": 1.0, "time": 1.0}
        keep(spawner, Request(Subject(user.name), rates=rates), NOW)
        user.spawners = {"": spawner}
        users.append(user)
    return users


def recorder_of(users: list[Any]) -> SessionRecorder:
    """A recorder that has seen all of their servers begin."""
    store: Any = None
    events: Any = None
    made = SessionRecorder(
        store,
        "hub",
        HubServers(lambda: users, dict),
        events,
        logging.getLogger("bench"),
        heartbeat=60,
        kept=1e9,
    )
    asyncio.run(made._compare())
    return made


def took(work: Callable[[], object]) -> float:
    """Milliseconds of the processor, the median of some."""
    each = []
    for _ in range(5):
        begun = time.process_time()
        work()
        each.append((time.process_time() - begun) * 1e3)
    return statistics.median(each)


def in_flight(number: int) -> Measured:
    """The row of so many running servers."""
    users = of_users(number)
    pending = Pending()
    without = took(lambda: pending.in_flight(users, reserved=True))
    pending.seen = recorder_of(users)
    figures = {
        "by the Hub's servers": without,
        "by the session log": took(lambda: pending.in_flight(users, reserved=True)),
    }
    return Measured(f"{number:,} servers", figures)
