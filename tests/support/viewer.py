"""The viewer in front of a Hub that a test makes up, and a meter that knows what it is told."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler, create_signed_value

from jupyterhub_usage_quotas.conventions import ENV_HANDED_OVER, SCOPE_READ, VIEWER_SERVICE
from jupyterhub_usage_quotas.quotas.subject import REST
from jupyterhub_usage_quotas.quotas.usage import Fresh, Reading, Unknown, Usage
from jupyterhub_usage_quotas.services.viewer.app import make_viewer_service
from jupyterhub_usage_quotas.services.viewer.configuration import Configured, read_configuration
from jupyterhub_usage_quotas.services.web.environment import ServiceEnvironment
from jupyterhub_usage_quotas.services.web.serving import make_server

ACCESS = "access:services!service=usage-quota"
PREFIX = "/hubs/one/services/usage-quota/"
PATIENCE = 120
"""Seconds after which something is broken, and not just slow."""
SECRET = "rhubarb-hinge-41-walnut-otter"
"""A session secret, for `UsageViewer.session_secret_key`."""
SESSION_COOKIE = "service-usage-quota"


def token_of(name: str) -> str:
    """The token of a user, whatever the name is made of."""
    return f"token-of-{name if name.isalnum() and name.isascii() else name.encode().hex()}"


@dataclass
class FakeMeter:
    """A meter whose readings a test sets; without one, nothing was used."""

    readings: dict[str, dict[str, Reading]] = field(default_factory=dict)
    otherwise: Reading | None = None
    asked: list[Any] = field(default_factory=list)
    gauges: Sequence[Any] = ()
    """What is shown whether a policy limits it or not: each has its `resource`."""

    async def read(
        self,
        users: Collection[str] | None,
        resources: Collection[str],
        over: timedelta,
        now: datetime,
        *,
        named: Collection[str] = (),
    ) -> Mapping[str, Mapping[str, Reading]]:
        """See `Meter.read`."""
        self.asked.append(users)
        unused = self.otherwise or Fresh(Usage((), now))
        names = [*self.readings, REST, *named] if users is None else users
        return {
            name: {
                resource: self.readings.get(name, {}).get(resource, unused)
                for resource in resources
            }
            for name in names
        }

    async def keep(self, reach: timedelta) -> None:
        """Nothing to keep."""

    async def aclose(self) -> None:
        """Nothing to close."""


@dataclass
class FakeHub:
    """A Hub's REST API: users by name, and whose every token is."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    down: bool = False
    hangs: bool = False
    requests: list[str] = field(default_factory=list)

    def add_user(self, name: str, *groups: str, admin: bool = False) -> None:
        """A user, whose token is `token_of(name)`, with the scopes that users have."""
        model = {"kind": "user", "name": name, "groups": list(groups), "admin": admin}
        self.users[name] = model
        scopes = [ACCESS, f"{SCOPE_READ}!user={name}"]
        self.tokens[token_of(name)] = model | {
            "scopes": [*scopes, "admin:users"] if admin else scopes
        }

    def add_token(self, token: str, name: str, *scopes: str, kind: str = "service") -> None:
        """A token of a service, or (kind "user") of a user."""
        model = self.users.get(name, {"kind": kind, "name": name})
        self.tokens[token] = model | {"scopes": list(scopes)}


class _HubHandler(RequestHandler):
    def initialize(self, hub: FakeHub) -> None:
        self.hub = hub

    async def prepare(self) -> None:
        self.hub.requests.append(self.request.uri)
        if self.hub.hangs:
            await asyncio.Event().wait()
        if self.hub.down:
            self.set_status(503)
            self.finish("<html>the inside of the Hub</html>")

    def get(self, path: str) -> None:
        token = self.request.headers.get("Authorization", "").removeprefix("token ")
        if path == "user":
            model = self.hub.tokens.get(token)
            self.set_status(200 if model else 403)
            self.finish(json.dumps(model or {"status": 403}))
        elif path == "users":
            self._list()
        else:
            model = self.hub.users.get(path.removeprefix("users/"))
            self.set_status(200 if model else 404)
            self.finish(json.dumps(model or {"status": 404}))

    def _list(self) -> None:
        offset, limit = (int(self.get_argument(name)) for name in ("offset", "limit"))
        limit = min(limit, 2)
        models = list(self.hub.users.values())
        following = offset + limit
        pagination = {
            "offset": offset,
            "limit": limit,
            "total": len(models),
            "next": {"offset": following, "limit": limit} if following < len(models) else None,
        }
        assert "application/jupyterhub-pagination+json" in self.request.headers["Accept"]
        self.finish(json.dumps({"items": models[offset:following], "_pagination": pagination}))


@dataclass
class Viewer:
    """A running viewer, its Hub and its meter."""

    url: str
    hub: FakeHub
    meter: Any

    def get(self, path: str, token: str = "", **options: Any) -> httpx.Response:
        """An answer; `path` is below the service's prefix."""
        headers = {"Authorization": f"token {token}"} if token else {}
        method = options.pop("method", "GET")
        headers |= options.pop("headers", {})
        with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
            url = httpx.URL(self.url + PREFIX + path)
            return client.request(method, url, headers=headers, **options)

    def api(self, path: str, user: str, **options: Any) -> httpx.Response:
        """An answer of the API to a user's token."""
        return self.get(f"api/v1/{path}", token_of(user), **options)

    def cookies_of(self, token: str) -> dict[str, str]:
        """The cookies of a browser whose user has logged in, and was given this token of the Hub;
        of a viewer whose secret is `SECRET`.
        """
        key = hashlib.sha256(SECRET.encode()).digest()
        value = create_signed_value(key, SESSION_COOKIE, token).decode()
        session = {SESSION_COOKIE: value}
        page = self.get("", headers={"Cookie": _cookie_header(session)})
        return session | {"_xsrf": page.cookies["_xsrf"]}

    def in_session(self, path: str, cookies: Mapping[str, str], **options: Any) -> httpx.Response:
        """An answer to a script of a page of ours, in this browser."""
        headers = {
            "Cookie": _cookie_header(cookies),
            "X-XSRFToken": cookies["_xsrf"],
            "Sec-Fetch-Mode": "cors",
            "Sec-Fetch-Site": "same-origin",
        }
        headers |= options.pop("headers", {})
        return self.get(f"api/v1/{path}", headers=headers, **options)


def _cookie_header(cookies: Mapping[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


@contextmanager
def running_viewer(
    sections: Mapping[str, Any],
    files: Collection[Path] = (),
    *,
    configured: Configured | None = None,
    meter: Any = None,
    meter_of_past: Any = None,
) -> Iterator[Viewer]:
    """A viewer with these sections of configuration, in a thread of its own; or with what was
    `configured` before. Its meter is a `FakeMeter`, unless one is given.
    """
    hub, meter = FakeHub(), meter or FakeMeter()
    started: Any = threading.Event()
    state: dict[str, Any] = {}

    async def serve() -> None:
        hub_sockets = bind_sockets(0, "127.0.0.1")
        hub_server = HTTPServer(Application([("/hub/api/(.*)", _HubHandler, {"hub": hub})]))
        hub_server.add_sockets(hub_sockets)
        environment = {f"{ENV_HANDED_OVER}_0": json.dumps(sections)}
        around = ServiceEnvironment.of(
            {
                "JUPYTERHUB_API_TOKEN": "token-of-the-service",
                "JUPYTERHUB_API_URL": f"http://127.0.0.1:{_port(hub_sockets)}/hub/api",
                "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
            },
            VIEWER_SERVICE,
        )
        read = configured or read_configuration(environment, list(files))
        service = make_viewer_service(read, around, meter, meter_of_past=meter_of_past)
        sockets = bind_sockets(0, "127.0.0.1")
        server = make_server(service)
        server.add_sockets(sockets)
        state.update(url=f"http://127.0.0.1:{_port(sockets)}", stop=asyncio.Event())
        state["loop"] = asyncio.get_running_loop()
        started.set()
        await state["stop"].wait()
        server.stop()
        hub_server.stop()
        await server.close_all_connections()
        await service.aclose()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(30)
    try:
        yield Viewer(state["url"], hub, meter)
    finally:
        state["loop"].call_soon_threadsafe(state["stop"].set)
        thread.join(30)


def _port(sockets: Any) -> int:
    return int(sockets[0].getsockname()[1])


def the_minute() -> datetime:
    """The whole minute that the viewer's answers are about."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


UNKNOWN = Unknown("unreachable", "Prometheus: connection to http://secret:pw@10.0.0.7 refused")
