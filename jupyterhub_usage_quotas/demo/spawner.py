"""KubeSpawner's form of profiles without Kubernetes: servers are processes of this machine.

What a profile requests is exported and counted as on a cluster; nothing reserves or limits it here.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner
from kubespawner import KubeSpawner
from traitlets import Dict, List, default


class LocalSpawnerWithProfiles(SimpleLocalProcessSpawner):  # type: ignore[misc] # Hub is untyped
    """Starts local processes with the options of KubeSpawner's `profile_list`."""

    profile_list = List(Dict(), help="As `c.KubeSpawner.profile_list`.").tag(config=True)
    extra_resource_limits = Dict(help="As `c.KubeSpawner.extra_resource_limits`.").tag(config=True)
    extra_resource_guarantees = Dict(help="As KubeSpawner's option.").tag(config=True)

    # What KubeSpawner's form may be configured with.
    profile_form_template = ""
    additional_profile_form_template_paths: tuple[str, ...] = ()

    _get_initialized_profile_list = KubeSpawner._get_initialized_profile_list
    _validate_user_options = KubeSpawner._validate_user_options
    _get_profile = KubeSpawner._get_profile
    _load_profile = KubeSpawner._load_profile
    _apply_overrides = KubeSpawner._apply_overrides
    _render_options_form = KubeSpawner._render_options_form
    _options_from_form = KubeSpawner._options_from_form

    @default("options_form")
    def _options_form_default(self) -> Any:
        if not self.profile_list:
            return ""
        # A function, so that the form begins with what the user chose the last time.
        return lambda spawner: spawner._render_options_form(spawner.profile_list)

    @default("options_from_form")
    def _options_from_form_default(self) -> Any:
        return self._options_from_form

    async def load_user_options(self) -> None:
        """Apply the chosen profile, and the choices in it; raises ValueError for unknown ones."""
        if self.profile_list:
            profiles = self._get_initialized_profile_list(self.profile_list)
            self._validate_user_options(profiles)
            self._load_profile(self.user_options.get("profile"), profiles)

    async def start(self) -> Any:
        """Start the process, with the profile applied whether or not a hook did so before."""
        await self.load_user_options()
        return await super().start()
