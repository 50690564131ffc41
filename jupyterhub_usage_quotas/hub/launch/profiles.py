"""KubeSpawner's profiles: the chosen one, what each asks for, and the mark on the pod.

Everything here does nothing for spawners without profiles.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ...conventions import ANNOTATION_PROFILE, ANNOTATION_PROFILE_NAME
from ..types import HubSpawner
from .logged_once import LOGGED

Profile = Mapping[str, Any]
"""An entry of KubeSpawner's `profile_list`, with its slug and default filled in."""
PROFILE_LIST = "profile_list"
Choices = Mapping[str, str]
"""What is chosen in a profile: the choice's key, by the option's key."""
_INNER = "_usage_quota_inner"
"""Where our hook for pods has the one that it wraps."""
MOST_CHOICES = 16
"""The most combinations of choices in a profile for which each is checked."""
MOST_OFFERS = 64
"""The most of them in all profiles together: each is worked out whenever a page offers them."""
MOST_PROFILES = 100
"""As many profiles are offers: whoever starts a server with another one is told without."""


async def profiles_of(spawner: HubSpawner) -> Sequence[Profile]:
    """The profiles that a spawner offers its user, without those that cannot be read.

    An admin can write anything there, and the spawner reads it when a server starts: it is not to
    prevent a decision.
    """
    try:
        profiles = getattr(spawner, PROFILE_LIST, None)
        if callable(profiles):
            profiles = profiles(spawner)
            if inspect.isawaitable(profiles):
                profiles = await profiles
        if isinstance(profiles, Mapping):
            profiles = [profile for _, profile in sorted(profiles.items())]
        given = list(profiles or ())
    except Exception as error:
        LOGGED.warn(spawner.log, "profile_list", error, "c.KubeSpawner.profile_list")
        return ()
    LOGGED.forget("profile_list")
    return _filled_in(spawner, given)


def _filled_in(spawner: HubSpawner, given: list[Any]) -> Sequence[Profile]:
    """With slugs and the default, by KubeSpawner's own code; without it both must be written."""
    fill_in = getattr(spawner, "_get_initialized_profile_list", list)
    try:
        found: list[Profile] = fill_in(given)
        if all(isinstance(one, Mapping) for one in found):
            return tuple(found)
    except Exception:
        spawner.log.debug("Not all profiles can be read; each is read by itself", exc_info=True)
    readable: list[Profile] = []
    for number, one in enumerate(given):
        try:
            (filled,) = fill_in([one])
            # Each is the default of a list of its own.
            readable.append({**filled, "default": bool(one.get("default"))})
        except Exception as error:
            where = f"c.KubeSpawner.profile_list[{number}]"
            LOGGED.warn(spawner.log, where, error, where)
    return tuple(readable)


def chosen_profile(spawner: HubSpawner, profiles: Sequence[Profile]) -> Profile | None:
    """The profile that a spawner's user chose, else the default one; None without profiles."""
    slug = spawner.user_options.get("profile")
    chosen = (profile for profile in profiles if slug and profile.get("slug") == slug)
    default = (profile for profile in profiles if profile.get("default"))
    return next(chosen, None) or next(default, None) or next(iter(profiles), None)


def choices_in(
    profile: Profile,
    traits: Collection[str],
    saved: Mapping[str, Any],
    most: int = MOST_CHOICES,
) -> list[Choices]:
    """What can be chosen in a profile of that which changes any of these traits of a spawner.

    At first what its form has selected: what the user `saved` the last time, else the defaults. Of
    more than `most` combinations it is only that.
    """
    options = {
        key: [*_first(option, saved.get(key)), *option["choices"]]
        for key, option in (profile.get("profile_options") or {}).items()
        if any(trait in overrides for overrides in _overrides(option) for trait in traits)
    }
    selected: Choices = {key: choices[0] for key, choices in options.items()}
    different = [dict.fromkeys(choices) for choices in options.values()]
    if math.prod(map(len, different)) > most:
        return [selected]
    every = (dict(zip(options, chosen, strict=True)) for chosen in itertools.product(*different))
    return [selected, *(one for one in every if one != selected)]


def all_chosen(profile: Profile, options: Mapping[str, Any]) -> Choices:
    """What a user chose in a profile, by `options` (else its defaults), as its start applies it.

    What a user writes is not trusted: only choices that the profile has are any.
    """
    chosen: dict[str, str] = {}
    for key, option in (profile.get("profile_options") or {}).items():
        choices = option.get("choices") or {}
        said = options.get(key)
        defaults = (name for name, choice in choices.items() if choice.get("default"))
        if options.get(f"{key}--unlisted-choice"):
            continue
        if isinstance(said, str) and said in choices:
            chosen[str(key)] = said
        elif default := next(defaults, None):
            chosen[str(key)] = str(default)
    return chosen


def _overrides(option: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for choice in (option.get("choices") or {}).values():
        yield choice.get("kubespawner_override") or {}


def _first(option: Mapping[str, Any], saved: object) -> Iterator[str]:
    """The choice that a form has selected at first, where it says so."""
    choices = option["choices"]
    if isinstance(saved, str) and saved in choices:
        yield saved
    yield from (key for key, choice in choices.items() if choice.get("default"))


def is_written(profile: Profile, traits: Collection[str]) -> bool:
    """Whether a user writes some of what changes these traits, since there is nothing to choose."""
    return any(
        trait in ((option.get("unlisted_choice") or {}).get("kubespawner_override") or {})
        for option in (profile.get("profile_options") or {}).values()
        if not option.get("choices")
        for trait in traits
    )


def in_words(profile: Profile, choices: Choices) -> str:
    """What is chosen in a profile, as its form calls it: "CPUs: 2, Memory: 8 GiB"."""
    said = []
    for key, chosen in choices.items():
        option = profile["profile_options"][key]
        choice = option["choices"][chosen]
        said.append(f"{option.get('display_name', key)}: {choice.get('display_name', chosen)}")
    return ", ".join(said)


class WithProfile:
    """A spawner as it would be with a profile, and with what is chosen in that: their overrides
    before its own values.
    """

    def __init__(self, spawner: HubSpawner, profile: Profile, choices: Choices) -> None:
        """`spawner` must not have had a profile applied."""
        chosen = (
            profile["profile_options"][key]["choices"][choice] for key, choice in choices.items()
        )
        self._before: HubSpawner | _Overridden = spawner
        for one in (profile, *chosen):
            for name, value in (one.get("kubespawner_override") or {}).items():
                self._before = _Overridden(self._before, name, value, spawner)

    def __getattr__(self, name: str) -> Any:
        """The overridden value, read as the spawner reads it ("8G" is a number of bytes)."""
        return getattr(self._before, name)


class _Overridden:
    """A spawner as it would be with one override more: functions get it as it was before that."""

    def __init__(self, before: Any, name: str, value: Any, spawner: HubSpawner) -> None:
        self._before, self._name, self._value, self._spawner = before, name, value, spawner

    def __getattr__(self, name: str) -> Any:
        was = getattr(self._before, name)
        if name != self._name:
            return was
        value = self._value(self._before) if callable(self._value) else self._value
        if isinstance(was, dict) and isinstance(value, dict):
            return _added(was, value)
        trait = self._spawner.traits().get(name)
        # As when it is set: None, too, where the trait allows it.
        return trait._validate(self._spawner, value) if trait else value


def _added(was: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """KubeSpawner adds to what is there, at every depth; None takes a key away."""
    both = dict(was)
    for key, one in value.items():
        if isinstance(one, Mapping):
            both[key] = _added(both.get(key, {}), one)
        elif one is None:
            both.pop(key, None)
        else:
            both[key] = one
    return both


@contextmanager
def unchanged(spawner: HubSpawner) -> Iterator[None]:
    """Undo what is set on a spawner's traits meanwhile: the spawner does it again when it starts,
    and some overrides, for example functions of what was there, must not be applied twice.
    """
    values: dict[str, Any] = getattr(spawner, "_trait_values", {})
    # Profiles are what is read here, and often by far the most: of them the list is enough.
    before = {
        name: copy.copy(value) if name == PROFILE_LIST else _copied(value)
        for name, value in values.items()
    }
    try:
        yield
    finally:
        values.clear()
        values.update(before)


def _copied(value: object) -> object:
    """What can be changed in place is copied; of what cannot be, the outermost part."""
    if not isinstance(value, dict | list | set):
        return value
    try:
        return copy.deepcopy(value)
    except Exception:
        # An admin can put anything there.
        return copy.copy(value)


def stamp_profile(spawner: HubSpawner, slug: str, display_name: str) -> None:
    """Write the profile on the pod, where kube-state-metrics can export it.

    By the hook that sees the pod last: an annotation set on the spawner would be overridden by a
    profile that sets annotations itself.
    """
    if not slug or not hasattr(spawner, "modify_pod_hook"):
        return
    inner = getattr(spawner.modify_pod_hook, _INNER, spawner.modify_pod_hook)

    async def modify_pod_hook(spawner: HubSpawner, pod: Any) -> Any:
        if inner is not None:
            pod = inner(spawner, pod)
            if inspect.isawaitable(pod):
                pod = await pod
        marks = {ANNOTATION_PROFILE: slug, ANNOTATION_PROFILE_NAME: display_name}
        pod.metadata.annotations = (pod.metadata.annotations or {}) | marks
        return pod

    # A spawner can be started again: its hook is then wrapped anew, and not once more.
    setattr(modify_pod_hook, _INNER, inner)
    spawner.modify_pod_hook = modify_pod_hook
