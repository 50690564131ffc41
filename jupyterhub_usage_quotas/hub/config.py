"""The options that every process shares: where usage comes from, and how to ask for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from traitlets import Any as AnyTrait
from traitlets import Enum, Float, List, TraitError, Unicode, default, validate
from traitlets.config import LoggingConfigurable

from .. import conventions
from ..metering.meter import Meter
from ..metering.prometheus import Observer, PrometheusClient
from ..metering.sources import HubExporter, KubeStateMetrics, Source

KUBE_STATE_METRICS = "kube-state-metrics"
HUB = "hub"


class UsageConfig(LoggingConfigurable):
    """Options common to all parts of the quota system.

    Set them on `UsageConfig`, for all parts at once, or on one part's own class.
    """

    prometheus_url = Unicode(
        help="""
        The URL of the Prometheus server, path prefix included; in a cluster usually
        "http://<service>.<namespace>.svc.cluster.local".

        The default is the environment variable JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_URL, else
        "http://127.0.0.1:9090".
        """
    ).tag(config=True)

    @default("prometheus_url")
    def _prometheus_url_default(self) -> str:
        return os.environ.get(conventions.ENV_PROMETHEUS_URL, "http://127.0.0.1:9090")

    @validate("prometheus_url")
    def _prometheus_url_is_http(self, proposal: Any) -> str:
        url = str(proposal.value)
        try:
            parts = urlsplit(url)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            valid = False
        if not valid:
            raise TraitError(
                f"prometheus_url must be a URL such as 'http://prometheus:9090'; given {url!r}"
            )
        return url

    prometheus_auth = AnyTrait(
        help="""
        Credentials for Prometheus' basic authentication: {"username": "...", "password": "..."}.

        The default is taken from the environment variables
        JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_USERNAME and JUPYTERHUB_USAGE_QUOTAS_PROMETHEUS_PASSWORD.
        """
    ).tag(config=True)

    @default("prometheus_auth")
    def _prometheus_auth_default(self) -> dict[str, str]:
        username = os.environ.get(conventions.ENV_PROMETHEUS_USERNAME)
        password = os.environ.get(conventions.ENV_PROMETHEUS_PASSWORD)
        if bool(username) != bool(password):
            raise TraitError(
                f"{conventions.ENV_PROMETHEUS_USERNAME} and {conventions.ENV_PROMETHEUS_PASSWORD}"
                " must be set together"
            )
        return {"username": username, "password": password} if username and password else {}

    @validate("prometheus_auth")
    def _prometheus_auth_is_complete(self, proposal: Any) -> dict[str, str]:
        given = proposal.value
        if isinstance(given, tuple) and len(given) == 1:
            # A comma after the closing brace makes a tuple of it: easily written, never meant.
            given = given[0]
        keys = {"username", "password"}
        if not given:
            return {}
        if (
            not isinstance(given, Mapping)
            or set(given) != keys
            or not all(isinstance(value, str) for value in given.values())
        ):
            # The values are secrets: name the keys only.
            shown = sorted(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
            raise TraitError(
                "prometheus_auth must be a dict with the texts username and password;"
                f" given {shown}"
            )
        return dict(given)

    hub_namespace = Unicode(
        help="""
        The Kubernetes namespace of the Hub: only pods in it are counted.

        The default is the environment variable JUPYTERHUB_USAGE_QUOTAS_HUB_NAMESPACE, else the
        namespace of the pod that this runs in, else empty: all namespaces.
        """
    ).tag(config=True)

    @default("hub_namespace")
    def _hub_namespace_default(self) -> str:
        for name in (conventions.ENV_HUB_NAMESPACE, conventions.ENV_POD_NAMESPACE):
            if name in os.environ:
                return os.environ[name]
        try:
            return Path(conventions.POD_NAMESPACE_FILE).read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    usage_source = Enum(
        (KUBE_STATE_METRICS, HUB),
        default_value=KUBE_STATE_METRICS,
        help="""
        Where usage comes from: "kube-state-metrics", for KubeSpawner, or "hub": the Hub exports
        what running servers ask for on its own metrics endpoint, for every other spawner.
        """,
    ).tag(config=True)

    gpu_resources = List(
        Unicode(),
        ["nvidia.com/gpu", "nvidia.com/mig-*", "amd.com/gpu", "gpu.intel.com/*"],
        help="""
        The Kubernetes resources that count as GPUs, as patterns with `*` and `?`.
        """,
    ).tag(config=True)

    resources = AnyTrait(
        help="""
        Resources of your own that policies can limit: {"licence": {"promql": "...", "unit":
        "licence", "display_name": "Licences"}}. The expression gives how many units are in use at
        an instant, with the user's name as the label `username`; limits are written
        "10 licence-hours".
        """
    ).tag(config=True)

    @default("resources")
    def _resources_default(self) -> dict[str, Any]:
        return {}

    credit_prices = AnyTrait(
        help="""
        What `credits` cost: credits per hour of one GiB of memory, CPU, GPU, or server (time), such
        as {"cpu": 1, "memory": 0.25, "gpu": 10}.
        """
    ).tag(config=True)

    @default("credit_prices")
    def _credit_prices_default(self) -> dict[str, float]:
        return {}

    deadline = Float(
        5.0,
        help="""
        The longest time, in seconds, that a decision may wait for Prometheus.
        """,
    ).tag(config=True)

    request_timeout = Float(
        3.0,
        help="""
        The longest time, in seconds, that one request to Prometheus may take. It is tried again
        within the deadline.
        """,
    ).tag(config=True)

    stale_after = Float(
        600.0,
        help="""
        How long ago, in seconds, the usage source may have been scraped last for usage still to
        be trusted. After that, failover decides.
        """,
    ).tag(config=True)

    @validate("deadline", "request_timeout", "stale_after")
    def _is_positive(self, proposal: Any) -> float:
        if not 0 < proposal.value < float("inf"):
            raise TraitError(
                f"{proposal.trait.name} must be a number of seconds above 0;"
                f" given {proposal.value!r}"
            )
        return float(proposal.value)

    @property
    def shown_prometheus_url(self) -> str:
        """The URL without credentials that may be in it, for logs."""
        parts = urlsplit(self.prometheus_url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

    def make_source(self) -> Source:
        """The configured source of usage."""
        if self.usage_source == HUB:
            return HubExporter(self.hub_namespace)
        return KubeStateMetrics(self.hub_namespace, tuple(self.gpu_resources))

    def make_meter(self, **observers: Any) -> Meter:
        """A meter of the configured source in the configured Prometheus.

        `observe_request` and `on_fresh` may be given, to be told of requests and readings.
        """
        auth = self.prometheus_auth
        observe: Observer = observers.pop("observe_request", lambda _outcome, _seconds: None)
        client = PrometheusClient(
            self.prometheus_url,
            auth=(auth["username"], auth["password"]) if auth else None,
            request_timeout=timedelta(seconds=self.request_timeout),
            observer=observe,
        )
        return Meter(
            client,
            self.make_source(),
            deadline=timedelta(seconds=self.deadline),
            stale_after=timedelta(seconds=self.stale_after),
            defined={name: entry["promql"] for name, entry in self.resources.items()},
            **observers,
        )
