"""Pure builders of PromQL. The only place that puts outside text into a query.

Syntax: https://prometheus.io/docs/prometheus/latest/querying/basics/ — string literals follow
Go's rules for double quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta

from .. import conventions as names

POD = "namespace, pod, uid"
"""What identifies a pod: names are used again from day to day, uids are not."""

_GO_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class InvalidText(ValueError):
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


def in_namespace(namespace: str) -> str:
    """The matcher of the Hub's namespace; empty where none is configured."""
    return equals("namespace", namespace) if namespace else ""


def duration(length: timedelta) -> str:
    """A PromQL duration, to the millisecond."""
    return f"{round(length.total_seconds() * 1000)}ms"


def user_pods(namespace: str, username: str, over: timedelta) -> str:
    """The names of the pods that a user had at any time in the window; one series per `pod`."""
    annotations = select(names.KSM_ANNOTATIONS, in_namespace(namespace), *_of_user(username))
    return f"group by (pod) (present_over_time({annotations}[{duration(over)}]))"


def pod_rates(namespace: str, username: str, pods: Iterable[str]) -> str:
    """What a user's running pods request at an instant; one series per `resource`, and `time`.

    The maximum per container and instant makes replicas of kube-state-metrics and of Prometheus
    count once. The pods only narrow the search (they keep a query over a month cheap); whose
    they are is decided by the annotation, joined on the pod's uid.
    """
    where = (in_namespace(namespace), one_of("pod", pods))
    requests = f"max by ({POD}, container, resource) ({select(names.KSM_REQUESTS, *where)})"
    annotations = select(names.KSM_ANNOTATIONS, *where, *_of_user(username))
    phase = select(names.KSM_PHASE, *where, equals("phase", "Running"))
    running = f"max by ({POD}) ({annotations}) * on ({POD}) max by ({POD}) ({phase} == 1)"
    return (
        f"sum by (resource) ({requests} * on ({POD}) group_left () ({running}))"
        f' or label_replace(sum({running}), "resource", "time", "", "")'
    )


def _of_user(username: str) -> tuple[str, str]:
    # To a matcher, a label that is not there is empty; pods without a username are nobody's.
    return (equals(names.KSM_USERNAME_LABEL, username), f'{names.KSM_USERNAME_LABEL}!=""')


def server_rates(namespace: str, username: str) -> str:
    """What a user's servers ask for at an instant, as the Hub exports it; one per `resource`."""
    servers = select(names.SERVER_REQUESTS, in_namespace(namespace), equals("username", username))
    return f"sum by (resource) (max by (servername, resource) ({servers}))"


def newest_sample(metric: str, *matchers: str) -> str:
    """When any series of the metric that is there now was scraped, in Unix seconds; labelled
    `metric`.
    """
    return _labelled(f"max(timestamp({select(metric, *matchers)}))", metric)


def last_seen(metric: str, *matchers: str, over: timedelta, step: timedelta) -> str:
    """The same for series that were there at any of the steps of a window."""
    newest = f"max(timestamp({select(metric, *matchers)}))"
    return _labelled(f"max_over_time({newest}[{duration(over)}:{duration(step)}])", metric)


def times_seen(metric: str, *matchers: str, over: timedelta, step: timedelta) -> str:
    """At how many of the steps of a window the metric was there; labelled `metric`."""
    present = f"group({select(metric, *matchers)})"
    return _labelled(f"count_over_time({present}[{duration(over)}:{duration(step)}])", metric)


def _labelled(expression: str, metric: str) -> str:
    return f'label_replace({expression}, "metric", {quote(metric)}, "", "")'
