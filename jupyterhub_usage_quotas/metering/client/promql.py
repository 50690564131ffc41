"""Pure builders of PromQL: the only place that puts outside text into a query.

Syntax: https://prometheus.io/docs/prometheus/latest/querying/basics/ — string literals follow
Go's rules for double quotes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ... import conventions as names
from ...errors import UsageQuotasError


@dataclass(frozen=True, slots=True)
class PodLabels:
    """The names of kube-state-metrics' labels of a pod.

    Where Prometheus scrapes it without `honor_labels`, they make way for those of
    kube-state-metrics itself and begin with `exported_`; `uid` stays.
    """

    namespace: str = "namespace"
    pod: str = "pod"
    container: str = "container"

    @property
    def identity(self) -> str:
        """What identifies a pod: names are used again from day to day, uids are not."""
        return f"{self.namespace}, {self.pod}, uid"

    def where(self, namespaces: Sequence[str], *matchers: str) -> tuple[str, ...]:
        """The matchers of pods with these labels, in namespaces (patterns) if any are given."""
        # Pods that are exported the other way have these labels, too: those of their exporter.
        plain = self.pod == "pod"
        other = 'exported_pod=""' if plain else 'exported_pod!=""'
        within = like(self.namespace, namespaces)
        own = 'exported_namespace=""' if plain and namespaces else ""
        return (within, own, other, *matchers)


HONORED = PodLabels()
EXPORTED = PodLabels("exported_namespace", "exported_pod", "container, exported_container")
"""Only labels that the target has, too, are renamed: it may have a pod and no container."""

_GO_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class InvalidText(UsageQuotasError, ValueError):
    """Text that no label can hold, because it is not valid Unicode (a lone surrogate)."""


def quote(text: str) -> str:
    """A PromQL string literal that stands for exactly this text. Raises `InvalidText`."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidText(f"{text!r} is not valid Unicode text") from error
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in _GO_ESCAPES:
        return _GO_ESCAPES[character]
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def equals(label: str, value: str) -> str:
    """A matcher for exactly this value."""
    return f"{label}={quote(value)}"


def one_of(label: str, values: Iterable[str]) -> str:
    """A matcher for any of these values; none of them is read as a regular expression."""
    return f"{label}=~{quote('|'.join(_literal_pattern(value) for value in sorted(values)))}"


def _literal_pattern(text: str) -> str:
    # re.escape also escapes characters (a space, '#') that RE2 refuses to see escaped.
    return re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", text)


def select(metric: str, *matchers: str) -> str:
    """An instant selector; empty matchers are left out."""
    return f"{metric}{{{','.join(matcher for matcher in matchers if matcher)}}}"


def like(label: str, patterns: Sequence[str]) -> str:
    """A matcher of values like any of these patterns with `*` and `?`; empty where there are none.

    To say that it may be anything is to have no patterns.
    """
    if not patterns:
        return ""
    if len(patterns) == 1 and not set(patterns[0]) & {"*", "?"}:
        return equals(label, patterns[0])
    wanted = (
        _literal_pattern(pattern).replace(r"\*", ".*").replace(r"\?", ".") for pattern in patterns
    )
    return f"{label}=~{quote('|'.join(sorted(wanted)))}"


def in_namespace(namespace: str) -> str:
    """The matcher of the Hub's namespace; empty where none is configured."""
    return equals("namespace", namespace) if namespace else ""


def duration(length: timedelta) -> str:
    """A PromQL duration, to the millisecond."""
    return f"{round(length.total_seconds() * 1000)}ms"


Users = Collection[str] | None
"""The users of a query: these, or (None) all."""

ATTRIBUTES = (names.KSM_SERVERNAME_LABEL, names.KSM_PROFILE_LABEL, names.KSM_PROFILE_NAME_LABEL)
"""The annotations that selectors can name."""


def of_users(label: str, users: Users) -> tuple[str, ...]:
    """Matchers of these users; of nobody who has no name.

    To a matcher, a label that is not there is empty.
    """
    named = f'{label}!=""'
    if users is None:
        return (named,)
    if len(users) == 1:
        return (equals(label, *users), named)
    return (one_of(label, users), named)


def pods_of(labels: PodLabels, namespaces: Sequence[str], users: Users, over: timedelta) -> str:
    """The pods that users had at any time in the window: a series for each, with what the
    annotations say of it.
    """
    label = names.KSM_USERNAME_LABEL
    where = labels.where(namespaces, *of_users(label, users))
    annotations = select(names.KSM_ANNOTATIONS, *where)
    by = ", ".join((label, labels.pod, "uid", *ATTRIBUTES))
    return f"group by ({by}) (present_over_time({annotations}[{duration(over)}]))"


def pods_that_ran(
    labels: PodLabels, namespaces: Sequence[str], called: str, over: timedelta
) -> str:
    """The pods that ran at any time in the window with such a name (a matcher): a series each."""
    where = labels.where(namespaces, called, equals("phase", "Running"))
    ran = f"max_over_time({select(names.KSM_PHASE, *where)}[{duration(over)}]) == 1"
    return f"group by ({labels.identity}) ({ran})"


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

    @property
    def _where(self) -> tuple[str, ...]:
        some = like(self.labels.pod, self.patterns)
        of_them = one_of(self.labels.pod, self.pods) if self.pods is not None else some
        return self.labels.where(self.namespaces, of_them)

    @property
    def _running(self) -> str:
        pod = self.labels.identity
        phase = select(names.KSM_PHASE, *self._where, equals("phase", "Running"))
        running = f"max by ({pod}) ({phase} == 1)"
        if not self.annotated:
            return running
        of_them = of_users(names.KSM_USERNAME_LABEL, self.users)
        annotations = select(names.KSM_ANNOTATIONS, *self._where, *of_them)
        return f"max by ({pod}) ({annotations}) * on ({pod}) {running}"

    def running(self) -> str:
        """The pods that run at an instant: a series for each `uid`."""
        return f"group by (uid) ({self._running})"

    def rates(self) -> str:
        """What running pods request at an instant: a series for each `uid` and `resource`."""
        pod = self.labels.identity
        requests = select(names.KSM_REQUESTS, *self._where)
        each = f"max by ({pod}, {self.labels.container}, resource) ({requests})"
        return f"sum by (uid, resource) ({each} * on ({pod}) group_left () ({self._running}))"

    def largest_requests(self, over: timedelta) -> str:
        """The most that pods requested in a window, whether they ran or not: a series for each
        `uid` and `resource`.
        """
        return self._requests("max", over)

    def changed_requests(self, over: timedelta) -> str:
        """The same of those pods only that did not always request as much."""
        most, least = self._requests("max", over), self._requests("min", over)
        return f"{most} > on (uid, resource) {least}"

    def _requests(self, extreme: str, over: timedelta) -> str:
        requests = select(names.KSM_REQUESTS, *self._where)
        by = f"{self.labels.identity}, {self.labels.container}, resource"
        each = f"{extreme} by ({by}) ({extreme}_over_time({requests}[{duration(over)}]))"
        return f"sum by (uid, resource) ({each})"


def servers_there(labels: PodLabels, namespaces: Sequence[str], over: timedelta) -> str:
    """The number of KubeSpawner's containers in a window, of any user.

    They are known by their name, which is in labels of their own or of their exporter's.
    """
    theirs = " or ".join(
        f"present_over_time({select(names.KSM_REQUESTS, *where)}[{duration(over)}])"
        for label in labels.container.split(", ")
        for where in [labels.where(namespaces, equals(label, names.NOTEBOOK_CONTAINER))]
    )
    return f"count({theirs})"


def usernames_there(labels: PodLabels, namespaces: Sequence[str], over: timedelta) -> str:
    """How many pods said a username in a window."""
    usernames = f'{names.KSM_USERNAME_LABEL}!=""'
    said = select(names.KSM_ANNOTATIONS, *labels.where(namespaces, usernames))
    return f"count(present_over_time({said}[{duration(over)}]))"


def anybodys_requests() -> str:
    """The number of series of pods' requests, of any pod in any namespace."""
    return f"count({names.KSM_REQUESTS})"


def server_rates(metric: str, namespaces: Sequence[str], users: Users) -> str:
    """What users' servers ask for at an instant, as the Hub exports it or a rule records it: a
    series for each server and `resource`.
    """
    servers = select(metric, like("namespace", namespaces), *of_users("username", users))
    return f"max by ({', '.join(names.SERVER_LABELS)}) ({servers})"


def defined_rates(expression: str, users: Users) -> str:
    """An admin's own expression, which has the label `username`, of these users only."""
    total = f"sum by (username) ({expression})"
    if users is None:
        return total
    # Any expression can be narrowed so, whatever it is made of. "$" would be a reference.
    wanted = " or ".join(
        f'label_replace(vector(1), "username", {quote(user.replace("$", "$$"))}, "", "")'
        for user in sorted(users)
    )
    return f"{total} and on (username) ({wanted})"


def ever_there(expression: str, over: timedelta, step: timedelta) -> str:
    """Whether an expression had any series at any of the steps of a window."""
    return f"max_over_time(group({expression})[{duration(over)}:{duration(step)}])"


def seen(metric: str, *matchers: str) -> str:
    """When any series of the metric was last scraped, as seen from an instant, in Unix seconds."""
    return f"max(timestamp({select(metric, *matchers)}))"


def there(metric: str, *matchers: str) -> str:
    """The instant itself, in Unix seconds, where the metric has any series then.

    Far cheaper than `seen` at instants that are far apart: `timestamp` reads all from the start.
    """
    return f"group({select(metric, *matchers)}) * time()"


def ever(metric: str, *matchers: str, over: timedelta) -> str:
    """How many series of the metric there were in a window; nothing where there were none."""
    return f"count(present_over_time({select(metric, *matchers)}[{duration(over)}]))"


def labelled(expressions: Mapping[str, str]) -> str:
    """Several expressions in one, distinguished by the label `part`."""
    return " or ".join(
        f'label_replace({expression}, "part", {quote(name)}, "", "")'
        for name, expression in expressions.items()
    )


@dataclass(frozen=True, slots=True)
class Gauge:
    """Queries about what is there now: amounts and limits (metrics, the second may be empty), in
    these namespaces; a series for each value of a label, the key.

    Several exporters may report the same key; the largest of what they say counts.
    """

    amounts: str
    limits: str
    label: str
    namespaces: str

    def _select(self, metric: str) -> str:
        return select(metric, self.namespaces, f'{self.label}!=""')

    @property
    def _largest(self) -> str:
        return f"max by ({self.label})"

    def there(self, over: timedelta) -> Mapping[str, str]:
        """What is reported now, when it was scraped, and (`gone`) what was reported in the time
        before.
        """
        amount = self._select(self.amounts)
        by_key = f"group by ({self.label})"
        limit = {"limit": f"{self._largest} ({self._select(self.limits)})"} if self.limits else {}
        return {
            "amount": f"{self._largest} ({amount})",
            **limit,
            "at": f"{self._largest} (timestamp({amount}))",
            "gone": f"{by_key} (present_over_time({amount}[{duration(over)}]))"
            f" unless on ({self.label}) {by_key} ({amount})",
        }

    def last_reported(self, over: timedelta) -> Mapping[str, str]:
        """What was reported last in a window, and when, to the minute."""
        span = duration(over)

        def last(metric: str) -> str:
            return f"{self._largest} (last_over_time({self._select(metric)}[{span}]))"

        scraped = f"max_over_time(timestamp({self._select(self.amounts)})[{span}:1m])"
        return {
            "amount": last(self.amounts),
            **({"limit": last(self.limits)} if self.limits else {}),
            "at": f"{self._largest} ({scraped})",
        }
