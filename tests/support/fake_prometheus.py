"""A Prometheus faked at the transport: well, or failing in each way; and a manager that asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager

URL = "http://prometheus.test"


def vector(*results: dict[str, Any], **more: Any) -> httpx.Response:
    data = {"resultType": "vector", "result": list(results)}
    return httpx.Response(200, json={"status": "success", "data": data, **more})


def alive(request: httpx.Request) -> httpx.Response:
    """A source that was scraped all the time, and a user who used nothing."""
    asked = httpx.QueryParams(request.content.decode())
    if "start" not in asked:
        return vector()
    start, end, step = (int(float(asked[name])) for name in ("start", "end", "step"))
    instants = range(start, end + 1, step)
    values = [[instant, str(instant)] for instant in instants]
    names = ("honored kube_pod_status_phase", "honored kube_pod_annotations")
    result = [{"metric": {"part": name}, "values": values} for name in names]
    data = {"resultType": "matrix", "result": result}
    return httpx.Response(200, json={"status": "success", "data": data})


def nothing(request: httpx.Request) -> httpx.Response:
    """No series of anything."""
    kind = "matrix" if "start" in httpx.QueryParams(request.content.decode()) else "vector"
    return httpx.Response(
        200, json={"status": "success", "data": {"resultType": kind, "result": []}}
    )


async def hang(_request: httpx.Request) -> httpx.Response:
    await asyncio.Event().wait()
    raise AssertionError("nothing sets the event")


FAILURES: dict[str, tuple[Callable[[httpx.Request], Any] | Exception, str]] = {
    "connection refused": (httpx.ConnectError("refused"), "unreachable"),
    "time-out": (httpx.ReadTimeout("slow"), "timeout"),
    "401": (lambda _: httpx.Response(401), "unauthorized"),
    "503": (lambda _: httpx.Response(503), "unavailable"),
    "HTML": (lambda _: httpx.Response(200, html="<html>Sign in</html>"), "bad_answer"),
    "truncated JSON": (lambda _: httpx.Response(200, text='{"status":"succ'), "bad_answer"),
    "a warning": (lambda _: vector(warnings=["partial"]), "partial_answer"),
    "NaN": (lambda _: vector({"metric": {}, "value": [0, "NaN"]}), "bad_answer"),
    "an error": (
        lambda _: httpx.Response(422, json={"status": "error", "error": "too many samples"}),
        "query_rejected",
    ),
    "empty, and the source is not scraped": (nothing, "not_scraped"),
    "never an answer": (hang, "timeout"),
}


def manager(**options: Any) -> UsageQuotaManager:
    config = Config()
    config.UsageConfig.prometheus_url = URL
    config.UsageConfig.hub_namespace = "ns"
    # Only what never answers waits for it; long enough for a machine that is busy otherwise.
    config.UsageConfig.deadline = 8.0
    config.UsageQuotaManager.policy = [
        {"resource": "cpu", "limit": "5 CPU-hours", "window": 7, "scope": {"everyone": True}}
    ]
    config.UsageQuotaManager.update(options)
    return UsageQuotaManager(config=config)
