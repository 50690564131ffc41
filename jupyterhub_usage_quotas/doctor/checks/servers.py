"""The check of profiles: that policies select by those that there are, and each can be read."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterator, Mapping, Sequence

from ...errors import ConfigurationError
from ...hub.launch.profiles import Profile, WithProfile, choices_in, profiles_of
from ...hub.launch.rates import asked_by
from ...hub.setup import require_profiles
from ...hub.types import HubSpawner
from ...quotas.messages import said_by
from ...quotas.policy.selector import ServerAttributes, ServerSelector, marks_of
from ...quotas.resources import Resources
from ..deployment import Deployment
from ..findings import Finding, counted, failed, listed, ok, skipped, warning


async def profiles(deployment: Deployment) -> list[Finding]:
    """Whether policies select servers by profiles that there are, and each can be read."""
    paid = deployment.manager.by_what_pays
    by_profile = (one for one in deployment.manager.policies if one.servers.by_profile)
    selecting = [one for one in by_profile if one.name not in paid]
    try:
        spawner_class = deployment.app.spawner_class
    except ConfigurationError:
        return [skipped("not known, because of enforced")]
    try:
        require_profiles(spawner_class, deployment.manager)
    except ConfigurationError as error:
        cure = "Or leave profile out of the policy's servers. Until then the Hub does not start."
        return [failed("; ".join(error.errors), cure)]
    if "profile_list" not in spawner_class.class_trait_names(config=True):
        return [ok(f"{spawner_class.__name__} has no profiles of its own")]
    spawner = _made(spawner_class, deployment)
    if spawner is None:
        return [skipped("Kubernetes is not configured here: run this where the Hub runs")]
    if callable(getattr(spawner, "profile_list", None)):
        return [skipped("a function makes the profiles of each user: they are not known here")]
    found = await profiles_of(spawner)
    # What one policy selects others except: a pattern is said once.
    excepting = {name: one.name for one in selecting for name in one.servers.except_profile}
    wanting = {name: one.name for one in reversed(selecting) for name in one.servers.profile}
    findings = [
        _selects_nothing(policy, pattern, found, selects=pattern in wanting)
        for pattern, policy in (excepting | wanting).items()
        if not any(_selects(pattern, one) for one in found)
    ]
    findings += list(_unreadable(spawner, found, deployment.manager.policies.resources))
    return findings or [ok(f"there are {counted(len(found), 'profile')}, and all can be read")]


def _made(spawner_class: type[HubSpawner], deployment: Deployment) -> HubSpawner | None:
    """A spawner of nobody; None of KubeSpawner's where it finds no configuration of Kubernetes,
    which it reads when it is made.
    """
    if not deployment.place.pods:
        return spawner_class(config=deployment.config)
    from kubernetes_asyncio.config import ConfigException  # noqa: PLC0415 only where it is needed

    # What it warns of is what we say.
    logging.getLogger("kubernetes_asyncio.config.kube_config").setLevel(logging.ERROR)
    try:
        return spawner_class(config=deployment.config, _mock=True)
    except ConfigException:
        return None


def _selects(pattern: str, profile: Profile) -> bool:
    """Whether a pattern selects servers of a profile, or those with one of the choices in it."""
    slug, name = str(profile.get("slug", "")), str(profile.get("display_name", ""))
    marks = ("", *(mark for one in _choices(profile) for mark in marks_of(one, slug)))
    selector = ServerSelector(profile=[pattern])
    return any(
        selector.selects(ServerAttributes(f"{slug}/{mark}" if mark else slug, name))
        for mark in marks
    )


def _choices(profile: Profile) -> Iterator[Mapping[str, str]]:
    """Every choice in a profile, each by its option."""
    for key, option in (profile.get("profile_options") or {}).items():
        for choice in option.get("choices") or {}:
            yield {str(key): str(choice)}


def _selects_nothing(
    policy: str, pattern: str, found: Sequence[Profile], *, selects: bool
) -> Finding:
    slugs = [str(one.get("slug", "")) for one in found]
    with_it = [
        f"{one.get('slug', '')}/{pattern}"
        for one in found
        if any(pattern in choice.values() for choice in _choices(one))
    ]
    named = [
        f"{one.get('slug', '')}/{name}"
        for one in found
        for choice in _choices(one)
        for name in choice.values()
    ]
    close = difflib.get_close_matches(pattern, [*slugs, *named], n=1)
    if with_it:
        hint = f'It is a choice in a profile: write {listed(with_it)}, or "*/{pattern}". '
    else:
        hint = f'Is it "{close[0]}"? ' if close else f"There are {listed(slugs) or 'none'}. "
    does = "selects" if selects else "excepts"
    return warning(
        f'policy "{policy}" {does} servers of a profile "{pattern}", which does not exist',
        f"{hint}Until then the policy {does} nothing. Write the slug or the display name, or,"
        " for a choice, `slug/choice`.",
    )


def _unreadable(
    spawner: HubSpawner, found: Sequence[Profile], resources: Resources
) -> Iterator[Finding]:
    for profile in found:
        try:
            every = choices_in(profile, (), {})
            asked = asked_by(WithProfile(spawner, profile, every[0]), resources)
            why = "; ".join(asked.unreadable)
        except Exception as error:
            why = said_by(error)
        if why:
            yield warning(
                f'what a server of the profile "{profile.get("display_name", "")}" requests cannot'
                f" be read: {why}",
                "Correct its kubespawner_override. Until then it is not suggested to users, and"
                " what its servers request is not known.",
            )
