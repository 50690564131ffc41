"""The options that say which pods are users' servers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from traitlets import Dict, Enum, List, TraitError, Unicode, default, validate
from traitlets.config import LoggingConfigurable

from ..metering.events import NO_EVENTS, MeterEvents
from ..metering.kubespawner.namespaces import pod_namespaces, sections_of_kubespawner
from ..metering.kubespawner.pods import OPTIONS, KnownServer, Naming, ServersPods
from ..quotas.messages import not_among, wrong
from ..quotas.resource import Resource
from ..status.hub_database import DB_URL, servers_at, servers_of

_NAMESPACE_PATTERN = re.compile(r"[a-z0-9*?]([-a-z0-9*?]{0,61}[a-z0-9*?])?")

ANNOTATION = "annotation"
NAME = "name"


class PodOptions(LoggingConfigurable):
    """The part of `UsageConfig` about pods: which are users' servers, and how pods match users."""

    pod_namespaces = List(
        Unicode(),
        help="""
        The Kubernetes namespaces of users' pods where that is not the Hub's, as patterns with `*`
        and `?`; pods in the Hub's count as well.

        The default is what KubeSpawner is configured with: `namespace`, or, with
        `enable_user_namespaces`, its `user_namespace_template` with `*` for the user.
        """,
    ).tag(config=True)

    @default("pod_namespaces")
    def _pod_namespaces_default(self) -> list[str]:
        # Without the Hub's namespace all are counted.
        return pod_namespaces(self.config) if getattr(self, "hub_namespace", "") else []

    @validate("pod_namespaces")
    def _can_be_namespaces(self, proposal: Any) -> list[str]:
        for pattern in proposal.value:
            if not _NAMESPACE_PATTERN.fullmatch(pattern):
                expected = "a Kubernetes namespace, or a pattern of one with * and ?"
                raise TraitError(wrong(got=pattern, expected=expected))
        return list(proposal.value)

    other_pods_count = List(
        Unicode(),
        help="""
        The resources that users' pods count for which are not their servers, but have the
        annotation with the username: for example the workers of dask-gateway. The default is all
        that pods request. What runs in them is known by the name of its container, `dask-worker`,
        and policies can select it:
        `servers: {"kind": ["dask-*"]}`; `{"kind": ["server"]}` selects servers only. Add "time" to
        count the hours of such pods like those of servers; an empty list counts nothing of them.
        """,
    ).tag(config=True)

    @default("other_pods_count")
    def _other_pods_count_default(self) -> list[str]:
        return [one.name for one in self._built_in_resources.values() if one.kubernetes]

    @property
    def _built_in_resources(self) -> Mapping[str, Resource]:
        built_in: Mapping[str, Resource] = getattr(self, "BUILT_IN", {})
        return built_in

    @validate("other_pods_count")
    def _are_resources(self, proposal: Any) -> list[str]:
        there = [*self._built_in_resources]
        for name in proposal.value:
            if name not in there:
                raise TraitError(not_among(wrong("unknown resource", name), name, there))
        return list(proposal.value)

    identify_pods_by = Enum(
        (ANNOTATION, NAME),
        default_value=ANNOTATION,
        help="""
        How pods are matched to users: by the "annotation" with the username, which
        kube-state-metrics must be configured to export; or, where that cannot be configured, by the
        exact "name" that KubeSpawner gives to the pods of the servers in the Hub's database. By
        name, policies cannot select servers by profile, and usage of servers that have since been
        deleted or renamed is not attributed to anyone. Where a pod's name could be of several
        servers, the pod that runs counts for the server that runs, for as long as it does.
        """,
    ).tag(config=True)

    pod_naming = Dict(
        help="""
        How KubeSpawner names pods, where they are identified by name: its options
        `pod_name_template`, `slug_scheme`, `namespace`, `enable_user_namespaces` and
        `user_namespace_template`. The default is taken from `c.KubeSpawner`.
        """,
    ).tag(config=True)

    @default("pod_naming")
    def _pod_naming_default(self) -> dict[str, Any]:
        found = (
            {name: section[name] for name in OPTIONS if name in section}
            for section in sections_of_kubespawner(self.config)
        )
        return {name: value for options in found for name, value in options.items()}

    hub_database = Unicode(
        help="""
        The URL of the Hub's database, where pods are identified by name: `check` and the Usage
        Quota Dashboard read users' servers from it. The default is `c.JupyterHub.db_url`.
        """,
    ).tag(config=True)

    @validate("hub_database")
    def _is_a_database(self, proposal: Any) -> str:
        try:
            make_url(proposal.value)
        except (ArgumentError, ValueError) as error:
            # Not with the text: there may be a password in it.
            expected = "for example 'sqlite:///jupyterhub.sqlite'"
            raise TraitError(f"not the URL of a database; expected {expected}") from error
        return str(proposal.value)

    @validate("pod_naming")
    def _are_options_of_kubespawner(self, proposal: Any) -> dict[str, Any]:
        for name, value in proposal.value.items():
            if name not in OPTIONS:
                raise TraitError(not_among(wrong("unknown key", name), str(name), OPTIONS))
            if name != "enable_user_namespaces" and not isinstance(value, str):
                raise TraitError(wrong(name, value, "a text"))
        return dict(proposal.value)

    @default("hub_database")
    def _hub_database_default(self) -> str:
        return str(self.config.get("JupyterHub", {}).get("db_url", DB_URL))

    def make_pod_names(self, events: MeterEvents = NO_EVENTS) -> ServersPods | None:
        """The names of pods, where pods are identified so."""
        if self.identify_pods_by != NAME:
            return None
        naming = Naming(self.pod_naming, getattr(self, "hub_namespace", ""))
        return ServersPods(naming, self._known_servers, self.log, events)

    async def _known_servers(self) -> Iterable[KnownServer]:
        db = getattr(self.parent, "db", None)
        if db is not None:
            return servers_of(db)
        return await asyncio.to_thread(servers_at, self.hub_database)

    def errors_in_pods(self, selects_profiles: Iterable[str] = ()) -> list[str]:
        """A line for every error that no option has alone; these policies, with their option,
        select profiles.
        """
        if self.identify_pods_by != NAME:
            return []
        errors = [
            f"UsageQuotaManager.{policy} selects servers by profile, which the name of a"
            " pod does not show; set UsageConfig.identify_pods_by = 'annotation'"
            for policy in selects_profiles
        ]
        try:
            Naming(self.pod_naming, "hub").pod(KnownServer("user", "name", 1))
        except Exception as error:
            # The template is the admin's: KubeSpawner can fail on it in any way.
            errors.append(
                "UsageConfig.pod_naming: KubeSpawner can make no name of a pod from"
                f" it: {type(error).__name__}"
            )
        if not getattr(self, "hub_namespace", ""):
            errors.append(
                "UsageConfig.hub_namespace: must be set where identify_pods_by is 'name': other"
                " namespaces may have pods of the same names"
            )
        return errors
