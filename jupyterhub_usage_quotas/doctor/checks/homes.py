"""Checks of home storage: is it exported, and are directories named as configured?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from ...errors import DatabaseUnreadable
from ...metering.kubespawner.homes import SCHEMES, home_names
from ...metering.sources.base import GaugeValue
from ..deployment import Deployment
from ..findings import Finding, counted, failed, listed, ok, skipped, warning

EXPORT = (
    "Scrape jupyterhub-home-nfs, or prometheus-dirsize-exporter; if it reports a namespace other"
    " than the Hub's, set c.UsageConfig.home_storage_namespace."
)


async def home_storage(deployment: Deployment) -> list[Finding]:
    """Whether an exporter reports users' directories under the expected names."""
    manager = deployment.manager
    storage = manager.make_home_storage()
    if storage is None:
        return [ok("home storage is not read (home_storage = False)")]
    stale_after = timedelta(seconds=manager.stale_after)
    homes = await storage.read(deployment.prometheus, deployment.clock(), stale_after)
    if not homes:
        if storage.resource in manager.policies.all_measured:
            return [
                failed(
                    f"a policy limits {storage.resource}, but no exporter reports home directories",
                    EXPORT,
                )
            ]
        return [ok("no exporter reports home storage, so none is shown")]
    try:
        people = [one.name for one in (await deployment.in_hub()).subjects]
    except DatabaseUnreadable as error:
        reported = counted(len(homes), "directory", "directories")
        return [
            skipped(
                f"{reported} reported; which user each belongs to could not be checked: {error}"
            )
        ]
    return [_matching(homes, people, manager.home_storage_directory)]


def _matching(homes: Mapping[str, GaugeValue], people: list[str], scheme: str) -> Finding:
    there = set(homes)
    by_scheme = {one: _found(there, people, one) for one in (scheme, *SCHEMES)}
    found = len(by_scheme[scheme])
    best = max(by_scheme, key=lambda one: len(by_scheme[one]))
    says = (
        f"{counted(len(there), 'directory', 'directories')} reported; {found} of"
        f" {counted(len(people), 'user')} have one by home_storage_directory = '{scheme}'"
    )
    if len(by_scheme[best]) > found:
        return failed(
            f"{says}, and {len(by_scheme[best])} by '{best}'",
            f"Set c.UsageConfig.home_storage_directory = '{best}'.",
        )
    if people and not found:
        return failed(
            f"{says}: they are named otherwise, for example {listed(sorted(there))}",
            "Write the pattern of their names as c.UsageConfig.home_storage_directory, for"
            " example 'home/{escaped_username}': it is the subPath of the volume in"
            " KubeSpawner's options.",
        )
    strangers = sorted(there - by_scheme[scheme])
    if len(strangers) > found:
        return warning(
            f"{says}; no user has {listed(strangers)}",
            "Homes of deleted users and shared folders are not a problem.",
        )
    return ok(says)


def _found(there: set[str], people: list[str], scheme: str) -> set[str]:
    name_of = home_names(scheme)
    found = set()
    for user in people:
        try:
            found.add(name_of(user))
        except UnicodeError:
            continue
    return found & there
