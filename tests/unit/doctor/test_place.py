"""Where a deployment is, by its spawner and by what it runs in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from batchspawner import SlurmSpawner
from dockerspawner import DockerSpawner
from kubespawner import KubeSpawner
from systemdspawner import SystemdSpawner

from jupyterhub_usage_quotas.doctor.place import Place, place_of

OWN = type("OwnKubeSpawner", (KubeSpawner,), {})
POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


def hub(spawner: type, port: int = 8081) -> Any:
    return SimpleNamespace(spawner_class=spawner, hub_port=port)


@pytest.mark.parametrize(
    ("spawner", "environment", "pods", "kubernetes"),
    [
        (KubeSpawner, {}, True, True),
        (OWN, POD, True, True),
        (SystemdSpawner, {}, False, False),
        (SlurmSpawner, {}, False, False),
        (DockerSpawner, {}, False, False),
        # Its servers do not run as pods, and the Hub does.
        (SystemdSpawner, POD, False, True),
    ],
)
def test_by_the_spawner(spawner, environment, pods, kubernetes):
    place = place_of(hub(spawner, 15001), environment)
    assert (place.spawner, place.pods, place.kubernetes, place.port) == (
        spawner.__name__,
        pods,
        kubernetes,
        15001,
    )


def test_of_a_configuration_that_cannot_be_read():
    assert place_of(None, POD).kubernetes
    assert not place_of(None, {}).kubernetes


@pytest.mark.parametrize(
    ("place", "here", "target"),
    [
        (Place("KubeSpawner", pods=True, in_a_pod=True), "this pod", "scrape-hub.yaml"),
        (Place("KubeSpawner", pods=True, in_a_pod=False), "this pod", "scrape-hub.yaml"),
        (
            Place("DockerSpawner", pods=False, in_a_pod=False, in_a_container=True),
            "this container",
            "the Hub's host:8081",
        ),
        (
            Place("SystemdSpawner", pods=False, in_a_pod=False, port=15001),
            "this machine",
            "127.0.0.1:15001",
        ),
    ],
)
def test_what_is_advised_there(place, here, target):
    assert place.here == here
    assert target in place.scrape_hub
