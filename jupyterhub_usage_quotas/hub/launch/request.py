"""Reading from a spawner what its server asks for."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...errors import UsageQuotasError
from ...quotas.resources import BY_RUNNING, Resource, Resources
from ...quotas.subject import Subject, in_utc
from ...quotas.units import parse_kubernetes
from ...quotas.verdict import Request
from ..types import HubSpawner, HubUser
from .profiles import (
    Choices,
    Profile,
    WithProfile,
    choices_in,
    chosen_profile,
    in_words,
    profiles_of,
    stamp_profile,
)

PROFILE_NAME = "_usage_quota_profile_name"
"""Where a launch leaves the display name of the chosen profile on the spawner."""

ON_OFFER = "_usage_quota_on_offer"
"""Where a launch leaves what the spawner's profiles offered before one was applied to it."""

EXTRA_RESOURCES = ("extra_resource_limits", "extra_resource_guarantees")
"""The traits of KubeSpawner that ask for resources by the names that Kubernetes has for them; the
second counts where both do.
"""


class OptionsRefused(UsageQuotasError):
    """The spawner does not take what its user chose; its own exception is the cause."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A server that a user could choose: its request, and of the choices in its profile those that
    change what it asks for, also in words. `selected` is whether the form has them at first.
    """

    request: Request
    choices: Choices = field(default_factory=dict)
    words: str = ""
    selected: bool = True


@dataclass(frozen=True, slots=True)
class Launch:
    """The request of a server that is about to start, and what its user could have chosen."""

    request: Request
    offers: Sequence[Offer] = ()

    @property
    def profiles(self) -> Mapping[str, Request]:
        """By display name, the request of every profile, with what its form has selected."""
        return {one.request.profile_name: one.request for one in self.offers if one.selected}


def subject_of_user(user: HubUser) -> Subject:
    """The subject of a user of the Hub."""
    groups = frozenset(group.name for group in user.groups)
    created = in_utc(user.created)
    return Subject(user.name, groups, bool(user.admin), created)


async def read_launch(user: HubUser, spawner: HubSpawner, resources: Resources) -> Launch:
    """The launch of a server that is about to start.

    KubeSpawner applies the chosen profile only in `start`, after the hooks. Its
    `load_user_options` does the same now (and again later, which changes nothing), so that the
    request is the one that the pod will have. Raises `OptionsRefused` when that does.
    """
    profiles = await profiles_of(spawner)
    base = Request(subject_of_user(user), spawner.name)
    # Before a profile is applied: afterwards the spawner's own values are gone.
    offers = _offers(base, spawner, profiles, resources)
    setattr(spawner, ON_OFFER, offers)
    await _load_user_options(spawner)
    chosen = chosen_profile(spawner, profiles) or {"slug": profile_of(spawner)}
    request = _with(base, chosen, rates_of(spawner, resources))
    return Launch(request, offers)


async def offers_of(user: HubUser, spawner: HubSpawner, resources: Resources) -> Sequence[Offer]:
    """All that a spawner offers its user, by profile; the spawner is not changed."""
    if offers := getattr(spawner, ON_OFFER, None):
        return tuple(offers)
    base = Request(subject_of_user(user), spawner.name)
    return _offers(base, spawner, await profiles_of(spawner), resources)


def _offers(
    base: Request, spawner: HubSpawner, profiles: Sequence[Profile], resources: Resources
) -> tuple[Offer, ...]:
    offers: list[Offer] = []
    for profile in profiles:
        try:
            offers += list(_offers_in(profile, base, spawner, resources))
        except Exception as error:
            # An admin can write anything there, and the spawner reads a profile only when it is
            # chosen: launches of the others are not to suffer from it.
            spawner.log.warning(
                "The profile %r cannot be read: %s: %s; it is not suggested to users. Correct its"
                " kubespawner_override in c.KubeSpawner.profile_list",
                _display_name(profile),
                type(error).__name__,
                error,
            )
    return tuple(offers)


def _offers_in(
    profile: Profile, base: Request, spawner: HubSpawner, resources: Resources
) -> Iterator[Offer]:
    saved = spawner.user_options
    asking = {
        *EXTRA_RESOURCES,
        *(name for one in resources.values() for name in one.spawner_options),
    }
    is_saved = saved.get("profile") == profile.get("slug")
    every = choices_in(profile, asking, saved if is_saved else {})
    for number, choices in enumerate(every):
        rates = rates_of(WithProfile(spawner, profile, choices), resources)
        request = _with(base, profile, rates)
        yield Offer(request, choices, in_words(profile, choices), number == 0)


async def _load_user_options(spawner: HubSpawner) -> None:
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


def mark_profile(spawner: HubSpawner, request: Request) -> None:
    """Write the chosen profile on the pod and for the exporter, to keep usage by profile."""
    setattr(spawner, PROFILE_NAME, request.profile_name)
    stamp_profile(spawner, request.profile, request.profile_name)


def rates_of(spawner: HubSpawner | WithProfile, resources: Resources) -> dict[str, float]:
    """What a spawner's server asks for, by resource, in base amounts: bytes, cores, GPUs; and what
    every server uses by running.
    """
    asked = {one.name: _asked(spawner, one) for one in resources.values() if one.asked}
    return {**asked, **BY_RUNNING}


def profile_of(spawner: HubSpawner) -> str:
    """The slug of the chosen KubeSpawner profile; empty where there is none."""
    profile = spawner.user_options.get("profile", "")
    return profile if isinstance(profile, str) else ""


def _asked(spawner: HubSpawner | WithProfile, resource: Resource) -> float:
    """How much of a resource a spawner asks for.

    The guarantee counts; where there is none, the limit, as Kubernetes does it.
    """
    for option in resource.spawner_options:
        value = getattr(spawner, option, None)
        if isinstance(value, int | float) and value > 0:
            return float(value)
    # KubeSpawner's extra resources; an extended resource's request equals its limit.
    asked: dict[str, Any] = {}
    for option in EXTRA_RESOURCES:
        asked |= getattr(spawner, option, None) or {}
    return sum(
        parse_kubernetes(str(amount)) for name, amount in asked.items() if resource.is_called(name)
    )
