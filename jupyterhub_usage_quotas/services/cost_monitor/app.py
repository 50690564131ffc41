"""The application of the cost monitor: its parts, and the addresses of its handlers.

It runs beside a Hub, or by itself in a cluster with several.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import logging
import os
import ssl
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from jupyterhub.utils import url_path_join

from ... import conventions
from ...config.costs import CostMonitor, cost_monitor_remarks, make_cost_monitor
from ...config.files.loading import load_service_config
from ...costs.cost_store import CostStore
from ...costs.keeping import CostKeeping
from ...costs.known import Costs
from ...costs.months import Span
from ...costs.rolling import Reading, UsageRolling
from ...costs.sources import aws, focus, opencost, price_list
from ...costs.sources.base import CostSource
from ...costs.usage_store import UsageStore
from ...errors import ConfigurationError, HubUnavailable, LedgerUnavailable, UsageUnknown
from ...ledger.sql.database import Database
from ...ledger.sql.sessions import SqlSessions
from ...ledger.sql.url import parse_ledger_url
from ...metering.sources.base import InPrometheus, Source
from ...metering.sources.exported_gauge import ExportedGauge
from ...metering.sources.session_log import SessionLog
from ...quotas.stopping.notices import hub_key
from ..web.environment import ServiceEnvironment
from ..web.hub_api import HubClient
from ..web.serving import (
    WRONG_CONFIGURATION,
    Service,
    add_config_files,
    make_application,
    run,
    set_up_logging,
)
from .answers import ANSWERS
from .api.handlers import OPERATIONS
from .context import Clock, CostContext
from .metrics import Metrics
from .names import Index, NotThere
from .reports import Reports

LOG: Final = logging.getLogger("cost_monitor")
DAY: Final = datetime.timedelta(days=1)
USAGE_EVERY: Final = datetime.timedelta(minutes=30)
"""How often it is looked whether a day is complete."""


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def make_context(
    monitor: CostMonitor, around: ServiceEnvironment, *, clock: Clock = _now
) -> CostContext:
    """What handlers answer from."""
    database = Database(parse_ledger_url(monitor.ledger_url), upgrade=monitor.own_database)
    database.makes_tables = True
    usage, costs, metrics = UsageStore(database), CostStore(database), Metrics()
    return CostContext(
        Costs(costs, usage, list(monitor.sources), monitor.attribution),
        CostKeeping(
            costs,
            make_sources(monitor, usage, metrics, clock),
            reach=datetime.timedelta(days=monitor.reach_days),
            every=datetime.timedelta(seconds=monitor.refresh_costs_every),
            clock=clock,
        ),
        metrics,
        LOG,
        clock,
        monitor.support_name,
        monitor.token,
        monitor.allow_without_token,
        **_hub(around),
    )


def make_cost_service(
    monitor: CostMonitor, around: ServiceEnvironment, context: CostContext
) -> Service:
    """The cost monitor, ready to be served."""
    application = make_application(
        routes(around.prefix, context),
        default_handler_class=NotThere,
        default_handler_args={"context": context},
    )
    closing = [one.aclose for one in context.keeping.sources]
    if context.hub:
        closing.append(context.hub.aclose)
    rolling = None
    if monitor.has_prometheus or monitor.counts_sessions:
        rolling = make_rolling(monitor, context)
        closing.append(rolling.aclose)
    closing.append(context.costs.store.database.aclose)
    # As the Hub's guard calls it.
    base = around.hub_prefix.removesuffix("hub/")
    reports = Reports(monitor, context.costs, hub_key(monitor.hub_namespace, base))
    return Service(application, [lambda: keep(monitor, context, rolling, reports)], closing)


def _hub(around: ServiceEnvironment) -> dict[str, Any]:
    """The clients of the Hub; none where there is none."""
    if not around.api_token:
        return {}
    tls = around.tls(ssl.Purpose.SERVER_AUTH)
    hub = HubClient(around.api_url, around.api_token, tls=tls)
    return {"auth": around.oauth(), "hub": hub}


def make_sources(
    monitor: CostMonitor, usage: UsageStore, metrics: Metrics, clock: Clock
) -> list[CostSource]:
    """The configured sources of costs."""

    def today() -> datetime.date:
        return clock().astimezone(datetime.UTC).date()

    def make(name: str) -> CostSource:
        if name == aws.NAME:
            return aws.CostExplorer(
                monitor.tagging,
                aws.Query(monitor.aws_metric, tuple(monitor.aws_record_types)),
                aws.Budget(monitor.aws_requests_a_day, today),
                today=today,
                asked=metrics.asked,
            )
        if name == focus.NAME:
            files, cost = list(monitor.focus_files), monitor.focus_cost
            return focus.FocusFiles(files, monitor.tagging, cost=cost, today=today)
        if name == opencost.NAME:
            called = {namespace: hub for hub, namespace in monitor.hubs.items()}
            return opencost.OpenCost(monitor.opencost_url, called, monitor.price_currency)
        return price_list.Priced(monitor.price_list, usage)

    return [make(name) for name in dict.fromkeys(monitor.sources)]


def make_rolling(monitor: CostMonitor, context: CostContext) -> UsageRolling:
    """What reads daily usage, from the configured Prometheus or the session log."""
    metric, label = conventions.KSM_ANNOTATIONS, conventions.KSM_USERNAME_LABEL
    if monitor.usage_source != "kube-state-metrics":
        recorded = monitor.usage_source == "recorded"
        metric = conventions.RECORDED_REQUESTS if recorded else conventions.SERVER_REQUESTS
        label = "username"
    homes = [one for one in monitor.make_gauges() if isinstance(one, ExportedGauge)]
    prometheus = monitor.make_client() if monitor.has_prometheus else None
    records = SqlSessions(context.costs.store.database)

    def source_of(namespace: str) -> Source:
        if monitor.counts_sessions or prometheus is None:
            return SessionLog(namespace, records)
        return InPrometheus(prometheus, monitor.source_in(namespace))

    reading = Reading(
        source_of,
        homes,
        monitor.priced,
        datetime.timedelta(seconds=monitor.max_gap),
        datetime.timedelta(seconds=monitor.late_samples),
        metric,
        label,
    )
    return UsageRolling(
        context.costs.usage,
        prometheus,
        reading,
        monitor.rolled_hubs,
        reach=datetime.timedelta(days=monitor.reach_days),
        clock=context.clock,
    )


async def keep(
    monitor: CostMonitor, context: CostContext, rolling: UsageRolling | None, reports: Reports
) -> None:
    """Keep usage and costs up to date, until cancelled. A failure of one delays no other."""
    asked: datetime.datetime | None = None
    while True:
        read = 0
        if rolling:
            read = await rolling.roll()
            await note_groups(monitor, context, rolling)
        every = datetime.timedelta(seconds=monitor.refresh_costs_every)
        if asked is None or read or context.clock() - asked >= every:
            asked = context.clock()
            await refresh(monitor, context)
            await report(reports, context)
        await asyncio.sleep(min(USAGE_EVERY, every).total_seconds())


async def note_groups(monitor: CostMonitor, context: CostContext, rolling: UsageRolling) -> None:
    """Keep who is in which groups: of its own hub as that has them, of others as an exporter of
    groups says.
    """
    own = frozenset({monitor.own_hub} if context.hub else ())
    try:
        await rolling.note_groups(without=own)
    except (UsageUnknown, LedgerUnavailable) as error:
        LOG.warning("Groups are not known from Prometheus: %s; it is tried again", error)
    if not context.hub:
        return
    try:
        groups = {one.name: sorted(one.groups) for one in await context.hub.subjects()}
        today = context.clock().astimezone(datetime.UTC).date()
        await context.costs.usage.note_groups(today, monitor.own_hub, groups)
    except (HubUnavailable, LedgerUnavailable) as error:
        LOG.warning("Groups of the Hub are not known: %s; it is tried again", error)


async def refresh(monitor: CostMonitor, context: CostContext) -> None:
    """Ask sources for costs, and delete what is old."""
    costs, today = context.costs, context.clock().astimezone(datetime.UTC).date()
    await context.keeping.refresh()
    try:
        old = today - monitor.keep_days * DAY
        await costs.usage.prune(old)
        await costs.store.prune(old)
        span = Span(today - monitor.reach_days * DAY, today)
        until = {name: await costs.known_until(name, span) for name in costs.sources}
    except LedgerUnavailable as error:
        LOG.warning("Costs cannot be kept: %s; it is tried again", error)
        until = {}
    context.metrics.noted(context.keeping.states, until)


async def report(reports: Reports, context: CostContext) -> None:
    """Send the reports of the last month, if it is time."""
    try:
        await reports.look(context.clock())
    except LedgerUnavailable as error:
        LOG.warning("Reports of the month are not sent: %s; it is tried again", error)
    except Exception:
        # Costs are kept all the same.
        LOG.exception("Reports of the month are not sent; it is tried again; report it")


def routes(prefix: str, context: CostContext) -> list[tuple[Any, ...]]:
    """Which handler answers where."""
    given = {"context": context}
    own = [(f"{prefix}{one.endpoint.removeprefix('/')}/?", one, given) for one in ANSWERS]
    ours = [(f"{prefix}api/v1{path}", one, given) for path, one in OPERATIONS]
    return [(prefix, Index, given), *own, *ours]


def configured_environment(
    monitor: CostMonitor, environment: Mapping[str, str]
) -> ServiceEnvironment:
    """Where it answers: as configured, or as the Hub that runs it says."""
    if environment.get("JUPYTERHUB_API_TOKEN"):
        around = ServiceEnvironment.of(environment, conventions.COST_MONITOR_SERVICE)
        # JupyterHub sets a URL without a port where it declares none.
        if environment.get("JUPYTERHUB_SERVICE_URL") and not monitor.enabled:
            return around
    else:
        around = ServiceEnvironment(
            conventions.COST_MONITOR_SERVICE,
            *("/", f"http://:{monitor.port}", "", "", "", "/hub/", ""),
            managed=False,
            hub_pid=None,
            tls_files=("", "", ""),
        )
    return replace(
        around,
        prefix=url_path_join("/", monitor.prefix, "/"),
        own_interface=monitor.host or "0.0.0.0",  # noqa: S104 who may reach it is up to the network
        own_port=monitor.port,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service; returns the exit code."""
    set_up_logging()
    parser = argparse.ArgumentParser(
        prog=f"python -m {conventions.COST_MONITOR_MODULE}",
        description="Says what each hub, component, group and user of a cluster cost.",
    )
    add_config_files(parser)
    given = parser.parse_args(arguments)
    try:
        config, lines = load_service_config(os.environ, given.config_files)
        monitor = make_cost_monitor(config)
        around = configured_environment(monitor, os.environ)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return WRONG_CONFIGURATION
    for line in [*lines, *cost_monitor_remarks(config)]:
        LOG.warning(line)

    def make() -> Service:
        return make_cost_service(monitor, around, make_context(monitor, around))

    return run(make, around, LOG)
