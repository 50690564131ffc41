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


def anybodys_requests(step: timedelta | None = None) -> str:
    """The number of series of pods' requests, of any pod in any namespace: at an instant, or in the
    step before it.
    """
    if step is None:
        return f"count({names.KSM_REQUESTS})"
    return f"count(present_over_time({names.KSM_REQUESTS}[{duration(step)}]))"


def server_rates(metric: str, namespaces: Sequence[str], users: Users) -> str:
    """What users' servers ask for at an instant, as the Hub exports it or a rule records it: a
    series for each server and `resource`.
    """
    return f"max by ({_SERVER}) ({_servers(metric, namespaces, users)})"


def brief_server_rates(
    metric: str, namespaces: Sequence[str], users: Users, step: timedelta
) -> str:
    """The most that servers asked for that were there in the step before an instant, and at neither
    end of it.
    """
    servers, over = _servers(metric, namespaces, users), duration(step)
    there = f"max_over_time({servers}[{over}])"
    brief = f" unless on ({_SERVER}) ".join((there, servers, f"{servers} offset {over}"))
    return f"max by ({_SERVER}) ({brief})"


def recorded_rates(metric: str, namespaces: Sequence[str], users: Users, step: timedelta) -> str:
    """What was recorded in the step before an instant, whether that recording has ended or not."""
    # A sample at the beginning belongs to the step before, to every version of Prometheus.
    over = duration(step - timedelta(milliseconds=1))
    recorded = _servers(metric, namespaces, users)
    return f"max by ({_SERVER}) (max_over_time({recorded}[{over}]))"


_SERVER = ", ".join(names.SERVER_LABELS)


def _servers(metric: str, namespaces: Sequence[str], users: Users) -> str:
    return select(metric, like("namespace", namespaces), *of_users("username", users))


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
