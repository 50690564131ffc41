"""What Prometheus answers to a query of several parts: each series says which part it answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import respx

from jupyterhub_usage_quotas.errors import BadAnswer
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.sources.base import StepRange, scrape_instants

URL = "http://prometheus.test"
NOW = datetime(2026, 3, 4, 12, 34, tzinfo=UTC)
STEPS = StepRange(NOW - timedelta(minutes=1), NOW)


@pytest.mark.parametrize("labels", [{}, {"part": "c"}, {"part": ""}, {"part": "a b"}])
async def test_a_series_that_is_no_part_of_the_query_is_a_bad_answer(labels: dict[str, str]):
    at = NOW.timestamp()
    result: list[dict[str, Any]] = [
        {"metric": {"part": "a"}, "values": [[at, str(at)]]},
        {"metric": labels, "values": [[at, str(at)]]},
    ]
    data = {"resultType": "matrix", "result": result}
    with respx.mock(base_url=URL) as router:
        answer = httpx.Response(200, json={"status": "success", "data": data})
        router.route(method="POST").mock(return_value=answer)
        asked = PrometheusClient(URL)
        with pytest.raises(BadAnswer, match="part"):
            await scrape_instants(asked, {"a": "up", "b": "up"}, STEPS)
        await asked.aclose()
