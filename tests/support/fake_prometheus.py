"""A Prometheus faked at the transport: well, or failing in each way; and a manager that asks it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import respx
from prometheus_client import REGISTRY
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.conventions import KSM_ANNOTATIONS, KSM_PHASE
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER, Ledger
from tests.support.hub_objects import hub_spawner, hub_user

URL = "http://prometheus.test"
EVIDENCE = tuple(f"namespace, pod, uid {metric}" for metric in (KSM_PHASE, KSM_ANNOTATIONS))
"""What kube-state-metrics is seen by, where its labels are honoured, as the meter calls it."""
USER = hub_user("alice")


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
    parts = [name for name in EVIDENCE if f'"{name}"' in asked["query"]]
    result = [{"metric": {"part": name}, "values": values} for name in parts]
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


NEVER = "never an answer"

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
    NEVER: (hang, "timeout"),
}


def manager(*, ledger: Ledger = NO_LEDGER, **options: Any) -> UsageQuotaManager:
    """One whose deadline nothing meets but what never answers, however busy the machine is."""
    config = Config()
    config.UsageConfig.prometheus_url = URL
    config.UsageConfig.hub_namespace = "ns"
    config.UsageConfig.deadline = 60.0
    config.UsageQuotaManager.policy = [
        {"resource": "cpu", "limit": "5 CPU-hours", "window": 7, "scope": {"everyone": True}}
    ]
    config.UsageQuotaManager.update(options)
    return UsageQuotaManager(config=config, ledger=ledger)


def spawner() -> Any:
    """What a launch is of: a server that asks for nothing."""
    return hub_spawner()


def counted(metric: str, **labels: str) -> float:
    """A sample of this process's own metrics; 0 where there is none."""
    return REGISTRY.get_sample_value(metric, labels) or 0.0


@pytest.fixture
def prometheus() -> Iterator[respx.Route]:
    """What every query comes to."""
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        yield router.route(method="POST")
