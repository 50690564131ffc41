"""Servers as the Hub has them in memory, stopped and started by the Hub's own REST API, so that
everything is done that the Hub does for its users: with a role of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx
import jupyterhub
from jupyterhub import orm

from ...ledger.sql.switches import LONGEST_MESSAGE, Switch
from ...quotas.messages import printable, said_by
from ...quotas.subject import in_utc
from ..launch.servers import started_at
from ..own_api import own_api
from ..types import HubSpawner
from ..users import users_of
from .access import SERVICE
from .switching import DID_NOT_START, ServerNow

TOKEN_SECONDS: Final = 3600
PATIENCE: Final = 120
"""Seconds that an answer may take: the Hub itself answers after ten, whatever the spawner does."""


class OwnServers:
    """The servers of a Hub; see `switching.Servers`."""

    def __init__(self, app: Any) -> None:
        """`app` is the Hub. It is only used once it serves."""
        self._app = app
        self._http: httpx.AsyncClient | None = None

    def now(self, user: str, server: str) -> ServerNow:
        """See `switching.Servers`."""
        spawner = self._spawner(user, server)
        if spawner is None:
            return ServerNow()
        return ServerNow(
            active=bool(spawner.active),
            ready=bool(getattr(spawner, "ready", False)),
            pending=spawner.pending or None,
            started=started_at(spawner),
            failure=_failure(spawner),
        )

    async def stop(self, user: str, server: str) -> None:
        """See `switching.Servers`."""
        await self._request("DELETE", user, server, None)

    async def start(self, switch: Switch) -> str:
        """See `switching.Servers`."""
        found = orm.User.find(self._app.db, switch.user)
        if found is None or in_utc(found.created) != switch.user_created:
            return DID_NOT_START  # it was another user's, of the same name
        body = switch.wanted
        if jupyterhub.version_info >= (6,):
            body = {"user_options": body}
        return await self._request("POST", switch.user, switch.server, body)

    async def _request(
        self, method: str, user: str, server: str, body: Mapping[str, Any] | None
    ) -> str:
        where = f"servers/{quote(server, safe='')}" if server else "server"
        if self._http is None:
            self._http = own_api(self._app, PATIENCE)
        headers = {"Authorization": f"token {self._token()}"}
        url = f"users/{quote(user, safe='')}/{where}"
        try:
            answer = await self._http.request(method, url, headers=headers, json=body)
        except httpx.HTTPError as error:
            raise ConnectionError(said_by(error)) from error
        return "" if answer.is_success else _said(answer.content)

    def _token(self) -> str:
        """A token for a while: the Hub deletes it when that has passed."""
        service = orm.Service.find(self._app.db, SERVICE)
        if service is None:
            raise ConnectionError("the Hub has not made its services yet")
        token: str = service.new_api_token(expires_in=TOKEN_SECONDS, note="switching profiles")
        return token

    def _spawner(self, user: str, server: str) -> HubSpawner | None:
        found = next((one for one in users_of(self._app) if one.name == user), None)
        return found.spawners.get(server) if found is not None else None


def _failure(spawner: HubSpawner) -> str:
    """Why the last start failed, as the Hub shows it; empty where that is for admins alone."""
    launch = spawner._spawn_future
    if launch is None or not launch.done() or launch.cancelled():
        return ""
    return str(getattr(launch.exception(), "jupyterhub_message", "") or "")


def _said(body: bytes | None) -> str:
    """The message of an answer of the Hub's, on a line of bounded length."""
    try:
        said = json.loads(body or b"")["message"]
    except (ValueError, KeyError, TypeError):
        said = ""
    return printable(str(said), LONGEST_MESSAGE) or "the Hub refused it"
