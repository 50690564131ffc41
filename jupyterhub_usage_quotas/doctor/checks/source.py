"""Checks of the usage source: is it scraped, and does it report usernames?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ... import conventions as names
from ...config.pods import NAME
from ...config.usage import HUB, RECORDED
from ...metering.diagnosis import LAST_HOUR, SourceDiagnosis
from ...metering.pod_series import found_labels, is_first_version
from ...metering.sources.base import StepRange, whole_step
from ...metering.sources.kube_state_metrics import FIRST_VERSION
from ...metering.sources.server_metrics import ServerMetrics
from ..deployment import Deployment
from ..findings import Finding, counted, failed, listed, ok, roughly, warning

ANNOTATIONS = ("username", "servername", "profile", "profile-name")
ALLOW_LIST = f"pods=[{','.join(f'hub.jupyter.org/{one}' for one in ANNOTATIONS)}]"

SCRAPE_KSM = (
    "Scrape kube-state-metrics; the prometheus and kube-prometheus-stack charts bring it. Does this"
    " Prometheus watch the cluster that the Hub is in?"
)
LOAD_RULES = (
    "Load charts-config/prometheus/recording-rules.yaml into this Prometheus, or set"
    " c.UsageConfig.usage_source = 'kube-state-metrics'."
)
TELL_USERNAMES = (
    f"Start kube-state-metrics with --metric-annotations-allowlist={ALLOW_LIST} (in its chart:"
    " metricAnnotationsAllowList; see charts-config/kube-state-metrics.yaml). Where you cannot, set"
    " c.UsageConfig.identify_pods_by = 'name'."
)


async def source(deployment: Deployment) -> list[Finding]:
    """Whether the source is scraped, and has something of the Hub's namespace."""
    diagnosis = await deployment.diagnosis()
    of_pods = not isinstance(deployment.source, ServerMetrics)
    if of_pods and await is_first_version(deployment.prometheus, deployment.clock()):
        return [failed(FIRST_VERSION, "Upgrade kube-state-metrics, or its chart.")]
    if metric := _absent(deployment, diagnosis):
        return [
            failed(
                f"{deployment.source.name}: {metric} has no series in the last hour",
                _cure_of_absence(deployment, metric, diagnosis),
            )
        ]
    if not diagnosis.inside.get(_evidence(deployment)):
        if no_pods := _no_pods(deployment):
            return [failed(f"{deployment.source.name}: no server of this Hub is in it", no_pods)]
        renamed = await _renamed(deployment, diagnosis) if of_pods else None
        return [renamed or _elsewhere(deployment, diagnosis)]
    return [await _scraped_recently(deployment)]


def _elsewhere(deployment: Deployment, diagnosis: SourceDiagnosis) -> Finding:
    """The Hub's namespace has no series, and others have some."""
    namespace = deployment.manager.hub_namespace
    others = [one for one in diagnosis.namespaces if one not in ("", namespace)]
    elsewhere = f"; there are series of {listed(others)}" if others else ""
    right = f": is it {others[0]!r}?" if len(others) == 1 else "."
    return failed(
        f"{deployment.source.name}: {_evidence(deployment)} has no series of the namespace"
        f' "{namespace}"{elsewhere}',
        f"Set c.UsageConfig.hub_namespace to the namespace that the Hub is in{right}",
    )


async def _renamed(deployment: Deployment, diagnosis: SourceDiagnosis) -> Finding | None:
    """The namespace of pods is in no label that can be known; None where that is not seen."""
    namespace = deployment.manager.hub_namespace
    found = await found_labels(deployment.prometheus, namespace, deployment.clock())
    if found is None or not (found.with_namespace or diagnosis.namespaces in ((), ("",))):
        return None
    where = (
        f'the namespace "{namespace}" in the label {" and ".join(found.with_namespace)}'
        if found.with_namespace
        else "no label namespace or exported_namespace"
    )
    return failed(
        f"{deployment.source.name}: {names.KSM_PHASE} has {where}; its labels are"
        f" {', '.join(found.names)}",
        "Scrape kube-state-metrics with honor_labels: true, and let no relabelling"
        " (metric_relabel_configs, labelmap, labeldrop) rename or drop its labels namespace, pod,"
        " uid and container.",
    )


def _evidence(deployment: Deployment) -> str:
    """The metric that is there whenever the source is scraped, also without any server."""
    looked_for = deployment.source
    return looked_for.evidence if isinstance(looked_for, ServerMetrics) else names.KSM_PHASE


def _absent(deployment: Deployment, diagnosis: SourceDiagnosis) -> str:
    """The first metric without any series; empty where all have some.

    Somewhere in a cluster there is always a pod that requests something; near the Hub there need
    not be one.
    """
    wanted = [_evidence(deployment)]
    if not isinstance(deployment.source, ServerMetrics):
        wanted.append(names.KSM_REQUESTS)
    return next((metric for metric in wanted if not diagnosis.anywhere.get(metric)), "")


def _no_pods(deployment: Deployment) -> str:
    """What to do where servers do not run as pods and the source reads pods; else empty."""
    place, source = deployment.place, deployment.manager.usage_source
    if source == HUB or place.kubernetes:
        return ""
    return (
        f"Servers of {place.spawner} do not run as pods, and {source!r} reports pods: set"
        f" c.UsageConfig.usage_source = {HUB!r}. {place.scrape_hub}"
    )


def _cure_of_absence(deployment: Deployment, metric: str, diagnosis: SourceDiagnosis) -> str:
    if no_pods := _no_pods(deployment):
        return no_pods
    others = (names.KSM_PHASE, names.KSM_REQUESTS, names.KSM_ANNOTATIONS)
    there = next((one for one in others if diagnosis.anywhere.get(one)), "")
    if there and not isinstance(deployment.source, ServerMetrics):
        return (
            f"{there} is there, so kube-state-metrics is scraped and {metric} is dropped: check"
            " its metric allow-list and deny-list, and metric_relabel_configs."
        )
    by_source = {
        HUB: f"{deployment.place.scrape_hub} The Hub exports it where `setup_usage_quotas(c)` is"
        " called.",
        RECORDED: LOAD_RULES,
    }
    return by_source.get(deployment.manager.usage_source, SCRAPE_KSM)


async def _scraped_recently(deployment: Deployment) -> Finding:
    now = deployment.clock()
    end = whole_step(now)
    part = await deployment.source.read(
        deployment.prometheus, None, StepRange(end - LAST_HOUR, end)
    )
    stale_after = timedelta(seconds=deployment.manager.stale_after)
    cure = "Check Prometheus' page Status > Targets: the target is down, or was removed."
    if part.coverage.last_scrape is None:
        missing = part.coverage.missing
        if missing in (names.KSM_ANNOTATIONS, names.KSM_USERNAME_LABEL):
            # The meter needs usernames to see anything; that they are missing is said next.
            return ok(f"{deployment.source.name} is scraped")
        return failed(f"{deployment.source.name}: {missing} cannot be seen at any instant", cure)
    age = now - datetime.fromtimestamp(part.coverage.last_scrape, UTC)
    says = f"{deployment.source.name} is scraped; usage is known up to {roughly(age)} ago"
    if age > stale_after:
        then = "allowed" if deployment.manager.failover_open else "denied"
        return failed(
            f"{deployment.source.name} was last scraped {roughly(age)} ago: usage is not known now,"
            f" and launches are {then} (failover_open)",
            cure,
        )
    missed = part.coverage.missed(*StepRange(end - LAST_HOUR, end).span) - age.total_seconds()
    if missed > deployment.manager.max_gap:
        unseen = roughly(timedelta(seconds=missed))
        return warning(
            f"{says}, but in the last hour it was not scraped for {unseen}",
            "What was used in gaps longer than max_gap is not counted. Check the target's"
            " scrapes: up, scrape_duration_seconds and scrape_timeout.",
        )
    return ok(says)


async def usernames(deployment: Deployment) -> list[Finding]:
    """Whether usernames are exported, and which pods have none."""
    diagnosis = await deployment.diagnosis()
    if isinstance(deployment.source, ServerMetrics):
        return [ok(f"{deployment.source.name} reports usernames itself")]
    if deployment.manager.identify_pods_by == NAME:
        return [ok("pods are identified by their names, so no annotation is needed")]
    if not diagnosis.anywhere.get(names.KSM_ANNOTATIONS):
        return [
            failed(f"{names.KSM_ANNOTATIONS} has no series: it is not exported", TELL_USERNAMES)
        ]
    if diagnosis.inside.get(names.KSM_USERNAME_LABEL):
        return _without_username(diagnosis)
    if diagnosis.nameless:
        pods = counted(len(diagnosis.nameless), "pod")
        return [
            failed(
                f"{names.KSM_ANNOTATIONS} has no label {names.KSM_USERNAME_LABEL}, though {pods}"
                f" named like users' pods ran: {listed(diagnosis.nameless)}",
                TELL_USERNAMES,
            )
        ]
    return [
        warning(
            "no user's server ran in the last hour, so it cannot be seen whether usernames are"
            " exported",
            "Start a server, wait two minutes, and run this again.",
        )
    ]


def _without_username(diagnosis: SourceDiagnosis) -> list[Finding]:
    exported = counted(diagnosis.inside[names.KSM_USERNAME_LABEL], "pod")
    if not diagnosis.nameless:
        return [ok(f"the username of {exported} is exported")]
    return [
        warning(
            f"{counted(len(diagnosis.nameless), 'pod')} named like users' pods ran in the last"
            f" hour without a username: {listed(diagnosis.nameless)}",
            "Their usage is not attributed to anyone. Pods that ran before the allow-list was set"
            " are reported once kube-state-metrics has restarted; others may not be KubeSpawner's.",
        )
    ]


async def duplicates(deployment: Deployment) -> list[Finding]:
    """Whether several exporters report the same."""
    diagnosis = await deployment.diagnosis()
    if diagnosis.copies <= 1:
        return [ok("one exporter reports each server")]
    says = f"{diagnosis.copies} exporters report the same"
    if deployment.manager.usage_source == HUB:
        namespace = deployment.manager.hub_namespace
        times = f"{diagnosis.copies} Hubs, or one scraped {diagnosis.copies} times,"
        share = f'have the namespace "{namespace}"' if namespace else "are in this Prometheus"
        return [
            failed(
                f"{says}: {times} {share}",
                "If they are several Hubs, users of the same name share their usage: give each its"
                " own c.UsageConfig.hub_namespace. If it is one, scrape it once.",
            )
        ]
    return [
        warning(
            f"{says} of the same pod. Here it counts once; sums in other dashboards are"
            f" {diagnosis.copies} times too high",
            "Run one kube-state-metrics, scraped by one job.",
        )
    ]


async def hub_metrics(deployment: Deployment) -> list[Finding]:
    """Whether the Hub's own metrics arrive: alerts and dashboards are made of them."""
    metric = names.REFRESHES
    found = await deployment.prometheus.query(
        f"count(present_over_time({metric}[1h]))", deployment.clock()
    )
    if found:
        return [ok("the Hub's own metrics are scraped")]
    return [
        warning(
            f"{metric} has no series in the last hour: the Hub's metrics are not scraped, so there"
            " are no alerts and no dashboards. Quotas work without them",
            deployment.place.scrape_hub,
        )
    ]
