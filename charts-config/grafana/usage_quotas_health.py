"""The dashboard "Usage quotas: health": whether the quota system itself is well."""

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
        "Whether usage is known, from which history, and what it costs Prometheus.",
    )
    for row in (_usage, _prometheus, _history, _source):
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
                "How long ago the source was last scraped, as far as the Hub knows. Above the line,"
                " failover decides.",
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
                "Refreshes of everybody's usage, by outcome.",
                [(refreshed, "{{outcome}} · {{namespace}}")],
            )
        )
        .with_panel(
            counted(
                "Failovers",
                "Launches that were not decided, by why usage was not known.",
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
                "What the Hub asked Prometheus, by outcome.",
                [(asked, "{{outcome}} · {{namespace}}")],
            )
        )
        .with_panel(
            over_time(
                "How long requests take",
                "Half of them, 95 % and 99 % are answered within.",
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
        ("History", "How far back usage is at hand.", "max", names.HISTORY, "s"),
        (
            "Coverage",
            "The share of that time in which the source was scraped. What is missing counts as"
            " nothing used.",
            "min",
            names.COVERAGE,
            "percentunit",
        ),
        (
            "Scrape interval",
            "The distance of scrapes that was found, a minute at least.",
            "max",
            names.SCRAPE_INTERVAL,
            "s",
        ),
    ]
    made = made.with_row(Row("What is known"))
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
    return made.with_row(Row("What usage is made of")).with_panel(
        over_time(
            "Servers that run, as the source shows them",
            "Of kube-state-metrics, pods with the username of a user, and pods that it shows"
            " without one (the Hub's own are among them).",
            [
                (
                    f"count by (namespace) ({of_users} and on ({pod}) {running})",
                    "kube-state-metrics, of users · {{namespace}}",
                ),
                (
                    f"count by (namespace) (({seen} unless on ({pod}) {of_users})"
                    f" and on ({pod}) {running})",
                    "kube-state-metrics, of nobody · {{namespace}}",
                ),
                (f"sum by (namespace) ({recorded})", "recorded · {{namespace}}"),
                (f"sum by (namespace) ({exported})", "the Hub · {{namespace}}"),
            ],
            width=24,
        )
    )
