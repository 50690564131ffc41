"""The cost monitor over HTTP, with the month of the made-up account, as of some weeks later."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from tornado.netutil import bind_sockets
from traitlets.config import Config

from jupyterhub_usage_quotas.config.costs import CostMonitor, make_cost_monitor
from jupyterhub_usage_quotas.costs.usage_store import UsageStore
from jupyterhub_usage_quotas.ledger.sql.database import Database
from jupyterhub_usage_quotas.ledger.sql.url import parse_ledger_url
from jupyterhub_usage_quotas.services.cost_monitor.app import (
    configured_environment,
    make_context,
    make_cost_service,
    refresh,
)
from jupyterhub_usage_quotas.services.cost_monitor.context import CostContext
from jupyterhub_usage_quotas.services.web.serving import make_server
from tests.support import account

TOKEN = "made-up-7f3a91c0d2b84e65a1f09c3e"
OCTOBER = {"from": "2026-10-01", "to": "2026-10-31"}


def configured(folder: Path, **options: Any) -> CostMonitor:
    """The options of a cost monitor of the made-up account."""
    config = Config()
    config.CostMonitor = Config(
        {
            "sources": ["aws"],
            "cluster_name": account.CLUSTER,
            "ledger_url": f"sqlite:///{folder / 'costs.sqlite'}",
            "own_database": True,
            "prices": account.PRICES,
            "reach_days": 60,
            "token": TOKEN,
            **options,
        }
    )
    return make_cost_monitor(config)


@dataclass
class Clock:
    now: datetime = account.NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Served:
    """A cost monitor, and a client that has its token."""

    http: httpx.AsyncClient
    monitor: CostMonitor
    context: CostContext
    clock: Clock
    url: str

    async def ask_sources(self) -> None:
        await refresh(self.monitor, self.context)

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.http.get(path, params=query)

    async def rows(self, path: str, **query: Any) -> list[Mapping[str, Any]]:
        """The rows of the month."""
        answer = await self.get(path, **{**OCTOBER, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def cost_monitor(
    folder: Path, *, environment: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[Served]:
    """It, served. Sources are asked when `ask_sources` is called."""
    monitor = configured(folder, **options)
    database = Database(parse_ledger_url(monitor.ledger_url), upgrade=True)
    await account.keep_usage(UsageStore(database))
    await database.aclose()
    around = configured_environment(monitor, environment or {})
    clock = Clock()
    context = make_context(monitor, around, clock=clock)
    service = make_cost_service(monitor, around, context)
    server = make_server(service)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}{around.prefix}"

    headers = {"Authorization": f"token {TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers) as http:
        yield Served(http, monitor, context, clock, url)
    server.stop()
    await server.close_all_connections()
    await service.aclose()
