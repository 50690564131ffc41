"""A resource over time and a second gauge, each added in one file, go all the way: from what an
admin writes and what a real Prometheus has, to decisions, launches, pages and JSON.

The oracle is arithmetic on what is written into Prometheus below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from bs4 import BeautifulSoup
from kubespawner import KubeSpawner
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.config.viewer import UsageViewer
from jupyterhub_usage_quotas.errors import ConfigurationError
from jupyterhub_usage_quotas.hub.launch.denial import LaunchDenied
from jupyterhub_usage_quotas.hub.launch.rates import rates_of
from jupyterhub_usage_quotas.ledger.base import NO_LEDGER
from jupyterhub_usage_quotas.quotas.decide import Decision, Outcome
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from jupyterhub_usage_quotas.quotas.subject import Subject
from jupyterhub_usage_quotas.quotas.verdict import Request
from jupyterhub_usage_quotas.services.viewer.configuration import Configured
from jupyterhub_usage_quotas.status.users import UserStatuses
from tests.support.added.ephemeral_disk import EPHEMERAL_DISK
from tests.support.added.object_storage import OBJECT_STORAGE, OBJECTS
from tests.support.cluster import GIB, HOUR, NAMESPACE, Pod, hub_pod
from tests.support.hub_objects import hub_user
from tests.support.programs import Span
from tests.support.recorded import NOW, instant
from tests.support.viewer import Viewer, running_viewer

EVERYONE = {"scope": {"everyone": True}}
DISK = {"name": "disk", "resource": "disk", "limit": "100 GiB-hours", "window": 1} | EVERYONE
BUCKETS = {"name": "buckets", "resource": "objects", "limit": "exported"} | EVERYONE


class Quotas(UsageQuotaManager):
    """The options, with what was added registered."""

    BUILT_IN: ClassVar = {**RESOURCES, EPHEMERAL_DISK.name: EPHEMERAL_DISK, OBJECTS.name: OBJECTS}
    GAUGES: ClassVar = (*UsageQuotaManager.GAUGES, OBJECT_STORAGE)


END = NOW + 4 * HOUR
"""Into the future: pages look at the clock, and tests before these take a while."""


def server(user: str, hours: int, gib: float, number: int) -> Iterator[Span]:
    """A server of a user's that ran for so long until an hour ago and had so much disk."""
    # A sample stands for the minute before it, and the last one is shown for another.
    start, end = NOW - HOUR - hours * HOUR + 60, NOW - HOUR - 60
    name, uid = f"jupyter-{user}", f"uid-{number}"
    yield from Pod(user, start, end, name, uid).spans
    labels = {"namespace": NAMESPACE, "pod": name, "uid": uid, "container": "notebook"}
    labels |= {"resource": "ephemeral_storage", "unit": "byte", "instance": "ksm-0"}
    yield Span("kube_pod_container_resource_requests", labels, start, end, gib * GIB)


def bucket(user: str, gib: float, quota: float) -> Iterator[Span]:
    labels = {"bucket": f"home-of-{user}", "instance": "objects:1"}
    yield Span("bucket_size_bytes", labels, NOW - HOUR, END, gib * GIB)
    yield Span("bucket_quota_bytes", labels, NOW - HOUR, END, quota * GIB)


def history() -> Iterator[Span]:
    yield from hub_pod(NOW - 30 * HOUR, END)
    yield from server("ada", 12, 10, 1)  # 120 GiB-hours, 100 of them are allowed in a day
    yield from server("bob", 4, 10, 2)  # 40
    yield from server("eve", 1, 1, 3)
    yield from bucket("ada", 1, 8)
    yield from bucket("bob", 3, 8)
    yield from bucket("eve", 9, 8)


@pytest.fixture(scope="module")
def quotas_of(serve_history: Callable[..., str]) -> Callable[..., Quotas]:
    url = serve_history(history())

    def make(*policies: dict[str, Any]) -> Quotas:
        return Quotas(config=config_of(url, *policies))

    return make


def config_of(url: str, *policies: dict[str, Any]) -> Config:
    config = Config()
    config.UsageConfig.prometheus_url = url
    config.UsageConfig.hub_namespace = NAMESPACE
    config.UsageConfig.deadline = 60.0
    config.UsageConfig.request_timeout = 30.0
    config.UsageQuotaManager.policy = list(policies)
    config.UsageQuotaManager.failover_open = False
    return config


async def decided(quotas: Quotas, user: str) -> Decision:
    statuses = UserStatuses(quotas.policies, quotas.meter)
    try:
        return (await statuses.inputs(Subject(user), instant(NOW))).decide(Request(Subject(user)))
    finally:
        await quotas.aclose()


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(("user", "used"), [("ada", 120), ("bob", 40), ("zoe", 0)])
async def test_a_resource_of_pods_is_read_and_decided_on(quotas_of, user, used, kept):
    quotas = quotas_of(DISK)
    if kept:
        await quotas.meter.refresh(timedelta(days=1))
        while await quotas.meter.extend():
            pass
    decision = await decided(quotas, user)
    (verdict,) = decision.verdicts
    assert verdict.used == used * GIB * HOUR
    assert decision.outcome is (Outcome.DENIED if used >= 100 else Outcome.ALLOWED)
    # Of 120 at 10 an hour a good 20 must be older than a day, the first of which is 13 hours ago.
    assert decision.retry_time == (instant(NOW + 13 * HOUR + 60) if used > 100 else None)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    ("user", "gib", "to_free"), [("ada", 1, None), ("eve", 9, 1), ("zoe", 0, None)]
)
async def test_a_second_gauge_is_read_and_decided_on(quotas_of, user, gib, to_free, kept):
    quotas = quotas_of(BUCKETS)
    if kept:
        await quotas.meter.refresh(timedelta(0))
    decision = await decided(quotas, user)
    (verdict,) = decision.verdicts
    assert verdict.used == gib * GIB
    assert verdict.to_free == (None if to_free is None else to_free * GIB)
    assert decision.outcome is (Outcome.ALLOWED if to_free is None else Outcome.DENIED)


async def test_what_a_server_asks_for_is_read_from_its_spawner():
    extra = {"ephemeral-storage": "10Gi", "nvidia.com/gpu": "1"}
    spawner = KubeSpawner(_mock=True, mem_guarantee="1G", extra_resource_guarantees=extra)
    rates = rates_of(spawner, Quotas().built_in)
    asked = {"memory": GIB, "cpu": 0, "gpu": 1, "disk": 10 * GIB, "time": 1}
    assert rates == asked


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ("ada", "You have used up your ephemeral disk quota: 120 of 100 GiB-hours in the last day"),
        ("eve", "You have used up your object storage quota: 9 GiB of 8 GiB."),
        ("bob", None),
        ("zoe", None),
    ],
)
async def test_a_launch_is_denied_by_them_in_their_words(quotas_of, user, says):
    quotas = quotas_of(DISK, BUCKETS)
    spawner = KubeSpawner(_mock=True, extra_resource_guarantees={"ephemeral-storage": "10Gi"})
    told = ""
    try:
        await quotas.pre_spawn_start(hub_user(user), spawner)
    except LaunchDenied as denied:
        told = denied.jupyterhub_message
    finally:
        await quotas.aclose()
    if says is None:
        assert told == ""
    else:
        assert says in told
    assert ("Delete objects" in told) is (user == "eve")


@pytest.fixture(scope="module")
def viewer(quotas_of: Callable[..., Quotas]) -> Iterator[Viewer]:
    quotas = quotas_of(DISK)
    configured = Configured(UsageViewer(config=quotas.config), quotas, NO_LEDGER, ())
    with running_viewer({}, configured=configured, meter=quotas.make_meter()) as running:
        for user in ("ada", "bob", "eve"):
            running.hub.add_user(user)
        yield running


def test_both_are_in_json(viewer):
    said = viewer.api("me", "eve").json()
    (verdict,) = said["verdicts"]
    assert (verdict["resource"], verdict["display_name"]) == ("disk", "Ephemeral disk")
    assert (verdict["used"], verdict["unit"], said["outcome"]) == (1, "GiB-hours", "allowed")
    gauge = said["gauges"]["objects"]
    assert (gauge["used"], gauge["limit"], gauge["unit"]) == (9 * GIB, 8 * GIB, "B")
    assert (gauge["state"], gauge["there"]) == ("fresh", True)
    assert viewer.api("me", "ada").json()["outcome"] == "denied"


def test_both_are_on_pages(viewer):
    page = BeautifulSoup(viewer.get("", "token-of-eve").text, "html.parser")
    assert page.find(id="usage-quota-card-1")["data-said"] == "Ephemeral disk, disk: OK"
    card = page.find(id="usage-quota-gauge-objects")
    assert card["data-said"] == "Object storage: Used up"
    assert [one.get_text(strip=True) for one in card.select("dd")] == ["0 B", "9 GiB", "8 GiB"]


def test_a_forecast_may_ask_for_it(viewer):
    said = viewer.api("users/bob/forecast?disk=20GiB", "bob").json()
    # Of 100 GiB-hours 60 remain: three hours at 20 GiB.
    assert said["lasts_seconds"] == pytest.approx(3 * HOUR, abs=120)
    document = viewer.get("api/v1/openapi.json").json()
    path = next(path for path in document["paths"] if path.endswith("/forecast"))
    names = {one["name"] for one in document["paths"][path]["get"]["parameters"]}
    assert {"memory", "cpu", "gpu", "disk"} <= names
    assert not {"objects", "storage", "time", "credits"} & names


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (DISK | {"limit": "100 GiB"}, "not a unit of disk"),
        (DISK | {"limit": "exported"}, "does not start with a number"),
        (BUCKETS | {"window": 7}, "objects is what is there now"),
        (BUCKETS | {"share": "pooled"}, "objects cannot be pooled"),
    ],
)
def test_what_cannot_be_meant_of_them_is_refused(policy, says):
    with pytest.raises(ConfigurationError, match=says):
        Quotas(config=config_of("http://nowhere.test", policy))


def test_without_being_registered_they_are_not_known():
    with pytest.raises(ConfigurationError, match="disk"):
        UsageQuotaManager(config=config_of("http://nowhere.test", DISK))
