"""Checks of Prometheus: does it answer, is it the right one, and does it keep enough?"""

from __future__ import annotations

from datetime import timedelta

from ...config.usage import RECORDED
from ...errors import (
    BadAnswer,
    PartialAnswer,
    PrometheusError,
    PrometheusTimeout,
    PrometheusUnavailable,
    QueryRejected,
)
from ...metering.diagnosis import oldest_sample
from ...metering.sources.base import StepRange, UsageSegment, whole_step
from ...metering.sources.kube_state_metrics import KubeStateMetrics
from ...metering.sync import SHORTEST
from ...quotas.units import show_days
from ..deployment import Deployment
from ..findings import Finding, failed, ok, roughly, warning
from .reaching import CURES, cure

CLOCK_DOUBTFUL = timedelta(seconds=15)
CLOCK_WRONG = timedelta(minutes=1)
"""Differences of clocks: one step of usage, and what one does not see."""
KEPT = 0.99
"""The part of the longest window that must be kept: retention ends in whole blocks."""
RARE = 300.0
"""Seconds between scrapes beyond which Prometheus does not show a sample at every instant."""
TOO_RARE = 900.0

OF_CHARTS = (
    " (in the prometheus chart: server.retention; in kube-prometheus-stack:"
    " prometheus.prometheusSpec.retention)"
)
MUCH = timedelta(days=2)
"""How much of the history is read at once, to see whether that is too much."""
SLOW = "If it is slow, check its load and raise c.UsageConfig.request_timeout."
CURES_OF_QUERIES: dict[type[PrometheusError], str] = CURES | {
    BadAnswer: "If a label is missing, a relabelling drops or renames it: set honor_labels: true,"
    " and keep namespace, pod, uid and container of kube-state-metrics' series"
    " (metric_relabel_configs, or what the store drops)."
    " Without uid, pods of the same name cannot be distinguished.",
    QueryRejected: "Its message says why. Where a store limits the time span of a query, windows"
    " are read in pieces, and this one refuses short ones, too: raise its limit.",
    PartialAnswer: "A part of the store did not answer: check its components, or its log.",
}
"""For queries of a Prometheus that does answer, by what is wrong with the answer."""


async def answers(deployment: Deployment) -> list[Finding]:
    """Whether it answers, and as what."""
    url = deployment.manager.shown_prometheus_url
    try:
        found = await deployment.prometheus.query("vector(1)", deployment.clock())
        facts = await deployment.facts()
    except PrometheusError as error:
        return [failed(f"{url}: {error}", await cure(deployment, error))]
    if [one.last for one in found] != [1.0]:
        return [
            failed(
                f"{url} answers, but not as Prometheus does", "Check c.UsageConfig.prometheus_url."
            )
        ]
    version = f" {facts.version}" if facts.version else ", which does not report its version"
    return [ok(f"{facts.name}{version} at {url}")]


async def clock(deployment: Deployment) -> list[Finding]:
    """Whether both clocks agree: usage is queried up to now."""
    ahead = (await deployment.facts()).ahead
    if ahead is None:
        return [ok("Prometheus does not report its time")]
    apart = abs(ahead)
    if apart < CLOCK_DOUBTFUL:
        return [ok("the clocks of Prometheus and of this machine agree")]
    which = "ahead of" if ahead > timedelta(0) else "behind"
    says = f"the clock of Prometheus is {roughly(apart)} {which} this machine's"
    agree = "Synchronise both machines (NTP): retry times and the age of usage come from them."
    return [(failed if apart >= CLOCK_WRONG else warning)(says, agree)]


async def retention(deployment: Deployment) -> list[Finding]:
    """Whether the longest window is kept."""
    reach = deployment.manager.policies.reach
    window = show_days(reach)
    kept = (await deployment.facts()).retention
    if kept is not None and kept < reach * KEPT:
        return [
            failed(
                f"Prometheus keeps {roughly(kept)}, and the longest window is {window}: what"
                " was used before is forgotten, so users get it back early",
                f"Start Prometheus with --storage.tsdb.retention.time={_days(reach)}d or more"
                f"{OF_CHARTS * deployment.place.kubernetes}, or make the window shorter.",
            )
        ]
    oldest = await oldest_sample(
        deployment.prometheus, deployment.source, reach, deployment.clock()
    )
    if oldest is None:
        # That it is not there at all is the next check's to say.
        return [ok(f"the longest window is {window}; there is no sample of the source yet")]
    age = deployment.clock() - oldest
    if age >= reach * KEPT - timedelta(hours=1):
        return [ok(f"the longest window is {window}, and all of it is there")]
    says = (
        f"the longest window is {window}, and the oldest sample of the source is {roughly(age)} old"
    )
    if kept is not None:
        return [ok(f"{says}; Prometheus keeps {roughly(kept)}, so the window fills up")]
    return [
        warning(
            says,
            "If scraping began then, the window fills up with time. If not, Prometheus keeps too"
            f" little: it must keep {_days(reach)} days.",
        )
    ]


def _days(reach: timedelta) -> int:
    return -(-reach // timedelta(days=1)) if reach % timedelta(days=1) else reach.days


async def scrape_interval(deployment: Deployment) -> list[Finding]:
    """How often the source is scraped."""
    part = await _read(deployment, timedelta(hours=1))
    configured = deployment.manager.prometheus_scrape_interval
    found = part.coverage.interval
    if found is None:
        return [warning("the source was not scraped twice in the last hour", "See `source`.")]
    says = f"the source is scraped every {roughly(timedelta(seconds=round(found)))}"
    if configured and not 1 / 2 <= configured / max(found, 1.0) <= 2:  # noqa: PLR2004 a factor
        return [
            warning(
                f"{says}, but prometheus_scrape_interval is {configured:g} s",
                "Leave c.UsageConfig.prometheus_scrape_interval out: it is detected.",
            )
        ]
    if found > TOO_RARE or (found > RARE and not configured):
        return [
            warning(
                f"{says}: Prometheus shows a sample for five minutes only, so most of what is used"
                " is not seen",
                "Scrape it at least every five minutes, better every minute.",
            )
        ]
    return [ok(says)]


async def history(deployment: Deployment) -> list[Finding]:
    """Whether the history can be read within the limits of the server."""
    reach = deployment.manager.policies.reach
    most = (await deployment.facts()).max_samples
    limit = f"--query.max-samples={most}" if most else "its limits"
    by_pods = isinstance(deployment.source, KubeStateMetrics)
    refused = ""
    for length in (MUCH, timedelta(hours=1), SHORTEST):
        before = deployment.clock()
        try:
            part = await _read(deployment, length)
        except (QueryRejected, PrometheusTimeout, PrometheusUnavailable) as error:
            refused = str(error)
            continue
        took = (deployment.clock() - before) * (reach / length)
        says = (
            f"the newest {roughly(length)} are {part.samples:,} samples; all of"
            f" {show_days(reach)} is read within {roughly(took)} or so"
            f" after a start of the Hub ({limit})"
        )
        if not refused:
            return [ok(says)]
        sooner = (
            "It works, as the history is read in shorter pieces; the Hub is ready sooner when"
            " Prometheus allows more (--query.max-samples, --query.timeout)"
            f"{', or with recorded series: usage_source = {RECORDED!r}' * by_pods}."
        )
        return [warning(f"Prometheus refused {roughly(MUCH)} at once ({refused}); {says}", sooner)]
    recorded = (
        ", or record what is needed (charts-config/prometheus/recording-rules.yaml) and set"
        f" usage_source = {RECORDED!r}"
    )
    more = f"Raise --query.max-samples and --query.timeout of Prometheus{recorded * by_pods}."
    return [failed(f"not even {roughly(SHORTEST)} can be read at once: {refused}", more)]


async def _read(deployment: Deployment, length: timedelta) -> UsageSegment:
    """What the Hub would read of so long."""
    end = whole_step(deployment.clock())
    return await deployment.source.read(deployment.prometheus, None, StepRange(end - length, end))
