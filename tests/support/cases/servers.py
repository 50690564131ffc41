"""Servers that ran, in words that every source of usage can export, and each export of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from jupyterhub_usage_quotas import conventions
from jupyterhub_usage_quotas.metering.sources.pod_names import Owner
from jupyterhub_usage_quotas.quotas.sessions import Session, Watch
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.programs import Span
from tests.support.recorded import NOW

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


def as_sessions(servers: Iterable[Server], alive_until: int) -> Iterator[Session | Watch]:
    """What the Hub recorded, to the second: replicas of an exporter are not its concern."""
    yield Watch(f"watch-{alive_until}", NAMESPACE, NOW - DAY, alive_until)
    for server in servers:
        yield Session(
            f"{server.username}-{server.name}-{server.start}",
            NAMESPACE,
            server.username,
            server.name,
            server.start - 60,
            server.end + 60,
            server.end + 60,
            {"memory": server.memory, "cpu": server.cpu, "gpu": float(server.gpus), "time": 1.0},
            profile=server.profile,
            profile_name=server.profile_name,
        )


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
