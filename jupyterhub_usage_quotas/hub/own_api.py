"""Requests of the Hub to its own REST API, from inside of its own machine: what others reach it by,
for example a Service of Kubernetes, may not lead back.
"""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx

from .types import HubApp

EVERYWHERE: Final = ("", "0.0.0.0", "::", "*")  # noqa: S104 what the Hub listens on
UNIX: Final = ("http+unix", "unix+http")


def own_api(app: HubApp, patience: float) -> httpx.AsyncClient:
    """A client of the API of the Hub that runs in this process; without a token."""
    socket = socket_of(app.hub_bind_url)
    transport = httpx.AsyncHTTPTransport(uds=socket) if socket else None
    return httpx.AsyncClient(
        base_url=api_url(app),
        transport=transport,
        verify=_tls(app),
        timeout=patience,
        trust_env=False,
    )


def socket_of(bind_url: str) -> str:
    """The Unix socket that the Hub listens on; empty where it has a port."""
    parts = urlsplit(bind_url)
    return unquote(parts.netloc) if parts.scheme in UNIX else ""


def api_url(app: HubApp) -> str:
    """Where the API is."""
    hub = app.hub
    if socket_of(app.hub_bind_url):
        return f"http://localhost{hub.base_url}api/"
    host = "127.0.0.1" if hub.ip in EVERYWHERE else hub.ip
    host = f"[{host}]" if ":" in host else host
    return f"{hub.proto}://{host}:{hub.port}{hub.base_url}api/"


def _tls(app: HubApp) -> ssl.SSLContext | bool:
    if not app.internal_ssl:
        return True
    from jupyterhub.utils import make_ssl_context  # noqa: PLC0415 only where TLS is used

    context: ssl.SSLContext = make_ssl_context(
        app.internal_ssl_key, app.internal_ssl_cert, cafile=app.internal_ssl_ca
    )
    return context
