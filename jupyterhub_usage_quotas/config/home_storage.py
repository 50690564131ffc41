"""The options of home storage, and the source that follows from them."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, TraitError, Unicode, validate
from traitlets.config import LoggingConfigurable

from ..metering.client import promql
from ..metering.kubespawner.homes import home_names, pattern_of
from ..metering.sources.base import GaugeSource
from ..metering.sources.home_storage import home_storage
from ..quotas.resources import STORAGE
from .gauges import GaugeKind


class HomeStorageOptions(LoggingConfigurable):
    """Where home storage is exported: a part of `UsageConfig`."""

    home_storage = Bool(
        True,
        help="""
        Whether home storage is looked at, where jupyterhub-home-nfs or prometheus-dirsize-exporter
        export it: by the Usage Quota Dashboard and `check` always, by the Hub where a policy limits
        `storage`.
        """,
    ).tag(config=True)

    home_storage_directory = Unicode(
        "escape",
        help="""
        What users' home directories are called in the exporter's label `directory`: "escape" or
        "safe" for the slugs that KubeSpawner makes of usernames ("safe" is what `{username}` is in
        a `subPath` with KubeSpawner 7 and its default `slug_scheme`), or a pattern such as
        "home/{escaped_username}", of {username} (which is the safe slug), {safe_username},
        {escaped_username} and {unescaped_username}.
        """,
    ).tag(config=True)

    @validate("home_storage_directory")
    def _is_a_name_of_directories(self, proposal: Any) -> str:
        try:
            pattern_of(proposal.value)
        except ValueError as error:
            raise TraitError(f"home_storage_directory: {error}") from error
        return str(proposal.value)

    home_storage_namespace = Unicode(
        None,
        allow_none=True,
        help="""
        The namespace in the labels of the exporter of home storage; empty for any. The default is
        `hub_namespace`, or none: an exporter outside of Kubernetes has no such label.
        """,
    ).tag(config=True)

    def make_home_storage(self) -> GaugeSource | None:
        """The source of home storage; None where it is switched off."""
        if not self.home_storage:
            return None
        hub = str(getattr(self, "hub_namespace", ""))
        if self.home_storage_namespace is not None:
            within = promql.in_namespace(self.home_storage_namespace)
        else:
            # To a matcher, a label that is not there is empty.
            within = promql.one_of("namespace", {hub, ""}) if hub else ""
        names = home_names(self.home_storage_directory)
        return home_storage(within, names, "UsageConfig.home_storage_directory")


HOME_STORAGE = GaugeKind(STORAGE.name, HomeStorageOptions.make_home_storage, "home_storage")
