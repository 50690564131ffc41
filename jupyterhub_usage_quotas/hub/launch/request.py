"""What a server asks for, read from its spawner."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...errors import UsageQuotasError
from ...quotas.resources import BY_RUNNING, Resource, Resources
from ...quotas.subject import Subject, in_utc
from ...quotas.units import parse_kubernetes
from ...quotas.verdict import Request
from .profiles import Profile, WithProfile, chosen_profile, profiles_of, stamp_profile

PROFILE_NAME = "_usage_quota_profile_name"
"""Where a launch leaves the display name of the chosen profile on the spawner."""

ON_OFFER = "_usage_quota_on_offer"
"""Where a launch leaves what the spawner's profiles asked for before one was applied to it."""


class OptionsRefused(UsageQuotasError):
    """The spawner does not take what its user chose; its own exception is the cause."""


@dataclass(frozen=True, slots=True)
class Launch:
    """The request of a server that is about to start, and what its user could have chosen."""

    request: Request
    profiles: Mapping[str, Request] = field(default_factory=dict)
    """By display name, the request of every profile on offer."""


def subject_of_user(user: Any) -> Subject:
    """The subject of a user of the Hub."""
    groups = frozenset(group.name for group in user.groups)
    created = in_utc(getattr(user, "created", None))
    return Subject(user.name, groups, bool(getattr(user, "admin", False)), created)


async def read_launch(user: Any, spawner: Any, resources: Resources) -> Launch:
    """The launch of a server that is about to start.

    KubeSpawner applies the chosen profile only in `start`, after the hooks. Its
    `load_user_options` does the same now (and again later, which changes nothing), so that the
    request is the one that the pod will have. Raises `OptionsRefused` when that does.
    """
    profiles = await profiles_of(spawner)
    base = Request(subject_of_user(user), spawner.name)
    # Before a profile is applied: afterwards the spawner's own values are gone.
    offered = _on_offer(base, spawner, profiles, resources)
    setattr(spawner, ON_OFFER, offered)
    await _load_user_options(spawner)
    chosen = chosen_profile(spawner, profiles) or {"slug": profile_of(spawner)}
    request = _with(base, chosen, rates_of(spawner, resources))
    return Launch(request, {one.profile_name: one for one in offered})


async def requests_on_offer(user: Any, spawner: Any, resources: Resources) -> Sequence[Request]:
    """The requests of all profiles that a spawner offers its user, which changes nothing of it."""
    if offered := getattr(spawner, ON_OFFER, None):
        return tuple(offered)
    base = Request(subject_of_user(user), spawner.name)
    return _on_offer(base, spawner, await profiles_of(spawner), resources)


def _on_offer(
    base: Request, spawner: Any, profiles: Sequence[Profile], resources: Resources
) -> tuple[Request, ...]:
    return tuple(
        _with(base, profile, rates_of(WithProfile(spawner, profile), resources))
        for profile in profiles
    )


async def _load_user_options(spawner: Any) -> None:
    load = getattr(spawner, "load_user_options", None)
    if not callable(load):
        return
    try:
        loaded = load()
        if inspect.isawaitable(loaded):
            await loaded
    except Exception as error:
        raise OptionsRefused from error


def _with(base: Request, profile: Profile, rates: Mapping[str, float]) -> Request:
    slug = str(profile.get("slug", ""))
    return replace(base, profile=slug, profile_name=_display_name(profile), rates=rates)


def _display_name(profile: Profile) -> str:
    return str(profile.get("display_name", ""))


def mark_profile(spawner: Any, request: Request) -> None:
    """Leave the chosen profile where usage can be kept by it: on the pod, and for the exporter."""
    setattr(spawner, PROFILE_NAME, request.profile_name)
    stamp_profile(spawner, request.profile, request.profile_name)


def rates_of(spawner: Any, resources: Resources) -> dict[str, float]:
    """What a spawner's server asks for, by resource, in base amounts: bytes, cores, GPUs; and what
    every server uses by running.
    """
    asked = {one.name: _asked(spawner, one) for one in resources.values() if one.asked}
    return {**asked, **BY_RUNNING}


def profile_of(spawner: Any) -> str:
    """The slug of the chosen KubeSpawner profile; empty where there is none."""
    profile = (getattr(spawner, "user_options", None) or {}).get("profile", "")
    return profile if isinstance(profile, str) else ""


def _asked(spawner: Any, resource: Resource) -> float:
    """How much of a resource a spawner asks for.

    The guarantee counts; where there is none, the limit, as Kubernetes does it.
    """
    for option in resource.spawner_options:
        value = getattr(spawner, option, None)
        if isinstance(value, int | float) and value > 0:
            return float(value)
    # KubeSpawner's extra resources; an extended resource's request equals its limit.
    asked: dict[str, Any] = {}
    for option in ("extra_resource_limits", "extra_resource_guarantees"):
        asked |= getattr(spawner, option, None) or {}
    return sum(
        parse_kubernetes(str(amount)) for name, amount in asked.items() if resource.is_called(name)
    )
