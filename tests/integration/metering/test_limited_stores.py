"""A launch before the history has been read, at stores that refuse long queries: it is answered in
pieces, and how long they may be is found out once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.diagnosis import oldest_sample
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.readers import Timing
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.quotas.usage import Fresh, Reading, Unknown
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.faulty_proxy import FaultyProxy, faulty_proxy
from tests.support.limited import at_most, refused
from tests.support.programs import Span
from tests.support.recorded import NOW

DAY = 24 * HOUR
MONTH = timedelta(days=30)
WHEN = datetime.fromtimestamp(NOW, UTC)
SOURCE = KubeStateMetrics(NAMESPACE)


def history() -> Iterator[Span]:
    """One server ran across every border that pieces can have, and one on one day."""
    yield from hub_pod(NOW - 25 * DAY, NOW)
    yield from Pod("ada", NOW - 20 * DAY, NOW - HOUR, "jupyter-ada", "1", memory=2 * GIB).spans
    yield from Pod("bob", NOW - 13 * DAY, NOW - 12 * DAY, "jupyter-bob", "2", memory=GIB).spans


@pytest.fixture(scope="module")
def prometheus(serve_history: Callable[..., str]) -> str:
    return serve_history(history())


@asynccontextmanager
async def metering(url: str) -> Iterator[Meter]:
    timing = Timing(deadline=timedelta(minutes=2), stale_after=timedelta(hours=2))
    client = PrometheusClient(url, request_timeout=timedelta(minutes=1))
    meter = Meter(client, [SOURCE], timing, clock=lambda: WHEN)
    yield meter
    await meter.aclose()


async def used(meter: Meter, user: str) -> Reading:
    return (await meter.read([user], ["memory"], MONTH, WHEN))[user]["memory"]


@pytest.fixture
def proxy(prometheus: str) -> Iterator[FaultyProxy]:
    with faulty_proxy(prometheus) as one:
        yield one


@pytest.mark.parametrize("longest", [20 * DAY, 8 * DAY, 7 * DAY])
async def test_what_is_used_is_read_in_pieces(proxy, longest):
    proxy.plan = at_most(longest)
    async with metering(proxy.url) as meter:
        for user, amount in {"ada": 2 * GIB * (20 * DAY - HOUR), "bob": GIB * DAY}.items():
            reading = await used(meter, user)
            assert isinstance(reading, Fresh), reading
            assert reading.usage.between(NOW - 30 * DAY, NOW) == pytest.approx(amount, rel=0.002)


async def test_the_length_of_pieces_is_remembered(proxy):
    proxy.plan = at_most(8 * DAY)
    async with metering(proxy.url) as meter:
        await used(meter, "ada")
        assert [one for one in proxy.asked if one.refused]
        for user in ("ada", "bob"):
            before = len(proxy.asked)
            await used(meter, user)
            assert [one.query for one in proxy.asked[before:] if one.refused] == []


async def test_what_is_refused_for_another_reason_is_refused_soon(proxy):
    proxy.always(refused)
    async with metering(proxy.url) as meter:
        reading = await used(meter, "ada")
    assert isinstance(reading, Unknown)
    assert reading.reason == "query_rejected"
    assert len(proxy.asked) < 30


@pytest.mark.parametrize("longest", [31 * DAY, 8 * DAY])
async def test_the_oldest_sample(proxy, longest):
    """As doctor looks for it, whatever the store answers about at once."""
    proxy.plan = at_most(longest)
    client = PrometheusClient(proxy.url)
    oldest = await oldest_sample(client, SOURCE, MONTH, WHEN)
    await client.aclose()
    assert oldest is not None
    assert oldest.timestamp() == pytest.approx(NOW - 25 * DAY, abs=3 * HOUR)
