"""The Hub's own REST API, by which servers are stopped: it removes the proxy's route first, and
asks for no more rights than the guard's role has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from ...conventions import GUARD_ROLE, GUARD_SCOPES, GUARD_SERVICE
from ...errors import UsageQuotasError
from ...quotas.messages import said_by
from ..own_api import own_api
from ..types import HubApp

PATIENCE = 30.0
"""Seconds: the Hub answers a request to stop a server after `slow_stop_timeout`, usually 10."""
NOTE = "usage quotas: made when the Hub started"


class HubApiFailed(UsageQuotasError):
    """The Hub did not do what was requested."""


@dataclass(frozen=True, slots=True)
class ServerNow:
    """A running server, as the Hub's API shows it."""

    started: datetime | None
    pending: str | None
    ready: bool


class HubApi:
    """Looks at servers, and stops them. Everything raises `HubApiFailed`."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def server(self, user: str, name: str) -> ServerNow | None:
        """A server that runs, starts or stops; None where there is none."""
        answer = await self._request("GET", f"users/{quote(user, safe='')}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        try:
            found = answer.raise_for_status().json()["servers"].get(name)
            return None if found is None else _server(found)
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise HubApiFailed(f"the answer about the server: {type(error).__name__}") from None

    async def stop(self, user: str, name: str) -> bool:
        """Stop a server; False where that goes on, or the server is gone."""
        which = f"servers/{quote(name, safe='')}" if name else "server"
        answer = await self._request("DELETE", f"users/{quote(user, safe='')}/{which}")
        match answer.status_code:
            case httpx.codes.NO_CONTENT:
                return True
            case httpx.codes.ACCEPTED | httpx.codes.NOT_FOUND:
                return False
            case status:
                raise HubApiFailed(f"the Hub answered {status}")

    async def _request(self, method: str, path: str) -> httpx.Response:
        try:
            return await self._http.request(method, path)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HubApiFailed(said_by(error)) from None


def _server(found: Mapping[str, Any]) -> ServerNow:
    started = found.get("started")
    at = datetime.fromisoformat(started) if started else None
    if at is not None and at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return ServerNow(at, found.get("pending"), bool(found.get("ready")))


# --- inside of the Hub ---------------------------------------------------------------------------


def declare_guard(app: HubApp) -> None:
    """Give the guard a service and a role of its own, unless the admin declared them."""
    if all(one.get("name") != GUARD_SERVICE for one in app.services):
        app.services = [*app.services, {"name": GUARD_SERVICE, "display": False}]
    if all(one.get("name") != GUARD_ROLE for one in app.load_roles):
        role = {
            "name": GUARD_ROLE,
            "description": "Stop servers whose usage quota is used up",
            "scopes": list(GUARD_SCOPES),
            "services": [GUARD_SERVICE],
        }
        app.load_roles = [*app.load_roles, role]


def open_hub_api(app: HubApp) -> HubApi:
    """The API of a Hub that runs in this process."""
    http = own_api(app, PATIENCE)
    http.headers["Authorization"] = f"token {_new_token(app)}"
    return HubApi(http)


def _new_token(app: HubApp) -> str:
    """A token of the guard's service, in place of those of earlier starts."""
    from jupyterhub import orm  # noqa: PLC0415 the Hub's database models

    service = orm.Service.find(app.db, GUARD_SERVICE)
    if service is None:
        raise HubApiFailed(f"the Hub has no service {GUARD_SERVICE}")
    for one in list(service.api_tokens):
        if one.note == NOTE:
            app.db.delete(one)
    app.db.commit()
    return str(service.new_api_token(note=NOTE))
