"""Refreshes of home storage in the Hub's metrics: those that fail are counted, for themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
import respx
from prometheus_client import REGISTRY

from tests.support.fake_prometheus import FAILURES, URL, alive, manager, vector

DAY = timedelta(days=1)
EVERYONE = {"everyone": True}
CPU = {"resource": "cpu", "limit": "5 CPU-hours", "window": 1, "scope": EVERYONE}
HOMES = {"resource": "storage", "limit": "9 GiB", "scope": EVERYONE}
THAT_TAKE_NO_TIME = sorted(FAILURES.keys() - {"never an answer"})
EMPTY = "empty, and the source is not scraped"


def one_home(request: httpx.Request) -> httpx.Response:
    """A byte in the home of alice."""
    at = float(httpx.QueryParams(request.content.decode())["time"])
    parts = [{"part": part, "directory": "alice"} for part in ("size", "at")]
    return vector(*({"metric": labels, "value": [at, "1"]} for labels in parts))


def counts() -> dict[str, float]:
    """How many refreshes were counted so far, by outcome."""
    return {
        sample.labels["outcome"]: sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "jupyterhub_usage_quotas_refreshes_total"
    }


async def counted(of_homes: Callable[[httpx.Request], Any] | Exception, *policies: Any) -> Any:
    """How one refresh is counted, by outcome: usage is known, and questions about home storage are
    answered like this.
    """

    def answer(request: httpx.Request) -> Any:
        if b"dirsize" not in request.content:
            return alive(request)
        if isinstance(of_homes, Exception):
            raise of_homes
        return of_homes(request)

    before = counts()
    with respx.mock(base_url=URL) as router:
        router.route(method="POST").side_effect = answer
        asked = manager(policy=list(policies))
        await asked.meter.refresh(DAY)
        await asked.aclose()
    more = {outcome: count - before.get(outcome, 0) for outcome, count in counts().items()}
    return {outcome: count for outcome, count in more.items() if count}


@pytest.mark.parametrize("failure", sorted({*THAT_TAKE_NO_TIME} - {EMPTY}))
async def test_one_that_fails_is_counted_with_its_reason(failure):
    answer, reason = FAILURES[failure]
    found = await counted(answer, CPU, HOMES)
    assert found == {"success": 1, f"home_storage_{reason}": 1}


@pytest.mark.parametrize("answer", [one_home, lambda _: vector()])
async def test_one_that_succeeds_does_not_look_like_a_refresh_of_usage(answer):
    """Nor does it when nothing is exported: Prometheus answered."""
    assert await counted(answer, CPU, HOMES) == {"success": 1}


async def test_where_no_policy_limits_storage_the_hub_does_not_ask():
    assert await counted(FAILURES["503"][0], CPU) == {"success": 1}


async def test_a_bug_of_ours_is_counted_as_one():
    found = await counted(RuntimeError("a bug of ours"), CPU, HOMES)
    assert found == {"success": 1, "internal_error": 1}
