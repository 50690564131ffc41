"""What the Hub itself exports of running servers is counted exactly, too: as a minute-by-minute
integral over the samples, and as the servers ran, to a scrape and a minute at either end.

Every case is a namespace of its own, in one Prometheus.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from jupyterhub_usage_quotas.metering.sources.server_metrics import ServerMetrics
from tests.support.samples import GIB, HOUR, MINUTE, NOW, Alive, Served, Target
from tests.support.ways import REACH, Ways, asking

BEGIN, END = NOW - 4.5 * HOUR, NOW + 10 * MINUTE
MIDDLE = NOW - 80 * MINUTE + 11

SERVERS = [
    Served("steady", BEGIN, END, cpu=2),
    Served("gone", NOW - 3 * HOUR + 77, MIDDLE - 500),
    Served("bigger", MIDDLE - HOUR, MIDDLE - 1, memory=GIB),
    Served("bigger", MIDDLE, NOW - 700, memory=4 * GIB, cpu=0),
    Served("two", NOW - 3 * HOUR, NOW - HOUR),
    Served("two", NOW - 2 * HOUR, END, memory=2 * GIB, servername="work"),
    *(Served("often", MIDDLE + n * 900, MIDDLE + n * 900 + 700) for n in range(5)),
    Served("again", NOW - HOUR, NOW - HOUR + 600),
    Served("again", NOW - HOUR + 602, NOW - 1000),
    Served("flash", NOW - 1000, NOW - 960),
    Served("new", NOW - 100, END),
    Served("newest", NOW - 10, END),
    Served('x"} or {y=~".*', NOW - HOUR, NOW - 1000, servername="\n\\" * 50),
]


def hub(instance: str = "hub", start: float = BEGIN, end: float = END, **options) -> Target:
    return Target(start, end, labels={"instance": instance, "job": "hub"}, **options)


CASES: dict[str, list[Target]] = {
    "every 10 seconds": [hub(every=10, offset=9)],
    "every 15 seconds": [hub(every=15)],
    "every 30 seconds": [hub(every=30)],
    "every minute": [hub(every=60)],
    "every five minutes": [hub(every=300, offset=130)],
    "an interval that changed": [
        hub(every=60, end=NOW - 3 * HOUR),
        hub(every=10, start=NOW - 3 * HOUR, end=NOW - 30 * MINUTE),
        hub(every=30, start=NOW - 30 * MINUTE),
    ],
    "two replicas of Prometheus": [hub("a", offset=1), hub("b", offset=11, every=30)],
    "two replicas of Prometheus, one of which was away": [
        hub("a", away=[(NOW - 2 * HOUR, NOW - HOUR)]),
        hub("b", offset=11, failing=[(NOW - 50 * MINUTE, NOW - 20 * MINUTE)]),
    ],
    "a Hub that was restarted": [
        hub(failing=[(MIDDLE + 60, MIDDLE + 160), (NOW - 1500, NOW - 1200)])
    ],
    "a Hub whose pod was replaced": [hub("hub-1", end=MIDDLE, removed=True), hub("hub-2", MIDDLE)],
    "labels not honoured": [hub(honors=False, own={"pod": "hub-1", "container": "hub"})],
}


@pytest.fixture(scope="module")
def all_ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ways]]:
    with asking(tmp_path_factory.mktemp("prometheus")) as prometheus:
        ways = {}
        for case, targets in CASES.items():
            things = [Alive(case), *(replace(server, namespace=case) for server in SERVERS)]
            ways[case] = prometheus.ways(ServerMetrics(case), things, targets)
        yield ways


@pytest.mark.parametrize("case", CASES)
def test_usage_is_what_the_samples_say(all_ways, case):
    all_ways[case].are_right()


@pytest.mark.parametrize("case", CASES)
def test_usage_is_how_the_servers_ran(all_ways, case):
    ways = all_ways[case]
    # Where Prometheus was away, what it had seen is shown for as long as it looks back.
    slack = MINUTE + (300 if "five" in case or "away" in case else 30)
    until = ways.kept["grown"].snapshots[0].coverage.last_scrape
    for user in ("steady", "gone", "bigger", "two", "often", "again", "flash", "new"):
        servers = [server for server in SERVERS if server.username == user]
        for resource in ("memory", "cpu", "time"):
            spans = [
                (max(one.start, NOW - REACH), min(one.end, until), one.rate(resource))
                for one in servers
            ]
            true = sum(rate * max(end - start, 0) for start, end, rate in spans)
            most = sum(rate for _, _, rate in spans)
            found = ways.at_hand(user, resource).usage.between(NOW - REACH, NOW)
            assert found == pytest.approx(true, abs=most * slack), (user, resource)


def test_labels_not_honoured_with_the_namespace_of_its_own(tmp_path):
    """The Hub's pod is in the Hub's namespace."""
    target = hub(honors=False, own={"namespace": "hub-ns", "pod": "hub-1"})
    with asking(tmp_path) as prometheus:
        prometheus.ways(ServerMetrics("hub-ns"), [Alive(), *SERVERS], [target]).are_right()
