"""How limits and windows are written. Every function raises `InvalidQuantity` (a ValueError) that
says what was given and what would be right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ..resources import Resource
from ..units import InvalidQuantity, Quantity, Unit, bounded_quantity
from ..windows.base import Window
from ..windows.calendar import read_calendar
from ..windows.gauge import Current
from ..windows.refill import read_refill
from ..windows.rolling import read_rolling

WINDOWS: Mapping[str, Callable[[Mapping[Any, Any], Unit | None], Window]] = {
    "calendar": read_calendar,
    "refill": read_refill,
}
"""How windows are read that are written as mappings, by the key that says which kind it is."""

WINDOW_FORMS = (
    'a number of days, a duration such as "36h", {calendar: week, starts: monday, timezone: UTC}'
    ' or {refill: 5, every: "10 minutes"}'
)

EXPORTED = "exported"
"""The limit of a gauge that its source reports for each user."""


def parse_limit(value: object, resource: Resource) -> Quantity:
    """Read a limit: {value: 1000, unit: GiB-hours} or "1000 GiB-hours"; of a gauge, "exported",
    which is NaN as long as nobody's is known.
    """
    if value == EXPORTED and resource.is_gauge:
        return Quantity(math.nan, resource.usual_unit)
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
            f"unit must be a text such as {resource.usual_unit.symbol!r}; given {unit!r}"
        )
    return bounded_quantity(number, resource.unit(unit), value)


def no_window(limit: Quantity | None) -> Current:
    """What stands in the place of a window for a resource that has none."""
    return Current(exported=limit is not None and math.isnan(limit.value))


def parse_window(value: object, unit: Unit | None) -> Window:
    """Read a window. `unit` is that of the limit, for what a refill gives back; None where the
    limit is faulty itself.
    """
    if isinstance(value, Mapping):
        for key, read in WINDOWS.items():
            if key in value:
                return read(value, unit)
        raise InvalidQuantity(f"must be {WINDOW_FORMS}; given {dict(value)!r}")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidQuantity(f"must be {WINDOW_FORMS}; given {value!r}")
    return read_rolling(value)
