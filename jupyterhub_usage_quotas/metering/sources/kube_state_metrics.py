"""kube-state-metrics as a source: what users' pods requested while they ran.

It queries three things about every span of time: which pods users had (their annotations), in
which minutes each of them ran, and what it requested (`pod_reading`), and puts together what was
used (`pod_usage`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from ... import conventions as names
from ...errors import BadAnswer
from ...quotas.policy.selector import ServerAttributes
from ...quotas.resources import RESOURCES, Resources
from ..client import pod_queries, promql
from ..client.pod_queries import LABELS, PodLabels, Pods
from ..client.prometheus import PrometheusClient, all_of
from ..client.promql import Users
from ..client.series import Series
from ..client.worker import free_in_worker, run_in_worker
from ..coverage import ScrapeCoverage, never_covered
from .base import StepRange, UsageSegment, part_of
from .pod_answers import Pod, PodAnswers, owned_by, resized
from .pod_evidence import PodEvidence
from .pod_names import Owner, PodName, PodNames, names_of, sorted_out
from .pod_reading import PodReading
from .pod_usage import OTHERS_COUNT, PodUsage

USERNAMES_WITHIN = timedelta(days=7)
"""For how long no pod must have had a username to conclude that usernames are not exported."""

FEW_USERS = 50
"""The most users whose pods are searched in one query under every kind of labels."""

FIRST_VERSION = (
    "kube-state-metrics is too old: its metrics are those of version 1, without usernames and uids;"
    " expected version 2.10 or later"
)


@dataclass(frozen=True)
class KubeStateMetrics:
    """kube-state-metrics, for KubeSpawner.

    Requests count as those of `resources` that Kubernetes calls so. A pod that was not to be seen
    for at most `max_gap` and was there before and after is taken to have run in between: its uid
    says that it is the same.
    `pod_namespaces` are the namespaces, besides the Hub's, in which users' pods are, as patterns.
    Where annotations are not exported, pods are identified by what they are `named`.
    Pods of users that run no server count for the resources `others_count`.
    """

    namespace: str
    resources: Resources = field(default_factory=lambda: RESOURCES)
    max_gap: timedelta = timedelta(minutes=10)
    pod_namespaces: Sequence[str] = ()
    named: PodNames | None = None
    others_count: Collection[str] = OTHERS_COUNT
    name: str = "kube-state-metrics"
    requests_metric: str = field(default=names.KSM_REQUESTS, init=False)
    resource: str = field(default="", init=False)

    @property
    def namespaces(self) -> Sequence[str]:
        """The namespaces that are queried, as patterns; none for all."""
        return tuple(filter(None, (self.namespace, *self.pod_namespaces)))

    @property
    def identity(self) -> str:
        """See `Source.identity`."""
        return f"{replace(self, named=None)!r} {self.named.identity if self.named else ''}"

    async def read(
        self, prometheus: PrometheusClient, users: Users, steps: StepRange
    ) -> UsageSegment:
        """See `Source.read`."""
        coverage: ScrapeCoverage
        parts: list[PodAnswers]
        owners = await self.named.owners() if self.named else {}
        coverage, parts = await all_of(
            self._evidence.seen(prometheus, steps), self._pods(prometheus, users, steps, owners)
        )
        if coverage.last_scrape is None and await prometheus.query(
            pod_queries.first_version(), steps.end
        ):
            raise BadAnswer(FIRST_VERSION)
        nobodys = coverage.last_scrape is not None and not any(part.owned for part in parts)
        if nobodys and await self._nobody_is_named(prometheus, steps):
            coverage = never_covered(*steps.span, names.KSM_USERNAME_LABEL)
        if uids := await run_in_worker(resized, parts):
            parts = await all_of(
                *(PodReading(prometheus, one.pods, steps).sampled(one, uids) for one in parts)
            )
        usage_of = PodUsage(self.resources, self.max_gap, self.others_count)
        segment = await run_in_worker(usage_of.segment, parts, coverage, steps)
        await free_in_worker(parts)
        return segment

    async def was_there(self, prometheus: PrometheusClient, steps: StepRange) -> bool:
        """See `Source.was_there`."""
        return await self._evidence.was_there(prometheus, steps)

    @property
    def _evidence(self) -> PodEvidence:
        annotated = (names.KSM_ANNOTATIONS,) if self.named is None else ()
        return PodEvidence(self.namespaces, (names.KSM_PHASE, *annotated))

    async def _nobody_is_named(self, prometheus: PrometheusClient, steps: StepRange) -> bool:
        """Whether there are servers but none has a username: usernames are not exported. A pod that
        belongs to no user may be named like theirs, so this goes further back, for users who are
        away.
        """
        if self.named is not None:
            return False
        day = min(steps.over, timedelta(days=1))
        if not await prometheus.query(pod_queries.servers_there(self.namespaces, day), steps.end):
            return False
        far = max(steps.over, USERNAMES_WITHIN)
        return not await prometheus.query(
            pod_queries.usernames_there(self.namespaces, far), steps.end
        )

    async def _pods(
        self,
        prometheus: PrometheusClient,
        users: Users,
        steps: StepRange,
        owners: Mapping[PodName, Owner],
    ) -> list[PodAnswers]:
        """The pods of every kind of labels; mostly there is something under one of them only."""
        whose = await self._whose(prometheus, users, steps, owners)
        return await all_of(
            *(
                self._pods_of(prometheus, labels, users, steps, owned)
                for labels, owned in whose.items()
                if owned
            )
        )

    async def _pods_of(
        self,
        prometheus: PrometheusClient,
        labels: PodLabels,
        users: Users,
        steps: StepRange,
        owned: Mapping[str, Pod],
    ) -> PodAnswers:
        called = {pod.name for pod in owned.values()} if users is not None else None
        patterns = self.named.like if self.named else ()
        annotated = self.named is None
        pods = Pods(labels, self.namespaces, users, called, patterns, annotated, steps.step)
        return await PodReading(prometheus, pods, steps).answers(owned)

    async def _whose(
        self,
        prometheus: PrometheusClient,
        users: Users,
        steps: StepRange,
        owners: Mapping[PodName, Owner],
    ) -> dict[PodLabels, dict[str, Pod]]:
        """The pods that users had, by their labels and uid."""
        wanted = names_of(owners, users)
        if self.named is not None and wanted is not None and not wanted:
            return {}
        queries = {
            kind: self._pods_there(labels, users, wanted, steps.over)
            for kind, labels in LABELS.items()
        }
        some = (promql.labelled(one) for one in _in_some(queries, users))
        found: dict[str, list[Series]] = {}
        for answer in await all_of(*(prometheus.query(one, steps.end) for one in some)):
            for series in answer:
                found.setdefault(part_of(series, LABELS), []).append(series)
        return {
            labels: await self._owned(of_kind, labels, users, owners)
            for kind, of_kind in found.items()
            for labels in [LABELS[kind]]
        }

    def _pods_there(
        self, labels: PodLabels, users: Users, wanted: Collection[str] | None, over: timedelta
    ) -> str:
        if self.named is None:
            return pod_queries.pods_of(labels, self.namespaces, users, over)
        some = promql.like(labels.pod, self.named.like)
        called = some if wanted is None else promql.one_of(labels.pod, wanted)
        return pod_queries.pods_that_ran(labels, self.namespaces, called, over)

    async def _owned(
        self,
        found: Sequence[Series],
        labels: PodLabels,
        users: Users,
        owners: Mapping[PodName, Owner],
    ) -> dict[str, Pod]:
        if self.named is None:
            return await run_in_worker(owned_by, found, labels)
        owned, left = await run_in_worker(sorted_out, found, labels, owners, users)
        if users is None and left:
            self.named.left_over(left)
        return {
            uid: Pod(owner.user, name, ServerAttributes(name=owner.server), owner.shared)
            for uid, (name, owner) in owned.items()
        }


def _in_some(queries: Mapping[str, str], users: Users) -> Iterable[Mapping[str, str]]:
    """In one query for all, or in several where many users make them long: some stores bound the
    length of a query.
    """
    if users is None or len(users) <= FEW_USERS:
        return [queries]
    return [{name: query} for name, query in queries.items()]
