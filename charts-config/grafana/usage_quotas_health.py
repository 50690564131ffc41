"""The dashboard "Usage quotas: health": whether the quota system itself works."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from parts import HUB, counted, dashboard, listing, over_time
from usage_quotas import happened

from jupyterhub_usage_quotas import conventions as names

STALE = 600
"""The default of `c.UsageConfig.stale_after`, in seconds."""
ALERTS = "ALERTS"
"""Prometheus' own metric of its alerts."""


def build() -> Dashboard:
    """The dashboard."""
    made = dashboard(
        "Usage quotas: health",
        "jupyterhub-usage-quotas-health",
        "Whether usage is known, how far back, and what that costs Prometheus.",
    )
    for row in (_usage, _prometheus, _history, _source, _guard):
        made = row(made)
    return made


def _usage(made: Dashboard) -> Dashboard:
    age = f"max by (namespace) ({names.USAGE_AGE}{{{HUB}}})"
    alerts = f'{ALERTS}{{{HUB}, alertname=~"UsageQuotas.*", alertstate="firing"}}'
    refreshed = happened(names.REFRESHES, "namespace, outcome")
    failed = happened(names.FAILOVERS, "namespace, reason")
    labels = [("namespace", "Hub"), ("alertname", "Alert"), ("severity", "Severity")]
    return (
        made.with_row(Row("Whether usage is known"))
        .with_panel(
            over_time(
                "Age of usage",
                "Time since the Hub last saw the source scraped. Above the line, failover decides.",
                [(age, "{{namespace}}")],
                unit="s",
                line_at=STALE,
            )
        )
        .with_panel(
            listing(
                "Alerts that fire",
                "What to do about each: docs/how-to/alerts.md.",
                [(f"count by (namespace, alertname, severity) ({alerts})", "Number", "short")],
                labels,
                width=12,
            )
        )
        .with_panel(
            counted(
                "Refreshes",
                "Refreshes of all users' usage, by outcome.",
                [(refreshed, "{{outcome}} · {{namespace}}")],
            )
        )
        .with_panel(
            counted(
                "Failovers",
                "Launches that failover decided, by the reason why usage was not known.",
                [(failed, "{{reason}} · {{namespace}}")],
            )
        )
    )


def _prometheus(made: Dashboard) -> Dashboard:
    asked = happened(names.PROMETHEUS_REQUESTS, "namespace, outcome")
    buckets = f"{names.PROMETHEUS_SECONDS}_bucket{{{HUB}}}[$__rate_interval]"
    took = f"sum by (namespace, le) (rate({buckets}))"
    return (
        made.with_row(Row("What it costs Prometheus"))
        .with_panel(
            counted(
                "Requests",
                "The Hub's requests to Prometheus, by outcome.",
                [(asked, "{{outcome}} · {{namespace}}")],
            )
        )
        .with_panel(
            over_time(
                "How long requests take",
                "The time within which 50 %, 95 % and 99 % of them are answered.",
                [
                    (f"histogram_quantile({part}, {took})", f"{name} · {{{{namespace}}}}")
                    for part, name in ((0.5, "50 %"), (0.95, "95 %"), (0.99, "99 %"))
                ],
                unit="s",
            )
        )
    )


def _history(made: Dashboard) -> Dashboard:
    by_source = "{{source}} · {{namespace}}"
    panels = [
        ("History", "How far back usage is cached.", "max", names.HISTORY, "s"),
        (
            "Coverage",
            "The share of that time in which the source was scraped. The rest counts as nothing"
            " used.",
            "min",
            names.COVERAGE,
            "percentunit",
        ),
        (
            "Scrape interval",
            "The detected time between two scrapes, at least a minute.",
            "max",
            names.SCRAPE_INTERVAL,
            "s",
        ),
    ]
    made = made.with_row(Row("How much usage is known"))
    for title, description, of, metric, unit in panels:
        query = (f"{of} by (namespace, source) ({metric}{{{HUB}}})", by_source)
        made = made.with_panel(over_time(title, description, [query], unit=unit, width=8))
    return made


def _source(made: Dashboard) -> Dashboard:
    pod = "namespace, pod, uid"
    whose = f'{names.KSM_ANNOTATIONS}{{{HUB}, {names.KSM_USERNAME_LABEL}!=""}}'
    seen = f"group by ({pod}) ({names.KSM_ANNOTATIONS}{{{HUB}}})"
    running = f'max by ({pod}) ({names.KSM_PHASE}{{{HUB}, phase="Running"}}) == 1'
    of_users = f"group by ({pod}) ({whose})"
    recorded = f'{names.RECORDED_REQUESTS}{{{HUB}, resource="time"}}'
    exported = f'{names.SERVER_REQUESTS}{{{HUB}, resource="time"}}'
    return made.with_row(Row("The source of usage")).with_panel(
        over_time(
            "Running servers in the source",
            "For kube-state-metrics: pods with a username, and pods without one (the Hub's own"
            " are among them).",
            [
                (
                    f"count by (namespace) ({of_users} and on ({pod}) {running})",
                    "kube-state-metrics, with a username · {{namespace}}",
                ),
                (
                    f"count by (namespace) (({seen} unless on ({pod}) {of_users})"
                    f" and on ({pod}) {running})",
                    "kube-state-metrics, without one · {{namespace}}",
                ),
                (f"sum by (namespace) ({recorded})", "recorded · {{namespace}}"),
                (f"sum by (namespace) ({exported})", "the Hub · {{namespace}}"),
            ],
            width=24,
        )
    )


def _guard(made: Dashboard) -> Dashboard:
    watched = f"sum by (namespace, state) ({names.GUARD_SERVERS}{{{HUB}}})"
    slow = f"sum by (namespace) ({names.GUARD_STOPS_SLOW}{{{HUB}}})"
    pending = f"sum by (namespace) ({names.GUARD_STOPS_PENDING}{{{HUB}}})"
    waiting = f"sum by (namespace) ({names.NOTICES_WAITING}{{{HUB}}})"
    return (
        made.with_row(Row("Running servers whose quota is used up"))
        .with_panel(
            counted(
                "Warnings and other notices",
                "What users of running servers read, by kind: a warning, a grace, a stop, or that"
                " their server continues.",
                [(happened(names.GUARD_NOTICES, "namespace, kind"), "{{kind}} · {{namespace}}")],
            )
        )
        .with_panel(
            counted(
                "Stops",
                "Servers whose grace was over, by what came of stopping them.",
                [
                    (
                        happened(names.GUARD_STOPS, "namespace, outcome"),
                        "{{outcome}} · {{namespace}}",
                    )
                ],
            )
        )
        .with_panel(
            over_time(
                "Running servers that policies may stop",
                "By where they stand: ok, warned, in their grace, or being stopped.",
                [(watched, "{{state}} · {{namespace}}")],
            )
        )
        .with_panel(
            over_time(
                "What waits",
                "Stops that go on, those that take more than five minutes, and notices that a"
                " target has refused.",
                [
                    (pending, "stops · {{namespace}}"),
                    (slow, "slow stops · {{namespace}}"),
                    (waiting, "notices · {{namespace}}"),
                ],
            )
        )
    )
