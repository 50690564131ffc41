"""Users whose names are made of what queries and pod names are made of, and what each used."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.programs import Span
from tests.support.recorded import NOW

# Pod names as KubeSpawner 7.1 made them for these users (and one long name that it cut).
USERS = {
    "al": ["jupyter-al", "jupyter-al--x"],
    "alice": ["jupyter-alice", "jupyter-alice--x"],
    "alice--x": ["jupyter-alice-x---2bbc534b"],
    "alice-smith": ["jupyter-alice-smith"],
    "o'brien": ["jupyter-o-brien---8d9b1a4c"],
    'a"b\\c': ["jupyter-a-b-c---1c2d3e4f"],
    'x{y="z"}': ["jupyter-x-y-z---5a6b7c8d"],
    "ünïcode": ["jupyter-u-ni-code---9e0f1a2b"],
    "a@b.org": ["jupyter-a-b-org---3c4d5e6f", "jupyter-a-b-org---3c4d5e6f--gpu"],
    "long" * 50: ["jupyter-longlonglonglong---7a8b9c0d--longlonglonglong"],
    "line\nbreak": ["jupyter-line-break---1b2c3d4e"],
    ".*": ["jupyter-x---5f6a7b8c"],
    "<script>alert(1)</script>": ["jupyter-script-alert-1-script---9d0e1f2a"],
    'u",pod=~".*': ["jupyter-u-pod---3b4c5d6e"],
}
NOBODY = ["ali", "alice.smith", "", "*", "alice|al", "AL", "missing"]


def gib_hours(username: str) -> float:
    """The truth: a power of two of GiB for every user, one hour for each of their pods."""
    return 2.0 ** list(USERS).index(username) * len(USERS[username])


def cluster() -> Iterator[Span]:
    yield from hub_pod(NOW - 24 * HOUR, NOW)
    for number, (username, pods) in enumerate(USERS.items()):
        for index, name in enumerate(pods):
            start = NOW - (3 + index) * HOUR
            yield from Pod(
                username,
                start + 60,
                start + HOUR - 60,  # the look-back of a minute adds one sample
                name,
                f"uid-{number}-{index}",
                memory=2.0**number * GIB,
            ).spans


def hub_metrics() -> Iterator[Span]:
    yield Span(
        "jupyterhub_usage_quotas_exporter_info",
        {"namespace": NAMESPACE},
        NOW - 24 * HOUR,
        NOW,
    )
    for number, (username, servers) in enumerate(USERS.items()):
        for index, _ in enumerate(servers):
            start = NOW - (3 + index) * HOUR
            labels = {
                "namespace": NAMESPACE,
                "username": username,
                "servername": "x" * index,
                "profile": "",
                "resource": "memory",
            }
            yield Span(
                "jupyterhub_usage_quotas_server_requests",
                labels,
                start + 60,
                start + HOUR - 60,
                2.0**number * GIB,
            )
