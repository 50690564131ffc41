"""The configuration of a Hub whose users choose among KubeSpawner's profiles, without a cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

SPAWNER = """
from jupyterhub_usage_quotas.demo.spawner import LocalSpawnerWithProfiles

PROFILES = {profiles!r}

def form(spawner):
    choose = spawner.user.name in {users!r}
    if not choose and spawner.user.name not in {formless!r}:
        spawner.profile_list = []
    return spawner._render_options_form(PROFILES) if choose else ""

c.JupyterHub.spawner_class = LocalSpawnerWithProfiles
c.LocalSpawnerWithProfiles.profile_list = PROFILES
c.Spawner.options_form = form
"""


def profile(name: str, gib: float, gpus: int = 0, **more: Any) -> dict[str, Any]:
    """An entry of `profile_list`."""
    override: dict[str, Any] = {"mem_guarantee": f"{gib}G"}
    if gpus:
        override["extra_resource_limits"] = {"nvidia.com/gpu": str(gpus)}
    return {"display_name": name, "kubespawner_override": override, **more}


def choosing(
    profiles: Sequence[Mapping[str, Any]], users: Collection[str], formless: Collection[str] = ()
) -> str:
    """Configuration with which these users choose among profiles; `formless` ones get the default
    profile without being asked, and all others have no profiles.
    """
    return SPAWNER.format(profiles=list(profiles), users=tuple(users), formless=tuple(formless))
