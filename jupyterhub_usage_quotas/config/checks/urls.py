"""Checks of the addresses that an admin writes: what is wrong, and the right form."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import SplitResult, unquote, urlsplit

import httpx

from ...quotas.messages import wrong
from ..traits import is_placeholder

HIGHEST_PORT = 65535
LONGEST_HOST = 253

OURS = frozenset({"query", "time", "start", "end", "step", "timeout"})
"""Parameters of Prometheus' API that every request has its own of."""

_PAGE = re.compile(
    r"(/api(/v1(/.*)?)?|(^|(?<=/prometheus))/metrics|/-/\w+|/(vmui|vmalert|consoles)(/.*)?"
    r"|(/classic|/new)?/(graph|query|alerts|rules|targets|service-discovery|status|tsdb-status"
    r"|config|flags|federate|alertmanager-discovery|notifications|agent|starting)"
    r"|(?<=/api/prom)/push)$",
    re.IGNORECASE,
)
"""What is behind the address of a Prometheus, or of a VictoriaMetrics, where it is copied from a
browser or from examples, or where samples are pushed to. Some servers have their address behind a
path "/metrics".
"""
_PAGE_OF_GRAFANA = re.compile(
    r"/(explore|dashboards|login|(d|d-solo|connections|alerting)/.*|(?<!/api/)datasources/.*)$"
)
_OF_A_PAGE = re.compile(
    r"g\d+\..*|match(\[\])?|search|limit|stats|left|orgId|expr|tab|state|pool|health"
)
"""Parameters of such pages, beside `OURS`."""

_LABEL = re.compile(r"[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?")


def problem_of_url(url: str, example: str) -> str:
    """Why nothing can be reached at a URL; empty where that can be. Never repeats credentials."""
    seen = without_credentials(url)
    if url != url.strip() or any(one.isspace() or not one.isprintable() for one in url):
        return wrong("has a space or line break", seen, f"a URL, for example {example!r}")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        reachable = parts.scheme in ("http", "https") and (is_placeholder(url) or _is_host(host))
    except ValueError:
        reachable = False
    if not reachable:
        return wrong("not a URL", seen, f"a URL, for example {example!r}")
    if not _has_a_port_or_none(parts):
        return _no_port(url, parts)
    if "#" in url:
        return wrong("has a fragment", seen, f"a URL without it, {seen.partition('#')[0]!r}")
    try:
        # The host's name is only decoded where it is read: "xn--" may begin what is no name.
        _ = httpx.URL(url).host
    except (httpx.InvalidURL, ValueError):
        return wrong("not a URL", seen, f"a URL, for example {example!r}")
    return ""


def problem_of_prometheus(url: str) -> str:
    """The same for the address of a Prometheus, which may have parameters."""
    example = "http://prometheus:9090"
    page, _, fragment = url.partition("#")
    # The # of a password is none of a page, and what is before it must not be shown.
    if problem := problem_of_url(url if "@" in fragment else page, example):
        return problem
    parts = urlsplit(url)
    path = re.sub("/+", "/", parts.path).rstrip("/")
    if _PAGE_OF_GRAFANA.search(path):
        expected = f"the address of its Prometheus, for example {example!r}"
        return wrong("is a page of Grafana", without_credentials(url), expected)
    if end := _PAGE.search(path):
        right = parts._replace(
            path=path[: end.start()], query=_without_those_of_pages(parts.query), fragment=""
        ).geturl()
        what = f"ends in {end[0]}, and /api/v1 is appended"
        return wrong(what, without_credentials(url), repr(without_credentials(right)))
    return problem_of_url(url, example) or "; ".join(_problems_of_parameters(parts))


def _without_those_of_pages(query: str) -> str:
    """Parameters without those that a page of Prometheus has itself."""
    names = ((part, unquote(part.partition("=")[0])) for part in query.split("&"))
    return "&".join(
        part for part, name in names if name not in OURS and not _OF_A_PAGE.fullmatch(name)
    )


def _problems_of_parameters(parts: SplitResult) -> Iterator[str]:
    """What is wrong with the parameters, which go with every request; never shows a value."""
    for part in filter(None, parts.query.split("&")):
        name, equals, _ = part.partition("=")
        if not name or not equals:
            yield wrong("wrong parameter in the URL", name, "name=value")
        elif name in OURS:
            yield wrong("parameter that each request sets itself", name, "another name")


def without_credentials(url: str) -> str:
    """A URL as it may be shown: without what is before the @ and without values of parameters."""
    # From the last @ on, not the first: a password may have any character.
    head, _, rest = url.rpartition("@")
    shown = f"{head.partition('//')[0]}//{rest}" if head else url
    base, mark, query = shown.partition("?")
    names = [part.partition("=")[0] for part in query.split("&")] if query else []
    return f"{base}{mark}{'&'.join(f'{name}=...' for name in names)}"


def _no_port(url: str, parts: SplitResult) -> str:
    what, expected = "wrong port", f"a number from 1 to {HIGHEST_PORT}"
    if "@" in url and "@" not in parts.netloc:
        what = "password with a character that ends the host"
        expected = "credentials in which you write %23 for #, %2F for / and %3F for ?"
    return wrong(what, without_credentials(url), expected)


def _has_a_port_or_none(parts: SplitResult) -> bool:
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def _is_host(host: str) -> bool:
    if ":" in host:
        ipaddress.ip_address(host.partition("%")[0])  # raises ValueError
        return True
    if not host.isascii():
        return True  # httpx knows which of these there can be
    labels = host.removesuffix(".").split(".")
    return len(host) <= LONGEST_HOST and all(map(_LABEL.fullmatch, labels))
