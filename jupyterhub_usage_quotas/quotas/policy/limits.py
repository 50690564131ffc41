"""How limits and windows are written. Every function raises `InvalidQuantity` (a ValueError) that
says what was given and what would be right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ..messages import not_among, one_of, printable, wrong
from ..units import (
    LONGEST_DURATION,
    STORAGE,
    InvalidQuantity,
    Quantity,
    Resource,
    Unit,
    bounded_duration,
    bounded_quantity,
    parse_duration,
)
from ..windows.calendar import MONTH_NAMES, MONTHS, WEEKDAYS, Calendar, Period
from ..windows.gauge import Present
from ..windows.refill import Refill
from ..windows.rolling import Rolling

WINDOW_FORMS = (
    'a number of days, a duration such as "36h", {calendar: week, starts: monday, timezone: UTC}'
    ' or {refill: 5, every: "10 minutes"}'
)

EXPORTED = "exported"
"""The limit of home storage that its exporter tells."""

NOT_TOLD_YET = Quantity(math.nan, STORAGE.unit("GiB"))
"""What stands for an exported limit as long as nobody's is known."""

SMALLEST_AMOUNT = 1e-6
"""In base units. A limit of less than that, but not of zero, is a slip of the keyboard."""


def parse_limit(value: object, resource: Resource) -> Quantity:
    """Read a limit: {value: 1000, unit: GiB-hours} or "1000 GiB-hours"; of storage, "exported"."""
    if value == EXPORTED and resource.has_hard_limit:
        return NOT_TOLD_YET
    if isinstance(value, Mapping):
        quantity = _limit_from_mapping(value, resource)
    elif isinstance(value, str):
        quantity = resource.quantity(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        quantity = _limit_from_number(value, resource)
    else:
        raise InvalidQuantity(
            wrong("must be a limit with a unit", value, f"for example {resource.example!r}")
        )
    if math.copysign(1, quantity.value) < 0:
        raise InvalidQuantity(wrong("must not be negative", value, "0, or more than that"))
    if 0 < quantity.base < SMALLEST_AMOUNT:
        raise InvalidQuantity(wrong("too small to mean anything", value, "0, or more than that"))
    return quantity


def is_bare(value: object, resource: Resource) -> bool:
    """Whether a limit is a whole number without a unit, as 2i2c's package has it."""
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and bool(resource.bare_unit)
        and value > 0
        and value >= resource.bare_from
    )


def _limit_from_number(value: float, resource: Resource) -> Quantity:
    if is_bare(value, resource):
        return bounded_quantity(value, resource.unit(resource.bare_unit), value)
    example = resource.quantity(resource.example).unit
    if value == 0:
        return Quantity(float(value), example)
    # Beyond all floats, or nearly so, is said of the number itself.
    bounded_quantity(value, example, value)
    raise InvalidQuantity(
        wrong("has no unit and could be misread", value, f"for example {resource.example!r}")
    )


def _limit_from_mapping(value: Mapping[Any, Any], resource: Resource) -> Quantity:
    if set(value) != {"value", "unit"}:
        given = ", ".join(map(str, value)) or "none"
        raise InvalidQuantity(f"wrong keys: got {printable(given)}; expected value and unit")
    number, unit = value["value"], value["unit"]
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InvalidQuantity(wrong("value", number, "a number"))
    if not isinstance(unit, str):
        example = resource.quantity(resource.example).unit.symbol
        raise InvalidQuantity(wrong("unit", unit, f"a text, for example {example!r}"))
    return bounded_quantity(number, resource.unit(unit), value)


def present(limit: Quantity | None) -> Present:
    """What stands in the place of a window for a resource that has none."""
    return Present(exported=limit is NOT_TOLD_YET)


def parse_window(value: object, unit: Unit | None) -> Rolling | Calendar | Refill:
    """Read a window. `unit` is that of the limit, for what a refill gives back; None where the
    limit is faulty itself.
    """
    if isinstance(value, Mapping):
        if "calendar" in value:
            return _calendar(value)
        if "refill" in value:
            return _refill(value, unit)
        raise InvalidQuantity(wrong("not a window", dict(value), WINDOW_FORMS))
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidQuantity(wrong("not a window", value, WINDOW_FORMS))
    length = parse_duration(value) if isinstance(value, str) else _days(value)
    if length < timedelta(minutes=1):
        raise InvalidQuantity(wrong("too short", value, "at least a minute"))
    return Rolling(length)


def _days(value: float) -> timedelta:
    # Compared before it is multiplied: that may go beyond all floats.
    in_range = 0 <= value <= LONGEST_DURATION.days
    return bounded_duration(value * 86400 if in_range else math.inf, value)


def _only(value: Mapping[Any, Any], *known: str) -> None:
    for key in value:
        if key not in known:
            raise InvalidQuantity(not_among(wrong("unknown key", key), str(key), known))


def _refill(value: Mapping[Any, Any], unit: Unit | None) -> Refill:
    _only(value, "refill", "every")
    every, amount = value.get("every"), value["refill"]
    if not isinstance(every, str):
        raise InvalidQuantity(wrong("every", every, 'a duration, for example "10 minutes"'))
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not amount > 0:
        raise InvalidQuantity(
            wrong("refill", amount, "a number above 0, in the unit of the limit")
        )
    length = parse_duration(every)
    if length < timedelta(minutes=1):
        raise InvalidQuantity(wrong("every: too short", every, "at least a minute"))
    base = bounded_quantity(amount, unit, amount).base if unit else float(min(amount, 1e300))
    return Refill(base, length)


def never_full(limit: Quantity, window: object) -> str:
    """Why a balance can never be full again once it was drawn on; empty where it can."""
    if not isinstance(window, Refill) or not limit.base > 0:
        return ""
    seconds = limit.base / window.amount * window.every.total_seconds()
    if seconds <= LONGEST_DURATION.total_seconds():
        return ""
    return wrong(
        "refill too small: it could not fill the limit",
        expected=f"enough to fill it within {LONGEST_DURATION.days} days",
    )


def _calendar(value: Mapping[Any, Any]) -> Calendar:
    _only(value, "calendar", "starts", "weekday", "day", "month", "hour", "timezone")
    try:
        period = Period(value["calendar"])
    except ValueError:
        raise InvalidQuantity(wrong("calendar", value["calendar"], one_of(Period))) from None
    given = {key: value[key] for key in ("weekday", "day", "month", "hour") if key in value}
    if "starts" in value:
        given |= _starts(period, value["starts"], given)
    return Calendar(
        period,
        timezone=_timezone(value.get("timezone", "UTC")),
        weekday=_named(given, "weekday", WEEKDAYS, period is Period.WEEK),
        day=_number(given, "day", 1, 31, period in MONTHS),
        month=_named(given, "month", MONTH_NAMES, period in (Period.QUARTER, Period.YEAR)) + 1,
        hour=_number(given, "hour", 0, 23, period is not Period.HOUR),
    )


def _starts(period: Period, starts: object, given: Mapping[str, object]) -> dict[str, object]:
    """`starts` is the weekday of a week, the day of a month, the month of a quarter or year."""
    key = {
        Period.WEEK: "weekday",
        Period.MONTH: "day",
        Period.QUARTER: "month",
        Period.YEAR: "month",
    }.get(period)
    if key is None:
        raise InvalidQuantity(f"starts does not go with calendar: {period}; expected hour")
    if key in given:
        raise InvalidQuantity(f"starts and {key} say the same; leave one out")
    return {key: starts}


def _timezone(name: object) -> str:
    try:
        if not isinstance(name, str):
            raise TypeError
        ZoneInfo(name)
    except (OSError, TypeError, ValueError, KeyError):
        raise InvalidQuantity(
            wrong("timezone: not known", name, "for example 'Europe/Zurich'")
        ) from None
    return name


def _number(given: Mapping[str, object], key: str, low: int, high: int, fits: bool) -> int:  # noqa: FBT001
    value = given.get(key, low)
    _fits(given, key, fits)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidQuantity(wrong(key, value, f"a whole number from {low} to {high}"))
    return value


def _named(given: Mapping[str, object], key: str, names: tuple[str, ...], fits: bool) -> int:  # noqa: FBT001
    """The index of a name; its first three letters are enough."""
    value = given.get(key, names[0])
    _fits(given, key, fits)
    short = [name[:3] for name in names]
    if isinstance(value, str) and (value.lower() in names or value.lower() in short):
        return short.index(value.lower()[:3])
    raise InvalidQuantity(wrong(key, value, one_of(names)))


def _fits(given: Mapping[str, object], key: str, fits: bool) -> None:  # noqa: FBT001
    if key in given and not fits:
        raise InvalidQuantity(f"{key} does not go with this calendar period; leave it out")
