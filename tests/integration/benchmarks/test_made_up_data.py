"""What benchmarks write to Prometheus is what their made-up Hub was: usage that is read from it is
the truth, however it was scraped.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.remote_write import Scrapes, write_world
from benchmarks.store import prometheus
from benchmarks.world import DAY, MINUTE, NAMESPACE, World
from jupyterhub_usage_quotas import conventions as names
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.readers import Timing
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.sources.server_metrics import ServerMetrics

# It is written now, so it must be recent; the hour makes it the same for an hour.
NOW = int(datetime.now(UTC).timestamp()) // 3600 * 3600
USERS = 4
WORLD = World(USERS, 1, NOW)
GAP = (NOW - 10 * 3600, NOW - 10 * 3600 + 5 * MINUTE)
SCRAPES = Scrapes(replicas=2, gaps=(GAP,), resized=2, recorded=True)
SOURCES = {
    "kube-state-metrics": KubeStateMetrics(NAMESPACE),
    "recorded": ServerMetrics(
        NAMESPACE,
        "recorded",
        names.RECORDED_REQUESTS,
        names.RECORDED_SEEN,
        requests_metric=names.KSM_REQUESTS,
        brief_metric=names.RECORDED_BRIEF,
    ),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with prometheus(tmp_path_factory.mktemp("prometheus")) as (_, address):
        # In two parts, as a benchmark goes on.
        assert write_world(address, WORLD, NOW - 3600, scrapes=SCRAPES) > 0
        write_world(address, WORLD, NOW, NOW - 3600, SCRAPES)
        yield address


def true_memory() -> Counter[str]:
    """Byte-seconds by user."""
    found: Counter[str] = Counter()
    for one in WORLD.between(NOW - DAY, NOW):
        for start, end, memory in SCRAPES.rates(one):
            found[one.username] += (min(end, NOW) - max(start, NOW - DAY)) * memory
    return found


def test_requests_change_in_the_made_up_hub():
    assert {len(SCRAPES.rates(one)) for one in WORLD.between(NOW - DAY, NOW)} == {1, 2}


@pytest.mark.parametrize("source", SOURCES)
async def test_usage_is_what_the_made_up_hub_used(url, source):
    client = PrometheusClient(url, request_timeout=timedelta(minutes=1))
    timing = Timing(refresh_deadline=timedelta(minutes=5), stale_after=timedelta(hours=2))
    at = datetime.fromtimestamp(NOW, UTC)
    meter = Meter(client, [SOURCES[source]], timing, clock=lambda: at)
    await meter.read_history(timedelta(days=1))
    (snapshot,) = meter.snapshots
    end = snapshot.coverage.end
    amounts = snapshot.amounts(NOW - DAY, end)
    await meter.aclose()
    assert meter.complete
    for user, true in true_memory().items():
        # The last scrape is seconds before the end; requests change at a scrape or a minute later.
        slack = 8 * 2.0**30 * 3 * MINUTE
        assert amounts[user, "memory"] == pytest.approx(true, abs=slack)
