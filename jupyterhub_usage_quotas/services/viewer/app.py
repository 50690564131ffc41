"""The Usage Quota Dashboard: how it is set up, served and ended.

A service of JupyterHub, run by the Hub or by itself: what it must know of the Hub is in the
environment variables that JupyterHub gives its services.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import os
import secrets
import signal
import ssl
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.services.auth import HubOAuth
from jupyterhub.utils import make_ssl_context, url_path_join
from tornado.httpserver import HTTPServer
from tornado.web import Application

from ... import conventions
from ...config.quotas import Enforcement
from ...errors import ConfigurationError
from ...metering.meter import Meter
from ...quotas.usage import Unknown
from ...status.standing import Standings
from ..web.assets import STATIC, AssetHandler, Assets
from ..web.handler import Services
from ..web.hub_api import HubClient
from ..web.rendering import Pages
from .api import handlers as api
from .configuration import Configured, read_configuration
from .pages import handlers

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SECONDS_WITHOUT_PARENT = 2
WRONG_CONFIGURATION = 2
LOG = logging.getLogger("usage_viewer")
IDENTITY_KEPT = 60
"""How long, in seconds, what the Hub says about a session or token is used again."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the service and its Hub are, from the environment that JupyterHub gives a service."""

    name: str
    prefix: str
    url: str
    api_url: str
    api_token: str
    client_id: str
    hub_prefix: str
    hub_host: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Surroundings:
        """Read the environment; raises `ConfigurationError` that names what is missing."""
        name = environment.get("JUPYTERHUB_SERVICE_NAME") or conventions.VIEWER_SERVICE
        base = environment.get("JUPYTERHUB_BASE_URL") or "/"
        usual = url_path_join(base, "services", name, "/")
        prefix = url_path_join("/", environment.get("JUPYTERHUB_SERVICE_PREFIX") or usual, "/")
        if not environment.get("JUPYTERHUB_BASE_URL"):
            base = prefix.partition("services/")[0] or "/"
        missing = [key for key in ("JUPYTERHUB_API_TOKEN",) if not environment.get(key)]
        if missing:
            raise ConfigurationError(
                [
                    f"{key}: is not set. The Hub sets it for a service that it runs; for one that"
                    " runs by itself, set it to the service's api_token"
                    for key in missing
                ]
            )
        return cls(
            name,
            prefix,
            environment.get("JUPYTERHUB_SERVICE_URL") or "http://127.0.0.1:9000",
            environment.get("JUPYTERHUB_API_URL") or "http://127.0.0.1:8081/hub/api",
            environment["JUPYTERHUB_API_TOKEN"],
            environment.get("JUPYTERHUB_CLIENT_ID") or f"service-{name}",
            url_path_join(base, "hub", "/"),
            environment.get("JUPYTERHUB_HOST", ""),
        )

    @property
    def listen_on(self) -> tuple[str, int]:
        """The interface and the port to listen on; an empty interface for all.

        A name such as that of a Kubernetes service stands for no interface of this machine.
        """
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return (parts.hostname if parts.hostname in LOOPBACK else "") or "", port


def make_application(
    configured: Configured, around: Surroundings, meter: Meter | None = None
) -> Application:
    """The application, ready to serve; close it with `close_application`.

    The meter is the configured one, if none is given.
    """
    viewer, manager = configured.viewer, configured.manager
    auth = HubOAuth(
        base_url=around.prefix,
        api_url=around.api_url,
        api_token=around.api_token,
        oauth_client_id=around.client_id,
        hub_prefix=around.hub_prefix,
        hub_host=around.hub_host,
        cache_max_age=IDENTITY_KEPT,
        access_scopes={"access:services", f"access:services!service={around.name}"},
    )
    hub = HubClient(around.api_url, around.api_token, tls=_tls(ssl.Purpose.SERVER_AUTH))
    meter = meter or viewer.make_meter(on_refresh=_TellOnce())
    standings = Standings(
        manager.policies,
        meter,
        hub,
        failover_open=manager.failover_open,
        enforced=manager.enforcement is Enforcement.enforce,
    )
    services = Services(
        configured,
        auth,
        hub,
        standings,
        Pages(
            viewer.template_paths,
            viewer.template_vars,
            hub_prefix=around.hub_prefix,
            hub_host=around.hub_host,
            base_url=around.prefix,
        ),
    )
    return Application(
        routes(around.prefix, services),
        cookie_secret=_cookie_secret(viewer.session_secret),
        default_handler_class=handlers.NoPage,
        default_handler_args={"services": services},
        log_function=_log_request,
        usage_quota_keep=standings.keep,
        usage_quota_closing=(meter.aclose, hub.aclose),
    )


class _TellOnce:
    """Logs why usage could not be brought up to date, each time that the reason changes."""

    def __init__(self) -> None:
        self._told = ""

    def __call__(self, why: Unknown | None, error: Exception | None) -> None:
        """Told of a refresh, why it failed if it did, and by what fault of ours, if by one."""
        if why and (error is not None or why.reason != self._told):
            LOG.warning("Usage is not known: %s: %s", why.reason, why.detail, exc_info=error)
        self._told = why.reason if why else ""


async def close_application(application: Application) -> None:
    """Close the connections of an application."""
    for close in application.settings["usage_quota_closing"]:
        await close()


def routes(prefix: str, services: Services) -> list[Any]:
    """Which handler answers where."""
    name = "([^/]+)"
    given = {"services": services}
    paths: list[tuple[str, Any]] = [
        ("", handlers.OwnPage),
        ("oauth_callback", handlers.Callback),
        ("users/?", handlers.UsersPage),
        (f"users/{name}", handlers.UserPage),
        ("api/v1/openapi.json", api.OpenApi),
        ("api/v1/me", api.Me),
        ("api/v1/policies", api.Policies),
        ("api/v1/users", api.Users),
        (f"api/v1/users/{name}", api.User),
        (f"api/v1/users/{name}/usage", api.UsageOverTime),
        (f"api/v1/users/{name}/sessions", api.Sessions),
        (f"api/v1/users/{name}/forecast", api.Forecast),
        ("api/.*", api.NoApi),
    ]
    static = (f"{prefix}static/(.*)", AssetHandler, {"path": str(STATIC)})
    return [*((prefix + path, handler, given) for path, handler in paths), static]


def _cookie_secret(session_secret: str) -> bytes:
    """The key that cookies are signed with: the same for the same secret."""
    if not session_secret:
        return secrets.token_bytes(32)
    return hashlib.sha256(session_secret.encode()).digest()


def _log_request(handler: Any) -> None:
    """Only what went wrong inside; without parameters, which may say whom somebody looks for."""
    if handler.get_status() >= 500:  # noqa: PLR2004
        request = handler.request
        logging.getLogger("tornado.access").warning(
            "%d %s %s", handler.get_status(), request.method, request.path
        )


def _tls(purpose: ssl.Purpose) -> ssl.SSLContext | None:
    """The context for TLS inside of the Hub; None where the Hub does not use it."""
    context: ssl.SSLContext | None = make_ssl_context(
        os.environ.get("JUPYTERHUB_SSL_KEYFILE", ""),
        os.environ.get("JUPYTERHUB_SSL_CERTFILE", ""),
        cafile=os.environ.get("JUPYTERHUB_SSL_CLIENT_CA") or None,
        purpose=purpose,
    )
    return context


async def serve(configured: Configured, around: Surroundings) -> None:
    """Serve until the process is asked to end."""
    application = make_application(configured, around)
    # Behind the Hub's proxy: it says who asks, and by which protocol.
    tls = _tls(ssl.Purpose.CLIENT_AUTH) if around.url.startswith("https:") else None
    server = HTTPServer(application, xheaders=True, ssl_options=tls)
    address, port = around.listen_on
    server.listen(port, address)
    LOG.info("Usage quotas are shown at %s, listening on %s:%d", around.prefix, address, port)
    asked_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked_to_end.set)
    tasks = [asyncio.create_task(application.settings["usage_quota_keep"]())]
    if f"{conventions.ENV_HANDED_OVER}_0" in os.environ:
        tasks.append(asyncio.create_task(_end_with_parent(asked_to_end)))
    await asked_to_end.wait()
    server.stop()
    for task in tasks:
        task.cancel()
    # Connections are closed when they have ended: they may be asking Prometheus just now.
    await asyncio.wait(tasks)
    await close_application(application)


async def _end_with_parent(asked_to_end: asyncio.Event) -> None:
    """End when the Hub that runs this ended without stopping it, and keep no port from the next."""
    parent = os.getppid()
    # Nothing tells a process that its parent ended.
    while os.getppid() == parent:  # noqa: ASYNC110
        await asyncio.sleep(SECONDS_WITHOUT_PARENT)
    asked_to_end.set()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {conventions.VIEWER_MODULE}",
        description="Shows users of a JupyterHub their usage and quotas.",
    )
    parser.add_argument(
        "--config-files",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a configuration file; repeatable, what is in a later one counts",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="[%(levelname)s %(asctime)s %(name)s] %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        configured = read_configuration(os.environ, options.config_files)
        around = Surroundings.of(os.environ)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_CONFIGURATION
    for line in configured.remarks:
        LOG.warning(line)
    if missing := Assets.found().missing:
        LOG.warning("Pages are plain: %s was not built (make static)", " and ".join(missing))
    try:
        asyncio.run(serve(configured, around))
    except OSError as error:
        sys.stderr.write(f"Cannot listen at {around.url}: {error}\n")
        return 1
    return 0
