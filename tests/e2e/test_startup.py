"""What a Hub does with its configuration at start-up: accepts it, or stops and says why."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import jupyterhub_usage_quotas
from jupyterhub_usage_quotas import __version__
from tests.support.hub import PYTHONS, launch, running_hub, write_config
from tests.support.paths import ROOT
from tests.support.programs import free_port

WRONG = """
from jupyterhub_usage_quotas import setup_usage_quotas

setup_usage_quotas(c)
c.UsageQuotaManager.policy = [
    {"resource": "memory", "limit": "20 GPU-hours", "window": 7, "scope": {"group": ["a"]}},
    {"name": "x", "resource": "disk", "limit": "1 GiB", "window": -1, "scope": {"group": "a"}},
    {"name": "x", "resource": "cpu", "limit": "-5 CPU-hours", "window": 7, "scop": {}},
]
c.UsageQuotaManager.failover_opne = True
c.UsageConfig.deadline = "soon"
c.UsageConfig.prometheus_url = "prometheus:9090"
"""

READABLE = [
    "Invalid usage quota configuration",
    "UsageQuotaManager.policy[0].limit: not a unit of memory: got 'GPU-hours'; expected for",
    "example '1000 GiB-hours'",
    "UsageQuotaManager.policy[1] ('x').resource: unknown resource: got 'disk'; expected one of:",
    "UsageQuotaManager.policy[1] ('x').window: out of range: got -1; expected a duration between 0",
    "UsageQuotaManager.policy[1] ('x').scope.group: must be a list of names",
    "UsageQuotaManager.policy[2] ('x').limit: must not be negative: got '-5 CPU-hours'",
    "UsageQuotaManager.policy[2] ('x').scop: unknown key",
    "UsageQuotaManager.policy[2] ('x').scope: is missing",
    "UsageQuotaManager.failover_opne: unknown option; did you mean failover_open?",
    "UsageQuotaManager.policy: 2 policies have the name 'x'",
    "UsageConfig.deadline:",
    "UsageConfig.prometheus_url: not a URL: got 'prometheus:9090'; expected a URL, for example",
]


@pytest.mark.parametrize("version", PYTHONS)
def test_a_wrong_configuration_stops_the_hub_with_all_its_faults(version, tmp_path):
    """The policies are set after the call of `setup_usage_quotas`, and are found all the same."""
    config_file = write_config(tmp_path, version, WRONG, free_port())
    with launch(tmp_path, version, config_file) as hub:
        assert hub.wait_for_exit(60) == 1
        said = hub.output()
    for line in READABLE:
        assert line in said
    assert "Traceback" not in said
    assert "is now running" not in said
    assert said.count("Invalid usage quota configuration") == 1


@pytest.mark.parametrize("version", PYTHONS)
def test_two_policies_with_one_name(version, tmp_path):
    policy = '{"name": "x", "resource": "cpu", "limit": "5 CPU-hours", "window": 7, "scope": ' + (
        '{"everyone": True}}'
    )
    config = f"""
    from jupyterhub_usage_quotas import setup_usage_quotas
    c.UsageQuotaManager.policy = [{policy}, {policy}]
    setup_usage_quotas(c)
    """
    config_file = write_config(tmp_path, version, config, free_port())
    with launch(tmp_path, version, config_file) as hub:
        assert hub.wait_for_exit(60) == 1
        assert "2 policies have the name 'x'; a name must be unique" in hub.output()


SPAWNER_WITH_A_METHOD = """
from jupyterhub.spawner import SimpleLocalProcessSpawner
from jupyterhub_usage_quotas import setup_usage_quotas

class OwnSpawner(SimpleLocalProcessSpawner):
    def pre_spawn_hook(self, spawner):
        pass

c.JupyterHub.spawner_class = OwnSpawner
setup_usage_quotas(c)
"""


def test_a_spawner_that_cannot_be_hooked_is_refused(tmp_path):
    config_file = write_config(tmp_path, "6", SPAWNER_WITH_A_METHOD, free_port())
    with launch(tmp_path, "6", config_file) as hub:
        assert hub.wait_for_exit(60) == 1
        assert "OwnSpawner overrides the pre_spawn_hook trait" in hub.output()


OLDER = """
import os
os.environ["JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_URL"] = "http://user:secret@old.example:9090/p"
os.environ["JUPYTERHUB_USAGE_QUOTAS_HUB_NAMESPACE"] = "from-environment"
from jupyterhub_usage_quotas import setup_usage_quotas

c.UsageQuotaManager.policy = [
    {"resource": "memory", "limit": "5000G", "window": 30, "scope": {"group": ["a"]}}
]
c.UsageQuotaManager.scope_fallback_strategy = {
    "empty": {"resource": "memory", "limit": {"value": 500, "unit": "GiB-hours"}, "window": 7},
    "intersection": "max",
}
c.UsageQuotaManager.prometheus_scrape_interval = 60
c.UsageQuotaManager.hub_url = "http://localhost:8000"
c.UsageConfig.escape_username_scheme = {"pod": "safe"}
setup_usage_quotas(c)
"""


def test_older_spellings_are_accepted_and_none_is_ignored_silently(tmp_path):
    with running_hub(tmp_path, "6", OLDER) as hub:
        said = hub.program.output()
        build = {"version": __version__, "documentation_url": ""}
        assert hub.metric("jupyterhub_usage_quotas_build_info", **build) == 1
    folder = str(Path(jupyterhub_usage_quotas.__file__).parent)
    assert f"] jupyterhub-usage-quotas {__version__}, imported from {folder}\n" in said
    assert "is installed in" not in said
    assert "Usage quotas: 2 policies" in said
    assert "Prometheus at http://old.example:9090/p" in said
    assert "user:secret" not in said
    for option in ("hub_url", "escape_username_scheme"):
        assert f"{option} is no longer needed and has no effect" in said
    # This one still has an effect.
    assert "prometheus_scrape_interval is no longer needed" not in said


@pytest.mark.parametrize("version", PYTHONS)
def test_the_quickstart_is_accepted_as_it_is_written(version, tmp_path):
    """With KubeSpawner, and the Hub's own needs instead of a cluster's."""
    quickstart = tmp_path / "quickstart"
    shutil.copytree(ROOT / "tests/data/quickstart", quickstart)
    directory = quickstart
    config_file = write_config(directory, version, "", free_port())
    base = config_file.read_text()
    example = (ROOT / "tests/data/quickstart/jupyterhub_config.py").read_text()
    # The authenticator of the example needs a package and a provider; the Hub here has neither.
    config_file.write_text(example + base.replace("c.JupyterHub.spawner_class", "_"))
    with launch(directory, version, config_file) as hub:
        hub.wait_until(lambda: "JupyterHub is now running" in hub.output())
        said = hub.output()
    assert "kubespawner.spawner.KubeSpawner" in said
    assert "Usage quotas: 1 policy, usage from kube-state-metrics" in said
    assert "http://<prometheus-service-name>." in said
    assert (
        "jupyterhub_usage_quota_config.py, line 1: `c.UsageConfig.prometheus_url: ...` is" in said
    )
    assert "<prometheus_password>" not in said
    assert Path(directory / "jupyterhub_config.d").exists()
