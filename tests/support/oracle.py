"""The truth about usage, minute by minute, from the samples themselves: what PromQL and the meter
are held against. Nothing of the package is used here.

What Prometheus shows at an instant is the newest sample of a series, unless it is older than the
look-back or marks the end (https://prometheus.io/docs/prometheus/latest/querying/basics/#staleness).
What is to be seen at neither end of a minute, and has a sample in it, counts for that minute, too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from .written import Labels, Samples

MINUTE = 60
LOOK_BACK = 300.0
MAX_GAP = 10
"""Minutes that are bridged."""

PHASE, ANNOTATIONS = "kube_pod_status_phase", "kube_pod_annotations"
INFO = "jupyterhub_usage_quotas_exporter_info"

KINDS = {"memory": "memory", "cpu": "cpu", "nvidia_com_gpu": "gpu", "nvidia_com_mig_1g_5gb": "gpu"}

Minutes = Mapping[int, Mapping[str, float]]
"""By minute (the instant that ends it), how much of each resource is in use."""


@dataclass(frozen=True)
class Truth:
    """Usage in `(start, end]`, as it can be known at `end`: by user, minute and resource.

    `seen` are the minutes in which the source was; `last` is when it was scraped last.
    """

    start: int
    end: int
    used: Mapping[str, Minutes]
    seen: Sequence[int]
    last: float

    def between(self, user: str, resource: str, start: float, end: float) -> float:
        """What a user used, up to the last scrape."""
        first, until = max(start, self.start), min(end, self.last)
        return sum(
            rates.get(resource, 0.0) * max(min(minute, until) - max(minute - MINUTE, first), 0.0)
            for minute, rates in self.used.get(user, {}).items()
        )

    def slices(self, user: str, resource: str, length: int) -> Sequence[float]:
        """The same of every `length` seconds from the start to the end."""
        amounts = [0.0] * ((self.end - self.start) // length)
        for minute, rates in self.used.get(user, {}).items():
            begin = minute - MINUTE
            if begin >= self.start and resource in rates:
                lasts = min(max(self.last - begin, 0.0), MINUTE)
                amounts[(begin - self.start) // length] += rates[resource] * lasts
        return amounts

    @property
    def coverage(self) -> float:
        """The share of the time up to the last scrape in which the source was seen."""
        until = min(self.last, self.end)
        known = sum(max(min(one, until) - (one - MINUTE), 0.0) for one in self.seen)
        return known / (until - self.start)


@dataclass(frozen=True)
class _Series:
    labels: Mapping[str, str]
    times: Sequence[float]
    values: Sequence[float | None]

    def at(self, instant: float) -> float | None:
        """Its value as seen from an instant."""
        found = self.last(instant)
        return self.values[found] if found is not None else None

    def last(self, instant: float) -> int | None:
        """Which is its newest sample, if it is to be seen from an instant."""
        index = bisect_right(self.times, instant) - 1
        there = index >= 0 and instant - self.times[index] <= LOOK_BACK
        return index if there and self.values[index] is not None else None

    def within(self, minute: int) -> Sequence[float]:
        """The values of its samples in the minute that an instant ends."""
        first, last = (bisect_right(self.times, edge) for edge in (minute - MINUTE, minute))
        return [value for value in self.values[first:last] if value is not None]


class Oracle:
    """Knows everything about one namespace, from samples."""

    def __init__(self, samples: Samples, namespace: str) -> None:
        self._by_metric: dict[str, list[_Series]] = defaultdict(list)
        for labels, of_series in samples.items():
            plain = _plain(labels)
            if plain.get("namespace") == namespace:
                times, values = [at for at, _ in of_series], [value for _, value in of_series]
                self._by_metric[plain["__name__"]].append(_Series(plain, times, values))
        # What is to be seen from a minute is the same whenever one asks.
        self._running = cache(self._running_at)
        self._ran_briefly = cache(self._ran_briefly_in)
        self._in_use = cache(self._in_use_at)
        self._in_use_briefly = cache(self._in_use_briefly_in)
        self._seen = cache(self._seen_at)

    def of_pods(self, start: int, end: int) -> Truth:
        """What pods say, by kube-state-metrics."""
        whose: dict[str, str] = {}
        of_pods: dict[str, dict[int, dict[str, float]]] = defaultdict(dict)
        for minute in range(start, end + 1, MINUTE):
            for uid, user, amounts in self._running(minute):
                whose[uid] = user
                of_pods[uid][minute] = amounts
        bridged = {uid: _bridged(of, lambda _: True) for uid, of in of_pods.items()}
        for minute in range(start, end + 1, MINUTE):
            for uid, user, amounts in self._ran_briefly(minute):
                whose[uid] = user
                bridged.setdefault(uid, {}).setdefault(minute, amounts)
        pieces = [(whose[uid], of) for uid, of in bridged.items()]
        return self._truth(start, end, pieces, (PHASE, ANNOTATIONS))

    def of_servers(self, start: int, end: int) -> Truth:
        """What servers say, by the Hub's exporter; a gap is bridged only where nobody looked."""
        minutes = range(start, end + 1, MINUTE)
        unseen = {minute for minute in minutes if self._seen(INFO, minute) is None}
        servers: dict[tuple[str, ...], dict[int, dict[str, float]]] = defaultdict(dict)
        for minute in minutes:
            for key, value in self._in_use(minute).items():
                servers[key][minute] = {key[-1]: value}
        bridged = {key: _bridged(of, unseen.issuperset) for key, of in servers.items()}
        for minute in minutes:
            for key, value in self._in_use_briefly(minute).items():
                bridged.setdefault(key, {}).setdefault(minute, {key[-1]: value})
        return self._truth(start, end, [(key[0], of) for key, of in bridged.items()], (INFO,))

    def _of(self, metric: str) -> list[_Series]:
        return self._by_metric.get(metric, [])

    def _running_at(self, minute: int) -> list[tuple[str, str, dict[str, float]]]:
        """The pods that run at an instant: uid, user, and what they ask for."""
        users = {
            one.labels["uid"]: user
            for one in self._of(ANNOTATIONS)
            if (user := one.labels.get("annotation_hub_jupyter_org_username")) and one.at(minute)
        }
        running = {
            one.labels["uid"]
            for one in self._of(PHASE)
            if one.labels["phase"] == "Running" and one.at(minute) == 1
        } - {
            one.labels["uid"]
            for one in self._of("kube_pod_deletion_timestamp")
            if (gone := one.at(minute)) is not None and gone <= minute
        }
        return self._asking(running, users, lambda one: one.at(minute))

    def _ran_briefly_in(self, minute: int) -> list[tuple[str, str, dict[str, float]]]:
        """The pods that ran in a minute, and were to be seen at neither end of it: as above."""
        phases = [one for one in self._of(PHASE) if one.labels["phase"] == "Running"]
        ran = {one.labels["uid"] for one in phases if 1 in one.within(minute)}
        ran -= {
            one.labels["uid"] for one in phases if 1 in (one.at(minute - MINUTE), one.at(minute))
        }
        ran -= {
            one.labels["uid"]
            for one in self._of("kube_pod_deletion_timestamp")
            if min(one.within(minute), default=minute) <= minute - MINUTE
        }
        users = {
            one.labels["uid"]: user
            for one in self._of(ANNOTATIONS)
            if (user := one.labels.get("annotation_hub_jupyter_org_username"))
            and one.within(minute)
        }
        return self._asking(ran, users, lambda one: max(one.within(minute), default=None))

    def _asking(
        self,
        running: set[str],
        users: Mapping[str, str],
        amount: Callable[[_Series], float | None],
    ) -> list[tuple[str, str, dict[str, float]]]:
        """The pods of users among these, and what they ask for."""
        asked: dict[tuple[str, str, str], float] = {}
        sidecars = {
            (one.labels["uid"], one.labels["container"])
            for one in self._of("kube_pod_init_container_info")
            if one.labels.get("restart_policy") == "Always" and amount(one)
        }
        of_sidecars = [
            one
            for one in self._of("kube_pod_init_container_resource_requests")
            if (one.labels["uid"], one.labels["container"]) in sidecars
        ]
        own = self._of("kube_pod_container_resource_requests")
        for one in (*own, *of_sidecars) if running else ():
            uid, resource = one.labels["uid"], one.labels["resource"]
            if uid in running and (value := amount(one)) is not None:
                key = uid, one.labels["container"], resource
                asked[key] = max(value, asked.get(key, 0.0))
        amounts: dict[str, dict[str, float]] = {uid: {"time": 1.0} for uid in running}
        for (uid, _, resource), value in asked.items():
            if kind := KINDS.get(resource):
                amounts[uid][kind] = amounts[uid].get(kind, 0.0) + value
        return [(uid, users[uid], amounts[uid]) for uid in sorted(running & users.keys())]

    def _in_use_at(self, minute: int) -> dict[tuple[str, str, str], float]:
        """What servers ask for at an instant, by user, server and resource."""
        found: dict[tuple[str, str, str], float] = {}
        for one in self._of("jupyterhub_usage_quotas_server_requests"):
            if (value := one.at(minute)) is not None:
                labels = one.labels
                key = labels["username"], labels.get("servername", ""), labels["resource"]
                found[key] = max(value, found.get(key, 0.0))
        return found

    def _in_use_briefly_in(self, minute: int) -> dict[tuple[str, str, str], float]:
        """The same of those that were there in a minute, and at neither end of it."""
        ends = self._in_use(minute - MINUTE).keys() | self._in_use(minute).keys()
        found: dict[tuple[str, str, str], float] = {}
        for one in self._of("jupyterhub_usage_quotas_server_requests"):
            labels = one.labels
            key = labels["username"], labels.get("servername", ""), labels["resource"]
            if key not in ends and (values := one.within(minute)):
                found[key] = max(*values, found.get(key, 0.0))
        return found

    def _seen_at(self, metric: str, minute: int) -> float | None:
        """When a metric that was to be seen at an instant was scraped last."""
        shown = [
            one.times[index]
            for one in self._of(metric)
            if one.labels.get("phase", "Running") == "Running"
            and (index := one.last(minute)) is not None
        ]
        return max(shown, default=None)

    def _truth(
        self, start: int, end: int, pieces: list[tuple[str, Minutes]], evidence: Sequence[str]
    ) -> Truth:
        used: dict[str, dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
        for user, minutes in pieces:
            for minute, amounts in minutes.items():
                total = used[user][minute]
                for resource, amount in amounts.items():
                    total[resource] = total.get(resource, 0.0) + amount
        shown = {
            minute: [self._seen(metric, minute) for metric in evidence]
            for minute in range(start, end + 1, MINUTE)
        }
        seen = [one for one, scrapes in shown.items() if one > start and None not in scrapes]
        last = [max(one or 0.0 for one in of) for of in zip(*shown.values(), strict=True)]
        return Truth(start, end, used, seen, min(last))


def _bridged(minutes: Minutes, may_be: Callable[[range], bool]) -> dict[int, dict[str, float]]:
    """With the minutes between two of one and the same thing, where there are few."""
    filled = {minute: dict(amounts) for minute, amounts in minutes.items()}
    for before, after in pairwise(sorted(minutes)):
        between = range(before + MINUTE, after, MINUTE)
        if len(between) <= MAX_GAP and may_be(between):
            same = dict(set(minutes[before].items()) & set(minutes[after].items()))
            filled.update((minute, dict(same)) for minute in between)
    return filled


def _plain(labels: Labels) -> dict[str, str]:
    """Labels as the exporter called them: those of the exporter itself make way."""
    named = dict(labels)
    moved = {name.removeprefix("exported_") for name in named if name.startswith("exported_")}
    plain = {name: value for name, value in named.items() if name not in moved}
    return {name.removeprefix("exported_"): value for name, value in plain.items()}
