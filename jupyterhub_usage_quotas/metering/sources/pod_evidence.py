"""The evidence that kube-state-metrics was scraped, whether any user's pod was there or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from ... import conventions as names
from ..client import promql
from ..client.pod_queries import HONORED, LABELS, PodLabels
from ..client.prometheus import PrometheusClient, all_of
from ..client.series import Series
from ..coverage import ScrapeCoverage, ScrapeInstants, coverage_in
from ..minutes import Minutes
from .base import StepRange, evidence_ranges, scrape_instants
from .pod_answers import Requests, silent

HONORED_KIND = HONORED.identity
"""What the usual labels are called in `LABELS`."""
_MATCHERS = {names.KSM_PHASE: ('phase="Running"',)}


@dataclass(frozen=True, slots=True)
class PodEvidence:
    """The metrics that must have been there, in these namespaces (patterns), for users' pods to be
    known; every pod has them.
    """

    namespaces: Sequence[str]
    metrics: Sequence[str]

    async def was_there(self, prometheus: PrometheusClient, steps: StepRange) -> bool:
        """See `Source.was_there`."""
        ever = (
            promql.ever(metric, *labels.where(self.namespaces, *matchers), over=steps.over)
            for labels in LABELS.values()
            for metric in self.metrics
            for matchers in [_MATCHERS.get(metric, ())]
        )
        return bool(await prometheus.query(" or ".join(ever), steps.end))

    async def seen(self, prometheus: PrometheusClient, steps: StepRange) -> ScrapeCoverage:
        """When it was scraped. The Hub's own pod is queried first, under its usual labels: it is
        always there, and has few series.
        """
        usual, all_kinds = {HONORED_KIND: HONORED}, LABELS
        by_metric = await self._looks(prometheus, steps, usual, names.HUB_POD)
        for kinds, pods_like in ((all_kinds, names.HUB_POD), (all_kinds, "")):
            gaps = self._summary(by_metric, steps).gaps
            if not gaps:
                break
            # Elsewhere it is known already; all pods are many.
            start, end = (datetime.fromtimestamp(at, UTC) for at in (gaps[0][0], gaps[-1][1]))
            span = StepRange(start, end, steps.step)
            more = await self._looks(prometheus, span, kinds, pods_like)
            by_metric = {
                name: _merged([more.get(name, ()), by_metric.get(name, ())])
                for name in {**by_metric, **more}
            }
        return self._summary(by_metric, steps)

    async def _looks(
        self,
        prometheus: PrometheusClient,
        steps: StepRange,
        kinds: Mapping[str, PodLabels],
        pods_like: str,
    ) -> dict[str, ScrapeInstants]:
        """When each of the evidence was scraped under these kinds of labels, of pods with such
        names (a regular expression; empty for all).
        """

        def expressions(looked: StepRange) -> dict[str, str]:
            look = promql.seen if looked.step == steps.step else promql.there
            return {
                f"{kind} {metric}": look(metric, *labels.where(self.namespaces, some, *matchers))
                for kind, labels in kinds.items()
                for some in [pods_like and f'{labels.pod}=~"{pods_like}"']
                for metric in self.metrics
                for matchers in [_MATCHERS.get(metric, ())]
            }

        ranges = evidence_ranges(steps)
        found = await all_of(
            *(scrape_instants(prometheus, expressions(one), one) for one in ranges)
        )
        return {name: _merged([one[name] for one in found]) for name in found[0]}

    def _summary(self, by_metric: Mapping[str, ScrapeInstants], steps: StepRange) -> ScrapeCoverage:
        of_any = {
            metric: _merged([by_metric.get(f"{kind} {metric}", ()) for kind in LABELS])
            for metric in self.metrics
        }
        return coverage_in(of_any, *steps.span, evidence_ranges(steps)[0].step.total_seconds())


async def requests_exported(
    prometheus: PrometheusClient,
    running: Minutes,
    brief: Sequence[Series],
    requests: Requests,
    steps: StepRange,
) -> bool:
    """Whether requests were exported while pods ran, or ran briefly, that have none. Pods may ask
    for nothing; somewhere in the cluster there is always one that asks.
    """
    lasting = max(map(running.last, silent(running.bits, requests)), default=None)
    seen_briefly = {one.labels["uid"]: one.instants[-1] for one in brief}
    briefly = max((seen_briefly[uid] for uid in silent(seen_briefly, requests)), default=None)
    queries = [
        prometheus.query(query, datetime.fromtimestamp(at, UTC))
        for at, query in (
            (lasting, promql.anybodys_requests()),
            (briefly, promql.anybodys_requests(steps.step)),
        )
        if at is not None
    ]
    return all(await all_of(*queries))


def _merged(each: Iterable[ScrapeInstants]) -> ScrapeInstants:
    # Of two that were seen at one instant the later scrape counts: it is the last of them.
    return sorted(dict(sorted(look for one in each for look in one)).items())
