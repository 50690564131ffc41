"""kube-state-metrics as a source: what users' pods requested while they ran.

It queries three things about every span of time: which pods users had (their annotations), when
each of them ran, and what it requested. Requests seldom change while a pod lives, so they are
queried once for a span, and instant by instant only for pods whose requests changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from heapq import merge

from ... import conventions as names
from ...quotas.policy.selector import ServerAttributes
from ...quotas.resources import BY_RUNNING, RESOURCES, Resources, has_gpu
from ..client import promql
from ..client.prometheus import PrometheusClient, all_of
from ..client.promql import EXPORTED, HONORED, PodLabels, Pods, Users
from ..client.response import Series
from ..client.worker import free_in_worker, run_in_worker
from ..coverage import ScrapeCoverage, ScrapeInstants, coverage_in, never_covered
from ..timelines import Pieces, Run, runs_of, timelines
from .base import StepRange, UsageSegment, evidence_ranges, having, scrape_instants
from .pod_names import PodNames, names_of, sorted_out

LABELS = {"honored": HONORED, "exported": EXPORTED}

LATELY = timedelta(days=7)
"""For how long no pod must have had a username to conclude that usernames are not exported."""

Amounts = Mapping[str, Mapping[str, Sequence[Run]]]
"""What pods requested, by uid and resource: runs."""


@dataclass(frozen=True)
class KubeStateMetrics:
    """kube-state-metrics, for KubeSpawner.

    Requests count as those of `resources` that Kubernetes calls so. A pod that was not to be seen
    for at most `max_gap` and was there before and after is taken to have run in between: its uid
    says that it is the same.
    `pod_namespaces` are the namespaces, besides the Hub's, in which users' pods are, as patterns.
    Where annotations are not exported, pods are identified by what they are `named`.
    """

    namespace: str
    resources: Resources = field(default_factory=lambda: RESOURCES)
    max_gap: timedelta = timedelta(minutes=10)
    pod_namespaces: Sequence[str] = ()
    named: PodNames | None = None
    name: str = "kube-state-metrics"
    requests_metric: str = field(default=names.KSM_REQUESTS, init=False)
    resource: str = field(default="", init=False)

    @property
    def namespaces(self) -> Sequence[str]:
        """The namespaces that are queried, as patterns; none for all."""
        return tuple(filter(None, (self.namespace, *self.pod_namespaces)))

    async def read(
        self, prometheus: PrometheusClient, users: Users, steps: StepRange
    ) -> UsageSegment:
        """See `Source.read`."""
        coverage: ScrapeCoverage
        parts: list[_Pods]
        # Labels of the one kind and of the other: mostly there is nothing under one of them.
        coverage, *parts = await all_of(
            self._seen(prometheus, steps),
            *(self._pods(prometheus, labels, users, steps) for labels in LABELS.values()),
        )
        nobodys = coverage.last_scrape is not None and not any(part.owned for part in parts)
        if nobodys and await self._nobody_is_named(prometheus, steps):
            coverage = never_covered(*steps.span, names.KSM_USERNAME_LABEL)
        if uids := await run_in_worker(_resized, parts):
            parts = await all_of(*(self._sampled(prometheus, one, uids, steps) for one in parts))
        part = await run_in_worker(self._part, parts, coverage, steps)
        await free_in_worker(parts)
        return part

    async def was_there(self, prometheus: PrometheusClient, steps: StepRange) -> bool:
        """See `Source.was_there`."""
        queries = (
            promql.ever(metric, *labels.where(self.namespaces, ""), *phase, over=steps.over)
            for labels in LABELS.values()
            for metric, phase in self._evidence.items()
        )
        return any(await all_of(*(prometheus.query(one, steps.end) for one in queries)))

    async def _seen(self, prometheus: PrometheusClient, steps: StepRange) -> ScrapeCoverage:
        """When it was scraped: every pod has the metrics that are evidence, with or without a user.
        The Hub's own pod is queried first: it is always there, and has few series.
        """
        landmark = f'pod=~"{names.HUB_POD}"', f'exported_pod=~"{names.HUB_POD}"'
        by_metric = await self._looks(prometheus, steps, *landmark)
        coverage = self._summary(by_metric, steps)
        if coverage.gaps:
            of_all = await self._looks(prometheus, steps, "", "")
            by_metric = {name: _merged([of_all[name], by_metric[name]]) for name in by_metric}
            coverage = self._summary(by_metric, steps)
        return coverage

    async def _nobody_is_named(self, prometheus: PrometheusClient, steps: StepRange) -> bool:
        """Whether there are servers but none has a username: usernames are not exported. A pod that
        is no user's may be named like theirs, so this looks further back, for users who are away.
        """
        if self.named is not None:
            return False
        day = min(steps.over, timedelta(days=1))
        servers = (promql.servers_there(one, self.namespaces, day) for one in LABELS.values())
        if not any(await all_of(*(prometheus.query(query, steps.end) for query in servers))):
            return False
        far = max(steps.over, LATELY)
        usernames = (promql.usernames_there(one, self.namespaces, far) for one in LABELS.values())
        return not any(await all_of(*(prometheus.query(query, steps.end) for query in usernames)))

    async def _looks(
        self, prometheus: PrometheusClient, steps: StepRange, honored: str, exported: str
    ) -> dict[str, ScrapeInstants]:
        def expressions(looked: StepRange) -> dict[str, str]:
            look = promql.seen if looked.step == steps.step else promql.there
            return {
                f"{kind} {metric}": look(metric, *labels.where(self.namespaces, landmark), *phase)
                for (kind, labels), landmark in zip(
                    LABELS.items(), (honored, exported), strict=True
                )
                for metric, phase in self._evidence.items()
            }

        ranges = evidence_ranges(steps)
        found = await all_of(
            *(scrape_instants(prometheus, expressions(one), one) for one in ranges)
        )
        return {name: _merged([one[name] for one in found]) for name in found[0]}

    @property
    def _evidence(self) -> Mapping[str, tuple[str, ...]]:
        """The metrics that must have been there for users' pods to be known, with matchers."""
        annotations: Mapping[str, tuple[str, ...]] = {names.KSM_ANNOTATIONS: ()}
        return {names.KSM_PHASE: ('phase="Running"',), **({} if self.named else annotations)}

    def _summary(self, by_metric: Mapping[str, ScrapeInstants], steps: StepRange) -> ScrapeCoverage:
        of_either = {
            metric: _merged([by_metric[f"{kind} {metric}"] for kind in LABELS])
            for metric in self._evidence
        }
        return coverage_in(of_either, *steps.span, evidence_ranges(steps)[0].step.total_seconds())

    async def _pods(
        self, prometheus: PrometheusClient, labels: PodLabels, users: Users, steps: StepRange
    ) -> _Pods:
        owned = await self._whose(prometheus, labels, users, steps)
        called = {pod.name for pod in owned.values()} if users is not None else None
        patterns = self.named.like if self.named else ()
        pods = Pods(labels, self.namespaces, users, called, patterns, annotated=self.named is None)
        if not owned:
            return _Pods(pods, owned)
        running, requests, changed = await all_of(
            prometheus.query_range(pods.running(), steps.start, steps.end, steps.step),
            prometheus.query(pods.largest_requests(steps.over), steps.end),
            prometheus.query(pods.changed_requests(steps.over), steps.end),
        )
        silent = await run_in_worker(_silent, running, requests)
        # Pods may ask for nothing; somewhere in the cluster there is always one that asks.
        exported = silent is None or await prometheus.query(
            promql.anybodys_requests(), datetime.fromtimestamp(silent, UTC)
        )
        having(changed, "uid", "resource")
        return _Pods(pods, owned, running, requests, changed, unmeasured=not exported)

    async def _whose(
        self, prometheus: PrometheusClient, labels: PodLabels, users: Users, steps: StepRange
    ) -> dict[str, _Pod]:
        """The pods that users had, by uid."""
        if self.named is None:
            annotated = promql.pods_of(labels, self.namespaces, users, steps.over)
            return await run_in_worker(_owned, await prometheus.query(annotated, steps.end), labels)
        owners = await self.named.owners()
        wanted = names_of(owners, users)
        if wanted is not None and not wanted:
            return {}
        some = promql.like(labels.pod, self.named.like)
        called = some if wanted is None else promql.one_of(labels.pod, wanted)
        ran = promql.pods_that_ran(labels, self.namespaces, called, steps.over)
        found = await prometheus.query(ran, steps.end)
        owned, left = await run_in_worker(sorted_out, found, labels, owners, users)
        if users is None and left:
            self.named.left_over(left)
        return {
            uid: _Pod(owner.user, name, ServerAttributes(name=owner.server))
            for uid, (name, owner) in owned.items()
        }

    @staticmethod
    async def _sampled(
        prometheus: PrometheusClient, part: _Pods, uids: Collection[str], steps: StepRange
    ) -> _Pods:
        """The same, with what these pods requested instant by instant."""
        called = {part.owned[uid].name for uid in uids if uid in part.owned}
        if not called:
            return part
        those = replace(part.pods, pods=called)
        rates = await prometheus.query_range(those.rates(), steps.start, steps.end, steps.step)
        return replace(
            part,
            requests=[one for one in part.requests if one.labels.get("uid", "") not in uids],
            rates=[one for one in having(rates, "uid", "resource") if one.labels["uid"] in uids],
        )

    def _part(
        self, parts: Sequence[_Pods], coverage: ScrapeCoverage, steps: StepRange
    ) -> UsageSegment:
        owned = {uid: pod for part in parts for uid, pod in part.owned.items()}
        running = self._running(parts, steps)
        amounts = self._amounts(parts, running, steps)
        pieces: Pieces = {}
        for uid, pod in owned.items():
            ran = running.get(uid, ())
            by_resource = {**dict.fromkeys(BY_RUNNING, ran), **amounts.get(uid, {})}
            server = replace(pod.server, gpu=has_gpu(by_resource.keys()))
            by_key = pieces.setdefault(pod.user, {})
            for resource, runs in by_resource.items():
                by_key.setdefault((resource, server), []).extend(runs)
        return UsageSegment(
            timelines(pieces, *steps.span),
            coverage,
            (steps.span,) if any(part.unmeasured for part in parts) else (),
            sum(len(one.values) for part in parts for one in (*part.running, *part.rates)),
        )

    def _running(self, parts: Sequence[_Pods], steps: StepRange) -> dict[str, list[Run]]:
        """When pods ran, by uid."""
        by_uid: dict[str, list[Series]] = {}
        for part in parts:
            for series in part.running:
                by_uid.setdefault(series.labels.get("uid", ""), []).append(series)
        return {uid: self._runs(series, steps) for uid, series in by_uid.items()}

    def _runs(self, series: Sequence[Series], steps: StepRange) -> list[Run]:
        """The runs of series that are one and the same thing, under labels of either kind."""
        first = series[0]
        samples: Iterable[tuple[float, float]] = zip(first.instants, first.values, strict=True)
        if len(series) > 1:
            samples = dict(merge(*(one.samples for one in series))).items()
        step, longest = steps.step.total_seconds(), self.max_gap.total_seconds()
        return runs_of(samples, step, lambda last, next_: next_ - step - last <= longest)

    def _amounts(
        self, parts: Sequence[_Pods], running: Mapping[str, Sequence[Run]], steps: StepRange
    ) -> Amounts:
        """What pods requested while they ran; resources of one kind are added up."""
        largest: dict[tuple[str, str], float] = {}
        for part in parts:
            for series in part.requests:
                at = (series.labels.get("uid", ""), series.labels.get("resource", ""))
                largest[at] = max(series.last, largest.get(at, 0.0))
        changed: dict[tuple[str, str], list[Series]] = {}
        for part in parts:
            for series in part.rates:
                at = (series.labels.get("uid", ""), series.labels.get("resource", ""))
                changed.setdefault(at, []).append(series)
        kinds = {label: self.kind(label) for _, label in (*largest, *changed)}
        amounts: dict[str, dict[str, list[Run]]] = {}
        for (uid, label), rate in largest.items():
            if (resource := kinds[label]) and rate > 0:
                runs = [(start, end, rate) for start, end, _ in running.get(uid, ())]
                amounts.setdefault(uid, {}).setdefault(resource, []).extend(runs)
        for (uid, label), of_label in changed.items():
            if resource := kinds[label]:
                runs = self._runs(of_label, steps)
                amounts.setdefault(uid, {}).setdefault(resource, []).extend(runs)
        return amounts

    def kind(self, label: str) -> str:
        """The resource that a value of the label `resource` counts as; empty for none."""
        return next((one.name for one in self.resources.values() if one.is_called(label)), "")


@dataclass(frozen=True, slots=True)
class _Pod:
    user: str
    name: str
    server: ServerAttributes


@dataclass(frozen=True, slots=True)
class _Pods:
    """The answers about pods: their users by uid, when they ran, what they requested,
    which of them `changed` that, and (instant by instant) what those requested. It is `unmeasured`
    when some ran without requests, and nothing said then what any pod requested.
    """

    pods: Pods
    owned: Mapping[str, _Pod]
    running: Sequence[Series] = ()
    requests: Sequence[Series] = ()
    changed: Sequence[Series] = ()
    rates: Sequence[Series] = ()
    unmeasured: bool = False


def _owned(found: Sequence[Series], labels: PodLabels) -> dict[str, _Pod]:
    """The pods that were found, by uid.

    A pod may have been exported with fewer annotations at another time: what is there counts.
    """
    known: dict[str, dict[str, str]] = {}
    for series in having(found, "uid", names.KSM_USERNAME_LABEL, labels.pod):
        of_pod = known.setdefault(series.labels.get("uid", ""), {})
        of_pod.update({label: value for label, value in series.labels.items() if value})
    return {
        uid: _Pod(
            said[names.KSM_USERNAME_LABEL],
            said.get(labels.pod, ""),
            ServerAttributes(
                profile=said.get(names.KSM_PROFILE_LABEL, ""),
                profile_name=said.get(names.KSM_PROFILE_NAME_LABEL, ""),
                name=said.get(names.KSM_SERVERNAME_LABEL, ""),
            ),
        )
        for uid, said in known.items()
    }


def _silent(running: Sequence[Series], requests: Sequence[Series]) -> float | None:
    """When a pod was last seen to run that requests nothing; None where there is none."""
    asked = {one.labels["uid"] for one in having(requests, "uid", "resource")}
    silent = (one for one in having(running, "uid") if one.labels["uid"] not in asked)
    return max((one.instants[-1] for one in silent), default=None)


def _resized(parts: Iterable[_Pods]) -> set[str]:
    """The uids of pods that did not always request the same, or did not under other labels."""
    resized = {one.labels.get("uid", "") for part in parts for one in part.changed}
    before: dict[str, set[tuple[str, float]]] = {}
    for part in parts:
        requests: dict[str, set[tuple[str, float]]] = {}
        for one in part.requests:
            of_pod = requests.setdefault(one.labels.get("uid", ""), set())
            of_pod.add((one.labels.get("resource", ""), one.last))
        resized |= {uid for uid in before.keys() & requests.keys() if before[uid] != requests[uid]}
        before |= requests
    return resized


def _merged(each: Iterable[ScrapeInstants]) -> ScrapeInstants:
    # Of two that were seen at one instant the later scrape counts: it is the last of them.
    return sorted(dict(sorted(look for one in each for look in one)).items())
