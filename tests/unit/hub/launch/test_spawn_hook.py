"""The admin's hook always runs, and ours is never lost, whatever was set where and when."""

from __future__ import annotations

import inspect

import pytest
from jupyterhub.spawner import LocalProcessSpawner, SimpleLocalProcessSpawner, Spawner
from kubespawner import KubeSpawner
from traitlets import default
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager, setup_usage_quotas


class WithDefaultHook(SimpleLocalProcessSpawner):
    """A spawner class that comes with a hook of its own."""

    @default("pre_spawn_hook")
    def _own_hook(self):
        return lambda spawner: RAN.append("default")


RAN: list[str] = []


@pytest.fixture(autouse=True)
def launches(monkeypatch):
    """Count the launches that the manager is asked about, and begin with none."""
    RAN.clear()

    async def pre_spawn_start(self, user, spawner):
        RAN.append("quota")

    monkeypatch.setattr(UsageQuotaManager, "pre_spawn_start", pre_spawn_start)


def sync_hook(spawner):
    RAN.append("admin")


async def async_hook(spawner):
    RAN.append("admin")


class CallableHook:
    def __call__(self, spawner):
        RAN.append("admin")


async def press_start(spawner_class: type[Spawner], config: Config) -> list[str]:
    spawner = spawner_class(config=config, **({"_mock": True} if is_kube(spawner_class) else {}))
    result = spawner.run_pre_spawn_hook()
    if inspect.isawaitable(result):
        await result
    return RAN


def is_kube(spawner_class: type[Spawner]) -> bool:
    return issubclass(spawner_class, KubeSpawner)


CLASSES = [SimpleLocalProcessSpawner, LocalProcessSpawner, KubeSpawner]


@pytest.mark.parametrize("spawner_class", CLASSES)
async def test_without_a_hook_the_quota_is_checked(spawner_class):
    config = Config()
    setup_usage_quotas(config)
    assert await press_start(spawner_class, config) == ["quota"]


@pytest.mark.parametrize("hook", [sync_hook, async_hook, CallableHook()])
@pytest.mark.parametrize("where", ["Spawner", "own class"])
@pytest.mark.parametrize("spawner_class", CLASSES)
async def test_the_admins_hook_runs_before_the_quota_is_checked(spawner_class, where, hook):
    config = Config()
    config[spawner_class.__name__ if where == "own class" else "Spawner"].pre_spawn_hook = hook
    setup_usage_quotas(config)
    assert await press_start(spawner_class, config) == ["admin", "quota"]


async def test_the_more_specific_hook_wins_as_in_the_hub():
    config = Config()
    config.Spawner.pre_spawn_hook = lambda spawner: RAN.append("general")
    config.KubeSpawner.pre_spawn_hook = sync_hook
    setup_usage_quotas(config)
    assert await press_start(KubeSpawner, config) == ["admin", "quota"]


async def test_the_hook_that_a_class_comes_with_still_runs():
    config = Config()
    setup_usage_quotas(config)
    assert await press_start(WithDefaultHook, config) == ["default", "quota"]


async def test_setting_up_twice_checks_once():
    config = Config()
    config.SimpleLocalProcessSpawner.pre_spawn_hook = sync_hook
    setup_usage_quotas(config)
    setup_usage_quotas(config)
    assert await press_start(SimpleLocalProcessSpawner, config) == ["admin", "quota"]


async def test_a_hook_that_fails_stops_the_launch_before_the_quota_is_asked():
    def failing(spawner):
        raise RuntimeError("from the admin's hook")

    config = Config()
    config.Spawner.pre_spawn_hook = failing
    setup_usage_quotas(config)
    with pytest.raises(RuntimeError, match="from the admin's hook"):
        await press_start(SimpleLocalProcessSpawner, config)
    assert RAN == []
