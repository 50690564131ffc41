"""The configuration of a Hub whose users choose among KubeSpawner's profiles, without a cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

SPAWNER = """
from jupyterhub.spawner import SimpleLocalProcessSpawner
from kubespawner import KubeSpawner
from traitlets import Any, Dict

PROFILES = {profiles!r}

class WithProfiles(SimpleLocalProcessSpawner):
    '''The form, its options and the profiles are KubeSpawner's, the servers local processes.'''

    profile_list = Any(PROFILES)
    extra_resource_limits = Dict()
    profile_form_template = ""
    additional_profile_form_template_paths = []
    _get_initialized_profile_list = KubeSpawner._get_initialized_profile_list
    _validate_user_options = KubeSpawner._validate_user_options
    _sorted_dict_values = KubeSpawner._sorted_dict_values
    _get_profile = KubeSpawner._get_profile
    _load_profile = KubeSpawner._load_profile
    _apply_overrides = KubeSpawner._apply_overrides
    load_user_options = KubeSpawner.load_user_options
    _render_options_form = KubeSpawner._render_options_form

def form(spawner):
    choose = spawner.user.name in {users!r}
    if not choose and spawner.user.name not in {formless!r}:
        spawner.profile_list = []
    return spawner._render_options_form(PROFILES) if choose else ""

c.JupyterHub.spawner_class = WithProfiles
c.Spawner.options_form = form
c.Spawner.options_from_form = lambda data: {{name: values[0] for name, values in data.items()}}
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
