"""How limits and windows are written. Every function raises `InvalidQuantity` (a ValueError) that
says what was given and what would be right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ..units import (
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


def parse_limit(value: object, resource: Resource) -> Quantity:
    """Read a limit: {value: 1000, unit: GiB-hours} or "1000 GiB-hours"; of storage, "exported"."""
    if value == EXPORTED and resource.has_hard_limit:
        return NOT_TOLD_YET
    if isinstance(value, Mapping):
        quantity = _limit_from_mapping(value, resource)
    elif isinstance(value, str):
        quantity = resource.quantity(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        quantity = resource.quantity(repr(value))
    else:
        raise InvalidQuantity(f"given {value!r}; write for example {resource.example!r}")
    if quantity.value < 0:
        raise InvalidQuantity(f"must not be negative; given {value!r}")
    return quantity


def _limit_from_mapping(value: Mapping[Any, Any], resource: Resource) -> Quantity:
    if set(value) != {"value", "unit"}:
        raise InvalidQuantity(
            f"must have the keys value and unit; given {', '.join(map(str, value)) or 'none'}"
        )
    number, unit = value["value"], value["unit"]
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InvalidQuantity(f"value must be a number; given {number!r}")
    if not isinstance(unit, str):
        raise InvalidQuantity(
            f"unit must be a text such as {resource.quantity(resource.example).unit.symbol!r}; "
            f"given {unit!r}"
        )
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
        raise InvalidQuantity(f"must be {WINDOW_FORMS}; given {dict(value)!r}")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidQuantity(f"must be {WINDOW_FORMS}; given {value!r}")
    length = (
        parse_duration(value) if isinstance(value, str) else bounded_duration(value * 86400, value)
    )
    if length < timedelta(minutes=1):
        raise InvalidQuantity(f"must be at least a minute; given {value!r}")
    return Rolling(length)


def _only(value: Mapping[Any, Any], *known: str) -> None:
    for key in value:
        if key not in known:
            raise InvalidQuantity(f"unknown key {key!r}; right are {', '.join(known)}")


def _refill(value: Mapping[Any, Any], unit: Unit | None) -> Refill:
    _only(value, "refill", "every")
    every, amount = value.get("every"), value["refill"]
    if not isinstance(every, str):
        raise InvalidQuantity(f'every must be a duration such as "10 minutes"; given {every!r}')
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not amount > 0:
        raise InvalidQuantity(
            f"refill must be a number above 0, in the unit of the limit; given {amount!r}"
        )
    length = parse_duration(every)
    if length < timedelta(minutes=1):
        raise InvalidQuantity(f"every must be at least a minute; given {every!r}")
    base = bounded_quantity(amount, unit, amount).base if unit else float(amount)
    return Refill(base, length)


def _calendar(value: Mapping[Any, Any]) -> Calendar:
    _only(value, "calendar", "starts", "weekday", "day", "month", "hour", "timezone")
    try:
        period = Period(str(value["calendar"]))
    except ValueError:
        right = ", ".join(Period)
        raise InvalidQuantity(f"calendar: given {value['calendar']!r}, right are {right}") from None
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
        raise InvalidQuantity(f"starts does not go with calendar: {period}; use hour")
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
            f"timezone: {name!r} is not known; write for example 'Europe/Zurich'"
        ) from None
    return name


def _number(given: Mapping[str, object], key: str, low: int, high: int, fits: bool) -> int:  # noqa: FBT001
    value = given.get(key, low)
    _fits(given, key, fits)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidQuantity(f"{key} must be a number from {low} to {high}; given {value!r}")
    return value


def _named(given: Mapping[str, object], key: str, names: tuple[str, ...], fits: bool) -> int:  # noqa: FBT001
    """The index of a name; its first three letters are enough."""
    value = given.get(key, names[0])
    _fits(given, key, fits)
    short = [name[:3] for name in names]
    if isinstance(value, str) and (value.lower() in names or value.lower() in short):
        return short.index(value.lower()[:3])
    raise InvalidQuantity(f"{key} must be one of {', '.join(names)}; given {value!r}")


def _fits(given: Mapping[str, object], key: str, fits: bool) -> None:  # noqa: FBT001
    if key in given and not fits:
        raise InvalidQuantity(f"{key} does not go with this calendar period; leave it out")
