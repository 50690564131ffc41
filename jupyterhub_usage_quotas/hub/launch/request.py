"""Reading from a spawner what its server asks for."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from ...errors import UsageQuotasError
from ...quotas.messages import wrong
from ...quotas.policy.selector import marks_of
from ...quotas.resources import Resources
from ...quotas.subject import Subject, in_utc
from ...quotas.verdict import Request
from ..types import HubSpawner, HubUser
from .kept import is_a_name
from .logged_once import LOGGED
from .prices import Choosing, PriceUnknown, of_unknown_price, price_of, with_price
from .profiles import (
    MOST_CHOICES,
    MOST_OFFERS,
    MOST_PROFILES,
    Choices,
    Profile,
    WithProfile,
    all_chosen,
    choices_in,
    chosen_profile,
    in_words,
    is_written,
    profiles_of,
    unchanged,
)
from .rates import OTHER_TRAITS, asked_by

ON_OFFER = "_usage_quota_on_offer"
"""Where a launch leaves what the spawner's profiles offered before one was applied to it."""


NO_PROFILE = "policies that select servers by profile leave such launches to failover"
OVERRIDES = "its kubespawner_override in c.KubeSpawner.profile_list"


Paying = Callable[[Request, Mapping[str, Any]], Request]
"""Says which credits pay for a server for which its user chose some options, by what it makes of
its request. Raises `PriceUnknown`.
"""


def as_it_is(request: Request, _options: Mapping[str, Any]) -> Request:
    """Leave a request as it is, where a user's servers all draw on the same credits."""
    return request


def paying_of(options: object) -> Paying:
    """The same of the manager that has these options; of options alone nothing is said."""
    found: Paying = getattr(options, "paying", as_it_is)
    return found


class OptionsRefused(UsageQuotasError):
    """The spawner does not take what its user chose; its own exception is the cause."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A server that a user could choose: its request, and of the choices in its profile those that
    change what it asks for, also in words. `selected` is whether the form has them at first. Of
    what its request has as `unknown` it is not known how much it asks for.
    """

    request: Request
    choices: Choices = field(default_factory=dict)
    words: str = ""
    selected: bool = True
    like: object = field(default=None, compare=False, repr=False)
    """The spawner as it would be with what is chosen."""


@dataclass(frozen=True, slots=True)
class Launch:
    """The request of a server that is about to start, and what its user could have chosen."""

    request: Request
    offers: Sequence[Offer] = ()
    read: bool = True
    """Whether it was read from the spawner; else nothing is known but whose it is."""

    @property
    def profiles(self) -> Mapping[str, Request]:
        """By display name, the request of every profile of which it is known, with what its form
        has selected.
        """
        known = (one for one in self.offers if one.selected and not one.request.unknown)
        return {one.request.profile_name: one.request for one in known}


def subject_of_user(user: HubUser) -> Subject:
    """The subject of a user of the Hub."""
    groups = frozenset(group.name for group in user.groups)
    created = in_utc(user.created)
    return Subject(user.name, groups, bool(user.admin), created)


async def read_launch(
    user: HubUser,
    spawner: HubSpawner,
    resources: Resources,
    profile_of_server: Callable[[HubSpawner], str] | None = None,
    paying: Paying = as_it_is,
) -> Launch:
    """The launch of a server that is about to start.

    KubeSpawner applies the chosen profile only in `start`, after the hooks. Its
    `load_user_options` does the same now, so that the request is the one that the pod will have,
    and is undone. `profile_of_server` names the profile where a spawner has no list of them.
    Raises `OptionsRefused` when the spawner does not take what its user chose, and `PriceUnknown`.
    """
    profiles = await profiles_of(spawner)
    base = Request(subject_of_user(user), spawner.name)
    # Before a profile is applied: afterwards the spawner's own values are gone.
    made = await _offers(base, spawner, profiles, resources)
    offers = await _with_prices(spawner, made, paying)
    setattr(spawner, ON_OFFER, offers)
    with unchanged(spawner):
        await _load_user_options(spawner)
        asked = asked_by(spawner, resources)
        price = await price_of(spawner)
    for line in asked.unreadable:
        if LOGGED.is_new(line.partition(":")[0], line):
            spawner.log.warning(
                "What a server of %r requests cannot be read: %s; until it is corrected policies on"
                " that leave launches to failover, and usage of it is not known",
                user.name,
                line,
            )
    chosen = chosen_profile(spawner, profiles)
    if chosen is None:
        chosen = _named_profile(spawner, profile_of_server)
    known, chosen = chosen is not None, chosen or {}
    request = _with(base, chosen, asked.rates, _chosen_in(chosen, spawner))
    if price is not None:
        request = price.added_to(request)
    request = replace(request, unknown=asked.unknown, profile_known=known)
    return Launch(paying(request, spawner.user_options or {}), offers)


def unread(base: Request, resources: Resources) -> Launch:
    """The launch of a server of which nothing is known but whose it is, and its name."""
    unknown = frozenset(one.name for one in resources.values() if one.asked)
    return Launch(replace(base, unknown=unknown, profile_known=False), read=False)


def _chosen_in(profile: Profile, spawner: HubSpawner) -> Choices:
    """What the user chose in the profile; nothing where its options cannot be read."""
    try:
        return all_chosen(profile, spawner.user_options or {})
    except Exception as error:
        LOGGED.warn(spawner.log, _display_name(profile), error, OVERRIDES)
        return {}


def _named_profile(
    spawner: HubSpawner, profile_of_server: Callable[[HubSpawner], str] | None
) -> Profile | None:
    """The profile that an admin's function names, where a spawner has no list of them; None where
    it names none that can be: users may have written what it goes by.
    """
    if profile_of_server is None:
        return {}
    try:
        name = profile_of_server(spawner)
    except Exception:
        LOGGED.exception(
            spawner.log, "c.UsageQuotaManager.profile_of_server failed; correct it: %s", NO_PROFILE
        )
        return None
    if not name:
        return {}
    if isinstance(name, str) and is_a_name(name):
        return {"slug": name}
    if LOGGED.is_new("profile_of_server", type(name).__name__):
        what = wrong("no name of a profile", name, "one printable line of at most 253 characters")
        spawner.log.warning(
            "c.UsageQuotaManager.profile_of_server: %s; correct it: %s", what, NO_PROFILE
        )
    return None


async def offers_of(
    user: HubUser, spawner: HubSpawner, resources: Resources, paying: Paying = as_it_is
) -> Sequence[Offer]:
    """All that a spawner offers its user, by profile; the spawner is not changed."""
    if offers := getattr(spawner, ON_OFFER, None):
        return tuple(offers)
    base = Request(subject_of_user(user), spawner.name)
    made = await _offers(base, spawner, await profiles_of(spawner), resources)
    return await _with_prices(spawner, made, paying)


async def _with_prices(
    spawner: HubSpawner, offers: Sequence[Offer], paying: Paying
) -> Sequence[Offer]:
    """The offers with what each of them costs, where the spawner says that, and what pays."""
    made = []
    for one in offers:
        request = await with_price(spawner, one.request, one.like)
        options = getattr(one.like, "user_options", spawner.user_options) or {}
        with suppress(PriceUnknown):
            made.append(replace(one, request=paying(request, options)))
            continue
        made.append(replace(one, request=of_unknown_price(request)))
    return made


async def _offers(
    base: Request, spawner: HubSpawner, profiles: Sequence[Profile], resources: Resources
) -> tuple[Offer, ...]:
    offers: list[Offer] = []
    profiles = profiles[:MOST_PROFILES]
    for number, profile in enumerate(profiles, 1):
        # All of them at once would keep the Hub from everybody else for too long.
        await asyncio.sleep(0)
        name = _display_name(profile)
        # One at least is left for each of the others.
        room = max(MOST_OFFERS - len(offers) - (len(profiles) - number), 1)
        most = min(room, MOST_CHOICES)
        try:
            made = list(_offers_in(profile, base, spawner, resources, most))
        except Exception as error:
            # An admin can write anything there, and the spawner reads a profile only when it is
            # chosen: launches of the others are not to suffer from it.
            LOGGED.warn(spawner.log, name, error, OVERRIDES)
            continue
        offers += [offer for offer, _ in made]
        if unreadable := {line for _, lines in made for line in lines}:
            LOGGED.warn(spawner.log, name, "; ".join(sorted(unreadable)), OVERRIDES)
        else:
            LOGGED.forget(name)
    return tuple(offers)


def _offers_in(
    profile: Profile, base: Request, spawner: HubSpawner, resources: Resources, most: int
) -> Iterator[tuple[Offer, tuple[str, ...]]]:
    """Each with a line about everything in it that cannot be read."""
    saved = spawner.user_options or {}
    asking = {
        *OTHER_TRAITS,
        *(name for one in resources.values() for name in one.spawner_options),
        *(one.batch_option for one in resources.values()),
    }
    is_saved = saved.get("profile") == profile.get("slug")
    saved = saved if is_saved else {}
    every = choices_in(profile, asking, saved, most)
    written = is_written(profile, asking)
    all_asked = frozenset(one.name for one in resources.values() if one.asked)
    for number, choices in enumerate(every):
        like = WithProfile(spawner, profile, choices)
        with unchanged(spawner):
            # Its functions may change the spawner, which may start with another profile.
            asked = asked_by(like, resources)
        request = _with(base, profile, asked.rates, {**all_chosen(profile, saved), **choices})
        request = replace(request, unknown=all_asked if written else asked.unknown)
        chosen = {**saved, "profile": profile.get("slug"), **choices}
        words = in_words(profile, choices)
        offer = Offer(request, choices, words, number == 0, Choosing(like, chosen))
        yield offer, asked.unreadable


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


def _with(base: Request, profile: Profile, rates: Mapping[str, float], choices: Choices) -> Request:
    slug, name = str(profile.get("slug", "")), _display_name(profile)
    marks = marks_of(choices, slug) if slug else ()
    return replace(base, profile=slug, profile_name=name, rates=rates, choices=marks)


def _display_name(profile: Profile) -> str:
    return str(profile.get("display_name", ""))
