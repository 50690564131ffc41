"""What the page on DockerSpawner says, with DockerSpawner's own code."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from dockerspawner import DockerSpawner
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager
from jupyterhub_usage_quotas.hub.launch.rates import asked_by
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from tests.support.documentation import named, snippets
from tests.support.paths import ROOT

PAGE = ROOT / "docs/how-to/docker.md"
GIB = 1024**3


def requested(spawner: DockerSpawner) -> dict[str, float]:
    """What the page speaks of; other resources do not concern it."""
    asked = asked_by(spawner, RESOURCES)
    assert asked.unreadable == ()
    return {name: asked.rates[name] for name in ("memory", "cpu", "gpu", "time")}


def of_the_page(tmp_path) -> Config:
    (tmp_path / "jupyterhub.token").write_text("token\n")
    config = Config()
    text = named(PAGE, "jupyterhub_config.py").replace("/etc/prometheus/", f"{tmp_path}/")
    exec(text, {"c": config})
    return config


def test_containers_count_as_what_they_are_limited_to(tmp_path):
    spawner = DockerSpawner(config=of_the_page(tmp_path))
    assert requested(spawner) == {"memory": 2 * GIB, "cpu": 1, "gpu": 0, "time": 1}


def test_the_hub_is_the_source_and_its_hook_is_docker_s(tmp_path):
    config = of_the_page(tmp_path)
    assert UsageQuotaManager(config=config).usage_source == "hub"
    assert callable(DockerSpawner(config=config).pre_spawn_hook)


@pytest.mark.parametrize(("image", "gpus", "kind"), [("GPU", 1, "gpu"), ("CPU", 0, "cpu")])
def test_what_a_hook_adds_counts(image, gpus, kind):
    (text,) = (one.text for one in snippets(PAGE) if "give_a_gpu" in one.text)
    config = Config()
    exec(text, {"c": config})
    spawner = DockerSpawner(config=config, user_options={"image": image})
    spawner.pre_spawn_hook(spawner)
    assert requested(spawner)["gpu"] == gpus
    assert config.UsageQuotaManager.profile_of_server(spawner) == kind


@pytest.mark.parametrize("written", [None, ["GPU"], {"GPU": 1}, "example/gpu"])
def test_what_users_write_is_no_profile(written):
    (text,) = (one.text for one in snippets(PAGE) if "give_a_gpu" in one.text)
    config = Config()
    exec(text, {"c": config})
    spawner = SimpleNamespace(user_options={"image": written})
    assert config.UsageQuotaManager.profile_of_server(spawner) == "cpu"


def test_without_limits_only_time_counts():
    assert requested(DockerSpawner()) == {"memory": 0, "cpu": 0, "gpu": 0, "time": 1}
