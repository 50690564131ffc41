"""A server that runs within a minute, and at neither end of it, uses that minute: no server is free
for being down at every whole minute.

Every case is a namespace of its own, in one Prometheus that scrapes every five seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pytest

from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.metering.sources.base import PrometheusSource
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.sources.server_metrics import ServerMetrics
from jupyterhub_usage_quotas.quotas.policy.parse import parse_policies
from jupyterhub_usage_quotas.quotas.policy.selector import ServerSelector
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.usage import Unknown
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.status.inputs import gather
from tests.support.samples import (
    GIB,
    GONE,
    HOUR,
    MINUTE,
    NOW,
    RUNNING,
    Alive,
    Happened,
    Life,
    Served,
    Target,
    asks,
    hub_pod,
    runs,
)
from tests.support.ways import REACH, Asking, Ways, asking, instant

BEGIN, END = NOW - 4.5 * HOUR, NOW + 10 * MINUTE
FIRST = NOW - 2 * HOUR
"""A whole minute."""
QUIET = FIRST - 10 * MINUTE
"""Until then nothing begins or ends."""
HOUR_LONG = [FIRST + n * MINUTE for n in range(60)]
SOME = HOUR_LONG[:10]
LATELY = [NOW - 30 * MINUTE + n * MINUTE for n in range(28)]
"""Minutes that a meter reads again and again while time goes on."""
PROFILE = "annotation_hub_jupyter_org_profile"
SERVER = "annotation_hub_jupyter_org_servername"


def up(username: str, start: float, end: float, name: str = "", **more) -> Life:
    """A pod with a uid of its own."""
    pod = f"jupyter-{username}--{name}"
    labels = {SERVER: name} if name else {}
    return runs(username, start, end, name=pod, uid=f"{pod} {start}", annotations=labels, **more)


PODS = [
    hub_pod(BEGIN, END),
    runs("steady", BEGIN, END),
    *(up("clock", at + 2.5, at + 55.4, ask=asks(2)) for at in HOUR_LONG),
    *(up("lately", at + 5, at + 55) for at in LATELY),
    *(up("several", at + 5, at + 55, name) for name in ("", "a", "b") for at in SOME),
    # Seen at one end of a minute: each counts that minute, and the one it is seen in only.
    *(up("crossing", at + 30, at + 80) for at in SOME[::2]),
    # Two in one minute are two servers, as two are that run at a whole minute.
    *(up("loop", at + start, at + start + 20) for at in SOME for start in (5, 32)),
    # One after the other, of which the first is seen: the second is a server, too.
    up("after", FIRST + 10, FIRST + 62),
    up("after", FIRST + 70, FIRST + 110, ask=asks(4)),
    runs("resized", FIRST + 5, FIRST + 50, (FIRST + 20, asks(4)), (FIRST + 40, asks(2))),
    Life("finished", {FIRST + 5: "Pending", FIRST + 12: RUNNING, FIRST + 47: "Succeeded"}),
    Life("failed", {FIRST + 5: RUNNING, FIRST + 55: "Failed", FIRST + 200: GONE}),
    Life("pending", {FIRST + 5: "Pending", FIRST + 55: GONE}),
    up("modest", FIRST + 5, FIRST + 55, ask={}),
    # Deleted in time, its grace period being over before the minute is.
    up("deleted", FIRST + 5, FIRST + 50, deleted={FIRST + 20: FIRST + 50}),
    # Its node is gone, so that it says for ever that it runs.
    up("stuck", FIRST - 130, END, deleted={FIRST - 90: FIRST - 60}),
]

USED: Mapping[str, tuple[float, float]] = {
    "clock": (60, 120),
    "lately": (28, 28),
    "several": (30, 30),
    "crossing": (5, 5),
    "loop": (20, 20),
    "after": (2, 5),
    "resized": (1, 4),
    "finished": (1, 1),
    "failed": (1, 1),
    "pending": (0, 0),
    "modest": (1, 0),
    "deleted": (1, 1),
    "stuck": (1, 1),
}
"""Minutes of time, and GiB-minutes."""

SERVERS: list[Happened] = [
    Alive(),
    *(Served("clock", at + 2.5, at + 55.4, memory=2 * GIB) for at in HOUR_LONG),
    *(Served("lately", at + 5, at + 55) for at in LATELY),
    *(
        Served("several", at + 5, at + 55, servername=name)
        for name in ("", "a", "b")
        for at in SOME
    ),
    *(Served("crossing", at + 30, at + 80) for at in SOME[::2]),
    # The Hub has servers by name: the same one twice in a minute was there in that minute.
    *(Served("loop", at + start, at + start + 20) for at in SOME for start in (5, 32)),
    Served("after", FIRST + 10, FIRST + 62),
    Served("after", FIRST + 70, FIRST + 110),
    Served("resized", FIRST + 5, FIRST + 20),
    Served("resized", FIRST + 21, FIRST + 50, memory=4 * GIB),
]
USED_OF_HUB = {
    "clock": (60, 120),
    "lately": (28, 28),
    "several": (30, 30),
    "crossing": (5, 5),
    "loop": (10, 10),
    "after": (1, 1),
    "resized": (1, 4),
}


def scraper(name: str = "ksm-0", every: float = 5, **options) -> Target:
    target = {"start": BEGIN, "end": END, "offset": 1.2, **options}
    return Target(every=every, labels={"instance": name}, **target)


@dataclass(frozen=True)
class Case:
    """What was scraped how; `used` are the minutes of time and the GiB-minutes of each."""

    source: Callable[[str], PrometheusSource]
    things: Sequence[Happened]
    targets: Sequence[Target]
    used: Mapping[str, tuple[float, float]]
    grows: bool = True


def of_pods(*targets: Target, grows: bool = True) -> Case:
    return Case(KubeStateMetrics, PODS, targets, USED, grows)


OTHERS = {"namespace": "monitoring", "pod": "ksm-5b8d", "container": "ksm"}
CASES = {
    "pods": of_pods(scraper()),
    "pods, kube-state-metrics twice": of_pods(scraper(), scraper("ksm-1", offset=3.3), grows=False),
    "pods, scraped every minute but for a while": of_pods(
        scraper(every=60, end=FIRST - 5 * MINUTE + 1.2),
        scraper(start=FIRST - 5 * MINUTE + 1.2),
    ),
    "pods, labels honoured from some time on": of_pods(
        scraper(end=FIRST + 20 * MINUTE + 1, honors=False, own=OTHERS, removed=True),
        scraper(start=FIRST + 20 * MINUTE + 1),
    ),
    "servers": Case(ServerMetrics, SERVERS, [scraper("hub")], USED_OF_HUB),
    "servers, two replicas of Prometheus": Case(
        ServerMetrics, SERVERS, [scraper("a"), scraper("b", offset=3.3)], USED_OF_HUB, grows=False
    ),
}
# Where scrapes are further apart, fewer of the servers are ever seen; what is seen is counted.
SPARSE = {
    "pods, every 15 seconds": [scraper(every=15)],
    "pods, every minute": [scraper(every=60, offset=14)],
    "pods, never at whole minutes": [scraper(failing=[(at - 15, at + 10) for at in HOUR_LONG])],
}
CASES |= {case: Case(KubeStateMetrics, PODS, targets, {}) for case, targets in SPARSE.items()}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asking(tmp_path_factory.mktemp("prometheus")) as prometheus:
        yield prometheus


@pytest.fixture(scope="module")
def all_ways(prometheus: Asking) -> Mapping[str, Ways]:
    return {
        name: prometheus.ways(
            case.source(name),
            [replace(one, namespace=name) for one in case.things],
            [*sparse_at_first(case.targets)],
            grows=case.grows,
        )
        for name, case in CASES.items()
    }


def sparse_at_first(targets: Iterable[Target]) -> Iterator[Target]:
    """Scraped once a minute until something happens: a sample more costs time, and says no more."""
    for one in targets:
        if one.start < QUIET:
            yield replace(one, end=QUIET, every=60, removed=False)
        yield replace(one, start=max(one.start, QUIET))


@pytest.mark.parametrize("case", CASES)
def test_every_way_says_what_the_samples_say(all_ways, case):
    all_ways[case].are_right()


@pytest.mark.parametrize("case", [case for case, one in CASES.items() if one.used])
def test_a_minute_counts_in_which_a_server_ran(all_ways, case):
    used = CASES[case].used
    for way, readings in all_ways[case].readings(used, ("time", "memory")).items():
        for user, (minutes, gib_minutes) in used.items():
            usage = {name: one.usage for name, one in readings[user].items()}
            assert usage["time"].between(NOW - REACH, NOW) == minutes * MINUTE, (way, user)
            memory = usage["memory"].between(NOW - REACH, NOW)
            assert memory == pytest.approx(gib_minutes * GIB * MINUTE), (way, user)


def test_the_hubs_pod_says_nothing_of_another_exporter(prometheus):
    """Its own is scraped once a minute here, within which nothing can come and go."""
    namespace = "two shards"
    things = [replace(one, namespace=namespace) for one in PODS]
    hub = scraper("ksm-1", every=60, offset=50, has=lambda one: not one.username)
    users = sparse_at_first([scraper(has=lambda one: bool(one.username))])
    ways = prometheus.ways(KubeStateMetrics(namespace), things, [hub, *users], grows=False)
    for way, readings in ways.readings(USED, ("time",)).items():
        for user, (minutes, _) in USED.items():
            usage = readings[user]["time"].usage
            assert usage.between(NOW - REACH, NOW) == minutes * MINUTE, (way, user)


def test_what_no_scrape_saw_is_not_known(all_ways):
    """A store that is scraped every minute has half of these servers, or none."""
    ways = all_ways["pods, every minute"]
    for user in ("clock", "several"):
        assert ways.at_hand(user, "time").usage.between(NOW - REACH, NOW) > 0
    loop = ways.at_hand("loop", "time").usage.between(NOW - REACH, NOW)
    assert loop == pytest.approx(10 * MINUTE)


def test_a_launch_is_denied_after_it(all_ways):
    ways = all_ways["pods"]
    written = {
        "resource": "time",
        "limit": "50 minutes",
        "window": "4 hours",
        "scope": {"everyone": True},
    }
    policies = parse_policies([written], {})
    meter = ways.kept["grown"]

    async def decision(user: str):
        subject = Subject(user)
        gathered = await gather(policies, meter, NO_LEDGER, [subject], instant(NOW))
        return gathered.of(subject).decide(Request(subject, rates={"time": 1.0}))

    run = ways.prometheus.run
    assert not run(decision("clock")).allowed
    assert run(decision("crossing")).allowed


def test_it_counts_as_the_profile_and_the_kind_that_it_was(prometheus):
    """A worker is no server: what it requests counts, and its time does not."""
    minute = FIRST + 5, FIRST + 55
    things = [
        hub_pod(BEGIN, END),
        runs("alice", *minute, uid="a", annotations={PROFILE: "small"}),
        runs("alice", *minute, uid="b", name="b", annotations={PROFILE: "large"}, ask=asks(8)),
        runs("bob", *minute, ask={"dask-worker": {"memory": 3 * GIB}}),
    ]
    namespace = "kinds"
    named = [replace(one, namespace=namespace) for one in things]
    source = KubeStateMetrics(namespace)
    ways = prometheus.ways(source, named, [scraper()], grows=False)
    of_alice = ways.readings(["alice", "bob"])["direct"]["alice"]["memory"].usage
    small = of_alice.of(ServerSelector.model_validate({"profile": ["small"]}))
    assert small.between(NOW - REACH, NOW) == pytest.approx(GIB * MINUTE)
    assert of_alice.between(NOW - REACH, NOW) == pytest.approx(9 * GIB * MINUTE)
    of_bob = ways.readings(["alice", "bob"])["direct"]["bob"]
    assert of_bob["memory"].usage.between(NOW - REACH, NOW) == pytest.approx(3 * GIB * MINUTE)
    assert of_bob["time"].usage.between(NOW - REACH, NOW) == 0


def test_requests_that_nobody_exported_are_unknown(tmp_path):
    """All that is known of such a server is that it ran."""
    things = [hub_pod(BEGIN, END), up("alice", FIRST + 5, FIRST + 55)]
    target = scraper(drops=("kube_pod_container_resource_requests",))
    with asking(tmp_path) as alone:
        ways = alone.ways(KubeStateMetrics("hub-ns"), things, [target], grows=False)
        for way, readings in ways.readings(["alice"], ("time", "memory")).items():
            of_alice = readings["alice"]
            assert of_alice["time"].usage.between(NOW - REACH, NOW) == MINUTE, way
            assert isinstance(of_alice["memory"], Unknown), way
