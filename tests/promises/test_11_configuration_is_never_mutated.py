"""Promise 11: configuration is read and never written, and to set up twice is to set up once.

That what deployments have written is accepted as written is in `e2e/test_startup.py`.
"""

from __future__ import annotations

import copy

import pytest
from jupyterhub.app import JupyterHub
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager, setup_usage_quotas
from jupyterhub_usage_quotas.hub.viewer_service import declare_viewer

POLICY = {"resource": "cpu", "limit": "1 CPU-hours", "window": 1, "scope": {"group": ["a"]}}


def written() -> Config:
    """What an admin wrote."""
    made = Config()
    made.UsageQuotaManager.policy = [copy.deepcopy(POLICY)]
    made.UsageQuotaManager.scope_backup_strategy = {"intersection": "sum"}
    made.Spawner.mem_guarantee = "2G"
    return made


def test_only_the_hook_is_put_in_and_that_once():
    made = written()
    setup_usage_quotas(made)
    once = copy.deepcopy(made)
    setup_usage_quotas(made)
    assert made == once
    assert made.UsageQuotaManager == written().UsageQuotaManager
    assert set(made) == {"UsageQuotaManager", "Spawner"}
    assert set(made.Spawner) - set(written().Spawner) == {"pre_spawn_hook"}


def test_reading_the_policies_writes_nothing():
    made = written()
    assert len(UsageQuotaManager(config=made).policies.policies) == 1
    assert made == written()


@pytest.mark.parametrize("declared", [{}, {"services": [{"name": "other", "url": "http://a:1"}]}])
def test_declaring_the_viewer_writes_nothing_and_twice_is_once(declared):
    made = written()
    made.JupyterHub.update(copy.deepcopy(declared))
    before = copy.deepcopy(made)
    app = JupyterHub(config=made)
    declare_viewer(app, UsageQuotaManager(parent=app, config=app.config))
    first = copy.deepcopy([dict(one, environment=None) for one in app.services])
    roles = copy.deepcopy(app.load_roles)
    declare_viewer(app, UsageQuotaManager(parent=app, config=app.config))
    assert [dict(one, environment=None) for one in app.services] == first
    assert app.load_roles == roles
    assert made == app.config == before
