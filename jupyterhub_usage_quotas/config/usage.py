"""The options that all processes share: the source of usage, and how to query it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from traitlets import Enum, List, TraitError, Unicode, default, validate

from .. import conventions
from ..metering.client.prometheus import PrometheusClient
from ..metering.events import NO_EVENTS, MeterEvents
from ..metering.meter import Meter
from ..metering.readers import Timing
from ..metering.sources.base import GaugeSource, PrometheusSource
from ..metering.sources.expression import Expression
from ..metering.sources.kube_state_metrics import KubeStateMetrics
from ..metering.sources.server_metrics import ServerMetrics
from ..metering.sources.session_log import SessionRecords
from ..quotas.messages import wrong
from ..quotas.resource import Resource
from ..quotas.resources import RESOURCES
from .about import DocumentationOptions
from .gauges import GaugeKind
from .homes import HOME_STORAGE, HomeOptions
from .language import LanguageOptions
from .ledger import LedgerOptions
from .pods import PodOptions
from .prices import PriceOptions
from .prometheus import URL, PrometheusOptions
from .sessions import SESSIONS, SessionOptions
from .state import StateOptions
from .traits import Anything, Namespace, Seconds, is_placeholder, why_of_no_device

KUBE_STATE_METRICS = "kube-state-metrics"
HUB = "hub"
RECORDED = "recorded"

MINUTE, HOUR, DAY, WEEK = 60, 3600, 86400, 604800

NO_DEVICES = ("cpu", "memory", "ephemeral-storage", "storage", "pods", "hugepages-2Mi")
"""Kubernetes resources that servers request and that no pattern of GPUs may match."""


class UsageConfig(
    PodOptions,
    PrometheusOptions,
    HomeOptions,
    LedgerOptions,
    PriceOptions,
    SessionOptions,
    StateOptions,
    DocumentationOptions,
    LanguageOptions,
):
    """Options common to all parts of the quota system.

    Set them on `UsageConfig`, for all parts at once, or on one part's own class.
    """

    BUILT_IN: ClassVar[Mapping[str, Resource]] = RESOURCES
    """The resources that policies can limit without further configuration."""
    KUBERNETES_NAMES: ClassVar[Mapping[str, str]] = {"gpu": "gpu_resources"}
    """The options that say what Kubernetes calls a resource, where that is the admin's to say."""
    GAUGES: ClassVar[Sequence[GaugeKind]] = (HOME_STORAGE,)

    hub_namespace = Namespace(
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
        (KUBE_STATE_METRICS, HUB, RECORDED, SESSIONS),
        default_value=KUBE_STATE_METRICS,
        help="""
        Where usage comes from: "kube-state-metrics", for KubeSpawner; "recorded", for the series
        that the rules in charts-config/prometheus record from it; "sessions", for every spawner,
        without Prometheus: the Hub records which server ran when; or "hub", for every spawner: the
        Hub exports what running servers ask for on its own metrics endpoint, for Prometheus.
        """,
    ).tag(config=True)

    gpu_resources = List(
        Unicode(),
        list(RESOURCES["gpu"].kubernetes),
        help="""
        The Kubernetes resources that count as GPUs, as patterns with `*` and `?`.
        """,
    ).tag(config=True)

    @validate("gpu_resources")
    def _are_devices(self, proposal: Any) -> list[str]:
        for pattern in proposal.value:
            if why := why_of_no_device(pattern, NO_DEVICES):
                raise TraitError(wrong(why, pattern, "for example 'nvidia.com/gpu'"))
        return list(proposal.value)

    resources = Anything(
        help="""
        Resources of your own that policies can limit: {"licence": {"promql": "...", "unit":
        "licence", "display_name": "Licences"}}. The expression gives how many units are in use at
        an instant, with the user's name as the label `username`; limits are written
        "10 licence-hours".
        """
    ).tag(config=True)

    @validate("resources")
    def _nothing_is_empty(self, proposal: Any) -> Any:
        return {} if proposal.value is None else proposal.value

    @default("resources")
    def _resources_default(self) -> dict[str, Any]:
        return {}

    deadline = Seconds(
        5.0,
        low=0.1,
        high=HOUR,
        help="""
        The longest time, in seconds, that a decision may wait for Prometheus.
        """,
    ).tag(config=True)

    request_timeout = Seconds(
        3.0,
        low=0.1,
        high=HOUR,
        help="""
        The longest time, in seconds, that one request to Prometheus may take. It is tried again
        within the deadline.
        """,
    ).tag(config=True)

    stale_after = Seconds(
        600.0,
        low=1,
        high=WEEK,
        help="""
        The longest time, in seconds, since the last scrape of the usage source in which usage is
        still trusted. After that, failover decides.
        """,
    ).tag(config=True)

    refresh_interval = Seconds(
        60.0,
        low=0.1,
        high=DAY,
        help="""
        How often, in seconds, the usage of all users is brought up to date.
        """,
    ).tag(config=True)

    late_samples = Seconds(
        300.0,
        low=0.1,
        high=DAY,
        or_zero=True,
        help="""
        How late, in seconds, samples may reach Prometheus. That much of the past is read again at
        every refresh. Stores that receive samples by remote write, for example Mimir or Thanos
        Receive, can lag by minutes.
        """,
    ).tag(config=True)

    max_gap = Seconds(
        600.0,
        low=0.1,
        high=DAY,
        or_zero=True,
        help="""
        The longest gap between samples, in seconds, that is bridged for servers which were there
        before and after it. Longer gaps count as nothing used, and are reported.
        """,
    ).tag(config=True)

    prometheus_scrape_interval = Seconds(
        0.0,
        low=0.1,
        high=DAY,
        or_zero=True,
        help="""
        The seconds between two scrapes of the usage source; 0 to detect them, which works unless it
        is scraped less often than every 15 minutes.
        """,
    ).tag(config=True)

    def errors_together(self, refused: Collection[str] = ()) -> list[str]:
        """See `PrometheusOptions.errors_together`."""
        errors = [*super().errors_together(refused), *self.errors_in_sessions(refused)]
        if {"language", "language_folder"}.isdisjoint(refused):
            errors += self.language_errors()
        times = {"stale_after", "refresh_interval", "prometheus_scrape_interval"}
        if times.isdisjoint(refused):
            # Usage is read at whole minutes, so it is as old as all of these at times.
            oldest = MINUTE + self.refresh_interval + self.prometheus_scrape_interval
            if self.stale_after < oldest:
                others = " and prometheus_scrape_interval" * bool(self.prometheus_scrape_interval)
                errors.append(
                    wrong(
                        f"stale_after does not go with refresh_interval{others}: usage would be"
                        " stale again and again",
                        self.stale_after,
                        f"at least {oldest:g}, a minute more than their sum",
                    )
                )
        return errors

    def doubts_together(self) -> Iterator[str]:
        """A line for options that are accepted and are probably not meant together."""
        if self.request_timeout > self.deadline:
            what = "UsageConfig.request_timeout is longer than deadline, which ends requests before"
            yield wrong(what, self.request_timeout, f"at most {self.deadline:g}")
        if self.max_gap < self.prometheus_scrape_interval:
            what = (
                "UsageConfig.max_gap is shorter than prometheus_scrape_interval, so the time"
                " between two scrapes counts as nothing"
            )
            yield wrong(what, self.max_gap, f"at least {self.prometheus_scrape_interval:g}")
        for name in (URL, "hub_namespace", "session_secret_key"):
            if is_placeholder(getattr(self, name, "")):
                yield f"UsageConfig.{name} still has a placeholder in angle brackets; replace it"

    @property
    def built_in(self) -> Mapping[str, Resource]:
        """The resources that policies can limit without `resources`, as configured."""
        renamed = {
            name: replace(self.BUILT_IN[name], kubernetes=tuple(getattr(self, option)))
            for name, option in self.KUBERNETES_NAMES.items()
        }
        return self.in_prices({**self.BUILT_IN, **renamed})

    @property
    def source_name(self) -> str:
        """What the configured source of what servers ask for is called, and where it is."""
        if self.counts_sessions:
            return "the session log, which the Hub keeps itself"
        return f"{self.make_source().name} in Prometheus at {self.shown_prometheus_url}"

    def make_source(self, events: MeterEvents = NO_EVENTS) -> KubeStateMetrics | ServerMetrics:
        """The configured source in Prometheus of what servers ask for; where that is the session
        log, what Prometheus would have of it.
        """
        max_gap = timedelta(seconds=self.max_gap)
        if self.usage_source in (HUB, SESSIONS):
            return ServerMetrics(self.hub_namespace, max_gap=max_gap)
        if self.usage_source == RECORDED:
            return ServerMetrics(
                self.hub_namespace,
                "the series that rules record",
                conventions.RECORDED_REQUESTS,
                conventions.RECORDED_SEEN,
                max_gap,
                conventions.KSM_REQUESTS,
                self._other_namespaces,
                conventions.RECORDED_BRIEF,
            )
        return KubeStateMetrics(
            self.hub_namespace,
            self.built_in,
            max_gap,
            self._other_namespaces,
            self.make_pod_names(events),
            self.other_pods_count,
        )

    @property
    def _other_namespaces(self) -> tuple[str, ...]:
        return tuple(one for one in self.pod_namespaces if one != self.hub_namespace)

    def make_client(self, events: MeterEvents = NO_EVENTS) -> PrometheusClient:
        """Make a client of the configured Prometheus."""
        return PrometheusClient(
            self.prometheus_address,
            connection=self.make_connection(),
            request_timeout=timedelta(seconds=self.request_timeout),
            events=events,
        )

    def make_gauges(self) -> list[GaugeSource]:
        """The configured sources of what is there now; none where there is no Prometheus."""
        if not self.has_prometheus:
            return []
        made = (one.make(self) for one in self.GAUGES)
        return [source for source in made if source]

    def make_meter(
        self,
        events: MeterEvents = NO_EVENTS,
        *,
        kept: Collection[str] | None = None,
        writer: bool = False,
        sessions: SessionRecords | None = None,
    ) -> Meter:
        """A meter of the configured sources. `sessions` are the records of the session log, where
        this process has them already.

        Of the gauges, those of the resources that are `kept` are kept up to date, all for None. The
        `writer` of the checkpoint is one process, the Hub.
        """
        defined = [Expression(name, entry["promql"]) for name, entry in self.resources.items()]
        log = self.make_session_logs(sessions)
        sources: list[PrometheusSource] = [] if log else [self.make_source(events)]
        return Meter(
            self.make_client(events),
            [*sources, *defined],
            self._timing(),
            others=log,
            gauges=self.make_gauges(),
            kept=kept,
            events=events,
            checkpoint=self.make_checkpoint(self.shown_prometheus_url, writer=writer),
        )

    def _timing(self) -> Timing:
        return Timing(
            deadline=timedelta(seconds=self.deadline),
            refresh_every=timedelta(seconds=self.refresh_interval),
            stale_after=timedelta(seconds=self.stale_after),
            late=timedelta(seconds=self.late_samples),
            max_gap=timedelta(seconds=self.max_gap),
            interval=self.prometheus_scrape_interval or None,
        )
