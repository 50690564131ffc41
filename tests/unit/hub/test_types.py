"""JupyterHub 5 and 6 and KubeSpawner have every attribute that our Protocols name, and so have the
users and spawners that tests make up. The oracle are the real objects.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Protocol

import pytest

from jupyterhub_usage_quotas.hub.types import HubSpawner, HubUser
from tests.support.hub import WITH_SPAWNERS
from tests.support.hub_attributes import lacking, protocols
from tests.support.hub_objects import hub_spawner, hub_user
from tests.support.paths import ROOT


@pytest.mark.parametrize("version", WITH_SPAWNERS)
def test_jupyterhub_has_what_we_use_of_it(version: str):
    done = subprocess.run(
        [WITH_SPAWNERS[version], "-m", "tests.support.hub_attributes"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: [] for name in protocols()}


def test_users_and_spawners_that_tests_make_up_have_it_too():
    assert lacking(HubUser, [hub_user("ada")]) == []
    assert lacking(HubSpawner, [hub_spawner()]) == []


class Renamed(Protocol):
    """A user as they could be in a JupyterHub to come."""

    @property
    def name(self) -> str: ...
    @property
    def teams(self) -> list[str]: ...


def test_an_attribute_that_is_not_there_is_named():
    assert lacking(Renamed, [hub_user("ada")]) == ["teams"]
    assert lacking(Renamed, [hub_user("ada", teams=[]), hub_user("bob")]) == ["teams"]
    assert {"HubApp", "HubGroup", "HubSpawner", "HubUser"} <= set(protocols())
