"""The same queries against a real VictoriaMetrics give the known truth: read for one user, and by a
meter that is kept. One server holds all cases, each with users or a namespace of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.readers import Timing
from jupyterhub_usage_quotas.metering.sources.base import PrometheusSource
from jupyterhub_usage_quotas.metering.sources.expression import Expression
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.sources.server_metrics import ServerMetrics
from jupyterhub_usage_quotas.quotas.policy.selector import ServerSelector
from jupyterhub_usage_quotas.quotas.subject import REST
from jupyterhub_usage_quotas.quotas.usage import Fresh, Reading, Stale, Unknown
from tests.support.cases import counted_once, servers, users
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.meter_events import OnRefresh
from tests.support.programs import Span
from tests.support.recorded import NOW, instant
from tests.support.victoria import import_spans, serve_victoria, start_victoria_metrics

__all__ = ["serve_victoria"]

MINUTE, DAY = 60, 24 * HOUR
TWO_DAYS = timedelta(days=2)
RESOURCES = ["memory", "cpu", "gpu", "time"]
INTERVALS = [10, 15, 30, 60, 120, 300]
SESSIONS = {
    "long": (NOW - 40 * HOUR, 9 * HOUR),
    "short": (NOW - 20 * HOUR, 20 * MINUTE),
    "lately": (NOW - 3 * HOUR, 2 * HOUR + 50 * MINUTE),
}
"""When servers began and how long they ran."""


def renamed(spans: Iterable[Span], namespace: str) -> Iterator[Span]:
    """The same in another namespace."""
    for span in spans:
        yield replace(span, labels={**span.labels, "namespace": namespace})


def scraped_every(spans: Iterable[Span], interval: int) -> Iterator[Span]:
    """The same as scraped at another interval, at seconds that are none of a minute's."""
    offset = 7 if interval <= 60 else 47
    for span in spans:
        start = span.start // interval * interval + offset
        yield replace(span, start=start, end=start + (span.end - span.start) - 1, step=interval)


def one_pod(user: str, start: int, end: int, **options: Any) -> Iterator[Span]:
    yield from Pod(user, start, end, f"jupyter-{user}", f"{user}-{start}", **options).spans


def gap(namespace: str, minutes: int) -> Iterator[Span]:
    """A server of four hours, and a time in the middle of them when nothing was scraped."""
    begin, end = GAP_BEGIN, GAP_BEGIN + minutes * MINUTE
    for start, until in ((NOW - DAY, begin), (end, NOW)):
        yield from hub_pod(start, until, namespace)
        overlap = max(start, NOW - 5 * HOUR), min(until, NOW - HOUR)
        pod = Pod("alice", *overlap, "jupyter-alice", "the-same", namespace=namespace)
        yield from pod.spans


GAP_BEGIN = NOW - 3 * HOUR


def history() -> Iterator[Span]:
    yield from counted_once.history()
    yield from renamed(servers.as_pods(servers.SERVERS, NOW), "contract")
    hub = servers.as_hub_metrics(servers.SERVERS, NOW)
    yield from renamed(hub, "contract")
    yield from renamed(users.cluster(), "mixed")
    for interval in INTERVALS:
        namespace = f"every-{interval}"
        spans = [*hub_pod(NOW - 3 * DAY, NOW, namespace)]
        for user, (start, length) in SESSIONS.items():
            spans += one_pod(user, start, start + length, namespace=namespace)
        yield from scraped_every(spans, interval)
    month = 30 * DAY
    yield from hub_pod(NOW - month, NOW, "month")
    yield from one_pod("month", NOW - month, NOW, namespace="month")
    yield from gap("short-gap", 8)
    yield from gap("long-gap", 40)
    yield from hub_pod(NOW - DAY, NOW - HOUR, "gone")
    yield from hub_pod(NOW - DAY, NOW, "half")
    for name, missing in WITHOUT.items():
        yield from without(missing, name)


WITHOUT = {"no-annotations": "kube_pod_annotations", "no-phase": "kube_pod_status_phase"}


def without(missing: str, namespace: str) -> Iterator[Span]:
    """A user's server, as it is scraped without a metric."""
    spans = [*hub_pod(NOW - DAY, NOW, namespace)]
    spans += one_pod("alice", NOW - 2 * HOUR, NOW, namespace=namespace)
    yield from (span for span in spans if span.metric != missing)


@pytest.fixture(scope="module")
def url(serve_victoria: Callable[..., str]) -> str:
    return serve_victoria(history())


def meter(url: str, *sources: PrometheusSource) -> Meter:
    client = PrometheusClient(url, request_timeout=timedelta(seconds=60))
    patient = Timing(timedelta(seconds=60), timedelta(minutes=5))

    def tell(why: Unknown | None, error: Exception | None) -> None:
        assert why is None, (why, error)

    return Meter(client, sources, patient, events=OnRefresh(tell), clock=lambda: instant(NOW))


@pytest.fixture(params=["direct", "kept"])
def read(request: pytest.FixtureRequest, url: str) -> Callable[..., Any]:
    """A function that reads one user's usage: by a query, or from what is kept."""

    async def read(
        source: PrometheusSource, user: str, over: timedelta = timedelta(days=1)
    ) -> Mapping[str, Reading]:
        asked = meter(url, source)
        if request.param == "kept":
            await asked.refresh(over)
            while await asked.extend():
                pass
            assert asked.complete
        readings = await asked.read([user], RESOURCES, over, instant(NOW))
        await asked.aclose()
        return readings[user]

    return read


def ksm(namespace: str) -> KubeStateMetrics:
    return KubeStateMetrics(namespace)


def used(reading: Reading, since: float = 0, until: float = NOW) -> float:
    assert isinstance(reading, Fresh), reading
    return reading.usage.between(since, until)


# --- what was used --------------------------------------------------------------------------------


@pytest.mark.parametrize("case", counted_once.CASES)
async def test_usage_is_what_the_pods_ran(read, case):
    pods, truth = counted_once.CASES[case]
    readings = await read(ksm(NAMESPACE), pods[0].username)
    for resource, expected in truth.items():
        unit = GIB * HOUR if resource == "memory" else HOUR
        assert used(readings[resource]) / unit == pytest.approx(expected, rel=1e-9), resource


@pytest.mark.parametrize("source", [ksm("contract"), ServerMetrics("contract")], ids=["ksm", "hub"])
@pytest.mark.parametrize("user", [*dict.fromkeys(one.username for one in servers.SERVERS), "no"])
async def test_usage_is_what_the_servers_asked_for(read, source, user):
    theirs = {
        (one.name, one.start): one for one in servers.SERVERS if one.username == user
    }.values()
    readings = await read(source, user)
    assert {resource: used(one) / HOUR for resource, one in readings.items()} == pytest.approx(
        {
            "memory": sum(one.memory for one in theirs),
            "cpu": sum(one.cpu for one in theirs),
            "gpu": sum(one.gpus for one in theirs),
            "time": len(theirs),
        }
    )


async def test_usage_is_kept_by_what_selectors_can_name(read):
    memory = (await read(ksm("contract"), "choosy"))["memory"]
    assert isinstance(memory, Fresh)
    for selector, expected in (({"gpu": True}, 2), ({"profile": ["*“cheap”*"]}, 1)):
        selected = memory.usage.of(ServerSelector.model_validate(selector))
        assert selected.between(0, NOW) == pytest.approx(expected * GIB * HOUR)


async def test_everybodys_usage_is_each_users(url):
    asked = meter(url, ksm("mixed"))
    readings = await asked.read(None, ["memory"], timedelta(days=1), instant(NOW))
    await asked.aclose()
    found = {user: used(one["memory"]) / (GIB * HOUR) for user, one in readings.items()}
    expected = {user: users.gib_hours(user) for user in users.USERS} | {REST: 0}
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("user", users.USERS, ids=repr)
async def test_each_user_pays_for_exactly_their_own_servers(read, user):
    readings = await read(ksm("mixed"), user)
    assert used(readings["memory"]) / (GIB * HOUR) == pytest.approx(users.gib_hours(user))


@pytest.mark.parametrize("user", users.NOBODY, ids=repr)
async def test_a_name_that_only_looks_alike_has_used_nothing(read, user):
    assert used((await read(ksm("mixed"), user))["memory"]) == 0


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("user", SESSIONS)
async def test_however_often_it_is_scraped(read, interval, user):
    readings = await read(ksm(f"every-{interval}"), user, TWO_DAYS)
    start, length = SESSIONS[user]
    # A scrape at the beginning, one at the end, and whole minutes.
    assert used(readings["time"]) == pytest.approx(length, abs=max(interval, MINUTE))
    first, *others = sorted(readings["time"].usage.buckets, key=lambda bucket: bucket.start)
    assert first.start == pytest.approx(start, abs=interval + MINUTE)
    # Of a series with one sample it does not know how long that lasts; so where a piece of the
    # history ends right after a server began, some of its first minutes may be missing.
    assert len(others) <= (interval > MINUTE)


async def test_a_month_of_one_server_is_one_bucket(read):
    readings = await read(ksm("month"), "month", timedelta(days=30))
    assert used(readings["memory"]) == pytest.approx(30 * DAY * GIB, rel=1e-9)
    assert len(readings["memory"].usage.buckets) == 1
    assert readings["memory"].usage.coverage == pytest.approx(1, abs=0.001)


async def test_an_expression_of_an_admin_is_read(url):
    expression = 'sum by (username) (label_replace(kube_pod_annotations{namespace="month"},'
    expression += ' "username", "$1", "annotation_hub_jupyter_org_username", "(.+)"))'
    asked = meter(url, Expression("seats", expression, timedelta(days=1)))
    for kept in (False, True):
        if kept:
            await asked.refresh(timedelta(days=1))
            while await asked.extend():
                pass
        readings = await asked.read(["month", "no"], ["seats"], timedelta(days=1), instant(NOW))
        assert used(readings["month"]["seats"]) == pytest.approx(DAY)
        assert used(readings["no"]["seats"]) == 0
    await asked.aclose()


# --- what is known --------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", ["typo", *WITHOUT])
async def test_what_is_missing_is_unknown_by_its_name(read, namespace):
    reading = (await read(ksm(namespace), "alice"))["memory"]
    assert isinstance(reading, Unknown)
    assert reading.reason == "not_scraped"
    assert WITHOUT.get(namespace, "typo") in reading.detail


async def test_requests_that_are_not_exported_are_unknown_and_time_is_known(serve_victoria):
    metric = "kube_pod_container_resource_requests"
    asked = meter(serve_victoria(without(metric, NAMESPACE)), ksm(NAMESPACE))
    readings = await asked.read(["alice"], RESOURCES, timedelta(days=1), instant(NOW))
    await asked.aclose()
    reading = readings["alice"]["memory"]
    assert isinstance(reading, Unknown)
    assert reading.reason == "metric_missing"
    assert metric in reading.detail
    assert used(readings["alice"]["time"]) == pytest.approx(2 * HOUR, abs=2 * MINUTE)


async def test_a_source_that_was_never_there_is_unknown(read):
    reading = (await read(ServerMetrics("month"), "alice"))["memory"]
    assert isinstance(reading, Unknown)
    assert reading.reason == "not_scraped"


async def test_a_source_that_went_away_is_stale_as_of_then(read):
    reading = (await read(ksm("gone"), "alice"))["memory"]
    assert isinstance(reading, Stale)
    assert reading.reason == "stale"
    assert reading.usage.covered_until.timestamp() == pytest.approx(NOW - HOUR, abs=MINUTE)


async def test_a_source_that_is_alive_is_known_until_its_last_scrape(read):
    reading = (await read(ksm("every-60"), "nobody"))["time"]
    assert isinstance(reading, Fresh)
    assert reading.usage.covered_until == instant(NOW - 53)


async def test_half_a_window_of_history_says_so(read):
    reading = (await read(ksm("half"), "alice", TWO_DAYS))["time"]
    assert isinstance(reading, Fresh)
    assert reading.usage.coverage == pytest.approx(0.5, abs=0.01)


async def test_a_short_gap_is_bridged(read):
    reading = (await read(ksm("short-gap"), "alice"))["memory"]
    assert used(reading) == pytest.approx(4 * HOUR * GIB, abs=2 * MINUTE * GIB)
    assert used(reading, GAP_BEGIN, GAP_BEGIN + 8 * MINUTE) == 8 * MINUTE * GIB


async def test_a_long_gap_is_told_and_nothing_is_counted_in_it(read):
    reading = (await read(ksm("long-gap"), "alice"))["memory"]
    assert used(reading, GAP_BEGIN + 2 * MINUTE, GAP_BEGIN + 38 * MINUTE) == 0
    truth = (4 * HOUR - 40 * MINUTE) * GIB
    assert used(reading) == pytest.approx(truth, abs=4 * MINUTE * GIB)
    assert reading.usage.coverage == pytest.approx(1 - 40 / 1440, abs=3 / 1440)


# --- as time goes on ------------------------------------------------------------------------------


async def test_a_meter_that_is_kept_follows_late_samples_and_a_server_that_was_restarted(tmp_path):
    """Answers are cached by VictoriaMetrics; what comes late is seen all the same."""
    begin, now = NOW - 2 * HOUR, NOW - HOUR
    said: list[str] = []
    program, url = start_victoria_metrics(tmp_path)
    client = PrometheusClient(url, request_timeout=timedelta(seconds=60))
    asked = Meter(
        client,
        [ksm(NAMESPACE)],
        events=OnRefresh(lambda why, _error: said.append(why.reason if why else "")),
        clock=lambda: instant(now),
    )

    async def minutes() -> float:
        await asked.refresh(timedelta(hours=2))
        while await asked.extend():
            pass
        readings = await asked.read(["alice"], ["time"], timedelta(hours=2), instant(now))
        return used(readings["alice"]["time"], until=now) / MINUTE

    with program:
        alice = Pod("alice", begin, now, "jupyter-alice", "alice")
        import_spans(url, [*hub_pod(begin - HOUR, now), *alice.spans])
        assert await minutes() == 61
        for _ in range(3):
            # The Hub's pod is scraped in time, what the user's does comes a few minutes later.
            import_spans(url, hub_pod(now + MINUTE, now + 4 * MINUTE))
            now += 4 * MINUTE
            before = await minutes()
            import_spans(url, replace(alice, start=now - 3 * MINUTE, end=now).spans)
            assert await minutes() > before
        assert await minutes() == 73
    assert said == [""] * len(said)
    await asked.refresh(timedelta(hours=2))
    assert said[-1] == "unreachable"
    await asked.aclose()
