"""Pure builders of PromQL. The only place that puts outside text into a query.

Syntax: https://prometheus.io/docs/prometheus/latest/querying/basics/ — string literals follow
Go's rules for double quotes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
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


Users = Collection[str] | None
"""Whose usage: these users', or (None) everybody's."""

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


def pods_of(namespace: str, users: Users, over: timedelta) -> str:
    """The pods that users had at any time in the window: a series for each, with what the
    annotations say of it.
    """
    label = names.KSM_USERNAME_LABEL
    annotations = select(names.KSM_ANNOTATIONS, in_namespace(namespace), *of_users(label, users))
    by = ", ".join((label, "pod", "uid", *ATTRIBUTES))
    return f"group by ({by}) (present_over_time({annotations}[{duration(over)}]))"


def pod_rates(namespace: str, users: Users, pods: Collection[str]) -> str:
    """What users' running pods request at an instant: a series for each `uid` and `resource`,
    the resource `time` among them.

    The maximum per container and instant makes replicas of kube-state-metrics and of Prometheus
    count once. The pods only narrow the search (they keep a query over a month cheap); whose
    they are is decided by the annotation, joined on the pod's uid.
    """
    where = (in_namespace(namespace), one_of("pod", pods) if users is not None else "")
    requests = f"max by ({POD}, container, resource) ({select(names.KSM_REQUESTS, *where)})"
    of_them = of_users(names.KSM_USERNAME_LABEL, users)
    annotations = select(names.KSM_ANNOTATIONS, *where, *of_them)
    phase = select(names.KSM_PHASE, *where, equals("phase", "Running"))
    running = f"max by ({POD}) ({annotations}) * on ({POD}) max by ({POD}) ({phase} == 1)"
    return (
        f"sum by (uid, resource) ({requests} * on ({POD}) group_left () ({running}))"
        f' or label_replace(sum by (uid) ({running}), "resource", "time", "", "")'
    )


def server_rates(namespace: str, users: Users) -> str:
    """What users' servers ask for at an instant, as the Hub exports it: a series for each server
    and `resource`.
    """
    servers = select(names.SERVER_REQUESTS, in_namespace(namespace), *of_users("username", users))
    by = ", ".join(label for label in names.SERVER_LABELS if label != "namespace")
    return f"max by ({by}) ({servers})"


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
