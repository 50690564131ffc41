"""The options about home storage: where it is exported, and how directories match users."""

from __future__ import annotations

import re
from typing import Any

from traitlets import Bool, Dict, TraitError, Unicode, validate
from traitlets.config import LoggingConfigurable

from .. import conventions
from ..metering.client import promql
from ..metering.kubespawner.homes import home_names, pattern_of
from ..metering.sources.base import GaugeSource
from ..metering.sources.home_storage import home_storage
from ..quotas.messages import wrong
from ..quotas.resources import STORAGE
from .gauges import GaugeKind
from .traits import Namespace


class HomeOptions(LoggingConfigurable):
    """The part of `UsageConfig` about home storage: where it is, how directories match users."""

    home_storage = Bool(
        True,
        help="""
        Whether home storage is read, where jupyterhub-home-nfs or prometheus-dirsize-exporter
        export it. The Usage Quota Dashboard and `check` always read it, the Hub where a policy
        limits `storage`.
        """,
    ).tag(config=True)

    home_storage_directory = Unicode(
        "escape",
        help="""
        How the exporter's label `directory` names users' home directories: "escape" or
        "safe" for the slugs that KubeSpawner makes of usernames ("safe" is what `{username}` is in
        a `subPath` with KubeSpawner 7 and its default `slug_scheme`), or a pattern, for example
        "home/{escaped_username}", made of {username} (the safe slug), {safe_username},
        {escaped_username} and {unescaped_username}.
        """,
    ).tag(config=True)

    @validate("home_storage_directory")
    def _is_a_name_of_directories(self, proposal: Any) -> str:
        try:
            pattern_of(proposal.value)
        except ValueError as error:
            raise TraitError(str(error)) from error
        return str(proposal.value)

    home_storage_namespace = Namespace(
        None,
        allow_none=True,
        help="""
        The namespace in the labels of the exporter of home storage; empty for any. The default is
        `hub_namespace`; series without the label count, too, since an exporter outside of
        Kubernetes has none.
        """,
    ).tag(config=True)

    home_storage_metrics = Dict(
        {"size": conventions.HOME_SIZE, "limit": conventions.HOME_LIMIT},
        help="""
        The names of the exporter's metrics of the size of a directory and of its limit. Both are in
        bytes and have the label `directory`.
        """,
    ).tag(config=True)

    @validate("home_storage_metrics")
    def _are_names_of_metrics(self, proposal: Any) -> dict[str, str]:
        given = dict(proposal.value)
        is_name = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*").fullmatch
        if set(given) != {"size", "limit"} or not all(
            isinstance(one, str) and is_name(one) for one in given.values()
        ):
            expected = "the names of metrics: {'size': '...', 'limit': '...'}"
            raise TraitError(wrong(got=given, expected=expected))
        return given

    def make_home_storage(self) -> GaugeSource | None:
        """The source of home storage; None where it is switched off."""
        if not self.home_storage:
            return None
        if self.home_storage_namespace is not None:
            within = promql.in_namespace(self.home_storage_namespace)
        else:
            hub = getattr(self, "hub_namespace", "")
            # To a matcher, a label that is not there is empty.
            hubs = {hub, ""}
            within = promql.one_of("namespace", hubs) if hub else ""
        names = home_names(self.home_storage_directory)
        size, limit = self.home_storage_metrics["size"], self.home_storage_metrics["limit"]
        hint = "UsageConfig.home_storage_directory"
        return home_storage(within, names, hint, sizes=size, limits=limit)


HOME_STORAGE = GaugeKind(STORAGE.name, HomeOptions.make_home_storage, "home_storage")
