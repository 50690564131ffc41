"""A Hub with running servers, made up: its users, its API at the transport, usage and the clock."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import httpx
from jupyterhub import orm

from jupyterhub_usage_quotas.hub.guard.desk import NoticeDesk
from jupyterhub_usage_quotas.hub.guard.guard import Guard
from jupyterhub_usage_quotas.hub.guard.hub_api import HubApi
from jupyterhub_usage_quotas.hub.guard.judging import Judge
from jupyterhub_usage_quotas.hub.guard.memory import Memory
from jupyterhub_usage_quotas.hub.guard.stops import Stops
from jupyterhub_usage_quotas.hub.launch.kept import keep
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.ledger.sql.cached import CachedLedger
from jupyterhub_usage_quotas.ledger.sql.guarding import SqlGuard
from jupyterhub_usage_quotas.ledger.sql.store import SqlLedger
from jupyterhub_usage_quotas.quotas.charge import PoolAccounts
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.stopping.steps import Rules
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Bucket, Fresh, Unknown, Usage
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.inputs import pool_readings
from jupyterhub_usage_quotas.status.language import ENGLISH
from tests.support.hub_objects import hub_spawner, hub_user

BEGIN = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULES = Rules(timedelta(minutes=5), tuple(timedelta(minutes=n) for n in (30, 10, 2)))
POLICY = {
    "name": "hours",
    "resource": "time",
    "limit": "60 minutes",
    "window": {"calendar": "day"},
    "scope": {"everyone": True},
    "when_exhausted": "stop",
}


class Meter:
    """Knows what servers used up to the last whole minute, by when they started and ended."""

    def __init__(self) -> None:
        self.covered_until = BEGIN
        self.sessions: dict[str, list[list[Any]]] = {}
        self.unknown: Unknown | None = None
        self.users: list[str] = []
        self.peeked = 0

    def is_fresh(self, _over: timedelta, _now: datetime) -> bool:
        return self.unknown is None

    def peek(self, names: Any, resources: Any, _over: Any, now: datetime, **_: Any) -> Any:
        self.peeked += 1
        return {name: {one: self._reading(name, now) for one in resources} for name in names}

    def _reading(self, name: str, now: datetime) -> Any:
        if self.unknown is not None:
            return self.unknown
        until = self.covered_until
        if now - until > timedelta(minutes=5) or until > now:
            return Unknown("stale", "too old, or of another clock")
        buckets = []
        for start, end in self.sessions.get(name, ()):
            last = min(end or until, until)
            if last > start:
                seconds = (last - start).total_seconds()
                buckets.append(Bucket(start.timestamp(), last.timestamp(), seconds))
        return Fresh(Usage(tuple(buckets), until))


class MadeUpHub:
    """A Hub whose time goes on as tests say."""

    def __init__(self, policies: Any = None, **more: Any) -> None:
        self.now = BEGIN
        self.ticks = 0.0
        self.policies = parse_policies([POLICY] if policies is None else policies, **more)
        self.meter = Meter()
        self.log = logging.getLogger("made-up-hub")
        db = orm.new_session_factory("sqlite:///:memory:")()
        self.app = SimpleNamespace(
            users={}, log=self.log, db=db, trait_has_value=lambda name: name == "users"
        )
        self.requests: list[tuple[str, str]] = []
        self.slow = False
        self.refuses = 0
        self.asked = asyncio.Event()
        self.snapshot = SimpleNamespace(pools=PoolAccounts(self.policies, {}, ()))
        self.guard: Guard | None = None

    # --- users and servers ---

    def user(self, name: str, *groups: str) -> Any:
        user = hub_user(name, *groups)
        self.app.users[len(self.app.users) + 1] = user
        self.app.db.add(orm.User(name=name))
        self.app.db.commit()
        return user

    def start(self, user: Any, name: str = "", **rates: float) -> Any:
        started = self.now
        stored = SimpleNamespace(started=started.replace(tzinfo=None), state=None)
        spawner = hub_spawner(name, user=user, active=True, orm_spawner=stored)
        subject = Subject(user.name, frozenset(one.name for one in user.groups))
        keep(spawner, Request(subject, name, rates={"time": 1.0} | rates), started)
        user.spawners[name] = spawner
        self.meter.sessions.setdefault(user.name, []).append([started, None])
        owner = self.app.db.query(orm.User).filter_by(name=user.name).one()
        row = self.app.db.query(orm.Spawner).filter_by(user=owner, name=name).first()
        row = row or orm.Spawner(user=owner, name=name)
        row.server, row.started = orm.Server(), stored.started
        self.app.db.add(row)
        self.app.db.commit()
        return spawner

    def end(self, user: Any, name: str = "") -> None:
        spawner = user.spawners[name]
        spawner.active = False
        spawner.pending = None
        for session in self.meter.sessions[user.name]:
            if session[0].replace(tzinfo=None) == spawner.orm_spawner.started:
                session[1] = self.now
        owner = self.app.db.query(orm.User).filter_by(name=user.name).one()
        self.app.db.query(orm.Spawner).filter_by(user=owner, name=name).one().server = None
        self.app.db.commit()

    # --- its API ---

    def answer(self, request: httpx.Request) -> httpx.Response:
        parts = [unquote(one) for one in request.url.raw_path.decode().split("/")[3:]]
        self.requests.append((request.method, "/".join(parts)))
        user = next((one for one in self.app.users.values() if one.name == parts[1]), None)
        if user is None:
            return httpx.Response(404)
        if request.method == "GET":
            servers = {
                name: {
                    "started": f"{one.orm_spawner.started.isoformat()}Z",
                    "pending": one.pending,
                    "ready": one.active and not one.pending,
                }
                for name, one in user.spawners.items()
                if one.active
            }
            return httpx.Response(200, content=json.dumps({"servers": servers}))
        self.asked.set()
        if self.refuses:
            self.refuses -= 1
            return httpx.Response(500)
        name = parts[3] if len(parts) > 3 else ""
        if self.slow:
            user.spawners[name].pending = "stop"
            return httpx.Response(202)
        self.end(user, name)
        return httpx.Response(204)

    @property
    def deleted(self) -> list[str]:
        return [path for method, path in self.requests if method == "DELETE"]

    # --- the guard ---

    def ledger(self, folder: Path) -> CachedLedger:
        ledger = CachedLedger(SqlLedger.at(f"sqlite:///{folder}/ledger.sqlite"))
        ledger.journal.database.upgrades = True
        return ledger

    def watch(self, ledger: Any = NO_LEDGER, *, enforced: bool = True, rules: Any = RULES) -> Guard:
        database = ledger.journal.database if isinstance(ledger, CachedLedger) else None
        sql = SqlGuard(database, "hub") if database else None
        self.memory = Memory(sql, self.log, again=0.01)
        judge = Judge(self.policies, self.meter, ledger, self.snapshot, rules)

        def api() -> HubApi:
            transport = httpx.MockTransport(self.answer)
            return HubApi(httpx.AsyncClient(transport=transport, base_url="http://hub/hub/api/"))

        def stops(guard: Guard) -> Stops:
            return Stops(api, guard.is_still_over, guard.stop_ended, self.log, every=0.001)

        self.guard = Guard(
            self.app,
            judge,
            ledger,
            self.memory,
            NoticeDesk(self.memory, ENGLISH, self.log, enforced=enforced),
            stops,
            hub="hub",
            enforced=enforced,
            clock=lambda: self.now,
            monotonic=lambda: self.ticks,
        )
        if isinstance(ledger, CachedLedger):
            ledger.on_change.append(self.guard.ledger_changed)
        return self.guard

    def pass_(self, time: timedelta) -> None:
        self.now += time
        self.ticks += time.total_seconds()

    def read(self) -> None:
        """The meter reads what was used up to the last whole minute."""
        if self.meter.unknown is None:
            self.meter.covered_until = self.now.replace(second=0, microsecond=0)
        pools = {}
        for policy in self.policies:
            if policy.pooled:
                members = {one.name for one in self.app.users.values()}
                readings = self.meter.peek(members, {policy.resource}, None, self.now)
                pools |= pool_readings(readings, {policy.name: members})
        self.snapshot.pools = PoolAccounts(self.policies, pools, ())

    async def minutes(self, number: int, settle: bool = True) -> None:
        """So many minutes pass, with a refresh after each."""
        for _ in range(number):
            self.pass_(MINUTE)
            self.read()
            await self.guard.refreshed(self.now)
            if settle:
                await self.guard.settle()
