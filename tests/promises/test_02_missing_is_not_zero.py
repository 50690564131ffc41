"""Promise 2: an empty answer counts as zero only where the source was seen to be scraped; otherwise
failover decides.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta

import pytest

from jupyterhub_usage_quotas.hub.launch.denial import LaunchDenied
from jupyterhub_usage_quotas.metering.sources.expression import Expression
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.sources.server_metrics import ServerMetrics
from jupyterhub_usage_quotas.quotas.usage import Fresh, Stale, Unknown
from tests.support.cluster import HOUR, NAMESPACE, Pod, hub_pod
from tests.support.fake_prometheus import USER, counted, manager, spawner
from tests.support.programs import Span
from tests.support.recorded import NOW, instant, meter

DAY = 24 * HOUR
KSM = KubeStateMetrics(NAMESPACE)


def without(metric: str, spans: object) -> list[Span]:
    return [span for span in spans if span.metric != metric]


async def read(url: str, source=KSM, username: str = "alice", days: int = 1):
    asked = meter(url, source)
    readings = await asked.read([username], ["memory"], timedelta(days=days), instant(NOW))
    await asked.aclose()
    return readings[username]["memory"]


@pytest.fixture(scope="module")
def serve(serve_history: Callable[..., str]):
    return serve_history


async def test_no_pods_in_a_scraped_namespace_is_zero(serve):
    reading = await read(serve(hub_pod(NOW - DAY, NOW)))
    assert isinstance(reading, Fresh)
    assert reading.usage.buckets == ()
    assert reading.usage.covered_until == instant(NOW)


async def test_an_empty_prometheus_is_unknown(serve):
    reading = await read(serve([Span("up", {}, NOW - 60, NOW)]))
    assert isinstance(reading, Unknown)
    assert reading.reason == "not_scraped"
    assert "kube-state-metrics" in reading.detail


async def test_a_wrong_namespace_is_unknown_and_named(serve):
    reading = await read(serve(hub_pod(NOW - DAY, NOW, namespace="staging")))
    assert isinstance(reading, Unknown)
    assert NAMESPACE in reading.detail


async def test_annotations_that_are_not_exported_are_unknown(serve):
    pods = Pod("alice", NOW - 2 * HOUR, NOW, "jupyter-alice", "u").spans
    reading = await read(serve(without("kube_pod_annotations", [*hub_pod(NOW - DAY, NOW), *pods])))
    assert isinstance(reading, Unknown)
    assert "kube_pod_annotations" in reading.detail


async def test_requests_that_are_not_exported_are_unknown(serve):
    pods = Pod("alice", NOW - 2 * HOUR, NOW, "jupyter-alice", "u").spans
    reading = await read(
        serve(without("kube_pod_container_resource_requests", [*hub_pod(NOW - DAY, NOW), *pods]))
    )
    assert reading.reason == "metric_missing"


async def test_server_time_is_known_without_requests(serve):
    """Pods that ask for nothing at all still run."""
    pods = Pod("alice", NOW - 2 * HOUR, NOW, "jupyter-alice", "u", memory=0).spans
    url = serve([*hub_pod(NOW - DAY, NOW), *pods])
    asked = meter(url, KSM)
    readings = await asked.read(["alice"], ["memory", "time"], timedelta(days=1), instant(NOW))
    await asked.aclose()
    assert isinstance(readings["alice"]["memory"], Unknown)
    used = readings["alice"]["time"].usage.between(NOW - DAY, NOW)
    assert used == pytest.approx(2 * HOUR, abs=120)


async def test_an_expression_that_nobody_ever_had_is_unknown(serve):
    url = serve(hub_pod(NOW - DAY, NOW))
    asked = meter(url, KSM, Expression("licence", "licences_in_use"))
    readings = await asked.read(["alice"], ["licence"], timedelta(days=1), instant(NOW))
    await asked.aclose()
    assert readings["alice"]["licence"].reason == "metric_missing"


async def test_a_source_that_went_away_is_stale_as_of_then(serve):
    gone = NOW - HOUR
    reading = await read(serve(hub_pod(NOW - DAY, gone)))
    assert isinstance(reading, Stale)
    assert abs((reading.usage.covered_until - instant(gone)).total_seconds()) <= 180
    assert reading.reason == "stale"


async def test_a_short_break_is_bridged(serve):
    reading = await read(serve(hub_pod(NOW - DAY, NOW - 300)))
    assert isinstance(reading, Fresh)
    assert reading.usage.covered_until == instant(NOW - 300)


async def test_half_a_window_of_history_says_so(serve):
    reading = await read(serve(hub_pod(NOW - 5 * DAY, NOW)), days=10)
    assert isinstance(reading, Fresh)
    assert reading.usage.coverage == pytest.approx(0.5, abs=0.02)


async def test_the_hub_that_is_not_scraped_is_unknown(serve):
    url = serve([Span("jupyterhub_running_servers", {}, NOW - HOUR, NOW, 3)])
    reading = await read(url, ServerMetrics(NAMESPACE))
    assert isinstance(reading, Unknown)
    assert "metrics endpoint" in reading.detail


@pytest.mark.parametrize("failover_open", [True, False])
async def test_failover_decides_and_is_counted_and_logged_with_the_reason(
    serve, caplog, failover_open
):
    counter = "jupyterhub_usage_quotas_failovers_total"
    before = counted(counter, reason="not_scraped")
    url = serve([Span("up", {}, NOW - 60, NOW)])
    asked = manager(prometheus_url=url, hub_namespace=NAMESPACE, failover_open=failover_open)
    with nullcontext() if failover_open else pytest.raises(LaunchDenied):
        await asked.pre_spawn_start(USER, spawner())
    await asked.aclose()
    assert counted(counter, reason="not_scraped") == before + 1
    (logged,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert "Usage is not known (not_scraped: " in logged.getMessage()
