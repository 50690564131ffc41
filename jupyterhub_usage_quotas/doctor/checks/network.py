"""Check of the way to the dashboard: do the Hub and it answer, from here and through the proxy?"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import httpx

from ...hub.types import HubApp
from ...hub.viewer_service import is_viewer
from ..deployment import Deployment
from ..findings import Finding, failed, ok, skipped
from ..place import Place
from .jupyterhub import SECONDS, declared_viewer


async def network(deployment: Deployment) -> list[Finding]:
    """Whether the Hub and the dashboard answer, from here and through the proxy."""
    app = deployment.app
    base = str(app.base_url)
    scheme = "https" if app.internal_ssl else "http"
    listening = f"{scheme}://{app.hub_ip}:{app.hub_port}"
    hub = _here(str(app.hub_connect_url or app.hub_bind_url or listening))
    # This checks whether they answer, not their identity; within a Hub certificates may be its own.
    # A proxy may lead from http to https.
    async with httpx.AsyncClient(
        timeout=SECONDS,
        trust_env=False,
        verify=False,  # noqa: S501
        follow_redirects=True,
    ) as client:
        if not _is_success(await _get(client, f"{hub}{base}hub/api/")):
            return [skipped(f"no Hub answers at {hub}: doctor does not run where the Hub runs")]
        found = [ok(f"the Hub answers at {hub}")]
        if (spec := declared_viewer(deployment)) is None:
            return found
        path = f"{base}services/{spec['name']}/api/v1/openapi.json"
        url = _fixed_url(deployment)
        direct = await _get(client, f"{_here(url)}{path}") if url else None
        proxied = await _get(client, f"{_proxy(app)}{path}")
    return [*found, _service_answers(deployment.place, url, direct, proxied)]


Answer = httpx.Response | str
"""An answer, or why there is none."""


def _service_answers(place: Place, url: str, direct: Answer | None, proxied: Answer) -> Finding:
    at = f"at {url}" if url else "at its port"
    if direct is not None and not _is_ours(direct):
        own_pod = (
            " Where it is a pod of its own, check that pod's log, and the NetworkPolicy in between."
        )
        return failed(
            f"the dashboard does not answer {at} ({_what(direct)})",
            f"Check the log of the Hub, which starts it.{own_pod * place.kubernetes}",
        )
    if isinstance(proxied, str):
        there = f"the dashboard answers {at}; " if direct is not None else ""
        return skipped(f"{there}the proxy cannot be reached from here ({proxied})")
    if not _is_ours(proxied):
        there = f"answers {at}, but " if direct is not None else ""
        in_kubernetes = (
            "The proxy cannot reach it: open the port in the Hub's Service and in both network"
            " policies, as charts-config/zero-to-jupyterhub/full.yaml does."
        )
        elsewhere = (
            "The proxy cannot reach it: set c.UsageViewer.url to an address of this machine that"
            " the proxy can connect to, and check the proxy's log."
        )
        return failed(
            f"the dashboard {there}does not answer through the proxy ({_what(proxied)})",
            in_kubernetes if place.kubernetes else elsewhere,
        )
    return ok("the dashboard answers through the proxy")


def _fixed_url(deployment: Deployment) -> str:
    """Where the dashboard listens; empty where every start of the Hub chooses a port."""
    declared = deployment.config.get("JupyterHub", {}).get("services", [])
    own: Mapping[str, Any] = next((spec for spec in declared if is_viewer(spec)), {})
    viewer = deployment.config.get("UsageViewer", {})
    return str(own.get("url") or viewer.get("url") or "")


def _proxy(app: HubApp) -> str:
    """Where the proxy is: in Zero to JupyterHub a Service, that behind TLS where there is one; else
    on this machine. Traefik's ports, as The Littlest JupyterHub has it, are not the Hub's to say.
    """
    for service in ("PROXY_HTTP", "PROXY_PUBLIC"):
        if host := os.environ.get(f"{service}_SERVICE_HOST"):
            return f"http://{host}:{os.environ.get(f'{service}_SERVICE_PORT', '80')}"
    if "traefik" in app.proxy_class.__name__.lower():
        return "http://127.0.0.1"
    parts = httpx.URL(_here(str(app.bind_url)))
    return str(parts.copy_with(path="/")).rstrip("/")


def _here(url: str) -> str:
    """An address to connect to, of one to listen at."""
    for anywhere in ("//:", "//0.0.0.0:", "//*:"):
        url = url.replace(anywhere, "//127.0.0.1:")
    return url.rstrip("/")


def _is_success(answer: Answer) -> bool:
    return isinstance(answer, httpx.Response) and answer.is_success


def _is_ours(answer: Answer) -> bool:
    return isinstance(answer, httpx.Response) and "openapi" in answer.text[:100]


def _what(answer: Answer) -> str:
    return answer if isinstance(answer, str) else f"HTTP {answer.status_code}"


async def _get(client: httpx.AsyncClient, url: str) -> Answer:
    try:
        return await client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return type(error).__name__
