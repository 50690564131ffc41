"""What pods are called by KubeSpawner's own code, and whose they are by that."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from jupyterhub import orm
from kubespawner import KubeSpawner
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.errors import ConfigurationError, PodOwnersUnknown
from jupyterhub_usage_quotas.metering.client.prometheus import PrometheusClient
from jupyterhub_usage_quotas.metering.kubespawner.pods import KnownServer, Naming, ServersPods
from jupyterhub_usage_quotas.metering.meter import Meter
from jupyterhub_usage_quotas.metering.sources.pod_names import Owner
from jupyterhub_usage_quotas.quotas.usage import Fresh, Unknown
from jupyterhub_usage_quotas.status.hub_database import servers_at
from tests.support.made_up import MadeUp

LOG = logging.getLogger("test")
EVERYBODY = [
    "al",
    "alice",
    "alice--x",
    "alice.b@uni.edu",
    "ünï",
    "1st",
    "a" * 60,
    "A_b",
    "-",
    "x'\"{}",
]

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def pods(*servers: KnownServer, **options) -> ServersPods:
    async def known():
        return servers

    return ServersPods(Naming(options, "jhub"), known, LOG)


@pytest.mark.parametrize("user", EVERYBODY)
@pytest.mark.parametrize("name", ["", "x--y", "z" * 30])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"slug_scheme": "escape"},
        {"pod_name_template": "{username}-of-{userid}--{servername}"},
        {"enable_user_namespaces": True, "user_namespace_template": "ns-{username}"},
    ],
    ids=str,
)
async def test_a_name_is_what_a_real_spawner_has(user, name, options):
    spawner = KubeSpawner(
        _mock=True,
        user=SimpleNamespace(name=user, id=7, url="/"),
        orm_spawner=SimpleNamespace(name=name, server=None),
        namespace="jhub",
        **options,
    )
    expected = (spawner.namespace, spawner.pod_name)
    assert Naming(options, "jhub").pod(KnownServer(user, name, 7)) == expected


@pytest.mark.parametrize(
    ("server", "pod"),
    [
        (KnownServer("alice"), "jupyter-alice"),
        (KnownServer("alice", "x"), "jupyter-alice--x"),
        (KnownServer("alice--x"), "jupyter-alice-x---2bbc534b"),
        (KnownServer("alice.b@uni.edu", "gpu"), "jupyter-alice-b-uni-edu---d7a4e6cd--gpu"),
    ],
)
async def test_names_as_they_were_seen_in_clusters(server, pod):
    assert await pods(server).owners() == {("jhub", pod): Owner(server.user, server.name)}


async def test_a_pod_that_was_named_otherwise_when_it_started_is_known_as_well():
    before = KnownServer("a.b", pod=("jhub", "jupyter-a-2eb"))
    assert set(await pods(before).owners()) == {
        ("jhub", "jupyter-a-2eb"),
        ("jhub", f"jupyter-a-b---{hashlib.sha256(b'a.b').hexdigest()[:8]}"),
    }


async def test_a_name_that_two_servers_could_have_is_nobodys():
    both = KnownServer("alice", "x"), KnownServer("alice", "y"), KnownServer("al")
    owners = await pods(*both, pod_name_template="jupyter-{username}").owners()
    assert owners == {("jhub", "jupyter-al"): Owner("al")}


async def test_a_name_that_two_servers_could_have_is_of_the_one_that_runs(caplog):
    template = {"pod_name_template": "jupyter-{username}-{servername}"}
    first, second = KnownServer("a", "b-c"), KnownServer("a-b", "c")
    name = ("jhub", "jupyter-a-b-c")
    assert name not in await pods(first, second, **template).owners()
    running = replace(second, running=True)
    assert (await pods(first, running, **template).owners())[name] == Owner("a-b", "c", shared=True)
    both = replace(first, running=True), running
    assert name not in await pods(*both, **template).owners()


async def test_names_that_two_servers_could_have_are_told_once(caplog):
    both = KnownServer("a", "b-c"), KnownServer("a-b", "c"), KnownServer("al")
    named = pods(*both, pod_name_template="jupyter-{username}-{servername}")
    await named.owners()
    await named.owners()
    assert caplog.text.count("jhub/jupyter-a-b-c") == 1
    assert "{user_server}" in caplog.text


@pytest.mark.parametrize(
    ("template", "like"),
    [
        ("jupyter-{user_server}", ("jupyter-*",)),
        ("jupyter-{username}--{servername}", ("jupyter*",)),
        ("{username}--{servername}", ()),
        ("{username}-nb-{servername}", ("*-nb*",)),
        ("{username}-nb", ("*-nb",)),
        ("{username}", ()),
    ],
)
def test_what_all_names_are_like(template, like):
    assert pods(pod_name_template=template).like == like


async def test_a_number_that_is_not_known_is_not_made_up():
    with pytest.raises(PodOwnersUnknown):
        await pods(KnownServer("al"), pod_name_template="jupyter-{userid}").owners()


def test_who_is_left_over_is_told_once(caplog):
    named = pods()
    named.left_over({("jhub", "jupyter-al--gone")})
    named.left_over({("jhub", "jupyter-al--gone")})
    assert caplog.text.count("jhub/jupyter-al--gone") == 1


def test_the_servers_are_all_that_the_hubs_database_knows(tmp_path):
    url = f"sqlite:///{tmp_path / 'hub.sqlite'}"
    db = orm.new_session_factory(url)()
    al, alice = orm.User(name="al"), orm.User(name="alice")
    running = {"pod_name": "jupyter-alice-old", "namespace": "jhub"}
    db.add_all([al, alice, orm.Spawner(user=alice, name="x", state=running, server=orm.Server())])
    db.commit()
    first, number = al.id, alice.id
    db.close()
    assert set(servers_at(url)) == {
        KnownServer("al", "", first),
        KnownServer("alice", "", number),
        KnownServer("alice", "x", number, ("jhub", "jupyter-alice-old"), running=True),
    }


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(PodOwnersUnknown, match="run this where the Hub runs"):
        servers_at(f"sqlite:///{tmp_path / 'none.sqlite'}")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_database_is_told_without_its_password(tmp_path):
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(PodOwnersUnknown, match="OperationalError"):
        servers_at(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    with pytest.raises(PodOwnersUnknown) as error:
        servers_at("postgresql+nothing://me:secret@127.0.0.1:9/hub")
    assert "secret" not in str(error.value)


def config(**manager) -> Config:
    return Config(
        {
            "UsageConfig": {"hub_namespace": "jhub", "identify_pods_by": "name"},
            "UsageQuotaManager": manager,
            "KubeSpawner": {"slug_scheme": "escape", "mem_guarantee": "1G"},
            "JupyterHub": {"db_url": "sqlite:////srv/hub.sqlite"},
        }
    )


def test_kubespawners_own_options_are_the_default():
    manager = UsageQuotaManager(config=config())
    assert manager.pod_naming == {"slug_scheme": "escape"}
    assert manager.hub_database == "sqlite:////srv/hub.sqlite"


def test_what_names_do_not_say_cannot_be_selected():
    policy = {"resource": "gpu", "limit": "1 GPU-hour", "window": 7, "scope": {"everyone": True}}
    UsageQuotaManager(config=config(policy=[policy | {"servers": {"name": ["x"]}}]))
    with pytest.raises(ConfigurationError, match="selects servers by profile"):
        UsageQuotaManager(config=config(policy=[policy | {"servers": {"profile": ["x"]}}]))


def test_without_a_namespace_a_name_says_nothing():
    without = config()
    without.UsageConfig.hub_namespace = ""
    with pytest.raises(ConfigurationError, match="hub_namespace: must be set"):
        UsageQuotaManager(config=without)


async def test_a_database_that_cannot_be_read_is_not_held_against_prometheus():
    """However often: once it can be read again, Prometheus is asked at once."""
    lost = PodOwnersUnknown("the Hub's database could not be read: OperationalError")
    source = MadeUp({}, failure=lost)
    meter = Meter(PrometheusClient("http://nowhere.test"), [source], clock=lambda: NOW)
    readings = [await meter.read({"al"}, ["time"], timedelta(days=1), NOW) for _ in range(20)]
    assert readings == [{"al": {"time": Unknown("servers_unknown", str(lost))}}] * 20
    assert len(source.asked) == 20
    source.failure = None
    found = await meter.read({"al"}, ["time"], timedelta(days=1), NOW)
    assert isinstance(found["al"]["time"], Fresh)
