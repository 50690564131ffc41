"""Usage from the answers of kube-state-metrics about pods: what each requested while it ran."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from ...quotas.resources import BY_RUNNING, RESOURCES, Resources, has_gpu
from ..client.series import Series
from ..coverage import ScrapeCoverage
from ..minutes import Minutes
from ..timelines import Pieces, Run, brief_runs, runs_of, timelines
from .base import StepRange, UsageSegment
from .pod_answers import PodAnswers, grouped, merged

OTHERS_COUNT = tuple(one.name for one in RESOURCES.values() if one.kubernetes)
"""What pods of users that run no server count for unless configured otherwise: what they request.
"""

Amounts = Mapping[str, Mapping[str, Sequence[Run]]]
"""What pods requested, by uid and resource: runs."""


@dataclass(frozen=True, slots=True)
class PodUsage:
    """How pods count: requests as those of `resources` that Kubernetes calls so, over gaps of at
    most `max_gap`, those of pods that run no server for the resources `others_count`.
    """

    resources: Resources
    max_gap: timedelta
    others_count: Collection[str]

    def segment(
        self, parts: Sequence[PodAnswers], coverage: ScrapeCoverage, steps: StepRange
    ) -> UsageSegment:
        """What users' pods used in the time of the steps."""
        owned = {uid: pod for part in parts for uid, pod in part.owned.items()}
        others = {uid: kind for part in parts for uid, kind in part.others.items()}
        running = self._running(parts, steps)
        amounts = self._amounts(parts, running, steps)
        pieces: Pieces = {}
        for uid, pod in owned.items():
            ran = running.get(uid, ())
            by_resource = {**dict.fromkeys(BY_RUNNING, ran), **amounts.get(uid, {})}
            server = replace(pod.server, gpu=has_gpu(by_resource.keys()))
            if kind := others.get(uid):
                server = replace(server, kind=kind)
                by_resource = {
                    name: runs for name, runs in by_resource.items() if name in self.others_count
                }
            by_key = pieces.setdefault(pod.user, {})
            for resource, runs in by_resource.items():
                by_key.setdefault((resource, server), []).extend(runs)
        return UsageSegment(
            timelines(pieces, *steps.span),
            coverage,
            (steps.span,) if any(part.unmeasured for part in parts) else (),
            sum(part.samples for part in parts),
        )

    def _running(self, parts: Sequence[PodAnswers], steps: StepRange) -> dict[str, list[Run]]:
        """When pods ran, by uid, under labels of whatever kind."""
        bits: dict[str, int] = {}
        for part in parts:
            for uid, of_part in part.running.bits.items():
                bits[uid] = bits.get(uid, 0) | of_part
        minutes = Minutes(int(steps.start.timestamp()), bits)
        brief = grouped((one for part in parts for one in part.brief), "uid")
        step, longest = steps.step.total_seconds(), self.max_gap.total_seconds()
        found = {uid: minutes.runs(uid, longest) for uid in bits}
        for (uid,), series in brief.items():
            runs = found.get(uid, [])
            found[uid] = [*runs, *brief_runs(runs, merged(series), step)]
        return found

    def _runs(
        self, series: Sequence[Series], brief: Sequence[Series], steps: StepRange
    ) -> list[Run]:
        """The runs of series that are one and the same thing, under labels of either kind."""
        step, longest = steps.step.total_seconds(), self.max_gap.total_seconds()
        runs = runs_of(merged(series), step, lambda last, next_: next_ - step - last <= longest)
        return [*runs, *brief_runs(runs, merged(brief), step)] if brief else runs

    def _amounts(
        self, parts: Sequence[PodAnswers], running: Mapping[str, Sequence[Run]], steps: StepRange
    ) -> Amounts:
        """What pods requested while they ran; resources of one kind are added up."""
        largest: dict[tuple[str, str], float] = {}
        for part in parts:
            for at, amount in part.requests.items():
                largest[at] = max(amount, largest.get(at, 0.0))
        changed = grouped((one for part in parts for one in part.rates), "uid", "resource")
        brief = grouped((one for part in parts for one in part.brief_rates), "uid", "resource")
        called = {label for _, label in (*largest, *changed, *brief)}
        kinds = {label: self.kind(label) for label in called}
        amounts: dict[str, dict[str, list[Run]]] = {}
        for (uid, label), rate in largest.items():
            if (resource := kinds[label]) and rate > 0:
                runs = [(start, end, rate) for start, end, _ in running.get(uid, ())]
                amounts.setdefault(uid, {}).setdefault(resource, []).extend(runs)
        for uid, label in {**changed, **brief}:
            if resource := kinds[label]:
                these = uid, label
                runs = self._runs(changed.get(these, ()), brief.get(these, ()), steps)
                amounts.setdefault(uid, {}).setdefault(resource, []).extend(runs)
        return amounts

    def kind(self, label: str) -> str:
        """The resource that a value of the label `resource` counts as; empty for none."""
        return next((one.name for one in self.resources.values() if one.is_called(label)), "")
