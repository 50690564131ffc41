"""KubeSpawner's profiles: which one was chosen, what each would ask for, and its mark on the pod.

Everything here does nothing for spawners without profiles.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from ...conventions import ANNOTATION_PROFILE, ANNOTATION_PROFILE_NAME

Profile = Mapping[str, Any]
"""An entry of KubeSpawner's `profile_list`, with its slug and default filled in."""


async def profiles_of(spawner: Any) -> Sequence[Profile]:
    """The profiles that a spawner offers its user."""
    profiles = getattr(spawner, "profile_list", None)
    if callable(profiles):
        profiles = profiles(spawner)
        if inspect.isawaitable(profiles):
            profiles = await profiles
    if not profiles:
        return ()
    if isinstance(profiles, Mapping):
        profiles = [profile for _, profile in sorted(profiles.items())]
    # KubeSpawner's own filling in of slugs and the default; without it both must be written.
    fill_in = getattr(spawner, "_get_initialized_profile_list", None)
    return tuple(fill_in(list(profiles)) if fill_in else profiles)


def chosen_profile(spawner: Any, profiles: Sequence[Profile]) -> Profile | None:
    """The profile that a spawner's user chose, else the default one; None without profiles."""
    slug = (getattr(spawner, "user_options", None) or {}).get("profile")
    chosen = (profile for profile in profiles if slug and profile.get("slug") == slug)
    default = (profile for profile in profiles if profile.get("default"))
    return next(chosen, None) or next(default, None) or next(iter(profiles), None)


class WithProfile:
    """A spawner as it would be with a profile: the profile's overrides before its own values."""

    def __init__(self, spawner: Any, profile: Profile) -> None:
        """`spawner` must not have had a profile applied."""
        self._spawner = spawner
        self._overrides = profile.get("kubespawner_override") or {}

    def __getattr__(self, name: str) -> Any:
        """The overridden value, read as the spawner reads it ("8G" is a number of bytes)."""
        if name not in self._overrides:
            return getattr(self._spawner, name)
        value = self._overrides[name]
        if callable(value):
            value = value(self._spawner)
        trait = self._spawner.traits().get(name)
        return trait.validate(self._spawner, value) if trait else value


def stamp_profile(spawner: Any, slug: str, display_name: str) -> None:
    """Have the profile written on the pod, where kube-state-metrics can export it.

    By the hook that sees the pod last: an annotation set on the spawner would be overridden by a
    profile that sets annotations itself.
    """
    if not slug or not hasattr(spawner, "modify_pod_hook"):
        return
    inner = spawner.modify_pod_hook

    async def modify_pod_hook(spawner: Any, pod: Any) -> Any:
        if inner is not None:
            pod = inner(spawner, pod)
            if inspect.isawaitable(pod):
                pod = await pod
        marks = {ANNOTATION_PROFILE: slug, ANNOTATION_PROFILE_NAME: display_name}
        pod.metadata.annotations = (pod.metadata.annotations or {}) | marks
        return pod

    spawner.modify_pod_hook = modify_pod_hook
