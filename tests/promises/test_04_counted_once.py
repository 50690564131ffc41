"""Promise 4: whatever stands between the pods and Prometheus, usage is the same; and pods that
do not run use nothing. One Prometheus holds all cases, one user each.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.quotas.usage import Fresh
from tests.support.cases.counted_once import CASES, history, pod
from tests.support.cluster import GIB, HOUR, NAMESPACE, hub_pod
from tests.support.recorded import NOW, instant, meter


@pytest.fixture(scope="module")
def url(serve_history: Callable[..., str]) -> str:
    return serve_history(history())


@pytest.mark.parametrize("case", CASES)
async def test_usage_is_what_the_pods_ran(url, case):
    pods, truth = CASES[case]
    asked = meter(url, KubeStateMetrics(NAMESPACE))
    username = pods[0].username
    readings = await asked.read([username], list(truth), timedelta(days=1), instant(NOW))
    await asked.aclose()
    for resource, expected in truth.items():
        reading = readings[username][resource]
        assert isinstance(reading, Fresh), reading
        unit = GIB * HOUR if resource == "memory" else HOUR
        used = reading.usage.between(NOW - 86400, NOW) / unit
        assert used == pytest.approx(expected, rel=1e-9), resource


async def test_a_month_is_put_together_from_several_requests(serve_history):
    """One server that ran for thirty days is one bucket of thirty days, not three or none."""
    month = 30 * 24 * HOUR
    spans = [*hub_pod(NOW - month, NOW), *pod("month", start=NOW - month, end=NOW).spans]
    asked = meter(serve_history(spans), KubeStateMetrics(NAMESPACE))
    readings = await asked.read(["month"], ["memory"], timedelta(days=30), instant(NOW))
    await asked.aclose()
    usage = readings["month"]["memory"].usage
    assert usage.between(NOW - month, NOW) == pytest.approx(720 * GIB * HOUR, rel=1e-9)
    assert len(usage.buckets) == 1
    assert usage.coverage == pytest.approx(1, abs=0.01)
