"""What every source of usage must do, whatever it is made of: one suite, run for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from jupyterhub_usage_quotas.metering.sources.base import Source
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.sources.server_metrics import ServerMetrics
from jupyterhub_usage_quotas.quotas.policy.selector import ServerSelector
from jupyterhub_usage_quotas.quotas.subject import REST
from jupyterhub_usage_quotas.quotas.usage import Fresh, Reading, Unknown
from tests.support.cases.servers import (
    DAY,
    END,
    SERVERS,
    START,
    Names,
    Server,
    as_hub_metrics,
    as_named_pods,
    as_pods,
)
from tests.support.cluster import GIB, HOUR, NAMESPACE
from tests.support.faulty_proxy import faulty_proxy
from tests.support.programs import Span
from tests.support.recorded import NOW, instant, meter

BY_NAME = KubeStateMetrics(NAMESPACE, named=Names())
"""Identifies pods by name, which does not say which profile they have."""

Export = Callable[[Iterable[Server], int], Iterator[Span]]
SOURCES: dict[str, tuple[Export, Source]] = {
    "kube-state-metrics": (as_pods, KubeStateMetrics(NAMESPACE)),
    "kube-state-metrics, by name": (as_named_pods, BY_NAME),
    "hub": (as_hub_metrics, ServerMetrics(NAMESPACE)),
}


@pytest.fixture(scope="module", params=SOURCES)
def kind(request: pytest.FixtureRequest) -> tuple[Export, Source]:
    return SOURCES[request.param]


@pytest.fixture(scope="module")
def url(kind, serve_history) -> str:
    export, _ = kind
    return serve_history(export(SERVERS, NOW))


async def read(url: str, source: Source, username: str) -> dict[str, Reading]:
    asked = meter(url, source)
    resources = ["memory", "cpu", "gpu", "time"]
    readings = await asked.read([username], resources, timedelta(days=1), instant(NOW))
    await asked.aclose()
    return dict(readings[username])


def used(reading: Reading) -> float:
    assert isinstance(reading, Fresh), reading
    return reading.usage.between(NOW - DAY, NOW)


@pytest.mark.parametrize(
    ("username", "memory", "cpu", "gpu", "hours"),
    [
        ("alice", 1, 1, 0, 1),
        ("two", 6, 1.5, 1, 2),
        ("twin", 1, 1, 0, 1),
        ("again", 2, 2, 0, 2),
        ("nobody", 0, 0, 0, 0),
    ],
)
async def test_usage_is_what_the_servers_asked_for(kind, url, username, memory, cpu, gpu, hours):
    readings = await read(url, kind[1], username)
    assert used(readings["memory"]) == pytest.approx(memory * GIB * HOUR)
    assert used(readings["cpu"]) == pytest.approx(cpu * HOUR)
    assert used(readings["gpu"]) == pytest.approx(gpu * HOUR)
    assert used(readings["time"]) == pytest.approx(hours * HOUR)


@pytest.mark.parametrize(
    ("servers", "gib_hours"),
    [
        ({"gpu": True}, 2),
        ({"gpu": False}, 1 + 4),
        ({"profile": ["small"]}, 1),
        ({"profile": ["*“cheap”*", "gpu-*"]}, 1 + 2),
        ({"profile": ["GPU {x}"]}, 2),
        ({"name": [""]}, 1),
        ({"name": ["work", "play"]}, 2 + 4),
        ({"name": ["p*"], "gpu": True}, 0),
    ],
)
async def test_usage_is_kept_by_what_selectors_can_name(kind, url, servers, gib_hours):
    memory = (await read(url, kind[1], "choosy"))["memory"]
    assert used(memory) == pytest.approx(7 * GIB * HOUR)
    selected = memory.usage.of(ServerSelector.model_validate(servers))
    if kind[1] is BY_NAME and "profile" in servers:
        gib_hours = 0
    assert selected.between(NOW - DAY, NOW) == pytest.approx(gib_hours * GIB * HOUR)


async def test_everybodys_usage_is_each_users(kind, url):
    """Of everybody at once: the same as one by one, and what nobody else used."""
    asked = meter(url, kind[1])
    readings = await asked.read(None, ["memory"], timedelta(days=1), instant(NOW))
    await asked.aclose()
    gib_hours = {user: used(one["memory"]) / (GIB * HOUR) for user, one in readings.items()}
    assert gib_hours == pytest.approx(
        {"alice": 1, "two": 6, "twin": 1, "again": 2, "choosy": 7, REST: 0}
    )


async def test_pods_of_no_known_server_are_reported_and_count_for_nobody(serve_history):
    asked = meter(serve_history(as_named_pods(SERVERS, NOW)), BY_NAME)
    readings = await asked.read(None, ["memory"], timedelta(days=1), instant(NOW))
    await asked.aclose()
    assert sum(used(one["memory"]) for one in readings.values()) == pytest.approx(
        (1 + 6 + 1 + 2 + 7) * GIB * HOUR
    )
    assert BY_NAME.named.left == {
        (NAMESPACE, name)
        for name in ("jupyter-alic--", "jupyter-alice--deleted", "jupyter-choosy--work--")
    }


async def test_usage_lies_where_it_was_used(kind, url):
    readings = await read(url, kind[1], "again")
    for bucket in readings["memory"].usage.buckets:
        assert bucket.start >= START - 2 * HOUR - 60
        assert bucket.end <= END + 60
    assert len(readings["memory"].usage.buckets) == 2


async def test_a_source_that_is_alive_is_fresh(kind, url):
    readings = await read(url, kind[1], "nobody")
    assert readings["time"].usage.covered_until == instant(NOW)


async def test_a_source_that_was_never_seen_is_unknown_by_its_name(kind, serve_history):
    url = serve_history([Span("up", {}, NOW - HOUR, NOW)])
    reading = (await read(url, kind[1], "alice"))["memory"]
    assert isinstance(reading, Unknown)
    assert reading.reason == "not_scraped"
    assert kind[1].name in reading.detail


async def test_a_source_that_went_away_is_stale(kind, serve_history):
    export, source = kind
    reading = (await read(serve_history(export([], NOW - 2 * HOUR)), source, "alice"))["memory"]
    assert reading.reason == "stale"
    assert source.name in reading.detail


LONG_AGO = 40 * DAY


@pytest.mark.parametrize("days", [0, 40], ids=["nothing before", "the same, forty days before"])
async def test_a_history_with_long_gaps_is_known_by_few_queries(kind, serve_history, days):
    """Half a year back, of a store that is a day old, or was away for more than a month."""
    export, source = kind
    # However long after this file was read the test runs.
    spans = list(export(SERVERS, NOW + 4 * HOUR))
    if days:
        spans += [replace(one, start=one.start - LONG_AGO, end=one.end - LONG_AGO) for one in spans]
    with faulty_proxy(serve_history(spans)) as proxy:
        asked = meter(proxy.url, source)
        reach = timedelta(days=180)
        await asked.read_history(reach)
        assert asked.complete
        # Less than all by a day: what was read ends when it was read, however late that was.
        known = await asked.read(["alice"], ["memory"], reach - timedelta(days=1), instant(NOW))
        memory = known["alice"]["memory"]
        await asked.aclose()
    assert isinstance(memory, Fresh)
    assert memory.usage.between(NOW - 180 * DAY, NOW) == pytest.approx(
        GIB * HOUR * (2 if days else 1)
    )
    # A day at a time would be a multiple of it; one that failed makes the next ones shorter.
    assert len(proxy.asked) < (400 if days else 100)
