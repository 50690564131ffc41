"""What every source of usage must do, whatever it is made of: one suite, run for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest

from jupyterhub_usage_quotas import conventions
from jupyterhub_usage_quotas.demo.history import Span
from jupyterhub_usage_quotas.metering.sources.base import ServerMetrics, Source
from jupyterhub_usage_quotas.metering.sources.kube_state_metrics import KubeStateMetrics
from jupyterhub_usage_quotas.metering.sources.pod_names import Owner
from jupyterhub_usage_quotas.quotas.policy.selector import ServerSelector
from jupyterhub_usage_quotas.quotas.subject import REST
from jupyterhub_usage_quotas.quotas.usage import Fresh, Reading, Unknown
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.recorded import NOW, instant, meter

DAY = 24 * HOUR
START, END = NOW - 5 * HOUR + 60, NOW - 4 * HOUR - 60
"""With the look-back of a minute this is exactly one hour of one-minute samples."""


@dataclass(frozen=True)
class Server:
    """What happened, in words that every source can export."""

    username: str
    name: str = ""
    start: int = START
    end: int = END
    memory: float = GIB
    cpu: float = 1.0
    gpus: int = 0
    replica: str = ""
    profile: str = ""
    profile_name: str = ""


def pod_of(server: Server) -> str:
    return f"jupyter-{server.username}--{server.name}"


def as_pods(
    servers: Iterable[Server], alive_until: int, *, annotated: bool = True
) -> Iterator[Span]:
    yield from hub_pod(NOW - DAY, alive_until)
    for server in servers:
        pod = pod_of(server)
        yield from Pod(
            server.username,
            server.start,
            server.end,
            pod,
            f"{pod}-{server.start}",
            memory=server.memory,
            cpu=server.cpu,
            gpus=server.gpus,
            server=server.name,
            profile=server.profile,
            profile_name=server.profile_name,
            extra={"replica": server.replica} if server.replica else {},
            annotated=annotated,
        ).spans


def as_named_pods(servers: Iterable[Server], alive_until: int) -> Iterator[Span]:
    """The same without the metric of annotations, and with pods that are nobody's."""
    strangers = [Server("alic"), Server("alice", "deleted"), Server("choosy--work")]
    for span in as_pods([*servers, *strangers], alive_until, annotated=False):
        if span.metric != conventions.KSM_ANNOTATIONS:
            yield span


def as_hub_metrics(servers: Iterable[Server], alive_until: int) -> Iterator[Span]:
    info = {"namespace": NAMESPACE}
    yield Span(conventions.EXPORTER_INFO, info, NOW - DAY, alive_until)
    for server in servers:
        amounts = {
            "memory": server.memory, "cpu": server.cpu, "gpu": float(server.gpus), "time": 1.0
        }  # fmt: skip
        for resource, amount in amounts.items():
            gpu = "true" if server.gpus else "false"
            profile = (server.profile, server.profile_name)
            values = (NAMESPACE, server.username, server.name, *profile, gpu, resource)
            labels = dict(zip(conventions.SERVER_LABELS, values, strict=True))
            if server.replica:
                labels["replica"] = server.replica
            if amount:
                yield Span(conventions.SERVER_REQUESTS, labels, server.start, server.end, amount)


SERVERS = [
    Server("alice"),
    Server("two", "a", memory=2 * GIB, gpus=1),
    Server("two", "b", memory=4 * GIB, cpu=0.5),
    Server("twin", replica="a"),
    Server("twin", replica="b"),
    Server("again", start=START - 2 * HOUR, end=END - 2 * HOUR),
    Server("again"),
    Server("choosy", memory=GIB, profile="small", profile_name="Small, “cheap”"),
    Server("choosy", "work", memory=2 * GIB, gpus=1, profile="gpu-large", profile_name="GPU {x}"),
    Server("choosy", "play", memory=4 * GIB, start=START - 7200, end=END - 7200),
]


class Names:
    """What these servers' pods are called, and no others'."""

    like = ("jupyter-*",)

    def __init__(self) -> None:
        self.left: set[tuple[str, str]] = set()

    async def owners(self) -> Mapping[tuple[str, str], Owner]:
        elsewhere = {("elsewhere", "jupyter-alic--"): Owner("alice")}
        return elsewhere | {
            (NAMESPACE, pod_of(server)): Owner(server.username, server.name) for server in SERVERS
        }

    def left_over(self, pods: Iterable[tuple[str, str]]) -> None:
        self.left |= set(pods)


BY_NAME = KubeStateMetrics(NAMESPACE, ["nvidia.com/gpu"], named=Names())
"""Identifies pods by name, which does not say which profile they have."""

Export = Callable[[Iterable[Server], int], Iterator[Span]]
SOURCES: dict[str, tuple[Export, Source]] = {
    "kube-state-metrics": (as_pods, KubeStateMetrics(NAMESPACE, ["nvidia.com/gpu"])),
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
