"""Queries about pods, as kube-state-metrics exports them, whatever became of their labels."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import product

from ... import conventions as names
from .promql import Users, duration, equals, like, of_users, one_of, quote, select

ATTRIBUTES = (names.KSM_SERVERNAME_LABEL, names.KSM_PROFILE_LABEL, names.KSM_PROFILE_NAME_LABEL)
"""The annotations that selectors can name."""


RENAMED = "exported_"
"""What Prometheus puts before the labels of an exporter that its target has, too."""


@dataclass(frozen=True, slots=True)
class PodLabels:
    """The names of kube-state-metrics' labels of a pod.

    Where Prometheus scrapes it without `honor_labels`, each label that the target has, too, makes
    way by itself, and begins with `exported_`.
    """

    namespace: str = "namespace"
    pod: str = "pod"
    uid: str = "uid"

    @property
    def identity(self) -> str:
        """What identifies a pod: names are used again from day to day, uids are not."""
        return f"{self.namespace}, {self.pod}, {self.uid}"

    def where(self, namespaces: Sequence[str], *matchers: str) -> tuple[str, ...]:
        """The matchers of pods with these labels, in namespaces (patterns) if any are given."""
        # Pods that are exported otherwise have these labels, too: those of their exporter.
        these = (self.namespace, self.pod, self.uid)
        kind = (f'{one}!=""' if one.startswith(RENAMED) else f'{RENAMED}{one}=""' for one in these)
        return (like(self.namespace, namespaces), *kind, *matchers)

    def by_uid(self, query: str) -> str:
        """A query whose series have a label of the uid, which becomes `uid`."""
        if self.uid == "uid":
            return query
        return f'label_replace({query}, "uid", "$1", "{self.uid}", "(.*)")'


HONORED = PodLabels()
LABELS: Mapping[str, PodLabels] = {
    f"{namespace}, {pod}, {uid}": PodLabels(namespace, pod, uid)
    for namespace, pod, uid in product(
        *((name, RENAMED + name) for name in ("namespace", "pod", "uid"))
    )
}
"""Every mix, by what it is called. Each series is of exactly one of them."""


def pods_of(labels: PodLabels, namespaces: Sequence[str], users: Users, over: timedelta) -> str:
    """The pods that users had at any time in the window: a series for each, with what the
    annotations say of it.
    """
    label = names.KSM_USERNAME_LABEL
    where = labels.where(namespaces, *of_users(label, users))
    annotations = select(names.KSM_ANNOTATIONS, *where)
    by = ", ".join((label, labels.pod, labels.uid, *ATTRIBUTES))
    return labels.by_uid(f"group by ({by}) (present_over_time({annotations}[{duration(over)}]))")


def hubs_there(labels: PodLabels, namespaces: Sequence[str]) -> str:
    """The Hub's pods that run at an instant."""
    return labels.by_uid(_hubs(labels, namespaces))


def hubs_scraped_again(labels: PodLabels, namespaces: Sequence[str], step: timedelta) -> str:
    """The Hub's pods that were scraped more than once in the step before an instant."""
    # A sample at the beginning belongs to the step before, to every version of Prometheus.
    over = duration(step - timedelta(milliseconds=1))
    return labels.by_uid(f"count_over_time({_hubs(labels, namespaces)}[{over}]) > bool 1")


def _hubs(labels: PodLabels, namespaces: Sequence[str]) -> str:
    hubs = f'{labels.pod}=~"{names.HUB_POD}"'
    return select(names.KSM_PHASE, *labels.where(namespaces, hubs, equals("phase", "Running")))


def pods_that_ran(
    labels: PodLabels, namespaces: Sequence[str], called: str, over: timedelta
) -> str:
    """The pods that ran at any time in the window with such a name (a matcher): a series each."""
    where = labels.where(namespaces, called, equals("phase", "Running"))
    ran = f"max_over_time({select(names.KSM_PHASE, *where)}[{duration(over)}]) == 1"
    return labels.by_uid(f"group by ({labels.identity}) ({ran})")


@dataclass(frozen=True, slots=True)
class Pods:
    """Queries about users' pods of these names (None: of any name that is like these patterns).

    The names only narrow the search (they keep a query over a month cheap); whose pods they are
    is decided by the annotation, joined on the pod's uid, or (where they are not `annotated`) by
    who asks. A maximum per container or pod and instant makes replicas of kube-state-metrics and
    of Prometheus count once.
    """

    labels: PodLabels
    namespaces: Sequence[str]
    users: Users
    pods: Collection[str] | None
    patterns: Sequence[str] = ()
    annotated: bool = True
    step: timedelta = timedelta(minutes=1)

    @property
    def _where(self) -> tuple[str, ...]:
        some = like(self.labels.pod, self.patterns)
        of_them = one_of(self.labels.pod, self.pods) if self.pods is not None else some
        return self.labels.where(self.namespaces, of_them)

    @property
    def _running(self) -> str:
        pod = self.labels.identity
        # A pod whose node is gone keeps its phase; its containers were to end at this instant.
        deleted = f"min by ({pod}) ({self._deletion}) <= time()"
        running = f"(max by ({pod}) ({self._phase} == 1) unless on ({pod}) {deleted})"
        if not self.annotated:
            return running
        of_them = of_users(names.KSM_USERNAME_LABEL, self.users)
        annotations = select(names.KSM_ANNOTATIONS, *self._where, *of_them)
        return f"max by ({pod}) ({annotations}) * on ({pod}) {running}"

    @property
    def _phase(self) -> str:
        return select(names.KSM_PHASE, *self._where, equals("phase", "Running"))

    @property
    def _deletion(self) -> str:
        return select(names.KSM_DELETION, *self._where)

    @property
    def _brief(self) -> str:
        """The pods that ran within a step and at neither end of it, whosesoever they are."""
        step = duration(self.step)
        there = f"max_over_time({self._phase}[{step}]) == 1"
        ends = (f"{self._phase} == 1", f"{self._phase} offset {step} == 1")
        # What was to end before the step is none of it, although its node never said so.
        before = f"time() - {self.step.total_seconds():g}"
        gone = f"min_over_time({self._deletion}[{step}]) <= {before}"
        return "(" + f" unless on ({self.labels.identity}) ".join((there, *ends, gone)) + ")"

    def running(self) -> str:
        """The pods that run at an instant: a series for each `uid`."""
        return self.labels.by_uid(f"group by ({self.labels.uid}) ({self._running})")

    def brief(self) -> str:
        """The pods that ran in the step before an instant and at neither end of it, of these users
        or not: a series for each `uid`.
        """
        return self.labels.by_uid(f"group by ({self.labels.uid}) ({self._brief})")

    def rates(self) -> str:
        """What running pods request at an instant: a series for each `uid` and `resource`."""
        pod, uid = self.labels.identity, self.labels.uid
        each = self._each("max", lambda requests: requests)
        rates = f"sum by ({uid}, resource) ({each} * on ({pod}) group_left () ({self._running}))"
        return self.labels.by_uid(rates)

    def brief_rates(self) -> str:
        """The most that `brief` pods requested in the step: a series for each `uid` and
        `resource`.
        """
        each = self._each("max", _in_window("max", self.step))
        those = f"{each} and on ({self.labels.identity}) {self._brief}"
        return self.labels.by_uid(f"sum by ({self.labels.uid}, resource) ({those})")

    def seen(self) -> str:
        """The pods that are there at an instant, of these users or not: one where they are in the
        phase in which they run, else zero, by `uid`.
        """
        return self.labels.by_uid(self._phase)

    def ran(self) -> str:
        """The same of any time in the step before an instant."""
        return self.labels.by_uid(f"max_over_time({self._phase}[{duration(self.step)}])")

    def ran_in(self, over: timedelta) -> str:
        """The pods that ran at any time of a window: a series for each `uid`."""
        ran = f"max_over_time({self._phase}[{duration(over)}]) == 1"
        return self.labels.by_uid(f"group by ({self.labels.uid}) ({ran})")

    def ends(self) -> str:
        """When containers are to end, as seen at an instant (Unix seconds), by `uid`. A pod whose
        node is gone keeps its phase after that.
        """
        return self.labels.by_uid(self._deletion)

    def requests(self, extreme: str, over: timedelta) -> Sequence[str]:
        """The most ("max") or the least ("min") that containers requested in a window, whether they
        ran or not: a series for each `uid`, `container` and `resource`; of few pods in one query,
        of all in one about most of what there is and one about the rest, which may be of the same.
        """
        in_window = _in_window(extreme, over)
        if self.pods is not None:
            return (self._by_container(extreme, self._each(extreme, in_window)),)
        # To join the rest to so many takes Prometheus as long as to find them.
        own = in_window(select(names.KSM_REQUESTS, *self._where, 'exported_container=""'))
        rest = self._each(extreme, in_window, own=False)
        return tuple(self._by_container(extreme, each) for each in (own, rest))

    def _by_container(self, extreme: str, each: str) -> str:
        by = f"{self.labels.uid}, container, resource"
        return self.labels.by_uid(f"{extreme} by ({by}) ({each})")

    def others(self, over: timedelta) -> str:
        """The pods without the container of KubeSpawner's servers, as far as containers are known:
        a series for each `uid` and `container`.
        """
        uid = self.labels.uid

        def with_containers(test: str) -> str:
            # A container that requests nothing has no requests.
            each = (
                f"present_over_time({select(metric, *self._where, *tests)}[{duration(over)}])"
                for metric in (names.KSM_REQUESTS, names.KSM_CONTAINERS)
                for tests in (
                    (f'container{test}"{names.NOTEBOOK_CONTAINER}"', 'exported_container=""'),
                    (f'exported_container{test}"{names.NOTEBOOK_CONTAINER}"', _RENAMED),
                )
            )
            return f"group by ({uid}, container, exported_container) ({' or '.join(each)})"

        others, servers = with_containers("!="), with_containers("=")
        return self.labels.by_uid(f"{others} unless on ({uid}) {servers}")

    def _each(self, extreme: str, amounts: Callable[[str], str], *, own: bool = True) -> str:
        """What each container requests, by its name, which may be renamed, too; or (not `own`) only
        sidecars, and those whose name is renamed.
        """
        pod = self.labels.identity
        renamed = self._asked('exported_container!=""', "exported_container", amounts)
        plain = self._asked('exported_container=""', "container", amounts, own=own)
        # One series for each name first: no others can make this fail.
        moved = f"{extreme} by ({pod}, exported_container, resource) ({renamed})"
        back = f'label_replace({moved}, "container", "$1", "exported_container", "(.*)")'
        return f"{extreme} by ({pod}, container, resource) ({plain} or {back})"

    def _asked(
        self, named: str, container: str, amounts: Callable[[str], str], *, own: bool = True
    ) -> str:
        """What containers request that run as long as their pod: its own, and its sidecars."""
        where = (*self._where, named)
        of_pod, begun = (
            amounts(select(metric, *where))
            for metric in (names.KSM_REQUESTS, names.KSM_INIT_REQUESTS)
        )
        # Other containers that begin before the pod's own end before those.
        sidecars = amounts(select(names.KSM_INIT_CONTAINERS, *where, _SIDECAR))
        of_sidecars = f"({begun} and on ({self.labels.identity}, {container}) {sidecars})"
        return f"{of_pod} or {of_sidecars}" if own else of_sidecars


_SIDECAR = equals("restart_policy", "Always")
_RENAMED = 'exported_container!=""'


def _in_window(extreme: str, over: timedelta) -> Callable[[str], str]:
    return lambda amounts: f"{extreme}_over_time({amounts}[{duration(over)}])"


def servers_there(namespaces: Sequence[str], over: timedelta) -> str:
    """Whether there were containers of KubeSpawner's in a window, of any user; they are known by
    their name.
    """
    theirs = (
        select(
            names.KSM_REQUESTS,
            *labels.where(namespaces, equals(label, names.NOTEBOOK_CONTAINER), *plain),
        )
        for labels in LABELS.values()
        for label, plain in (
            ("container", ('exported_container=""',)),
            ("exported_container", ()),
        )
    )
    return _any_in_window(theirs, over)


def usernames_there(namespaces: Sequence[str], over: timedelta) -> str:
    """Whether pods said a username in a window."""
    usernames = f'{names.KSM_USERNAME_LABEL}!=""'
    said = (
        select(names.KSM_ANNOTATIONS, *labels.where(namespaces, usernames))
        for labels in LABELS.values()
    )
    return _any_in_window(said, over)


def _any_in_window(selected: Iterable[str], over: timedelta) -> str:
    present = (f"group(present_over_time({one}[{duration(over)}]))" for one in selected)
    return " or ".join(present)


def first_version() -> str:
    """The number of series that only kube-state-metrics 1 exports."""
    return f"count({{__name__=~{quote('|'.join(names.KSM_FIRST_REQUESTS))}}})"
