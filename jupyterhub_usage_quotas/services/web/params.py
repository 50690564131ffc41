"""Reading the parameters of a request; wrong ones are refused by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from pydantic import ValidationError

from ...errors import UsageQuotasError
from ...quotas.messages import not_among, shown, wrong
from ...quotas.phrases import Phrase, mark
from ...quotas.units import parse_bytes

LONGEST_TEXT = 300
IN_BYTES = "[0-9]{1,15}|[0-9]{1,6}([.][0-9]{1,3})?([KMGT]|[KMGT]iB|[kMGT]B)"
"""How an amount of bytes is written, as a regular expression: a number of them, or with a unit."""
NUMBER = re.compile("[0-9]{1,9}([.][0-9]{1,20})?([eE][+-]?[0-9]{1,2})?")
LARGEST_AMOUNT = 1_000_000
"""Of cores or GPUs that a server can ask for."""


class BadParameter(UsageQuotasError, ValueError):
    """A parameter that cannot be used; `name` says which, the message why: as a `phrase` where
    pages have it in their language.
    """

    def __init__(self, name: str, problem: str | Phrase) -> None:
        super().__init__(str(problem))
        self.name = name
        self.phrase = problem if isinstance(problem, Phrase) else None


def bad_parameter(error: ValidationError) -> BadParameter:
    """The first of the mistakes that a model found, by the name of the part it is in."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))[:LONGEST_TEXT] or "body"
    return BadParameter(place, first["msg"].removeprefix("Value error, "))


class Refused(UsageQuotasError):
    """A request that is refused with this status; the message says why, `name` because of which
    parameter, if any, and `phrase` as in `BadParameter`.
    """

    def __init__(self, status: int, why: str | Phrase, name: str = "") -> None:
        super().__init__(str(why))
        self.status = status
        self.name = name
        self.phrase = why if isinstance(why, Phrase) else None


def unusable(got: object, expected: Phrase) -> Phrase:
    """What is wrong with a value, which is repeated as a message may have it."""
    values = {"got": shown(got), "expected": expected}
    return Phrase(mark("got {got}; expected {expected}"), values=values)


class Query:
    """The parameters of one request. `get` gives the text of one, or None."""

    def __init__(self, get: Callable[[str], str | None]) -> None:
        self._get = get

    def text(self, name: str) -> str:
        """A text; empty where it is not given."""
        given = self._get(name) or ""
        if len(given) > LONGEST_TEXT:
            text = mark("got {got} characters; expected at most {most}")
            values = {"got": len(given), "most": LONGEST_TEXT}
            raise BadParameter(name, Phrase(text, values=values))
        return given

    def choice(
        self,
        name: str,
        choices: Sequence[str],
        default: str,
        earlier: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """One of several words; `earlier` has other spellings, and the words that they mean."""
        given = self._get(name)
        if given is None:
            return default
        given = earlier.get(given, given)
        if given not in choices:
            among = Phrase(mark("one of: {choices}"), values={"choices": ", ".join(choices)})
            raise BadParameter(name, unusable(given, among))
        return given

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number within bounds."""
        given = self._get(name)
        if given is None:
            return default
        # Not int() alone, which also reads "1_0" and digits of other scripts.
        is_number = given.isascii() and given.isdigit() and len(given) <= len(str(high))
        if not (is_number and low <= int(given) <= high):
            bounds = {"low": low, "high": high}
            expected = Phrase(mark("a whole number from {low} to {high}"), values=bounds)
            raise BadParameter(name, unusable(given, expected))
        return int(given)

    def amount(self, name: str) -> float:
        """An amount that is not negative; 0 where it is not given."""
        given = self._get(name)
        if given is None:
            return 0.0
        if not NUMBER.fullmatch(given) or float(given) > LARGEST_AMOUNT:
            expected = f"a number from 0 to {LARGEST_AMOUNT}, for example 0.5"
            raise BadParameter(name, wrong(got=given, expected=expected))
        return float(given)

    def in_bytes(self, name: str) -> float:
        """An amount in bytes, written "8GiB" or as a number of bytes; 0 where it is not given."""
        given = self._get(name)
        if given is None:
            return 0.0
        if not re.fullmatch(IN_BYTES, given):
            expected = "an amount of bytes, for example 8GiB"
            raise BadParameter(name, wrong(got=given, expected=expected))
        return float(given) if given.isdigit() else parse_bytes(given)

    def instant(self, name: str, default: datetime) -> datetime:
        """An instant in ISO 8601, with its zone."""
        given = self._get(name)
        if given is None:
            return default
        try:
            # A "+" that was not encoded arrives as a space.
            found = datetime.fromisoformat(given.replace(" ", "+"))
            if found.tzinfo is None:
                raise ValueError
            return found.astimezone(UTC)
        except (ValueError, OverflowError):
            expected = "an instant with its zone in ISO 8601, for example 2026-11-24T10:05:00Z"
            raise BadParameter(name, wrong(got=given, expected=expected)) from None


def refuse_unknown(given: Collection[str], known: Collection[str]) -> None:
    """Refuse a parameter that means nothing here, because the client meant something by it."""
    for name in given:
        if name not in known:
            problem = not_among("unknown parameter", name, known, "see the API's openapi.json")
            raise BadParameter(name[:LONGEST_TEXT], problem if known else "expected no parameters")


def step_of(
    query: Query, start: datetime, end: datetime, most: int, choices: dict[str, timedelta]
) -> timedelta:
    """The step that a span is divided into: the requested one, else the first that gives few
    enough.
    """
    span = end - start
    name = query.choice("step", [*choices, "auto"], "auto")
    if name == "auto":
        fitting = [step for step in choices.values() if span / step <= most]
        return fitting[0] if fitting else max(choices.values())
    if span / choices[name] > most:
        raise BadParameter("step", f"would give more than {most} intervals; take a longer one")
    return choices[name]
