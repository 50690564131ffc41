"""Why no Prometheus answers at its URL: what does answer there, and what to write instead."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from ...errors import (
    PrometheusError,
    PrometheusTimeout,
    PrometheusUnauthorized,
    PrometheusUnavailable,
    PrometheusUnreachable,
    QueryRejected,
)
from ..deployment import Deployment
from ..place import Place

OF_A_HUB = "x-jupyterhub-version"
"""The header of everything that a JupyterHub answers."""
ONLY_HTTPS = ("http request to an https server", "http request was sent to https port")
"""What Go's servers and nginx answer to http where they expect https."""
ONLY_HTTP = ("wrong_version_number", "wrong version number", "record layer failure")
"""What OpenSSL calls it when a server answers without TLS."""
UNTRUSTED = "certificate_verify_failed"
OPTION = "c.UsageConfig.prometheus_url"

CURES: dict[type[PrometheusError], str] = {
    PrometheusUnauthorized: "Set prometheus_auth, prometheus_bearer_token_file or"
    " prometheus_headers on c.UsageConfig to what this Prometheus accepts; a refusal of the tenant"
    " (Mimir, Cortex, Thanos) looks the same.",
    PrometheusTimeout: "Check whether it is overloaded, or raise c.UsageConfig.request_timeout and"
    " deadline.",
    PrometheusUnavailable: "Something answers that it is not available now: an ingress or a gateway"
    " without a Prometheus behind it, or one that is starting or overloaded.",
    QueryRejected: "Its message says why. A proxy that wants a parameter (OpenShift's tenancy wants"
    f" namespace) gets it from the URL: {OPTION} = '...?namespace=...'.",
}
"""By what is wrong, where nothing more is known of what answers."""


async def cure(deployment: Deployment, error: PrometheusError) -> str:
    """What to do about a failure to reach Prometheus."""
    url = deployment.manager.prometheus_address
    if isinstance(error, PrometheusUnreachable):
        return _without_an_answer(url, str(error), deployment.place)
    try:
        page = await deployment.prometheus.page("status/buildinfo")
    except PrometheusError:
        page = None
    said = _of_what_answers(url, page) if page is not None else ""
    usual = f"Is {OPTION} right, path prefix included? What answers there is not a Prometheus."
    return said or CURES.get(type(error), usual)


def _of_what_answers(url: str, page: httpx.Response) -> str:
    """What to write where something else than a Prometheus answers; empty if that is not known."""
    if version := page.headers.get(OF_A_HUB):
        return (
            f"This is the address of a JupyterHub ({version}), and not of a Prometheus. Set"
            f" {OPTION} to the Prometheus that scrapes the Hub or its cluster, for example"
            " http://127.0.0.1:9090."
        )
    location = page.headers.get("location", "") if page.is_redirect else ""
    http = urlsplit(url).scheme == "http"
    text = page.text[:10_000].lower()
    if http and (location.startswith("https:") or any(one in text for one in ONLY_HTTPS)):
        return f"It answers https only: write {OPTION} with https:// in front."
    if location or "grafana" in text:
        what = "Grafana" if "grafana" in text else "a page to log in"
        return (
            f"This is {what}, or leads there. Set {OPTION} to the address of Prometheus itself,"
            " behind it; for a proxy that wants a token, set c.UsageConfig"
            ".prometheus_bearer_token_file."
        )
    return ""


def _without_an_answer(url: str, why: str, place: Place) -> str:
    """What to do where there is no connection, or it broke."""
    parts, why = urlsplit(url), why.lower()
    if parts.scheme == "https" and any(one in why for one in ONLY_HTTP):
        return f"It answers without TLS: write {OPTION} with http:// in front."
    if UNTRUSTED in why.replace(" ", "_"):
        return (
            "Its certificate is not of a CA that is trusted here: set"
            " c.UsageConfig.prometheus_ca_file, and use the name that the certificate is for."
        )
    itself = ""
    if parts.hostname in ("127.0.0.1", "localhost", "::1") and place.here != "this machine":
        itself = f" {parts.hostname} is {place.here} itself: write the name of the service."
    usual = f"Is {OPTION} right, and can {place.here} reach it?{itself}"
    if place.kubernetes:
        return f"{usual} A NetworkPolicy of the Hub or of Prometheus may be in the way."
    if place.in_a_container:
        return f"{usual} Both containers must be in one network of Docker's."
    return f"{usual} Check that it runs, and where it listens (--web.listen-address)."
