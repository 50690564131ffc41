"""Reading what pods of one kind of labels did in a span of time, with as little work for Prometheus
as it takes to know it to the minute.

Nothing is joined there: each query selects the series of one metric once, and what belongs together
is put together here, by uid. What is rare is asked of the pods concerned only, minute by minute:
requests that changed, and pods that ran within a minute and at neither end of it. Of those there
can be none where scrapes are a minute apart, which the Hub's own pod shows (`_calm`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from ...quotas.policy.selector import ServerAttributes
from ..client.pod_queries import Pods, hubs_scraped_again, hubs_there
from ..client.prometheus import PrometheusClient, all_of
from ..client.series import Series
from ..client.worker import run_in_worker
from ..minutes import MINUTE, Holds, Minutes, bits_of, due, instant, is_one, spans_of
from .base import StepRange, having
from .pod_answers import Containers, Pod, PodAnswers, kinds_of, unmistaken
from .pod_evidence import requests_exported

MANY = 200
"""Pods: a query about more of them is about all."""


FIRST_LOOK = timedelta(hours=1)
"""How long a part of the time is about which is asked minute by minute, until it is known how much
there is.
"""
SAMPLES = 500_000
"""How many samples an answer about every minute should have: some megabytes."""
MINUTES = timedelta(minutes=1)
OF_A_POD = 50
"""How many samples a pod counts as: so much it costs to select it and to read its labels."""
LOOKS = 8
"""How many answers about every minute a reading should take."""

LONG = timedelta(hours=2)
"""Whether pods came and went in a shorter time is not found out by how it was scraped."""

Exporter = frozenset[tuple[str, str]]
"""What its series have in common: labels."""


@dataclass(frozen=True, slots=True)
class Seen:
    """In which minutes users' pods were seen to run; those that were seen in any phase, and by
    which exporters.
    """

    minutes: Minutes
    uids: Collection[str]
    exporters: Collection[Exporter]

    @classmethod
    def joined(cls, parts: Sequence[Seen]) -> Seen:
        """What was seen in several parts of the time."""
        return cls(
            parts[0].minutes.joined([one.minutes for one in parts[1:]]),
            frozenset[str]().union(*(one.uids for one in parts)),
            frozenset[Exporter]().union(*(one.exporters for one in parts)),
        )


@dataclass(frozen=True, slots=True)
class PodReading:
    """The reading of `pods` over the time of the steps."""

    prometheus: PrometheusClient
    pods: Pods
    steps: StepRange

    async def answers(self, owned: Mapping[str, Pod]) -> PodAnswers:
        """What the pods that users had, by uid, did. Raises `PrometheusError`."""
        pods, steps = self.pods, self.steps
        seen, gone, calm, most, least = await all_of(
            self._seen(owned),
            self._minutes(pods.ends(), steps, owned, due),
            self._calm(owned),
            self._requests("max"),
            self._requests("min"),
        )
        containers = await run_in_worker(Containers.of, most, least)
        running = seen.minutes.without(gone.bits)
        brief, kinds = await all_of(
            self._brief(seen, calm, owned),
            self._kinds(containers, owned),
        )
        exported = await requests_exported(self.prometheus, running, brief, containers.most, steps)
        return PodAnswers(
            pods,
            unmistaken(owned, running, steps.end.timestamp()),
            running,
            brief,
            containers.most,
            containers.changed & owned.keys(),
            others=kinds,
            unmeasured=not exported,
            samples=max(seen.minutes.samples // LOOKS, len(owned) * OF_A_POD),
        )

    async def _requests(self, extreme: str) -> Sequence[Series]:
        """The most or the least that containers requested, which may be there more than once."""
        queries = self.pods.requests(extreme, self.steps.over)
        found = await all_of(*(self.prometheus.query(one, self.steps.end) for one in queries))
        return (
            found[0] if len(found) == 1 or not found[1] else [one for each in found for one in each]
        )

    async def _seen(self, owned: Collection[str]) -> Seen:
        """In which minutes users' pods were seen to run; of all, a part of the time after another.

        To select pods costs Prometheus most: the other queries are about all of the time at once.
        """
        if self.pods.pods is not None:
            return await self._seen_in(self.steps, owned)
        seen: list[Seen] = []
        start, length = self.steps.start, FIRST_LOOK
        while start <= self.steps.end:
            looks = replace(self.steps, start=start, end=min(start + length, self.steps.end))
            seen.append(await self._seen_in(looks, owned))
            fitting = length * (SAMPLES / max(seen[-1].minutes.samples, 1))
            length = max(min(fitting, 4 * length) // MINUTES * MINUTES, FIRST_LOOK)
            start = looks.end + self.steps.step
        return await run_in_worker(Seen.joined, seen)

    async def _seen_in(self, looks: StepRange, owned: Collection[str]) -> Seen:
        found = await self._asked(self.pods.seen(), looks)

        def theirs() -> Seen:
            those = [one for one in having(found, "uid") if one.labels["uid"] in owned]
            return Seen(
                self._by_uid(those),
                frozenset(one.labels["uid"] for one in those),
                frozenset(map(self._exporter, those)),
            )

        return await run_in_worker(theirs)

    async def _minutes(
        self, query: str, steps: StepRange, owned: Collection[str], holds: Holds = is_one
    ) -> Minutes:
        """The minutes at which what a query says holds, of users' pods."""
        found = await self._asked(query, steps)

        def theirs() -> Minutes:
            those = [one for one in having(found, "uid") if one.labels["uid"] in owned]
            return self._by_uid(those, holds)

        return await run_in_worker(theirs)

    async def _asked(self, query: str, steps: StepRange) -> Sequence[Series]:
        return await self.prometheus.query_range(query, steps.start, steps.end, steps.step)

    def _by_uid(self, found: Sequence[Series], holds: Holds = is_one) -> Minutes:
        bits = bits_of(found, self._first, lambda one: one.labels["uid"], holds)
        return Minutes(self._first, bits, sum(len(one.values) for one in found))

    @property
    def _first(self) -> int:
        return int(self.steps.start.timestamp())

    def _exporter(self, series: Series) -> Exporter:
        """The labels that a series of a pod has of its exporter, and of how that is scraped."""
        labels = self.pods.labels
        of_pod = {labels.namespace, labels.pod, labels.uid, "uid", "phase", "__name__"}
        return frozenset(one for one in series.labels.items() if one[0] not in of_pod)

    async def _calm(self, owned: Collection[str]) -> Mapping[Exporter, int]:
        """The minutes, as bits, in which an exporter was scraped once at most, and successfully.

        The Hub's pod was to be seen at both ends of such a minute. No other pod can have come and
        gone in it: it would take a scrape that sees it, and another that does not.
        """
        if self.steps.end - self.steps.start < LONG or len(owned) < MANY:
            return {}  # to look whether any did is cheaper
        where = self.pods.labels, self.pods.namespaces
        there, again = await all_of(
            self._asked(hubs_there(*where), self.steps),
            self._asked(hubs_scraped_again(*where, self.steps.step), self.steps),
        )
        calm: dict[Exporter, int] = {}
        busy = bits_of(again, self._first, self._series)
        for one in there:
            seen = bits_of([one], self._first, self._series)
            for pod, bits in seen.items():
                at = self._exporter(one)
                calm[at] = calm.get(at, 0) | bits & bits << 1 & ~busy.get(pod, 0)
        return calm

    def _series(self, one: Series) -> tuple[str, Exporter]:
        return one.labels.get("uid", ""), self._exporter(one)

    def _restless(
        self, exporters: Collection[Exporter], calm: Mapping[Exporter, int]
    ) -> StepRange | None:
        """The time within whose minutes pods of these exporters may have come and gone."""
        number = (self.steps.end - self.steps.start) // self.steps.step
        # What is within the first minute belongs to the time before.
        everything = (1 << number + 1) - 2
        restless = 0
        for one in {*exporters, *calm}:
            restless |= everything & ~calm.get(one, 0)
        spans = list(spans_of(restless, self._first))
        if not spans:
            return None
        if spans[0][0] <= self._first + MINUTE and spans[-1][1] >= self.steps.end.timestamp():
            return self.steps
        return StepRange(instant(spans[0][0]), instant(spans[-1][1]), self.steps.step)

    async def _brief(
        self, seen: Seen, calm: Mapping[Exporter, int], owned: Mapping[str, Pod]
    ) -> Sequence[Series]:
        """The pods that ran within a minute and at neither end of it."""
        perhaps: list[tuple[Pods, StepRange]] = []
        if span := self._restless(seen.exporters, calm):
            perhaps.append((self.pods, span))
        never = owned.keys() - seen.uids
        if never and span != self.steps and (ran := await self._ran(never, owned)):
            # Their exporters are not known.
            perhaps.append((self._of(ran, owned), self.steps))
        ran = await all_of(*(self._minutes(pods.ran(), steps, owned) for pods, steps in perhaps))
        ends = {uid: bits | bits << 1 for uid, bits in seen.minutes.bits.items()}
        within = [one.without(ends) for one in ran]
        uids = {uid for one in within for uid in one.bits}
        if not uids:
            return ()
        spans = [span for one in within for uid in one.bits for span in one.spans(uid)]
        start, end = min(begin for begin, _ in spans), max(until for _, until in spans)
        steps = StepRange(instant(start), instant(end), self.steps.step)
        found = await self._asked(self._of(uids, owned).brief(), steps)
        return [one for one in having(found, "uid") if one.labels["uid"] in owned]

    async def _ran(self, uids: Collection[str], owned: Mapping[str, Pod]) -> Collection[str]:
        """Those of these pods that ran at all in this time: most were gone when it began."""
        query = self._of(uids, owned).ran_in(self.steps.end - self.steps.start)
        found = await self.prometheus.query(query, self.steps.end)
        return {one.labels["uid"] for one in having(found, "uid") if one.labels["uid"] in uids}

    async def _kinds(self, containers: Containers, owned: Mapping[str, Pod]) -> Mapping[str, str]:
        """The kinds of pods that run no server."""
        if not self.pods.annotated:
            return {}  # what is identified by name was started by the Hub
        # What has annotations of a server, or its container, is one.
        perhaps = {
            uid
            for uid, pod in owned.items()
            if uid not in containers.servers and pod.server == ServerAttributes()
        }
        if not perhaps:
            return {}
        query = self._of(perhaps, owned).others(self.steps.over)
        return kinds_of(await self.prometheus.query(query, self.steps.end), owned)

    def _of(self, uids: Collection[str], owned: Mapping[str, Pod]) -> Pods:
        """The queries about these pods, or about all if they are many."""
        called = {owned[uid].name for uid in uids if uid in owned}
        return replace(self.pods, pods=called) if len(called) <= MANY else self.pods

    async def sampled(self, part: PodAnswers, uids: Collection[str]) -> PodAnswers:
        """The same answers, with what these pods requested instant by instant."""
        called = {part.owned[uid].name for uid in uids if uid in part.owned}
        if not called:
            return part
        those, steps = replace(part.pods, pods=called), self.steps
        rates, brief_rates = await all_of(
            *(
                self.prometheus.query_range(query, steps.start, steps.end, steps.step)
                for query in (those.rates(), those.brief_rates())
            )
        )

        def theirs(found: Sequence[Series]) -> list[Series]:
            return [one for one in having(found, "uid", "resource") if one.labels["uid"] in uids]

        return replace(
            part,
            requests={at: most for at, most in part.requests.items() if at[0] not in uids},
            rates=theirs(rates),
            brief_rates=theirs(brief_rates),
        )
