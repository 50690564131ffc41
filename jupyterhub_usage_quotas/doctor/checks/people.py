"""Checks of users and groups: does the Hub know users with usage, and those that policies name?"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from ...config.pods import NAME
from ...errors import DatabaseUnreadable
from ...quotas.policy.scope import Names
from ..deployment import Deployment, InHub
from ..findings import Finding, counted, failed, listed, ok, skipped, warning


async def users(deployment: Deployment) -> list[Finding]:
    """Whether the servers that ran belong to users whom the Hub knows."""
    diagnosis = (await deployment.diagnosis()).users
    if deployment.manager.identify_pods_by == NAME:
        return [ok("pods are identified by the names of known servers")]
    if not diagnosis:
        return [ok("no user's server ran in the last day")]
    ran = f"servers of {counted(len(diagnosis), 'user')} ran in the last day"
    try:
        known = {one.name for one in (await deployment.in_hub()).subjects}
    except DatabaseUnreadable as error:
        return [skipped(f"{ran}; whether the Hub knows them could not be checked: {error}")]
    strangers = sorted(set(diagnosis) - known)
    if not strangers:
        return [ok(f"{ran}, and the Hub knows all of them")]
    says = f"{ran}; the Hub does not know {listed(strangers)}"
    in_kubernetes = deployment.place.kubernetes
    which = "c.UsageConfig.hub_namespace is the namespace of this Hub, and " * in_kubernetes
    if len(strangers) == len(diagnosis):
        return [
            failed(
                f"{says}: none of them",
                f"They belong to another Hub: check that {which}c.JupyterHub.db_url its database.",
            )
        ]
    return [
        warning(
            says,
            "Users who were deleted or renamed are not a problem. If another Hub"
            f" {'is in the same namespace' if in_kubernetes else 'has no hub_namespace, either'},"
            " users of the same name share their usage: give each its own.",
        )
    ]


@dataclass(frozen=True, slots=True)
class Mention:
    """A group or user that a policy names."""

    policy: str
    name: str
    is_glob: bool

    def is_among(self, names: Collection[str]) -> bool:
        """Whether there is one of this name, or like this pattern."""
        one = (self.name,)
        return (Names(globs=one) if self.is_glob else Names(exact=one)).have_any(names)


async def groups(deployment: Deployment) -> list[Finding]:
    """Whether the Hub has the groups that policies name."""
    mentions = list(_mentions(deployment, "group"))
    exported = deployment.manager.export_usage
    if isinstance(exported, list):
        mentions += [Mention("export_usage", name, is_glob=False) for name in exported]
    return await _missing(deployment, "group", mentions)


async def named_users(deployment: Deployment) -> list[Finding]:
    """Whether the Hub has the users that policies name."""
    return await _missing(deployment, "user", list(_mentions(deployment, "user")))


def _mentions(deployment: Deployment, kind: str) -> Iterator[Mention]:
    for policy in deployment.manager.policies.policies:
        for names in (getattr(policy.scope, kind), getattr(policy.exempt, kind)):
            yield from _of(policy.name, names)


def _of(policy: str, names: Names) -> Iterator[Mention]:
    yield from (Mention(policy, name, is_glob=False) for name in names.exact)
    yield from (Mention(policy, glob, is_glob=True) for glob in names.globs)


async def _missing(deployment: Deployment, kind: str, mentions: list[Mention]) -> list[Finding]:
    if not mentions:
        return [ok(f"no policy names a {kind}")]
    try:
        there = _there(deployment, await deployment.in_hub(), kind)
    except DatabaseUnreadable as error:
        return [skipped(str(error))]
    missing = [one for one in mentions if not one.is_among(there)]
    if not missing:
        return [ok(f"the Hub has every {kind} that policies name")]
    return [_finding(deployment, kind, one, there) for one in dict.fromkeys(missing)]


def _there(deployment: Deployment, in_hub: InHub, kind: str) -> Collection[str]:
    if kind == "user":
        return [one.name for one in in_hub.subjects]
    declared = deployment.config.get("JupyterHub", {}).get("load_groups", {})
    return [*in_hub.groups, *(declared if isinstance(declared, dict) else ())]


def _finding(deployment: Deployment, kind: str, one: Mention, there: Iterable[str]) -> Finding:
    what = f"a {kind} like" if one.is_glob else f"the {kind}"
    says = f'policy "{one.policy}" names {what} "{one.name}", which the Hub does not have'
    close = difflib.get_close_matches(one.name, list(there), n=1)
    hint = f'Is it "{close[0]}"? ' if close else ""
    if kind == "user":
        return warning(says, f"{hint}The Hub has a user from the first login on.")
    if _groups_come_with_logins(deployment):
        return warning(
            says,
            f"{hint}The authenticator creates a group when its first member logs in. If a member"
            " has logged in, the authenticator names the group differently.",
        )
    return failed(
        says,
        f"{hint}Nobody is in it, so the policy covers nobody. Create the group"
        " (c.JupyterHub.load_groups, or the admin page), or let the authenticator bring groups"
        " (manage_groups = True).",
    )


def _groups_come_with_logins(deployment: Deployment) -> bool:
    return any(
        name.endswith("Authenticator") and section.get("manage_groups") is True
        for name, section in deployment.config.items()
        if hasattr(section, "get")
    )
