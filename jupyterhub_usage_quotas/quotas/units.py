"""Quantities: units, and how "1000 GiB-hours" is read and shown.

A resource that is held against a window is an amount times a time: memory in byte-seconds, CPU
in core-seconds, GPU in GPU-seconds, time in (server-)seconds. Those are the *base units*; all
arithmetic happens in them. A `Quantity` remembers the unit that the admin chose, so that numbers
are shown back in it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from .messages import printable, wrong

_DECIMAL: dict[str, int] = {prefix: 1000**power for power, prefix in enumerate("kMGTP", start=1)}
_BINARY: dict[str, int] = {
    f"{prefix}i": 1024**power for power, prefix in enumerate("KMGTP", start=1)
}
_KUBERNETES: Mapping[str, float] = (
    {"": 1, "n": 1e-9, "u": 1e-6, "m": 1e-3, "E": 1000**6, "Ei": 1024**6} | _DECIMAL | _BINARY
)
BYTES: Mapping[str, int] = {"B": 1} | {f"{p}B": f for p, f in (_DECIMAL | _BINARY).items()}
TIMES = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}
_TIME_ALIASES = {
    "seconds": ("s", "sec", "secs", "second"),
    "minutes": ("m", "min", "mins", "minute"),
    "hours": ("h", "hr", "hrs", "hour"),
    "days": ("d", "day"),
    "weeks": ("w", "wk", "week"),
}
_NUMBER = r"[+-]?(?:\d+(?:[_,]\d{3})+|\d+)?(?:\.\d+)?(?:[eE][+-]?\d+)?"
# ASCII, since to Python the digits of every script are digits.
_QUANTITY = re.compile(rf"\s*(?P<number>{_NUMBER})\s*(?P<unit>\D.*?)?\s*", re.DOTALL | re.ASCII)
_OF_KUBERNETES = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))"
    r"(?:(?P<exponent>[eE][+-]?[0-9]+)|(?P<suffix>[a-zA-Z]*))"
)
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d{1,2}(?!\d)", re.ASCII)
_NUMBER_GOES_ON = re.compile(r"[^a-z]*\d|x[\da-f]+\b", re.ASCII | re.IGNORECASE)
"""What comes after a number that was not read to its end: no unit has a digit before a letter."""
_LONGEST_TEXT = 1000

LONGEST_DURATION = timedelta(days=3660)
"""The longest window or session: ten years. Longer is a typing error."""


SMALLEST_AMOUNT = 1e-6
"""In base units. A smaller limit, other than zero, is a typing error."""

LARGEST_AMOUNT = 1e45
"""In base units. More than anybody has, and far from where floating point ends."""


class InvalidQuantity(ValueError):
    """A quantity, unit or duration that cannot be read or is out of bounds; the message says what
    is expected. `least` is what the quantity is at least, in base units.
    """

    def __init__(self, message: str, least: float = 0.0) -> None:
        super().__init__(message)
        self.least = least


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of some resource: its symbol, how many base units one of it is, and how many decimals
    amounts in it have at least: those of money.
    """

    symbol: str
    factor: float
    decimals: int = 0


@dataclass(frozen=True, slots=True)
class Quantity:
    """An amount of a resource, in the unit that somebody chose for it."""

    value: float
    unit: Unit

    @property
    def base(self) -> float:
        """The amount in base units (byte-seconds, core-seconds, GPU-seconds, seconds)."""
        return self.value * self.unit.factor

    def __str__(self) -> str:
        return f"{self.value:.17g} {self.unit.symbol}"


def hyphenated(unit: str) -> str:
    """A unit as it is kept: "GiB hours", "GiB*hours" and "GiB·hours" are "GiB-hours", and so it is
    with the dashes that word processors make of a hyphen.
    """
    return re.sub(r"[\s·*\u2010-\u2015\u2212]+", "-", unit.strip())


def time_symbol(text: str) -> str | None:
    """The unit of time that a text stands for; None for none."""
    lowered = text.lower()
    return next((name for name in TIMES if lowered == name or lowered in _TIME_ALIASES[name]), None)


def split_quantity(text: str) -> tuple[float, str]:
    """Split "1,000 GiB-hours" into 1000.0 and "GiB-hours". Raises `InvalidQuantity`."""
    match = _QUANTITY.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    number = match["number"] if match else ""
    if match is None or not re.match(r"[+-]?\.?\d", number, re.ASCII):
        raise InvalidQuantity(wrong("does not start with a number", text, "digits 0 to 9"))
    unit = match["unit"] or ""
    if _DECIMAL_COMMA.match(text):
        right = printable(text.replace(",", ".", 1).strip())
        raise InvalidQuantity(wrong("has a decimal comma", text, repr(right)))
    if _NUMBER_GOES_ON.match(unit):
        expected = "a number of digits with a decimal point, for example 1000.5, and a unit"
        raise InvalidQuantity(wrong("wrong number", text, expected))
    value = float(number.replace(",", "").replace("_", ""))
    if not math.isfinite(value):
        raise InvalidQuantity(wrong("not a finite number", text))
    return value, unit


def parse_duration(text: str) -> timedelta:
    """Read a duration, for example "36h", "10 minutes" or "2 weeks". Raises `InvalidQuantity`."""
    number, unit = split_quantity(text)
    symbol = time_symbol(unit)
    if symbol is None:
        raise InvalidQuantity(wrong("not a duration", text, 'for example "36h" or "2 weeks"'))
    return bounded_duration(number * TIMES[symbol], text)


def bounded_quantity(value: float, unit: Unit, given: object) -> Quantity:
    """So much in a unit, refused when it is no number, or too large to mean anything."""
    # Compared before it is multiplied or made a float: an integer may be beyond all floats.
    if not abs(value) <= LARGEST_AMOUNT / unit.factor:
        raise InvalidQuantity(wrong("not a number, or too large to mean anything", given))
    return Quantity(float(value), unit)


def bounded_duration(seconds: float, given: object) -> timedelta:
    """A duration of so many seconds, refused when negative or beyond `LONGEST_DURATION`."""
    if not 0 <= seconds <= LONGEST_DURATION.total_seconds():
        raise InvalidQuantity(
            wrong("out of range", given, f"a duration between 0 and {LONGEST_DURATION.days} days")
        )
    return timedelta(seconds=seconds)


def parse_bytes(text: str) -> float:
    """Read an amount of memory, for example "8GiB", "8G" (= GiB, as in JupyterHub) or "500 MB"."""
    number, unit = split_quantity(text)
    symbol = unit if unit in BYTES else {"K": "KiB", "M": "MiB", "G": "GiB", "T": "TiB"}.get(unit)
    if symbol is None:
        raise InvalidQuantity(wrong("not an amount of memory", text, 'for example "8GiB"'))
    return number * BYTES[symbol]


def parse_kubernetes(text: str) -> float:
    """Read an amount as Kubernetes writes it in requests: "10Gi", "500m" or "1e3".

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    Raises `InvalidQuantity`.
    """
    found = _OF_KUBERNETES.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    suffix = (found and found["suffix"]) or ""
    if found is None or suffix not in _KUBERNETES:
        raise InvalidQuantity(wrong("not an amount of Kubernetes", text, 'for example "10Gi"'))
    value = float(found["number"] + (found["exponent"] or "")) * _KUBERNETES[suffix]
    if not math.isfinite(value):
        raise InvalidQuantity(wrong("not a finite number", text))
    return value


def is_unit(text: str) -> bool:
    """Whether what an admin's own resource counts in can be written in a limit."""
    unit = hyphenated(text)
    last_word = unit.rpartition("-")[2]
    return bool(re.fullmatch(r"[^\W\d_][\w.%-]{0,63}", unit)) and time_symbol(last_word) is None


def show(amount: float, unit: Unit) -> str:
    """An amount in base units, for people: at most three significant decimals, in `unit`.

    Plain times are shown as hours and minutes ("18h 30m"), the way people read a clock.
    """
    if unit.symbol in TIMES:
        return show_seconds(amount)
    value = amount / unit.factor
    decimals = 0 if value == round(value) or abs(value) >= 1000 else 2 if abs(value) >= 1 else 4  # noqa: PLR2004
    whole, _, fraction = f"{value:z,.{max(decimals, unit.decimals)}f}".partition(".")
    fraction = fraction.rstrip("0").ljust(unit.decimals, "0")
    return f"{whole}.{fraction} {unit.symbol}" if fraction else f"{whole} {unit.symbol}"


def show_more_than(amount: float, unit: Unit) -> str:
    """The next amount above this one that can be shown: to free that much is to free more than this
    one.
    """
    step = unit.factor / 100 if unit.factor > 1 else 1.0
    return show((math.floor(amount / step) + 1) * step, unit)


def show_part(amount: float, of: float, unit: Unit) -> str:
    """An amount as part of another: "168.93 of 100 GiB-hours", "12m of 20h"."""
    part = show(amount, unit)
    return f"{part.removesuffix(' ' + unit.symbol)} of {show(of, unit)}"


def show_duration(duration: timedelta) -> str:
    """A duration for people: "45s", "12m", "18h 30m", "300h"; rounded to what is shown."""
    return show_seconds(duration.total_seconds())


def show_seconds(amount: float) -> str:
    """The same for a number of seconds, however large."""
    seconds = abs(round(amount))
    sign = "-" if amount < 0 and seconds else ""
    minute = 60
    if seconds < minute:
        return f"{sign}{seconds}s"
    hours, minutes = divmod(round(seconds / minute), minute)
    parts = [f"{hours}h"] if hours else []
    if minutes:
        parts.append(f"{minutes}m")
    return sign + " ".join(parts)


def show_days(duration: timedelta) -> str:
    """A window's length for people: "7 days", "1 day", "36 hours", "90 minutes"."""
    count, name = whole_times(duration)
    if count * TIMES[name] != duration.total_seconds():
        return f"{duration.total_seconds():g} seconds"
    return f"{count} {name if count != 1 else name[:-1]}"


def whole_times(duration: timedelta) -> tuple[int, str]:
    """A duration as a number of the longest unit that it has a whole number of: 7, "days"."""
    seconds = duration.total_seconds()
    for name in ("days", "hours", "minutes"):
        count = seconds / TIMES[name]
        if count >= 1 and count == round(count):
            return round(count), name
    return round(seconds), "seconds"
