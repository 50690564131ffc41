"""Reading limits and windows. Every function raises `InvalidQuantity` (a ValueError) that says what
it got and what it expected.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ..messages import wrong
from ..resource import Resource
from ..units import SMALLEST_AMOUNT, InvalidQuantity, Quantity, Unit, bounded_quantity
from ..windows.base import Notation, Window
from ..windows.calendar import CALENDAR
from ..windows.gauge import Current
from ..windows.refill import REFILL
from ..windows.rolling import EXAMPLES, read_rolling

WINDOWS: Mapping[str, Notation] = {
    "calendar": CALENDAR,
    "refill": REFILL,
}
"""The kinds of windows that are written as mappings, by the key that names the kind."""

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
    elif (number := bare_number(value, resource)) is not None:
        quantity = bounded_quantity(number, resource.unit(resource.bare_unit), value)
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


def bare_number(value: object, resource: Resource) -> int | None:
    """What a limit says in the resource's `bare_unit`, where it is written as only 2i2c's package
    has it: a whole number without a unit, or with a suffix; else None.
    """
    if isinstance(value, int) and not isinstance(value, bool) and resource.bare_unit:
        return value if value > 0 and value >= resource.bare_from else None
    suffixes = "".join(resource.bare_factors)
    if suffixes and isinstance(value, str) and re.fullmatch(f"[0-9]{{1,15}}[{suffixes}]", value):
        return int(value[:-1]) * resource.bare_factors[value[-1]]
    return None


def _limit_from_number(value: float, resource: Resource) -> Quantity:
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
        raise InvalidQuantity(wrong("wrong keys", list(value), "value and unit"))
    number, unit = value["value"], value["unit"]
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InvalidQuantity(wrong("value", number, "a number"))
    if not isinstance(unit, str):
        expected = f"a text, for example {resource.usual_unit.symbol!r}"
        raise InvalidQuantity(wrong("unit", unit, expected))
    return bounded_quantity(number, resource.unit(unit), value)


def no_window(limit: Quantity | None) -> Current:
    """What stands in the place of a window for a resource that has none."""
    return Current(exported=limit is not None and math.isnan(limit.value))


def parse_window(value: object, unit: Unit | None) -> Window:
    """Read a window. `unit` is that of the limit, for what a refill gives back; None where the
    limit itself has an error.
    """
    if isinstance(value, Mapping):
        for key, kind in WINDOWS.items():
            if key in value:
                return kind.read(value, unit)
        raise InvalidQuantity(wrong("not a window", dict(value), _window_forms()))
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidQuantity(wrong("not a window", value, _window_forms()))
    return read_rolling(value)


def _window_forms() -> str:
    """The ways in which a window can be written, for a message."""
    *others, last = (EXAMPLES, *(kind.example for kind in WINDOWS.values()))
    return f"{', '.join(others)} or {last}"
